//! Which source address to dial a backend from, and which ones had no port left for it. Knows no sockets.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::clock::Now;
use crate::limits;
use crate::metrics::BackendFailure;
use crate::rng::Rng;

/// What one worker remembers of source addresses. A search for a port that finds none looks at all of them, so a pair of
/// backend and source address that had none is marked, and left alone for a while.
#[derive(Debug)]
pub struct Ports {
    rng: RefCell<Rng>,
    /// Nearly always empty: a pair is in here only after it failed.
    marks: RefCell<HashMap<Pair, Mark>>,
    next_warning: Cell<Now>,
}

/// A backend, and the address that it is dialled from; nothing leaves that to the kernel.
pub(super) type Pair = (SocketAddr, Option<IpAddr>);

/// What this host lacks to dial a backend. The greater one is told if both were met: it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// No interface has the address, or none of this host's leads to the backend.
    Address,
    /// Every port of the address is in use for this backend.
    Ports,
}

impl Lack {
    /// Under which it is counted.
    pub(super) const fn failure(self) -> BackendFailure {
        match self {
            Self::Address => BackendFailure::SourceAddressMissing,
            Self::Ports => BackendFailure::SourcePortsExhausted,
        }
    }
}

/// What a pair lacked, and who may find out whether it still does.
#[derive(Debug, Clone, Copy)]
struct Mark {
    lack: Lack,
    /// From when on one dial may try.
    next: Now,
    /// Dials that may try at once: two more for each that succeeded. A freed port must not call a whole storm into a
    /// search that finds nothing.
    credit: u16,
}

impl Ports {
    /// Nothing is marked. `rng` decides where each round begins.
    pub fn new(rng: Rng) -> Self {
        Self {
            rng: RefCell::new(rng),
            marks: RefCell::default(),
            next_warning: Cell::default(),
        }
    }

    /// Each of these addresses once, from any of them on, so that they fill alike from all workers; the kernel's choice if
    /// there are none.
    pub(super) fn round<'a>(
        &self,
        sources: &'a [IpAddr],
    ) -> impl Iterator<Item = Option<IpAddr>> + use<'a> {
        let count = u32::try_from(sources.len()).unwrap_or(u32::MAX);
        let start = match count {
            0 | 1 => 0,
            count => self.rng.borrow_mut().below(count) as usize,
        };
        let (before, from) = sources.split_at(start);
        let kernels = sources.is_empty().then_some(None);
        from.iter()
            .chain(before)
            .map(|source| Some(*source))
            .chain(kernels)
    }

    /// Whether this pair may be tried now; if not, what it lacked. Who may try a marked one says how it went, with
    /// [`lacked`](Self::lacked) or [`worked`](Self::worked).
    pub(super) fn may_try(&self, pair: Pair, now: Now) -> Result<(), Lack> {
        let mut marks = self.marks.borrow_mut();
        let marked = marks.len();
        let Some(mark) = marks.get_mut(&pair) else {
            return Ok(());
        };
        if mark.credit > 0 {
            mark.credit -= 1;
            return Ok(());
        }
        if now < mark.next {
            return Err(mark.lack);
        }
        // One at a time finds out.
        mark.next = now.after(pause(marked));
        Ok(())
    }

    /// This pair lacked that.
    pub(super) fn lacked(&self, pair: Pair, lack: Lack, now: Now) {
        let mut marks = self.marks.borrow_mut();
        if marks.len() >= limits::PORTLESS_MAX && !marks.contains_key(&pair) {
            let idle = |mark: &Mark| now.since(mark.next) > limits::PORTLESS_PAUSE_MAX;
            marks.retain(|_, mark| !idle(mark));
            if marks.len() >= limits::PORTLESS_MAX {
                return;
            }
        }
        let marked = marks.len() + usize::from(!marks.contains_key(&pair));
        let next = now.after(pause(marked));
        let mark = Mark {
            lack,
            next,
            credit: 0,
        };
        marks.insert(pair, mark);
    }

    /// This pair got its connection, or an answer to it: it has ports.
    pub(super) fn worked(&self, pair: Pair) {
        let mut marks = self.marks.borrow_mut();
        if marks.is_empty() {
            return;
        }
        if let Some(mark) = marks.get_mut(&pair) {
            mark.credit += 2;
            if mark.credit > CREDIT_MAX {
                marks.remove(&pair);
            }
        }
    }

    /// Whether a lack may be said now: not too often.
    pub(super) fn may_warn(&self, now: Now) -> bool {
        let may = now >= self.next_warning.get();
        if may {
            self.next_warning
                .set(now.after(limits::PORTLESS_WARNING_PAUSE));
        }
        may
    }
}

