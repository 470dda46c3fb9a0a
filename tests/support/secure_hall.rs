//! A Ringway that speaks TLS, and tunnels through it that a test drives by hand at both ends.
#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use ringway::control::Running;
use rustls::ClientConfig;

use crate::http::start_text;
use crate::secure::{Authority, Papers, Secure, connect_tls, read_head_of};
use crate::support::{ACCEPT, Puppet, client_frame, frame, upgrade_head, wait_for_metric};

/// A Ringway that speaks TLS, and one backend by hand in the clear.
pub(crate) struct Scene {
    pub(crate) authority: Authority,
    pub(crate) papers: Papers,
    pub(crate) ringway: Running,
    pub(crate) backend: Puppet,
}

/// What a scene has beside the usual: whole sections, lines of the listener's TLS, lines of the route.
#[derive(Default)]
pub(crate) struct More<'a> {
    pub(crate) sections: &'a str,
    pub(crate) listener: &'a str,
    pub(crate) tls: &'a str,
    pub(crate) route: &'a str,
    /// Where the access log goes, if anywhere.
    pub(crate) access_log: &'a str,
}

impl Scene {
    pub(crate) fn new(more: &More<'_>) -> Self {
        Self::by(Authority::new(), more)
    }

    pub(crate) fn by(authority: Authority, more: &More<'_>) -> Self {
        let papers = authority.issue("server", &["localhost", "*.wild.test", "127.0.0.1"]);
        let backend = Puppet::new();
        let workers = if more.sections.contains("[workers]") {
            ""
        } else {
            "[workers]\ncores = 1\n"
        };
        let text = format!(
            "{workers}{}[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"{}\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n{}\n\
             [listeners.test.tls]\ncertificates = [{}]\n{}\n\
             [pools.all]\nbackends = [\"{}\"]\n[[routes]]\npath = \"/\"\npool = \"all\"\n{}\n",
            more.sections,
            if more.access_log.is_empty() {
                "off"
            } else {
                more.access_log
            },
            more.listener,
            papers.toml(),
            more.tls,
            backend.address(),
            more.route,
        );
        Self {
            ringway: start_text(&text),
            authority,
            papers,
            backend,
        }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.authority.client())
    }

    pub(crate) fn shake(&self, config: &Arc<ClientConfig>) -> Secure {
        connect_tls(self.ringway.listening[0], config, "localhost").unwrap()
    }

    /// A tunnel whose client speaks TLS.
    pub(crate) fn tunnel(&self, config: &Arc<ClientConfig>) -> (Secure, TcpStream) {
        self.open(self.shake(config))
    }

    pub(crate) fn open(&self, mut client: Secure) -> (Secure, TcpStream) {
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let (backend, head) = self.backend.accept_tunnel();
        assert!(head.contains("X-Forwarded-Proto: https\r\n"), "{head}");
        let answer = read_head_of(&mut client);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains(ACCEPT), "{answer}");
        (client, backend)
    }

    pub(crate) fn refused(&self, reason: &str) {
        let row = format!("ringway_refusals_total{{worker=\"0\",reason=\"{reason}\"}}");
        wait_for_metric(&self.ringway, &row, |count| count > 0.5);
    }

    pub(crate) fn ended(&self, reason: &str) {
        let row = format!("ringway_tunnels_ended_total{{worker=\"0\",reason=\"{reason}\"}}");
        wait_for_metric(&self.ringway, &row, |count| count > 0.5);
    }
}

/// Sends one message up and one down at the same time, and both arrive whole.
pub(crate) fn both_ways(client: &mut Secure, backend: &TcpStream, payload: &[u8]) {
    let up = client_frame(2, payload);
    let down = frame(0x82, payload, None);
    let (sent, expected) = (up.clone(), down.clone());
    let mut far = backend.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut came = vec![0; sent.len()];
        far.read_exact(&mut came).unwrap();
        assert!(came == sent, "what the client sent is not what came");
    });
    let mut far = backend.try_clone().unwrap();
    let writer = thread::spawn(move || far.write_all(&expected).unwrap());
    client.write_all(&up).unwrap();
    client.flush().unwrap();
    let mut back = vec![0; down.len()];
    client.read_exact(&mut back).unwrap();
    assert!(back == down, "what the backend sent is not what came");
    reader.join().unwrap();
    writer.join().unwrap();
}

pub(crate) fn payload(bytes: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(bytes).collect()
}

pub(crate) fn close_both(mut client: Secure, mut backend: TcpStream) {
    let code = 1000_u16.to_be_bytes();
    let close = frame(0x88, &code, None);
    backend.write_all(&close).unwrap();
    let mut back = vec![0; close.len()];
    client.read_exact(&mut back).unwrap();
    assert_eq!(back, close);
    client.write_all(&client_frame(8, &code)).unwrap();
    client.flush().unwrap();
    drop(backend);
    // The end of the stream was said: rustls calls one that was not an error.
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
}
