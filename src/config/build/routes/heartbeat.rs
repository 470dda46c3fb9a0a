//! `[routes.heartbeat]`: how often each side is asked whether it lives.

use std::time::Duration;

use super::unused;
use crate::config::kind;
use crate::config::raw::{Given, Report, Table};
use crate::fleet::{Heartbeats, OnMiss};
use crate::limits;
use crate::ws::{Opcode, Opcodes};

/// How long a side may be silent, with its place; nothing if it is wrong.
type Silence = Option<Given<Option<Duration>>>;

/// `opcodes` are what clients and backends may send: an answer must be among them.
pub(super) fn heartbeats(
    table: &mut Table<'_>,
    (client_opcodes, backend_opcodes): (Opcodes, Opcodes),
) -> Heartbeats {
    let usual = Heartbeats::OFF;
    let silence = kind::duration(limits::HEARTBEAT).or_word("off");
    let client = table.given_or("client", &silence, usual.client);
    let backend = table.given_or("backend", &silence, usual.backend);
    let jitter = kind::percent(limits::HEARTBEAT_JITTER_PERCENT);
    let jitter = table.given("jitter", &jitter);
    let misses = table.given("misses", &kind::count(limits::HEARTBEAT_MISSES));
    let ways = OnMiss::ALL.map(|way| (way.label(), way));
    let on_miss = table.given("on_miss", &kind::word(ways));
    let report = table.report();
    if is_off(&client) && is_off(&backend) {
        let (expected, found) = ("client or backend", "both off");
        unused(report, jitter.as_ref(), expected, found);
        unused(report, misses.as_ref(), expected, found);
        unused(report, on_miss.as_ref(), expected, found);
    }
    check_answer(&client, client_opcodes, "client_frames", report);
    check_answer(&backend, backend_opcodes, "backend_frames", report);
    let value = |silence: Silence| silence.and_then(|given| given.value);
    Heartbeats {
        client: value(client),
        backend: value(backend),
        jitter_percent: jitter.map_or(usual.jitter_percent, |given| given.value),
        misses: misses.map_or(usual.misses, |given| given.value),
        on_miss: on_miss.map_or(usual.on_miss, |given| given.value),
    }
}

fn is_off(silence: &Silence) -> bool {
    silence.as_ref().is_some_and(|given| given.value.is_none())
}

/// Notes a heartbeat for a side that may not answer it: it would be closed for its first Pong.
fn check_answer(silence: &Silence, opcodes: Opcodes, side: &str, report: &Report<'_>) {
    let asked = silence.as_ref().filter(|given| given.value.is_some());
    if let Some(given) = asked.filter(|_| !opcodes.allow(Opcode::Pong)) {
        let note = "every answer would break that rule";
        let expected = format!("\"pong\" in {side}.opcodes");
        report.wrong(&given.place, expected, "none", note);
    }
}
