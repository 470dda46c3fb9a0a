//! What a backend carries for its weight.

use crate::fleet::Load;

/// Connections per unit of weight, as a fraction. Connections being made count like tunnels, so a burst does not
/// pile onto whoever was lowest at its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burden {
    connections: u64,
    weight: u64,
}

impl Burden {
    pub(super) fn with_one_more(load: Load, weight: u16) -> Self {
        Self {
            connections: load.total() + 1,
            weight: u64::from(weight),
        }
    }

    /// Compares by cross-multiplication: at most 2^33 connections times a weight of 2^16 stays in 64 bits.
    pub(super) const fn is_below(self, other: Self) -> bool {
        self.connections * other.weight < other.connections * self.weight
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "fewer than 2^52 connections, and costs are compared roughly"
    )]
    pub(super) fn per_weight(self) -> f64 {
        self.connections as f64 / self.weight as f64
    }
}
