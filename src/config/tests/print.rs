//! A configuration that is printed and read again is the same one.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;

use super::{pools, routes, tls};
use crate::config::units::Span;
use crate::config::{AccessLog, Config, Cores, Listener, Steering, load, parse};
use crate::fleet::PoolId;
use crate::limits;

fn printed(config: &Config) -> String {
    let mut out = String::new();
    let cores = match &config.workers.cores {
        Cores::Auto => "\"auto\"".to_owned(),
        Cores::Count(count) => count.to_string(),
        Cores::List(list) => format!("{list:?}"),
    };
    let steering = steered(config.workers.steering);
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
        .for_each(|route| routes::print::route(&mut out, route, &config.pools));
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
    tls::print::listener(out, listener);
}

#[test]
fn every_example_reads_back_the_same() {
    for name in [
        "minimal",
        "ringway",
        "many-pools",
        "origins-and-proxies",
        "frames",
        "tls",
    ] {
        let path = format!("{}/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let config = load(path.as_ref()).unwrap();
        assert_eq!(parse(name, &printed(&config)), Ok(config));
    }
}

pub(super) fn timeout(setting: limits::Setting<Duration>) -> impl Strategy<Value = Duration> {
    let seconds = setting.least.as_secs().max(1)..=setting.most.as_secs();
    seconds.prop_map(Duration::from_secs)
}

fn steered(by: Steering) -> &'static str {
    match by {
        Steering::Hash => "hash",
        Steering::Cpu => "cpu",
        Steering::LeastLoaded => "least-loaded",
    }
}

fn steering() -> impl Strategy<Value = Steering> {
    prop::sample::select(vec![Steering::Hash, Steering::Cpu, Steering::LeastLoaded])
}

proptest! {
    #[test]
    fn any_configuration_reads_back_the_same(pools in pools::any::pools(), routes in routes::any::routes(), listeners in tls::any::listeners(), bound in 1_u32..1_000, steering in steering()) {
        let mut config = super::least();
        config.workers.cores = Cores::List(vec![2, 0]);
        config.workers.steering = steering;
        config.limits.connections_per_source = Some(bound);
        config.listeners = listeners;
        config.pools = pools;
        config.routes = routes;
        let last = config.pools.len() - 1;
        config.routes[0].pool = PoolId(u16::try_from(last).unwrap());
        routes::first_message::fit(&mut config.routes, &mut config.pools);
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
