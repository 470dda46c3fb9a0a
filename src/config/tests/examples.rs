//! The examples: each parses, and the complete one is complete.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use toml::de::DeTable;

use super::least;
use crate::config::mistake::Lines;
use crate::config::raw::Report;
use crate::config::{Config, OriginSettings, PoolSettings, build, load, parse};
use crate::fleet::{
    Decides, FirstMessage, FrameRules, Heartbeats, Over, PolicyKind, RateKey, RateRule,
    SlowConsumer, Sticky,
};
use crate::health::{ProbeKind, ProbeSettings};
use crate::limits;
use crate::tls::{ListenerTls, Roots, Suite};
use crate::ws::Rate;

const COMPLETE: &str = include_str!("../../../examples/ringway.toml");

fn complete() -> Config {
    parse("ringway.toml", COMPLETE).unwrap()
}

#[test]
fn every_example_parses() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for file in files.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    }) {
        if let Err(mistakes) = load(&file) {
            panic!("{mistakes}");
        }
        seen += 1;
    }
    assert!(seen >= 6);
}

/// The complete example as it is, and once for each of its commented blocks with that one taken in. A line of a block
/// begins with `#` and no space, a block ends with an empty line.
fn variants() -> Vec<String> {
    let lines: Vec<_> = COMPLETE.lines().collect();
    let mut variants = vec![COMPLETE.to_owned()];
    let mut start = 0;
    for block in lines.split(|line| line.is_empty()) {
        let end = start + block.len();
        if block.iter().any(|line| commented(line).is_some()) {
            let taken = lines.iter().enumerate().map(|(at, line)| {
                let inside = (start..end).contains(&at);
                commented(line).filter(|_| inside).unwrap_or(line)
            });
            variants.push(taken.collect::<Vec<_>>().join("\n"));
        }
        start = end + 1;
    }
    variants
}

/// The setting or the header that this line keeps in a comment.
fn commented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('#')?;
    (!rest.is_empty() && !rest.starts_with([' ', '#'])).then_some(rest)
}

/// Each variant of the complete example, with the files that it names beside it.
fn loaded() -> Vec<Config> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["sticky.key", "control.token"] {
        let file = folder.path().join(name);
        std::fs::write(
            &file,
            "a secret of more than 32 bytes".replace(' ', "-").repeat(2),
        )
        .unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }
    let load = |text| {
        let file = folder.path().join("ringway.toml");
        std::fs::write(&file, text).unwrap();
        load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    variants().into_iter().map(load).collect()
}

#[test]
fn the_complete_example_has_every_setting() {
    let mut asked: BTreeMap<_, bool> = BTreeMap::new();
    for text in variants() {
        let (root, errors) = DeTable::parse_recoverable(&text);
        assert!(errors.is_empty(), "{errors:?}");
        let lines = Lines::of(&text);
        let report = Report::new(&lines, None);
        build::build(root.get_ref(), &report).unwrap();
        for (path, is_there) in report.asked.take() {
            *asked.entry(anonymous(&path)).or_default() |= is_there;
        }
    }
    assert!(asked.len() > 150, "{asked:?}");
    let absent: Vec<_> = asked.iter().filter(|(_, seen)| !**seen).collect();
    assert!(
        absent.is_empty(),
        "examples/ringway.toml does not show {absent:?}"
    );
}

/// A path without the names that the reader gives and without places in lists.
fn anonymous(path: &str) -> String {
    let parts = path.split('.').map(|part| part.split('[').next().unwrap());
    let mut parts: Vec<_> = parts.collect();
    if parts.len() > 2 && ["pools", "listeners"].contains(&parts[0]) {
        parts[1] = "NAME";
    }
    parts.join(".")
}

#[test]
fn each_commented_block_is_right_and_shows_the_defaults() {
    let all = loaded();
    assert_eq!(all.len(), 15);
    let tokens = all.iter().filter(|config| config.control.token.is_some());
    assert_eq!(tokens.count(), 1);
    let probes: Vec<_> = all
        .iter()
        .filter_map(|config| config.pools[0].probe.clone())
        .collect();
    assert_eq!(probes, [ProbeSettings::default(), ProbeSettings::default()]);
    let rooms: Vec<_> = all
        .iter()
        .filter_map(|config| config.pools[1].probe.clone())
        .collect();
    assert!(matches!(
        &rooms[..],
        [
            ProbeSettings {
                kind: ProbeKind::Http(_),
                ..
            },
            ProbeSettings {
                kind: ProbeKind::WebSocket(_),
                ..
            }
        ]
    ));
    let sticky: Vec<_> = all
        .iter()
        .filter_map(|config| config.pools[0].sticky.clone())
        .collect();
    let least = all
        .iter()
        .find_map(|config| config.pools[1].sticky.clone())
        .unwrap();
    assert_eq!(sticky.len(), 1);
    let usual = Sticky {
        secret: sticky[0].secret.clone(),
        ..(*least).clone()
    };
    assert_eq!(
        *sticky[0], usual,
        "what is left out has the value that is shown"
    );
}

