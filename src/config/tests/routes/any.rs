//! Any route that the file can say.

use proptest::option;
use proptest::prelude::*;

use super::first_message::any_first_message;
use super::frames::rules;
use crate::config::RouteSettings;
use crate::config::tests::print::timeout;
use crate::config::tests::tls::any::rules_for_certificates;
use crate::fleet::{HostPattern, PoolId};
use crate::limits;

pub(in crate::config::tests) fn routes() -> impl Strategy<Value = Vec<RouteSettings>> {
    let hosts = prop::collection::btree_set("(\\*\\.)?[a-z]{1,8}\\.[a-z]{2,4}", 0..3);
    let timeouts = (
        timeout(limits::IDLE_TIMEOUT),
        timeout(limits::HALF_CLOSE_TIMEOUT),
    );
    let frames = (rules(), option::weighted(0.3, any_first_message()));
    let target = (hosts, "[a-z0-9._%~-]{1,10}");
    let route = (
        target,
        timeouts,
        any::<bool>(),
        frames,
        option::of(rules_for_certificates()),
    );
    let route = route.prop_map(
        |((hosts, path), timeouts, plain_http, (rules, first), certificate)| RouteSettings {
            name: String::new(),
            hosts: hosts
                .iter()
                .map(|host| HostPattern::parse(host).unwrap())
                .collect(),
            path,
            pool: PoolId(0),
            origins: None,
            plain_http,
            idle_timeout: timeouts.0,
            stalled_write_timeout: limits::STALLED_WRITE_TIMEOUT.default,
            half_close_timeout: timeouts.1,
            // A first message comes before anybody could agree to compress.
            offers_deflate: rules.0 && first.is_none(),
            frames: rules.1,
            first_message: first,
            client_certificate: certificate.map(Box::new),
        },
    );
    prop::collection::vec(route, 1..6).prop_map(|mut routes| {
        for (index, route) in routes.iter_mut().enumerate() {
            route.name = format!("route-{index}");
            route.path = format!("/{index}/{}", route.path);
        }
        routes
    })
}
