//! A configuration that is printed and read again is the same one.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;

use super::pools;
use crate::config::units::Span;
use crate::config::{
    AccessLog, Config, Cores, Listener, PoolSettings, RouteSettings, Steering, load, parse,
};
use crate::fleet::{HostPattern, PoolId};
use crate::limits;

fn printed(config: &Config) -> String {
    let mut out = String::new();
    let cores = match &config.workers.cores {
        Cores::Auto => "\"auto\"".to_owned(),
        Cores::Count(count) => count.to_string(),
        Cores::List(list) => format!("{list:?}"),
    };
    let steering = match config.workers.steering {
        Steering::Hash => "hash",
        Steering::Cpu => "cpu",
    };
    let log = match &config.control.access_log {
        AccessLog::Off => "off",
        AccessLog::Stdout => "stdout",
        AccessLog::File(path) => path.to_str().unwrap(),
    };
    let or_off = |bound: Option<u32>| bound.map_or("\"off\"".to_owned(), |bound| bound.to_string());
    let limits = &config.limits;
    let proxies: Vec<_> = limits
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    let (time, deadline) = (Span(config.drain.time), Span(config.drain.deadline));
    writeln!(out, "[workers]\ncores = {cores}\nsteering = {steering:?}").unwrap();
    writeln!(
        out,
        "[control]\nbind = \"{}\"\naccess_log = {log:?}",
        config.control.bind
    )
    .unwrap();
    writeln!(
        out,
        "[limits]\nconnections_per_source = {}",
        or_off(limits.connections_per_source)
    )
    .unwrap();
    writeln!(
        out,
        "handshakes_per_source = {}",
        or_off(limits.handshakes_per_source)
    )
    .unwrap();
    let rate = or_off(limits.new_connections_per_source_per_second);
    writeln!(out, "new_connections_per_source_per_second = {rate}").unwrap();
    writeln!(out, "head_timeout = \"{}\"", Span(limits.head_timeout)).unwrap();
    writeln!(out, "trusted_proxies = {proxies:?}").unwrap();
    writeln!(out, "[drain]\ntime = \"{time}\"\ndeadline = \"{deadline}\"").unwrap();
    config
        .listeners
        .iter()
        .for_each(|listener| print_listener(&mut out, listener));
    config
        .pools
        .iter()
        .for_each(|pool| pools::print::pool(&mut out, pool));
    config
        .routes
        .iter()
        .for_each(|route| print_route(&mut out, route, &config.pools));
    out
}

fn print_listener(out: &mut String, listener: &Listener) {
    let addresses: Vec<_> = listener.addresses.iter().map(ToString::to_string).collect();
    let keepalive = listener
        .keepalive
        .map_or("off".to_owned(), |idle| Span(idle).to_string());
    writeln!(
        out,
        "[listeners.\"{}\"]\nbind = {addresses:?}",
        listener.name
    )
    .unwrap();
    writeln!(
        out,
        "backlog = {}\nkeepalive = \"{keepalive}\"",
        listener.backlog
    )
    .unwrap();
}

fn print_route(out: &mut String, route: &RouteSettings, pools: &[PoolSettings]) {
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
}

#[test]
fn every_example_reads_back_the_same() {
    for name in ["minimal", "ringway", "many-pools", "origins-and-proxies"] {
        let path = format!("{}/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let config = load(path.as_ref()).unwrap();
        assert_eq!(parse(name, &printed(&config)), Ok(config));
    }
}

pub(super) fn timeout(setting: limits::Setting<Duration>) -> impl Strategy<Value = Duration> {
    let seconds = setting.least.as_secs().max(1)..=setting.most.as_secs();
    seconds.prop_map(Duration::from_secs)
}

fn routes() -> impl Strategy<Value = Vec<RouteSettings>> {
    let hosts = prop::collection::btree_set("(\\*\\.)?[a-z]{1,8}\\.[a-z]{2,4}", 0..3);
    let timeouts = (
        timeout(limits::IDLE_TIMEOUT),
        timeout(limits::HALF_CLOSE_TIMEOUT),
    );
    let route = (hosts, "[a-z0-9._%~-]{1,10}", timeouts, any::<bool>());
    let route = route.prop_map(|(hosts, path, timeouts, plain_http)| RouteSettings {
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
    });
    prop::collection::vec(route, 1..6).prop_map(|mut routes| {
        for (index, route) in routes.iter_mut().enumerate() {
            route.name = format!("route-{index}");
            route.path = format!("/{index}/{}", route.path);
        }
        routes
    })
}

proptest! {
    #[test]
    fn any_configuration_reads_back_the_same(pools in pools::any::pools(), routes in routes(), bound in 1_u32..1_000) {
        let mut config = super::least();
        config.workers.cores = Cores::List(vec![2, 0]);
        config.workers.steering = Steering::Cpu;
        config.limits.connections_per_source = Some(bound);
        config.pools = pools;
        config.routes = routes;
        let last = config.pools.len() - 1;
        config.routes[0].pool = PoolId(u16::try_from(last).unwrap());
        prop_assert_eq!(parse("any.toml", &printed(&config)), Ok(config));
    }

    #[test]
    fn no_text_is_a_trap(text in "([a-z_.]{1,9} ?= ?[0-9\"\\[\\]{},a-z.:/]{0,20}\n|\\[{1,2}[a-z.\"]{0,12}\\]{0,2}\n|\\PC{0,8}){0,12}") {
        crate::config::fuzz_config(text.as_bytes());
    }

    #[test]
    fn no_bytes_are_a_trap(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::config::fuzz_config(&bytes);
    }

    #[test]
    fn a_changed_byte_makes_mistakes_and_no_trap(at in 0_usize..20_000, byte in 0_u8..128) {
        let mut text = include_bytes!("../../../examples/ringway.toml").to_vec();
        let at = at % text.len();
        text[at] = byte;
        crate::config::fuzz_config(&text);
    }
}
