//! `[routes.first_message]`: whether what a client says first decides where it goes.

use super::{check_length, named, unused};
use crate::config::kind::{self, Kind, Note};
use crate::config::model::PoolSettings;
use crate::config::raw::{Given, Item, Place, Report, Table};
use crate::fleet::{Decides, FirstMessage, JsonPointer, PolicyKind, PoolId};
use crate::limits;
use crate::sync::Arc;

/// Nothing if it is not known what decides, or over what; that has then been noted. `own` is where the route itself
/// leads.
pub(super) fn first_message(
    table: &mut Table<'_>,
    pools: &[PoolSettings],
    own: Option<PoolId>,
) -> Option<FirstMessage> {
    let pointer = pointer();
    let item = table.required("pointer", pointer.expected());
    let pointer = item.and_then(|item| item.read(&pointer));
    let decides = decides(table, pools, own);
    let missing = kind::word([("close", false), ("default", true)]);
    let may_be_missing = table.value("missing", &missing, false);
    let size = limits::FIRST_MESSAGE_BYTES;
    let bytes_max = kind::size((size.least, size.most));
    let bytes_max = table.value("max_size", &bytes_max, size.default);
    let timeout = kind::duration(limits::FIRST_MESSAGE_TIMEOUT);
    let timeout = table.value("timeout", &timeout, limits::FIRST_MESSAGE_TIMEOUT.default);
    let subprotocol = table.given("subprotocol", &kind::token("a subprotocol"));
    if let Some(own) = own {
        check_no_cookie(&pools[own.index()], table.place(), table.report());
    }
    Some(FirstMessage {
        pointer: pointer?.value,
        decides: decides?,
        may_be_missing,
        bytes_max,
        timeout,
        subprotocol: subprotocol.map(|given| given.value.into()),
    })
}

/// What the value decides, after a look whether the pools are fit for that.
fn decides(table: &mut Table<'_>, pools: &[PoolSettings], own: Option<PoolId>) -> Option<Decides> {
    let what = kind::word([(BACKEND, BACKEND), (POOL, POOL)]);
    let what = table.given_or("decides", &what, BACKEND);
    let item = table.item("pools");
    let by_value = item.as_ref().map(|item| by_value(item, pools));
    let what = what?;
    if what.value == POOL {
        if item.is_none() {
            let place = table.place().named("pools");
            table.report().wrong(&place, A_TABLE, "nothing", "");
        }
        return by_value.flatten().map(Decides::Pool);
    }
    if let Some(item) = item {
        let given = Given {
            value: (),
            place: item.place().clone(),
        };
        let found = format!("\"{BACKEND}\"");
        unused(table.report(), Some(&given), "decides = \"pool\"", &found);
    }
    if let Some(own) = own {
        check_hashes(&pools[own.index()], &what.place, table.report());
    }
    Some(Decides::Backend)
}

/// Values, and the pool of each.
type ByValue = Vec<(Arc<str>, PoolId)>;

/// The pool of each value; nothing if one is wrong.
fn by_value(item: &Item<'_>, pools: &[PoolSettings]) -> Option<ByValue> {
    let report = item.report();
    let entries = item.entries(A_TABLE)?;
    check_length(
        report,
        item.place(),
        entries.len(),
        limits::FIRST_MESSAGE_POOLS_MAX,
    );
    let pool = |(value, item): (&str, Item<'_>)| {
        let pool = named(&item, pools)?;
        check_no_cookie(&pools[pool.value.index()], &pool.place, report);
        if !(1..=limits::JSON_KEY_BYTES_MAX).contains(&value.len()) {
            let expected = format!("a value of 1 to {} bytes", limits::JSON_KEY_BYTES_MAX);
            let found = format!("one of {}", value.len());
            report.wrong(&pool.place, expected, found, "");
        }
        Some((Arc::from(value), pool.value))
    };
    // Each is looked at, also after a wrong one.
    let pools: Vec<_> = entries.into_iter().map(pool).collect();
    pools.into_iter().collect()
}

/// Notes a pool in which no key leads to a backend.
fn check_hashes(pool: &PoolSettings, place: &Place, report: &Report<'_>) {
    if pool.policy != PolicyKind::Hash {
        let expected = format!("policy = \"hash\" in pool \"{}\"", pool.name);
        let note = "the value is a key, and no other policy goes by keys";
        report.wrong(place, expected, "another", note);
    }
}

/// Notes a pool whose clients would never get its cookie.
fn check_no_cookie(pool: &PoolSettings, place: &Place, report: &Report<'_>) {
    if pool.sticky.is_some() {
        let found = format!("\"{}\"", pool.name);
        let note = "clients get their 101 before a backend is chosen that a cookie could name";
        report.wrong(place, "a pool without a sticky cookie", found, note);
    }
}

fn pointer() -> Kind<JsonPointer> {
    Kind::with_note("a JSON pointer such as \"/room\"", |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        JsonPointer::parse(text).map_err(|why| Note(why.to_string()))
    })
}

const BACKEND: &str = "backend";
const POOL: &str = "pool";
const A_TABLE: &str = "a table of values and their pools such as { lobby = \"chat\" }";
