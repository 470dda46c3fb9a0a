//! How the processors run and sleep, and how they stand to memory.

use std::collections::BTreeSet;

use super::{Finding, Scene, listed};
use crate::cli::doctor::tuning::{Profile, Script};
use crate::limits::DEEP_SLEEP_US;

/// A note, never a complaint: what a guest cannot see or set.
pub(super) fn machine(scene: &Scene<'_>) -> Finding {
    let (found, wants) = if scene.host.is_virtual {
        (
            "virtual",
            "metal for the last microseconds: governor, sleeps, nodes and the card's own queues belong to the host below",
        )
    } else {
        ("metal", "metal")
    };
    Finding::ok("machine", found, wants)
}

pub(super) fn processors(scene: &Scene<'_>) -> Finding {
    let host = scene.host;
    let (allowed, online) = (host.cpus_allowed.len(), host.cpus_online.len());
    Finding::ok(
        "processors",
        format!("{allowed} allowed of {online}"),
        "2: one for a worker, one for everything else",
    )
    .because("interrupts and the control thread share the processor with a worker otherwise")
    .or_warn(allowed >= 2 || online < 2, || {
        format!(
            "taskset -acp {} $$   # or CPUAffinity= in the service unit",
            listed(&host.cpus_online)
        )
    })
}

pub(super) fn governor(scene: &Scene<'_>) -> Finding {
    let governors = &scene.host.governors;
    let distinct: BTreeSet<&str> = governors.iter().map(String::as_str).collect();
    let found = if distinct.is_empty() {
        "none to be seen, as in a virtual machine".to_owned()
    } else {
        distinct.iter().copied().collect::<Vec<_>>().join(", ")
    };
    // Tunnels that are quiet leave time for a slow clock, and its power may be saved.
    let good = scene.is_for(Profile::ManyIdle)
        || distinct.iter().all(|governor| *governor == "performance");
    Finding::ok(
        "frequency governor",
        found,
        "performance, but for many idle tunnels",
    )
    .because("a core that mostly waits is clocked down, and each message finds it slow")
    .or_warn(good, || scene.apply(Script::Cpu))
}

/// Sleeps from which waking takes long; they matter where every microsecond does.
pub(super) fn sleeps(scene: &Scene<'_>) -> Finding {
    let is_deep = |exit_us| exit_us > DEEP_SLEEP_US;
    let states = &scene.host.idle_states;
    let deep = states
        .iter()
        .filter(|state| state.is_on && is_deep(state.exit_us));
    let deep: Vec<String> = deep
        .map(|state| format!("{} ({} µs to wake)", state.name, state.exit_us))
        .collect();
    let found = match (states.is_empty(), deep.is_empty()) {
        (true, _) => "none to be seen, as in a virtual machine".to_owned(),
        (false, true) => "shallow only".to_owned(),
        (false, false) => deep.join(", "),
    };
    let good = deep.is_empty() || !scene.is_for(Profile::LowLatency);
    Finding::ok(
        "idle states",
        found,
        format!("for low latency none that takes over {DEEP_SLEEP_US} µs to wake from"),
    )
    .because("the first message after a pause waits until the core is awake")
    .or_warn(good, || scene.apply(Script::Cpu))
}

pub(super) fn numa_balancing(scene: &Scene<'_>) -> Finding {
    let on = scene.host.numa_balancing.is_some_and(|value| value > 0);
    let nodes = scene.host.nodes.len();
    let found = match (nodes > 1, on) {
        (true, true) => format!("on, {nodes} nodes"),
        (true, false) => format!("off, {nodes} nodes"),
        (false, _) => "one node".to_owned(),
    };
    Finding::ok("NUMA balancing", found, "off (kernel.numa_balancing = 0)")
        .because("a pinned worker's memory is where it belongs; looking for a better place faults its pages")
        .or_warn(nodes <= 1 || !on, || scene.apply(Script::Numa))
}

pub(super) fn irqbalance(scene: &Scene<'_>) -> Finding {
    let found = if scene.host.has_irqbalance {
        "runs"
    } else {
        "does not run"
    };
    // Where a card has one queue there is nothing to keep in its place.
    let matters = scene.host.cards.iter().any(|card| card.queues > 1);
    Finding::ok("irqbalance", found, "stopped, where cards have queues")
        .because("it moves the card's interrupts away from the workers that they belong to")
        .or_warn(!(scene.host.has_irqbalance && matters), || {
            format!(
                "sudo systemctl disable --now irqbalance && {}",
                scene.apply(Script::Irq)
            )
        })
}
