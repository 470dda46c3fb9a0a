//! Who comes to a listener that speaks TLS is greeted, or told why not; certificates change under way.
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
use std::sync::Arc;

use rustls::{ClientConfig, version};
use secure::{Authority, Papers, Secure, connect_tls, read_head_of};
use secure_hall::{More, Scene, both_ways, close_both};
use support::{connect, metric, read_head, upgrade_head, wait_for_metric};

// --- Who is not greeted ---

#[test]
fn plain_http_to_a_tls_port_is_answered_in_the_clear() {
    let scene = Scene::new(&More::default());
    let mut client = connect(scene.ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    scene.refused("plain_http");
}

#[test]
fn whoever_cannot_be_greeted_is_told_and_counted_by_reason() {
    let scene = Scene::new(&More {
        tls: "min_version = \"1.3\"\nunknown_name = \"refuse\"\nhandshake_timeout = \"400ms\"",
        ..More::default()
    });
    let address = scene.ringway.listening[0];
    let config = scene.config();
    let failed = |config: &Arc<ClientConfig>, name: &str| {
        connect_tls(address, config, name).unwrap_err().to_string()
    };
    let told = failed(&config, "elsewhere.test");
    assert!(told.contains("UnrecognisedName"), "{told}");
    scene.refused("tls_unknown_name");

    let old = ClientConfig::builder_with_provider(Arc::new(secure::provider()))
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_root_certificates(scene.authority.roots())
        .with_no_client_auth();
    let told = failed(&Arc::new(old), "localhost");
    assert!(told.contains("ProtocolVersion"), "{told}");
    scene.refused("tls_no_shared_version");

    let mut other = scene.authority.client();
    other.alpn_protocols = vec![b"h2".to_vec()];
    let told = failed(&Arc::new(other), "localhost");
    assert!(told.contains("NoApplicationProtocol"), "{told}");
    scene.refused("tls_no_shared_protocol");

    let stranger = Arc::new(Authority::new().client());
    failed(&stranger, "localhost");
    scene.refused("tls_alert");

    let mut client = connect(address);
    client
        .write_all(b"\x00\x01\x02\x03\x04\x05\x06\x07")
        .unwrap();
    scene.refused("not_tls");

    let mut stopped = connect(address);
    stopped.write_all(&[22, 3, 1]).unwrap();
    scene.refused("tls_timeout");
    assert!(connect_tls(address, &config, "a.wild.test").is_ok());
}

#[test]
fn a_record_that_may_not_be_is_counted_before_the_request_too() {
    let scene = Scene::new(&More::default());
    let row = "ringway_refusals_total{worker=\"0\",reason=\"tls_protocol\"}";
    for (expected, start) in [(1.0, ""), (2.0, "GET /ws HTTP/1.1\r\n")] {
        let mut client = scene.shake(&scene.config());
        client.write_all(start.as_bytes()).unwrap();
        client.flush().unwrap();
        let forged = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
        client.sock.write_all(&forged).unwrap();
        let told = client.read(&mut [0; 8]).unwrap_err().to_string();
        assert!(told.contains("BadRecordMac"), "{told}");
        wait_for_metric(&scene.ringway, row, |count| count >= expected);
    }
}

#[test]
fn a_client_of_an_older_age_is_told_which_versions_there_are() {
    let scene = Scene::new(&More::default());
    // TLS 1.1, one cipher, no extension.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut client = connect(scene.ringway.listening[0]);
    client.write_all(&record).unwrap();
    let mut alert = [0; 7];
    client.read_exact(&mut alert).unwrap();
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 70]);
    scene.refused("tls_no_shared_version");
}

// --- Sessions and certificates ---

#[test]
fn a_session_is_resumed_at_any_worker() {
    let scene = Scene::new(&More {
        sections: "[workers]\ncores = 2\n",
        ..More::default()
    });
    let config = scene.config();
    let resumed = |scene: &Scene| -> f64 {
        let rows = ["0", "1"].map(|worker| {
            let row = format!("ringway_tls_resumed_handshakes_total{{worker=\"{worker}\"}}");
            metric(&scene.ringway, &row)
        });
        rows.iter().sum()
    };
    for _ in 0..12 {
        let (client, backend) = scene.tunnel(&config);
        close_both(client, backend);
    }
    assert!(resumed(&scene) > 10.5, "{}", resumed(&scene));
}

