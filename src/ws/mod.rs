//! RFC 6455 frames as pure bytes: slices in, verdicts out. Knows no socket and no clock.

pub mod close;
mod fuzz;
mod header;
mod mask;
#[cfg(test)]
mod oracle;
mod rule;
mod scanner;
#[cfg(test)]
mod tests;

pub use close::{CloseFrame, close_frame};
#[doc(hidden)]
pub use fuzz::fuzz_scanner;
pub use header::{Decoded, FrameHeader, Opcode};
pub use mask::apply_mask;
pub use rule::Rule;
pub use scanner::{Held, Scan, Scanner, Sender, Verdict};
