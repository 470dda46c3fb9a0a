//! Every kernel this processor has against its definition, and the stream of text against an automaton.

mod check;
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

/// Bytes where a rule begins or ends (RFC 3629 section 4).
const EDGES: [u8; 26] = [
    0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
    0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF,
];
