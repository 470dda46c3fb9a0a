//! Ties the calling thread to one core, for the measuring commands.

use std::io;

use core_affinity::CoreId;

/// Runs this thread on `core` alone from now on; fails if the process may not use that core.
pub(super) fn pin_to(core: usize) -> io::Result<()> {
    let wanted = CoreId { id: core };
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    // Asked first, because `set_for_current` panics on numbers beyond the kernel's set.
    if allowed.contains(&wanted) && core_affinity::set_for_current(wanted) {
        return Ok(());
    }
    let allowed: Vec<usize> = allowed.iter().map(|core| core.id).collect();
    let message = format!("core {core} is not one that this process may use: {allowed:?}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let error = pin_to(1_000_000).unwrap_err();
        assert!(error.to_string().starts_with("core 1000000 is not one"));
    }
}
