//! Small numbers that must not be mixed: which backend, which pool, which route, what weight.

use std::fmt;
use std::num::NonZeroU16;

use crate::limits::WEIGHT_MAX;

/// A backend, by the index of its row in the [`SlotTable`](super::SlotTable). It keeps this number for as
/// long as it stays configured, over reloads too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u16);

/// A pool, by its place in one snapshot. It may change with the next snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub u16);

/// A route, by the number that a [`Registry`](super::Registry) gave its name. It keeps it over reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u16);

impl BackendId {
    /// The row in the slot table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl PoolId {
    /// The place in [`Snapshot::pools`](super::Snapshot).
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A backend's share of its pool: twice the weight, twice the tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(NonZeroU16);

impl Weight {
    /// The share of a backend that says nothing about it.
    pub const ONE: Self = Self(NonZeroU16::MIN);

    /// A weight from 1 to [`WEIGHT_MAX`], or nothing.
    pub fn new(weight: u16) -> Option<Self> {
        NonZeroU16::new(weight)
            .filter(|weight| weight.get() <= WEIGHT_MAX)
            .map(Self)
    }

    /// The plain number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_never_zero_and_never_over_its_bound() {
        assert_eq!(Weight::new(0), None);
        assert_eq!(Weight::new(1), Some(Weight::ONE));
        assert!(Weight::new(WEIGHT_MAX).is_some());
        assert_eq!(Weight::new(WEIGHT_MAX + 1), None);
    }
}
