//! Where clients wait while every backend of their pool is full: one line for each pool, first come, first served.
//!
//! Only the first of a line tries, so nobody overtakes; who is served calls the next. The first is called when
//! something ended on this worker, and from time to time, as other workers free places too.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::clock::Now;
use crate::fleet::{Pool, Snapshot};
use crate::metrics::WorkerCounters;
use crate::sync::Arc;
use crate::upstream::Purse;

/// What one worker keeps for each pool, by its name, from one snapshot to the next.
#[derive(Default)]
pub(super) struct Lobbies {
    by_pool: RefCell<ByName>,
    /// Clients in all lines.
    waiting: Rc<Cell<u32>>,
}

type ByName = HashMap<Arc<str>, Rc<Lobby>>;

/// What one worker keeps for one pool.
pub(super) struct Lobby {
    /// The retries that are left to it.
    pub(super) purse: RefCell<Purse>,
    /// Invariant: in the order of the tickets.
    line: RefCell<VecDeque<Waiter>>,
    tickets: Cell<u64>,
    waiting: Rc<Cell<u32>>,
}

struct Waiter {
    ticket: u64,
    deadline: Now,
    called: bool,
    waker: Option<Waker>,
}

/// One client's place in the line. Dropped, it is free, and who is first by then is called.
pub(super) struct Place<'a> {
    lobby: &'a Lobby,
    counters: &'a WorkerCounters,
    ticket: u64,
    /// Until when it may be kept.
    pub(super) deadline: Now,
}

impl Lobbies {
    /// The lobby of a pool. Those of pools that are gone go when a new one comes.
    pub(super) fn of(&self, snapshot: &Snapshot, pool: &Pool, now: Now) -> Rc<Lobby> {
        let mut by_pool = self.by_pool.borrow_mut();
        if let Some(lobby) = by_pool.get(&pool.name) {
            return Rc::clone(lobby);
        }
        if by_pool.len() >= snapshot.pools.len() {
            by_pool.retain(|name, lobby| {
                !lobby.is_empty() || snapshot.pools.iter().any(|pool| pool.name == *name)
            });
        }
        let lobby = Rc::new(Lobby {
            purse: RefCell::new(Purse::new(now)),
            line: RefCell::default(),
            tickets: Cell::new(0),
            waiting: Rc::clone(&self.waiting),
        });
        by_pool.insert(Arc::clone(&pool.name), Rc::clone(&lobby));
        lobby
    }

    /// Whether anybody waits anywhere.
    pub(super) fn anybody_waits(&self) -> bool {
        self.waiting.get() > 0
    }

    /// So many places have come free on this worker, in whatever pools: calls as many from each line.
    pub(super) fn freed(&self, places: usize) {
        self.each_line(|line| line.iter_mut().take(places).for_each(Waiter::call));
    }

    /// Calls the first of each line, for what other workers have freed, and those whose time is over.
    pub(super) fn look(&self, now: Now) {
        self.each_line(|line| {
            let due =
                |(place, waiter): &(usize, &mut Waiter)| *place == 0 || waiter.deadline <= now;
            let due = line.iter_mut().enumerate().filter(due);
            due.for_each(|(_, waiter)| waiter.call());
        });
    }

    /// Calls everybody: there is news for all.
    pub(super) fn call_all(&self) {
        self.freed(usize::MAX);
    }

    /// Forgets who waits, without a call: nobody will run any more.
    pub(super) fn close(&self) {
        self.each_line(VecDeque::clear);
    }

    fn each_line(&self, act: impl Fn(&mut VecDeque<Waiter>)) {
        if self.anybody_waits() {
            for lobby in self.by_pool.borrow().values() {
                act(&mut lobby.line.borrow_mut());
            }
        }
    }
}

impl Lobby {
    /// Whether nobody waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.line.borrow().is_empty()
    }

    /// Takes the last place of the line, if one of so many is free.
    pub(super) fn join<'a>(
        &'a self,
        places: u32,
        deadline: Now,
        counters: &'a WorkerCounters,
    ) -> Option<Place<'a>> {
        let mut line = self.line.borrow_mut();
        if line.len() >= places as usize {
            return None;
        }
        let ticket = self.tickets.get() + 1;
        self.tickets.set(ticket);
        line.push_back(Waiter {
            ticket,
            deadline,
            called: false,
            waker: None,
        });
        self.waiting.set(self.waiting.get() + 1);
        counters.clients_waiting.inc();
        counters.clients_waited.add(1);
        Some(Place {
            lobby: self,
            counters,
            ticket,
            deadline,
        })
    }
}