/// How long a pair is left alone when so many are.
fn pause(marked: usize) -> Duration {
    let marked = u32::try_from(marked).unwrap_or(u32::MAX);
    let pause = limits::PORTLESS_PAUSE.saturating_mul(marked);
    pause.clamp(limits::PORTLESS_PAUSE, limits::PORTLESS_PAUSE_MAX)
}

/// A pair that may be tried by so many at once is as good as one without a mark.
const CREDIT_MAX: u16 = 64;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const START: Now = Now::from_nanos(1_000_000_000_000);

    fn ports() -> Ports {
        Ports::new(Rng::seeded(7))
    }

    fn pair(port: u16, last: u8) -> Pair {
        let backend = SocketAddr::from(([10, 0, 0, 1], port));
        (backend, Some([10, 0, 1, last].into()))
    }

    fn later(pauses: u32) -> Now {
        START.after(limits::PORTLESS_PAUSE * pauses)
    }

    #[test]
    fn a_round_has_each_address_once_and_begins_anywhere() {
        let ports = ports();
        let sources: Vec<IpAddr> = (0..5).map(|last| [10, 0, 1, last].into()).collect();
        let mut first = HashSet::new();
        for _ in 0..100 {
            let round: Vec<_> = ports.round(&sources).map(Option::unwrap).collect();
            assert_eq!(round.iter().collect::<HashSet<_>>().len(), 5);
            first.insert(round[0]);
        }
        assert_eq!(first.len(), 5);
        assert_eq!(ports.round(&[]).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn a_pair_without_ports_is_left_alone_and_then_tried_by_one() {
        let ports = ports();
        let (full, other) = (pair(1, 1), pair(2, 1));
        assert_eq!(ports.may_try(full, START), Ok(()));
        ports.lacked(full, Lack::Ports, START);
        assert_eq!(ports.may_try(full, START), Err(Lack::Ports));
        assert_eq!(ports.may_try(other, START), Ok(()), "its ports are its own");
        assert_eq!(ports.may_try(full, later(1)), Ok(()));
        assert_eq!(ports.may_try(full, later(1)), Err(Lack::Ports), "only one");
        ports.lacked(full, Lack::Ports, later(1));
        assert_eq!(ports.may_try(full, later(1)), Err(Lack::Ports));
        assert_eq!(ports.may_try(full, later(2)), Ok(()));
    }

    #[test]
    fn success_lets_two_more_try_until_the_mark_is_forgotten() {
        let ports = ports();
        let freed = pair(1, 1);
        ports.lacked(freed, Lack::Ports, START);
        assert_eq!(ports.may_try(freed, later(1)), Ok(()));
        ports.worked(freed);
        let tried = |now| {
            (0..1_000)
                .take_while(|_| ports.may_try(freed, now).is_ok())
                .count()
        };
        assert_eq!(tried(later(1)), 2);
        ports.worked(freed);
        ports.worked(freed);
        assert_eq!(tried(later(1)), 4);
        ports.lacked(freed, Lack::Ports, later(1));
        assert_eq!(tried(later(1)), 0, "a failure takes what is left of it");
        (0..=CREDIT_MAX).for_each(|_| ports.worked(freed));
        assert_eq!(tried(later(1)), 1_000);
        assert!(ports.marks.borrow().is_empty());
    }

    #[test]
    fn however_many_are_marked_the_searches_stay_rare_and_the_marks_bounded() {
        let ports = ports();
        let pairs = || (0..10).map(|last| pair(1, last));
        pairs().for_each(|one| ports.lacked(one, Lack::Ports, START));
        // Over 50 pauses ten pairs are tried some five times each, not fifty.
        let mut searches = 0;
        for step in 1..=50 {
            for one in pairs() {
                if ports.may_try(one, later(step)).is_ok() {
                    ports.lacked(one, Lack::Ports, later(step));
                    searches += 1;
                }
            }
        }
        assert!((40..=60).contains(&searches), "{searches}");

        let many = (0..=u16::MAX).map(|port| pair(port, 200));
        many.for_each(|one| ports.lacked(one, Lack::Address, later(50)));
        assert_eq!(ports.marks.borrow().len(), limits::PORTLESS_MAX);
        let much_later = later(50).after(limits::PORTLESS_PAUSE_MAX * 3);
        ports.lacked(pair(7, 201), Lack::Ports, much_later);
        assert_eq!(
            ports.marks.borrow().len(),
            1,
            "those that nobody asks for go"
        );
    }

    #[test]
    fn a_lack_is_said_once_in_a_while() {
        let ports = ports();
        assert!(ports.may_warn(START) && !ports.may_warn(later(1)));
        assert!(ports.may_warn(START.after(limits::PORTLESS_WARNING_PAUSE)));
    }
}
