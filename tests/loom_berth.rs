//! Every interleaving of workers that hand connections to one that takes them, shows its load, and goes.
//!
//! ```text
//! RUSTFLAGS="--cfg ringway_loom" CARGO_TARGET_DIR=target/loom cargo test --release --test loom_berth
//! ```
#![cfg(ringway_loom)]

use loom::thread;
use ringway::sync::{Arc, AtomicU32, Ordering};
use ringway::worker::Berth;

/// A berth, and a line that is only a count: what is in it is a connection that may be lost.
#[derive(Default)]
struct Place {
    berth: Berth,
    line: AtomicU32,
}

impl Place {
    fn opened() -> Arc<Self> {
        let place = Arc::new(Self::default());
        place.berth.open();
        place
    }

    /// Hands over one connection as a worker does: reserved first, then put in line. False: it was kept.
    fn put(&self, most: u32) -> bool {
        let reserved = self.berth.reserve(most);
        if reserved {
            self.line.fetch_add(1, Ordering::Release);
        }
        reserved
    }

    /// Takes one if there is one, as the owner does.
    fn take(&self) -> bool {
        let line = self.line.load(Ordering::Acquire);
        if self.berth.coming() == 0 || line == 0 {
            return false;
        }
        self.line.fetch_sub(1, Ordering::AcqRel);
        self.berth.take();
        true
    }
}

#[test]
fn who_goes_knows_all_that_still_come_and_none_is_lost() {
    loom::model(|| {
        let place = Place::opened();
        let senders = [0, 1].map(|_| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.put(2))
        });
        let mut taken = u32::from(place.take());
        place.berth.close();
        // As a drain does: it is over when nothing is on its way any more.
        while place.berth.coming() > 0 {
            if place.take() {
                taken += 1;
            } else {
                thread::yield_now();
            }
        }
        let left = place.line.load(Ordering::Acquire);
        assert_eq!(left, 0, "nothing is in line when nothing comes");
        let put = senders.map(|sender| sender.join().expect("its thread ended well"));
        assert_eq!(taken, put.into_iter().map(u32::from).sum::<u32>());
        assert_eq!(
            place.line.load(Ordering::Acquire),
            0,
            "nobody came after it"
        );
        assert_eq!(place.berth.load(), None);
    });
}

#[test]
fn the_line_is_never_longer_than_its_bound() {
    loom::model(|| {
        let place = Place::opened();
        let other = Arc::clone(&place);
        let sender = thread::spawn(move || other.put(1));
        let mine = place.put(1);
        let theirs = sender.join().expect("its thread ended well");
        assert!(mine != theirs, "one place, one of the two");
        assert_eq!(place.line.load(Ordering::Acquire), 1);
    });
}

#[test]
fn what_the_owner_shows_and_what_others_reserve_do_not_touch_each_other() {
    loom::model(|| {
        let place = Place::opened();
        place.berth.show(0, 5);
        let other = Arc::clone(&place);
        let sender = thread::spawn(move || other.put(8));
        place.berth.show(5, 3);
        let taken = place.take();
        let shown = 3 + u32::from(taken);
        place.berth.show(shown, shown + 1);
        assert!(sender.join().expect("its thread ended well"));
        assert_eq!(
            place.berth.load(),
            Some(5),
            "four held or three and one coming, and one more"
        );
    });
}

#[test]
fn a_successor_finds_what_was_on_its_way_and_no_more() {
    loom::model(|| {
        let place = Place::opened();
        place.berth.show(0, 9);
        let other = Arc::clone(&place);
        let sender = thread::spawn(move || other.put(8));
        // It dies, and another one is started.
        place.berth.close();
        place.berth.open();
        let put = sender.join().expect("its thread ended well");
        assert_eq!(place.berth.load(), Some(u32::from(put)));
        assert_eq!(place.take(), put);
        assert_eq!(place.berth.load(), Some(u32::from(put)), "it is held now");
    });
}
