//! How a backend's row reads to an operator: one word, and when it may return.

use std::time::Duration;

use crate::clock::Now;
use crate::fleet::{BackendId, Phase, SlotTable, State};

/// Every word that [`describe`] may say, for a metric that has one series for each.
pub const WORDS: [&str; 7] = [
    "up", "down", "draining", "disabled", "removed", EJECTED, TRIAL,
];

/// The one word for a row. What control decided comes first: an ejected backend whose probes fell is down.
/// `trial` is also a backend whose time is over and that waits for a connection to try it.
pub fn describe(table: &SlotTable, id: BackendId, now: Now) -> &'static str {
    let state = table.standing(id).state;
    let ejection = table.ejection(id);
    match (state, ejection.phase) {
        (State::Up, Phase::Out) if ejection.is_out(now) => EJECTED,
        (State::Up, Phase::Out | Phase::OnTrial) => TRIAL,
        _ => state.label(),
    }
}

/// How long until an ejected backend may be tried; nothing if it is not out, or is being tried.
pub fn returns_in(table: &SlotTable, id: BackendId, now: Now) -> Option<Duration> {
    let ejection = table.ejection(id);
    let is_out = ejection.phase == Phase::Out && ejection.is_out(now);
    is_out.then(|| Duration::from_millis(ejection.until_ms.saturating_sub(now.as_millis())))
}

const EJECTED: &str = "ejected";
const TRIAL: &str = "trial";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Ejection, Standing};

    const CHAT: BackendId = BackendId(0);

    fn table(state: State, phase: Phase, until_ms: u64) -> SlotTable {
        let table = SlotTable::new(1);
        table.set_standing(
            CHAT,
            Standing {
                state,
                ..Standing::default()
            },
        );
        let ejection = Ejection {
            phase,
            until_ms,
            times: 1,
        };
        assert!(table.replace_ejection(CHAT, Ejection::default(), ejection));
        table
    }

    #[test]
    fn a_row_has_one_word_and_one_time() {
        let now = Now::from_nanos(0).after(Duration::from_secs(10));
        for (phase, until_ms, word, returns_ms) in [
            (Phase::Trusted, 9_000, "up", None),
            (Phase::Out, 12_500, "ejected", Some(2_500)),
            (Phase::Out, 10_000, "trial", None),
            (Phase::OnTrial, 12_500, "trial", None),
        ] {
            let table = table(State::Up, phase, until_ms);
            assert_eq!(describe(&table, CHAT, now), word);
            assert_eq!(
                returns_in(&table, CHAT, now),
                returns_ms.map(Duration::from_millis)
            );
        }
    }

    #[test]
    fn what_control_decided_comes_first_and_every_word_is_listed() {
        for state in State::ALL {
            for phase in [Phase::Trusted, Phase::Out, Phase::OnTrial] {
                let word = describe(&table(state, phase, 1), CHAT, Now::from_nanos(0));
                assert!(WORDS.contains(&word), "{word}");
                assert!(state == State::Up || word == state.label(), "{word}");
            }
        }
    }
}
