//! Every kernel this processor has against its definition, and the stream of text against an automaton.

mod text;
mod unmask;

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// RFC 6455 section 5.3, letter by letter.
fn defined(source: &[u8], key: [u8; 4], phase: usize) -> Vec<u8> {
    let masks = key.iter().cycle().skip(phase % 4);
    source
        .iter()
        .zip(masks)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}
