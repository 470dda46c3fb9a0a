//! Certificates change while clients come from all sides, and no handshake fails for it.
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

#[path = "support/http.rs"]
mod http;
#[path = "support/secure.rs"]
mod secure;
#[path = "support/secure_hall.rs"]
mod secure_hall;
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use secure::{Authority, Papers, connect_tls, provider};
use secure_hall::{More, Scene, both_ways, close_both};
use support::{metric, wait_for_metric};

const CLIENTS: usize = 8;
const SWAPS: usize = 10;
/// Handshakes that must be seen with a certificate before it is replaced, so that each swap happens under load.
const HANDSHAKES_EACH: u64 = 40;

/// What clients have seen so far.
#[derive(Default)]
struct Seen {
    /// The number of the certificate that is the newest on disk: none newer may be shown.
    newest: AtomicU64,
    /// Handshakes by what they were shown.
    shown: [AtomicU64; SWAPS + 1],
    stop: AtomicBool,
}

/// A client whose handshakes are all full ones: a resumed one shows no certificate.
fn config(authority: &Authority, number: usize) -> Arc<ClientConfig> {
    let version = if number.is_multiple_of(2) {
        &TLS13
    } else {
        &TLS12
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn leaf(papers: &Papers) -> CertificateDer<'static> {
    papers.read().0.remove(0)
}

/// Puts a pair in the place of the one that is used, each file at once, as whoever renews certificates does it.
fn put(papers: &Papers, place: &Papers) {
    for (from, to) in [(&papers.key, &place.key), (&papers.chain, &place.chain)] {
        let beside = to.with_extension("new");
        std::fs::copy(from, &beside).unwrap();
        std::fs::rename(&beside, to).unwrap();
    }
}

/// Shakes hands until told to stop. No handshake fails, and each shows a certificate that is good then.
fn keep_coming(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    seen: &Seen,
    known: &BTreeMap<Vec<u8>, u64>,
) {
    let mut before = 0;
    while !seen.stop.load(Ordering::Acquire) {
        let stream = connect_tls(address, config, "localhost").expect("no handshake fails");
        let shown = &stream.conn.peer_certificates().unwrap()[0];
        let number = known[&shown.to_vec()];
        assert!(
            number <= seen.newest.load(Ordering::Acquire),
            "from nowhere"
        );
        // Workers take a new one each in its time, so one client may be a swap behind another.
        assert!(number + 1 >= before, "one that was replaced long ago");
        before = before.max(number);
        seen.shown[usize::try_from(number).unwrap()].fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn certificates_are_swapped_under_load_without_a_failed_handshake() {
    let scene = Scene::new(&More {
        sections: "[workers]\ncores = 2\n",
        ..More::default()
    });
    let next = |number: usize| {
        scene
            .authority
            .issue(&format!("next-{number}"), &["localhost"])
    };
    let pairs: Vec<Papers> = (1..=SWAPS).map(next).collect();
    let known = std::iter::once(&scene.papers).chain(&pairs);
    let known: BTreeMap<_, _> = known
        .map(|papers| leaf(papers).to_vec())
        .zip(0_u64..)
        .collect();
    assert_eq!(known.len(), SWAPS + 1, "each is another one");
    let (mut living, backend) = scene.tunnel(&config(&scene.authority, 0));
    let seen = Seen::default();
    let address = scene.ringway.listening[0];

    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let config = config(&scene.authority, client);
            let (seen, known) = (&seen, &known);
            scope.spawn(move || keep_coming(address, &config, seen, known));
        }
        let watch = Watch(&seen);
        watch.until_shown(&scene, 0);
        for (number, papers) in pairs.iter().enumerate() {
            if number == SWAPS / 2 {
                watch.broken(&scene);
            }
            seen.newest.store(number as u64 + 1, Ordering::Release);
            put(papers, &scene.papers);
            watch.until_shown(&scene, number + 1);
        }
    });
    let shown = seen.shown.each_ref();
    let shown = shown.map(|count| count.load(Ordering::Acquire));
    println!("handshakes by what they were shown: {shown:?}");
    for (number, shown) in shown.into_iter().enumerate() {
        assert!(shown >= HANDSHAKES_EACH, "{shown} handshakes saw {number}");
    }
    both_ways(&mut living, &backend, b"tunnels live on");
    close_both(living, backend);
    let fresh = scene.shake(&config(&scene.authority, 0));
    let last = leaf(pairs.last().unwrap());
    assert_eq!(fresh.conn.peer_certificates().unwrap()[0], last);
    for worker in ["0", "1"] {
        for reason in ["tls_alert", "tls_protocol", "tls_timeout", "tls_internal"] {
            let row = format!("ringway_refusals_total{{worker=\"{worker}\",reason=\"{reason}\"}}");
            assert!(metric(&scene.ringway, &row) < 0.5, "{row}");
        }
    }
}

/// What the clients see, watched from outside. They stop with it, also when the test fails.
struct Watch<'a>(&'a Seen);

impl Watch<'_> {
    /// Waits until enough handshakes were shown this certificate.
    fn until_shown(&self, scene: &Scene, number: usize) {
        let shown = &self.0.shown[number];
        let row = "ringway_tls_full_handshakes_total{worker=\"0\"}";
        wait_for_metric(&scene.ringway, row, |_| {
            shown.load(Ordering::Acquire) >= HANDSHAKES_EACH
        });
    }

    /// A file that is no certificate changes nothing, and the load goes on over it.
    fn broken(&self, scene: &Scene) {
        let row = "ringway_tls_load_failures_total";
        let before = metric(&scene.ringway, row);
        std::fs::write(&scene.papers.chain, "-----BEGIN CERTIFICATE-----\ncut").unwrap();
        wait_for_metric(&scene.ringway, row, |count| count > before + 0.5);
        let shown = || {
            let shown = self.0.shown.iter();
            shown
                .map(|count| count.load(Ordering::Acquire))
                .sum::<u64>()
        };
        let start = shown();
        wait_for_metric(&scene.ringway, row, |_| shown() >= start + HANDSHAKES_EACH);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
    }
}
