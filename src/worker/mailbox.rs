//! How the control thread reaches a worker: small commands in a bounded ring, and a doorbell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::limits;
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
    /// Fail, so that a test can see what a worker's death does to the others.
    #[doc(hidden)]
    Fail,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Sender {
    producer: Producer<Command>,
    bell: Arc<EventFd>,
}

/// The worker's end.
#[derive(Debug)]
pub struct Mailbox {
    consumer: Consumer<Command>,
    bell: Arc<EventFd>,
}

/// A mailbox and the way into it.
pub fn mailbox() -> io::Result<(Sender, Mailbox)> {
    let (producer, consumer) = RingBuffer::new(limits::MAILBOX_COMMANDS);
    let bell = Arc::new(EventFd::new()?);
    Ok((
        Sender {
            producer,
            bell: Arc::clone(&bell),
        },
        Mailbox { consumer, bell },
    ))
}

impl Sender {
    /// Puts a command in and rings. False if the mailbox is full: the worker has not looked for a long time.
    pub fn send(&mut self, command: Command) -> bool {
        let taken = self.producer.push(command).is_ok();
        // An eventfd that cannot be written to would be gone, and the worker with it.
        taken && self.bell.ring().is_ok()
    }
}

impl Mailbox {
    /// What rings when there is mail.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Takes the next command.
    pub(super) fn take(&mut self) -> Option<Command> {
        // A failed drain leaves the bell ringing: then we look once more than needed.
        let _ = self.bell.drain();
        self.consumer.pop().ok()
    }
}
