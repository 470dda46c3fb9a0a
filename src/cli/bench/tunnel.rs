//! One tunnel under load: what it may send, what it has sent and what came back.

use std::io::ErrorKind;
use std::ops::Range;

use super::dial::{Dialer, Greeting, Step};
use super::failure::{Failure, Kind};
use super::frames::{Frames, GOODBYE};
use super::inbound::{Expected, Fault, Inbound};
use super::line::Line;
use super::schedule::Schedule;
use super::tally::Tally;
use crate::clock::Now;
use crate::limits::BENCH_READS_PER_TURN;

/// One tunnel.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) stage: Stage,
    /// When the server last answered, or when something was first asked of it after a pause.
    pub(super) active_at: Now,
    inbound: Inbound,
    /// Messages that may be sent by now.
    pub(super) due: u64,
    /// Messages that have been given the moment they were sent.
    stamped: u64,
    /// Messages wholly written.
    written: u64,
    /// Bytes written of the message after those.
    offset: usize,
    /// Messages whose echo is whole.
    pub(super) answered: u64,
    /// Control frames to be sent between two messages.
    replies: Vec<u8>,
    /// The driver has it on the list of those whose turn ended early.
    pub(super) is_queued: bool,
    /// The driver has counted it as opened or failed.
    pub(super) is_settled: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    Undialled,
    Greeting(Line, Box<Greeting>),
    Open(Line),
    Gone,
}

/// Whether a tunnel needs another turn without a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Wait,
    Again,
}

/// What all tunnels of a thread share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) buffer: Vec<u8>,
    pub(super) frames: Frames,
    pub(super) tally: Tally,
    pub(super) payload_bytes: u64,
    pub(super) is_text: bool,
    pub(super) in_flight: u64,
    /// The number of the thread's first tunnel among those of all threads.
    pub(super) first_tunnel: u32,
    pub(super) origins: Origins,
}

/// From when a message's latency counts.
#[derive(Debug)]
pub(super) enum Origins {
    /// From when it was written: `in_flight` moments for each tunnel.
    Written(Vec<Now>),
    /// From when it was due, even if it was written later: a stall is not forgiven.
    Due(Schedule),
}

impl Desk {
    fn origin(&self, local: usize, number: u64) -> Now {
        match &self.origins {
            Origins::Written(moments) => moments[self.place(local, number)],
            Origins::Due(schedule) => schedule.due_at(local as u64, number),
        }
    }

    fn stamp(&mut self, local: usize, numbers: Range<u64>, now: Now) {
        for number in numbers {
            let place = self.place(local, number);
            if let Origins::Written(moments) = &mut self.origins {
                moments[place] = now;
            }
        }
    }

    fn place(&self, local: usize, number: u64) -> usize {
        let in_flight = usize::try_from(self.in_flight).unwrap_or(1);
        local * in_flight + usize::try_from(number % self.in_flight).unwrap_or(0)
    }

    fn number_of(&self, local: usize) -> u32 {
        self.first_tunnel
            .wrapping_add(u32::try_from(local).unwrap_or(0))
    }
}

impl Tunnel {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Undialled,
            active_at: Now::default(),
            inbound: Inbound::default(),
            due: 0,
            stamped: 0,
            written: 0,
            offset: 0,
            answered: 0,
            replies: Vec::new(),
            is_queued: false,
            is_settled: false,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Waits for an answer of the server.
    pub(super) const fn is_waiting(&self) -> bool {
        match self.stage {
            Stage::Greeting(..) => true,
            Stage::Open(_) => self.written > self.answered || self.offset > 0,
            Stage::Undialled | Stage::Gone => false,
        }
    }

    /// Goes on after an event: greets, or writes and reads until the socket has nothing more or the turn is over.
    pub(super) fn turn(
        &mut self,
        local: usize,
        desk: &mut Desk,
        dialer: &mut Dialer,
        has_hung_up: bool,
    ) -> Result<Turn, Failure> {
        let Stage::Greeting(line, greeting) = &mut self.stage else {
            return self.exchange(local, desk, has_hung_up);
        };
        let Step::Upgraded(rest) = greeting.step(line, dialer, &mut desk.buffer)? else {
            return Ok(Turn::Wait);
        };
        desk.tally.shaken.count(line.agreed());
        if let Stage::Greeting(line, _) = std::mem::replace(&mut self.stage, Stage::Gone) {
            self.stage = Stage::Open(line);
        }
        let now = Now::read();
        self.hear(local, desk, rest, now)?;
        self.pump(local, desk, now)?;
        Ok(Turn::Again)
    }

