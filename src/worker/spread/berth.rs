//! What a worker carries and what is on its way to it, in one word that all workers read.

use crate::sync::{AtomicU64, Ordering};

/// One worker's word: connections it holds (32 bits), connections handed to it that it has not taken yet (31), and
/// whether it is away. The owner writes what it holds and whether it is there; whoever hands a connection over
/// reserves a place first. Because all three are one word, a worker that goes away knows exactly how many are still on
/// their way: none is reserved after it.
///
/// Every access is relaxed. A reservation and the closing meet in this one word, whose changes have one order for all
/// threads; what is handed over travels through the line, which has its own ordering; and a load that is a moment
/// old is as good as a fresh one.
#[derive(Debug)]
pub struct Berth(AtomicU64);

impl Default for Berth {
    /// Nobody is there yet.
    fn default() -> Self {
        Self(AtomicU64::new(AWAY))
    }
}

impl Berth {
    /// The owner is there, and holds nothing. What was on its way to the one before it still is.
    pub fn open(&self) {
        self.0.fetch_and(COMING, Ordering::Relaxed);
    }

    /// The owner is going: no place is reserved any more. What it held does not matter from now on.
    pub fn close(&self) {
        self.0.fetch_or(AWAY, Ordering::Relaxed);
    }

    /// The owner holds `now`, and had said `before`. Only the owner may call it.
    pub fn show(&self, before: u32, now: u32) {
        // Neither reaches the bits above: the owner's part goes from one 32-bit number to another.
        if now > before {
            self.0.fetch_add((now - before).into(), Ordering::Relaxed);
        } else if now < before {
            self.0.fetch_sub((before - now).into(), Ordering::Relaxed);
        }
    }

    /// What the worker carries, with what is on its way; nothing if it is away.
    pub fn load(&self) -> Option<u32> {
        let word = self.0.load(Ordering::Relaxed);
        let carried = (word & HELD).saturating_add(coming(word));
        (word & AWAY == 0).then(|| u32::try_from(carried).unwrap_or(u32::MAX))
    }

    /// Reserves one of `most` places on the way to the worker. False if all are taken or the worker is away.
    pub fn reserve(&self, most: u32) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & AWAY == 0 && coming(word) < u64::from(most) {
            let reserved = word + ONE_COMING;
            let replaced =
                self.0
                    .compare_exchange_weak(word, reserved, Ordering::Relaxed, Ordering::Relaxed);
            match replaced {
                Ok(_) => return true,
                Err(newer) => word = newer,
            }
        }
        false
    }

    /// One that was on its way is here, and is held from now on: the load stays the same. The owner has then said one
    /// more than before.
    pub fn take(&self) {
        self.0.fetch_sub(ONE_COMING - 1, Ordering::Relaxed);
    }

    /// How many are on their way.
    pub fn coming(&self) -> u32 {
        u32::try_from(coming(self.0.load(Ordering::Relaxed))).unwrap_or(u32::MAX)
    }
}

const HELD: u64 = 0xFFFF_FFFF;
const ONE_COMING: u64 = 1 << 32;
const COMING: u64 = !(HELD | AWAY);
const AWAY: u64 = 1 << 63;

const fn coming(word: u64) -> u64 {
    (word & COMING) >> 32
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_what_is_held_and_what_is_coming() {
        let berth = Berth::default();
        assert_eq!(berth.load(), None, "nobody is there yet");
        berth.open();
        berth.show(0, 7);
        assert!(berth.reserve(2) && berth.reserve(2));
        assert!(!berth.reserve(2), "both places are taken");
        assert_eq!((berth.load(), berth.coming()), (Some(9), 2));
        berth.take();
        assert_eq!((berth.load(), berth.coming()), (Some(9), 1));
        berth.show(8, 3);
        assert_eq!(berth.load(), Some(4));
        assert!(berth.reserve(2), "a place is free again");
    }

    #[test]
    fn a_worker_that_is_away_gets_nobody_and_its_successor_what_was_on_its_way() {
        let berth = Berth::default();
        assert!(!berth.reserve(1));
        berth.open();
        berth.show(0, 1000);
        assert!(berth.reserve(1));
        berth.close();
        assert!(!berth.reserve(8));
        assert_eq!((berth.load(), berth.coming()), (None, 1));
        berth.open();
        assert_eq!(berth.load(), Some(1), "what the one before it held is gone");
    }
}
