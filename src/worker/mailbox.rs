//! How the control thread reaches a worker: small commands in a bounded ring, and a doorbell.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::fleet::{BackendId, Snapshot};
use crate::limits;
use crate::relay::Question;
use crate::sync::Arc;
use crate::sys::eventfd::EventFd;

/// What a worker can be told.
#[derive(Debug, Clone)]
pub enum Command {
    /// Stop accepting, tell every tunnel goodbye over `time`, and be gone by `deadline` at the latest.
    Drain {
        /// Over how long the goodbyes are spread.
        time: Duration,
        /// When whoever is left is cut off, from now.
        deadline: Duration,
    },
    /// Greet by this snapshot from now on. Greetings under way end by the one they began with.
    Snapshot(Arc<Snapshot>),
    /// Tell 1012 to the tunnels of these backends, at most so many a second; a backend that is up again when its
    /// turn comes is left alone.
    Close {
        /// Whose tunnels.
        backends: Arc<[BackendId]>,
        /// Tunnels in a second on this worker, at least 1.
        per_second: u32,
    },
    /// Answer a question about tunnels.
    Ask(Question),
    /// Be gone now, whoever is left: what a second stop says.
    Quit,
    /// Fail, so that a test can see what a worker's death does to the others.
    #[doc(hidden)]
    Fail,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Sender {
    producer: Producer<Command>,
    bell: File,
}

/// The worker's end.
#[derive(Debug)]
pub struct Mailbox {
    consumer: Consumer<Command>,
    bell: OwnedFd,
}

/// A mailbox and the way into it. Its bell is the eventfd that the worker sleeps on, and not one more that its
/// ring watches: a ring that hears of one eventfd inside the wake-up of another puts its own signal off, and
/// a kernel may then lose the second such signal, and with it every later one. `bell` is one that others ring too;
/// without it the mailbox has its own.
pub fn mailbox(bell: Option<OwnedFd>) -> io::Result<(Sender, Mailbox)> {
    let (producer, consumer) = RingBuffer::new(limits::MAILBOX_COMMANDS);
    let bell = bell.map_or_else(EventFd::for_parking, Ok)?;
    let sender = Sender {
        producer,
        bell: bell.try_clone()?.into(),
    };
    Ok((sender, Mailbox { consumer, bell }))
}

impl Sender {
    /// Puts a command in and rings. False if the mailbox is full: the worker has not looked for a long time.
    pub fn send(&mut self, command: Command) -> bool {
        let taken = self.producer.push(command).is_ok();
        // It would block at 2^64 - 2 rings that nobody heard.
        taken && self.bell.write_all(&1_u64.to_ne_bytes()).is_ok()
    }
}

impl Mailbox {
    /// A second hold on the bell, for whoever sleeps on it.
    pub(super) fn bell(&self) -> io::Result<OwnedFd> {
        self.bell.try_clone()
    }

    /// Takes the next command. It costs one load, so the worker looks after every batch.
    pub(super) fn take(&mut self) -> Option<Command> {
        self.consumer.pop().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_says_so_and_takes_more_once_it_was_read() {
        let (mut sender, mut mailbox) = mailbox(None).unwrap();
        for _ in 0..limits::MAILBOX_COMMANDS {
            assert!(sender.send(Command::Fail));
        }
        assert!(!sender.send(Command::Fail), "nothing is replaced or lost");
        assert!(mailbox.take().is_some());
        assert!(sender.send(Command::Fail));
        let waiting = std::iter::from_fn(|| mailbox.take()).count();
        assert_eq!(waiting, limits::MAILBOX_COMMANDS);
    }
}
