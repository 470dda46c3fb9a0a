//! `[pools.NAME]`: what stands there and in the tables below it.

mod backends;
mod bounds;
mod hash;
mod health;
mod names;
mod probe;
mod sources;
mod sticky;
mod tls;

use super::sections::check_name;
use super::{Distinct, check_length, from_secret_file, unused};
use crate::config::kind;
use crate::config::model::{BackendSettings, PoolSettings};
use crate::config::raw::{Given, Report, Table};
use crate::fleet::PolicyKind;
use crate::limits;

pub(super) fn pools(root: &mut Table<'_>) -> Vec<PoolSettings> {
    let place = root.place().named("pools");
    let pools = root.named("pools", |name, table| {
        check_name(name, table);
        pool(name, table)
    });
    let report = root.report();
    if pools.is_empty() {
        let help = "[pools.chat] with backends = [\"10.0.0.11:9000\"]";
        report.wrong(&place, "at least one pool", "none", help);
    }
    if pools.len() > limits::POOLS_MAX {
        check_length(report, &place, pools.len(), limits::POOLS_MAX);
    }
    let backends: usize = pools.iter().map(|pool| pool.backends.len()).sum();
    let names: usize = pools.iter().map(|pool| pool.names.len()).sum();
    for (what, found, most) in [
        ("backends", backends, limits::BACKENDS_MAX),
        ("names", names, limits::DNS_NAMES_MAX),
    ] {
        if found > most {
            let expected = format!("at most {most} {what} in all pools");
            report.wrong(&place, expected, found, "");
        }
    }
    pools
}

fn pool(name: &str, table: &mut Table<'_>) -> PoolSettings {
    let policy = policy(table);
    let names = names::names(table);
    let backends = backends::backends(table, names.is_some());
    if let Some(policy) = &policy {
        check_weights(policy, &backends, table.report());
    }
    let sources = sources::sources(table, &backends, names.is_some());
    let policy = policy.map(|given| given.value);
    let hashing = hash::hashing(table, policy);
    let fallback = policy.unwrap_or_default();
    let usual = PoolSettings::new(name, fallback, backends);
    let tries = limits::CONNECT_TRIES;
    let tries = kind::whole(tries.least..=tries.most);
    let connect = kind::duration(limits::CONNECT_TIMEOUT);
    let answer = kind::duration(limits::ANSWER_TIMEOUT);
    let panic = kind::percent(limits::PANIC_PERCENT);
    let tls = table.item("tls");
    let (probe, probe_tls) = probe::probe(table, tls.is_some());
    let slow_start = kind::duration(limits::SLOW_START).or_word("off");
    PoolSettings {
        hashing,
        names: names.unwrap_or_default(),
        source_addresses: sources,
        connect_timeout: table.value("connect_timeout", &connect, usual.connect_timeout),
        connect_tries: table.value("connect_tries", &tries, usual.connect_tries),
        answer_timeout: table.value("answer_timeout", &answer, usual.answer_timeout),
        panic_percent: table.value("panic_threshold", &panic, usual.panic_percent),
        slow_start: table.value("slow_start", &slow_start, usual.slow_start),
        waiting_room: bounds::waiting_room(table),
        retry_budget: bounds::retry_budget(table),
        fates: bounds::fates(table),
        sticky: table.optional("sticky", sticky::sticky).flatten(),
        ejection: health::ejection(table),
        tls: tls.and_then(|item| tls::tls(&item)),
        probe,
        probe_tls,
        ..bounds::with_caps(table, usual)
    }
}

/// Plain round robin would ignore weights in silence.
fn check_weights(policy: &Given<PolicyKind>, backends: &[BackendSettings], report: &Report<'_>) {
    let mut neighbours = backends.windows(2);
    if policy.value == PolicyKind::RoundRobin
        && neighbours.any(|two| two[0].weight != two[1].weight)
    {
        let expected = "\"weighted-round-robin\" for backends of different weights";
        report.wrong(&policy.place, expected, "\"round-robin\"", "");
    }
}

/// The policy and its place; nothing if another word stands there, which has then been noted.
fn policy(table: &mut Table<'_>) -> Option<Given<PolicyKind>> {
    let policies = PolicyKind::ALL.map(|policy| (policy.label(), policy));
    table.given_or("policy", &kind::word(policies), PolicyKind::default())
}
