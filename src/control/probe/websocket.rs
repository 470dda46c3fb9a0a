//! A handshake, a ping and its pong, judged by the very rules that a tunnel's greeting and relay are held to.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ProbeFailure, Stream, USER_AGENT, host, secure};
use crate::clock::Now;
use crate::health::WebSocketProbe;
use crate::http::{Expected, HeadScan, ResponseHead, accept_key, is_interim, verify_101};
use crate::limits::{
    FRAME_HEADER_BYTES_MAX, HEAD_BYTES_MAX, INTERIM_ANSWERS_MAX, PROBE_SKIPPED_BYTES_MAX,
};
use crate::rng::Rng;
use crate::ws::{FrameHeader, Opcode, Rule, Scanner, Sender, Verdict, apply_mask, close};

/// A WebSocket that a backend has agreed to.
pub(super) struct Open {
    stream: Stream,
    listening: Listening,
    mask: [u8; 4],
}

impl Open {
    /// Shakes hands. An offered subprotocol must be taken.
    pub(super) async fn greet(
        mut stream: Stream,
        address: SocketAddr,
        asked: &WebSocketProbe,
        rng: &mut Rng,
    ) -> Result<Self, ProbeFailure> {
        let key = STANDARD.encode(sixteen(rng));
        let request = request(address, asked, &key)?;
        write(&mut stream, request.as_bytes()).await?;
        let expected = Expected {
            accept: accept_key(&key),
            protocols: asked.subprotocol.clone().unwrap_or_default(),
            deflate_offered: false,
        };
        let (head, early) = read_head(&mut stream).await?;
        confirm(&head, &expected)?;
        let mut listening = Listening::for_pong(sixteen(rng));
        listening.feed(&early)?;
        let [mask @ .., _, _, _, _] = rng.next_u64().to_ne_bytes();
        Ok(Self {
            stream,
            listening,
            mask,
        })
    }

    /// Pings, and answers how long the pong took.
    pub(super) async fn ping(&mut self) -> Result<Duration, ProbeFailure> {
        let mut payload = self.listening.payload;
        let header = FrameHeader {
            fin: true,
            rsv: 0,
            opcode: Opcode::Ping,
            mask: Some(self.mask),
            payload_bytes: payload.len() as u64,
        };
        let mut frame = [0; FRAME_HEADER_BYTES_MAX];
        let header_bytes = header.encode(&mut frame);
        apply_mask(&mut payload, self.mask, 0);
        let ping = [&frame[..header_bytes], &payload].concat();
        let asked = Now::read();
        write(&mut self.stream, &ping).await?;
        let mut room = [0; READ_BYTES];
        loop {
            let read = read(&mut self.stream, &mut room).await?;
            if self.listening.feed(&room[..read])? {
                return Ok(Now::read().since(asked));
            }
        }
    }

    /// Closes as RFC 6455 section 7.1.1 asks of a client: a Close, then the server ends the connection first, so that
    /// it does not find a reset in its log for every probe. The caller bounds the time.
    pub(super) async fn say_goodbye(mut self) -> Result<(), ProbeFailure> {
        let goodbye = crate::ws::close_frame(close::NORMAL, "", Some(self.mask));
        write(&mut self.stream, goodbye.as_bytes()).await?;
        let (mut room, mut dropped) = ([0; READ_BYTES], 0);
        while dropped < PROBE_SKIPPED_BYTES_MAX {
            dropped += read(&mut self.stream, &mut room).await?;
        }
        Ok(())
    }
}

/// Reads frames for one pong. Feed it the bytes as they come: cutting them elsewhere never changes the outcome.
struct Listening {
    payload: [u8; 16],
    /// Judges what it passes, as in a tunnel.
    scanner: Scanner,
    /// Half a header or half a control frame: less than 139 bytes between two feeds.
    held: Vec<u8>,
    /// Bytes of the data frame under way that are still to come.
    skip: u64,
    seen: usize,
}

impl Listening {
    fn for_pong(payload: [u8; 16]) -> Self {
        Self {
            payload,
            scanner: Scanner::new(Sender::Backend, false),
            held: Vec::new(),
            skip: 0,
            seen: 0,
        }
    }

    /// Whether the pong is there. Data, pings and pongs of other payloads are passed over, up to a bound.
    fn feed(&mut self, chunk: &[u8]) -> Result<bool, ProbeFailure> {
        self.seen += chunk.len();
        if self.seen > PROBE_SKIPPED_BYTES_MAX {
            return Err(ProbeFailure::BadAnswer(format!(
                "it sent {PROBE_SKIPPED_BYTES_MAX} bytes before its pong"
            )));
        }
        if let Verdict::Violation(rule) = self.scanner.feed(chunk).verdict {
            return Err(broken(rule));
        }
        self.held.extend_from_slice(chunk);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while let Some((frame, frame_bytes)) = self.next(rest)? {
            rest = &rest[frame_bytes..];
            match frame {
                Frame::Pong => return Ok(true),
                Frame::Other => {}
                Frame::Close => {
                    return Err(ProbeFailure::BadAnswer(
                        "it closed the WebSocket before its pong".to_owned(),
                    ));
                }
            }
        }
        self.held = rest.to_vec();
        Ok(false)
    }

