//! Backends may speak TLS: they are known by authority, name and key, and their tunnels are like all others.
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

#[path = "support/http.rs"]
mod http;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::start_text;
use ringway::control::Running;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
use secure::{Authority, Papers, read_head_of};
use sha2::{Digest as _, Sha256};
use support::{
    Puppet, client_frame, connect, frame, read_head, right_answer, upgrade_head, wait_for_metric,
};

type Secure = StreamOwned<ServerConnection, TcpStream>;

/// A Ringway in the clear, before one backend that speaks TLS and is driven by hand.
struct Scene {
    authority: Authority,
    papers: Papers,
    backend: Puppet,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new();
        let papers = authority.issue("backend", &["chat.internal", "127.0.0.1"]);
        Self {
            authority,
            papers,
            backend: Puppet::new(),
        }
    }

    /// With these lines in `[pools.all.tls]`, beside or instead of the authority.
    fn ringway(&self, tls: &str) -> Running {
        let authorities = if tls.contains("authorities") {
            String::new()
        } else {
            format!("authorities = \"{}\"\n", self.authority.file().display())
        };
        start_text(&format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n\
             [pools.all]\nbackends = [\"{}\"]\n[pools.all.tls]\n{authorities}{tls}\n\
             [[routes]]\npath = \"/\"\npool = \"all\"\nplain_http = true\n",
            self.backend.address(),
        ))
    }

    fn server(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.papers.read();
        let config = ServerConfig::builder_with_provider(Arc::new(secure::provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    /// The backend's end of the next connection, once hands are shaken or refused.
    fn greet(&self, config: &Arc<ServerConfig>) -> std::io::Result<Secure> {
        let socket = self.backend.accept();
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    fn tunnel(&self, ringway: &Running, config: &Arc<ServerConfig>) -> (TcpStream, Secure) {
        let mut client = connect(ringway.listening[0]);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let mut backend = self.greet(config).unwrap();
        read_head_of(&mut backend);
        backend.write_all(right_answer().as_bytes()).unwrap();
        backend.flush().unwrap();
        let answer = read_head(&mut client);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        (client, backend)
    }

    /// What a client is told when the backend is not who it should be.
    fn refused(&self, ringway: &Running) -> String {
        let mut client = connect(ringway.listening[0]);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let failed = self.greet(&self.server());
        assert!(failed.is_err(), "whoever is not trusted hears so");
        let answer = read_head(&mut client);
        wait_for_metric(ringway, &failures(), |count| count > 0.5);
        answer
    }
}

fn failures() -> String {
    "ringway_refusals_total{worker=\"0\",reason=\"backend_tls\"}".to_owned()
}

fn both_ways(client: &mut TcpStream, backend: &mut Secure, bytes: usize) {
    let payload: Vec<u8> = (0_u8..=250).cycle().take(bytes).collect();
    let (up, down) = (client_frame(2, &payload), frame(0x82, &payload, None));
    client.write_all(&up).unwrap();
    let mut came = vec![0; up.len()];
    backend.read_exact(&mut came).unwrap();
    assert!(came == up);
    backend.write_all(&down).unwrap();
    backend.flush().unwrap();
    let mut came = vec![0; down.len()];
    client.read_exact(&mut came).unwrap();
    assert!(came == down);
}

#[test]
fn a_tunnel_to_a_backend_goes_over_tls_and_takes_its_new_keys() {
    let scene = Scene::new();
    let ringway = scene.ringway("");
    let (mut client, mut backend) = scene.tunnel(&ringway, &scene.server());
    for bytes in [1, 4000, 100_000] {
        both_ways(&mut client, &mut backend, bytes);
        backend.conn.refresh_traffic_keys().unwrap();
    }
    backend.conn.send_close_notify();
    backend.flush().unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "half of it goes on");
    drop(client);
    assert_eq!(backend.read(&mut [0; 8]).unwrap(), 0, "said, not cut off");
}

#[test]
fn the_next_handshake_resumes_with_the_ticket_of_the_one_before() {
    let scene = Scene::new();
    let (ringway, server) = (scene.ringway(""), scene.server());
    let (mut client, mut backend) = scene.tunnel(&ringway, &server);
    assert_eq!(backend.conn.handshake_kind(), Some(HandshakeKind::Full));
    // Its tickets come with the first bytes.
    both_ways(&mut client, &mut backend, 10);
    let (_client, backend) = scene.tunnel(&ringway, &server);
    assert_eq!(backend.conn.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn a_backend_is_asked_for_the_name_of_its_pool_and_must_have_it() {
    let scene = Scene::new();
    let named = scene.ringway("server_name = \"chat.internal\"");
    let (_client, backend) = scene.tunnel(&named, &scene.server());
    assert_eq!(backend.conn.server_name(), Some("chat.internal"));
    let wrong = scene.ringway("server_name = \"other.internal\"");
    let answer = scene.refused(&wrong);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
fn a_backend_that_nobody_vouches_for_gets_no_request() {
    let scene = Scene::new();
    let stranger = Authority::new();
    let ringway = scene.ringway(&format!("authorities = \"{}\"", stranger.file().display()));
    let answer = scene.refused(&ringway);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
fn a_pinned_key_must_be_the_one() {
    let scene = Scene::new();
    let (chain, _) = scene.papers.read();
    let (_, certificate) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    let pin = STANDARD.encode(Sha256::digest(certificate.public_key().raw));
    let right = scene.ringway(&format!("pins = [\"sha256/{pin}\"]"));
    scene.tunnel(&right, &scene.server());
    let other = STANDARD.encode([7; 32]);
    let wrong = scene.ringway(&format!("pins = [\"sha256/{other}\"]"));
    let answer = scene.refused(&wrong);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
fn a_backend_that_asks_who_we_are_is_shown_our_certificate() {
    let scene = Scene::new();
    let ours = scene.authority.issue("ringway", &["ringway.internal"]);
    let ringway = scene.ringway(&format!("certificate = {}", ours.toml()));
    let roots = Arc::new(scene.authority.roots());
    let provider = Arc::new(secure::provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let (chain, key) = scene.papers.read();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let (mut client, mut backend) = scene.tunnel(&ringway, &Arc::new(config));
    let shown = backend.conn.peer_certificates().unwrap();
    assert_eq!(shown[0], ours.read().0[0]);
    both_ways(&mut client, &mut backend, 100);
}

#[test]
fn an_ordinary_answer_comes_through_as_it_is() {
    let scene = Scene::new();
    let ringway = scene.ringway("");
    let mut client = connect(ringway.listening[0]);
    client
        .write_all(b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut backend = scene.greet(&scene.server()).unwrap();
    read_head_of(&mut backend);
    let body = "all of it, ".repeat(5000);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    backend.write_all(answer.as_bytes()).unwrap();
    backend.flush().unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut came = String::new();
    client.read_to_string(&mut came).unwrap();
    assert!(came == body);
}

#[test]
fn a_backend_that_does_not_speak_tls_is_no_backend() {
    let scene = Scene::new();
    let ringway = scene.ringway("");
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let mut backend = scene.backend.accept();
    backend.write_all(right_answer().as_bytes()).unwrap();
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    wait_for_metric(&ringway, &failures(), |count| count > 0.5);
}
