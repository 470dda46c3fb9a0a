//! `source_addresses`: where a pool's backends are dialled from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::{Distinct, check_length};
use crate::config::kind::{self, Kind, Note};
use crate::config::model::BackendSettings;
use crate::config::raw::{Given, Item, Table};
use crate::fleet::SourceAddresses;
use crate::limits;

/// The addresses, networks taken apart. `backends` are those of the file; others come by name if `are_named`.
pub(super) fn sources(
    table: &mut Table<'_>,
    backends: &[BackendSettings],
    are_named: bool,
) -> SourceAddresses {
    let Some(item) = table.item("source_addresses") else {
        return SourceAddresses::default();
    };
    let expected = "a list of addresses of this host such as [\"10.0.0.5\", \"10.0.1.0/28\"]";
    let Some(items) = item.list(expected) else {
        return SourceAddresses::default();
    };
    let (report, most) = (item.report(), limits::SOURCE_ADDRESSES_MAX);
    let kind = source();
    let given: Vec<_> = items.iter().filter_map(|item| item.read(&kind)).collect();
    let counts = given.iter().map(|given| count_of(given.value));
    let found: usize = counts.sum();
    if items.is_empty() || found > most {
        check_length(report, item.place(), found, most);
        return SourceAddresses::default();
    }
    let mut distinct = Distinct::new("an address of its own in this pool");
    let mut all = Vec::new();
    for given in &given {
        for value in addresses_of(given.value) {
            let place = given.place.clone();
            // One mistake is enough for a network that stands there twice.
            if !distinct.admit(&Given { value, place }, report) {
                break;
            }
            all.push(value);
        }
    }
    let sources: SourceAddresses = all.into_iter().collect();
    check_families(&item, &sources, backends, are_named);
    sources
}

/// Notes addresses from which none of the backends can be dialled, because none is of their family.
fn check_families(
    item: &Item<'_>,
    sources: &SourceAddresses,
    backends: &[BackendSettings],
    are_named: bool,
) {
    let fits = |backend: &BackendSettings| !sources.to(backend.address).is_empty();
    let (Some(first), Some(backend)) = (sources.iter().next(), backends.first()) else {
        return;
    };
    if !are_named && !backends.iter().any(fits) {
        let family = if backend.address.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        };
        let expected = format!("an {family} address, as the backends have");
        let note = "it does nothing here";
        item.report().wrong(item.place(), expected, first, note);
    }
}

/// An address that a connection can leave from, or a network of few.
fn source() -> Kind<IpNet> {
    let expected = "an address of this host such as \"10.0.0.5\", or a network of them such as \"10.0.1.0/28\"";
    let network = kind::network();
    Kind::with_note(expected, move |value| {
        let text = value.as_str().ok_or_else(Note::default)?;
        let network = network.read(value).map_err(|note| match note.0 {
            note if !note.is_empty() => Note(note),
            _ => Note(why_no_source(text).to_owned()),
        })?;
        let note = why_never(network);
        if note.is_empty() {
            Ok(network)
        } else {
            Err(Note(note))
        }
    })
}

/// Why a text is no address, as far as it can be told.
fn why_no_source(text: &str) -> &'static str {
    if text.parse::<SocketAddr>().is_ok() {
        "the port is chosen for each connection: leave it out"
    } else if text.contains('%') {
        "an address with a scope cannot be one"
    } else {
        ""
    }
}

/// Why no connection leaves from there; empty if one may.
fn why_never(network: IpNet) -> String {
    let most = limits::SOURCE_ADDRESSES_MAX;
    let address = network.addr();
    let why = match address {
        _ if address.is_unspecified() => "leave the setting out to let the kernel choose",
        _ if address.is_multicast() => "a multicast address is nobody's own",
        IpAddr::V4(address) if address == Ipv4Addr::BROADCAST => "broadcast is nobody's own",
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => "write the IPv4 address",
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            "a link-local address belongs to one link and needs its scope"
        }
        _ if count_of(network) > most => {
            return format!("{most} addresses a pool at most: name a narrower network");
        }
        _ => "",
    };
    why.to_owned()
}

/// How many addresses a network has, the first and the last included.
fn count_of(network: IpNet) -> usize {
    let bits = u32::from(network.max_prefix_len() - network.prefix_len());
    1_usize.checked_shl(bits).unwrap_or(usize::MAX)
}

/// Every address of a network. Its first and its last are as good as the others here: whoever routes the whole of it to
/// this host can leave from them.
fn addresses_of(network: IpNet) -> Vec<IpAddr> {
    let nth = |number: u32| match network.network() {
        IpAddr::V4(first) => Ipv4Addr::from(u32::from(first).saturating_add(number)).into(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).saturating_add(number.into())).into(),
    };
    (0_u32..).take(count_of(network)).map(nth).collect()
}
