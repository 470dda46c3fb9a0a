//! `backends`: who can be chosen.

use std::net::SocketAddr;

use super::Distinct;
use crate::config::kind;
use crate::config::model::BackendSettings;
use crate::config::raw::{Given, Item, Place, Table};
use crate::fleet::Weight;
use crate::limits;

/// Who stands in the file. If names are asked for, that may be nobody.
pub(super) fn backends(table: &mut Table<'_>, are_named: bool) -> Vec<BackendSettings> {
    let expected = "a list of backends such as [\"10.0.0.11:9000\"]";
    let item = if are_named {
        table.item("backends")
    } else {
        table.required("backends", expected)
    };
    let Some(item) = item else {
        return Vec::new();
    };
    let Some(items) = item.list(expected) else {
        return Vec::new();
    };
    if items.is_empty() && !are_named {
        table
            .report()
            .wrong(item.place(), "at least one backend", "none", "");
    }
    let mut distinct = Distinct::new("an address of its own in this pool");
    let backends = items.iter().filter_map(backend).map(|(place, backend)| {
        let value = backend.address;
        distinct.admit(&Given { value, place }, table.report());
        backend
    });
    backends.collect()
}

/// One backend and the place of its address.
fn backend(item: &Item<'_>) -> Option<(Place, BackendSettings)> {
    let kind = kind::backend_address();
    let placed = |address: Given<SocketAddr>, weight, priority| {
        let backend = BackendSettings {
            address: address.value,
            weight,
            priority,
        };
        (address.place, backend)
    };
    let Some(table) = item.as_table() else {
        return Some(placed(item.read(&kind)?, Weight::ONE, 0));
    };
    table.open(|table| {
        let address = table.required("address", kind.expected());
        let address = address.and_then(|item| item.read(&kind));
        let weight = table.value("weight", &kind::weight(), Weight::ONE);
        let priority = tier(table);
        Some(placed(address?, weight, priority))
    })
}

/// The tier, by its number or by the word for the second one.
fn tier(table: &mut Table<'_>) -> u8 {
    let priority = table.given("priority", &kind::whole(0..=limits::PRIORITY_MAX));
    let backup = table.given("backup", &kind::flag());
    match (priority, backup) {
        (Some(_), Some(backup)) => {
            let note = "backup = true is short for priority = 1";
            let expected = "either priority or backup";
            table.report().wrong(&backup.place, expected, "both", note);
            0
        }
        (Some(priority), None) => priority.value,
        (None, backup) => u8::from(backup.is_some_and(|backup| backup.value)),
    }
}
