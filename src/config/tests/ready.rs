//! What a configuration becomes.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{AccessLog, BackendSettings, Config, Cores, Token, parse};
use crate::fleet::{
    BackendId, Decides, HostPattern, PolicyKind, PoolId, Registry, SlotTable, TableFull, Weight,
};
use crate::limits;
use crate::sync::Arc;
use crate::ws::{Inspect, Opcode};

fn example(name: &str) -> Config {
    let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    crate::config::load(path.as_ref()).unwrap()
}

fn registry(capacity: usize) -> Registry {
    Registry::new(Arc::new(SlotTable::new(capacity)))
}

#[test]
fn values_are_read_as_written() {
    let config = example("many-pools.toml");
    assert_eq!(config.workers.cores, Cores::Count(4));
    let names: Vec<_> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(
        names,
        ["chat", "games", "telemetry"],
        "in the order of the file"
    );
    let names: Vec<_> = config
        .listeners
        .iter()
        .map(|listener| listener.name.as_str())
        .collect();
    assert_eq!(names, ["public", "internal"]);
    assert_eq!(config.listeners[1].keepalive, Some(Duration::from_secs(30)));
    assert_eq!(config.pools[0].backends[2].weight.get(), 2);
    assert_eq!(config.pools[1].policy, PolicyKind::RoundRobin);
    assert_eq!(config.pools[1].connect_timeout, Duration::from_millis(500));
    assert_eq!(config.routes[1].pool, PoolId(1));
    assert_eq!(
        config.routes[1].hosts[1],
        HostPattern::Under("games.example.com".into())
    );

    let config = example("origins-and-proxies.toml");
    assert_eq!(
        config.control.access_log,
        AccessLog::File("/var/log/ringway/access.json".into())
    );
    assert_eq!(config.limits.connections_per_source, Some(200));
    assert_eq!(config.limits.trusted_proxies[0].to_string(), "10.0.0.2/32");
    assert!(config.routes[1].origins.as_ref().unwrap().allow_missing);
}

#[test]
fn a_snapshot_leads_from_host_to_backend() {
    let config = example("many-pools.toml");
    let mut registry = registry(16);
    let snapshot = config.snapshot(&mut registry).unwrap();
    let route = snapshot
        .routes
        .find(Some("eu.games.example.com"), "/lobby")
        .unwrap();
    assert_eq!(&*route.name, "games");
    let pool = snapshot.pool(route.pool);
    assert_eq!(&*pool.name, "games");
    assert_eq!(pool.connect_tries_max, 2);
    assert_eq!(
        pool.backends[0].id,
        BackendId(3),
        "after the three of the pool before"
    );
    assert_eq!(&*pool.backends[0].name, "10.0.2.11:7000");
    assert!(
        snapshot
            .routes
            .find(Some("other.example.com"), "/lobby")
            .is_none()
    );
}

#[test]
fn origin_rules_come_ready_with_the_route() {
    let snapshot = example("origins-and-proxies.toml")
        .snapshot(&mut registry(8))
        .unwrap();
    let route = snapshot
        .routes
        .find(Some("app.example.com"), "/socket")
        .unwrap();
    let rules = route.origins.as_ref().unwrap();
    assert!(rules.allows(Some(b"https://app.example.com")));
    assert!(!rules.allows(Some(b"https://evil.example.com")));
    assert!(!rules.allows(None));
}

#[test]
fn what_a_route_asks_of_frames_comes_ready_with_it() {
    let config = example("frames.toml");
    let snapshot = config.snapshot(&mut registry(8)).unwrap();
    let route = snapshot.routes.find(None, "/chat").unwrap();
    assert!(!route.offers_deflate);
    assert_eq!(route.frames.as_deref(), config.routes[0].frames.as_ref());
    let rules = route.frames.as_deref().unwrap();
    assert_eq!(rules.client.inspect, Inspect::Text);
    assert!(!rules.client.limits.opcodes.allow(Opcode::Binary));
    assert!(rules.backend.limits.opcodes.allow(Opcode::Binary));
    assert_eq!(rules.rates.len(), 2);
    assert_eq!(route.first_message, None);

    let usual = example("minimal.toml").snapshot(&mut registry(8)).unwrap();
    let usual = usual.routes.find(None, "/").unwrap();
    assert!(usual.offers_deflate && usual.frames.is_none());
}

