//! What happened can be read afterwards: on the metrics page, in the access log, from the health check.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use http::{Answer, ask, start_text};
use ringway::control::Running;
use serde_json::Value;
use support::{
    Fixture, Puppet, client_frame, connect, metric, open_tunnel, read_frame, read_head, start_with,
    upgrade_head, wait_for_metric,
};

fn control(ringway: &Running, path: &str) -> Answer {
    ask(
        ringway.control,
        format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
    )
}

/// Says one message and a Close with this code, and hears the answers to both.
fn say_and_close(client: &mut std::net::TcpStream, payload: &[u8], code: u16) {
    client.write_all(&client_frame(1, payload)).unwrap();
    assert_eq!(read_frame(client).unwrap().1, payload);
    client
        .write_all(&client_frame(8, &code.to_be_bytes()))
        .unwrap();
    assert_eq!(
        read_frame(client).unwrap(),
        (0x88, code.to_be_bytes().to_vec())
    );
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_metrics_page_counts_what_happened_and_nothing_else() {
    let fixture = Fixture::echo(1, "");
    let mut client = open_tunnel(fixture.address());
    assert_eq!(metric(&fixture.ringway, "ringway_tunnels_open"), 1.0);
    say_and_close(&mut client, b"hello", 4000);
    drop(client);
    ask(fixture.address(), b"GET / HTTP/1.1\r\n\r\n");
    let ended = "ringway_tunnels_ended_total{reason=\"close_handshake\"";
    wait_for_metric(&fixture.ringway, ended, |count| count == 1.0);
    wait_for_metric(&fixture.ringway, "ringway_handshakes_open", |open| {
        open == 0.0
    });
    let backend = fixture.echo.addresses()[0];
    for (row, value) in [
        ("ringway_connections_accepted_total", 2.0),
        // The second head was no head.
        ("ringway_request_heads_total", 1.0),
        ("ringway_handshakes_open", 0.0),
        // An answer is an answer, whatever it says.
        ("ringway_handshake_duration_seconds_count", 2.0),
        ("ringway_refusals_total", 1.0),
        ("ringway_refusals_total{reason=\"bad_request\"", 1.0),
        ("ringway_plain_responses_total", 0.0),
        ("ringway_tunnels_opened_total", 1.0),
        ("ringway_tunnels_open", 0.0),
        ("ringway_tunnels_ended_total", 1.0),
        ("ringway_tunnel_duration_seconds_count", 1.0),
        (
            "ringway_messages_total{direction=\"client_to_backend\"",
            1.0,
        ),
        (
            "ringway_messages_total{direction=\"backend_to_client\"",
            1.0,
        ),
        // Two headers with a mask, five bytes and a code; then the same without masks.
        ("ringway_bytes_total{direction=\"client_to_backend\"", 19.0),
        ("ringway_bytes_total{direction=\"backend_to_client\"", 11.0),
        ("ringway_frame_violations_total", 0.0),
        ("ringway_backend_failures_total", 0.0),
        (
            &format!("ringway_backend_tunnels_open{{pool=\"p\",backend=\"{backend}\""),
            0.0,
        ),
        ("ringway_worker_restarts_total", 0.0),
        ("ringway_access_log_dropped_total", 0.0),
        ("ringway_draining", 0.0),
        ("ringway_build_info", 1.0),
    ] {
        assert_eq!(metric(&fixture.ringway, row), value, "{row}");
    }
    let home = metric(&fixture.ringway, "ringway_receive_buffers_home");
    assert!(home > 0.0 && home == metric(&fixture.ringway, "ringway_receive_buffers"));
    assert!(metric(&fixture.ringway, "ringway_ring_enters_total") > 0.0);
}

/// The number of a sample's last bucket so far, and the series that it must go on in.
#[derive(Default)]
struct Buckets {
    series: String,
    so_far: f64,
}

impl Buckets {
    /// Takes the next sample of a histogram: buckets rise to `+Inf`, which is the count.
    fn follow(&mut self, name: &str, series: &str, value: f64) {
        if let Some((start, bound)) = series.split_once("le=\"") {
            if self.series != start {
                *self = Self {
                    series: start.to_owned(),
                    so_far: 0.0,
                };
            }
            assert!(value >= self.so_far, "{series} falls");
            assert!(
                bound.starts_with("+Inf")
                    || bound.starts_with(|digit: char| digit.is_ascii_digit())
            );
            self.so_far = value;
        } else if let Some(labels) = series.strip_prefix(&format!("{name}_count{{")) {
            let labels = labels.trim_end_matches('}');
            assert_eq!(self.series, format!("{name}_bucket{{{labels},"));
            assert_eq!(value, self.so_far, "{series} is not its last bucket");
        } else {
            assert!(series.starts_with(&format!("{name}_sum{{")), "{series}");
        }
    }
}

#[test]
fn the_page_is_prometheus_text_from_its_first_line_to_its_last() {
    let fixture = Fixture::echo(2, "");
    let mut client = open_tunnel(fixture.address());
    say_and_close(&mut client, b"hello", 1000);
    drop(client);
    wait_for_metric(
        &fixture.ringway,
        "ringway_tunnel_duration_seconds_count",
        |ends| ends == 1.0,
    );
    let page = control(&fixture.ringway, "/metrics").body;
    assert!(page.ends_with('\n'));
    let (mut names, mut seen) = (HashSet::new(), HashSet::new());
    let (mut name, mut kind, mut buckets) = ("", "", Buckets::default());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            name = help.split_once(' ').unwrap().0;
            assert!(names.insert(name), "{name} twice");
            let typed = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (same, word) = typed.split_once(' ').unwrap();
            assert_eq!(same, name);
            kind = word;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series} twice");
        let value: f64 = value.parse().unwrap();
        if kind == "histogram" {
            buckets.follow(name, series, value);
        } else {
            assert_eq!(series.split('{').next(), Some(name));
        }
    }
    for metric in ringway::metrics::CATALOG {
        assert!(names.contains(metric.name), "{} is missing", metric.name);
    }
}

