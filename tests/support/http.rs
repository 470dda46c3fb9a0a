//! What the tests about greetings share: an answer read whole, a refusal judged in full, and a bystander.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use ringway::control::Running;

use crate::support::{client_frame, connect, metric, open_tunnel, read_frame};

/// One whole HTTP answer, read until its connection ended well.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads to the end of the stream; a reset is a failure.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        end.unwrap_or_else(|error| panic!("{error} after {text:?}"));
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no status in {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The value of a header, if it is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of a header of a head, if it is there once.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    });
    let value = values.next();
    assert!(values.next().is_none(), "{name} is there twice: {head}");
    value
}

/// A Ringway in this process with this configuration, whole.
pub fn start_text(text: &str) -> Running {
    let config =
        ringway::config::parse("test.toml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let service = ringway::admin::service();
    Running::start(&config, service, ringway::control::Signals::Ignore).unwrap()
}

/// Sends these bytes on a new connection and reads the answer whole.
pub fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    Answer::read(&mut stream)
}

/// How often Ringway has refused for this reason; without a reason, for any.
pub fn refusals(ringway: &Running, reason: &str) -> f64 {
    let label = if reason.is_empty() {
        String::new()
    } else {
        format!("{{reason=\"{reason}\"")
    };
    metric(ringway, &format!("ringway_refusals_total{label}"))
}

/// Asserts that an answer is one of Ringway's own refusals, in every way but its count.
pub fn assert_refused(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.starts_with(&status.to_string()), "{answer:?}");
    assert!(answer.body.contains(words), "{words:?} in {answer:?}");
    let length = answer.body.len().to_string();
    assert_eq!(answer.header("content-length"), Some(&*length));
    let connection = answer.header("connection").unwrap_or_default();
    assert!(connection.starts_with("close"), "{answer:?}");
    let again = matches!(status, 429 | 503);
    assert_eq!(answer.header("retry-after").is_some(), again, "{answer:?}");
}

/// Asserts a refusal in every way: `request` gets `status`, is counted under `reason` and under no other, and the
/// body says `words`.
pub fn assert_refuses(
    ringway: &Running,
    request: &[u8],
    (status, reason): (u16, &str),
    words: &str,
) {
    let before = (refusals(ringway, reason), refusals(ringway, ""));
    let answer = ask(ringway.listening[0], request);
    assert_refused(&answer, status, words);
    assert_eq!(
        (refusals(ringway, reason), refusals(ringway, "")),
        (before.0 + 1.0, before.1 + 1.0),
        "{reason} and nothing else is counted for {:?}",
        String::from_utf8_lossy(&request[..request.len().min(200)])
    );
}

/// A tunnel that must not notice what happens beside it.
pub struct Bystander(TcpStream);

impl Bystander {
    pub fn new(address: SocketAddr) -> Self {
        let mut bystander = Self(open_tunnel(address));
        bystander.echoes();
        bystander
    }

    pub fn echoes(&mut self) {
        self.0.write_all(&client_frame(2, b"still here")).unwrap();
        let (first, payload) = read_frame(&mut self.0).unwrap();
        assert_eq!((first, &*payload), (0x82, &b"still here"[..]));
    }
}
