//! SIGTERM takes Ringway down well: everyone is told at a frame boundary, has time to answer, and is counted.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringway::clock::Now;
use support::pairs::{Pair, assert_arrives, assert_ended, assert_reset};
use support::{Puppet, backend_frame, client_frame, connect, read_frame, read_head, upgrade_head};

/// The program itself, in front of a backend that the test drives.
struct Program {
    child: Kept,
    errors: BufReader<std::process::ChildStderr>,
    address: SocketAddr,
    puppet: Puppet,
    _file: tempfile::NamedTempFile,
}

/// A child that does not outlive its test, however early that fails.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(drain: &str) -> Self {
        let puppet = Puppet::new();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(
            file,
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n[drain]\n{drain}\n\
             [pools.p]\nbackends = [\"{}\"]\n[[routes]]\npath = \"/\"\npool = \"p\"\n",
            puppet.address()
        )
        .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(["run", "-c"])
            .arg(file.path())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Kept(child);
        let mut errors = BufReader::new(child.0.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect(&line)
            .parse()
            .unwrap();
        for said in ["workers on ", "metrics on "] {
            line.clear();
            errors.read_line(&mut line).unwrap();
            assert!(line.starts_with(said), "{line}");
        }
        Self {
            child,
            errors,
            address,
            puppet,
            _file: file,
        }
    }

    fn pair(&self) -> Pair {
        let mut client = connect(self.address);
        client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let (backend, _) = self.puppet.accept_tunnel();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
        Pair { client, backend }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Its exit status, and all it said on standard error since it started.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        (self.child.0.wait().unwrap().code(), said)
    }
}

fn assert_told(stream: &mut TcpStream) {
    let (first, payload) = read_frame(stream).unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
}

/// Both sides are told and answer; what they get then is an end, not a reset.
fn leave_well(pair: &mut Pair) {
    assert_told(&mut pair.client);
    assert_told(&mut pair.backend);
    let answer = 1001_u16.to_be_bytes();
    pair.client.write_all(&client_frame(8, &answer)).unwrap();
    pair.backend.write_all(&backend_frame(8, &answer)).unwrap();
    assert_ended(&mut pair.client);
    assert_ended(&mut pair.backend);
}

#[test]
fn everyone_is_told_1001_and_the_exit_is_clean_with_one_line() {
    for signal in ["-TERM", "-INT"] {
        let program = Program::start("time = \"100ms\"\ndeadline = \"20s\"");
        let mut pairs: Vec<Pair> = (0..5).map(|_| program.pair()).collect();
        pairs.iter_mut().for_each(Pair::echoes);
        program.signal(signal);
        pairs.iter_mut().for_each(leave_well);
        let (status, said) = program.end();
        assert_eq!(said, "drained: 5 of 5 tunnels closed cleanly, 0 cut off\n");
        assert_eq!(status, Some(0));
    }
}

#[test]
fn without_tunnels_it_goes_down_at_once() {
    let program = Program::start("time = \"1h\"\ndeadline = \"2h\"");
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(said, "drained: 0 of 0 tunnels closed cleanly, 0 cut off\n");
    assert_eq!(status, Some(0));
}

