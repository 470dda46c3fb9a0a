//! What the settings of a route become.

pub(super) mod any;
pub(super) mod print;
