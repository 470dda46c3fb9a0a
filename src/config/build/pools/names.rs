//! `discover`: names in the DNS whose addresses join the backends.

use std::net::IpAddr;

use super::Distinct;
use crate::config::kind::{self, Kind, Note};
use crate::config::model::{NameKind, NameSettings};
use crate::config::raw::{Given, Item, Place, Table};
use crate::fleet::Weight;
use crate::limits;

/// The names; nothing if none stands in the file. One that is wrong counts as standing there.
pub(super) fn names(table: &mut Table<'_>) -> Option<Vec<NameSettings>> {
    let expected = "a list of names such as [{ dns = \"chat.internal\", port = 9000 }]";
    let mut distinct = Distinct::new("a name of its own in this pool");
    let names = table.rows("discover", expected, |table| {
        let (place, name) = name(table)?;
        let value = match name.kind {
            NameKind::Addresses { port } => format!("{}:{port}", name.name),
            NameKind::Srv => name.name.clone(),
        };
        distinct.admit(&Given { value, place }, table.report());
        Some(name)
    });
    (!names.is_empty()).then(|| names.into_iter().flatten().collect())
}

/// One name and its place; nothing if the name or its port is wrong, which has then been noted.
fn name(table: &mut Table<'_>) -> Option<(Place, NameSettings)> {
    let (addresses, services) = (table.item("dns"), table.item("srv"));
    let port = table.item("port");
    let weight = table.given("weight", &kind::weight());
    let priority = table.given("priority", &kind::whole(0..=limits::PRIORITY_MAX));
    let interval = kind::duration(limits::DNS_INTERVAL);
    let interval = table.value("interval", &interval, limits::DNS_INTERVAL.default);
    let (item, kind) = match (addresses, services) {
        (Some(item), None) => (item, addresses_at(table, port)),
        (None, Some(item)) => {
            no_srv(table, port.as_ref().map(Item::place));
            no_srv(table, weight.as_ref().map(|given| &given.place));
            no_srv(table, priority.as_ref().map(|given| &given.place));
            (item, Some(NameKind::Srv))
        }
        (none_or_both, _) => {
            let found = none_or_both.map_or("neither", |_| "both");
            let expected = "either dns or srv";
            table.report().wrong(table.place(), expected, found, "");
            return None;
        }
    };
    let name = item.read(&dns_name())?;
    let settings = NameSettings {
        name: name.value,
        kind: kind?,
        interval,
        weight: weight.map_or(Weight::ONE, |given| given.value),
        priority: priority.map_or(0, |given| given.value),
    };
    Some((name.place, settings))
}

/// A and AAAA records with this port, which they do not bring themselves.
fn addresses_at(table: &Table<'_>, port: Option<Item<'_>>) -> Option<NameKind> {
    let kind = kind::whole(1..=u16::MAX);
    let Some(port) = port else {
        let place = table.place().named("port");
        table.report().wrong(&place, kind.expected(), "nothing", "");
        return None;
    };
    let port = port.read(&kind)?.value;
    Some(NameKind::Addresses { port })
}

/// Notes a setting that belongs to addresses and stands beside `srv`.
fn no_srv(table: &Table<'_>, place: Option<&Place>) {
    if let Some(place) = place {
        let note = "an SRV record brings its own";
        table.report().wrong(place, "dns beside it", "srv", note);
    }
}

/// A name in the DNS, kept in lower case and without a final dot.
fn dns_name() -> Kind<String> {
    Kind::with_note("a name in the DNS such as \"chat.internal\"", |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let is_address = name.parse::<IpAddr>().is_ok();
        let right =
            !is_address && name.len() <= limits::HOST_BYTES_MAX && name.split('.').all(is_label);
        let note = match text.rsplit_once(':') {
            _ if is_address => "an address belongs into backends",
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                "the port stands beside it: port = 9000"
            }
            _ => "",
        };
        right
            .then(|| name.to_owned())
            .ok_or_else(|| Note(note.to_owned()))
    })
}

/// Letters, digits, dashes inside, and underscores as SRV names have them (RFC 1035, RFC 2782).
pub(super) fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=limits::HOST_LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
