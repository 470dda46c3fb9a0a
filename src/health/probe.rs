//! Decides when a backend rises or falls by its probes. Knows counts and intervals, never sockets.

use std::time::Duration;

use super::settings::ProbeSettings;
use crate::limits::PROBE_PAUSE_LEAST;
use crate::rng::Rng;

/// What the probes of a backend say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is well.
    Up,
    /// It is not.
    Down,
}

/// What one probe changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// It came up.
    Rose,
    /// It went down.
    Fell,
    /// The verdict stands.
    Same,
}

/// The verdict over one backend, and when to probe it next.
///
/// So many probes in a row that say otherwise turn the verdict. While some do, and until the first one, it is
/// unsure, and probes come faster. A backend that is new is up until proven otherwise.
#[derive(Debug, Clone)]
pub struct ProbeMachine {
    verdict: Verdict,
    /// Probes in a row that contradict the verdict. Invariant: fewer than would turn it.
    against: u32,
    /// Whether any probe has ended.
    probed: bool,
    rise: u32,
    fall: u32,
    interval: Duration,
    unsure_interval: Duration,
    jitter_percent: u32,
}

impl ProbeMachine {
    /// A machine before its first probe. A backend that was there before a reload starts with the verdict it had.
    pub fn new(settings: &ProbeSettings, initially: Verdict) -> Self {
        Self {
            verdict: initially,
            against: 0,
            probed: false,
            rise: settings.rise,
            fall: settings.fall,
            interval: settings.interval,
            unsure_interval: settings.unsure_interval.min(settings.interval),
            jitter_percent: settings.jitter_percent.min(100),
        }
    }

    /// The verdict so far.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the last probe agreed with the verdict.
    pub const fn is_sure(&self) -> bool {
        self.probed && self.against == 0
    }

    /// Takes the outcome of one probe.
    pub fn observe(&mut self, good: bool) -> Step {
        self.probed = true;
        let (contradicts, enough, turned, step) = match self.verdict {
            Verdict::Up => (!good, self.fall, Verdict::Down, Step::Fell),
            Verdict::Down => (good, self.rise, Verdict::Up, Step::Rose),
        };
        if !contradicts {
            self.against = 0;
            return Step::Same;
        }
        self.against += 1;
        if self.against < enough {
            return Step::Same;
        }
        self.verdict = turned;
        self.against = 0;
        step
    }

    /// How long to wait before the next probe, counted from the end of the last one. The first one comes at any
    /// moment of the unsure interval, so that a start with many backends spreads over all of it.
    pub fn next_in(&self, rng: &mut Rng) -> Duration {
        let wait = if !self.probed {
            part(self.unsure_interval, rng)
        } else if self.is_sure() {
            self.jittered(self.interval, rng)
        } else {
            self.jittered(self.unsure_interval, rng)
        };
        wait.max(PROBE_PAUSE_LEAST)
    }

    fn jittered(&self, interval: Duration, rng: &mut Rng) -> Duration {
        let jitter = interval * self.jitter_percent / 100;
        interval.saturating_sub(jitter) + part(jitter * 2, rng)
    }
}

/// Any part of a time, from none of it to nearly all.
fn part(time: Duration, rng: &mut Rng) -> Duration {
    time / STEPS * rng.below(STEPS)
}

/// Chance in steps of a 65,536th: 0.15 ms of ten seconds.
const STEPS: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    fn machine(rise: u32, fall: u32, initially: Verdict) -> ProbeMachine {
        let settings = ProbeSettings {
            rise,
            fall,
            ..ProbeSettings::default()
        };
        ProbeMachine::new(&settings, initially)
    }

    #[test]
    fn a_backend_falls_and_rises_by_probes_in_a_row() {
        let mut probes = machine(2, 3, Verdict::Up);
        let steps: Vec<_> = [false, false, true, false, false, false, false, true, true]
            .into_iter()
            .map(|good| probes.observe(good))
            .collect();
        let mut expected = [Step::Same; 9];
        expected[5] = Step::Fell;
        expected[8] = Step::Rose;
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_new_backend_is_up_and_unsure_until_its_first_probe() {
        let mut probes = machine(2, 3, Verdict::Up);
        assert_eq!((probes.verdict(), probes.is_sure()), (Verdict::Up, false));
        probes.observe(true);
        assert!(probes.is_sure());
        probes.observe(false);
        assert!(!probes.is_sure(), "a probe contradicts");
        probes.observe(false);
        probes.observe(false);
        assert_eq!((probes.verdict(), probes.is_sure()), (Verdict::Down, true));
    }

    #[test]
    fn probes_come_faster_while_unsure_and_never_in_step() {
        let mut rng = Rng::seeded(3);
        let mut probes = machine(2, 3, Verdict::Up);
        let firsts: Vec<_> = (0..1_000).map(|_| probes.next_in(&mut rng)).collect();
        let early = firsts.iter().filter(|wait| wait.as_millis() < 500).count();
        assert!(
            (400..600).contains(&early),
            "spread over the whole second: {early}"
        );
        for (good, low_ms, high_ms) in [(true, 4_500, 5_500), (false, 900, 1_100)] {
            probes.observe(good);
            let waits: Vec<_> = (0..1_000)
                .map(|_| probes.next_in(&mut rng).as_millis())
                .collect();
            let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
            let tenth = (high_ms - low_ms) / 10;
            assert!((low_ms..low_ms + tenth).contains(&least), "{least}");
            assert!((high_ms - tenth..=high_ms).contains(&most), "{most}");
        }
    }

    proptest! {
        #[test]
        fn the_verdict_turns_exactly_after_enough_probes_in_a_row(
            rise in 1_u32..6,
            fall in 1_u32..6,
            up: bool,
            probes in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut verdict = if up { Verdict::Up } else { Verdict::Down };
            let mut tested = machine(rise, fall, verdict);
            let (mut good_run, mut bad_run) = (0, 0);
            for good in probes {
                (good_run, bad_run) = if good { (good_run + 1, 0) } else { (0, bad_run + 1) };
                let expected = match verdict {
                    Verdict::Up if bad_run >= fall => Step::Fell,
                    Verdict::Down if good_run >= rise => Step::Rose,
                    _ => Step::Same,
                };
                prop_assert_eq!(tested.observe(good), expected);
                match expected {
                    Step::Rose => verdict = Verdict::Up,
                    Step::Fell => verdict = Verdict::Down,
                    Step::Same => {}
                }
                prop_assert_eq!(tested.verdict(), verdict);
            }
        }

        #[test]
        fn a_wait_is_never_zero_and_never_beyond_its_jitter(
            interval_ms in 0_u64..3_600_000,
            unsure_ms in 0_u64..3_600_000,
            jitter_percent in 0_u32..=100,
            outcomes in prop::collection::vec(any::<bool>(), 0..6),
            seed: u64,
        ) {
            let settings = ProbeSettings {
                interval: Duration::from_millis(interval_ms),
                unsure_interval: Duration::from_millis(unsure_ms),
                jitter_percent,
                ..ProbeSettings::default()
            };
            let mut probes = ProbeMachine::new(&settings, Verdict::Up);
            for good in outcomes {
                probes.observe(good);
            }
            let wait = probes.next_in(&mut Rng::seeded(seed));
            let base = if probes.is_sure() { interval_ms } else { unsure_ms.min(interval_ms) };
            let most = Duration::from_millis(base * u64::from(100 + jitter_percent) / 100 + 1);
            prop_assert!(wait > Duration::ZERO && wait <= most, "{:?} of {} ms", wait, base);
        }
    }
}
