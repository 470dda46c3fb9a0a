//! When a backend is trusted: what workers see passively puts it out, what probes see moves it up and down.
//!
//! Everything here is a pure step: what was seen and the time go in, a decision comes out. Hours of health run
//! in a test in a millisecond.

mod passive;
mod probe;
mod settings;

pub use passive::{failed, succeeded};
pub use probe::{ProbeMachine, Step, Verdict};
pub use settings::{HttpProbe, ProbeKind, ProbeSettings, WebSocketProbe};
