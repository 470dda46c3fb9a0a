//! RFC 6455 frames as pure bytes: slices in, verdicts out. Knows no socket and no clock.

mod bucket;
pub mod close;
mod control;
mod frames;
mod fuzz;
mod header;
mod heartbeat;
mod inspector;
mod inspector_fuzz;
#[cfg(test)]
mod inspector_tests;
mod mask;
mod message;
#[cfg(test)]
mod oracle;
mod passage;
mod prelude;
mod rule;
mod scanner;
#[cfg(test)]
mod tests;
mod whole;

pub use bucket::{Bucket, Rate};
pub use close::{CloseFrame, close_frame};
pub use control::{ControlFrame, Rendered};
pub use frames::{FrameLimits, Inspect, Opcodes, Watch};
#[doc(hidden)]
pub use fuzz::fuzz_scanner;
pub use header::{Decoded, FrameHeader, Opcode};
pub use heartbeat::{Beat, Heartbeat, Pace, Pong};
pub use inspector::{Admission, Host, Inspector};
#[doc(hidden)]
pub use inspector_fuzz::fuzz_inspector;
pub use mask::apply_mask;
pub use passage::{Ends, Passage, Piece, Source};
pub use prelude::{Heard, Prelude};
pub use rule::Rule;
pub use scanner::{Held, Scan, Scanner, Sender, Verdict};
