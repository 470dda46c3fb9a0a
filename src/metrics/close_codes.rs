//! Close frames by their code: a cell for each registered code, and one for each kind of the others.

use super::Counter;

/// Close frames that one side sent, by code (RFC 6455 section 7.4). Exactly one thread may call
/// [`CloseCodes::observe`].
#[derive(Debug, Default)]
pub struct CloseCodes([Counter; LABELS.len()]);

impl CloseCodes {
    /// Counts one Close frame; a frame without a code is 1005, as RFC 6455 section 7.1.5 has it.
    pub fn observe(&self, code: u16) {
        self.0[place(code)].add(1);
    }

    /// Each code's word, and how many Close frames had it.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LABELS.into_iter().zip(self.0.iter().map(Counter::get))
    }
}

/// The registered codes that may travel stand before the groups, so that a code and its place differ by a constant.
const fn place(code: u16) -> usize {
    match code {
        1000..=1003 => (code - 1000) as usize,
        1007..=1014 => (code - 1007) as usize + 4,
        1005 => 12,
        3000..=3999 => 13,
        4000..=4999 => 14,
        _ => 15,
    }
}

const LABELS: [&str; 16] = [
    "1000", "1001", "1002", "1003", "1007", "1008", "1009", "1010", "1011", "1012", "1013", "1014",
    "none", "3xxx", "4xxx", "other",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_under_its_own_word_and_the_rest_in_groups() {
        for code in 0..=u16::MAX {
            let word = match code {
                1005 => "none".to_owned(),
                1000..=1003 | 1007..=1014 => code.to_string(),
                3000..=3999 => "3xxx".to_owned(),
                4000..=4999 => "4xxx".to_owned(),
                _ => "other".to_owned(),
            };
            assert_eq!(LABELS[place(code)], word, "{code}");
        }
    }

    #[test]
    fn what_was_counted_is_read_with_its_word() {
        let codes = CloseCodes::default();
        for code in [1000, 1000, 1005, 4321] {
            codes.observe(code);
        }
        let seen: Vec<_> = codes.read().filter(|(_, count)| *count > 0).collect();
        assert_eq!(seen, [("1000", 2), ("none", 1), ("4xxx", 1)]);
    }
}
