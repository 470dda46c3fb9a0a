//! A connection that is counted as being made, and what its end says about its backend.

use std::cell::Cell;
use std::rc::Rc;

use super::ports::Ports;
use super::turns::Turns;
use crate::clock::Now;
use crate::fleet::{Ledger, Member, Phase, Pool};
use crate::health;
use crate::metrics::{BackendFailure, WorkerCounters};

/// Where a backend is looked for, and where what it does is written down.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// What this worker holds.
    pub ledger: &'a Rc<Ledger>,
    /// What this worker counts.
    pub counters: &'a WorkerCounters,
    /// The steps its TLS handshakes take.
    pub turns: &'a Turns,
    /// What it remembers of source addresses.
    pub ports: &'a Ports,
}

/// One connection counted as being made. It says once how the handshake went; dropped without, it gives back the
/// trial that the backend may have been on.
pub(super) struct Claim<'a> {
    grounds: Grounds<'a>,
    member: &'a Member,
    started: Now,
    /// The backend was on trial when this began, so most likely this is the trial.
    on_trial: bool,
    /// It was out, so this was begun in a panic.
    in_panic: bool,
    judged: Cell<bool>,
    /// It is a tunnel's by now.
    open: bool,
}

impl<'a> Claim<'a> {
    /// Counts a connection to this backend as begun, unless it is full.
    pub(super) fn start(grounds: Grounds<'a>, member: &'a Member, now: Now) -> Option<Self> {
        let Grounds { pool, ledger, .. } = grounds;
        let phase = ledger.table().ejection(member.id).phase;
        let on_trial = phase == Phase::OnTrial;
        if !ledger.try_connect_started(member.id, pool.caps) {
            if on_trial {
                health::trial_lost(ledger.table(), member.id, now);
            }
            return None;
        }
        Some(Self {
            grounds,
            member,
            started: now,
            on_trial,
            in_panic: phase == Phase::Out,
            judged: Cell::new(false),
            open: false,
        })
    }

