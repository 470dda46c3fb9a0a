//! What TLS is asked to be: plain values, made by the configuration, read by the door.

use std::path::PathBuf;
use std::time::Duration;

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246), with ephemeral keys and AEADs only.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// The cipher of the records, whatever the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES-128-GCM.
    Aes128Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that vouch for it.
    pub chain: PathBuf,
    /// The private key: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

/// What a client gets that names a host which no certificate is for (RFC 6066 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName {
    /// The first certificate, as for a client that names none.
    Default,
    /// The alert `unrecognized_name`.
    Refuse,
}

/// Session tickets (RFC 8446 section 4.6.1, RFC 5077).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tickets {
    /// None are given: every handshake is a full one.
    Off,
    /// Keys are made at start, shared by all workers, and replaced after this time; the one before still opens.
    Own {
        /// How long a key seals.
        rotate_after: Duration,
    },
    /// Keys are read from a file that several hosts share: 80 bytes in base64 a line, the first seals, all open. The
    /// file is looked at again when it changes.
    File(PathBuf),
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Whoever shows none is let in; whoever shows one must show a good one.
    Optional,
    /// Nobody is let in without.
    Required,
}

/// How certificates of clients are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether one must be shown.
    pub auth: ClientAuth,
    /// PEM file of the authorities that may vouch for clients.
    pub authorities: PathBuf,
    /// PEM file of revocation lists (RFC 5280 section 5); a revoked certificate is refused.
    pub revoked: Option<PathBuf>,
}

/// TLS at a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one. Each answers for the DNS names and addresses it carries; several may carry the same name with keys
    /// of other kinds. The first is for clients that name no host.
    pub certificates: Vec<CertificateFiles>,
    /// What a client gets that names an unknown host.
    pub unknown_name: UnknownName,
    /// The oldest version.
    pub min_version: Version,
    /// Ciphers, best liked first.
    pub suites: Vec<Suite>,
    /// Session tickets.
    pub tickets: Tickets,
    /// Certificates of clients, if any are asked for.
    pub clients: Option<ClientCertificates>,
    /// From the accept to the end of the handshake.
    pub handshake_timeout: Duration,
}

/// Who may vouch for a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The authorities of this system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// TLS to the backends of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendTls {
    /// Who may vouch for them.
    pub roots: Roots,
    /// The name that is asked for (SNI) and must stand in the certificate, instead of the backend's own host.
    pub server_name: Option<String>,
    /// What we show when asked who we are.
    pub certificate: Option<CertificateFiles>,
    /// SHA-256 of the keys (`SubjectPublicKeyInfo`) of which a backend must show one; empty: any that is vouched for.
    pub pins: Vec<[u8; 32]>,
    /// The oldest version.
    pub min_version: Version,
    /// Ciphers, best liked first.
    pub suites: Vec<Suite>,
}

impl Suite {
    /// All of them, in the order we like them: AES-128 is the fastest where processors have AES, and strong enough.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];
}
