//! The room without its door and its wire.

mod records;
mod settings;

pub use records::{
    ALERT_BYTES_MAX, Alert, FROZEN_BYTES, Frozen, Half, Keys, Role, SEALED_EXTRA_BYTES_MAX,
    Session, Spent, Unfit, Verdict, fuzz_open, fuzz_thaw, sealed_bytes_max, tickets,
};
pub use settings::{Suite, Version};
