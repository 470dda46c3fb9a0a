//! The backend with the fewest tunnels for its weight, counted over all workers.

use super::Tried;
use crate::fleet::{Member, Members, SlotTable};
use crate::rng::Rng;

/// Looks at every backend and takes the one that would carry least per unit of weight with one more tunnel
/// on it. Connections being made count like tunnels, so a burst does not pile onto whoever was lowest at its
/// start. Ties go to the first one after the last choice, so equals take turns.
///
/// A pick reads one cache line a backend; this is the one policy whose cost grows with the pool.
#[derive(Debug, Clone)]
pub(super) struct LeastConnections {
    /// Where the next scan starts. Kept below the pool's size at each pick.
    start: u32,
}

impl LeastConnections {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            start: rng.below(u32::MAX),
        }
    }

    pub(super) fn pick<'a>(
        &mut self,
        members: &'a Members,
        table: &SlotTable,
        tried: &Tried,
    ) -> Option<&'a Member> {
        let start = self.start as usize % members.len().max(1);
        let (before, after) = members.split_at(start);
        let mut best: Option<(usize, Burden)> = None;
        let mut look = |place, member: &Member| {
            let burden = Burden::with_one_more(table.load(member.id).total(), member);
            // Whether it was tried is asked last, since a new best is rare in a long scan.
            if best.is_none_or(|(_, least)| burden.is_below(least)) && !tried.contains(member.id) {
                best = Some((place, burden));
            }
        };
        for (place, member) in (start..).zip(after) {
            look(place, member);
        }
        for (place, member) in before.iter().enumerate() {
            look(place, member);
        }
        let (place, _) = best?;
        self.start = u32::try_from(place + 1).unwrap_or(0);
        members.get(place)
    }
}

/// Connections per unit of weight, as a fraction.
#[derive(Debug, Clone, Copy)]
struct Burden {
    connections: u64,
    weight: u64,
}

impl Burden {
    fn with_one_more(connections: u64, member: &Member) -> Self {
        Self {
            connections: connections + 1,
            weight: u64::from(member.weight.get()),
        }
    }

    /// Compares by cross-multiplication: at most 2^33 connections times a weight of 1,000 stays in 64 bits.
    fn is_below(self, other: Self) -> bool {
        self.connections * other.weight < other.connections * self.weight
    }
}
