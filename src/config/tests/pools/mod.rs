//! What the settings of a pool become.

pub(super) mod any;
pub(super) mod print;

use std::time::Duration;

use crate::config::{NameKind, NameSettings, PoolSettings, parse};
use crate::fleet::{Caps, EjectionRules, Fate, Fates, HashKey, PolicyKind, RetryBudget, Weight};
use crate::health::{HttpProbe, ProbeKind, ProbeSettings, WebSocketProbe};
use crate::limits;

/// The pool `chat` of a file with these settings in it.
fn chat(settings: &str) -> PoolSettings {
    let text = format!(
        "listeners.public.bind = \"0.0.0.0:8080\"\nroutes = [{{ pool = \"chat\" }}]\n\
         [pools.chat]\n{settings}\n"
    );
    let config = parse("a.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.pools.into_iter().next().unwrap()
}

const BACKENDS: &str = "backends = [\"10.0.0.1:9000\"]";

#[test]
fn a_pool_that_says_nothing_has_the_defaults_of_its_values() {
    let pool = chat(BACKENDS);
    let usual = PoolSettings::new("chat", PolicyKind::LeastConnections, pool.backends.clone());
    assert_eq!(pool, usual);
}

#[test]
fn every_policy_goes_by_its_label() {
    for policy in PolicyKind::ALL {
        let pool = chat(&format!("{BACKENDS}\npolicy = \"{}\"", policy.label()));
        assert_eq!(pool.policy, policy);
    }
}

#[test]
fn a_header_is_a_key_in_lower_case_and_a_cookie_as_it_is_written() {
    let key = |key: &str| {
        let policy = "policy = \"hash\"";
        chat(&format!("{BACKENDS}\n{policy}\nhash_key = {key:?}"))
            .hashing
            .key
    };
    assert_eq!(key("header:X-Room"), HashKey::Header("x-room".into()));
    assert_eq!(key("cookie:Room"), HashKey::Cookie("Room".into()));
    assert_eq!(key("query:room[id]"), HashKey::Query("room[id]".into()));
    let HashKey::Path(path) = key("path:/*/room/{id}") else {
        panic!("a path is a path");
    };
    assert_eq!(path.find("/eu/room/7"), Some("7"));
}

#[test]
fn a_backup_is_a_backend_of_the_second_tier() {
    let pool = chat(
        "backends = [\"10.0.0.1:1\", { address = \"10.0.0.2:1\", backup = true }, \
         { address = \"10.0.0.3:1\", backup = false }, { address = \"10.0.0.4:1\", priority = 15 }]",
    );
    let tiers: Vec<_> = pool
        .backends
        .iter()
        .map(|backend| backend.priority)
        .collect();
    assert_eq!(tiers, [0, 1, 0, 15]);
}

#[test]
fn a_pool_of_names_needs_no_backend() {
    let pool = chat(
        "discover = [{ dns = \"Chat.Internal.\", port = 9000, interval = \"5m\", weight = 2, priority = 1 }, \
         { srv = \"_ws._tcp.chat.internal\" }]",
    );
    assert!(pool.backends.is_empty());
    let addresses = NameSettings {
        name: "chat.internal".to_owned(),
        kind: NameKind::Addresses { port: 9000 },
        interval: Duration::from_mins(5),
        weight: Weight::new(2).unwrap(),
        priority: 1,
    };
    let services = NameSettings {
        name: "_ws._tcp.chat.internal".to_owned(),
        kind: NameKind::Srv,
        interval: limits::DNS_INTERVAL.default,
        weight: Weight::ONE,
        priority: 0,
    };
    assert_eq!(pool.names, [addresses, services]);
}

#[test]
fn ejection_is_on_until_it_is_turned_off() {
    assert_eq!(chat(BACKENDS).ejection, EjectionRules::default());
    let off = chat(&format!("{BACKENDS}\nejection = \"off\"")).ejection;
    assert_eq!((off.failures, off.abnormal_percent), (0, 0));
    let table = "ejection = { failures = \"off\", abnormal = \"40%\", time_max = \"1h\" }";
    let rules = EjectionRules {
        failures: 0,
        abnormal_percent: 40,
        time_max: Duration::from_hours(1),
        ..EjectionRules::default()
    };
    assert_eq!(chat(&format!("{BACKENDS}\n{table}")).ejection, rules);
}

#[test]
fn bounds_and_fates_are_read_as_written() {
    let pool = chat(&format!(
        "{BACKENDS}\nconnections_max = 10000\nbackend_connections_max = 1000\n\
         backend_connecting_max = \"off\"\nwaiting_max = 8\nwaiting_timeout = \"2s\"\n\
         retry_budget = \"0%\"\nretries_least_per_second = 0\n\
         on_down = \"keep\"\non_remove = \"close\"\nclose_per_second = 5\n\
         panic_threshold = \"50%\"\nslow_start = \"30s\""
    ));
    assert_eq!(pool.established_max, Some(10_000));
    let caps = Caps {
        established: Some(1_000),
        connecting: None,
    };
    assert_eq!(pool.caps, caps);
    assert_eq!(pool.waiting_room.places, 8);
    assert_eq!(pool.waiting_room.timeout, Duration::from_secs(2));
    let budget = RetryBudget {
        percent: 0,
        least_per_second: 0,
    };
    assert_eq!(pool.retry_budget, budget);
    let fates = Fates {
        down: Fate::Keep,
        drain: Fate::Keep,
        remove: Fate::Close,
        close_per_second: 5,
    };
    assert_eq!(pool.fates, fates);
    assert_eq!(pool.panic_percent, 50);
    assert_eq!(pool.slow_start, Some(Duration::from_secs(30)));
}

#[test]
fn a_probe_asks_what_its_kind_says() {
    let probe = |table: &str| chat(&format!("{BACKENDS}\nprobe = {table}")).probe.unwrap();
    assert_eq!(probe("{}"), ProbeSettings::default());
    let http = |status| {
        ProbeKind::Http(HttpProbe {
            path: "/".to_owned(),
            host: None,
            status,
            body: None,
        })
    };
    assert_eq!(probe("{ kind = \"http\" }").kind, http(200..=299));
    assert_eq!(
        probe("{ kind = \"http\", status = 204 }").kind,
        http(204..=204)
    );
    assert_eq!(
        probe("{ kind = \"http\", status = \"200-399\" }").kind,
        http(200..=399)
    );
    let web_socket = WebSocketProbe {
        path: "/ws?probe=1".to_owned(),
        host: Some("[2001:db8::1]:9000".to_owned()),
        subprotocol: Some("chat.v2".to_owned()),
    };
    let table = "{ kind = \"websocket\", path = \"/ws?probe=1\", host = \"[2001:db8::1]:9000\", subprotocol = \"chat.v2\" }";
    assert_eq!(probe(table).kind, ProbeKind::WebSocket(web_socket));
}

#[test]
fn in_doubt_nobody_is_probed_less_often() {
    let probe = chat(&format!("{BACKENDS}\nprobe = {{ interval = \"200ms\" }}"))
        .probe
        .unwrap();
    assert_eq!(probe.unsure_interval, Duration::from_millis(200));
    let probe = chat(&format!(
        "{BACKENDS}\nprobe = {{ interval = \"1m\", timeout = \"1m\" }}"
    ));
    assert_eq!(
        probe.probe.unwrap().unsure_interval,
        limits::PROBE_UNSURE_INTERVAL.default
    );
}
