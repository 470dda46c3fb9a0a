//! Durations, sizes and percentages as people write them: a whole number and its unit, `"250ms"`, `"64KiB"`, `"50%"`.
//!
//! There is one way to write them, always as text with a unit; a bare number would leave the reader to guess.

use std::fmt;
use std::time::Duration;

/// A duration that prints as it is written, in the largest unit that leaves no remainder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub Duration);

/// A number of bytes that prints as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub u64);

/// A percentage that prints as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percent(pub u32);

impl Span {
    /// Reads `500ms`, `10s`, `5m`, `1h` or `7d`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let millis = in_units(text, &SPAN_UNITS)?;
        Some(Self(Duration::from_millis(millis)))
    }
}

impl Size {
    /// Reads `512B`, `64KiB`, `1MiB` or `2GiB`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        in_units(text, &SIZE_UNITS).map(Self)
    }
}

impl Percent {
    /// Reads `0%` or `125%`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = in_units(text, &[("%", 1)])?;
        u32::try_from(number).ok().map(Self)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        print_in_units(millis, &SPAN_UNITS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_in_units(self.0, &SIZE_UNITS, f)
    }
}

fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn print_in_units(amount: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let exact = |(_, factor): &&(&str, u64)| amount.is_multiple_of(*factor);
    let largest = units.iter().rev().filter(|_| amount > 0).find(exact);
    let (name, factor) = largest.unwrap_or(&units[0]);
    write!(f, "{}{name}", amount / factor)
}

/// Units in milliseconds, the smallest first.
const SPAN_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Units in bytes, the smallest first. `KB` is left out: it means 1,000 to some and 1,024 to others.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let millis = |text| Span::parse(text).map(|span| span.0.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("0s"), Some(0));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("7d"), Some(604_800_000));
        for wrong in [
            "",
            "s",
            "10",
            "10 s",
            " 10s",
            "1.5s",
            "-1s",
            "+1s",
            "1m30s",
            "10S",
            "10us",
            "99999999999999999d",
        ] {
            assert_eq!(millis(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_a_binary_unit() {
        let bytes = |text| Size::parse(text).map(|size| size.0);
        assert_eq!(bytes("512B"), Some(512));
        assert_eq!(bytes("64KiB"), Some(65_536));
        assert_eq!(bytes("2GiB"), Some(1 << 31));
        for wrong in [
            "",
            "64",
            "64K",
            "64KB",
            "64kib",
            "B",
            "0x1B",
            "20000000000GiB",
        ] {
            assert_eq!(bytes(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_percentage_is_a_whole_number_and_its_sign() {
        let percent = |text| Percent::parse(text).map(|percent| percent.0);
        assert_eq!([percent("0%"), percent("125%")], [Some(0), Some(125)]);
        for wrong in ["", "%", "50", "50 %", "-1%", "12.5%", "50%%", "4294967296%"] {
            assert_eq!(percent(wrong), None, "{wrong:?}");
        }
        assert_eq!(Percent(50).to_string(), "50%");
    }

    #[test]
    fn the_largest_exact_unit_is_printed() {
        let span = |millis| Span(Duration::from_millis(millis)).to_string();
        assert_eq!(
            [span(0), span(1_500), span(90_000), span(3_600_000)],
            ["0ms", "1500ms", "90s", "1h"]
        );
        assert_eq!(
            [Size(0), Size(1_000), Size(65_536)].map(|size| size.to_string()),
            ["0B", "1000B", "64KiB"]
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(amount in 0..u64::MAX / 86_400_000, factor in prop::sample::select(vec![1, 1_000, 60_000])) {
            let span = Span(Duration::from_millis(amount / factor * factor));
            prop_assert_eq!(Span::parse(&span.to_string()), Some(span));
            let size = Size(amount / 1024 * 1024);
            prop_assert_eq!(Size::parse(&size.to_string()), Some(size));
            prop_assert_eq!(Size::parse(&Size(amount).to_string()), Some(Size(amount)));
        }
    }
}
