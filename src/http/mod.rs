//! HTTP/1.1 heads and bodies as pure text: slices in, verdicts out. Knows no socket and no clock.

mod origin;

pub use origin::OriginRules;