#[test]
fn a_first_message_leads_to_the_pools_of_the_snapshot() {
    let text = "listeners.a.bind = \"0.0.0.0:80\"\n\
                pools.first.backends = [\"10.0.0.1:1\"]\npools.second.backends = [\"10.0.0.2:1\"]\n\
                [[routes]]\npool = \"first\"\n\
                first_message = { pointer = \"/kind\", decides = \"pool\", pools = { game = \"second\" } }\n";
    let config = parse("a.toml", text).unwrap();
    let snapshot = config.snapshot(&mut registry(8)).unwrap();
    let route = snapshot.routes.find(None, "/").unwrap();
    assert!(!route.offers_deflate);
    let Some(Decides::Pool(pools)) = route.first_message.as_ref().map(|first| &first.decides)
    else {
        panic!("the message decides over pools");
    };
    let (value, pool) = &pools[0];
    assert_eq!((&**value, &*snapshot.pool(*pool).name), ("game", "second"));
}

#[test]
fn a_backend_that_stays_keeps_its_row_when_pools_move() {
    let mut registry = registry(16);
    let text = |pools: &str| {
        let text =
            format!("{pools}listeners.a.bind = \"0.0.0.0:80\"\nroutes = [{{ pool = \"chat\" }}]\n");
        parse("a.toml", &text).unwrap()
    };
    let before = text("pools.chat.backends = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\n");
    let before = before.snapshot(&mut registry).unwrap();
    let kept = before.pools[0].backends[1].id;
    registry.table().connect_started(kept);
    registry.table().opened(kept);

    let after = text(
        "pools.a.backends = [\"10.0.0.9:1\"]\npools.chat.backends = [\"10.0.0.2:1\", \"10.0.0.3:1\"]\n",
    );
    let after = after.snapshot(&mut registry).unwrap();
    assert_eq!(after.pools[1].backends[0].id, kept);
    assert_eq!(
        registry.table().established(kept),
        1,
        "counts never start again"
    );
}

#[test]
fn a_table_without_room_is_an_error_and_not_a_panic() {
    let config = example("many-pools.toml");
    let full = config.snapshot(&mut registry(3)).unwrap_err();
    assert_eq!(full, TableFull { capacity: 3 });
}

#[test]
fn the_demo_needs_no_file() {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let config = Config::for_demo(
        address(8080),
        address(9090),
        &[address(1), address(2), address(3)],
    );
    let snapshot = config.snapshot(&mut registry(3)).unwrap();
    let route = snapshot.routes.find(None, "/").unwrap();
    assert!(route.plain_http);
    assert_eq!(snapshot.pool(route.pool).backends.len(), 3);
    assert_eq!(config.listeners[0].addresses, [address(8080)]);
}

fn backend(address: &str) -> BackendSettings {
    BackendSettings {
        address: address.parse().unwrap(),
        weight: Weight::ONE,
        priority: 0,
    }
}

#[test]
fn members_may_come_from_elsewhere_or_not_at_all() {
    let text = "pools.chat.backends = [\"10.0.0.1:1\"]\npools.empty.discover = [{ srv = \"a.internal\" }]\n\
                listeners.a.bind = \"0.0.0.0:80\"\nroutes = [{ pool = \"chat\" }]\n";
    let config = parse("a.toml", text).unwrap();
    let mut registry = registry(8);
    let own = config.snapshot(&mut registry).unwrap();
    assert!(own.pools[1].backends.is_empty());
    let kept = own.pools[0].backends[0].id;

    let named = ["10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"].map(backend);
    let members = |place: usize| match place {
        0 => [config.pools[0].backends.clone(), named.to_vec()].concat(),
        _ => Vec::new(),
    };
    let joined = config.snapshot_with(&mut registry, &members).unwrap();
    let addresses: Vec<_> = joined.pools[0]
        .backends
        .iter()
        .map(|member| &*member.name)
        .collect();
    assert_eq!(
        addresses,
        ["10.0.0.1:1", "10.0.0.2:1"],
        "each once, the file's first"
    );
    assert_eq!(joined.pools[0].backends[0].id, kept);
    assert!(joined.pools[1].backends.is_empty());
}

