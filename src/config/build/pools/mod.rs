//! `[pools.NAME]`.

mod backends;

use super::sections::check_name;
use super::{Distinct, check_length};
use crate::config::kind;
use crate::config::model::PoolSettings;
use crate::config::raw::Table;
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
    let backends: usize = pools.iter().map(|pool| pool.backends.len()).sum();
    if pools.len() > limits::POOLS_MAX {
        check_length(report, &place, pools.len(), limits::POOLS_MAX);
    }
    if backends > limits::BACKENDS_MAX {
        let expected = format!("at most {} backends in all pools", limits::BACKENDS_MAX);
        report.wrong(&place, expected, backends, "");
    }
    pools
}

fn pool(name: &str, table: &mut Table<'_>) -> PoolSettings {
    let policies = kind::word(PolicyKind::ALL.map(|policy| (policy.label(), policy)));
    let policy = table.value("policy", &policies, PolicyKind::default());
    let backends = backends::backends(table);
    let connect = kind::duration(limits::CONNECT_TIMEOUT);
    let answer = kind::duration(limits::ANSWER_TIMEOUT);
    let connect_timeout = table.value("connect_timeout", &connect, limits::CONNECT_TIMEOUT.default);
    let tries = limits::CONNECT_TRIES;
    let connect_tries = table.value(
        "connect_tries",
        &kind::whole(tries.least..=tries.most),
        tries.default,
    );
    let answer_timeout = table.value("answer_timeout", &answer, limits::ANSWER_TIMEOUT.default);
    PoolSettings {
        connect_timeout,
        connect_tries,
        answer_timeout,
        ..PoolSettings::new(name, policy, backends)
    }
}
