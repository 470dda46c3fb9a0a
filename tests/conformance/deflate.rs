//! permessage-deflate (RFC 7692) around `flate2`: the terms, both codecs, and an echo server that uses them.

use std::fmt::Write as _;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use crate::case::{CLOSE, LAST, Message, PONG};
use crate::servers::{end, fragments};
use crate::support::{ACCEPT, frame};
use crate::talk::field;

/// What both sides have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    client: Side,
    server: Side,
}

/// How one side compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side {
    /// Whether a message may refer to the ones before it.
    takes_over: bool,
    window_bits: u8,
}

impl Terms {
    /// The first of a client's offers that we can keep, and our answer to it.
    fn agree(offers: &str) -> Option<(Self, String)> {
        let terms = offers.split(',').find_map(Self::told)?;
        let mut answer = String::from("permessage-deflate");
        for (name, side) in [("server", terms.server), ("client", terms.client)] {
            if !side.takes_over {
                write!(answer, "; {name}_no_context_takeover").unwrap();
            }
            if side.window_bits < 15 {
                write!(answer, "; {name}_max_window_bits={}", side.window_bits).unwrap();
            }
        }
        Some((terms, answer))
    }

    /// The terms of a server's answer or of one offer of a client; none if there are none that we can keep.
    pub(crate) fn told(element: &str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return None;
        }
        let most = Side {
            takes_over: true,
            window_bits: 15,
        };
        let mut terms = Self {
            client: most,
            server: most,
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match (name, value) {
                ("client_no_context_takeover", "") => terms.client.takes_over = false,
                ("server_no_context_takeover", "") => terms.server.takes_over = false,
                // Any width will do for such a client, so it is told one that matters.
                ("client_max_window_bits", "") => terms.client.window_bits = 10,
                ("client_max_window_bits", bits) => terms.client.window_bits = width(bits)?,
                ("server_max_window_bits", bits) => terms.server.window_bits = width(bits)?,
                _ => return None,
            }
        }
        Some(terms)
    }
}

/// zlib has no raw window of 8 bits.
fn width(bits: &str) -> Option<u8> {
    bits.parse().ok().filter(|bits| (9..=15).contains(bits))
}

/// Compresses the messages of one side.
pub(crate) struct Deflater {
    state: Compress,
    takes_over: bool,
}

impl Deflater {
    pub(crate) fn of_client(terms: Terms) -> Self {
        Self::new(terms.client)
    }

    fn new(side: Side) -> Self {
        let state = Compress::new_with_window_bits(Compression::fast(), false, side.window_bits);
        Self {
            state,
            takes_over: side.takes_over,
        }
    }

    /// The payload that stands for a message.
    pub(crate) fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        if message.is_empty() {
            // A flush of nothing writes nothing; RFC 7692 section 7.2.3.6 says what stands for it.
            return vec![0];
        }
        let (mut out, mut taken) = (Vec::with_capacity(message.len() / 2 + 64), 0);
        loop {
            let before = self.state.total_in();
            let status = self
                .state
                .compress_vec(&message[taken..], &mut out, FlushCompress::Sync);
            status.unwrap();
            taken += usize::try_from(self.state.total_in() - before).unwrap();
            // Room to spare means that everything is out.
            if taken == message.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.capacity());
        }
        if !self.takes_over {
            self.state.reset();
        }
        assert!(out.ends_with(&FLUSHED), "a flush ends in an empty block");
        out.truncate(out.len() - FLUSHED.len());
        out
    }
}

/// Inflates the messages of one side.
pub(crate) struct Inflater {
    state: Decompress,
    takes_over: bool,
}

impl Inflater {
    pub(crate) fn of_server(terms: Terms) -> Self {
        Self::new(terms.server)
    }

    fn new(side: Side) -> Self {
        let state = Decompress::new_with_window_bits(false, side.window_bits);
        Self {
            state,
            takes_over: side.takes_over,
        }
    }

    /// The message that a payload stands for.
    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let wire = [payload, &FLUSHED].concat();
        let (mut out, mut taken) = (Vec::with_capacity(wire.len() * 4), 0);
        loop {
            let before = self.state.total_in();
            let status = self
                .state
                .decompress_vec(&wire[taken..], &mut out, FlushDecompress::Sync);
            status.map_err(|error| format!("not deflated: {error}"))?;
            taken += usize::try_from(self.state.total_in() - before).unwrap();
            if taken == wire.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.capacity());
        }
        if !self.takes_over {
            self.state.reset(false);
        }
        Ok(out)
    }
}

