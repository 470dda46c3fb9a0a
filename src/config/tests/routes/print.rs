//! A route as the file has it, with every setting that fits it.

use std::fmt::Write;

use super::{first_message, frames};
use crate::config::tests::tls;
use crate::config::units::Span;
use crate::config::{PoolSettings, RouteSettings};

pub(in crate::config::tests) fn route(
    out: &mut String,
    route: &RouteSettings,
    pools: &[PoolSettings],
) {
    writeln!(
        out,
        "[[routes]]\nname = {:?}\npath = {:?}",
        route.name, route.path
    )
    .unwrap();
    writeln!(out, "pool = {:?}", pools[route.pool.index()].name).unwrap();
    let hosts: Vec<_> = route.hosts.iter().map(ToString::to_string).collect();
    match &hosts[..] {
        [] => {}
        [host] => writeln!(out, "host = {host:?}").unwrap(),
        hosts => writeln!(out, "host = {hosts:?}").unwrap(),
    }
    if let Some(origins) = &route.origins {
        writeln!(out, "allowed_origins = {:?}", origins.allowed).unwrap();
        writeln!(out, "allow_missing_origin = {}", origins.allow_missing).unwrap();
        writeln!(out, "allow_null_origin = {}", origins.allow_null).unwrap();
    }
    writeln!(out, "plain_http = {}", route.plain_http).unwrap();
    writeln!(out, "idle_timeout = \"{}\"", Span(route.idle_timeout)).unwrap();
    writeln!(
        out,
        "stalled_write_timeout = \"{}\"",
        Span(route.stalled_write_timeout)
    )
    .unwrap();
    writeln!(
        out,
        "half_close_timeout = \"{}\"",
        Span(route.half_close_timeout)
    )
    .unwrap();
    let compression = if route.offers_deflate {
        "pass"
    } else {
        "strip"
    };
    writeln!(out, "compression = {compression:?}").unwrap();
    frames::print(out, route.frames.as_ref());
    if let Some(first) = &route.first_message {
        first_message::print(out, first, pools);
    }
    if let Some(rules) = &route.client_certificate {
        tls::print::rules(out, rules);
    }
}