#[test]
fn a_frame_under_way_arrives_whole_before_the_close_in_either_direction() {
    let program = Program::start("time = \"0s\"\ndeadline = \"20s\"");
    let (mut down, mut up) = (program.pair(), program.pair());
    let from_backend = backend_frame(2, &vec![3; 50_000]);
    let from_client = client_frame(2, &vec![4; 50_000]);
    down.backend.write_all(&from_backend[..20_000]).unwrap();
    up.client.write_all(&from_client[..20_000]).unwrap();
    assert_arrives(&mut down.client, &from_backend[..20_000]);
    assert_arrives(&mut up.backend, &from_client[..20_000]);
    program.signal("-TERM");
    // The quiet direction is told at once, the other one not before its frame has ended.
    assert_told(&mut down.backend);
    assert_told(&mut up.client);
    for stream in [&mut down.client, &mut up.backend] {
        stream.set_nonblocking(true).unwrap();
        assert_eq!(
            stream.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        stream.set_nonblocking(false).unwrap();
    }
    down.backend.write_all(&from_backend[20_000..]).unwrap();
    up.client.write_all(&from_client[20_000..]).unwrap();
    assert_arrives(&mut down.client, &from_backend[20_000..]);
    assert_arrives(&mut up.backend, &from_client[20_000..]);
    let answer = 1001_u16.to_be_bytes();
    for pair in [&mut down, &mut up] {
        pair.client.write_all(&client_frame(8, &answer)).unwrap();
        pair.backend.write_all(&backend_frame(8, &answer)).unwrap();
    }
    assert_told(&mut down.client);
    assert_told(&mut up.backend);
    for stream in [
        &mut down.client,
        &mut down.backend,
        &mut up.client,
        &mut up.backend,
    ] {
        assert_ended(stream);
    }
    let (status, said) = program.end();
    assert_eq!(said, "drained: 2 of 2 tunnels closed cleanly, 0 cut off\n");
    assert_eq!(status, Some(0));
}

#[test]
fn who_does_not_answer_is_cut_at_the_deadline_and_counted() {
    let program = Program::start("time = \"0s\"\ndeadline = \"1s\"");
    let (mut deaf, mut good) = (program.pair(), program.pair());
    let start = Now::read();
    program.signal("-TERM");
    leave_well(&mut good);
    assert_told(&mut deaf.client);
    assert_told(&mut deaf.backend);
    // The client answers, the backend does not.
    deaf.client
        .write_all(&client_frame(8, &1001_u16.to_be_bytes()))
        .unwrap();
    assert_reset(&mut deaf.client);
    assert_reset(&mut deaf.backend);
    assert!(
        Now::read().since(start) >= Duration::from_secs(1),
        "cut before the deadline"
    );
    let (status, said) = program.end();
    assert_eq!(said, "drained: 1 of 2 tunnels closed cleanly, 1 cut off\n");
    assert_eq!(status, Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let program = Program::start("time = \"0s\"\ndeadline = \"1h\"");
    let mut pair = program.pair();
    program.signal("-TERM");
    assert_told(&mut pair.client);
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(said, "stopped at once by a second signal\n");
    assert_eq!(status, Some(130));
}

#[test]
fn who_comes_during_a_drain_is_refused_and_does_not_wait() {
    let program = Program::start("time = \"0s\"\ndeadline = \"1h\"");
    let mut pair = program.pair();
    program.signal("-TERM");
    assert_told(&mut pair.client);
    // Told: the worker no longer accepts. The kernel refuses, or hangs up on who was in its queue.
    let refused = TcpStream::connect_timeout(&program.address, Duration::from_secs(5));
    let late = match refused {
        Err(error) => error.kind(),
        Ok(mut stream) => {
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let _ = stream.write_all(upgrade_head("/ws").as_bytes());
            match stream.read(&mut [0; 12]) {
                Ok(bytes) => panic!("{bytes} bytes for who came too late"),
                Err(error) => error.kind(),
            }
        }
    };
    assert!(
        matches!(
            late,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
        ),
        "{late}"
    );
    leave_well_after_client(&mut pair);
    assert_eq!(program.end().0, Some(0));
}

/// Like [`leave_well`] for a client that was told already.
fn leave_well_after_client(pair: &mut Pair) {
    assert_told(&mut pair.backend);
    let answer = 1001_u16.to_be_bytes();
    pair.client.write_all(&client_frame(8, &answer)).unwrap();
    pair.backend.write_all(&backend_frame(8, &answer)).unwrap();
    assert_ended(&mut pair.client);
}

#[test]
fn the_goodbyes_are_spread_over_the_drain_time() {
    let program = Program::start("time = \"1s\"\ndeadline = \"20s\"");
    let mut pairs: Vec<Pair> = (0..10).map(|_| program.pair()).collect();
    let start = Now::read();
    program.signal("-TERM");
    let mut told: Vec<Duration> = pairs
        .iter_mut()
        .map(|pair| {
            assert_told(&mut pair.client);
            let after = Now::read().since(start);
            leave_well_after_client(pair);
            after
        })
        .collect();
    told.sort();
    let (first, middle, last) = (told[0], told[5], told[9]);
    assert!(
        first < Duration::from_millis(600),
        "the first after {first:?}"
    );
    assert!(
        last >= Duration::from_millis(800),
        "the last after {last:?}"
    );
    assert!(middle > first && middle < last, "{told:?}");
    let (status, said) = program.end();
    assert_eq!(
        said,
        "drained: 10 of 10 tunnels closed cleanly, 0 cut off\n"
    );
    assert_eq!(status, Some(0));
}
