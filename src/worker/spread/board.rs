//! What the workers share to hand connections to each other: for each one its berth, its line and its bell.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use crossbeam_queue::ArrayQueue;

use super::Berth;
use crate::clock::Now;
use crate::limits;
use crate::sync::Arc;
use crate::sys::eventfd::EventFd;

/// The places of all workers. It outlives each of them, so that what waits in the line of one that died is taken by
/// its successor, as what waits in its accept queues is.
#[derive(Debug)]
pub struct Board {
    places: Box<[Place]>,
}

/// One worker's place. Two cache lines of its own for the word that everybody reads.
#[derive(Debug)]
#[repr(align(128))]
struct Place {
    berth: Berth,
    line: ArrayQueue<Handed>,
    /// The eventfd that the worker sleeps on, and its successors.
    bell: File,
}

/// A connection on its way from the worker that accepted it to another one. Nothing was read from it, and no
/// request is in flight on it.
#[derive(Debug)]
pub(in crate::worker) struct Handed {
    pub(in crate::worker) socket: OwnedFd,
    /// The number of the listener it came to; all workers have the same.
    pub(in crate::worker) listener: u32,
    pub(in crate::worker) accepted: Now,
}

impl Board {
    /// A board for so many workers, none of which is there yet.
    pub fn new(workers: usize) -> io::Result<Arc<Self>> {
        let place = |_| {
            Ok(Place {
                berth: Berth::default(),
                line: ArrayQueue::new(limits::HANDOFFS_WAITING_MAX as usize),
                bell: EventFd::for_parking()?.into(),
            })
        };
        let places = (0..workers).map(place).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self { places }))
    }

    /// What the worker with this number is to sleep on.
    pub fn bell(&self, worker: usize) -> io::Result<OwnedFd> {
        Ok(self.places[worker].bell.try_clone()?.into())
    }

    /// A worker is gone, by its own end or by a panic. Everybody's bell is rung, because it may have put something in
    /// line and not come to ringing.
    pub fn leave(&self, worker: usize) {
        self.places[worker].berth.close();
        (0..self.places.len()).for_each(|other| self.ring(other));
    }

    pub(super) fn workers(&self) -> usize {
        self.places.len()
    }

    pub(super) fn berth(&self, worker: usize) -> &Berth {
        &self.places[worker].berth
    }

    /// Puts a connection in the line of a worker, or gives it back: too many wait there, or it is away. The bell is
    /// not rung yet.
    pub(super) fn put(&self, worker: usize, handed: Handed) -> Result<(), Handed> {
        let place = &self.places[worker];
        if !place.berth.reserve(limits::HANDOFFS_WAITING_MAX) {
            return Err(handed);
        }
        // There is room: the line is as long as there are places to reserve.
        let put = place.line.push(handed);
        debug_assert!(put.is_ok(), "invariant: who reserved finds room");
        put
    }

    /// The next one in the line of a worker, whom it counts as held from now on.
    pub(super) fn take(&self, worker: usize) -> Option<Handed> {
        let place = &self.places[worker];
        if place.berth.coming() == 0 {
            return None;
        }
        let handed = place.line.pop()?;
        place.berth.take();
        Some(handed)
    }

    pub(super) fn ring(&self, worker: usize) {
        // It fails only at 2^64 - 2 rings that nobody heard.
        let _ = (&self.places[worker].bell).write(&1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection on its way, and its client.
    fn handed() -> (Handed, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let handed = Handed {
            socket: listener.accept().unwrap().0.into(),
            listener: 0,
            accepted: Now::from_nanos(0),
        };
        (handed, client)
    }

    #[test]
    fn what_waits_for_a_dead_worker_is_its_successors_and_what_comes_later_is_given_back() {
        let board = Board::new(2).unwrap();
        board.berth(1).open();
        board.put(1, handed().0).unwrap();
        board.leave(1);
        assert!(board.put(1, handed().0).is_err(), "nobody is there");
        board.berth(1).open();
        assert!(board.take(1).is_some() && board.take(1).is_none());
        assert_eq!(board.berth(1).load(), Some(1));
    }

    #[test]
    fn a_line_is_bounded_and_what_nobody_took_is_closed_once() {
        let board = Board::new(1).unwrap();
        board.berth(0).open();
        let mut clients = Vec::new();
        for _ in 0..limits::HANDOFFS_WAITING_MAX {
            let (handed, client) = handed();
            board.put(0, handed).unwrap();
            clients.push(client);
        }
        let (one_more, mut last) = handed();
        drop(board.put(0, one_more).unwrap_err());
        assert_eq!(last.read(&mut [0]).unwrap(), 0);
        drop(board);
        for mut client in clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn who_leaves_rings_for_what_it_may_have_left_in_line() {
        let board = Board::new(3).unwrap();
        board.leave(0);
        for worker in [1, 2] {
            let mut count = [0; 8];
            let mut bell = File::from(board.bell(worker).unwrap());
            bell.read_exact(&mut count).unwrap();
            assert_eq!(u64::from_ne_bytes(count), 1);
        }
    }
}
