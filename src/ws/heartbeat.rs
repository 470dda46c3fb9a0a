//! Asks one side whether it lives, and knows its answers: time and chance in, a step out.

use std::time::Duration;

use crate::clock::Now;
use crate::rng::Rng;

/// When a side is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After so long a silence.
    pub every: Duration,
    /// How much of it chance adds or takes, in percent.
    pub jitter_percent: u32,
    /// After so many Pings in a row without a sign of life the side is dead.
    pub misses: u32,
}

/// One side's heart.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// What all Pings of this tunnel to this side begin with. Whoever sends it back has it from us.
    name: [u8; 4],
    /// The number of the last Ping.
    number: u32,
    /// When that was, until its answer has come.
    asked: Option<Now>,
    /// Pings in a row that nothing came after.
    missed: u32,
    /// How long the silence may last this time.
    patience: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Look again then.
    Wait(Now),
    /// Send a Ping with this payload. `missed` says that nothing has come since the one before.
    Ask {
        /// What the Ping carries.
        payload: [u8; 8],
        /// The Ping before this one was in vain.
        missed: bool,
    },
    /// The last Ping was in vain, and it was the last.
    Dead,
}

/// A Pong that answers us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pong {
    /// The answer to the last Ping, so long after it.
    Answer(Duration),
    /// One of ours that comes late or twice.
    Late,
}

impl Heartbeat {
    /// A heart that beats for the first time after one silence.
    pub fn new(pace: Pace, rng: &mut Rng) -> Self {
        let [a, b, c, d, ..] = rng.next_u64().to_le_bytes();
        Self {
            name: [a, b, c, d],
            number: 0,
            asked: None,
            missed: 0,
            patience: patience(pace, rng),
        }
    }

    /// What to do now about a side that was last heard `heard`.
    pub fn step(&mut self, pace: Pace, heard: Now, now: Now, rng: &mut Rng) -> Beat {
        let quiet_since = self.asked.map_or(heard, |asked| asked.max(heard));
        let due = quiet_since.after(self.patience);
        if due > now {
            return Beat::Wait(due);
        }
        // Any byte is a sign of life, not only the Pong.
        let missed = self.asked.is_some_and(|asked| heard <= asked);
        self.missed = if missed { self.missed + 1 } else { 0 };
        if self.missed >= pace.misses {
            return Beat::Dead;
        }
        self.number = self.number.wrapping_add(1);
        self.asked = Some(now);
        self.patience = patience(pace, rng);
        let payload = self.payload();
        Beat::Ask { payload, missed }
    }

    /// Looks whether a Pong that came is one of ours.
    pub fn recognise(&mut self, payload: &[u8], now: Now) -> Option<Pong> {
        let (name, number) = payload.split_first_chunk::<4>()?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        if *name != self.name || number == 0 || number > self.number {
            return None;
        }
        match self.asked {
            Some(asked) if number == self.number => {
                self.asked = None;
                self.missed = 0;
                Some(Pong::Answer(now.since(asked)))
            }
            _ => Some(Pong::Late),
        }
    }

    /// When to look next at a side that was last heard `heard`.
    pub fn due(&self, heard: Now) -> Now {
        let quiet_since = self.asked.map_or(heard, |asked| asked.max(heard));
        quiet_since.after(self.patience)
    }

    fn payload(&self) -> [u8; 8] {
        let mut payload = [0; 8];
        payload[..4].copy_from_slice(&self.name);
        payload[4..].copy_from_slice(&self.number.to_be_bytes());
        payload
    }
}

/// The time between two looks, a little more or less than is set.
fn patience(pace: Pace, rng: &mut Rng) -> Duration {
    let spread = 2 * pace.jitter_percent + 1;
    let percent = 100 - pace.jitter_percent.min(100) + rng.below(spread);
    pace.every * percent / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        every: Duration::from_secs(10),
        jitter_percent: 0,
        misses: 3,
    };

    fn at(seconds: u64) -> Now {
        Now::from_nanos(seconds * 1_000_000_000)
    }

    fn heart(rng: &mut Rng) -> Heartbeat {
        Heartbeat::new(PACE, rng)
    }

    fn ask(heart: &mut Heartbeat, last: u64, now: u64, rng: &mut Rng) -> ([u8; 8], bool) {
        match heart.step(PACE, at(last), at(now), rng) {
            Beat::Ask { payload, missed } => (payload, missed),
            other => panic!("{other:?} at {now}"),
        }
    }

    #[test]
    fn a_side_that_is_heard_is_not_asked() {
        let rng = &mut Rng::seeded(1);
        let mut heart = heart(rng);
        assert_eq!(heart.step(PACE, at(0), at(9), rng), Beat::Wait(at(10)));
        assert_eq!(heart.step(PACE, at(9), at(10), rng), Beat::Wait(at(19)));
        assert_eq!(heart.due(at(9)), at(19));
    }

    #[test]
    fn a_silent_side_is_asked_three_times_and_is_then_dead() {
        let rng = &mut Rng::seeded(1);
        let mut heart = heart(rng);
        let (first, missed) = ask(&mut heart, 0, 10, rng);
        assert!(!missed);
        assert_eq!(heart.step(PACE, at(0), at(19), rng), Beat::Wait(at(20)));
        let (second, missed) = ask(&mut heart, 0, 20, rng);
        assert!(missed && first != second && first[..4] == second[..4]);
        assert!(ask(&mut heart, 0, 30, rng).1);
        assert_eq!(heart.step(PACE, at(0), at(40), rng), Beat::Dead);
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let rng = &mut Rng::seeded(1);
        let mut heart = heart(rng);
        ask(&mut heart, 0, 10, rng);
        ask(&mut heart, 0, 20, rng);
        // Something other than the Pong came, then nothing for a while.
        assert!(!ask(&mut heart, 25, 35, rng).1);
        assert!(ask(&mut heart, 25, 45, rng).1);
    }

    #[test]
    fn only_what_we_sent_is_recognised_and_each_answer_is_timed_once() {
        let rng = &mut Rng::seeded(1);
        let mut heart = heart(rng);
        let (first, _) = ask(&mut heart, 0, 10, rng);
        let (second, _) = ask(&mut heart, 0, 20, rng);
        assert_eq!(heart.recognise(&first, at(21)), Some(Pong::Late));
        let answer = Pong::Answer(Duration::from_secs(2));
        assert_eq!(heart.recognise(&second, at(22)), Some(answer));
        assert_eq!(heart.recognise(&second, at(23)), Some(Pong::Late));
        let mut third = second;
        third[7] += 1;
        for other in [&[][..], &second[..7], &third, &[0; 8], b"opaque payload"] {
            assert_eq!(heart.recognise(other, at(24)), None, "{other:?}");
        }
        // The answer was a sign of life.
        assert_eq!(heart.step(PACE, at(22), at(31), rng), Beat::Wait(at(32)));
    }

    #[test]
    fn chance_spreads_the_beats_of_those_that_came_together() {
        let pace = Pace {
            jitter_percent: 20,
            ..PACE
        };
        let rng = &mut Rng::seeded(7);
        let dues: Vec<_> = (0..200)
            .map(|_| Heartbeat::new(pace, rng).due(at(0)).as_millis())
            .collect();
        let (least, most) = (dues.iter().min().unwrap(), dues.iter().max().unwrap());
        assert!((8_000..8_500).contains(least), "{least}");
        assert!((11_500..=12_000).contains(most), "{most}");
    }
}
