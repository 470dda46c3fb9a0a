//! The rules of RFC 6455 that a frame can break, and what we tell the one who broke them.

use super::close;

/// A broken rule (security rule 12). The sender of the direction is to blame for every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Rule {
    /// A 64-bit length with its most significant bit set (section 5.2).
    LengthTopBit,
    /// A length written in more bytes than it needs (section 5.2).
    LengthNotMinimal,
    /// A control frame of more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A control frame without FIN (section 5.5).
    ControlFragmented,
    /// RSV2 or RSV3, or RSV1 anywhere but on the first frame of a message under permessage-deflate
    /// (section 5.2; RFC 7692 section 6).
    ReservedBits,
    /// Opcode 3 to 7 or 11 to 15 (section 5.2).
    ReservedOpcode,
    /// A client frame without a mask (section 5.1).
    MaskMissing,
    /// A backend frame with a mask (section 5.1).
    MaskPresent,
    /// A continuation while no message is open (section 5.4).
    ContinuationWithoutStart,
    /// A new text or binary frame while a message is open (section 5.4).
    DataInsideFragments,
    /// A Close payload of one byte, which is half a code (section 5.5.1).
    CloseLength,
    /// A close code that may not travel (section 7.4).
    CloseCode,
}

impl Rule {
    /// Every rule, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::LengthTopBit,
        Self::LengthNotMinimal,
        Self::ControlTooLong,
        Self::ControlFragmented,
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::MaskMissing,
        Self::MaskPresent,
        Self::ContinuationWithoutStart,
        Self::DataInsideFragments,
        Self::CloseLength,
        Self::CloseCode,
    ];

    /// The close code for whoever broke the rule: always 1002.
    pub const fn close_code(self) -> u16 {
        close::PROTOCOL_ERROR
    }

    /// The reason that travels in the Close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LengthTopBit => "the top bit of a frame length is set",
            Self::LengthNotMinimal => "a frame length takes more bytes than it needs",
            Self::ControlTooLong => "a control frame is longer than 125 bytes",
            Self::ControlFragmented => "a control frame is fragmented",
            Self::ReservedBits => "a reserved bit is set without its extension",
            Self::ReservedOpcode => "a frame has a reserved opcode",
            Self::MaskMissing => "a client frame is not masked",
            Self::MaskPresent => "a server frame is masked",
            Self::ContinuationWithoutStart => "a continuation frame continues nothing",
            Self::DataInsideFragments => "a message starts inside a fragmented one",
            Self::CloseLength => "a close frame carries half a code",
            Self::CloseCode => "a close frame carries a code that may not be sent",
        }
    }

    /// The word for this rule in metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LengthTopBit => "length_top_bit",
            Self::LengthNotMinimal => "length_not_minimal",
            Self::ControlTooLong => "control_too_long",
            Self::ControlFragmented => "control_fragmented",
            Self::ReservedBits => "reserved_bits",
            Self::ReservedOpcode => "reserved_opcode",
            Self::MaskMissing => "mask_missing",
            Self::MaskPresent => "mask_present",
            Self::ContinuationWithoutStart => "continuation_without_start",
            Self::DataInsideFragments => "data_inside_fragments",
            Self::CloseLength => "close_length",
            Self::CloseCode => "close_code",
        }
    }

    /// The place of this rule in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::limits::CLOSE_REASON_BYTES_MAX;

    #[test]
    fn every_rule_has_its_own_label_and_stands_at_its_index() {
        let labels: HashSet<_> = Rule::ALL.iter().map(|rule| rule.label()).collect();
        assert_eq!(labels.len(), Rule::ALL.len());
        for (place, rule) in Rule::ALL.iter().enumerate() {
            assert_eq!(rule.index(), place);
        }
    }

    #[test]
    fn every_reason_fits_a_close_frame_uncut() {
        for rule in Rule::ALL {
            assert!(rule.reason().len() <= CLOSE_REASON_BYTES_MAX);
            assert_eq!(rule.close_code(), 1002);
        }
    }
}
