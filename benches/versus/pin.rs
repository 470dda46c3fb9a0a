//! Ties a thread to a core.

/// From now on this thread runs on `core` alone. A core that is not there is found out when the load is pinned.
pub(crate) fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}
