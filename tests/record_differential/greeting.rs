//! Handshakes in memory, by rustls on both sides. One side stays what it is, the other gives its secrets away.

use std::cell::RefCell;
use std::sync::Arc;

use ringway::tls::{Half, Role, Session, Suite, Version};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, ConnectionTrafficSecrets,
    ExtractedSecrets, KeyLog, RootCertStore, ServerConfig, ServerConnection,
};

/// One version and suite, ready for many handshakes.
pub struct Greeter {
    pub version: Version,
    pub suite: Suite,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// A connection of which one side is rustls, and what the other side was.
pub struct Greeted {
    pub peer: Connection,
    pub other: Secrets,
    /// What the peer sent after the other side's handshake was over.
    pub leftover: Vec<u8>,
}

/// What the side that is gone would have sealed and opened with.
pub struct Secrets {
    version: Version,
    suite: Suite,
    role: Role,
    pub tx: Direction,
    pub rx: Direction,
}

#[derive(Clone)]
pub struct Direction {
    /// TLS 1.3 only.
    pub secret: Vec<u8>,
    pub key: Vec<u8>,
    pub iv: [u8; 12],
    pub sequence: u64,
}

impl Greeter {
    pub fn new(version: Version, suite: Suite, tickets: usize) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .retain(|known| known.suite() == number(version, suite));
        let provider = Arc::new(provider);
        let versions = [match version {
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        }];

        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.enable_secret_extraction = true;
        client.resumption = Resumption::disabled();
        client.key_log = Arc::new(Tap);
        let mut server = server_config(provider, &versions, certificate, key);
        server.send_tls13_tickets = tickets;
        Self {
            version,
            suite,
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    /// A connection whose side of this role stays.
    pub fn greet(&self, stays: Role) -> Greeted {
        TAP.with_borrow_mut(Vec::clear);
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        let mut from_server = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            let mut from_client = Vec::new();
            client.write_tls(&mut from_client).unwrap();
            let mut rest = &from_client[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().unwrap();
            }
            from_server.clear();
            while server.wants_write() {
                server.write_tls(&mut from_server).unwrap();
            }
            if client.is_handshaking() {
                let mut rest = &from_server[..];
                while !rest.is_empty() {
                    client.read_tls(&mut rest).unwrap();
                    client.process_new_packets().unwrap();
                }
                from_server.clear();
            }
        }
        match stays {
            Role::Server => Greeted {
                peer: server.into(),
                other: self.secrets(Role::Client, client.dangerous_extract_secrets().unwrap()),
                leftover: from_server,
            },
            Role::Client => Greeted {
                peer: client.into(),
                other: self.secrets(Role::Server, server.dangerous_extract_secrets().unwrap()),
                leftover: Vec::new(),
            },
        }
    }

    fn secrets(&self, role: Role, extracted: ExtractedSecrets) -> Secrets {
        let (tx, rx) = match role {
            Role::Client => ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"),
            Role::Server => ("SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0"),
        };
        Secrets {
            version: self.version,
            suite: self.suite,
            role,
            tx: direction(tx, extracted.tx),
            rx: direction(rx, extracted.rx),
        }
    }
}

impl Secrets {
    /// A session in the place of the side that is gone.
    pub fn session(&self) -> Session {
        self.session_of(self.role, &self.tx, &self.rx)
    }

    /// A session in the place of the side that stayed.
    pub fn twin(&self) -> Session {
        let role = match self.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        self.session_of(role, &self.rx, &self.tx)
    }

    fn session_of(&self, role: Role, tx: &Direction, rx: &Direction) -> Session {
        let [tx, rx] = [tx, rx].map(|direction| self.half(direction));
        Session::new(self.version, self.suite, role, tx, rx)
    }

    fn half(&self, direction: &Direction) -> Half {
        let Direction {
            secret,
            key,
            iv,
            sequence,
        } = direction;
        let half = match self.version {
            Version::Tls13 => Half::of_secret(self.suite, secret, *sequence),
            Version::Tls12 => Half::of_key(self.suite, key, *iv, *sequence),
        };
        let half = half.unwrap();
        assert!(
            half.agrees(key, *iv, *sequence),
            "not the keys that rustls has"
        );
        half
    }
}

fn server_config(
    provider: Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.enable_secret_extraction = true;
    config
}

fn direction(label: &str, (sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Direction {
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = &secrets
    else {
        panic!("a suite that was not offered");
    };
    let heard = TAP.with_borrow(|heard| {
        let found = heard.iter().find(|(name, _)| name == label);
        found.map(|(_, secret)| secret.clone())
    });
    Direction {
        secret: heard.unwrap_or_default(),
        key: key.as_ref().to_vec(),
        iv: iv.as_ref().try_into().unwrap(),
        sequence,
    }
}

/// Labels and secrets.
type Heard = Vec<(String, Vec<u8>)>;

thread_local! {
    /// What the last handshake of this thread said of its secrets.
    static TAP: RefCell<Heard> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Tap;

impl KeyLog for Tap {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        TAP.with_borrow_mut(|heard| heard.push((label.to_owned(), secret.to_vec())));
    }
}

const fn number(version: Version, suite: Suite) -> CipherSuite {
    match (version, suite) {
        (Version::Tls13, Suite::Aes128Gcm) => CipherSuite::TLS13_AES_128_GCM_SHA256,
        (Version::Tls13, Suite::Aes256Gcm) => CipherSuite::TLS13_AES_256_GCM_SHA384,
        (Version::Tls13, Suite::ChaCha20Poly1305) => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        (Version::Tls12, Suite::Aes128Gcm) => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        (Version::Tls12, Suite::Aes256Gcm) => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        (Version::Tls12, Suite::ChaCha20Poly1305) => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
    }
}
