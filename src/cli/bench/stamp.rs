//! What the first payload bytes of a message say: whose it is and which, so that an echo that went astray is noticed.

/// The number of one message as it travels: 8 bytes in a binary message, 16 hexadecimal digits in a text. The lowest come
/// first, so that a payload too short for all of them keeps those that tell it from its neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    bytes: [u8; STAMP_BYTES_MAX],
    count: usize,
}

impl Stamp {
    /// That of message `number` of `tunnel`.
    pub(super) fn new(is_text: bool, tunnel: u32, number: u64) -> Self {
        let value = (u64::from(tunnel) << 32) | (number & 0xFFFF_FFFF);
        let bytes = if is_text {
            let pairs = value.to_le_bytes();
            std::array::from_fn(|place| digit(pairs[place / 2] >> (4 * (place % 2))))
        } else {
            u128::from(value).to_le_bytes()
        };
        let count = Self::count(is_text);
        Self { bytes, count }
    }

    /// How many bytes one takes, where the payload is that long.
    pub(super) const fn count(is_text: bool) -> usize {
        if is_text { STAMP_BYTES_MAX } else { 8 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    /// The same under a masking key.
    pub(super) fn masked(mut self, key: [u8; 4]) -> Self {
        let [a, b, c, d] = key;
        let wide = u128::from_le_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
        self.bytes = (u128::from_le_bytes(self.bytes) ^ wide).to_le_bytes();
        self
    }
}

/// The hexadecimal digit of the lower four bits.
const fn digit(bits: u8) -> u8 {
    match bits & 0xF {
        decimal @ 0..=9 => b'0' + decimal,
        letter => b'a' + letter - 10,
    }
}

/// Payload bytes that no stamp goes beyond.
pub(super) const STAMP_BYTES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_digits_come_first() {
        let text = Stamp::new(true, 0xC0DE, 0x1_0203_0A0B);
        assert_eq!(text.as_bytes(), b"b0a03020ed0c0000");
        let binary = Stamp::new(false, 0xC0DE, 0x1_0203_0A0B);
        assert_eq!(
            binary.as_bytes(),
            [0x0B, 0x0A, 0x03, 0x02, 0xDE, 0xC0, 0, 0]
        );
    }

    #[test]
    fn a_mask_covers_all_of_it() {
        let key = [1, 2, 3, 4];
        for is_text in [false, true] {
            let stamp = Stamp::new(is_text, 7, 9);
            let masked = stamp.masked(key);
            assert!(
                stamp
                    .as_bytes()
                    .iter()
                    .zip(masked.as_bytes())
                    .all(|(one, other)| one != other)
            );
            assert_eq!(masked.masked(key).as_bytes(), stamp.as_bytes());
        }
    }
}
