//! How long a backend's handshakes take: a moving average that rises at once and falls slowly.

use std::time::Duration;

use crate::clock::Now;

/// A peak-sensitive average: a handshake slower than the average becomes the average, a faster one moves it by its
/// age. So a backend that turns slow is seen at its first slow handshake, and is forgiven over [`Pace::DECAY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// The average in microseconds when it was last written; 0 before the first handshake.
    pub micros: u32,
    /// When it was written, in milliseconds of the process's clock, modulo 2^32 (49 days).
    pub stamp_ms: u32,
}

impl Pace {
    /// After this time without a new handshake, what is left of the average is 1/e.
    pub const DECAY: Duration = Duration::from_secs(10);

    /// The average after one more handshake.
    #[must_use]
    pub fn observed(self, took: Duration, now: Now) -> Self {
        let sample = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let micros = if sample >= self.micros {
            sample
        } else {
            let kept = self.kept(now);
            mixed(self.micros, sample, kept)
        };
        Self {
            micros: micros.max(1),
            stamp_ms: stamp(now),
        }
    }

    /// The average as it counts now: old news fade, so that a backend nobody tries any more is tried again.
    pub fn micros_at(self, now: Now) -> f64 {
        f64::from(self.micros) * self.kept(now)
    }

    fn kept(self, now: Now) -> f64 {
        let age_ms = stamp(now).wrapping_sub(self.stamp_ms);
        (-f64::from(age_ms) / 1_000.0 / Self::DECAY.as_secs_f64()).exp()
    }

    pub(super) const fn packed(self) -> u64 {
        (self.micros as u64) << 32 | self.stamp_ms as u64
    }

    pub(super) const fn unpacked(word: u64) -> Self {
        Self {
            micros: (word >> 32) as u32,
            stamp_ms: (word & 0xFFFF_FFFF) as u32,
        }
    }
}

const fn stamp(now: Now) -> u32 {
    (now.as_millis() & 0xFFFF_FFFF) as u32
}

/// So much of `before` as `kept` says, and the rest of `sample`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it lies between two u32"
)]
fn mixed(before: u32, sample: u32, kept: f64) -> u32 {
    (f64::from(before) * kept + f64::from(sample) * (1.0 - kept)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now::from_nanos(0).after(Duration::from_secs(seconds))
    }

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let slow = Pace::default().observed(Duration::from_millis(40), at(0));
        assert_eq!(slow.micros, 40_000);
        let soon = slow.observed(Duration::from_millis(1), at(1));
        assert!((30_000..39_000).contains(&soon.micros), "{soon:?}");
        let later = slow.observed(Duration::from_millis(1), at(60));
        assert!((1_000..1_200).contains(&later.micros), "{later:?}");
    }

    #[test]
    fn an_average_that_nobody_renews_fades() {
        let slow = Pace::default().observed(Duration::from_secs(5), at(0));
        assert!(slow.micros_at(at(100)) < 500.0);
        assert_eq!(Pace::unpacked(slow.packed()), slow);
    }
}
