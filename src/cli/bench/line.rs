//! A connection to the server: a socket, and TLS around what goes through it where the URL asks for that.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::{ClientConnection, HandshakeKind};

/// One connection. It never waits: what the socket does not take now is `WouldBlock`.
#[derive(Debug)]
pub(super) struct Line {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// What one reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// Bytes at the start of the buffer; none means that the server has ended.
    pub(super) count: usize,
    /// Whether the socket may hold more although it reports nothing new.
    pub(super) may_have_more: bool,
}

impl Line {
    pub(super) const fn new(socket: TcpStream, tls: Option<Box<ClientConnection>>) -> Self {
        Self { socket, tls }
    }

    pub(super) const fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What TLS agreed on; `None` in the clear.
    pub(super) fn agreed(&self) -> Option<Agreed> {
        let tls = self.tls.as_ref()?;
        let version = tls.protocol_version()?.as_str()?;
        let suite = tls.negotiated_cipher_suite()?.suite().as_str()?;
        let group = tls.negotiated_key_exchange_group();
        let group = group
            .and_then(|group| group.name().as_str())
            .unwrap_or("no exchange of keys");
        Some(Agreed {
            terms: [version, suite, group],
            is_resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// Shakes hands as far as the bytes that are there allow. Whether it is done; in the clear it always is.
    pub(super) fn shake(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.is_handshaking() {
            // The first write tells whether the connection was made at all.
            if !flush(tls, &mut self.socket)? {
                return Ok(false);
            }
            let count = match self.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            // Nobody has asked for anything, so no plaintext can follow.
            let taken = open(tls, &buffer[..count], &mut []);
            if let Err(error) = taken {
                // The server may want to know why; whether it hears it makes no difference here.
                let _ = flush(tls, &mut self.socket);
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        let Some(tls) = &mut self.tls else {
            let count = self.socket.read(buffer)?;
            let may_have_more = count == buffer.len();
            return Ok(Heard {
                count,
                may_have_more,
            });
        };
        flush(tls, &mut self.socket)?;
        // What is opened is shorter than what it was in, but for the start of a record that is held from before.
        let (plain, wire) = buffer.split_at_mut(buffer.len() / 2 + RECORD_BYTES_MAX);
        loop {
            let arrived = self.socket.read(wire)?;
            let count = open(tls, &wire[..arrived], plain)?;
            if count > 0 || arrived == 0 {
                let may_have_more = arrived == wire.len();
                return Ok(Heard {
                    count,
                    may_have_more,
                });
            }
            if arrived < wire.len() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Writes what is taken now. Records are taken whole: their rest waits here, and goes out before the next reading.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write(bytes);
        };
        let count = tls.writer().write(bytes)?;
        flush(tls, &mut self.socket)?;
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(count)
    }
}

/// What was agreed on in one handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Version, suite and group.
    pub(super) terms: [&'static str; 3],
    /// Whether a ticket was taken.
    pub(super) is_resumed: bool,
}

/// Sends what waits. Whether nothing is left.
fn flush(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Opens records into `plain`, and returns how much that is.
fn open(tls: &mut ClientConnection, mut wire: &[u8], plain: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while !wire.is_empty() {
        // It takes no more than a few kilobytes at a time.
        tls.read_tls(&mut wire)?;
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let there = state.plaintext_bytes_to_read();
        if there > 0 {
            let room = plain.get_mut(filled..filled + there);
            let room = room.ok_or_else(|| io::Error::other("more plaintext than records"))?;
            tls.reader().read_exact(room)?;
            filled += there;
        }
    }
    Ok(filled)
}

/// The longest record of TLS 1.2, header included (RFC 5246 section 6.2.3).
const RECORD_BYTES_MAX: usize = 5 + (1 << 14) + 2048;
