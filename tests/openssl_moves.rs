//! A session of ours moves thousands of times while a real OpenSSL talks to it, in the middle of records and between new
//! keys of either side, and OpenSSL notices nothing.
//!
//! It needs the command `openssl`; without it the tests say so and prove nothing.

#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers are made small before"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "it uses its own part of what it shares with other tests"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

#[path = "record_differential/ends.rs"]
mod ends;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use ringway::clock::Now;
use ringway::rng::Rng;
use ringway::tls::{
    Acceptor, BackendTls, CertificateFiles, Connector, Established, Handshake, ListenerTls,
    Progress, Role, Roots, Suite, TicketKeys, Tickets, UnknownName, Version, sealed_bytes_max,
};

use ends::{End, Own};
use secure::Authority;
use support::PATIENCE;

/// Messages each way, for each version, suite and role.
const ROUNDS: usize = 60;
/// Records that we seal with one key of TLS 1.3.
const RECORDS_PER_KEY: u32 = 9;

/// What has been done, all pairs together.
#[derive(Debug, Default)]
struct Sum {
    moves: usize,
    /// Of those, with a part of a record that had come.
    within_records: usize,
    /// New keys of OpenSSL's that we followed.
    renewals: usize,
    bytes: [usize; 2],
}

/// An `openssl` that puts on its standard output what we send it, and sends us its standard input.
struct OpenSsl {
    child: Child,
    out: ChildStdout,
}

impl OpenSsl {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .current_dir(folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        Self { child, out }
    }

    /// Has it send this, in one write, so that it reads it in one: its first byte must be no order.
    fn say(&mut self, message: &[u8]) {
        let mut to = self.child.stdin.as_ref().unwrap();
        to.write_all(message).unwrap();
    }

