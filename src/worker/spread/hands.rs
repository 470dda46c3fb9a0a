//! One worker's part in handing connections over: what it gives to others, what it takes, what it shows of itself.

use super::board::{Board, Handed};
use super::choice;
use crate::rng::Rng;
use crate::sync::Arc;

/// A worker's hold on the board.
#[derive(Debug)]
pub(in crate::worker) struct Hands {
    board: Arc<Board>,
    own: usize,
    /// What the berth says that this worker holds.
    shown: u32,
    /// Whose bells are to be rung when the batch is over.
    called: Vec<usize>,
    open: bool,
    rng: Rng,
}

impl Hands {
    pub(in crate::worker) fn new(board: Arc<Board>, own: u16, rng: Rng) -> Self {
        Self {
            board,
            own: own.into(),
            shown: 0,
            called: Vec::new(),
            open: false,
            rng,
        }
    }

    /// From now on others may hand connections to this worker.
    pub(in crate::worker) fn open(&mut self) {
        self.board.berth(self.own).open();
        self.open = true;
    }

    /// From now on they may not, and this worker keeps what it accepts. What is on its way still comes.
    pub(in crate::worker) fn close(&mut self) {
        self.board.berth(self.own).close();
        self.open = false;
    }

    /// Which other worker a connection should move to that was accepted now, when this one holds `mine`.
    pub(in crate::worker) fn elsewhere(&mut self, mine: u32) -> Option<usize> {
        if !self.open {
            return None;
        }
        self.show(mine);
        let board = &self.board;
        let load = |worker: usize| board.berth(worker).load();
        choice::elsewhere((self.own, board.workers()), mine, load, &mut self.rng)
    }

    /// Puts a connection in the line of another worker; gives it back if that has no room or is away.
    pub(in crate::worker) fn pass(&mut self, to: usize, handed: Handed) -> Result<(), Handed> {
        self.board.put(to, handed)?;
        if !self.called.contains(&to) {
            self.called.push(to);
        }
        Ok(())
    }

    /// The next connection that others have handed to this worker.
    pub(in crate::worker) fn take(&mut self) -> Option<Handed> {
        let handed = self.board.take(self.own)?;
        self.shown += 1;
        Some(handed)
    }

    /// Whether connections are on their way to this worker.
    pub(in crate::worker) fn expects(&self) -> bool {
        self.board.berth(self.own).coming() > 0
    }

    /// Tells the others what this worker holds.
    pub(in crate::worker) fn show(&mut self, held: u32) {
        self.board.berth(self.own).show(self.shown, held);
        self.shown = held;
    }

    /// Wakes whom something was handed to in this batch.
    pub(in crate::worker) fn ring(&mut self) {
        for worker in self.called.drain(..) {
            self.board.ring(worker);
        }
    }
}
