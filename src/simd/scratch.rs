//! Looks into a masked payload without writing to it: a block at a time is unmasked here and checked while it
//! is still in the first cache.

use super::kernels::Kernels;
use super::utf8::{InvalidUtf8, Utf8Stream};

/// One worker's room for looking into payloads, and the kernels to do it with.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct Scratch {
    block: [u8; BLOCK_BYTES],
    kernels: Kernels,
}

impl Scratch {
    /// An empty one. It holds nothing between two calls, so all tunnels of a worker share it.
    pub const fn new(kernels: Kernels) -> Self {
        Self {
            block: [0; BLOCK_BYTES],
            kernels,
        }
    }

    /// The kernels it works with.
    pub const fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Feeds `source`, unmasked, to `text`; `phase` counts the payload bytes of the frame that went before.
    /// Stops at the block that breaks the text.
    pub fn unmask_and_check(
        &mut self,
        source: &[u8],
        key: [u8; 4],
        phase: usize,
        text: &mut Utf8Stream,
    ) -> Result<(), InvalidUtf8> {
        for piece in source.chunks(BLOCK_BYTES) {
            let block = &mut self.block[..piece.len()];
            self.kernels.unmask_into(piece, key, phase, block);
            text.feed(block)?;
        }
        Ok(())
    }
}

impl Scratch {
    /// Feeds `source` to `text`, unmasked if there is a `key`; `came` counts the payload bytes of the frame that went
    /// before. Fails with the place of the first byte after which no text is left, however the stream is cut.
    pub fn check(
        &mut self,
        source: &[u8],
        key: Option<[u8; 4]>,
        came: u64,
        text: &mut Utf8Stream,
    ) -> Result<(), usize> {
        let before = *text;
        let phase = (came % 4) as usize;
        self.feed(source, key, phase, text).map_err(|InvalidUtf8| {
            let unmasked = source.iter().enumerate().map(|(place, byte)| match key {
                Some(key) => byte ^ key[(phase + place) % 4],
                None => *byte,
            });
            let mut again = before;
            let broken = unmasked
                .map(|byte| again.feed(&[byte]))
                .position(|fed| fed.is_err());
            broken.expect("invariant: however the bytes are cut, the text breaks at one of them")
        })
    }
}

impl Scratch {
    fn feed(
        &mut self,
        source: &[u8],
        key: Option<[u8; 4]>,
        phase: usize,
        text: &mut Utf8Stream,
    ) -> Result<(), InvalidUtf8> {
        let mask = key.unwrap_or_default();
        if let Some(checked) = self.kernels.check_text(source, mask, phase, text) {
            return checked;
        }
        if text.is_between_characters() && self.kernels.is_ascii(source, mask, phase) {
            return Ok(());
        }
        match key {
            Some(key) => self.unmask_and_check(source, key, phase, text),
            None => text.feed(source),
        }
    }

    /// Whether a whole payload is text, unmasked if there is a `key`.
    pub fn is_text(&mut self, payload: &[u8], key: Option<[u8; 4]>) -> bool {
        let mut text = Utf8Stream::default();
        self.check(payload, key, 0, &mut text).is_ok() && text.finish().is_ok()
    }
}

/// How much is unmasked before it is checked. A bound of this room alone: it fits the smallest first caches
/// (32 KiB) beside the payload it is made from.
const BLOCK_BYTES: usize = 4 * 1024;

/// Every block then begins at the phase of the first.
const _: () = assert!(BLOCK_BYTES.is_multiple_of(4));
