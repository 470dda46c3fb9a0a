//! Who is not greeted over TLS is logged as what he saw, and who comes when too many are being greeted is turned away
//! alone.
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
use std::net::TcpStream;
use std::path::Path;

use ringway::limits::TLS_HANDSHAKES_AT_ONCE;
use secure::{connect_tls, read_head_of};
use secure_hall::{More, Scene, both_ways};
use serde_json::{Value, json};
use support::{connect, metric, upgrade_head, wait_for_metric};

/// The lines of the log, once there are so many.
fn lines(scene: &Scene, file: &Path, count: u32) -> Vec<Value> {
    let row = "ringway_access_log_lines_total";
    wait_for_metric(&scene.ringway, row, |lines| lines >= count.into());
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn only_who_was_answered_in_http_has_a_status_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.json");
    let scene = Scene::new(&More {
        tls: "unknown_name = \"refuse\"",
        route: "allowed_origins = [\"https://a.example\"]",
        access_log: file.to_str().unwrap(),
        ..More::default()
    });
    let address = scene.ringway.listening[0];
    let mut stranger = connect(address);
    stranger.write_all(b"\x00\x01\x02\x03").unwrap();
    scene.refused("not_tls");
    connect_tls(address, &scene.config(), "elsewhere.test").unwrap_err();
    scene.refused("tls_unknown_name");
    let mut lost = connect(address);
    lost.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    scene.refused("plain_http");
    let mut evil = scene.shake(&scene.config());
    let head = upgrade_head("/ws").replace("Host: test", "Host: test\r\nOrigin: https://evil");
    evil.write_all(head.as_bytes()).unwrap();
    assert!(read_head_of(&mut evil).starts_with("HTTP/1.1 403 "));

    let lines = lines(&scene, &file, 4);
    for (reason, status) in [
        ("not_tls", Value::Null),
        ("tls_unknown_name", Value::Null),
        ("plain_http", json!(400)),
        ("origin_forbidden", json!(403)),
    ] {
        let line = lines.iter().find(|line| line["reason"] == reason);
        let line = line.unwrap_or_else(|| panic!("no {reason} in {lines:?}"));
        assert_eq!(line["status"], status, "{line}");
        let is_named = line.as_object().unwrap().contains_key("status");
        assert_eq!(is_named, !status.is_null(), "what is absent is left out");
    }
}

#[test]
fn as_many_handshakes_as_may_be_are_in_flight_and_the_next_is_turned_away_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.json");
    let scene = Scene::new(&More {
        sections: "[limits]\nhandshakes_per_source = \"off\"\n",
        tls: "handshake_timeout = \"5m\"",
        access_log: file.to_str().unwrap(),
        ..More::default()
    });
    let config = scene.config();
    let (mut living, backend) = scene.tunnel(&config);
    let open = |scene: &Scene, wanted: u64| {
        let row = "ringway_tls_handshakes_open{worker=\"0\"}";
        let wanted = f64::from(u32::try_from(wanted).unwrap());
        let is_so = |open: f64| (open - wanted).abs() < 0.5;
        wait_for_metric(&scene.ringway, row, is_so);
    };
    open(&scene, 0);
    let half = |_| {
        let mut client = connect(scene.ringway.listening[0]);
        client.write_all(&[22, 3, 1]).unwrap();
        client
    };
    let mut halves: Vec<TcpStream> = (0..TLS_HANDSHAKES_AT_ONCE).map(half).collect();
    open(&scene, TLS_HANDSHAKES_AT_ONCE);

    let full = "ringway_refusals_total{worker=\"0\",reason=\"tls_handshakes_full\"}";
    for turned_away in 1..=3_u8 {
        let mut late = connect(scene.ringway.listening[0]);
        assert!(matches!(late.read(&mut [0; 8]), Ok(0) | Err(_)));
        wait_for_metric(&scene.ringway, full, |count| count >= turned_away.into());
        both_ways(&mut living, &backend, b"nobody else is harmed");
    }
    let lines = lines(&scene, &file, 3);
    for line in &lines {
        let said = (&line["reason"], &line["status"]);
        assert_eq!(said, (&json!("tls_handshakes_full"), &Value::Null));
    }

    // As soon as one has left, one more is greeted; what it leaves behind is taken again.
    for round in 1..=3_u64 {
        drop(halves.pop());
        open(&scene, TLS_HANDSHAKES_AT_ONCE - round);
        let (mut client, far) = scene.tunnel(&config);
        both_ways(&mut client, &far, b"there is room again");
        open(&scene, TLS_HANDSHAKES_AT_ONCE - round);
    }
    assert!(metric(&scene.ringway, full) < 3.5, "nobody else was");
    halves.clear();
    open(&scene, 0);
    both_ways(&mut living, &backend, b"and tunnels live on");
}
