//! When a backend is trusted: what workers see passively puts it out, what probes see moves it up and down.
//!
//! Everything here is a pure step: what was seen and the time go in, a decision comes out. Hours of health run
//! in a test in a millisecond.
//!
//! ```text
//!              5 failed handshakes in a row, or a share of abnormal ends
//!    Trusted ─────────────────────────────────────────────────────────▶ Out
//!       ▲                                                              │  ▲
//!       │ its handshake succeeded: slow start                 time over│  │it failed: out for twice as long;
//!       │                                                              ▼  │or the client left: the next may try
//!       └─────────────────────────────────────────────────────────── OnTrial
//! ```

mod abnormal;
mod eject;
mod passive;
mod probe;
mod settings;
mod word;

pub use abnormal::{AbnormalShare, abnormal};
pub use passive::{failed, succeeded, trial_lost, vouched};
pub use probe::{ProbeMachine, Step, Verdict};
pub use settings::{HttpProbe, ProbeKind, ProbeSettings, WebSocketProbe};
pub use word::{WORDS, describe, returns_in};

#[cfg(test)]
mod tests;
