//! Operators see and order the fleet over the control listener, and nobody else does.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use http::{Answer, ask};
use ringway::control::{BackendRow, Running, Signals};
use socket2::{Domain, Socket, Type};
use support::{Fixture, Puppet, connect, metric, open_tunnel, start_with, wait_for_metric};

/// Asks as `curl` would on this machine.
fn say(ringway: &Running, method: &str, path: &str, body: &str) -> Answer {
    say_with(ringway, (method, path), "", body)
}

fn say_with(ringway: &Running, (method, path): (&str, &str), fields: &str, body: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        ringway.control,
        body.len()
    );
    ask(ringway.control, request.as_bytes())
}

fn rows(ringway: &Running) -> Vec<BackendRow> {
    let answer = say(ringway, "GET", "/backends", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

/// Carries out an order and hands back the row it answered with.
fn order(ringway: &Running, backend: SocketAddr, order: &str, body: &str) -> BackendRow {
    let answer = say(
        ringway,
        "POST",
        &format!("/backends/p/{backend}/{order}"),
        body,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// The words of a refusal with this status.
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

/// Opens so many tunnels and says how many are open to each backend, over all that are held.
fn open(fixture: &Fixture, held: &mut Vec<TcpStream>, count: usize) -> Vec<u32> {
    held.extend((0..count).map(|_| open_tunnel(fixture.address())));
    let rows = rows(&fixture.ringway);
    rows.iter().map(|row| row.established).collect()
}

#[test]
fn the_rows_are_live_and_can_be_asked_for_by_pool_and_by_name() {
    let fixture = Fixture::echo(2, "");
    let mut held = Vec::new();
    assert_eq!(open(&fixture, &mut held, 4), [2, 2]);
    let rows = rows(&fixture.ringway);
    let addresses = fixture.echo.addresses();
    for (row, address) in rows.iter().zip(addresses) {
        assert_eq!((&*row.pool, &*row.state, row.weight), ("p", "up", 1));
        assert_eq!(row.backend, address.to_string());
        assert!(
            row.handshake_ms.is_some_and(|millis| millis > 0.0),
            "{row:?}"
        );
    }
    let pool = say(&fixture.ringway, "GET", "/backends/p", "");
    let pool: Vec<BackendRow> = serde_json::from_str(&pool.body).unwrap();
    assert_eq!(pool.len(), 2);
    let path = format!("/backends/p/{}", addresses[1]);
    let one = say(&fixture.ringway, "GET", &path, "");
    let one: BackendRow = serde_json::from_str(&one.body).unwrap();
    assert_eq!(one.backend, addresses[1].to_string());
}

#[test]
fn a_drained_backend_gets_no_new_tunnels_and_keeps_its_own_until_it_is_undrained() {
    let fixture = Fixture::echo(2, "");
    let first = fixture.echo.addresses()[0];
    let mut held = Vec::new();
    assert_eq!(open(&fixture, &mut held, 4), [2, 2]);
    let row = order(&fixture.ringway, first, "drain", "");
    assert_eq!((&*row.state, row.established), ("draining", 2));
    assert_eq!(open(&fixture, &mut held, 6), [2, 8]);
    let state =
        |state: &str| format!("ringway_backend_state{{backend=\"{first}\",state=\"{state}\"");
    assert_eq!(metric(&fixture.ringway, &state("draining")), 1.0);
    assert_eq!(metric(&fixture.ringway, &state("up")), 0.0);
    assert_eq!(order(&fixture.ringway, first, "undrain", "").state, "up");
    assert_eq!(open(&fixture, &mut held, 4), [4, 10]);
}

#[test]
fn a_backend_that_is_taken_down_gets_nothing_and_comes_back_with_up() {
    let fixture = Fixture::echo(2, "");
    let first = fixture.echo.addresses()[0];
    let mut held = Vec::new();
    let row = order(&fixture.ringway, first, "down", "");
    assert_eq!(row.state, "disabled");
    assert_eq!(open(&fixture, &mut held, 4), [0, 4]);
    // A drain is taken back by undrain; down is not.
    let row = order(&fixture.ringway, first, "undrain", "");
    assert_eq!(row.state, "disabled");
    assert_eq!(order(&fixture.ringway, first, "up", "").state, "up");
    assert_eq!(open(&fixture, &mut held, 4), [2, 6]);
}

#[test]
fn a_weight_is_set_in_both_spellings_and_only_where_it_means_something() {
    let echo = Fixture::echo(2, "");
    let backends = echo.echo.addresses().to_vec();
    let path = format!("/backends/p/{}/weight", backends[0]);
    let answer = say(&echo.ringway, "POST", &path, "3");
    assert!(refused(&answer, 409).contains("knows no weights"));

    let least = "policy = \"least-connections\"";
    let text = format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[pools.p]\n{least}\nbackends = [\"{}\", \"{}\"]\n\
         [[routes]]\npool = \"p\"\n",
        backends[0], backends[1]
    );
    let ringway = http::start_text(&text);
    assert_eq!(order(&ringway, backends[0], "weight", "3").weight, 3);
    let row = order(&ringway, backends[1], "weight", "{\"weight\": 1000}");
    assert_eq!(row.weight, 1000);
    let weight = format!("ringway_backend_weight{{backend=\"{}\"", backends[1]);
    assert_eq!(metric(&ringway, &weight), 1000.0);
    for (body, status) in [
        ("1001", 422),
        ("-1", 422),
        ("70000", 422),
        ("", 400),
        ("heavy", 400),
        ("{\"weight\": \"3\"}", 400),
        ("{\"wait\": 3}", 400),
        ("{\"weight\": 3", 400),
    ] {
        let path = format!("/backends/p/{}/weight", backends[0]);
        refused(&say(&ringway, "POST", &path, body), status);
    }
    assert_eq!(rows(&ringway)[0].weight, 3, "nothing of it was taken");
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let fixture = Fixture::echo(1, "");
    let ringway = &fixture.ringway;
    let backend = fixture.echo.addresses()[0];
    for (method, path, status, words) in [
        ("GET", "/backends/q".to_owned(), 404, "no pool \"q\""),
        ("GET", "/backends/p/x".to_owned(), 404, "no backend \"x\""),
        (
            "POST",
            "/backends/q/x/drain".to_owned(),
            404,
            "no pool \"q\"",
        ),
        (
            "POST",
            "/backends/p/x/drain".to_owned(),
            404,
            "no backend \"x\"",
        ),
        (
            "POST",
            format!("/backends/p/{backend}/explode"),
            404,
            "found \"explode\"",
        ),
        ("POST", "/backends/%FF/x/drain".to_owned(), 400, "UTF-8"),
        ("POST", "/backends".to_owned(), 405, "not allowed"),
        (
            "DELETE",
            format!("/backends/p/{backend}"),
            405,
            "not allowed",
        ),
        (
            "GET",
            format!("/backends/p/{backend}/drain"),
            405,
            "not allowed",
        ),
        ("GET", "/reload".to_owned(), 405, "not allowed"),
        ("POST", "/reload".to_owned(), 409, "not started from a file"),
    ] {
        let found = refused(&say(ringway, method, &path, ""), status);
        assert!(found.contains(words), "{method} {path}: {found}");
    }
    assert_eq!(rows(ringway)[0].state, "up");
}

#[test]
fn a_web_page_can_order_nothing() {
    let fixture = Fixture::echo(1, "");
    let ringway = &fixture.ringway;
    let drain = format!("/backends/p/{}/drain", fixture.echo.addresses()[0]);
    for fields in [
        // A form, a fetch without CORS, a page in a sandbox, and a page that claims to be ours.
        "Origin: https://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        "Origin: https://evil.example\r\nContent-Type: text/plain\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1:9090\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
    ] {
        for request in [("POST", &*drain), ("POST", "/reload"), ("GET", "/backends")] {
            let answer = say_with(ringway, request, fields, "");
            assert!(refused(&answer, 403).contains("web page"), "{fields}");
            assert!(answer.header("access-control-allow-origin").is_none());
        }
    }
    // What a browser asks first before it sends a header that is not simple.
    let preflight = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
    refused(&say_with(ringway, ("OPTIONS", &drain), preflight, ""), 403);
    // A page on a name that was made to lead here.
    for host in ["evil.example:9090", "127.0.0.1.evil.example", ""] {
        for line in [format!("POST {drain}"), "GET /backends".to_owned()] {
            let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
            let answer = ask(ringway.control, request.as_bytes());
            assert!(refused(&answer, 403).contains("Host"), "{host}");
        }
    }
    assert_eq!(rows(ringway)[0].state, "up");
    let request = b"GET /metrics HTTP/1.1\r\nHost: ringway-1.internal\r\n\r\n";
    assert_eq!(ask(ringway.control, request).status, 200, "a scraper");
}

#[test]
fn a_body_that_is_too_large_is_refused_and_one_that_never_comes_costs_nobody_else() {
    let fixture = Fixture::echo(1, "");
    let ringway = &fixture.ringway;
    let path = format!("/backends/p/{}/weight", fixture.echo.addresses()[0]);
    for bytes in [1_025, 60_000] {
        let answer = say(ringway, "POST", &path, &"1".repeat(bytes));
        assert!(refused(&answer, 413).contains("1024"), "{bytes}");
    }
    // A length that is only claimed, a head that stops, and chunks that do not end.
    let mut slow = Vec::new();
    for start in [
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551615\r\n\r\n1"
        ),
        format!("POST {path} HTTP/1.1\r\nHost: loc"),
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n"
        ),
    ] {
        let mut stream = connect(ringway.control);
        stream.write_all(start.as_bytes()).unwrap();
        slow.push(stream);
    }
    assert_eq!(rows(ringway)[0].weight, 1);
}

#[test]
fn failures_are_told_by_kind() {
    let puppet = Puppet::new();
    let address = puppet.address();
    let ringway = start_with(&[address], "", "connect_tries = 0", "");
    let mut client = connect(ringway.listening[0]);
    client
        .write_all(support::upgrade_head("/ws").as_bytes())
        .unwrap();
    drop(puppet.accept());
    assert_eq!(Answer::read(&mut client).status, 502);
    let failed =
        |kind: &str| format!("ringway_backend_failed_total{{backend=\"{address}\",kind=\"{kind}\"");
    wait_for_metric(&ringway, &failed("closed"), |count| count == 1.0);
    assert_eq!(metric(&ringway, &failed("refused")), 0.0);
    assert_eq!(metric(&ringway, "ringway_backend_failures_in_a_row"), 1.0);
    assert_eq!(rows(&ringway)[0].failures["closed"], 1);
}

/// A Ringway that was started from a file, in front of these backends.
fn from_file(file: &Path, backends: &[SocketAddr], workers: u32) -> String {
    let list: Vec<String> = backends.iter().map(|one| format!("\"{one}\"")).collect();
    let text = format!(
        "[workers]\ncores = {workers}\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[pools.p]\npolicy = \"round-robin\"\n\
         backends = [{}]\n[[routes]]\npool = \"p\"\n",
        list.join(", ")
    );
    std::fs::write(file, &text).unwrap();
    text
}

#[test]
fn a_reload_follows_the_file_or_says_what_is_wrong_with_it() {
    let fixture = Fixture::echo(2, "");
    let backends = fixture.echo.addresses();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringway.toml");
    let text = from_file(&file, &backends[..1], 1);
    let config = ringway::config::parse("ringway.toml", &text).unwrap();
    let service = ringway::admin::service();
    let started = Running::start_from(&config, Some(file.clone()), service, Signals::Ignore);
    let ringway = started.unwrap();
    let command = |expected| told(&run_at(ringway.control, &["reload"]), expected);

    from_file(&file, backends, 1);
    let answer = say(&ringway, "POST", "/reload", "");
    assert_eq!(
        (answer.status, &*answer.body),
        (200, "{\"needs_restart\":[]}")
    );
    assert_eq!(rows(&ringway).len(), 2);
    assert_eq!(command(0), "reloaded\n");

    from_file(&file, backends, 2);
    let answer = say(&ringway, "POST", "/reload", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("workers"), "{answer:?}");
    from_file(&file, backends, 3);
    let words = command(0);
    assert!(words.contains("hold only after a restart"), "{words}");

    std::fs::write(&file, "[pools.p]\nbackends = 7\n").unwrap();
    let answer = say(&ringway, "POST", "/reload", "");
    let words = refused(&answer, 422);
    assert!(words.contains("pools.p.backends"), "{words}");
    assert!(command(1).contains("pools.p.backends"));
    assert_eq!(rows(&ringway).len(), 2, "nothing was changed");
}

// --- The commands ---

fn run_at(control: SocketAddr, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(arguments)
        .args(["--control", &control.to_string()])
        .output()
        .unwrap()
}

/// What a command said, on standard output if it succeeded and on standard error if not.
fn told(output: &Output, expected: i32) -> String {
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    let (said, silent) = if expected == 0 {
        (&output.stdout, &output.stderr)
    } else {
        (&output.stderr, &output.stdout)
    };
    assert!(silent.is_empty(), "{output:?}");
    String::from_utf8(said.clone()).unwrap()
}

#[test]
fn drain_and_undrain_are_commands() {
    let fixture = Fixture::echo(2, "");
    let control = fixture.ringway.control;
    let first = fixture.echo.addresses()[0].to_string();
    let mut held = Vec::new();
    open(&fixture, &mut held, 2);
    let words = told(&run_at(control, &["drain", "p", &first]), 0);
    assert_eq!(words, format!("p {first}: draining, 1 tunnel open\n"));
    assert_eq!(rows(&fixture.ringway)[0].state, "draining");
    let words = told(&run_at(control, &["undrain", "p", &first]), 0);
    assert_eq!(words, format!("p {first}: up, 1 tunnel open\n"));
    let words = told(&run_at(control, &["drain", "p", "../../reload"]), 1);
    assert_eq!(
        words,
        "ringway: pool \"p\" has no backend \"../../reload\"\n"
    );
    let words = told(&run_at(control, &["drain", "q", &first]), 1);
    assert_eq!(words, "ringway: there is no pool \"q\"\n");
}

#[test]
fn a_command_says_when_nobody_or_somebody_else_answers() {
    // Taken and not listening: nobody else can be there.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    taken.bind(&any.into()).unwrap();
    let silent = taken.local_addr().unwrap().as_socket().unwrap();
    for arguments in [&["drain", "p", "x"][..], &["reload"], &["top", "--once"]] {
        let words = told(&run_at(silent, arguments), 1);
        let start = format!("ringway: no answer from {silent}; does Ringway run");
        assert!(words.starts_with(&start), "{words}");
    }
    let fixture = Fixture::echo(1, "");
    let words = told(&run_at(fixture.echo.addresses()[0], &["reload"]), 1);
    assert!(words.starts_with("ringway: "), "{words}");
}

#[test]
fn top_prints_one_table_where_there_is_no_terminal() {
    let fixture = Fixture::echo(2, "");
    let backends = fixture.echo.addresses();
    let mut held = Vec::new();
    open(&fixture, &mut held, 4);
    order(&fixture.ringway, backends[1], "drain", "");
    for arguments in [&["top", "--once"][..], &["top"]] {
        let table = told(&run_at(fixture.ringway.control, arguments), 0);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].contains(": 4 tunnels open, "), "{table}");
        assert!(lines[0].ends_with("B/s, 1 worker"), "{table}");
        assert!(lines[2].starts_with("POOL  BACKEND"), "{table}");
        let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words(3)[..4], ["p", &backends[0].to_string(), "up", "2"]);
        assert_eq!(
            words(4)[..4],
            ["p", &backends[1].to_string(), "draining", "2"]
        );
        assert_eq!(lines.len(), 5, "{table}");
    }
    let none = told(
        &run_at(fixture.ringway.control, &["top", "--once", "--pool", "q"]),
        0,
    );
    assert_eq!(none.lines().count(), 3, "{none}");
}
