//! `ringway tunnels` and `ringway tail` as a person types them, against a Ringway in this process.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use ringway::control::{SeenFrame, TunnelList};
use support::{Fixture, client_frame, connect, open_tunnel, read_frame, read_head};

fn ringway(control: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command
        .args(arguments)
        .args(["--control", &control.to_string()]);
    command
}

/// Runs a command to its end: its exit code, its output, its words.
fn run(control: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    told(ringway(control, arguments).output().unwrap())
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

fn list(control: SocketAddr, arguments: &[&str]) -> TunnelList {
    let (code, output, _) = run(control, &[&["tunnels", "--json"], arguments].concat());
    assert_eq!(code, 0, "{output}");
    serde_json::from_str(&output).unwrap()
}

/// One message and its echo.
fn echoes(client: &mut TcpStream, payload: &[u8]) {
    client.write_all(&client_frame(1, payload)).unwrap();
    assert_eq!(read_frame(client).unwrap().1, payload);
}

/// A command under way, and the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(control: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = ringway(control, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines() {
                // Whoever has seen enough does not listen any more.
                let _ = sender.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// The next line; messages go through the tunnel until it comes. Nothing once the command has ended.
    fn next(&self, client: &mut TcpStream, payload: &[u8]) -> Option<String> {
        loop {
            match self.lines.try_recv() {
                Ok(line) => return Some(line),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => echoes(client, payload),
            }
        }
    }

    /// How it ended, and its words.
    fn end(mut self) -> (i32, String) {
        let mut words = String::new();
        let errors = self.child.stderr.as_mut().unwrap();
        errors.read_to_string(&mut words).unwrap();
        (self.child.wait().unwrap().code().unwrap(), words)
    }
}

#[test]
fn tunnels_are_a_table_or_json_and_what_is_missing_is_said_beside_it() {
    let fixture = Fixture::echo(2, "");
    let control = fixture.ringway.control;
    let mut held: Vec<_> = (0..6).map(|_| open_tunnel(fixture.address())).collect();
    echoes(&mut held[0], b"hello");
    let (code, table, words) = run(control, &["tunnels"]);
    assert_eq!((code, &*words), (0, ""));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID "), "{table}");
    assert_eq!(lines.len(), 7, "{table}");
    let client = held[0].local_addr().unwrap().to_string();
    let own = lines.iter().find(|line| line.contains(&client)).unwrap();
    let cells: Vec<&str> = own.split_whitespace().collect();
    assert_eq!(cells[cells.len() - 4..], ["1", "11", "1", "7"], "{own}");

    let backend = fixture.echo.addresses()[0].to_string();
    let found = list(control, &["--backend", &backend]);
    assert_eq!((found.tunnels.len(), found.more), (3, false));
    assert!(found.tunnels.iter().all(|tunnel| tunnel.backend == backend));
    assert_eq!(list(control, &["--route", "no such/route?"]).tunnels, []);
    assert_eq!(list(control, &["--worker", "0"]).tunnels.len(), 6);
    let (code, table, words) = run(control, &["tunnels", "--limit", "2"]);
    assert_eq!((code, table.lines().count()), (0, 3));
    assert!(words.starts_with("there are more"), "{words}");
    let (code, _, words) = run(control, &["tunnels", "--worker", "7"]);
    assert_eq!(code, 1);
    assert_eq!(words, "ringway: worker: expected 0 to 0, found 7\n");
    let (code, _, words) = run(control, &["tunnels", "--limit", "1001"]);
    assert_eq!(code, 2, "{words}");
}

#[test]
fn a_tail_prints_frames_as_they_come_and_ends_with_the_tunnel() {
    let fixture = Fixture::echo(1, "");
    let control = fixture.ringway.control;
    let mut client = open_tunnel(fixture.address());
    let id = list(control, &[]).tunnels[0].id.clone();
    let tail = Following::start(control, &["tail", &id, "--payload"]);
    let line = tail.next(&mut client, b"Secret 42!").unwrap();
    assert!(
        line.contains("text                  10 bytes  Xxxxxx 00!"),
        "{line}"
    );
    drop(client);
    let (code, words) = tail.end();
    assert_eq!((code, words), (0, format!("tunnel {id} has ended\n")));
    let (code, _, words) = run(control, &["tail", &id]);
    let wanted = format!("ringway: there is no tunnel {id}, or it has ended\n");
    assert_eq!((code, words), (1, wanted));
    let (code, _, words) = run(control, &["tail", "seventeen"]);
    assert_eq!(code, 2);
    assert!(words.contains("such as 0-17-4211"), "{words}");
}

#[test]
fn a_tail_ends_after_as_many_frames_as_are_wanted() {
    let fixture = Fixture::echo(1, "");
    let control = fixture.ringway.control;
    let mut client = open_tunnel(fixture.address());
    let id = list(control, &[]).tunnels[0].id.clone();
    let arguments = ["tail", &id, "--count", "3", "--every", "4", "--json"];
    let tail = Following::start(control, &arguments);
    let mut frames: Vec<SeenFrame> = Vec::new();
    while let Some(line) = tail.next(&mut client, b"hello") {
        frames.push(serde_json::from_str(&line).unwrap());
    }
    assert_eq!(tail.end(), (0, String::new()));
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        assert_eq!((frame.number % 4, frame.payload_bytes), (0, 5), "{frame:?}");
        assert_eq!(frame.shape, None);
    }
}

#[test]
fn whoever_reads_a_tail_may_stop_at_any_time() {
    let fixture = Fixture::echo(1, "");
    let control = fixture.ringway.control;
    let mut client = open_tunnel(fixture.address());
    let id = list(control, &[]).tunnels[0].id.clone();
    let mut command = ringway(control, &["tail", &id]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    while child.try_wait().unwrap().is_none() {
        echoes(&mut client, b"hello");
    }
    let (code, _, words) = told(child.wait_with_output().unwrap());
    assert_eq!((code, &*words), (0, ""));
}

/// Killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn whoever_is_shown_shapes_is_logged_and_nobody_else() {
    let echo = Fixture::echo(1, "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringway.toml");
    let text = format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n[pools.p]\nbackends = [\"{}\"]\n[[routes]]\npool = \"p\"\n",
        echo.echo.addresses()[0]
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command
        .args(["run", "-c"])
        .arg(&file)
        .stderr(Stdio::piped());
    let mut child = Killed(command.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let mut after = |start: &str| {
        let found = lines.find_map(|line| Some(line.unwrap().split_once(start)?.1.to_owned()));
        found.unwrap_or_else(|| panic!("it never said {start:?}"))
    };
    let address = after("listening on ").parse().unwrap();
    let control = after("metrics on http://");
    let control = control.trim_end_matches("/metrics").parse().unwrap();
    let _client = open_tunnel(address);
    let id = list(control, &[]).tunnels[0].id.clone();
    let ask = |payload: &str| {
        let mut asking = connect(control);
        let target = format!("/tunnels/{id}/frames?payload={payload}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        asking.write_all(request.as_bytes()).unwrap();
        assert!(read_head(&mut asking).starts_with("HTTP/1.1 200 "));
        asking.local_addr().unwrap()
    };
    ask("none");
    let peer = ask("shape");
    let logged = after("the shape of payloads was shown");
    assert!(logged.contains(&peer.to_string()), "{logged}");
    assert!(logged.contains(&id), "{logged}");
}
