//! Which cores this process may use.

/// The cores that the process's affinity mask allows, in ascending order.
pub fn allowed() -> Vec<usize> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    let mut cores: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

/// Pins the calling thread to one core; says whether the kernel agreed.
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_core_and_a_thread_can_be_pinned_to_it() {
        let cores = allowed();
        let first = *cores.first().expect("the test itself runs somewhere");
        assert!(std::thread::spawn(move || pin(first)).join().unwrap());
    }
}
