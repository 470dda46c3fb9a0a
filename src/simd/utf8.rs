//! Checks UTF-8 that arrives in pieces, and says no at the first byte that no text can go on from.

use super::scalar::turned;

/// The bytes are not UTF-8, and nothing that follows makes them so (close code 1007).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8")]
pub struct InvalidUtf8;

/// One message's text so far. Start each message with a new one.
///
/// A kernel, or simdutf8, checks what is whole; a character that the end of a chunk cuts is carried here to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Utf8Stream {
    /// The bytes of a character that is not complete. Invariant: a character can begin so.
    carried: [u8; 3],
    /// How many of them count, or `BROKEN`.
    carried_bytes: u8,
}

impl Utf8Stream {
    /// Feeds the next bytes of the message. Cutting the stream elsewhere never changes the verdict: it fails
    /// with the chunk that holds the first byte after which no text is left, and at every later call.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), InvalidUtf8> {
        self.feed_masked(chunk, [0; 4], |whole, _| check_whole(whole))
    }

    /// Feeds bytes as they lie under a key that has been turned to the first of them. `is_text` checks characters
    /// that are all complete; it is given them and their key.
    #[inline]
    pub(super) fn feed_masked(
        &mut self,
        chunk: &[u8],
        key: [u8; 4],
        is_text: impl FnOnce(&[u8], [u8; 4]) -> bool,
    ) -> Result<(), InvalidUtf8> {
        let checked = self.check(chunk, key, is_text);
        if checked.is_err() {
            self.carried_bytes = BROKEN;
        }
        checked
    }

    /// Whether a character may begin with the next byte, so that ASCII needs no look at what came before.
    pub const fn is_between_characters(&self) -> bool {
        self.carried_bytes == 0
    }

    /// Ends the message: no character may be left half.
    pub const fn finish(&self) -> Result<(), InvalidUtf8> {
        match self.carried_bytes {
            0 => Ok(()),
            _ => Err(InvalidUtf8),
        }
    }

    fn check(
        &mut self,
        chunk: &[u8],
        key: [u8; 4],
        is_text: impl FnOnce(&[u8], [u8; 4]) -> bool,
    ) -> Result<(), InvalidUtf8> {
        if self.carried_bytes == BROKEN {
            return Err(InvalidUtf8);
        }
        let completed = self.complete(chunk, key)?;
        let (chunk, key) = (&chunk[completed..], turned(key, completed));
        let (whole, cut) = chunk.split_at(chunk.len() - cut_bytes(chunk, key));
        if !is_text(whole, key) {
            return Err(InvalidUtf8);
        }
        let mut places = whole.len()..whole.len() + cut.len();
        places.try_for_each(|place| self.carry(chunk[place] ^ key[place % 4]))
    }

    /// Completes the carried character as far as `chunk` goes, and returns how many bytes that took.
    fn complete(&mut self, chunk: &[u8], key: [u8; 4]) -> Result<usize, InvalidUtf8> {
        let mut completed = 0;
        while self.carried_bytes > 0 && completed < chunk.len() {
            self.carry(chunk[completed] ^ key[completed % 4])?;
            completed += 1;
        }
        Ok(completed)
    }

    /// Takes one byte of a character, and is empty again after its last.
    fn carry(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let before = usize::from(self.carried_bytes);
        let fits = match before {
            0 => width(byte) > 1,
            1 => second_fits(self.carried[0], byte),
            _ => is_continuation(byte),
        };
        if !fits {
            return Err(InvalidUtf8);
        }
        let lead = if before == 0 { byte } else { self.carried[0] };
        if before + 1 == width(lead) {
            self.carried_bytes = 0;
        } else {
            self.carried[before] = byte;
            self.carried_bytes += 1;
        }
        Ok(())
    }
}

/// Checks characters that are all complete.
fn check_whole(bytes: &[u8]) -> bool {
    // With AVX2, simdutf8 0.1.5 prefetches what follows, and names the place with `pointer::add` even where it
    // lies behind the end of the bytes. Nothing is read there, but Miri rightly stops at such a pointer. So Miri
    // looks at what is ours, and has the standard library check the rest.
    #[cfg(miri)]
    return std::str::from_utf8(bytes).is_ok();
    #[cfg(not(miri))]
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// How many bytes at the end of `chunk` are a character without its end: 0 to 3.
fn cut_bytes(chunk: &[u8], key: [u8; 4]) -> usize {
    for from_end in 1..=chunk.len().min(CARRIED_BYTES_MAX) {
        let place = chunk.len() - from_end;
        let byte = chunk[place] ^ key[place % 4];
        if !is_continuation(byte) {
            return if width(byte) > from_end { from_end } else { 0 };
        }
    }
    0
}

/// How long a character is that begins so; 0 if none does.
const fn width(lead: u8) -> usize {
    match lead {
        0x00..=0x7F => 1,
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 0,
    }
}

/// The second byte decides against overlong forms, surrogates and what lies beyond U+10FFFF (RFC 3629 section 4).
const fn second_fits(lead: u8, second: u8) -> bool {
    match lead {
        0xE0 => matches!(second, 0xA0..=0xBF),
        0xED => matches!(second, 0x80..=0x9F),
        0xF0 => matches!(second, 0x90..=0xBF),
        0xF4 => matches!(second, 0x80..=0x8F),
        _ => is_continuation(second),
    }
}

const fn is_continuation(byte: u8) -> bool {
    matches!(byte, 0x80..=0xBF)
}

/// The longest character has four bytes.
const CARRIED_BYTES_MAX: usize = 3;
/// Instead of a count, once the text is broken.
const BROKEN: u8 = u8::MAX;

const _: () = assert!(size_of::<Utf8Stream>() <= 8);
