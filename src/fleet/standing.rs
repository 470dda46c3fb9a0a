//! What control has decided about a backend: whether it may be picked, and with what weight.

/// Whether a backend may get new tunnels, as far as control knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum State {
    /// It may.
    #[default]
    Up = 0,
    /// Its probes fell. Picked only in a panic.
    Down = 1,
    /// An operator drains it: no new tunnels, not even in a panic.
    Draining = 2,
    /// An operator took it out: as if it were down, and not even picked in a panic.
    Disabled = 3,
    /// It is not configured any more. Only who still goes by an older list sees it, and then as a last resort: until
    /// the new list has come, nobody else may be in it.
    Removed = 4,
}

impl State {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Up,
        Self::Down,
        Self::Draining,
        Self::Disabled,
        Self::Removed,
    ];

    /// The word for this state in the API, in metrics and in logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }

    /// Whether a pool in panic may still pick it: its health is doubted, but nobody has taken it out.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Up | Self::Down | Self::Removed)
    }
}

/// One word of a row, written by control alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may be picked.
    pub state: State,
    /// Its share of the pool by now, from the file, the DNS or an operator. 0 draws no new tunnels.
    pub weight: u16,
    /// How often this row has gone to a new backend: a member of an older generation is somebody else.
    pub generation: u32,
}

impl Default for Standing {
    /// A backend that nobody has said anything about.
    fn default() -> Self {
        Self {
            state: State::Up,
            weight: 1,
            generation: 0,
        }
    }
}

impl Standing {
    pub(super) const fn packed(self) -> u64 {
        (self.generation as u64) << 32 | (self.weight as u64) << 16 | self.state as u64
    }

    pub(super) const fn unpacked(word: u64) -> Self {
        let state = match word & 0xFF {
            0 => State::Up,
            1 => State::Down,
            2 => State::Draining,
            3 => State::Disabled,
            _ => State::Removed,
        };
        Self {
            state,
            weight: ((word >> 16) & 0xFFFF) as u16,
            generation: (word >> 32) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_survives_its_word() {
        for state in State::ALL {
            for (weight, generation) in [(0, 0), (1, 7), (u16::MAX, u32::MAX)] {
                let standing = Standing {
                    state,
                    weight,
                    generation,
                };
                assert_eq!(Standing::unpacked(standing.packed()), standing);
            }
        }
    }
}
