//! Where this host falls short of a plan: doctor's own judgement of it, and what only a plan can say.

use serde::Serialize;

use super::reckon::Need;
use super::report::{grouped, size};
use super::wish::Wish;
use crate::cli::doctor::{Finding, Scene, Status, Tuning, examine, worker_cores};
use crate::config::Cores;
use crate::sys::host::Host;

/// One thing that this host lacks for the plan, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Shortfall {
    pub(super) what: String,
    pub(super) found: String,
    pub(super) needed: String,
    pub(super) fix: String,
}

pub(super) fn shortfalls(host: &Host, wish: &Wish, need: &Need, tuning: &Tuning) -> Vec<Shortfall> {
    let wanted = u16::try_from(need.cores.workers).unwrap_or(u16::MAX);
    let scene = Scene {
        host,
        tunnels: wish.tunnels,
        backends: wish.backends,
        sources: need.ports.source_addresses,
        cores: worker_cores(&Cores::Count(wanted), &host.cpus_allowed),
        tuning: tuning.clone(),
    };
    let mut all = Vec::new();
    all.extend(memory(host, need));
    all.extend(cores(host, need));
    all.extend(source_addresses(need));
    // The plan's own sum says more of memory.
    let judged = examine(&scene)
        .into_iter()
        .filter(|one| one.check != "memory");
    all.extend(judged.filter_map(of_finding));
    all
}

fn of_finding(finding: Finding) -> Option<Shortfall> {
    let fix = finding.fix.filter(|_| finding.status != Status::Ok)?;
    Some(Shortfall {
        what: finding.check,
        found: finding.found,
        needed: finding.wants,
        fix,
    })
}

fn memory(host: &Host, need: &Need) -> Option<Shortfall> {
    let there = host.memory_available_bytes?;
    (there < need.memory_bytes).then(|| Shortfall {
        what: "memory".to_owned(),
        found: format!("{} available", size(there)),
        needed: size(need.memory_bytes),
        fix: "add memory, or share the tunnels among more hosts".to_owned(),
    })
}

/// Too few cores for the work, here or in the wish.
fn cores(host: &Host, need: &Need) -> Option<Shortfall> {
    let allowed = host.cpus_allowed.len() as u64;
    let workers = need.cores.workers;
    let needed = need.cores.workers_needed;
    let there = workers.min(allowed.max(1));
    (there < needed).then(|| Shortfall {
        what: "cores".to_owned(),
        found: format!("{} allowed, {} planned", grouped(allowed), grouped(workers)),
        needed: format!(
            "{} for workers, and one for everything else",
            grouped(needed)
        ),
        fix: "take a host with more cores, or share the tunnels among more hosts".to_owned(),
    })
}

/// Only if somebody said how many there are.
fn source_addresses(need: &Need) -> Option<Shortfall> {
    let ports = &need.ports;
    (ports.source_addresses < ports.source_addresses_needed).then(|| Shortfall {
        what: "source addresses".to_owned(),
        found: ports.source_addresses.to_string(),
        needed: format!(
            "{} with {} ports each, or {} with all from 1024 on",
            grouped(ports.source_addresses_needed),
            grouped(ports.per_source_address),
            grouped(ports.source_addresses_with_widest)
        ),
        fix: "give the host more addresses, or each backend more addresses or ports".to_owned(),
    })
}