#[test]
fn the_time_to_an_answer_is_measured_for_a_plain_one_too() {
    let puppet = Puppet::new();
    let ringway = start_with(&[puppet.address()], "", "", "plain_http = true");
    let mut client = connect(ringway.listening[0]);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut backend = puppet.accept();
    read_head(&mut backend);
    backend
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .unwrap();
    assert_eq!(Answer::read(&mut client).status, 204);
    assert_eq!(
        metric(&ringway, "ringway_handshake_duration_seconds_count"),
        1.0
    );
}

#[test]
fn a_frame_that_breaks_a_rule_is_counted_under_that_rule() {
    let fixture = Fixture::echo(1, "");
    let mut client = open_tunnel(fixture.address());
    client
        .write_all(&support::backend_frame(1, b"no mask"))
        .unwrap();
    assert_eq!(
        read_frame(&mut client).unwrap().1[..2],
        1002_u16.to_be_bytes()
    );
    let ended = "ringway_tunnels_ended_total{reason=\"protocol_error\"";
    wait_for_metric(
        &fixture.ringway,
        "ringway_frame_violations_total",
        |count| count == 1.0,
    );
    drop(client);
    wait_for_metric(&fixture.ringway, ended, |count| count == 1.0);
}

/// A Ringway that logs into this file.
fn logging(file: &Path, backend: SocketAddr, route: &str) -> Running {
    start_text(&format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"{}\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[limits]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [pools.p]\nbackends = [\"{backend}\"]\n[[routes]]\nname = \"chat\"\npool = \"p\"\n{route}\n",
        file.display()
    ))
}

/// The lines of the log, once there are so many.
fn lines(ringway: &Running, file: &Path, count: usize) -> Vec<Value> {
    let wanted = f64::from(u32::try_from(count).unwrap());
    wait_for_metric(ringway, "ringway_access_log_lines_total", |lines| {
        lines == wanted
    });
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        text.ends_with('\n') && text.lines().count() == count,
        "{text}"
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn assert_line(line: &Value, wanted: &Value) {
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} in {line}");
    }
    assert!(line["duration_ms"].is_u64(), "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
}

#[test]
fn the_access_log_has_a_line_for_a_tunnel_that_says_who_what_and_why() {
    let fixture = Fixture::echo(1, "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.json");
    let backend = fixture.echo.addresses()[0];
    let ringway = logging(&file, backend, "");
    let mut client = connect(ringway.listening[0]);
    let head = upgrade_head("/ws?secret=token")
        .replace("Host: test", "Host: test\r\nX-Forwarded-For: 198.51.100.7");
    client.write_all(head.as_bytes()).unwrap();
    read_head(&mut client);
    let peer = client.local_addr().unwrap();
    say_and_close(&mut client, b"hello", 4000);
    drop(client);
    let lines = lines(&ringway, &file, 1);
    assert_line(
        &lines[0],
        &serde_json::json!({
            "event": "tunnel",
            "client": peer.to_string(),
            "forwarded_for": "198.51.100.7",
            "route": "chat",
            "backend": backend.to_string(),
            "worker": 0,
            "status": 101,
            "client_messages": 1,
            "client_bytes": 19,
            "backend_messages": 1,
            "backend_bytes": 11,
            "close_code": 4000,
            "ended_by": "client",
            "reason": "close_handshake",
        }),
    );
    assert!(
        !lines[0].to_string().contains("secret"),
        "what a query holds is nobody's business"
    );
}

