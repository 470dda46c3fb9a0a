//! Alerts: what one side says to the other before it ends a connection (RFC 8446 section 6).

use std::fmt;

/// The description of an alert. Any number can come from a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

impl Alert {
    /// Nothing more comes from its sender.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// A record or message that has no place here.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// A record that does not open, whatever the reason.
    pub const BAD_RECORD_MAC: Self = Self(20);
    /// A record longer than allowed.
    pub const RECORD_OVERFLOW: Self = Self(22);
    /// A value that its field does not allow.
    pub const ILLEGAL_PARAMETER: Self = Self(47);
    /// A message that cannot be read.
    pub const DECODE_ERROR: Self = Self(50);
    /// A record of another version of the protocol.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// It is not the peer's fault.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// The sender gave up, for no reason of the protocol. A warning: `close_notify` follows.
    pub const USER_CANCELED: Self = Self(90);
    /// Another handshake was asked for, and there will be none (TLS 1.2). Always a warning.
    pub const NO_RENEGOTIATION: Self = Self(100);

    /// As it goes into a record. All but the warnings above are fatal.
    pub(super) const fn message(self) -> [u8; 2] {
        let level = match self {
            Self::CLOSE_NOTIFY | Self::USER_CANCELED | Self::NO_RENEGOTIATION => WARNING,
            _ => FATAL,
        };
        [level, self.0]
    }

    /// Its name in the RFCs, if it is one of those that happen after a handshake.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::CLOSE_NOTIFY => "close_notify",
            Self::UNEXPECTED_MESSAGE => "unexpected_message",
            Self::BAD_RECORD_MAC => "bad_record_mac",
            Self::RECORD_OVERFLOW => "record_overflow",
            Self::ILLEGAL_PARAMETER => "illegal_parameter",
            Self::DECODE_ERROR => "decode_error",
            Self::PROTOCOL_VERSION => "protocol_version",
            Self::INTERNAL_ERROR => "internal_error",
            Self::USER_CANCELED => "user_canceled",
            Self::NO_RENEGOTIATION => "no_renegotiation",
            _ => return None,
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => to.write_str(name),
            None => write!(to, "alert {}", self.0),
        }
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

/// The level of alerts after which a connection may go on.
pub(super) const WARNING: u8 = 1;
/// The level of all others.
pub(super) const FATAL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// As IANA lists them ("TLS Alerts"), with the level that each must have.
    #[test]
    fn alerts_have_the_numbers_names_and_levels_of_the_rfcs() {
        for (alert, number, level, name) in [
            (Alert::CLOSE_NOTIFY, 0, 1, "close_notify"),
            (Alert::UNEXPECTED_MESSAGE, 10, 2, "unexpected_message"),
            (Alert::BAD_RECORD_MAC, 20, 2, "bad_record_mac"),
            (Alert::RECORD_OVERFLOW, 22, 2, "record_overflow"),
            (Alert::ILLEGAL_PARAMETER, 47, 2, "illegal_parameter"),
            (Alert::DECODE_ERROR, 50, 2, "decode_error"),
            (Alert::PROTOCOL_VERSION, 70, 2, "protocol_version"),
            (Alert::INTERNAL_ERROR, 80, 2, "internal_error"),
            (Alert::USER_CANCELED, 90, 1, "user_canceled"),
            (Alert::NO_RENEGOTIATION, 100, 1, "no_renegotiation"),
        ] {
            assert_eq!(alert.message(), [level, number]);
            assert_eq!(alert.to_string(), name);
            assert_eq!(format!("{alert:?}"), name);
        }
        assert_eq!(Alert(112).name(), None);
        assert_eq!(Alert(112).to_string(), "alert 112");
    }
}