#[test]
fn each_commented_block_of_tls_shows_the_defaults() {
    let all = loaded();
    let shown = all_of(&all, |config| config.listeners[0].tls.clone());
    let least = all_of(&all, |config| config.listeners.get(1)?.tls.clone());
    assert_eq!((shown.len(), least.len()), (1, 1));
    let mut usual = ListenerTls {
        clients: shown[0].clients.clone(),
        ..least[0].clone()
    };
    let asks = |tls: &ListenerTls| tls.clients.as_ref().map(|clients| clients.auth);
    assert_eq!(asks(&least[0]), asks(&shown[0]));
    assert_eq!(shown[0], usual);
    usual.clients = None;
    let hsts = all_of(&all, |config| config.listeners[0].hsts.clone());
    assert_eq!(hsts, ["max-age=31536000".into()]);

    let pools = all_of(&all, |config| {
        Some(config.pools[0].clone()).filter(|pool| pool.tls.is_some())
    });
    assert_eq!(pools.len(), 1);
    assert!(pools[0].probe_tls);
    let tls = pools[0].tls.as_deref().unwrap();
    assert_eq!(
        (&tls.roots, &tls.suites[..]),
        (&Roots::System, &Suite::ALL[..])
    );
    assert_eq!(tls.min_version, usual.min_version);

    let rules = all_of(&all, |config| config.routes[0].client_certificate.clone());
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].fields().count(), 4);
}

/// What each variant of the complete example has of one thing, without those that have none of it.
fn all_of<T>(all: &[Config], of: impl Fn(&Config) -> Option<T>) -> Vec<T> {
    all.iter().filter_map(of).collect()
}

#[test]
fn each_commented_block_of_a_route_shows_the_defaults() {
    let all = loaded();
    let rates = all_of(&all, |config| config.routes[0].frames.clone());
    let rate = |per_second| {
        Some(Rate {
            per_second,
            burst: limits::RATE_BURST.default,
        })
    };
    let first = RateRule {
        by: RateKey::Connection,
        messages: rate(100),
        bytes: rate(1 << 20),
        over: Over::Slow,
        counts_control: false,
    };
    assert_eq!(rates.len(), 1);
    assert_eq!(rates[0].rates[0], first);
    // The two others leave out what the first one shows.
    assert_eq!(
        (rates[0].rates[1].over, rates[0].rates[2].over),
        (Over::Slow, Over::Slow)
    );
    assert_eq!(rates[0].rates[1].messages, rate(1_000));

    let heartbeat = FrameRules {
        heartbeat: Heartbeats {
            client: Some(limits::HEARTBEAT.default),
            ..Heartbeats::OFF
        },
        ..FrameRules::default()
    };
    let slow_consumer = FrameRules {
        to_client: SlowConsumer::Close,
        ..FrameRules::default()
    };
    let frames = all_of(&all, |config| config.routes[1].frames.clone());
    assert_eq!(frames, [heartbeat, slow_consumer]);

    let first = all_of(&all, |config| config.routes[1].first_message.clone());
    assert_eq!(first.len(), 2);
    let usual = FirstMessage {
        pointer: first[0].pointer.clone(),
        decides: Decides::Backend,
        subprotocol: Some("chat.v2".into()),
        ..first[1].clone()
    };
    assert_eq!(
        first[0], usual,
        "what is left out has the value that is shown"
    );
}

#[test]
fn the_complete_example_shows_the_defaults() {
    let complete = complete();
    let least = least();
    assert_eq!(complete.workers, least.workers);
    assert_eq!(complete.control, least.control);
    assert_eq!(complete.limits, least.limits);
    assert_eq!(complete.drain, least.drain);
    let (shown, usual) = (&complete.listeners[0], &least.listeners[0]);
    assert_eq!(
        (shown.backlog, shown.keepalive),
        (usual.backlog, usual.keepalive)
    );

    let mut pool = complete.pools[0].clone();
    assert_eq!(
        pool.backends[0].weight, pool.backends[1].weight,
        "the one given is the default"
    );
    pool.backends.clone_from(&least.pools[0].backends);
    assert_eq!(pool, least.pools[0]);

    let mut rooms = complete.pools[1].clone();
    assert_eq!(rooms.names[0].interval, limits::DNS_INTERVAL.default);
    rooms.names.clear();
    let sources = std::mem::take(&mut rooms.source_addresses);
    assert_eq!(sources.iter().count(), 17, "an address and a network");
    let usual = PoolSettings::new("rooms", PolicyKind::Hash, rooms.backends.clone());
    assert_eq!(rooms, usual);

    let mut route = complete.routes[0].clone();
    let origins = OriginSettings {
        allowed: vec!["https://chat.example.com".to_owned()],
        allow_missing: false,
        allow_null: false,
    };
    assert_eq!(route.origins.take(), Some(origins));
    route.hosts.clear();
    "/".clone_into(&mut route.name);
    assert_eq!(route, least.routes[0]);
}
