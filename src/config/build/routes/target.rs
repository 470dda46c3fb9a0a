//! The host, the path and the name of a route, and that no two routes share them.

use super::Distinct;
use crate::config::kind;
use crate::config::raw::{Given, Place, Table};
use crate::fleet::HostPattern;

/// The name that was given or follows from the target, after a look whether both are new.
pub(super) fn distinct_name(
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
pub(super) fn hosts(table: &mut Table<'_>) -> Option<Vec<Given<HostPattern>>> {
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

pub(super) fn path(table: &mut Table<'_>) -> Option<String> {
    match table.item("path") {
        Some(item) => item.read(&kind::path()).map(|given| given.value),
        None => Some("/".to_owned()),
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
