//! What an operator may order, and what comes of it.

use super::record::Order;
use super::rows::BackendRow;
use super::{News, Overseer};
use crate::clock::Now;
use crate::fleet::{BackendId, Ejection, Phase, PolicyKind};
use crate::limits::WEIGHT_MAX;

/// An order about one backend. It holds until it is taken back, over reloads too, and ends with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No new tunnels; the open ones end as the pool's `on_drain` says.
    Drain,
    /// Takes a drain back.
    Undrain,
    /// No new tunnels, not even in a panic; the open ones end as the pool's `on_down` says.
    Down,
    /// Takes `down` or a drain back, and trusts the backend again at once if workers had put it out.
    Up,
    /// Its share of the pool from now on; 0 draws no new tunnels.
    Weight(u16),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// There is no such pool.
    #[error("there is no pool {0:?}")]
    NoPool(String),
    /// The pool has no such backend.
    #[error("pool {pool:?} has no backend {backend:?}")]
    NoBackend {
        /// The pool.
        pool: String,
        /// What was asked for.
        backend: String,
    },
    /// The weight is out of range.
    #[error("expected a weight from 0 to {WEIGHT_MAX}, found {0}")]
    Weight(u16),
    /// The pool's policy knows no weights.
    #[error("pool {0:?} takes each backend in turn and knows no weights; use weighted-round-robin")]
    NoWeights(String),
}

impl Overseer {
    /// Carries an order out. The row shows it at once, and every worker sees it at its next pick.
    pub(in crate::control) fn change(
        &mut self,
        (pool, backend): (&str, &str),
        change: Change,
        now: Now,
    ) -> Result<(BackendRow, News), ChangeRefused> {
        let known = self
            .snapshot
            .pools
            .iter()
            .find(|known| *known.name == *pool);
        let Some(known) = known else {
            return Err(ChangeRefused::NoPool(pool.to_owned()));
        };
        let policy = known.policy;
        let found = self
            .records
            .values_mut()
            .find(|record| *record.pool == *pool && *record.name == *backend);
        let Some(record) = found else {
            return Err(ChangeRefused::NoBackend {
                pool: pool.to_owned(),
                backend: backend.to_owned(),
            });
        };
        let id = record.id;
        let mut publish = false;
        match change {
            Change::Drain => record.order = Order::Drain,
            Change::Down => record.order = Order::Down,
            Change::Undrain if record.order == Order::Drain => record.order = Order::Serve,
            Change::Undrain => {}
            Change::Up => record.order = Order::Serve,
            Change::Weight(weight) if weight > WEIGHT_MAX => {
                return Err(ChangeRefused::Weight(weight));
            }
            Change::Weight(_) if policy == PolicyKind::RoundRobin => {
                return Err(ChangeRefused::NoWeights(pool.to_owned()));
            }
            Change::Weight(weight) => {
                record.own_weight = Some(weight);
                // A hash's lookup table is part of the snapshot.
                publish = policy.is_hash();
            }
        }
        if change == Change::Up {
            self.trust(id, now);
        }
        self.settle(id, now);
        let news = if publish {
            self.publish(now)
        } else {
            News::default()
        };
        let row = self.row(id, now).ok_or_else(|| ChangeRefused::NoBackend {
            pool: pool.to_owned(),
            backend: backend.to_owned(),
        })?;
        Ok((row, news))
    }

    /// Forgets that workers had put a backend out; its slow start begins.
    fn trust(&self, id: BackendId, now: Now) {
        let table = self.registry.table();
        let ejection = table.ejection(id);
        if ejection.phase != Phase::Trusted
            && table.replace_ejection(id, ejection, Ejection::default())
        {
            table.streak_ended(id);
            table.rose(id, now);
        }
    }
}
