//! `[pools.NAME.ejection]`: when workers put a backend out by what they see themselves.

use std::time::Duration;

use super::unused;
use crate::config::kind::{self, Kind};
use crate::config::raw::{Given, Table};
use crate::config::units::Span;
use crate::fleet::EjectionRules;
use crate::limits;

/// The rules of the table, or none of them if `"off"` stands in its place.
pub(super) fn ejection(table: &mut Table<'_>) -> EjectionRules {
    let Some(item) = table.item("ejection") else {
        return EjectionRules::default();
    };
    if let Some(inner) = item.as_table() {
        return inner.open(rules);
    }
    item.read(&Kind::new("\"off\" or a table", |value| {
        (value.as_str()? == "off").then_some(())
    }));
    EjectionRules {
        failures: 0,
        abnormal_percent: 0,
        ..EjectionRules::default()
    }
}

fn rules(table: &mut Table<'_>) -> EjectionRules {
    let usual = EjectionRules::default();
    let failures = kind::whole(1..=limits::EJECTION_FAILURES.most).or_word("off");
    let abnormal = kind::percent(limits::EJECTION_ABNORMAL_PERCENT).or_word("off");
    let failures = table.value("failures", &failures, Some(usual.failures));
    let time = table.given("time", &kind::duration(limits::EJECTION_TIME));
    let time_max = table.given("time_max", &kind::duration(limits::EJECTION_TIME_MAX));
    let share = table.given("share_max", &kind::percent(limits::EJECTION_SHARE_PERCENT));
    let abnormal = table.value("abnormal", &abnormal, None);
    if failures.is_none() && abnormal.is_none() {
        let expected = "failures or abnormal";
        let found = "both off";
        unused(table.report(), time.as_ref(), expected, found);
        unused(table.report(), time_max.as_ref(), expected, found);
        unused(table.report(), share.as_ref(), expected, found);
    }
    check_times(table, time.as_ref(), time_max.as_ref());
    EjectionRules {
        failures: failures.unwrap_or(0),
        time: time.map_or(usual.time, |given| given.value),
        time_max: time_max.map_or(usual.time_max, |given| given.value),
        share_max_percent: share.map_or(usual.share_max_percent, |given| given.value),
        abnormal_percent: abnormal.unwrap_or(0),
    }
}

/// Notes a first time that is longer than the longest one.
fn check_times(
    table: &Table<'_>,
    time: Option<&Given<Duration>>,
    time_max: Option<&Given<Duration>>,
) {
    let usual = EjectionRules::default();
    let first = time.map_or(usual.time, |given| given.value);
    let most = time_max.map_or(usual.time_max, |given| given.value);
    if first <= most {
        return;
    }
    let (first, most) = (Span(first), Span(most));
    if let Some(given) = time_max {
        let expected = format!("at least time, \"{first}\"");
        let found = format!("\"{most}\"");
        table.report().wrong(&given.place, expected, found, "");
    } else if let Some(given) = time {
        let expected = format!("at most time_max, \"{most}\"");
        let found = format!("\"{first}\"");
        table.report().wrong(&given.place, expected, found, "");
    }
}
