//! Tunnels over TLS are like those in the clear: whole messages both ways, and ends that are told.
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

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;

use rustls::{ClientConfig, version};
use secure_hall::{More, Scene, both_ways, close_both, payload};
use support::pairs::{SHAPES, all_home, one_worker};
use support::{client_frame, frame, metric, wait_for_metric};

#[test]
fn messages_of_every_size_go_both_ways_in_records_with_every_shape_of_buffers() {
    for shape in SHAPES {
        let sections = one_worker(shape, "");
        let scene = Scene::new(&More {
            sections: &sections,
            ..More::default()
        });
        let (mut client, backend) = scene.tunnel(&scene.config());
        for bytes in [0, 1, 125, 126, 4096, 16_384, 70_000, 1_000_000] {
            both_ways(&mut client, &backend, &payload(bytes));
        }
        let full = "ringway_tls_full_handshakes_total{worker=\"0\"}";
        assert!(metric(&scene.ringway, full) > 0.5);
        close_both(client, backend);
        scene.ended("close_handshake");
        all_home(&scene.ringway);
    }
}

#[test]
fn every_version_and_cipher_carries_tunnels_and_new_keys_between_messages() {
    let scene = Scene::new(&More::default());
    for suite in secure::provider().cipher_suites {
        let version = match suite {
            rustls::SupportedCipherSuite::Tls13(_) => &version::TLS13,
            rustls::SupportedCipherSuite::Tls12(_) => &version::TLS12,
        };
        // The certificate has an elliptic key.
        if format!("{:?}", suite.suite()).contains("_RSA_") {
            continue;
        }
        let mut provider = secure::provider();
        provider.cipher_suites = vec![suite];
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(scene.authority.roots())
            .with_no_client_auth();
        let (mut client, backend) = scene.tunnel(&Arc::new(config));
        assert_eq!(client.conn.negotiated_cipher_suite(), Some(suite));
        for round in 0..8 {
            both_ways(&mut client, &backend, &payload(1 + round * 4000));
            if version.version == rustls::ProtocolVersion::TLSv1_3 {
                client.conn.refresh_traffic_keys().unwrap();
            }
        }
        close_both(client, backend);
    }
    all_home(&scene.ringway);
}

#[test]
fn records_that_come_in_pieces_are_the_same_messages() {
    let scene = Scene::new(&More::default());
    for piece in [1, 7, 100, 1400] {
        let (mut client, mut backend) = scene.tunnel(&scene.config());
        let sent = client_frame(2, &payload(20 * piece + 300));
        client.conn.writer().write_all(&sent).unwrap();
        let mut wire = Vec::new();
        while client.conn.wants_write() {
            client.conn.write_tls(&mut wire).unwrap();
        }
        for part in wire.chunks(piece) {
            client.sock.write_all(part).unwrap();
        }
        let mut came = vec![0; sent.len()];
        backend.read_exact(&mut came).unwrap();
        assert!(came == sent, "{piece}");
        both_ways(&mut client, &backend, &payload(10));
    }
}

#[test]
fn small_messages_that_wait_together_share_a_record() {
    let scene = Scene::new(&More::default());
    let (mut client, mut backend) = scene.tunnel(&scene.config());
    let one = frame(0x81, b"tick", None);
    let all = one.repeat(500);
    backend.write_all(&all).unwrap();
    let mut came = Vec::new();
    let mut wire = 0;
    while came.len() < all.len() {
        wire += client.conn.read_tls(&mut client.sock).unwrap();
        client.conn.process_new_packets().unwrap();
        let mut room = [0; 4096];
        while let Ok(bytes) = client.conn.reader().read(&mut room) {
            came.extend_from_slice(&room[..bytes]);
        }
    }
    assert!(came == all);
    // A record each would be 22 bytes more for each of them.
    assert!(wire < all.len() + 500 * 22 / 2, "{wire} for {}", all.len());
}

#[test]
fn whoever_looks_into_frames_sees_them_over_tls_too() {
    let scene = Scene::new(&More {
        route: "inspect = \"messages\"",
        ..More::default()
    });
    let (mut client, backend) = scene.tunnel(&scene.config());
    for bytes in [1, 1000, 40_000] {
        both_ways(&mut client, &backend, &payload(bytes));
    }
    client.write_all(&client_frame(1, b"\xff\xfe")).unwrap();
    client.flush().unwrap();
    let mut start = [0; 4];
    client.read_exact(&mut start).unwrap();
    assert_eq!(
        (start[0], u16::from_be_bytes([start[2], start[3]])),
        (0x88, 1007)
    );
}

#[test]
fn a_slow_reader_over_tls_holds_its_writer_and_loses_nothing() {
    let scene = Scene::new(&More::default());
    let (mut client, backend) = scene.tunnel(&scene.config());
    let payload = payload(8_000_000);
    let down = frame(0x82, &payload, None);
    let sent = down.clone();
    let mut far = backend.try_clone().unwrap();
    let writer = thread::spawn(move || far.write_all(&sent).unwrap());
    wait_for_metric(
        &scene.ringway,
        "ringway_backpressure_pauses_total{worker=\"0\"}",
        |count| count > 0.5,
    );
    let mut back = vec![0; down.len()];
    client.read_exact(&mut back).unwrap();
    assert!(back == down);
    writer.join().unwrap();
    both_ways(&mut client, &backend, b"and on it goes");
    close_both(client, backend);
    all_home(&scene.ringway);
}

// --- Ends ---

#[test]
fn a_stream_that_was_cut_off_is_told_from_one_that_was_ended() {
    let scene = Scene::new(&More::default());
    let (client, mut backend) = scene.tunnel(&scene.config());
    client.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(backend.read(&mut [0; 8]).unwrap(), 0);
    drop((client, backend));
    scene.ended("tls_truncated");

    let (mut client, mut backend) = scene.tunnel(&scene.config());
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(backend.read(&mut [0; 8]).unwrap(), 0, "half of it goes on");
    backend.write_all(&frame(0x81, b"late", None)).unwrap();
    let mut late = [0; 6];
    client.read_exact(&mut late).unwrap();
    drop(backend);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    scene.ended("end_of_stream");
}

#[test]
fn a_forged_record_ends_its_tunnel_with_an_alert_and_no_other() {
    let scene = Scene::new(&More::default());
    let (mut good, good_backend) = scene.tunnel(&scene.config());
    let (mut client, mut backend) = scene.tunnel(&scene.config());
    let mut forged = vec![23, 3, 3, 0, 40];
    forged.extend([7; 40]);
    client.sock.write_all(&forged).unwrap();
    let error = client.read(&mut [0; 8]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    assert!(backend.read(&mut [0; 8]).is_err(), "broken off here too");
    scene.ended("tls_violation");
    both_ways(&mut good, &good_backend, b"nobody else is harmed");
}
