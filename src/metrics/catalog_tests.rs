//! Names and helps follow the conventions.

use super::*;
use crate::metrics::Kind;

#[test]
fn names_are_distinct_and_follow_the_conventions() {
    for (place, metric) in CATALOG.iter().enumerate() {
        let name = metric.name;
        assert!(
            CATALOG[..place].iter().all(|other| other.name != name),
            "{name} twice"
        );
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        assert!(
            name.starts_with("ringway_") || name.starts_with("process_"),
            "{name}"
        );
        assert_eq!(
            metric.kind == Kind::Counter,
            name.ends_with("_total"),
            "{name}"
        );
        assert!(metric.help.ends_with('.'), "{name}: {}", metric.help);
    }
}
