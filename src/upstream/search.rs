//! One client's search for a backend: who is next, who failed it, and whether it may try again.

use std::borrow::Cow;
use std::cell::RefCell;

use super::budget::Purse;
use super::claim::{Claim, Grounds};
use super::dial::{DialError, Dialled, connect, fails_everywhere, failure_of, refusal_of};
use super::ports::Lack;
use crate::balance::{Ask, Balancer, NoPick};
use crate::clock::Now;
use crate::fleet::{BackendId, Load, Member, Pool};
use crate::limits;
use crate::metrics::{BackendFailure, Refusal};
use crate::ring::Caller;

/// Goes from one backend to the next until one answers, at most `connect_tries_max` of them, and never to one twice.
/// The first failure is what the client is told when no other may be tried.
pub struct Search<'a> {
    grounds: Grounds<'a>,
    policy: &'a RefCell<Balancer>,
    purse: &'a RefCell<Purse>,
    ask: Ask,
    tries: u8,
    first_failure: Option<(Refusal, Cow<'static, str>)>,
}

/// Who was chosen, and the connection counted as being made to it.
pub struct Chosen<'a> {
    member: &'a Member,
    claim: Claim<'a>,
}

/// Why there is nobody to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoChoice {
    /// Those who may be tried are full: one may have room soon.
    Full,
    /// There is nobody left, or no retry; the client is told this.
    Refuse(Refusal, Cow<'static, str>),
}

impl<'a> Search<'a> {
    /// A search that has tried nobody yet. `key` and `preferred` are what the request says about where it belongs.
    pub fn new(
        grounds: Grounds<'a>,
        policy: &'a RefCell<Balancer>,
        purse: &'a RefCell<Purse>,
        (key, preferred): (Option<u64>, Option<BackendId>),
    ) -> Self {
        let ask = Ask {
            key,
            preferred,
            ..Ask::default()
        };
        Self {
            grounds,
            policy,
            purse,
            ask,
            tries: 0,
            first_failure: None,
        }
    }

