//! What control knows of one backend: what the file says, what its probes found, what an operator ordered.

use std::net::SocketAddr;

use super::tasks::Probed;
use crate::clock::Now;
use crate::fleet::{BackendId, Fate, Fates, Member, Pool, SlotTable, Standing, State, Weight};
use crate::health::{self, AbnormalShare, Step, Verdict};
use crate::sync::Arc;

/// One backend.
pub(super) struct Record {
    pub(super) id: BackendId,
    pub(super) generation: u32,
    pub(super) pool: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) address: SocketAddr,
    pub(super) priority: u8,
    /// The weight of the file or the DNS.
    pub(super) weight: Weight,
    /// What an operator ordered; it holds until it is taken back, over reloads too.
    pub(super) order: Order,
    /// The weight an operator set, which goes before the file's.
    pub(super) own_weight: Option<u16>,
    /// What the probes say, where there are any.
    pub(super) is_down: bool,
    /// The last probe and when it ended.
    pub(super) last_probe: Option<(Probed, Now)>,
    pub(super) is_removed: bool,
    fates: Fates,
    ends: AbnormalShare,
}

/// What an operator wants of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    #[default]
    Serve,
    Drain,
    Down,
}

/// A backend has left and its tunnels are to be closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) close_per_second: u32,
}

impl Record {
    pub(super) fn new(pool: &Pool, member: &Member) -> Self {
        Self {
            id: member.id,
            generation: member.generation,
            pool: Arc::clone(&pool.name),
            name: Arc::clone(&member.name),
            address: member.address,
            priority: member.priority,
            weight: member.weight,
            order: Order::Serve,
            own_weight: None,
            is_down: false,
            last_probe: None,
            is_removed: false,
            fates: pool.fates,
            ends: AbnormalShare::default(),
        }
    }

    /// Takes over what a new snapshot says.
    pub(super) fn follows(&mut self, pool: &Pool, member: &Member, is_probed: bool) {
        self.priority = member.priority;
        if self.own_weight.is_none() {
            self.weight = member.weight;
        }
        self.fates = pool.fates;
        self.is_removed = false;
        if !is_probed {
            // Nobody would ever bring it up again.
            self.is_down = false;
            self.last_probe = None;
        }
    }

    pub(super) fn probed(&mut self, probed: Probed, now: Now) {
        match probed.step {
            Step::Rose => {
                tracing::info!(pool = &*self.pool, backend = &*self.name, "backend is up");
                self.is_down = false;
            }
            Step::Fell => {
                let why = probed.outcome.as_ref().err().map(ToString::to_string);
                let why = why.unwrap_or_default();
                tracing::warn!(
                    pool = &*self.pool,
                    backend = &*self.name,
                    "backend is down: {why}"
                );
                self.is_down = true;
            }
            Step::Same => {}
        }
        self.last_probe = Some((probed, now));
    }

    /// Puts it out if too many of its tunnels ended abnormally.
    pub(super) fn look(&mut self, pool: &Pool, table: &SlotTable, now: Now) {
        let out = health::abnormal(pool, table, self.id, &mut self.ends, now);
        if let Some(time) = out {
            tracing::warn!(
                pool = &*self.pool,
                backend = &*self.name,
                "backend is put out for {} s: too many of its tunnels ended abnormally",
                time.as_secs()
            );
        }
    }

    /// What its probes say so far.
    pub(super) const fn verdict(&self) -> Verdict {
        if self.is_down {
            Verdict::Down
        } else {
            Verdict::Up
        }
    }

    /// Its state by all that is known.
    pub(super) const fn state(&self) -> State {
        match (self.is_removed, self.order, self.is_down) {
            (true, ..) => State::Removed,
            (_, Order::Down, _) => State::Disabled,
            (_, Order::Drain, _) => State::Draining,
            (_, Order::Serve, true) => State::Down,
            (_, Order::Serve, false) => State::Up,
        }
    }

    /// Writes its standing into its row. Something if its tunnels are to be closed.
    pub(super) fn settle(&mut self, table: &SlotTable, now: Now) -> Option<Left> {
        let before = table.standing(self.id);
        let state = self.state();
        table.set_standing(
            self.id,
            Standing {
                state,
                weight: self.own_weight.unwrap_or(self.weight.get()),
                generation: self.generation,
            },
        );
        if state == before.state {
            return None;
        }
        if state == State::Up {
            table.rose(self.id, now);
        }
        let fate = match state {
            State::Up => Fate::Keep,
            State::Down | State::Disabled => self.fates.down,
            State::Draining => self.fates.drain,
            State::Removed => self.fates.remove,
        };
        (fate == Fate::Close).then_some(Left {
            close_per_second: self.fates.close_per_second,
        })
    }
}