#[test]
fn the_access_log_has_a_line_for_each_refusal_with_its_reason() {
    let puppet = Puppet::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.json");
    let route = "allowed_origins = [\"https://a.example\"]\nallow_missing_origin = true";
    let ringway = logging(&file, puppet.address(), route);
    ask(ringway.listening[0], b"GET / HTTP/1.1\r\n\r\n");
    let evil = upgrade_head("/ws").replace("Host: test", "Host: test\r\nOrigin: https://evil");
    ask(ringway.listening[0], evil.as_bytes());
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    drop(puppet.accept());
    Answer::read(&mut client);
    let lines = lines(&ringway, &file, 3);
    let refused = |status: u16, reason: &str| serde_json::json!({ "event": "refused", "status": status, "reason": reason, "worker": 0 });
    assert_line(&lines[0], &refused(400, "bad_request"));
    assert_line(&lines[1], &refused(403, "origin_forbidden"));
    assert_line(&lines[2], &refused(502, "backend_closed"));
    assert_eq!(
        (&lines[0]["route"], &lines[0]["backend"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (lines[1]["route"].as_str(), &lines[1]["backend"]),
        (Some("chat"), &Value::Null)
    );
    assert_eq!(lines[2]["route"], "chat");
    assert_eq!(lines[2]["backend"], puppet.address().to_string());
    let peer = client.local_addr().unwrap();
    assert_eq!(lines[2]["client"], peer.to_string());
}

#[test]
fn the_last_lines_are_in_the_log_when_ringway_is_down() {
    let fixture = Fixture::echo(1, "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.json");
    std::fs::write(&file, "what was there before\n").unwrap();
    let ringway = start_text(&format!(
        "[workers]\ncores = 2\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"{}\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[drain]\ntime = \"0s\"\ndeadline = \"20s\"\n\
         [pools.p]\nbackends = [\"{}\"]\n[[routes]]\npool = \"p\"\n",
        file.display(),
        fixture.echo.addresses()[0]
    ));
    let mut clients: Vec<_> = (0..5).map(|_| open_tunnel(ringway.listening[0])).collect();
    ringway.stop();
    for client in &mut clients {
        let (first, payload) = read_frame(client).unwrap();
        assert_eq!(first, 0x88);
        client.write_all(&client_frame(8, &payload[..2])).unwrap();
    }
    drop(clients);
    assert_eq!(ringway.wait().clean, 5);
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, lines) = text.split_once('\n').unwrap();
    assert_eq!(before, "what was there before");
    assert_eq!(lines.lines().count(), 5, "{lines}");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["reason"], &line["close_code"]),
            (&"drained".into(), &1001.into()),
            "{line}"
        );
        assert_eq!(line["ended_by"], "ringway");
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"{}\"\n[listeners.l]\nbind = \"127.0.0.1:0\"\n\
         [pools.p]\nbackends = [\"127.0.0.1:1\"]\n[[routes]]\npool = \"p\"\n",
        folder.path().join("no-such-folder").join("log").display()
    );
    let config = ringway::config::parse("test.toml", &text).unwrap();
    let service = ringway::admin::service();
    let error = Running::start(&config, service, ringway::control::Signals::Ignore).unwrap_err();
    assert!(error.to_string().contains("access_log"), "{error}");
}

#[test]
fn health_is_a_503_while_ringway_goes_down_and_metrics_are_still_told() {
    let fixture = Fixture::echo(1, "[drain]\ntime = \"0s\"\ndeadline = \"20s\"\n");
    let health = control(&fixture.ringway, "/healthz");
    assert_eq!((health.status, &*health.body), (200, "ok\n"));
    let mut client = open_tunnel(fixture.address());
    fixture.ringway.stop();
    // Told goodbye, and not answering yet: the drain is under way.
    let (_, goodbye) = read_frame(&mut client).unwrap();
    let health = control(&fixture.ringway, "/healthz");
    assert_eq!((health.status, &*health.body), (503, "draining\n"));
    assert_eq!(metric(&fixture.ringway, "ringway_draining"), 1.0);
    assert_eq!(metric(&fixture.ringway, "ringway_tunnels_open"), 1.0);
    client.write_all(&client_frame(8, &goodbye[..2])).unwrap();
    drop(client);
    assert_eq!(fixture.ringway.wait().clean, 1);
}