/// Echoes what a client says, compressed if it was compressed, until it closes or breaks a rule.
pub(crate) async fn serve(stream: TcpStream, fragment_bytes: usize) -> Option<()> {
    let mut stream = BufStream::new(stream);
    let terms = shake_hands(&mut stream).await?;
    let mut echo = Echo {
        codecs: terms.map(|terms| (Inflater::new(terms.client), Deflater::new(terms.server))),
        open: None,
    };
    loop {
        let (first, payload) = read_frame(&mut stream).await?;
        let answer = echo.answer(first, payload);
        let (first, payload) = match answer {
            Ok(None) => continue,
            Ok(Some(answer)) => answer,
            Err(code) => (CLOSE, code.to_be_bytes().to_vec()),
        };
        let is_control = first & 0x08 != 0;
        send(
            &mut stream,
            first,
            &payload,
            if is_control {
                usize::MAX
            } else {
                fragment_bytes
            },
        )
        .await?;
        if first == CLOSE {
            end(&mut stream).await;
            return Some(());
        }
    }
}

/// One conversation of the server.
struct Echo {
    codecs: Option<(Inflater, Deflater)>,
    /// The first byte of the message under way, and what there is of it.
    open: Option<Message>,
}

impl Echo {
    /// What to say to a frame, or the code to refuse it with.
    fn answer(&mut self, first: u8, payload: Vec<u8>) -> Result<Option<Message>, u16> {
        let (opcode, reserved) = (first & 0x0F, first & 0x70);
        match (opcode, reserved, &mut self.open) {
            (1 | 2, 0, None) => self.open = Some((first, payload)),
            (1 | 2, 0x40, None) if self.codecs.is_some() => self.open = Some((first, payload)),
            (0, 0, Some((_, start))) => start.extend(payload),
            (8, 0, _) => return Ok(Some((CLOSE, payload))),
            (9, 0, _) => return Ok(Some((PONG, payload))),
            (10, 0, _) => return Ok(None),
            _ => return Err(1002),
        }
        match self.open.take() {
            Some((start, message)) if first & LAST != 0 => {
                self.recoded(start, message).map(Some).ok_or(1007)
            }
            open => {
                self.open = open;
                Ok(None)
            }
        }
    }

    fn recoded(&mut self, first: u8, payload: Vec<u8>) -> Option<Message> {
        let first = first | LAST;
        if first & 0x40 == 0 {
            return Some((first, payload));
        }
        let (inflater, deflater) = self.codecs.as_mut()?;
        let message = inflater.inflate(&payload).ok()?;
        Some((first, deflater.deflate(&message)))
    }
}

/// Answers the upgrade; every client here sends the key of the RFC.
async fn shake_hands(stream: &mut BufStream<TcpStream>) -> Option<Option<Terms>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let agreed = Terms::agree(field(&head, "sec-websocket-extensions").unwrap_or_default());
    let line = agreed
        .as_ref()
        .map(|(_, answer)| format!("Sec-WebSocket-Extensions: {answer}\r\n"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{}\r\n",
        line.unwrap_or_default()
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    Some(agreed.map(|(terms, _)| terms))
}

/// The first byte and the unmasked payload of the next frame.
async fn read_frame(stream: &mut BufStream<TcpStream>) -> Option<Message> {
    let first = stream.read_u8().await.ok()?;
    let length = match stream.read_u8().await.ok()? & 0x7F {
        126 => stream.read_u16().await.ok()?.into(),
        127 => stream.read_u64().await.ok()?,
        short => short.into(),
    };
    let key = stream.read_u32().await.ok()?.to_be_bytes();
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).await.ok()?;
    let bytes = payload.iter_mut().zip(key.iter().cycle());
    bytes.for_each(|(byte, key)| *byte ^= key);
    Some((first, payload))
}

async fn send(
    stream: &mut BufStream<TcpStream>,
    first: u8,
    payload: &[u8],
    fragment_bytes: usize,
) -> Option<()> {
    let mut start = first & !LAST;
    for (part, is_last) in fragments(payload, fragment_bytes) {
        let fin = if is_last { LAST } else { 0 };
        stream
            .write_all(&frame(fin | start, part, None))
            .await
            .ok()?;
        start = 0;
    }
    stream.flush().await.ok()
}

/// What ends a flushed block, and is left out of a payload (RFC 7692 section 7.2.1).
const FLUSHED: [u8; 4] = [0, 0, 0xFF, 0xFF];
