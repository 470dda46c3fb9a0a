//! Any pool that the file can say.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::config::tests::print::timeout;
use crate::config::tests::tls::any::backend_tls;
use crate::config::{BackendSettings, NameKind, NameSettings, PoolSettings};
use crate::fleet::{
    Caps, EjectionRules, Fate, Fates, HashKey, Hashing, PathKey, PolicyKind, RetryBudget, SameSite,
    Secret, SourceAddresses, Sticky, WaitingRoom, Weight,
};
use crate::health::{HttpProbe, ProbeKind, ProbeSettings, WebSocketProbe};
use crate::limits;
use crate::sync::Arc;

pub(in crate::config::tests) fn pools() -> impl Strategy<Value = Vec<PoolSettings>> {
    prop::collection::vec(pool(), 1..5).prop_map(|mut pools| {
        for (index, pool) in pools.iter_mut().enumerate() {
            // Not in alphabetical order: the order of the file is kept.
            pool.name = format!("pool-{}.{index}", 9 - index);
        }
        pools
    })
}

fn pool() -> impl Strategy<Value = PoolSettings> {
    let who = (policy(), members(), source_addresses());
    let tries = (
        timeout(limits::CONNECT_TIMEOUT),
        0_u8..8,
        timeout(limits::ANSWER_TIMEOUT),
    );
    let health = (
        0_u32..=100,
        option::of(timeout(limits::SLOW_START)),
        ejection(),
        option::of(probe()),
    );
    let bounds = (caps(), waiting_room(), retry_budget(), fates());
    let with = (
        option::of(sticky()),
        option::of(backend_tls()),
        any::<bool>(),
    );
    let pool = (who, tries, health, bounds, with);
    pool.prop_map(|(who, tries, health, bounds, (sticky, tls, probe_tls))| {
        let ((policy, hashing), (mut backends, names), sources) = who;
        if policy == PolicyKind::RoundRobin {
            // Taking turns whatever the weight, it wants them equal.
            for backend in &mut backends {
                backend.weight = Weight::ONE;
            }
        }
        let (established_max, caps) = bounds.0;
        PoolSettings {
            hashing,
            sticky: sticky.map(Arc::new),
            names,
            source_addresses: sources,
            connect_timeout: tries.0,
            connect_tries: tries.1,
            answer_timeout: tries.2,
            panic_percent: health.0,
            slow_start: health.1,
            ejection: health.2,
            probe: health.3.clone(),
            caps,
            established_max,
            waiting_room: bounds.1,
            retry_budget: bounds.2,
            fates: bounds.3,
            // Without a table of probes nothing says that they are in the clear.
            probe_tls: tls.is_some() && (probe_tls || health.3.is_none()),
            tls: tls.map(Arc::new),
            ..PoolSettings::new("", policy, backends)
        }
    })
}

fn policy() -> impl Strategy<Value = (PolicyKind, Hashing)> {
    let key = prop_oneof![
        Just(HashKey::Source),
        Just(HashKey::Subprotocol),
        "[a-z-]{1,20}".prop_map(|name| HashKey::Header(name.into())),
        "[a-zA-Z_.-]{1,20}".prop_map(|name| HashKey::Cookie(name.into())),
        "[a-zA-Z%+\\[\\]\"]{1,20}".prop_map(|name| HashKey::Query(name.into())),
        "(/([a-z]{1,5}|\\*)){0,3}/\\{[a-z]{1,5}\\}"
            .prop_map(|path| HashKey::Path(PathKey::parse(&path).unwrap())),
    ];
    let bound = option::of(101_u32..=10_000);
    let hashing = (key, 1_u32..=32, 1_u32..=128, bound);
    let policy = select(PolicyKind::ALL.to_vec());
    (policy, hashing).prop_map(|(policy, (key, v4, v6, bound))| {
        let usual = Hashing::default();
        let hashing = if policy.is_hash() {
            Hashing {
                key: if policy == PolicyKind::Hash {
                    key
                } else {
                    usual.key
                },
                source_prefix_v4: v4,
                source_prefix_v6: v6,
                load_bound_percent: bound,
            }
        } else {
            usual
        };
        (policy, hashing)
    })
}

fn weight() -> impl Strategy<Value = Weight> {
    (1..=limits::WEIGHT_MAX).prop_map(|weight| Weight::new(weight).unwrap())
}

/// Backends and names; not neither.
fn members() -> impl Strategy<Value = (Vec<BackendSettings>, Vec<NameSettings>)> {
    let backends = prop::collection::vec((weight(), 0..=limits::PRIORITY_MAX), 0..5);
    let name = (
        option::of(1..=u16::MAX),
        timeout(limits::DNS_INTERVAL),
        weight(),
        0..=limits::PRIORITY_MAX,
    );
    let names = prop::collection::btree_map("(_?[a-z0-9]{1,6}\\.){1,3}[a-z]{2,4}", name, 0..3);
    let members = (backends, names).prop_map(|(backends, names)| {
        let backends = (1_u16..).zip(backends);
        let backends = backends.map(|(port, (weight, priority))| BackendSettings {
            address: ([10, 0, 0, 1], port).into(),
            weight,
            priority,
        });
        let names = names.into_iter();
        let names = names.map(|(name, (port, interval, weight, priority))| NameSettings {
            name,
            kind: port.map_or(NameKind::Srv, |port| NameKind::Addresses { port }),
            interval,
            weight: if port.is_some() { weight } else { Weight::ONE },
            priority: if port.is_some() { priority } else { 0 },
        });
        (backends.collect::<Vec<_>>(), names.collect::<Vec<_>>())
    });
    members.prop_filter("somebody", |(backends, names)| {
        !backends.is_empty() || !names.is_empty()
    })
}

