//! `backends`: who can be chosen.

use super::Distinct;
use crate::config::kind;
use crate::config::model::BackendSettings;
use crate::config::raw::{Given, Item, Table};
use crate::fleet::Weight;

pub(super) fn backends(table: &mut Table<'_>) -> Vec<BackendSettings> {
    let expected = "a list of backends such as [\"10.0.0.11:9000\"]";
    let Some(item) = table.required("backends", expected) else {
        return Vec::new();
    };
    let Some(items) = item.list(expected) else {
        return Vec::new();
    };
    if items.is_empty() {
        table
            .report()
            .wrong(item.place(), "at least one backend", "none", "");
    }
    let mut distinct = Distinct::new("an address of its own in this pool");
    let backends = items.iter().filter_map(backend).map(|(address, weight)| {
        distinct.admit(&address, table.report());
        BackendSettings {
            address: address.value,
            weight,
            priority: 0,
        }
    });
    backends.collect()
}

fn backend(item: &Item<'_>) -> Option<(Given<std::net::SocketAddr>, Weight)> {
    let kind = kind::backend_address();
    let Some(table) = item.as_table() else {
        return Some((item.read(&kind)?, Weight::ONE));
    };
    table.open(|table| {
        let address = table.required("address", kind.expected());
        let address = address.and_then(|item| item.read(&kind));
        let weight = table.value("weight", &kind::weight(), Weight::ONE);
        Some((address?, weight))
    })
}
