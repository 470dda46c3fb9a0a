//! `[listeners.NAME]`: where clients connect.

mod https;
mod tls;

use std::net::SocketAddr;

use super::sections::check_name;
use super::{Distinct, check_length};
use crate::config::kind;
use crate::config::model::{ControlSettings, Listener};
use crate::config::raw::Table;
use crate::limits;
use tls::Tls;

/// The listeners, and what routes have to know of them.
pub(super) struct Listeners {
    pub(super) list: Vec<Listener>,
    /// Whether one of them asks clients for certificates, or might once its mistakes are put right.
    pub(super) may_ask: bool,
}

pub(super) fn listeners(root: &mut Table<'_>, control: Option<&ControlSettings>) -> Listeners {
    let mut may_ask = false;
    let mut taken = Distinct::new("an address of its own");
    let place = root.place().clone();
    let listeners = root.named("listeners", |name, table| {
        let addresses = addresses(table, control, &mut taken);
        check_name(name, table);
        let backlog = table.value(
            "backlog",
            &kind::count(limits::BACKLOG),
            limits::BACKLOG.default,
        );
        let idle = kind::seconds(limits::KEEPALIVE_IDLE).or_word("off");
        let keepalive = table.value("keepalive", &idle, Some(limits::KEEPALIVE_IDLE.default));
        let item = table.item("tls");
        let has_tls = item.is_some();
        let tls = item.map_or_else(Tls::default, |item| tls::tls(&item));
        let redirect_to_https = https::redirect(table, has_tls);
        let hsts = https::hsts(table, has_tls);
        may_ask |= tls.asks;
        Listener {
            name: name.to_owned(),
            addresses,
            backlog,
            keepalive,
            tls: tls.settings,
            redirect_to_https,
            hsts,
        }
    });
    if listeners.is_empty() {
        let help = "[listeners.public] with bind = [\"0.0.0.0:8080\"]";
        root.report().wrong(
            &place.named("listeners"),
            "at least one listener",
            "none",
            help,
        );
    }
    let addresses = listeners
        .iter()
        .map(|listener| listener.addresses.len())
        .sum();
    if addresses > limits::LISTEN_ADDRESSES_MAX {
        check_length(
            root.report(),
            &place.named("listeners"),
            addresses,
            limits::LISTEN_ADDRESSES_MAX,
        );
    }
    Listeners {
        may_ask: may_ask || listeners.is_empty(),
        list: listeners,
    }
}

fn addresses(
    table: &mut Table<'_>,
    control: Option<&ControlSettings>,
    taken: &mut Distinct<SocketAddr>,
) -> Vec<SocketAddr> {
    let expected = "a list of addresses such as [\"0.0.0.0:8080\"]";
    let Some(item) = table.required("bind", expected) else {
        return Vec::new();
    };
    let place = item.place().clone();
    let items = item.one_or_more();
    if items.is_empty() {
        table.report().wrong(&place, expected, "an empty one", "");
    }
    let kind = kind::listen_address();
    let given: Vec<_> = items.iter().filter_map(|item| item.read(&kind)).collect();
    for address in given.iter().filter(|given| given.value.port() != 0) {
        taken.admit(address, table.report());
        if control.is_some_and(|control| control.bind == address.value) {
            let found = address.value;
            table.report().wrong(
                &address.place,
                "an address of its own",
                found,
                "control.bind has it",
            );
        }
    }
    given.into_iter().map(|given| given.value).collect()
}