/// None, or some of IPv4, as the backends have it, and perhaps some of IPv6 beside them.
fn source_addresses() -> impl Strategy<Value = SourceAddresses> {
    let (v4, v6) = (0_u8..4, 0_u16..3);
    (v4, v6).prop_map(|(v4, v6)| {
        let v6 = if v4 == 0 { 0 } else { v6 };
        let v4 = (0..v4).map(|last| std::net::IpAddr::from([10, 0, 2, last]));
        let v6 = (1..=v6).map(|last| std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        v4.chain(v6).collect()
    })
}

fn sticky() -> impl Strategy<Value = Sticky> {
    let same_site = select(SameSite::ALL.to_vec());
    let lifetime = option::of(timeout(limits::STICKY_LIFETIME));
    let parts = (
        "[a-zA-Z.-]{1,20}",
        any::<[u8; 32]>(),
        same_site,
        any::<bool>(),
        lifetime,
    );
    parts.prop_map(|(cookie, key, same_site, secure, lifetime)| Sticky {
        cookie: cookie.into(),
        secret: Secret(key),
        same_site,
        secure: secure || same_site == SameSite::None,
        lifetime,
    })
}

fn ejection() -> impl Strategy<Value = EjectionRules> {
    let times = (
        timeout(limits::EJECTION_TIME),
        timeout(limits::EJECTION_TIME),
    );
    let rules = (0_u32..=3, times, 0_u32..=100, 0_u32..=2);
    rules.prop_map(|(failures, (one, other), share, abnormal)| {
        if failures == 0 && abnormal == 0 {
            return EjectionRules {
                failures: 0,
                abnormal_percent: 0,
                ..EjectionRules::default()
            };
        }
        EjectionRules {
            failures,
            time: one.min(other),
            time_max: one.max(other),
            share_max_percent: share,
            abnormal_percent: abnormal * 50,
        }
    })
}

fn caps() -> impl Strategy<Value = (Option<u32>, Caps)> {
    let cap = || option::of(1..=limits::CONNECTIONS_CAP_MAX);
    (cap(), cap(), cap()).prop_map(|(all, established, connecting)| {
        let below =
            |cap: Option<u32>, most: Option<u32>| cap.map(|cap| cap.min(most.unwrap_or(cap)));
        let established = below(established, all);
        let connecting = below(connecting, established);
        (
            all,
            Caps {
                established,
                connecting,
            },
        )
    })
}

fn waiting_room() -> impl Strategy<Value = WaitingRoom> {
    let room = (0_u32..=65_536, timeout(limits::WAITING_TIMEOUT));
    room.prop_map(|(places, timeout)| WaitingRoom { places, timeout })
}

fn retry_budget() -> impl Strategy<Value = RetryBudget> {
    let budget = (0_u32..=1_000, 0_u32..=10_000);
    budget.prop_map(|(percent, least_per_second)| RetryBudget {
        percent,
        least_per_second,
    })
}

fn fates() -> impl Strategy<Value = Fates> {
    let fate = || select(Fate::ALL.to_vec());
    (fate(), fate(), fate(), 1_u32..=1_000_000).prop_map(|(down, drain, remove, pace)| {
        let usual = Fates::default().close_per_second;
        let closes = [down, drain, remove].contains(&Fate::Close);
        Fates {
            down,
            drain,
            remove,
            close_per_second: if closes { pace } else { usual },
        }
    })
}

fn probe() -> impl Strategy<Value = ProbeSettings> {
    let path = || "/[a-z/?=&%]{0,12}";
    let host = || option::of("[a-z]{1,8}\\.[a-z]{2,4}(:[1-9][0-9]{1,3})?");
    let statuses = (200_u16..=599, 200_u16..=599);
    let http = (path(), host(), statuses, option::of("[ -~äß→]{1,20}"));
    let http = http.prop_map(|(path, host, (one, other), body)| HttpProbe {
        path,
        host,
        status: one.min(other)..=one.max(other),
        body,
    });
    let web_socket = (path(), host(), option::of("[a-z0-9.-]{1,12}"));
    let web_socket = web_socket.prop_map(|(path, host, subprotocol)| WebSocketProbe {
        path,
        host,
        subprotocol,
    });
    let kind = prop_oneof![
        Just(ProbeKind::Tcp),
        http.prop_map(ProbeKind::Http),
        web_socket.prop_map(ProbeKind::WebSocket),
    ];
    let millis = |from: u64, to: u64| (from..=to).prop_map(Duration::from_millis);
    let times = (
        millis(50, 3_600_000),
        millis(10, 3_600_000),
        millis(10, 60_000),
    );
    let counts = (0_u32..=90, 1_u32..=100, 1_u32..=100);
    (kind, times, counts).prop_map(
        |(kind, (interval, unsure, timeout), counts)| ProbeSettings {
            kind,
            interval,
            unsure_interval: unsure.min(interval),
            jitter_percent: counts.0,
            timeout,
            rise: counts.1,
            fall: counts.2,
        },
    )
}
