//! `[[routes]]`: which host and path lead to which pool.

mod client_certificate;
mod first_message;
mod frames;
mod heartbeat;
mod origins;
mod rates;
mod side;
mod slow_consumer;
mod target;

use super::{Distinct, check_length, unused};
use crate::config::kind;
use crate::config::model::{PoolSettings, RouteSettings};
use crate::config::nearest::nearest;
use crate::config::raw::{Given, Item, Table, shown_text};
use crate::fleet::PoolId;
use crate::limits;

/// `may_ask`: whether a listener asks clients for certificates.
pub(super) fn routes(
    root: &mut Table<'_>,
    pools: &[PoolSettings],
    may_ask: bool,
) -> Vec<RouteSettings> {
    let place = root.place().named("routes");
    let report = root.report();
    let mut names = Distinct::new("a name of its own");
    let mut targets = Distinct::new("a host and path of its own");
    let mut count = 0;
    let routes = root.rows("routes", "a list of tables", |table| {
        count += 1;
        route(table, (pools, may_ask), &mut names, &mut targets)
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
    (pools, may_ask): (&[PoolSettings], bool),
    names: &mut Distinct<String>,
    targets: &mut Distinct<String>,
) -> Option<RouteSettings> {
    let name = table.given("name", &kind::route_name());
    let hosts = target::hosts(table);
    let path = target::path(table);
    let pool = pool(table, pools);
    let origins = origins::origins(table);
    let plain_http = table.value("plain_http", &kind::flag(), false);
    let mut deadline = |key, setting: limits::Setting<_>| {
        table.value(key, &kind::duration(setting), setting.default)
    };
    let idle_timeout = deadline("idle_timeout", limits::IDLE_TIMEOUT);
    let stalled_write_timeout = deadline("stalled_write_timeout", limits::STALLED_WRITE_TIMEOUT);
    let half_close_timeout = deadline("half_close_timeout", limits::HALF_CLOSE_TIMEOUT);
    let first_message = table.optional("first_message", |table| {
        first_message::first_message(table, pools, pool)
    });
    let sight = frames::sight(table, first_message.is_some());
    let frames = frames::frames(table, sight);
    let certificate = table.item("client_certificate");
    let certificate = certificate.and_then(|item| client_certificate::rules(&item, may_ask));
    let (hosts, path) = (hosts?, path?);
    let name = target::distinct_name(table, name, (&hosts, &path), (names, targets));
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
        offers_deflate: sight.offers_deflate,
        frames,
        first_message: first_message.flatten(),
        client_certificate: certificate,
    })
}

fn pool(table: &mut Table<'_>, pools: &[PoolSettings]) -> Option<PoolId> {
    let item = table.required("pool", A_POOL)?;
    Some(named(&item, pools)?.value)
}

/// The pool that is named here; nothing if there is none of this name, which has then been noted.
fn named(item: &Item<'_>, pools: &[PoolSettings]) -> Option<Given<PoolId>> {
    let name = item.read(&kind::text(A_POOL))?;
    let place = pools.iter().position(|pool| pool.name == name.value);
    if place.is_none() {
        let note = match nearest(&name.value, pools.iter().map(|pool| pool.name.as_str())) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => String::new(),
        };
        let found = shown_text(&name.value);
        item.report()
            .wrong(&name.place, "a pool of this file", found, &note);
    }
    Some(Given {
        value: PoolId(u16::try_from(place?).ok()?),
        place: name.place,
    })
}

const A_POOL: &str = "the name of a pool";