#[test]
fn a_new_certificate_is_taken_without_a_failed_handshake_and_a_broken_one_is_not() {
    let scene = Scene::new(&More::default());
    let config = scene.config();
    let (mut living, living_backend) = scene.tunnel(&config);
    let shown = |client: &Secure| client.conn.peer_certificates().unwrap()[0].clone();
    let before = shown(&living);
    // A key that does not fit its certificate: the pair that was loaded stays.
    let other = scene.authority.issue("other", &["localhost"]);
    std::fs::copy(&other.key, &scene.papers.key).unwrap();
    wait_for_metric(&scene.ringway, "ringway_tls_load_failures_total", |count| {
        count > 0.5
    });
    assert_eq!(shown(&scene.shake(&config)), before);
    scene.authority.issue("server", &["localhost"]);
    let fresh = |config: &Arc<ClientConfig>| {
        let mut config = ClientConfig::clone(config);
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    };
    let config = fresh(&config);
    let mut handshakes = 0;
    while shown(&scene.shake(&config)) == before {
        handshakes += 1;
        assert!(handshakes < 1_000_000, "the new certificate never came");
    }
    both_ways(&mut living, &living_backend, b"and tunnels live on");
}

// --- What goes around ---

#[test]
fn a_listener_in_the_clear_sends_clients_on_and_tls_says_to_stay() {
    let scene = Scene::new(&More {
        sections: "[listeners.clear]\nbind = [\"127.0.0.1:0\"]\nredirect_to_https = 8443\n",
        listener: "hsts = { max_age = \"365d\" }",
        ..More::default()
    });
    // They stand in the order of their names.
    let [clear, secure] = scene.ringway.listening[..] else {
        panic!("two listeners")
    };
    let mut client = connect(clear);
    client
        .write_all(b"GET /a?b=c HTTP/1.1\r\nHost: chat.test:80\r\n\r\n")
        .unwrap();
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(
        answer.contains("\r\nLocation: https://chat.test:8443/a?b=c\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("Strict-Transport-Security"), "{answer}");
    scene.refused("redirect_to_https");
    let mut client = connect_tls(secure, &scene.config(), "localhost").unwrap();
    client
        .write_all(b"DELETE / HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let answer = read_head_of(&mut client);
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(
        answer.contains("\r\nStrict-Transport-Security: max-age=31536000\r\n"),
        "{answer}"
    );
}

#[test]
fn a_client_is_known_by_its_certificate_and_cannot_claim_to_be_another() {
    let authority = Authority::new();
    let tls = format!(
        "client_certificates = {{ mode = \"optional\", authorities = \"{}\" }}",
        authority.file().display()
    );
    let device = authority.issue("device-7", &["seven.devices.test"]);
    let stranger = authority.issue("other", &["other.test"]);
    let scene = Scene::by(
        authority,
        &More {
            tls: &tls,
            route: "[routes.client_certificate]\nsans = [\"*.devices.test\"]\n\
                    subject_header = \"X-Client-Subject\"\nverify_header = \"X-Client-Verify\"\n",
            ..More::default()
        },
    );
    let with = |papers: &Papers| {
        let (chain, key) = papers.read();
        let config = ClientConfig::builder_with_provider(Arc::new(secure::provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(scene.authority.roots())
            .with_client_auth_cert(chain, key)
            .unwrap();
        Arc::new(config)
    };
    let mut client = scene.shake(&with(&device));
    let head = upgrade_head("/ws").replace(
        "\r\n\r\n",
        "\r\nX-Client-Subject: CN=admin\r\nx_client_verify: MAYBE\r\n\r\n",
    );
    client.write_all(head.as_bytes()).unwrap();
    let (_backend, head) = scene.backend.accept_tunnel();
    assert!(head.contains("X-Client-Subject: CN=device-7\r\n"), "{head}");
    assert!(head.contains("X-Client-Verify: SUCCESS\r\n"), "{head}");
    assert!(!head.contains("admin") && !head.contains("MAYBE"), "{head}");
    for config in [with(&stranger), scene.config()] {
        let mut client = scene.shake(&config);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let answer = read_head_of(&mut client);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    scene.refused("certificate_forbidden");
}
