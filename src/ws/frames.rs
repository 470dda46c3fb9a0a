//! What a route asks of frames: how closely they are looked at, and what each side may send. Plain values.

use super::header::Opcode;

/// How closely payloads are looked at. What is forwarded is what arrived, whatever the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Inspect {
    /// Not at all: headers are read, payloads pass as they come.
    #[default]
    Headers,
    /// Text is unmasked elsewhere and checked to be UTF-8 while it streams (RFC 6455 section 8.1).
    Text,
    /// As `Text`, and a message is held back until all of it has arrived: nothing of a message that breaks a rule
    /// reaches the other side.
    Messages,
}

impl Inspect {
    /// All levels, in the order messages name them.
    pub const ALL: [Self; 3] = [Self::Headers, Self::Text, Self::Messages];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Text => "text",
            Self::Messages => "messages",
        }
    }
}

/// Kinds of frames that a side may send. Continuations and Close frames are never forbidden: without them no message
/// could end, and no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcodes(u16);

impl Opcodes {
    /// Every kind.
    pub const ALL: Self = Self(u16::MAX);
    /// Those that can be forbidden, with their words in the configuration.
    pub const NAMED: [(&'static str, Opcode); 4] = [
        ("text", Opcode::Text),
        ("binary", Opcode::Binary),
        ("ping", Opcode::Ping),
        ("pong", Opcode::Pong),
    ];

    /// These kinds, and those that are never forbidden.
    pub fn only(allowed: impl IntoIterator<Item = Opcode>) -> Self {
        let bit = |opcode: Opcode| 1 << opcode as u16;
        let always = bit(Opcode::Continuation) | bit(Opcode::Close);
        let named: u16 = Self::NAMED.iter().map(|(_, opcode)| bit(*opcode)).sum();
        let allowed = allowed
            .into_iter()
            .fold(0, |bits, opcode| bits | bit(opcode));
        let opcodes = Self(always | allowed);
        if opcodes.0 & named == named {
            return Self::ALL;
        }
        opcodes
    }

    /// Whether this kind may be sent.
    pub const fn allow(self, opcode: Opcode) -> bool {
        self.0 & 1 << opcode as u16 != 0
    }
}

impl Default for Opcodes {
    fn default() -> Self {
        Self::ALL
    }
}

/// What one side may send. `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameLimits {
    /// The longest payload of one frame, in bytes.
    pub frame_bytes_max: Option<u32>,
    /// The longest payload of one message, its frames together, in bytes. Always there where messages are held back.
    pub message_bytes_max: Option<u32>,
    /// The most frames of one message.
    pub fragments_max: Option<u32>,
    /// The kinds of frames it may send.
    pub opcodes: Opcodes,
    /// Control frames in a second; a burst of as many is let through.
    pub control_per_second: Option<u32>,
}

/// What an inspector does in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Watch {
    /// How closely payloads are looked at.
    pub inspect: Inspect,
    /// What the sender may send.
    pub limits: FrameLimits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuations_and_closes_are_never_forbidden() {
        let none = Opcodes::only([]);
        assert!(none.allow(Opcode::Continuation) && none.allow(Opcode::Close));
        for (_, opcode) in Opcodes::NAMED {
            assert!(!none.allow(opcode));
            assert!(Opcodes::only([opcode]).allow(opcode));
        }
        let all = Opcodes::only(Opcodes::NAMED.map(|(_, opcode)| opcode));
        assert_eq!(all, Opcodes::ALL);
    }
}
