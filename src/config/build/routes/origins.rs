//! `allowed_origins` and the two switches beside it: which pages may open a tunnel.

use crate::config::kind;
use crate::config::model::OriginSettings;
use crate::config::raw::{Given, Report, Table};
use crate::http::OriginRules;

pub(super) fn origins(table: &mut Table<'_>) -> Option<OriginSettings> {
    let allowed = table.item("allowed_origins");
    let missing = table.given("allow_missing_origin", &kind::flag());
    let null = table.given("allow_null_origin", &kind::flag());
    let report = table.report();
    let Some(allowed) = allowed else {
        for switch in [&missing, &null].into_iter().flatten() {
            let note = "without a list every Origin may pass";
            report.wrong(&switch.place, "allowed_origins beside it", "none", note);
        }
        return None;
    };
    let entries: Vec<_> = allowed
        .list("a list of origins such as [\"https://example.com\"]")?
        .iter()
        .filter_map(|item| item.read(&kind::text("an origin such as \"https://example.com\"")))
        .collect();
    for entry in &entries {
        check_origin(entry, report);
    }
    let switch = |given: Option<Given<bool>>| given.is_some_and(|given| given.value);
    let origins = OriginSettings {
        allowed: entries.into_iter().map(|entry| entry.value).collect(),
        allow_missing: switch(missing),
        allow_null: switch(null),
    };
    if origins.allowed.is_empty() && !origins.allow_missing && !origins.allow_null {
        report.wrong(
            allowed.place(),
            "at least one origin",
            "none",
            "nobody could connect",
        );
    }
    Some(origins)
}

fn check_origin(entry: &Given<String>, report: &Report<'_>) {
    if let Err(why) = OriginRules::new(std::slice::from_ref(&entry.value), false, false) {
        report.say(&entry.place, why);
    }
}