    /// What it has heard of us: so many bytes.
    fn heard(&mut self, bytes: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut room = [0; 16 * 1024];
        while heard.len() < bytes {
            let more = self.out.read(&mut room).unwrap();
            assert!(more > 0, "it ended");
            // It says things of its own in between ("Read BLOCK", "SSL_do_handshake -> 1"), in other letters than ours.
            let is_ours = |byte: &u8| *byte == START || LETTERS.contains(byte);
            heard.extend(room[..more].iter().copied().filter(is_ours));
        }
        heard
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our side: the session, wherever it is, and its socket.
struct Ours {
    socket: UnixStream,
    own: Option<Own>,
    rng: Rng,
    sum: Sum,
}

impl Ours {
    fn own(&mut self) -> &mut Own {
        self.own.as_mut().unwrap()
    }

    /// Into another process and back.
    fn travel(&mut self) {
        let own = self.own.take().unwrap();
        self.sum.moves += 1;
        self.sum.within_records += usize::from(!own.wire.is_empty());
        self.own = Some(own.travel());
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u32) as usize
    }

    /// Reads until it is so; moves after each piece.
    fn read_until(&mut self, is_so: impl Fn(&Own) -> bool) {
        while !is_so(self.own()) {
            let mut room = [0; 400];
            let most = 1 + self.below(room.len());
            let bytes = self.socket.read(&mut room[..most]).unwrap();
            assert!(bytes > 0, "OpenSSL ended the connection");
            self.own().feed(&room[..bytes]);
            self.travel();
            assert!(self.own().end == End::Live || is_so(self.own()));
        }
    }

    /// Sends a message in a few records, and moves after each.
    fn send(&mut self, message: &[u8]) {
        let mut rest = message;
        while !rest.is_empty() {
            let cut = 1 + self.below(rest.len().min(9000));
            let (part, after) = rest.split_at(cut);
            let mut out = vec![0; sealed_bytes_max(part.len())];
            let Own { session, keys, .. } = self.own();
            let bytes = session.seal(keys, part, &mut out).unwrap();
            // What is sealed belongs to who was there then: it goes out as it is, before the move or after.
            if self.below(2) == 0 {
                self.travel();
            }
            self.socket.write_all(&out[..bytes]).unwrap();
            self.travel();
            rest = after;
        }
    }
}

/// Shakes hands over the socket, and lets the session use few records for each key where there are others.
fn shaken(mut socket: UnixStream, mut handshake: Handshake, seed: u64) -> Ours {
    let mut out = Vec::new();
    let mut room = [0; 4096];
    let mut bytes = 0;
    let Established {
        session, leftover, ..
    } = loop {
        let progress = handshake.feed(&room[..bytes], &mut out);
        socket.write_all(&out).unwrap();
        out.clear();
        match progress.unwrap() {
            Progress::Done(established) => break *established,
            Progress::More => {}
        }
        bytes = socket.read(&mut room).unwrap();
        assert!(bytes > 0, "OpenSSL ended the handshake");
    };
    let session = match session.version() {
        Version::Tls12 => session,
        Version::Tls13 => session.with_limit(RECORDS_PER_KEY),
    };
    let mut own = Own::new(session);
    own.feed(&leftover);
    Ours {
        socket,
        own: Some(own),
        rng: Rng::seeded(seed),
        sum: Sum::default(),
    }
}

/// Both talk, and renew their keys where there are others; then we end it, and OpenSSL does.
fn talk(mut openssl: OpenSsl, mut ours: Ours) -> Sum {
    let version = ours.own().session.version();
    for round in 0..ROUNDS {
        // No order begins like it.
        let bytes = 1 + ours.below(4000);
        let message = message_of(round, bytes);
        openssl.say(&message);
        ours.read_until(|own| own.data.len() >= message.len());
        assert!(std::mem::take(&mut ours.own().data) == message);
        ours.sum.bytes[0] += bytes;

        if version == Version::Tls13 && round % 3 == 0 {
            let before = ours.own().renewals;
            // It asks for our next key too, or it does not.
            let order = if round % 2 == 0 { b"K\n" } else { b"k\n" };
            openssl.say(order);
            ours.read_until(|own| own.renewals > before);
            assert!(ours.own().session.owes_update() || order == b"k\n");
        }

        let bytes = 1 + ours.below(20_000);
        let message = message_of(round, bytes);
        ours.send(&message);
        let heard = openssl.heard(bytes);
        assert!(
            heard == message,
            "round {round}: {} of {bytes}",
            heard.len()
        );
        ours.sum.bytes[1] += bytes;
    }
    ours.sum.renewals = ours.own().renewals;
    let mut out = [0; ringway::tls::ALERT_BYTES_MAX];
    let Own { session, keys, .. } = ours.own();
    let bytes = session.close(keys, &mut out);
    ours.socket.write_all(&out[..bytes]).unwrap();
    ours.travel();
    ours.read_until(|own| own.end == End::Closed);
    assert!(ours.own().session.saw_close_notify());
    ours.sum
}

/// A message that no order begins like, in letters that OpenSSL does not use when it speaks for itself.
fn message_of(round: usize, bytes: usize) -> Vec<u8> {
    let letters = LETTERS.iter().cycle().skip(round % LETTERS.len());
    std::iter::once(&START)
        .chain(letters)
        .take(bytes)
        .copied()
        .collect()
}

fn listener(papers: &secure::Papers, suite: Suite) -> ListenerTls {
    ListenerTls {
        certificates: vec![CertificateFiles {
            chain: papers.chain.clone(),
            key: papers.key.clone(),
        }],
        unknown_name: UnknownName::Default,
        min_version: Version::Tls12,
        suites: vec![suite],
        tickets: Tickets::Own {
            rotate_after: PATIENCE,
        },
        clients: None,
        handshake_timeout: PATIENCE,
    }
}

const fn version_option(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    }
}