#[test]
fn too_many_members_are_refused_and_change_no_row() {
    let config = parse("a.toml", super::LEAST).unwrap();
    let mut registry = registry(limits::SLOT_ROWS_MAX);
    let before = config.snapshot(&mut registry).unwrap();
    let many: Vec<_> = (0..=limits::BACKENDS_MAX)
        .map(|index| backend(&format!("10.1.{}.{}:1", index / 250, index % 250)))
        .collect();
    let members = |count: usize| many[..count].to_vec();
    let refused = config.snapshot_with(&mut registry, &|_| members(limits::BACKENDS_MAX + 1));
    let full = TableFull {
        capacity: limits::BACKENDS_MAX,
    };
    assert_eq!(refused.unwrap_err(), full);
    let after = config.snapshot(&mut registry).unwrap();
    assert_eq!(
        after.pools[0].backends[0].id,
        before.pools[0].backends[0].id
    );
    let most = config.snapshot_with(&mut registry, &|_| members(limits::BACKENDS_MAX));
    let most = most.unwrap();
    assert_eq!(
        most.pools[0].backends[0].id,
        BackendId(1),
        "the first fresh row"
    );
}

#[test]
fn networks_of_source_addresses_are_taken_apart() {
    let text = "pools.chat.backends = [\"10.0.0.1:1\"]\n\
                pools.chat.source_addresses = [\"10.0.0.5\", \"10.0.1.252/30\", \"2001:db8::/127\"]\n\
                listeners.a.bind = \"0.0.0.0:80\"\nroutes = [{ pool = \"chat\" }]\n";
    let config = parse("a.toml", text).unwrap();
    let snapshot = config.snapshot(&mut registry(1)).unwrap();
    let shown = |to: &str| {
        let sources = snapshot.pools[0].source_addresses.to(to.parse().unwrap());
        let sources: Vec<_> = sources.iter().map(ToString::to_string).collect();
        sources.join(" ")
    };
    let four = "10.0.0.5 10.0.1.252 10.0.1.253 10.0.1.254 10.0.1.255";
    assert_eq!(shown("10.0.0.1:1"), four, "the first and the last too");
    assert_eq!(shown("[2001:db8::9]:1"), "2001:db8:: 2001:db8::1");
}

#[test]
fn what_only_a_restart_changes_is_named() {
    let config = example("origins-and-proxies.toml");
    assert!(config.needs_restart(&config).is_empty());
    let changed = |change: fn(&mut Config)| {
        let mut other = config.clone();
        change(&mut other);
        assert_ne!(other, config, "something changed");
        let names = config.needs_restart(&other);
        assert_eq!(
            names,
            other.needs_restart(&config),
            "it is the same either way"
        );
        names
    };
    assert_eq!(changed(|other| other.workers.tunnels_max += 1), ["workers"]);
    assert_eq!(
        changed(|other| other.listeners[0].backlog += 1),
        ["listeners"]
    );
    assert_eq!(
        changed(|other| other.control.bind.set_port(1)),
        ["control.bind"]
    );
    assert_eq!(
        changed(|other| other.control.access_log = AccessLog::Off),
        ["control.access_log"]
    );
    assert_eq!(
        changed(|other| other.control.token = Some(Token::of(b"another"))),
        ["control.token_file"]
    );
    let both = changed(|other| {
        other.workers.cores = Cores::Count(3);
        other.listeners.clear();
    });
    assert_eq!(both, ["workers", "listeners"]);
    assert!(
        changed(|other| {
            other.limits.connections_per_source = None;
            other.drain.time = Duration::from_secs(1);
            other.pools[0].connect_tries += 1;
            other.routes.truncate(1);
        })
        .is_empty()
    );
}

#[test]
fn the_order_of_listeners_says_nothing() {
    let config = example("many-pools.toml");
    let mut other = config.clone();
    other.listeners.reverse();
    assert!(config.needs_restart(&other).is_empty());
}
