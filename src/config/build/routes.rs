//! `[[routes]]`: which host and path lead to which pool.

use super::Distinct;
use crate::config::kind;
use crate::config::model::{OriginSettings, PoolSettings, RouteSettings};
use crate::config::nearest::nearest;
use crate::config::raw::{Given, Place, Report, Table, shown_text};
use crate::fleet::{HostPattern, PoolId};
use crate::http::OriginRules;
use crate::limits;

pub(super) fn routes(root: &mut Table<'_>, pools: &[PoolSettings]) -> Vec<RouteSettings> {
    let place = root.place().named("routes");
    let report = root.report();
    let mut names = Distinct::new("a name of its own");
    let mut targets = Distinct::new("a host and path of its own");
    let mut count = 0;
    let routes = root.rows("routes", "a list of tables", |table| {
        count += 1;
        route(table, pools, &mut names, &mut targets)
    });
    if count == 0 {
        let help = "[[routes]] with path = \"/\" and the name of a pool";
        report.wrong(&place, "at least one route", "none", help);
    }
    if count > limits::ROUTES_MAX {
        report.wrong(
            &place,
            format_args!("at most {} routes", limits::ROUTES_MAX),
            count,
            "",
        );
    }
    routes.into_iter().flatten().collect()
}

/// Nothing if its target or its pool is wrong, which has then been noted.
fn route(
    table: &mut Table<'_>,
    pools: &[PoolSettings],
    names: &mut Distinct<String>,
    targets: &mut Distinct<String>,
) -> Option<RouteSettings> {
    let name = table.given("name", &kind::route_name());
    let hosts = hosts(table);
    let path = path(table);
    let pool = pool(table, pools);
    let origins = origins(table);
    let plain_http = table.value("plain_http", &kind::flag(), false);
    let mut deadline = |key, setting: limits::Setting<_>| {
        table.value(key, &kind::duration(setting), setting.default)
    };
    let idle_timeout = deadline("idle_timeout", limits::IDLE_TIMEOUT);
    let stalled_write_timeout = deadline("stalled_write_timeout", limits::STALLED_WRITE_TIMEOUT);
    let half_close_timeout = deadline("half_close_timeout", limits::HALF_CLOSE_TIMEOUT);
    let (hosts, path) = (hosts?, path?);
    let name = distinct_name(table, name, (&hosts, &path), (names, targets));
    Some(RouteSettings {
        name,
        hosts: hosts.into_iter().map(|host| host.value).collect(),
        path,
        pool: pool?,
        origins,
        plain_http,
        idle_timeout,
        stalled_write_timeout,
        half_close_timeout,
    })
}

/// The name that was given or follows from the target, after a look whether both are new.
fn distinct_name(
    table: &Table<'_>,
    name: Option<Given<String>>,
    (hosts, path): (&[Given<HostPattern>], &str),
    (names, targets): (&mut Distinct<String>, &mut Distinct<String>),
) -> String {
    let report = table.report();
    let mut fresh = true;
    for target in all_targets(table.place(), hosts, path) {
        fresh &= targets.admit(&target, report);
    }
    let given = name.is_some();
    let name = name.unwrap_or_else(|| Given {
        value: default_name(hosts, path),
        place: table.place().clone(),
    });
    // A name that follows from a target which is not new is not new either, and that has been said.
    if fresh || given {
        names.admit(&name, report);
    }
    name.value
}

/// The hosts, none for any host; nothing if one of them is wrong.
fn hosts(table: &mut Table<'_>) -> Option<Vec<Given<HostPattern>>> {
    let Some(item) = table.item("host") else {
        return Some(Vec::new());
    };
    let kind = kind::host();
    let place = item.place().clone();
    let items = item.one_or_more();
    if items.is_empty() {
        let note = "leave it out for any host";
        table
            .report()
            .wrong(&place, "at least one host", "none", note);
        return None;
    }
    let hosts: Vec<_> = items.iter().map(|item| item.read(&kind)).collect();
    hosts.into_iter().collect()
}

fn path(table: &mut Table<'_>) -> Option<String> {
    match table.item("path") {
        Some(item) => item.read(&kind::path()).map(|given| given.value),
        None => Some("/".to_owned()),
    }
}

fn pool(table: &mut Table<'_>, pools: &[PoolSettings]) -> Option<PoolId> {
    let item = table.required("pool", "the name of a pool")?;
    let name = item.read(&kind::text("the name of a pool"))?;
    let place = pools.iter().position(|pool| pool.name == name.value);
    if place.is_none() {
        let note = match nearest(&name.value, pools.iter().map(|pool| pool.name.as_str())) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => String::new(),
        };
        table.report().wrong(
            &name.place,
            "a pool of this file",
            shown_text(&name.value),
            &note,
        );
    }
    place
        .and_then(|place| u16::try_from(place).ok())
        .map(PoolId)
}

fn origins(table: &mut Table<'_>) -> Option<OriginSettings> {
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

/// Each host with the path, as text: what no two routes may have in common.
fn all_targets(place: &Place, hosts: &[Given<HostPattern>], path: &str) -> Vec<Given<String>> {
    if hosts.is_empty() {
        return vec![Given {
            value: path.to_owned(),
            place: place.clone(),
        }];
    }
    let target = |host: &Given<HostPattern>| Given {
        value: format!("{}{path}", host.value),
        place: host.place.clone(),
    };
    hosts.iter().map(target).collect()
}

fn default_name(hosts: &[Given<HostPattern>], path: &str) -> String {
    match hosts.first() {
        Some(host) => format!("{}{path}", host.value),
        None => path.to_owned(),
    }
}