fn patient(socket: UnixStream) -> UnixStream {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Runs every version and suite, looks that enough has happened, and reports it.
fn each(role: Role, pair: impl Fn(Version, Suite) -> Sum) -> String {
    let found = Command::new("openssl").arg("version").output();
    let Ok(found) = found else {
        return "skipped: there is no command openssl".to_owned();
    };
    let mut sum = Sum::default();
    for version in [Version::Tls12, Version::Tls13] {
        for suite in Suite::ALL {
            let one = pair(version, suite);
            assert!(one.within_records > 100, "{version:?}, {suite:?}: {one:?}");
            sum.moves += one.moves;
            sum.within_records += one.within_records;
            sum.renewals += one.renewals;
            sum.bytes[0] += one.bytes[0];
            sum.bytes[1] += one.bytes[1];
        }
    }
    assert!(sum.moves > 5000 && sum.renewals >= ROUNDS, "{sum:?}");
    let version = String::from_utf8_lossy(&found.stdout);
    format!("{role:?} of {}: {sum:?}", version.trim_end())
}

#[test]
fn s_client_notices_no_move_of_our_server() {
    let authority = Authority::new();
    let papers = authority.issue("server", &["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let report = each(Role::Server, |version, suite| {
        let listener = listener(&papers, suite);
        let keys = TicketKeys::load(&listener.tickets, Now::read()).unwrap();
        let acceptor = Acceptor::load(&listener, &keys).unwrap().acceptor;
        let path = fresh(folder.path());
        let door = UnixListener::bind(&path).unwrap();
        // Quiet, it prints what it hears and no more; orders are taken all the same.
        let options = ["-quiet", "-no_ign_eof", "-verify_return_error"];
        let ca = text(&authority.file());
        let at = ["s_client", "-unix", PLACE, "-CAfile", &ca];
        let named = ["-servername", "localhost", version_option(version)];
        let openssl = OpenSsl::start(folder.path(), &[&at[..], &named, &options].concat());
        let (socket, _) = door.accept().unwrap();
        let handshake = Handshake::accept(&acceptor).unwrap();
        talk(openssl, shaken(patient(socket), handshake, 1))
    });
    println!("{report}");
}

#[test]
fn s_server_notices_no_move_of_our_client() {
    let authority = Authority::new();
    let papers = authority.issue("server", &["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let report = each(Role::Client, |version, suite| {
        let connector = Connector::load(&BackendTls {
            roots: Roots::File(authority.file()),
            server_name: None,
            certificate: None,
            pins: Vec::new(),
            min_version: Version::Tls12,
            suites: vec![suite],
        })
        .unwrap();
        let path = fresh(folder.path());
        let (chain, key) = (text(&papers.chain), text(&papers.key));
        let at = ["s_server", "-unix", PLACE, "-cert", &chain, "-key", &key];
        // Quiet, it takes no orders.
        let options = [version_option(version), "-naccept", "1"];
        let mut openssl = OpenSsl::start(folder.path(), &[&at[..], &options].concat());
        let socket = loop {
            if let Ok(socket) = UnixStream::connect(&path) {
                break socket;
            }
            assert!(openssl.child.try_wait().unwrap().is_none(), "it ended");
            std::thread::yield_now();
        };
        let handshake = Handshake::connect(&connector, "localhost").unwrap();
        let mut ours = shaken(patient(socket), handshake, 2);
        // All that it says of the handshake stands before the first that it hears.
        let first = b"!#$%&*+\n";
        ours.send(first);
        let mut said = Vec::new();
        while !said.ends_with(first) {
            let mut byte = [0];
            assert_eq!(openssl.out.read(&mut byte).unwrap(), 1, "it ended");
            said.extend(byte);
        }
        talk(openssl, ours)
    });
    println!("{report}");
}

/// The place of the next socket.
fn fresh(folder: &Path) -> PathBuf {
    let path = folder.join(PLACE);
    let _ = std::fs::remove_file(&path);
    path
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Where the socket is, in the folder that OpenSSL works in: version 3.0.19 ends when it has to print a path of 36 bytes.
const PLACE: &str = "s";

const START: u8 = b'!';
const LETTERS: &[u8] = b"#$%&*+;?@^{|}~";
