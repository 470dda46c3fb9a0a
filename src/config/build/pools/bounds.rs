//! What a pool and its backends may hold, who may wait and try again, and what happens to open tunnels.

use super::unused;
use crate::config::kind;
use crate::config::model::PoolSettings;
use crate::config::raw::{Given, Table};
use crate::fleet::{Caps, Fate, Fates, RetryBudget, WaitingRoom};
use crate::limits;

/// A bound that may be off, with its place if it stands in the file.
type Cap = Option<Given<Option<u32>>>;

/// The same pool with the caps of the file.
pub(super) fn with_caps(table: &mut Table<'_>, pool: PoolSettings) -> PoolSettings {
    let kind = kind::whole(1..=limits::CONNECTIONS_CAP_MAX).or_word("off");
    let all = table.given("connections_max", &kind);
    let established = table.given("backend_connections_max", &kind);
    let connecting = table.given("backend_connecting_max", &kind);
    check_reached(table, &established, ("connections_max", &all));
    check_reached(
        table,
        &connecting,
        ("backend_connections_max", &established),
    );
    let value = |cap: Cap| cap.and_then(|given| given.value);
    PoolSettings {
        established_max: value(all),
        caps: Caps {
            established: value(established),
            connecting: value(connecting),
        },
        ..pool
    }
}

/// Notes a cap that another one, which counts the same connections too, never lets anybody reach.
fn check_reached(table: &Table<'_>, cap: &Cap, (name, wider): (&str, &Cap)) {
    let number = |cap: &Cap| cap.as_ref().and_then(|given| given.value);
    if let (Some(given), Some(found), Some(most)) = (cap, number(cap), number(wider))
        && found > most
    {
        let expected = format!("at most {name}, {most}");
        table.report().wrong(&given.place, expected, found, "");
    }
}

pub(super) fn waiting_room(table: &mut Table<'_>) -> WaitingRoom {
    let usual = WaitingRoom::default();
    let places = kind::count(limits::WAITING_PLACES);
    let timeout = kind::duration(limits::WAITING_TIMEOUT);
    WaitingRoom {
        places: table.value("waiting_max", &places, usual.places),
        timeout: table.value("waiting_timeout", &timeout, usual.timeout),
    }
}

pub(super) fn retry_budget(table: &mut Table<'_>) -> RetryBudget {
    let usual = RetryBudget::default();
    let percent = kind::percent(limits::RETRY_PERCENT);
    let least = kind::count(limits::RETRIES_LEAST_PER_SECOND);
    RetryBudget {
        percent: table.value("retry_budget", &percent, usual.percent),
        least_per_second: table.value("retries_least_per_second", &least, usual.least_per_second),
    }
}

pub(super) fn fates(table: &mut Table<'_>) -> Fates {
    let usual = Fates::default();
    let fate = kind::word(Fate::ALL.map(|fate| (fate.label(), fate)));
    let pace = kind::count(limits::CLOSE_PER_SECOND);
    let down = table.value("on_down", &fate, usual.down);
    let drain = table.value("on_drain", &fate, usual.drain);
    let remove = table.value("on_remove", &fate, usual.remove);
    let pace = table.given("close_per_second", &pace);
    if ![down, drain, remove].contains(&Fate::Close) {
        let expected = "on_down, on_drain or on_remove = \"close\"";
        unused(table.report(), pace.as_ref(), expected, "none");
    }
    Fates {
        down,
        drain,
        remove,
        close_per_second: pace.map_or(usual.close_per_second, |given| given.value),
    }
}