    /// The next whole control frame, or as much of a data frame as there is, and how many bytes that is.
    fn next(&mut self, bytes: &[u8]) -> Result<Option<Found>, ProbeFailure> {
        if self.skip > 0 {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            let skipped = usize::try_from(skipped).unwrap_or(bytes.len());
            return Ok((skipped > 0).then_some((Frame::Other, skipped)));
        }
        let Some((header, header_bytes)) = FrameHeader::decode(bytes).map_err(broken)? else {
            return Ok(None);
        };
        if !header.opcode.is_control() {
            self.skip = header.payload_bytes;
            return Ok(Some((Frame::Other, header_bytes)));
        }
        let payload_bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        let Some(payload) = bytes[header_bytes..].get(..payload_bytes) else {
            return Ok(None);
        };
        let frame = match header.opcode {
            Opcode::Close => Frame::Close,
            Opcode::Pong if payload == self.payload => Frame::Pong,
            _ => Frame::Other,
        };
        Ok(Some((frame, header_bytes + payload_bytes)))
    }
}

/// A frame and how many bytes it takes.
type Found = (Frame, usize);

/// What a frame is to a probe.
enum Frame {
    Pong,
    Close,
    Other,
}

fn request(address: SocketAddr, asked: &WebSocketProbe, key: &str) -> Result<String, ProbeFailure> {
    let host = host(asked.host.as_ref(), address);
    let path = &asked.path;
    let offer = match &asked.subprotocol {
        Some(name) => format!("Sec-WebSocket-Protocol: {name}\r\n"),
        None => String::new(),
    };
    let words = [&host, path, asked.subprotocol.as_ref().unwrap_or(path)];
    // The settings were checked; a line end here would let them write fields of their own.
    if words
        .iter()
        .any(|word| !word.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(ProbeFailure::Ours(
            "its host, path or subprotocol cannot stand in a request".to_owned(),
        ));
    }
    Ok(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n"
    ))
}

/// Reads the final head, past interim ones, and what has come after it.
async fn read_head(stream: &mut Stream) -> Result<(Vec<u8>, Vec<u8>), ProbeFailure> {
    let mut bytes = Vec::new();
    let mut room = [0; READ_BYTES];
    let (mut scan, mut interim) = (HeadScan::default(), 0);
    loop {
        while let Some(length) = scan.feed(&bytes).map_err(not_http)? {
            let early = bytes.split_off(length);
            let head = std::mem::replace(&mut bytes, early);
            if !is_interim(&ResponseHead::parse(&head).map_err(not_http)?) {
                return Ok((head, bytes));
            }
            interim += 1;
            if interim > INTERIM_ANSWERS_MAX {
                return Err(ProbeFailure::BadAnswer(format!(
                    "it sent more than {INTERIM_ANSWERS_MAX} interim answers"
                )));
            }
            scan = HeadScan::default();
        }
        // The scan refuses a head over its bound, so this holds one head and one read at most.
        debug_assert!(bytes.len() <= HEAD_BYTES_MAX);
        let read = read(stream, &mut room).await?;
        bytes.extend_from_slice(&room[..read]);
    }
}

fn confirm(head: &[u8], expected: &Expected) -> Result<(), ProbeFailure> {
    let head = ResponseHead::parse(head).map_err(not_http)?;
    if head.status() != 101 {
        return Err(ProbeFailure::BadAnswer(format!(
            "its status is {}, expected 101",
            head.status()
        )));
    }
    verify_101(&head, expected)
        .map_err(|bad| ProbeFailure::BadAnswer(format!("its 101 proves nothing: {bad}")))?;
    if !expected.protocols.is_empty() && head.header("sec-websocket-protocol").is_none() {
        return Err(ProbeFailure::BadAnswer(format!(
            "it did not take the subprotocol {}",
            expected.protocols
        )));
    }
    Ok(())
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> Result<(), ProbeFailure> {
    // Over TLS bytes may wait for more to go with them.
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    written.await.map_err(|error| broken_off(&error))
}

/// Reads at least one byte.
async fn read(stream: &mut Stream, room: &mut [u8]) -> Result<usize, ProbeFailure> {
    let read: io::Result<usize> = stream.read(room).await;
    match read {
        Ok(0) => Err(ProbeFailure::Closed),
        Ok(read) => Ok(read),
        Err(error) => Err(broken_off(&error)),
    }
}

fn broken_off(error: &io::Error) -> ProbeFailure {
    secure::failure(error).unwrap_or(ProbeFailure::Closed)
}

fn sixteen(rng: &mut Rng) -> [u8; 16] {
    let wide = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
    wide.to_ne_bytes()
}

fn not_http(error: crate::http::HeadError) -> ProbeFailure {
    ProbeFailure::BadAnswer(format!("its answer is not HTTP: {error}"))
}

fn broken(rule: Rule) -> ProbeFailure {
    ProbeFailure::BadAnswer(format!("it broke a rule of RFC 6455: {}", rule.reason()))
}

/// One read. A pong is 18 bytes; more only passes what has to be skipped.
const READ_BYTES: usize = 4096;