    /// The pool it searches.
    pub const fn pool(&self) -> &'a Pool {
        self.grounds.pool
    }

    /// Whether nobody was tried yet.
    pub const fn is_fresh(&self) -> bool {
        self.tries == 0
    }

    /// The next backend to try, and a claim on it. Asks the policy; never across an await.
    pub fn choose(&mut self, now: Now) -> Result<Chosen<'a>, NoChoice> {
        if self.tries >= self.pool().connect_tries_max {
            return Err(self.over());
        }
        let chosen = self.pick(now)?;
        let (budget, counters) = (self.pool().retry_budget, self.grounds.counters);
        if self.is_fresh() {
            self.purse.borrow_mut().earn(budget);
        } else if self.purse.borrow_mut().spend(budget, now) {
            counters.retries.add(1);
        } else {
            counters.retries_denied.add(1);
            return Err(self.over());
        }
        self.tries += 1;
        Ok(chosen)
    }

    /// Connects to who was chosen; nothing if that failed, which is noted here and held against the backend.
    pub async fn connect(&mut self, caller: &Caller, chosen: Chosen<'a>) -> Option<Dialled<'a>> {
        let Chosen { member, claim } = chosen;
        let failure = match connect(caller, self.grounds, member).await {
            Ok(stream) => return Some(Dialled::new(stream, claim)),
            Err(DialError::Connect(error)) => {
                let failure = failure_of(&error);
                if failure == BackendFailure::NoResources && fails_everywhere(&error) {
                    self.tries = u8::MAX;
                }
                failure
            }
            Err(DialError::Lack(lack)) => {
                self.say(lack, member);
                lack.failure()
            }
            Err(DialError::Tls(words)) => {
                let (pool, backend) = (&*self.pool().name, &*member.name);
                tracing::warn!(pool, backend, %words, "the TLS handshake with the backend failed");
                BackendFailure::Tls
            }
        };
        claim.failed(failure, Now::read());
        self.note(member.id, refusal_of(failure), Cow::Borrowed(""));
        None
    }

    /// Says what this host lacks, so that somebody gives it more. Not for each client: there may be a storm of them.
    fn say(&self, lack: Lack, member: &Member) {
        if !self.grounds.ports.may_warn(Now::read()) {
            return;
        }
        let (pool, backend) = (&*self.pool().name, &*member.name);
        match lack {
            Lack::Ports => tracing::warn!(
                pool,
                backend,
                "no source port is left for this backend: give the pool more source_addresses, or widen \
                 net.ipv4.ip_local_port_range"
            ),
            Lack::Address => tracing::warn!(
                pool,
                backend,
                "this host has no address to dial this backend from: bring up one of the pool's source_addresses, or a \
                 route to the backend"
            ),
        }
    }

    /// A backend took the connection and closed it before it had said anything: nothing has happened yet, so another
    /// one may be asked.
    pub fn closed_unanswered(&mut self, dialled: &Dialled<'_>, refusal: Refusal, detail: String) {
        dialled.failed(BackendFailure::Closed);
        self.note(dialled.backend(), refusal, detail.into());
    }

    fn note(&mut self, id: BackendId, refusal: Refusal, detail: Cow<'static, str>) {
        self.ask.tried.insert(id);
        self.first_failure.get_or_insert((refusal, detail));
    }

    fn pick(&self, now: Now) -> Result<Chosen<'a>, NoChoice> {
        let Grounds { pool, ledger, .. } = self.grounds;
        if is_full(pool, &self.grounds) {
            return Err(NoChoice::Full);
        }
        let mut ask = Ask { now, ..self.ask };
        let mut lost = false;
        for _ in 0..limits::CLAIMS_LOST_MAX {
            ask.preferred = ask.preferred.filter(|&id| !ask.tried.contains(id));
            let picked = self.policy.borrow_mut().pick(pool, ledger.table(), &ask);
            let member = match picked {
                Ok(member) => member,
                Err(NoPick::Nobody) if !lost => return Err(self.over()),
                Err(NoPick::Nobody | NoPick::Full) => return Err(NoChoice::Full),
            };
            if let Some(claim) = Claim::start(self.grounds, member, now) {
                return Ok(Chosen { member, claim });
            }
            // It filled up between the look and the claim, or was never looked at for that.
            lost = true;
            if !ask.tried.insert(member.id) {
                break;
            }
        }
        Err(NoChoice::Full)
    }

    fn over(&self) -> NoChoice {
        let (refusal, detail) = self
            .first_failure
            .clone()
            .unwrap_or((Refusal::NoBackend, Cow::Borrowed("")));
        NoChoice::Refuse(refusal, detail)
    }
}