    pub(super) const fn pool(&self) -> &'a Pool {
        self.grounds.pool
    }

    pub(super) const fn member(&self) -> &'a Member {
        self.member
    }

    /// Counts a failure, and holds it against the backend unless it is ours or this handshake has been judged.
    pub(super) fn failed(&self, failure: BackendFailure, now: Now) {
        let Grounds {
            pool,
            ledger,
            counters,
            ..
        } = self.grounds;
        let id = self.member.id;
        counters.backend_failed(failure);
        // Ports run out for one backend at a time, so its row counts them; what runs out for all is counted once.
        if failure != BackendFailure::NoResources {
            ledger.failed(id, failure);
        }
        if failure.is_ours() {
            return;
        }
        if self.judged.replace(true) {
            return;
        }
        if let Some(out_for) = health::failed(pool, ledger.table(), id, now) {
            counters.ejections.add(1);
            let (pool, backend) = (&*pool.name, &*self.member.name);
            let last = failure.label();
            tracing::warn!(
                pool,
                backend,
                last,
                ?out_for,
                "too many handshakes failed in a row: the backend is out"
            );
        }
    }

    /// The backend has answered as it should.
    pub(super) fn succeeded(&self, now: Now) {
        if self.judged.replace(true) {
            return;
        }
        let (id, table) = (self.member.id, self.grounds.ledger.table());
        let passed = health::succeeded(table, id, now.since(self.started), now);
        if passed || (self.in_panic && health::vouched(table, id, now)) {
            let (pool, backend) = (&*self.grounds.pool.name, &*self.member.name);
            tracing::info!(pool, backend, "a handshake succeeded: the backend is back");
        }
    }

    /// Whoever opens the tunnel counts it as open.
    pub(super) fn into_open(mut self) {
        self.open = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let (id, ledger) = (self.member.id, self.grounds.ledger);
        if self.on_trial && !self.judged.get() {
            health::trial_lost(ledger.table(), id, Now::read());
        }
        if !self.open {
            ledger.connect_ended(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::{BackendId, Ejection, PolicyKind, PoolId, SlotTable, Weight};
    use crate::rng::Rng;
    use crate::sync::Arc;

    const ID: BackendId = BackendId(0);

    struct Scene {
        pool: Pool,
        ledger: Rc<Ledger>,
        counters: WorkerCounters,
        turns: Turns,
        ports: Ports,
    }

    impl Scene {
        fn new() -> Self {
            let address = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
            let members = vec![Member::new(ID, address, Weight::ONE)];
            Self {
                pool: Pool::new(PoolId(0), "p", PolicyKind::RoundRobin, members),
                ledger: Rc::new(Ledger::new(Arc::new(SlotTable::new(1)))),
                counters: WorkerCounters::default(),
                turns: Turns::default(),
                ports: Ports::new(Rng::seeded(1)),
            }
        }

        fn claim(&self) -> Claim<'_> {
            let grounds = Grounds {
                pool: &self.pool,
                ledger: &self.ledger,
                counters: &self.counters,
                turns: &self.turns,
                ports: &self.ports,
            };
            Claim::start(grounds, &self.pool.backends[0], START).unwrap()
        }

        fn set(&self, phase: Phase) -> Ejection {
            let ejection = Ejection {
                phase,
                until_ms: u64::MAX >> 16,
                times: 3,
            };
            let table = self.ledger.table();
            assert!(table.replace_ejection(ID, table.ejection(ID), ejection));
            ejection
        }
    }

    const START: Now = Now::from_nanos(1_000_000_000);

    #[test]
    fn a_backend_is_blamed_once_for_one_handshake_and_never_for_what_we_lack() {
        let scene = Scene::new();
        let table = scene.ledger.table();
        let ours = scene.claim();
        ours.failed(BackendFailure::NoResources, START);
        assert_eq!(table.failures(ID, BackendFailure::NoResources), 0);
        for own in [
            BackendFailure::SourcePortsExhausted,
            BackendFailure::SourceAddressMissing,
        ] {
            ours.failed(own, START);
            assert_eq!(table.failures(ID, own), 1);
        }
        assert_eq!(table.streak(ID), 0);
        drop(ours);
        let its = scene.claim();
        its.failed(BackendFailure::Closed, START);
        its.failed(BackendFailure::BadAnswer, START);
        assert_eq!(table.streak(ID), 1);
        drop(its);
        assert_eq!(table.load(ID).total(), 0);
    }

    #[test]
    fn an_answer_ends_the_streak_gives_the_pace_and_forgives_what_follows() {
        let scene = Scene::new();
        let table = scene.ledger.table();
        scene.claim().failed(BackendFailure::Refused, START);
        let claim = scene.claim();
        claim.succeeded(START.after(Duration::from_millis(3)));
        assert_eq!((table.streak(ID), table.pace(ID).micros), (0, 3_000));
        claim.failed(BackendFailure::Closed, START);
        assert_eq!(
            table.streak(ID),
            0,
            "its body broke off, its health is another matter"
        );
        assert_eq!(table.failures(ID, BackendFailure::Closed), 1);
        claim.into_open();
        assert_eq!(
            table.connecting(ID),
            1,
            "whoever opens the tunnel moves the count"
        );
    }

    #[test]
    fn a_trial_without_a_verdict_is_given_back() {
        let scene = Scene::new();
        let table = scene.ledger.table();
        scene.set(Phase::OnTrial);
        drop(scene.claim());
        let after = table.ejection(ID);
        assert_eq!((after.phase, after.times), (Phase::Out, 3));
        assert!(after.awaits_trial(Now::read()));

        let on_trial = scene.set(Phase::OnTrial);
        let judged = scene.claim();
        judged.failed(BackendFailure::Refused, START);
        let verdict = table.ejection(ID);
        drop(judged);
        assert_eq!(table.ejection(ID), verdict, "the verdict stands");

        scene.set(Phase::Out);
        let earlier = scene.claim();
        scene.set(Phase::OnTrial);
        drop(earlier);
        assert_eq!(table.ejection(ID), on_trial, "it was another one's trial");
    }
}
