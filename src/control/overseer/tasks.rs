//! The tasks that look outside: one for each backend that is probed, one for each name that is asked for.

use std::collections::HashMap;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::super::discovery::{Answer, DiscoveryError, Resolver};
use super::super::probe::{Approach, ProbeFailure, probe};
use crate::clock::unix_millis;
use crate::config::{Config, NameSettings};
use crate::fleet::{BackendId, Member};
use crate::health::{ProbeMachine, ProbeSettings, Step, Verdict};
use crate::limits;
use crate::rng::Rng;
use crate::sync::Arc;

/// Makes what asks the DNS, or says why there is none.
pub(in crate::control) type ResolverMaker = fn() -> Option<Resolver>;

/// What a task found.
#[derive(Debug)]
pub(in crate::control) enum Event {
    Probed(Probed),
    Named(Named),
}

/// One probe has ended.
#[derive(Debug)]
pub(in crate::control) struct Probed {
    pub(super) id: BackendId,
    pub(super) generation: u32,
    /// What follows from it.
    pub(super) step: Step,
    /// How long it took, or what was wrong.
    pub(super) outcome: Result<Duration, ProbeFailure>,
}

/// The DNS has answered, or has not.
#[derive(Debug)]
pub(in crate::control) struct Named {
    pub(super) pool: String,
    pub(super) name: NameSettings,
    pub(super) answer: Result<Answer, DiscoveryError>,
}

/// All of them. Dropped, they end.
pub(super) struct Tasks {
    events: mpsc::Sender<Event>,
    places: Arc<Semaphore>,
    resolver: ResolverMaker,
    probes: HashMap<BackendId, Probing>,
    names: Vec<Task>,
    rng: Rng,
}

/// A backend that is probed.
struct Probing {
    generation: u32,
    settings: ProbeSettings,
    way: Way,
    _task: Task,
}

/// How a backend is come to. Its owner changes it, and the next probe goes by it.
type Way = Arc<ArcSwap<Approach>>;

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    pub(super) fn new(
        events: mpsc::Sender<Event>,
        places: Arc<Semaphore>,
        resolver: ResolverMaker,
    ) -> Self {
        Self {
            events,
            places,
            resolver,
            probes: HashMap::new(),
            names: Vec::new(),
            rng: Rng::seeded(unix_millis()),
        }
    }

    /// Probes this backend as the settings say, or not at all. One that is probed by them already goes on, with the next
    /// probe coming to it by `approach`; otherwise the probes begin with `verdict`.
    pub(super) fn probe(
        &mut self,
        member: &Member,
        (settings, approach): (Option<&ProbeSettings>, Approach),
        verdict: Verdict,
    ) {
        let Some(settings) = settings else {
            self.stop_probing(member.id);
            return;
        };
        let own = self.probes.get(&member.id);
        let own = own.filter(|own| own.generation == member.generation);
        if let Some(own) = own.filter(|own| own.settings == *settings) {
            if **own.way.load() != approach {
                own.way.store(Arc::new(approach));
            }
            return;
        }
        let way: Way = Arc::new(ArcSwap::from_pointee(approach));
        let loops = ProbeLoop {
            events: self.events.clone(),
            places: Arc::clone(&self.places),
            member: member.clone(),
            settings: settings.clone(),
            way: Arc::clone(&way),
            verdict,
            rng: Rng::seeded(self.rng.next_u64()),
        };
        let probing = Probing {
            generation: member.generation,
            settings: settings.clone(),
            way,
            _task: Task(tokio::spawn(loops.run())),
        };
        self.probes.insert(member.id, probing);
    }

    pub(super) fn stop_probing(&mut self, id: BackendId) {
        self.probes.remove(&id);
    }

    /// Asks for every name of the configuration, and for no other.
    pub(super) fn ask_for(&mut self, config: &Config) {
        self.names.clear();
        if config.pools.iter().all(|pool| pool.names.is_empty()) {
            return;
        }
        // Made anew, so that a reload also follows the system's own settings.
        let Some(resolver) = (self.resolver)().map(Arc::new) else {
            return;
        };
        for pool in &config.pools {
            for name in &pool.names {
                let events = self.events.clone();
                let task = ask(
                    Arc::clone(&resolver),
                    pool.name.clone(),
                    name.clone(),
                    events,
                );
                self.names.push(Task(tokio::spawn(task)));
            }
        }
    }
}

/// Probes one backend until it is dropped. A probe begins only when the one before it has ended, so they never
/// pile up on a slow backend.
struct ProbeLoop {
    events: mpsc::Sender<Event>,
    places: Arc<Semaphore>,
    member: Member,
    settings: ProbeSettings,
    way: Way,
    /// What was held of it before the first probe.
    verdict: Verdict,
    rng: Rng,
}

impl ProbeLoop {
    async fn run(mut self) {
        let mut machine = ProbeMachine::new(&self.settings, self.verdict);
        // The first one comes at once, but not all of them in the same moment.
        let spread = self.settings.unsure_interval.as_millis().min(1_000);
        let spread = self
            .rng
            .below(u32::try_from(spread).unwrap_or(1_000).max(1));
        tokio::time::sleep(Duration::from_millis(spread.into())).await;
        loop {
            let Ok(place) = self.places.acquire().await else {
                return;
            };
            let way = self.way.load_full();
            let outcome = probe(self.member.address, &way, &self.settings).await;
            drop(place);
            // What we lacked ourselves says nothing about the backend.
            let step = match &outcome {
                Err(ProbeFailure::Ours(_)) => Step::Same,
                outcome => machine.observe(outcome.is_ok()),
            };
            let probed = Probed {
                id: self.member.id,
                generation: self.member.generation,
                step,
                outcome: outcome.map(|probed| probed.took),
            };
            if self.events.send(Event::Probed(probed)).await.is_err() {
                return;
            }
            tokio::time::sleep(machine.next_in(&mut self.rng)).await;
        }
    }
}

/// Asks for one name again and again, as often as its answers allow.
async fn ask(
    resolver: Arc<Resolver>,
    pool: String,
    name: NameSettings,
    events: mpsc::Sender<Event>,
) {
    loop {
        let answer = resolver.ask(&name).await;
        let retry = limits::DNS_RETRY.min(name.interval);
        let pause = answer.as_ref().map_or(retry, |answer| answer.ttl);
        let named = Named {
            pool: pool.clone(),
            name: name.clone(),
            answer,
        };
        if events.send(Event::Named(named)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
