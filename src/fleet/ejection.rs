//! A backend that workers have put out for a while, because of what it did to their connections.

use crate::clock::Now;

/// Where a backend stands between failing and being trusted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Phase {
    /// It is trusted.
    #[default]
    Trusted = 0,
    /// It is out until its time is over; then one connection may try it.
    Out = 1,
    /// One connection tries it; if that one is lost, another may when the time is over.
    OnTrial = 2,
}

/// One word of a row. Written by any worker and by control, each time by compare and exchange, so that two
/// who see the same failures eject once and only one gets the trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ejection {
    /// Where it stands.
    pub phase: Phase,
    /// When the phase gives way, in milliseconds of the process's monotonic clock; a clock that is set changes
    /// nothing. Kept while trusted: when it was last out, so that the back-off can be forgotten in time.
    pub until_ms: u64,
    /// How often in a row it was ejected: the exponent of the back-off.
    pub times: u8,
}

impl Ejection {
    /// Whether it may not be picked at this moment. With the time over, the next connection is its trial.
    pub const fn is_out(self, now: Now) -> bool {
        !matches!(self.phase, Phase::Trusted) && now.as_millis() < self.until_ms
    }

    /// Whether one connection may now try it.
    pub const fn awaits_trial(self, now: Now) -> bool {
        !matches!(self.phase, Phase::Trusted) && now.as_millis() >= self.until_ms
    }

    pub(super) const fn packed(self) -> u64 {
        (self.until_ms & UNTIL_MAX) << 16 | (self.times as u64) << 8 | self.phase as u64
    }

    pub(super) const fn unpacked(word: u64) -> Self {
        let phase = match word & 0xFF {
            0 => Phase::Trusted,
            1 => Phase::Out,
            _ => Phase::OnTrial,
        };
        Self {
            phase,
            until_ms: word >> 16,
            times: ((word >> 8) & 0xFF) as u8,
        }
    }
}

/// 48 bits of milliseconds: 8,900 years.
const UNTIL_MAX: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ejection_survives_its_word() {
        for phase in [Phase::Trusted, Phase::Out, Phase::OnTrial] {
            for (until_ms, times) in [(0, 0), (1, 3), (UNTIL_MAX, u8::MAX)] {
                let ejection = Ejection {
                    phase,
                    until_ms,
                    times,
                };
                assert_eq!(Ejection::unpacked(ejection.packed()), ejection);
            }
        }
    }
}