impl Place<'_> {
    /// Whether it is this one's turn.
    pub(super) fn is_first(&self) -> bool {
        let line = self.lobby.line.borrow();
        line.front()
            .is_some_and(|first| first.ticket == self.ticket)
    }

    /// Waits for a call; one that came before counts.
    pub(super) fn called(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            self.with(|waiter| {
                if std::mem::take(&mut waiter.called) {
                    return Poll::Ready(());
                }
                waiter.waker = Some(context.waker().clone());
                Poll::Pending
            })
            .unwrap_or(Poll::Ready(()))
        })
    }

    /// Ends the wait for a call.
    pub(super) fn call_off(&self) {
        self.with(Waiter::call);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waiter) -> T) -> Option<T> {
        let mut line = self.lobby.line.borrow_mut();
        let found = line.binary_search_by_key(&self.ticket, |waiter| waiter.ticket);
        found.ok().map(|place| act(&mut line[place]))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let lobby = self.lobby;
        lobby.waiting.set(lobby.waiting.get() - 1);
        self.counters.clients_waiting.dec();
        let was_first = self.is_first();
        let mut line = lobby.line.borrow_mut();
        if let Ok(place) = line.binary_search_by_key(&self.ticket, |waiter| waiter.ticket) {
            line.remove(place);
        }
        if was_first && let Some(next) = line.front_mut() {
            next.call();
        }
    }
}

impl Waiter {
    fn call(&mut self) {
        self.called = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;
    use crate::fleet::{PolicyKind, PoolId, RouteTable, SourceLimits};

    const LATER: Now = Now::from_nanos(1_000);

    fn snapshot(names: &[&str]) -> Snapshot {
        let pool = |(place, name): (u16, &&str)| {
            Pool::new(PoolId(place), name, PolicyKind::RoundRobin, Vec::new())
        };
        Snapshot {
            pools: (0..).zip(names).map(pool).collect(),
            routes: RouteTable::new(Vec::new()),
            trusted_proxies: Vec::new(),
            doors: Vec::new(),
            head_timeout: std::time::Duration::ZERO,
            source_limits: SourceLimits::default(),
        }
    }

    fn lobby(lobbies: &Lobbies) -> Rc<Lobby> {
        let snapshot = snapshot(&["p"]);
        lobbies.of(&snapshot, &snapshot.pools[0], Now::from_nanos(0))
    }

    fn is_called(place: &Place<'_>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(place.called()).poll(&mut context).is_ready()
    }

    #[test]
    fn first_come_first_called_and_who_leaves_calls_the_next() {
        let (lobbies, counters) = (Lobbies::default(), WorkerCounters::default());
        let lobby = lobby(&lobbies);
        let join = || lobby.join(3, LATER, &counters);
        let (one, two, three) = (join().unwrap(), join().unwrap(), join().unwrap());
        assert!(join().is_none(), "three places");
        assert_eq!(counters.clients_waiting.get(), 3);
        lobbies.freed(1);
        assert!(is_called(&one) && !is_called(&two) && !is_called(&three));
        drop(two);
        assert!(!is_called(&three), "it is not its turn yet");
        drop(one);
        assert!(is_called(&three) && three.is_first());
        drop(three);
        assert!(lobby.is_empty() && !lobbies.anybody_waits());
        assert_eq!(
            (
                counters.clients_waiting.get(),
                counters.clients_waited.get()
            ),
            (0, 3)
        );
    }

    #[test]
    fn a_look_calls_the_first_and_those_whose_time_is_over() {
        let (lobbies, counters) = (Lobbies::default(), WorkerCounters::default());
        let lobby = lobby(&lobbies);
        let join = |nanos| lobby.join(9, Now::from_nanos(nanos), &counters).unwrap();
        let (one, two, three) = (join(30), join(10), join(20));
        lobbies.look(Now::from_nanos(15));
        assert!(is_called(&one) && is_called(&two) && !is_called(&three));
        lobbies.call_all();
        assert!(is_called(&three));
    }

    #[test]
    fn a_call_before_the_wait_is_not_lost_and_counts_once() {
        let (lobbies, counters) = (Lobbies::default(), WorkerCounters::default());
        let lobby = lobby(&lobbies);
        let place = lobby.join(1, LATER, &counters).unwrap();
        lobbies.freed(5);
        assert!(is_called(&place) && !is_called(&place));
        place.call_off();
        assert!(is_called(&place));
    }

    #[test]
    fn a_closed_lobby_lets_everybody_go() {
        let (lobbies, counters) = (Lobbies::default(), WorkerCounters::default());
        let lobby = lobby(&lobbies);
        let place = lobby.join(1, LATER, &counters).unwrap();
        lobbies.close();
        assert!(is_called(&place) && !place.is_first());
        drop(place);
        assert!(!lobbies.anybody_waits());
    }

    #[test]
    fn a_pool_keeps_its_lobby_and_those_of_gone_pools_go() {
        let (lobbies, counters) = (Lobbies::default(), WorkerCounters::default());
        let old = snapshot(&["one", "two", "three"]);
        let of =
            |snapshot: &Snapshot, place: usize| lobbies.of(snapshot, &snapshot.pools[place], LATER);
        let (one, two, _three) = (of(&old, 0), of(&old, 1), of(&old, 2));
        let _place = two.join(1, LATER, &counters).unwrap();
        let new = snapshot(&["four", "one"]);
        assert!(Rc::ptr_eq(&of(&new, 1), &one));
        of(&new, 0);
        let mut names: Vec<_> = lobbies.by_pool.borrow().keys().cloned().collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["four".into(), "one".into(), "two".into()] as [Arc<str>; 3]
        );
    }
}
