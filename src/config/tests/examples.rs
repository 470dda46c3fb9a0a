//! The examples: each parses, and the complete one is complete.

use toml::de::DeTable;

use super::least;
use crate::config::mistake::Lines;
use crate::config::raw::Report;
use crate::config::{Config, OriginSettings, build, load, parse};

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
    assert!(seen >= 4);
}

#[test]
fn the_complete_example_has_every_setting() {
    let (root, errors) = DeTable::parse_recoverable(COMPLETE);
    assert!(errors.is_empty());
    let lines = Lines::of(COMPLETE);
    let report = Report::new(&lines);
    build::build(root.get_ref(), &report).unwrap();
    let absent = report.absent.take();
    assert!(
        absent.is_empty(),
        "examples/ringway.toml does not show {absent:?}"
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
