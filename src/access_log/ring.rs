//! A bounded ring that carries records from one worker to the control thread and never makes the worker wait.
//!
//! The worker pushes, then flips `pending` to true; only if it was false does it pay a system call to ring
//! the bell. The control thread drains the bell, flips `pending` to false, then takes the records. Both
//! flips are read-modify-writes, so they have one order: a worker's flip that comes before the control
//! thread's hands it the record, and one that comes after finds false and rings again.

use rtrb::{Consumer, Producer, RingBuffer};

use super::Record;
use crate::metrics::Counter;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::sys::eventfd::EventFd;

/// A ring of `capacity` records. Every worker has its own; all of them may ring one `bell`.
pub fn channel(capacity: usize, bell: &Arc<EventFd>) -> (Recorder, Drain) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let shared = Arc::new(Shared {
        pending: Pending::default(),
        dropped: Counter::new(),
    });
    let recorder = Recorder {
        producer,
        shared: Arc::clone(&shared),
        bell: Arc::clone(bell),
    };
    (recorder, Drain { consumer, shared })
}

/// The worker's end.
#[derive(Debug)]
pub struct Recorder {
    producer: Producer<Record>,
    shared: Arc<Shared>,
    bell: Arc<EventFd>,
}

impl Recorder {
    /// Hands a record over. Never blocks and never allocates; a full ring drops the record, counts it and
    /// answers false.
    pub fn push(&mut self, record: Record) -> bool {
        if self.producer.push(record).is_err() {
            self.shared.dropped.add(1);
            return false;
        }
        if self.shared.pending.raise() {
            // A failed ring leaves the record in its place; the next flip after a drain tries again.
            let _ = self.bell.ring();
        }
        true
    }
}

/// The control thread's end.
#[derive(Debug)]
pub struct Drain {
    consumer: Consumer<Record>,
    shared: Arc<Shared>,
}

impl Drain {
    /// Hands `each` every record that is there, and says how many. Drain the bell before, not after: a record
    /// that comes later rings it again.
    pub fn drain(&mut self, mut each: impl FnMut(&Record)) -> usize {
        self.shared.pending.clear();
        // Only what is there now: a worker that keeps pushing must not keep the control thread here.
        let waiting = self.consumer.slots();
        for _ in 0..waiting {
            let Ok(record) = self.consumer.pop() else {
                break;
            };
            each(&record);
        }
        waiting
    }

    /// How many records found the ring full.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.get()
    }

    /// Whether no record waits.
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Whether the worker's end is gone. Ask this before [`Drain::is_empty`]: a gone worker adds nothing more.
    pub fn is_abandoned(&self) -> bool {
        self.consumer.is_abandoned()
    }
}

#[derive(Debug)]
struct Shared {
    pending: Pending,
    /// Written by the worker only.
    dropped: Counter,
}

/// Whether the control thread has been told of the records in the ring. The worker raises it, the control
/// thread clears it.
#[derive(Debug, Default)]
struct Pending(AtomicBool);

impl Pending {
    /// Says whether the bell must be rung.
    fn raise(&self) -> bool {
        // AcqRel: the push before it is released to the clear that reads this. A plain load first would be
        // cheaper and wrong: it may be answered before the push is visible.
        !self.0.swap(true, Ordering::AcqRel)
    }

    fn clear(&self) {
        // AcqRel: acquires the pushes of every raise it overwrites, before the ring is looked at.
        self.0.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::RefusalRecord;
    use crate::metrics::Refusal;

    fn record(at_unix_ms: u64) -> Record {
        Record::Refused(RefusalRecord {
            at_unix_ms,
            duration_ms: 0,
            client: "192.0.2.1:80".parse().unwrap(),
            forwarded_for: None,
            route: None,
            backend: None,
            worker: 0,
            status: Some(404),
            reason: Refusal::NoRoute,
        })
    }

    fn time(record: &Record) -> u64 {
        match record {
            Record::Tunnel(tunnel) => tunnel.opened_unix_ms,
            Record::Refused(refusal) => refusal.at_unix_ms,
        }
    }

    #[test]
    fn the_bell_rings_once_for_many_records_and_again_after_a_drain() {
        let bell = Arc::new(EventFd::new().unwrap());
        let (mut recorder, mut drain) = channel(8, &bell);
        for at in 0..3 {
            assert!(recorder.push(record(at)));
        }
        assert_eq!(bell.drain().unwrap(), 1);
        let mut seen = Vec::new();
        assert_eq!(drain.drain(|record| seen.push(time(record))), 3);
        assert_eq!(seen, [0, 1, 2]);
        recorder.push(record(3));
        assert_eq!(bell.drain().unwrap(), 1);
    }

    #[test]
    fn a_full_ring_drops_the_newest_and_counts_it() {
        let bell = Arc::new(EventFd::new().unwrap());
        let (mut recorder, mut drain) = channel(2, &bell);
        let kept: Vec<bool> = (0..5).map(|at| recorder.push(record(at))).collect();
        assert_eq!(kept, [true, true, false, false, false]);
        assert_eq!(drain.dropped(), 3);
        let mut seen = Vec::new();
        drain.drain(|record| seen.push(time(record)));
        assert_eq!(seen, [0, 1]);
        assert!(
            recorder.push(record(9)),
            "a drained ring takes records again"
        );
    }

    #[test]
    fn a_worker_that_is_gone_leaves_its_records_behind() {
        let bell = Arc::new(EventFd::new().unwrap());
        let (mut recorder, mut drain) = channel(2, &bell);
        recorder.push(record(1));
        assert!(!drain.is_abandoned());
        drop(recorder);
        assert!(drain.is_abandoned());
        assert!(!drain.is_empty());
        assert_eq!(drain.drain(|_| {}), 1);
        assert!(drain.is_empty());
    }

    #[test]
    fn a_sleeper_that_waits_for_the_bell_misses_no_record() {
        const RECORDS: u32 = 20_000;
        let bell = Arc::new(EventFd::new().unwrap());
        let (mut recorder, mut drain) = channel(RECORDS as usize, &bell);
        let worker = std::thread::spawn(move || {
            for at in 0..RECORDS {
                assert!(recorder.push(record(at.into())));
            }
        });
        let mut next = 0;
        while next < u64::from(RECORDS) {
            // Without a ring nothing may be there that the sleeper would have to look for.
            while bell.drain().unwrap() == 0 {
                std::thread::yield_now();
            }
            drain.drain(|record| {
                assert_eq!(time(record), next);
                next += 1;
            });
        }
        worker.join().unwrap();
    }
}
