//! Why a handshake did not succeed, in words for metrics, logs and operators.

use std::fmt;

use rustls::{CertificateError, Error, PeerIncompatible};

use super::super::records::Role;

/// A handshake that is over without a tunnel. The alert that tells the peer, if any, was appended to the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind, for metrics.
    pub reason: FailureReason,
    /// More about this one, for a log; may be empty.
    pub detail: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The peer speaks no version that we do.
    NoSharedVersion,
    /// No cipher, key exchange or kind of signature is known to both.
    NoSharedSuite,
    /// The client names a host that no certificate is for.
    UnknownName,
    /// The client offers only protocols that we do not speak inside (ALPN).
    NoSharedProtocol,
    /// The client's certificate is not vouched for, expired, revoked or broken.
    BadClientCertificate,
    /// The client shows no certificate where one is required.
    NoClientCertificate,
    /// The backend's certificate is not vouched for, expired, for another name or broken.
    BadBackendCertificate,
    /// The backend's certificate is good, but its key is none of the pinned ones.
    WrongPin,
    /// A request in plain HTTP came to a TLS listener.
    PlainHttp,
    /// What came is no TLS.
    NotTls,
    /// The peer ended it with an alert.
    PeerAlert,
    /// The peer broke the protocol.
    Protocol,
    /// The peer sent more than a handshake may have.
    TooLong,
    /// The keys of the record layer are not those of the handshake. Never seen; nothing was sent with them.
    SecretsDisagree,
    /// We had no random bytes, no time, or a mistake of our own.
    Internal,
}

impl FailureReason {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 15] = [
        Self::NoSharedVersion,
        Self::NoSharedSuite,
        Self::UnknownName,
        Self::NoSharedProtocol,
        Self::BadClientCertificate,
        Self::NoClientCertificate,
        Self::BadBackendCertificate,
        Self::WrongPin,
        Self::PlainHttp,
        Self::NotTls,
        Self::PeerAlert,
        Self::Protocol,
        Self::TooLong,
        Self::SecretsDisagree,
        Self::Internal,
    ];

    /// The place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The value of a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSharedVersion => "no_shared_version",
            Self::NoSharedSuite => "no_shared_suite",
            Self::UnknownName => "unknown_name",
            Self::NoSharedProtocol => "no_shared_protocol",
            Self::BadClientCertificate => "bad_client_certificate",
            Self::NoClientCertificate => "no_client_certificate",
            Self::BadBackendCertificate => "bad_backend_certificate",
            Self::WrongPin => "wrong_pin",
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::PeerAlert => "peer_alert",
            Self::Protocol => "protocol",
            Self::TooLong => "too_long",
            Self::SecretsDisagree => "secrets_disagree",
            Self::Internal => "internal",
        }
    }

    /// Half a sentence for a log.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoSharedVersion => "the peer speaks no version that is allowed here",
            Self::NoSharedSuite => "no cipher, key exchange or kind of key is known to both sides",
            Self::UnknownName => "no certificate is for the host that the client names",
            Self::NoSharedProtocol => "the client does not offer http/1.1",
            Self::BadClientCertificate => "the client's certificate is not good here",
            Self::NoClientCertificate => "the client shows no certificate",
            Self::BadBackendCertificate => "the backend's certificate is not good",
            Self::WrongPin => "the backend's key is none of the pinned ones",
            Self::PlainHttp => "the client speaks plain HTTP to a TLS listener",
            Self::NotTls => "what came is no TLS",
            Self::PeerAlert => "the peer ended the handshake",
            Self::Protocol => "the peer broke the protocol",
            Self::TooLong => "the peer sent more than a handshake may have",
            Self::SecretsDisagree => "the record layer has other keys than the handshake",
            Self::Internal => "the handshake failed on our side",
        }
    }

    const fn with(self, detail: String) -> Failure {
        Failure {
            reason: self,
            detail,
        }
    }
}

impl Failure {
    pub(super) fn new(reason: FailureReason, detail: impl Into<String>) -> Self {
        reason.with(detail.into())
    }

    /// What rustls says while we have this role.
    pub(super) fn of_rustls(error: &Error, role: Role) -> Self {
        reason(error, role).with(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.words())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

fn reason(error: &Error, role: Role) -> FailureReason {
    let (bad, none) = match role {
        Role::Server => (
            FailureReason::BadClientCertificate,
            FailureReason::NoClientCertificate,
        ),
        Role::Client => (
            FailureReason::BadBackendCertificate,
            FailureReason::BadBackendCertificate,
        ),
    };
    match error {
        Error::PeerIncompatible(what) => of_incompatible(what),
        Error::NoCertificatesPresented => none,
        // Only the pins say so: see `pins`.
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
            if role == Role::Client =>
        {
            FailureReason::WrongPin
        }
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => bad,
        Error::NoApplicationProtocol => FailureReason::NoSharedProtocol,
        Error::AlertReceived(_) => FailureReason::PeerAlert,
        Error::PeerSentOversizedRecord => FailureReason::TooLong,
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidEncryptedClientHello(_)
        | Error::InvalidMessage(_)
        | Error::PeerMisbehaved(_)
        | Error::DecryptError => FailureReason::Protocol,
        // The rest are of our own making, and so is what a later rustls may add.
        Error::UnsupportedNameType
        | Error::EncryptError
        | Error::General(_)
        | Error::FailedToGetCurrentTime
        | Error::FailedToGetRandomBytes
        | Error::HandshakeNotComplete
        | Error::BadMaxFragmentSize
        | Error::InconsistentKeys(_)
        | Error::Other(_)
        | _ => FailureReason::Internal,
    }
}

fn of_incompatible(what: &PeerIncompatible) -> FailureReason {
    match what {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => FailureReason::NoSharedVersion,
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::UncompressedEcPointsRequired
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::ExtendedMasterSecretExtensionRequired
        | PeerIncompatible::NullCompressionRequired => FailureReason::NoSharedSuite,
        _ => FailureReason::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_stands_at_its_place_and_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        for (place, reason) in FailureReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert!(names.insert(reason.name()));
            assert!(
                reason
                    .name()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            );
            assert!(!reason.words().is_empty());
        }
    }
}
