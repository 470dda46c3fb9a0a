//! `ringway bench` measures what it says it does, and says what went wrong in words that help.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use ringway::cli::bench::{Mode, Options, Report, Subject, Text, run};
use ringway::cli::echo::EchoFleet;

fn fleet() -> EchoFleet {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    EchoFleet::start(&["one"], &[any_port], None).unwrap()
}

fn options_for(address: SocketAddr) -> Options {
    Options {
        tunnels: 8,
        duration: Duration::from_millis(200),
        warmup: Duration::from_millis(50),
        timeout: Duration::from_secs(5),
        ..Options::to(format!("ws://{address}/ws"))
    }
}

fn run_clean(options: &Options) -> Report {
    let report = run(options).unwrap();
    assert_eq!(report.errors.total(), 0, "{:?}", report.errors);
    assert!(report.messages > 0 && report.latency.count > 0);
    assert!(report.latency.p50_us <= report.latency.max_us);
    report
}

#[test]
fn every_shape_of_load_comes_back_whole() {
    let fleet = fleet();
    for (tunnels, payload_bytes, in_flight, threads) in [
        (1, 0, 1, 1),
        (8, 64, 1, 1),
        (8, 5, 16, 2),
        (7, 125, 3, 3),
        (4, 16 * 1024, 4, 1),
        (2, 3 * 1024 * 1024, 2, 1),
    ] {
        let report = run_clean(&Options {
            tunnels,
            payload_bytes,
            in_flight,
            threads,
            ..options_for(fleet.addresses()[0])
        });
        assert_eq!(report.tunnels_open, tunnels as u64);
        assert!(!report.latency.is_corrected);
    }
}

#[test]
fn text_comes_back_as_text() {
    let fleet = fleet();
    for text in [Text::Ascii, Text::Mixed] {
        for (payload_bytes, in_flight) in [(0, 1), (7, 4), (64, 16), (1024, 1), (64 * 1024, 2)] {
            let report = run_clean(&Options {
                text: Some(text),
                payload_bytes,
                in_flight,
                ..options_for(fleet.addresses()[0])
            });
            assert_eq!(report.tunnels_open, 8);
        }
    }
}

#[test]
fn text_is_valid_and_an_echo_of_the_other_kind_is_wrong() {
    use tokio_tungstenite::tungstenite::{Message, accept};
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut options = options_for(listener.local_addr().unwrap());
    options.text = Some(Text::Mixed);
    options.payload_bytes = 300;
    thread::spawn(move || {
        for socket in listener.incoming() {
            thread::spawn(move || {
                let mut socket = accept(socket.unwrap()).unwrap();
                // It reads no text that is not UTF-8.
                let first = socket.read().unwrap();
                assert!(first.to_text().unwrap().contains("größe"));
                socket.send(first).unwrap();
                let second = socket.read().unwrap();
                socket.send(Message::Binary(second.into_data())).unwrap();
            });
        }
    });
    let report = run(&options).unwrap();
    assert_eq!((report.errors.wrong_echo, report.errors.total()), (8, 8));
}

#[test]
fn a_fixed_rate_is_kept_and_its_latency_corrected() {
    let fleet = fleet();
    let report = run_clean(&Options {
        rate: Some(1000),
        threads: 2,
        duration: Duration::from_millis(500),
        ..options_for(fleet.addresses()[0])
    });
    assert!(report.latency.is_corrected);
    assert_eq!(report.unanswered, 0);
    assert!(
        (490..=520).contains(&report.latency.count),
        "{}",
        report.latency.count
    );
}

#[test]
fn a_rate_nobody_can_keep_shows_in_the_latency() {
    let fleet = fleet();
    let report = run(&Options {
        rate: Some(1_000_000),
        tunnels: 2,
        timeout: Duration::from_millis(100),
        ..options_for(fleet.addresses()[0])
    })
    .unwrap();
    assert!(report.unanswered > 0);
    assert!(report.latency.p50_us > 10_000.0, "{:?}", report.latency);
}

#[test]
fn handshakes_are_counted_and_leave_nothing_behind() {
    let fleet = fleet();
    let report = run_clean(&Options {
        mode: Mode::Handshakes,
        threads: 2,
        ..options_for(fleet.addresses()[0])
    });
    assert!(report.messages_per_second > 10.0);
}

#[test]
fn idle_tunnels_stay_open_from_several_sources() {
    let fleet = fleet();
    let report = run_clean(&Options {
        mode: Mode::Idle,
        tunnels: 50,
        connect_rate: Some(1000),
        sources: vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()],
        watch: vec![Subject::Process(std::process::id())],
        ..options_for(fleet.addresses()[0])
    });
    assert_eq!((report.messages, report.tunnels_open), (50, 50));
    assert!(report.watched[0].resident_bytes_after > 0);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["watched"][0]["pid"], std::process::id());
}

#[test]
fn a_port_that_refuses_is_named_with_its_reason() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for mode in [Mode::Messages, Mode::Handshakes, Mode::Idle] {
        let error = run(&Options {
            mode,
            ..options_for(address)
        })
        .unwrap_err()
        .to_string();
        assert!(
            error.contains(&format!("came back from ws://{address}/ws")),
            "{error}"
        );
        assert!(
            error.contains("connect failed, the first: Connection refused"),
            "{error}"
        );
    }
}

/// A server that answers each connection with `answer` once a head has come, and returns its address.
fn server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket: TcpStream = socket.unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                let _ = socket.read(&mut buffer);
                let _ = socket.write_all(answer);
                while socket.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
        }
    });
    address
}

#[test]
fn servers_that_misbehave_are_told_apart() {
    let cases: [(&[u8], &str); 4] = [
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            "refused status, the first: status 503",
        ),
        (
            b"HTTP/1.1 101 Go\r\nSec-WebSocket-Accept: no\r\n\r\n",
            "wrong Sec-WebSocket-Accept",
        ),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP/1.1"),
        (
            b"",
            "timed out, the first: no answer to the handshake within 300ms",
        ),
    ];
    for (answer, reason) in cases {
        let mut options = options_for(server(answer));
        options.timeout = Duration::from_millis(300);
        let error = run(&options).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_server_that_goes_away_is_noticed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut options = options_for(listener.local_addr().unwrap());
    // The run ends long before that, because no tunnel is left.
    options.duration = Duration::from_mins(10);
    options.warmup = Duration::ZERO;
    thread::spawn(move || {
        for socket in listener.incoming() {
            thread::spawn(move || {
                let mut socket = tokio_tungstenite::tungstenite::accept(socket.unwrap()).unwrap();
                for _ in 0..3 {
                    let message = socket.read().unwrap();
                    socket.send(message).unwrap();
                }
            });
        }
    });
    let report = run(&options).unwrap();
    assert_eq!((report.messages, report.errors.closed), (24, 8));
    assert_eq!((report.tunnels_open, report.errors.total()), (0, 8));
}

#[test]
fn a_core_that_is_not_there_is_an_error() {
    let fleet = fleet();
    let mut options = options_for(fleet.addresses()[0]);
    options.core = Some(100_000);
    assert!(
        run(&options)
            .unwrap_err()
            .to_string()
            .contains("core 100000 is not one")
    );
}