/// Whether the pool as a whole is at its bound. Looks at every row, which only pools with such a bound pay for; two
/// workers that look at once may both see the last place.
fn is_full(pool: &Pool, grounds: &Grounds<'_>) -> bool {
    let table = grounds.ledger.table();
    pool.established_max.is_some_and(|most| {
        let loads = pool.backends.iter().map(|member| table.load(member.id));
        loads.map(Load::total).sum::<u64>() >= u64::from(most)
    })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::ports::Ports;
    use super::super::turns::Turns;
    use super::*;
    use crate::fleet::{Caps, Ledger, PolicyKind, PoolId, RetryBudget, SlotTable, Weight};
    use crate::metrics::WorkerCounters;
    use crate::rng::Rng;
    use crate::sync::Arc;

    struct Scene {
        pool: Pool,
        ledger: Rc<Ledger>,
        counters: WorkerCounters,
        policy: RefCell<Balancer>,
        purse: RefCell<Purse>,
        turns: Turns,
        ports: Ports,
    }

    impl Scene {
        fn new(backends: u16) -> Self {
            let member = |id: u16| {
                let address = std::net::SocketAddr::from(([10, 0, 0, 1], id));
                Member::new(BackendId(id), address, Weight::ONE)
            };
            let members = (0..backends).map(member).collect();
            Self {
                pool: Pool::new(PoolId(0), "p", PolicyKind::RoundRobin, members),
                ledger: Rc::new(Ledger::new(Arc::new(SlotTable::new(backends.into())))),
                counters: WorkerCounters::default(),
                policy: RefCell::new(Balancer::new(PolicyKind::RoundRobin, 1)),
                purse: RefCell::new(Purse::new(START)),
                turns: Turns::default(),
                ports: Ports::new(Rng::seeded(1)),
            }
        }

        fn search(&self) -> Search<'_> {
            let grounds = Grounds {
                pool: &self.pool,
                ledger: &self.ledger,
                counters: &self.counters,
                turns: &self.turns,
                ports: &self.ports,
            };
            Search::new(grounds, &self.policy, &self.purse, (None, None))
        }
    }

    const START: Now = Now::from_nanos(1_000_000_000);

    /// Chooses one that then fails as if by this.
    fn failed(search: &mut Search<'_>, refusal: Refusal) -> BackendId {
        let chosen = search
            .choose(START)
            .unwrap_or_else(|none| panic!("{none:?}"));
        search.note(chosen.member.id, refusal, Cow::Borrowed("why"));
        chosen.member.id
    }

    fn end(search: &mut Search<'_>) -> NoChoice {
        search.choose(START).err().unwrap()
    }

    #[test]
    fn each_backend_is_tried_once_and_the_first_failure_is_told() {
        let scene = Scene::new(2);
        let mut search = scene.search();
        let one = failed(&mut search, Refusal::BackendClosed);
        let two = failed(&mut search, Refusal::NoBackend);
        assert_ne!(one, two);
        let told = NoChoice::Refuse(Refusal::BackendClosed, "why".into());
        assert_eq!(end(&mut search), told);
        assert_eq!(scene.counters.retries.get(), 1);
        assert_eq!(scene.ledger.table().load(one).total(), 0);
    }

    #[test]
    fn tries_and_retries_have_their_bounds() {
        let mut scene = Scene::new(5);
        scene.pool.connect_tries_max = 2;
        let mut search = scene.search();
        failed(&mut search, Refusal::NoBackend);
        failed(&mut search, Refusal::NoBackend);
        assert!(matches!(end(&mut search), NoChoice::Refuse(..)));
        assert_eq!(scene.counters.retries_denied.get(), 0);

        scene.pool.retry_budget = RetryBudget {
            percent: 0,
            least_per_second: 0,
        };
        let mut search = scene.search();
        failed(&mut search, Refusal::ConnectTimeout);
        let told = NoChoice::Refuse(Refusal::ConnectTimeout, "why".into());
        assert_eq!(end(&mut search), told);
        assert_eq!(scene.counters.retries_denied.get(), 1);
        let table = scene.ledger.table();
        assert!(
            (0..5).all(|id| table.load(BackendId(id)).total() == 0),
            "no claim is left"
        );
    }

    #[test]
    fn nobody_is_not_the_same_as_full() {
        let mut scene = Scene::new(3);
        scene.pool.caps = Caps {
            established: Some(1),
            connecting: None,
        };
        let taken: Vec<_> = (0..3)
            .map(|_| scene.search().choose(START).ok().unwrap())
            .collect();
        assert_eq!(end(&mut scene.search()), NoChoice::Full);
        drop(taken);
        let mut search = scene.search();
        let one = failed(&mut search, Refusal::NoBackend);
        let rest = (0..3).filter(|&id| BackendId(id) != one);
        rest.for_each(|id| scene.ledger.connect_started(BackendId(id)));
        assert_eq!(
            end(&mut search),
            NoChoice::Full,
            "the others may have room soon"
        );

        let empty = Scene::new(0);
        let nobody = NoChoice::Refuse(Refusal::NoBackend, "".into());
        assert_eq!(end(&mut empty.search()), nobody);
    }

    #[test]
    fn a_pool_as_a_whole_may_be_full() {
        let mut scene = Scene::new(3);
        scene.pool.established_max = Some(2);
        let _held: Vec<_> = (0..2)
            .map(|_| scene.search().choose(START).ok().unwrap())
            .collect();
        assert_eq!(end(&mut scene.search()), NoChoice::Full);
    }
}
