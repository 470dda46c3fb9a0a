//! `[[routes.rates]]`: how much clients may send in a second, and what happens to what is over.

use super::frames::Sight;
use super::unused;
use crate::config::kind::{self, Kind};
use crate::config::raw::{Given, Item, Table};
use crate::fleet::{Over, RateKey, RateRule};
use crate::limits;
use crate::ws::Rate;

pub(super) fn rates(table: &mut Table<'_>, sight: Sight) -> Vec<RateRule> {
    let most = limits::RATES_MAX;
    let mut count = 0;
    let rates = table.rows("rates", "a list of tables", |table| {
        count += 1;
        if count == most + 1 {
            let expected = format!("at most {most} rates in a route");
            table.report().wrong(table.place(), expected, "more", "");
        }
        rate(table, sight)
    });
    rates.into_iter().flatten().collect()
}

/// Nothing if it is not known what is counted, or by whom; that has then been noted.
fn rate(table: &mut Table<'_>, sight: Sight) -> Option<RateRule> {
    let by = match table.item("by") {
        Some(item) => by(&item),
        None => Some(RateKey::Connection),
    };
    let (least, most) = limits::MESSAGES_PER_SECOND;
    let messages = kind::whole(least..=most).or_word("off");
    let messages = table.given_or("messages_per_second", &messages, None);
    let bytes = kind::size(limits::BYTES_PER_SECOND).or_word("off");
    let bytes = table.given_or("bytes_per_second", &bytes, None);
    let burst = kind::duration(limits::RATE_BURST);
    let burst = table.value("burst", &burst, limits::RATE_BURST.default);
    let over = table.given(
        "over",
        &kind::word(Over::ALL.map(|over| (over.label(), over))),
    );
    let counts_control = table.given("counts_control", &kind::flag());
    if let Some(over) = over.as_ref().filter(|given| given.value == Over::Drop) {
        sight.leaves_out(&over.place, table.report());
    }
    let (messages, bytes) = (messages?.value, bytes?.value);
    check_counted(table, (messages, bytes), counts_control.as_ref());
    let rate = |per_second| Rate { per_second, burst };
    Some(RateRule {
        by: by?,
        messages: messages.map(rate),
        bytes: bytes.map(rate),
        over: over.map_or(Over::Slow, |given| given.value),
        counts_control: counts_control.is_some_and(|given| given.value),
    })
}

/// Notes a rate that counts nothing, and a setting about messages where they are not counted.
fn check_counted(
    table: &Table<'_>,
    counted: (Option<u32>, Option<u32>),
    counts_control: Option<&Given<bool>>,
) {
    let report = table.report();
    match counted {
        (None, None) => {
            let expected = "messages_per_second or bytes_per_second";
            report.wrong(table.place(), expected, "neither", "");
        }
        (None, Some(_)) => unused(report, counts_control, "messages_per_second", "none"),
        (Some(_), _) => {}
    }
}

/// Who shares one count: a word, or a table with the name of a field or of a cookie.
fn by(item: &Item<'_>) -> Option<RateKey> {
    let Some(table) = item.as_table() else {
        return item.read(&word()).map(|given| given.value);
    };
    table.open(|table| match (table.item("header"), table.item("cookie")) {
        (Some(header), None) => {
            let name = header.read(&kind::token("the name of a header field"))?;
            Some(RateKey::Header(name.value.to_ascii_lowercase().into()))
        }
        (None, Some(cookie)) => {
            let name = cookie.read(&kind::token("the name of a cookie"))?;
            Some(RateKey::Cookie(name.value.into()))
        }
        (none_or_both, _) => {
            let found = none_or_both.map_or("neither", |_| "both");
            let expected = "either header or cookie";
            table.report().wrong(table.place(), expected, found, "");
            None
        }
    })
}

fn word() -> Kind<RateKey> {
    let expected = "\"connection\", \"source\", { header = \"x-user\" } or { cookie = \"user\" }";
    Kind::new(expected, |value| match value.as_str()? {
        "connection" => Some(RateKey::Connection),
        "source" => Some(RateKey::Source),
        _ => None,
    })
}
