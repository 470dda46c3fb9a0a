//! The rules that a frame can break, those of RFC 6455 and those of a route, and what we tell the one who broke them.

use super::close;

/// A broken rule (security rule 12). The sender of the direction is to blame for every one of them, but for
/// [`Self::AssemblyFull`].
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
    /// Text, or the reason of a Close frame, that is not UTF-8 (sections 5.6 and 8.1).
    InvalidUtf8,
    /// A frame longer than the route allows.
    FrameTooLarge,
    /// A message longer than the route allows, its fragments together.
    MessageTooLarge,
    /// A message of more frames than the route allows.
    TooManyFragments,
    /// A kind of frame that the route does not take.
    OpcodeNotAllowed,
    /// More control frames in a second than the route allows.
    ControlRate,
    /// More messages or bytes in a second than the route allows.
    MessageRate,
    /// A frame or message that is held back did not become whole in its time.
    MessageTimeout,
    /// The worker holds as many half messages as it may: ours to answer for, not the sender's.
    AssemblyFull,
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
        Self::InvalidUtf8,
        Self::FrameTooLarge,
        Self::MessageTooLarge,
        Self::TooManyFragments,
        Self::OpcodeNotAllowed,
        Self::ControlRate,
        Self::MessageRate,
        Self::MessageTimeout,
        Self::AssemblyFull,
    ];

    /// The close code for whoever broke the rule (RFC 6455 section 7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 => close::INVALID_PAYLOAD,
            Self::FrameTooLarge | Self::MessageTooLarge => close::TOO_BIG,
            Self::TooManyFragments
            | Self::OpcodeNotAllowed
            | Self::ControlRate
            | Self::MessageRate
            | Self::MessageTimeout => close::POLICY,
            Self::AssemblyFull => close::TRY_AGAIN_LATER,
            _ => close::PROTOCOL_ERROR,
        }
    }

    /// Whether RFC 6455 itself is broken, and not a rule of the route.
    pub const fn is_of_the_protocol(self) -> bool {
        matches!(
            self.close_code(),
            close::PROTOCOL_ERROR | close::INVALID_PAYLOAD
        )
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
            Self::InvalidUtf8 => "a text or a close reason is not UTF-8",
            Self::FrameTooLarge => "a frame is longer than allowed here",
            Self::MessageTooLarge => "a message is longer than allowed here",
            Self::TooManyFragments => "a message has more fragments than allowed here",
            Self::OpcodeNotAllowed => "this kind of frame is not allowed here",
            Self::ControlRate => "too many control frames in a second",
            Self::MessageRate => "too many messages or bytes in a second",
            Self::MessageTimeout => "a message did not become whole in time",
            Self::AssemblyFull => "too many messages are under way, try again later",
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
            Self::InvalidUtf8 => "invalid_utf8",
            Self::FrameTooLarge => "frame_too_large",
            Self::MessageTooLarge => "message_too_large",
            Self::TooManyFragments => "too_many_fragments",
            Self::OpcodeNotAllowed => "opcode_not_allowed",
            Self::ControlRate => "control_rate",
            Self::MessageRate => "message_rate",
            Self::MessageTimeout => "message_timeout",
            Self::AssemblyFull => "assembly_full",
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
            assert!(close::may_travel(rule.close_code()));
        }
    }
}
