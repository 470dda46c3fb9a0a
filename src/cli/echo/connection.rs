//! One client of an echo backend: its socket, how far it has come, and what could not be sent yet.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

use super::answers::{Next, answer};
use super::frames::{EchoStream, LEAD_BYTES, TRAIL_BYTES};
use crate::limits::{ECHO_BUFFER_BYTES, ECHO_READS_PER_TURN};

/// A client that is connected. An idle one holds no buffer.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    stage: Stage,
    /// What the socket did not take. Invariant: while it holds anything, nothing is read, so it never grows past
    /// what one read can become.
    unsent: Vec<u8>,
    /// Which of the fleet's backends accepted it.
    pub(super) backend: u16,
    /// Tells this connection from an earlier one in the same place.
    pub(super) serial: u32,
    /// The fleet has it on the list of those whose turn ended early.
    pub(super) is_queued: bool,
}

/// What the fleet has to do after a connection's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing, until the socket reports something new.
    Wait,
    /// Give it another turn: there may be more to read.
    Again,
    /// Give it another turn, and cut it off if its peer does not close in time.
    Leaving,
    /// Drop it.
    Gone,
}

/// The buffers that all connections of a fleet share, one turn at a time.
#[derive(Debug)]
pub(super) struct Desk {
    input: Vec<u8>,
    answer: Vec<u8>,
}

#[derive(Debug)]
enum Stage {
    /// The request head, as far as it has come.
    Greeting(Vec<u8>),
    Echoing(EchoStream),
    /// The last byte is written or in `unsent`; what still arrives is thrown away until the peer closes, because
    /// closing over unread bytes would reset the connection and could destroy the answer.
    Leaving,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            input: vec![0; LEAD_BYTES + ECHO_BUFFER_BYTES + TRAIL_BYTES],
            answer: Vec::new(),
        }
    }
}

impl Connection {
    pub(super) const fn new(socket: TcpStream, backend: u16, serial: u32) -> Self {
        Self {
            socket,
            stage: Stage::Greeting(Vec::new()),
            unsent: Vec::new(),
            backend,
            serial,
            is_queued: false,
        }
    }

    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Sends and reads until the socket has nothing more, or the turn is over. Events come once per change, so only a
    /// read that left room in the buffer, from a peer that has not hung up, proves the socket empty.
    pub(super) fn turn(&mut self, desk: &mut Desk, name: &str, has_hung_up: bool) -> Turn {
        self.serve(desk, name, has_hung_up).unwrap_or(Turn::Gone)
    }

    fn serve(&mut self, desk: &mut Desk, name: &str, has_hung_up: bool) -> io::Result<Turn> {
        if !self.unsent.is_empty() && !self.flush()? {
            return Ok(Turn::Wait);
        }
        for _ in 0..ECHO_READS_PER_TURN {
            let room = LEAD_BYTES..LEAD_BYTES + ECHO_BUFFER_BYTES;
            let count = match self.socket.read(&mut desk.input[room]) {
                Ok(0) => return Ok(Turn::Gone),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Wait),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let was_leaving = self.is_leaving();
            self.take(desk, name, count)?;
            if self.is_leaving() && !was_leaving {
                return Ok(Turn::Leaving);
            }
            let is_drained = count < ECHO_BUFFER_BYTES && !has_hung_up;
            if is_drained || !self.unsent.is_empty() {
                return Ok(Turn::Wait);
            }
        }
        Ok(Turn::Again)
    }

    fn take(&mut self, desk: &mut Desk, name: &str, count: usize) -> io::Result<()> {
        let arrived = LEAD_BYTES..LEAD_BYTES + count;
        match &mut self.stage {
            Stage::Greeting(head) if head.is_empty() => {
                desk.answer.clear();
                match answer(&desk.input[arrived.clone()], name, &mut desk.answer) {
                    Next::Wait => head.extend_from_slice(&desk.input[arrived]),
                    next => self.greet(desk, &next, count)?,
                }
            }
            Stage::Greeting(head) => {
                let before = head.len();
                head.extend_from_slice(&desk.input[arrived]);
                desk.answer.clear();
                match answer(head, name, &mut desk.answer) {
                    Next::Wait => {}
                    Next::Echo(head_bytes) => {
                        self.greet(desk, &Next::Echo(head_bytes - before), count)?;
                    }
                    Next::Leave => self.greet(desk, &Next::Leave, count)?,
                }
            }
            Stage::Echoing(stream) => {
                let echo = stream.feed(&mut desk.input, arrived);
                self.send(&desk.input[echo.bytes])?;
                if echo.is_last {
                    self.leave()?;
                }
            }
            Stage::Leaving => {}
        }
        Ok(())
    }

    /// Sends the answer to the head, then goes on with what came behind it in the same read.
    fn greet(&mut self, desk: &mut Desk, next: &Next, count: usize) -> io::Result<()> {
        self.send(&desk.answer)?;
        match *next {
            Next::Echo(head_bytes) => {
                let mut stream = EchoStream::default();
                let rest = LEAD_BYTES + head_bytes..LEAD_BYTES + count;
                let echo = stream.feed(&mut desk.input, rest);
                self.stage = Stage::Echoing(stream);
                self.send(&desk.input[echo.bytes])?;
                if echo.is_last { self.leave() } else { Ok(()) }
            }
            _ => self.leave(),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while self.unsent.is_empty() && sent < bytes.len() {
            match write(&mut self.socket, &bytes[sent..])? {
                0 => break,
                count => sent += count,
            }
        }
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends what is left over. Whether nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match write(&mut self.socket, &self.unsent[sent..])? {
                0 => {
                    self.unsent.drain(..sent);
                    return Ok(false);
                }
                count => sent += count,
            }
        }
        self.unsent = Vec::new();
        if self.is_leaving() {
            self.socket.shutdown(Shutdown::Write)?;
        }
        Ok(true)
    }

    fn leave(&mut self) -> io::Result<()> {
        self.stage = Stage::Leaving;
        if self.unsent.is_empty() {
            self.socket.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    const fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving)
    }
}

/// Writes what the socket takes; zero when it takes nothing now.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