    fn exchange(
        &mut self,
        local: usize,
        desk: &mut Desk,
        has_hung_up: bool,
    ) -> Result<Turn, Failure> {
        if self.offset > 0 || !self.replies.is_empty() {
            self.pump(local, desk, Now::read())?;
        }
        for _ in 0..BENCH_READS_PER_TURN {
            let Stage::Open(line) = &mut self.stage else {
                return Ok(Turn::Wait);
            };
            let heard = match line.read(&mut desk.buffer) {
                Ok(heard) if heard.count == 0 => {
                    let detail = "the server closed the connection without a Close frame";
                    return Err(Failure::new(Kind::Closed, detail));
                }
                Ok(heard) => heard,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Wait),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::closed(&error)),
            };
            let now = Now::read();
            self.hear(local, desk, 0..heard.count, now)?;
            self.pump(local, desk, now)?;
            // Events come once per change; a read that left room proves the socket empty, unless its end has come too.
            if !heard.may_have_more && !has_hung_up {
                return Ok(Turn::Wait);
            }
        }
        Ok(Turn::Again)
    }

    /// Checks what arrived and records the latency of each echo that became whole.
    fn hear(
        &mut self,
        local: usize,
        desk: &mut Desk,
        arrived: Range<usize>,
        now: Now,
    ) -> Result<(), Failure> {
        let before = self.answered;
        let expected = Expected {
            tunnel: desk.number_of(local),
            payload_bytes: desk.payload_bytes,
            is_text: desk.is_text,
            // The echo of a large message may begin before its end is written.
            sent: self.written + u64::from(self.offset > 0),
        };
        let fed = self.inbound.feed(
            &desk.buffer[arrived],
            expected,
            &mut self.answered,
            &mut self.replies,
        );
        self.active_at = now;
        for number in before..self.answered {
            let origin = desk.origin(local, number);
            desk.tally.record(origin, now);
        }
        fed.map_err(|fault| match fault {
            Fault::Wrong(what) => Failure::new(Kind::WrongEcho, what),
            Fault::Closed(None) => Failure::new(Kind::Closed, "Close frame without a code"),
            Fault::Closed(Some(code)) => {
                Failure::new(Kind::Closed, format!("Close frame, code {code}"))
            }
        })
    }

    /// Writes what may be written: as many messages as are due and have room, in one go where the socket takes them.
    pub(super) fn pump(&mut self, local: usize, desk: &mut Desk, now: Now) -> Result<(), Failure> {
        let Stage::Open(line) = &mut self.stage else {
            return Ok(());
        };
        loop {
            if self.offset == 0 && !self.replies.is_empty() {
                match write(line, &self.replies)? {
                    0 => return Ok(()),
                    count => drop(self.replies.drain(..count)),
                }
                continue;
            }
            let allowed = self.due.min(self.answered + desk.in_flight);
            if self.written >= allowed {
                return Ok(());
            }
            if self.written == self.answered && self.offset == 0 {
                self.active_at = now;
            }
            // A waiting reply goes out at the next boundary.
            let until = if self.replies.is_empty() {
                allowed
            } else {
                self.written + 1
            };
            desk.stamp(local, self.stamped..until, now);
            self.stamped = self.stamped.max(until);
            let number = desk.number_of(local);
            let bytes = desk
                .frames
                .numbered(number, self.written, until - self.written);
            let count = write(line, &bytes[self.offset..])?;
            if count == 0 {
                return Ok(());
            }
            let frame_bytes = desk.frames.frame_bytes();
            let done = self.offset + count;
            self.written += (done / frame_bytes) as u64;
            self.offset = done % frame_bytes;
        }
    }

    /// Sends the Close frame, where it does not fall into the middle of a message. Whether it is worth waiting for the
    /// answer.
    pub(super) fn say_goodbye(&mut self) -> bool {
        match &mut self.stage {
            Stage::Open(line) if self.offset == 0 && self.replies.is_empty() => {
                write(line, &GOODBYE).is_ok_and(|count| count == GOODBYE.len())
            }
            _ => false,
        }
    }

    /// Throws away what still arrives. Whether there is no point in waiting for more.
    pub(super) fn has_parted(&mut self, buffer: &mut [u8]) -> bool {
        let Stage::Open(line) = &mut self.stage else {
            return true;
        };
        for _ in 0..BENCH_READS_PER_TURN {
            match line.read(buffer) {
                Ok(heard) if heard.count == 0 => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Messages that were due and have no echo.
    pub(super) const fn unanswered(&self) -> Range<u64> {
        self.answered..self.due
    }
}

/// Writes what the socket takes; zero when it takes nothing now.
fn write(line: &mut Line, bytes: &[u8]) -> Result<usize, Failure> {
    loop {
        match line.write(bytes) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::closed(&error)),
        }
    }
}
