//! The same key leads to the same backend, on every Ringway, without a word between them.

#[path = "support/http.rs"]
mod http;
#[path = "support/pools.rs"]
mod pools;
mod support;

use std::collections::BTreeSet;

use http::header;
use pools::{greet, start_pool, upgrade_with};
use ringway::config::PoolSettings;
use ringway::fleet::{HashKey, PathKey, PolicyKind};
use support::Fixture;

fn by(key: HashKey) -> impl Fn(&mut PoolSettings) {
    move |pool| {
        pool.policy = PolicyKind::Hash;
        pool.hashing.key = key.clone();
        // The bound would move keys when few are open.
        pool.hashing.load_bound_percent = None;
    }
}

#[test]
fn two_ringways_send_the_same_key_to_the_same_backend() {
    let echo = Fixture::echo(4, "");
    let room = PathKey::parse("/room/{id}").unwrap();
    for key in [
        HashKey::Header("x-key".into()),
        HashKey::Cookie("key".into()),
        HashKey::Query("key".into()),
        HashKey::Path(room),
    ] {
        let ringways =
            [2, 1].map(|workers| start_pool(workers, echo.echo.addresses(), by(key.clone())));
        let mut used = BTreeSet::new();
        for number in 0..32 {
            let path = format!("/room/{number}?key={number}");
            let lines = format!("X-Key: {number}\r\nCookie: key={number}");
            let homes: BTreeSet<_> = ringways
                .iter()
                .cycle()
                .take(4)
                .map(|ringway| {
                    let (_client, head) = greet(ringway.listening[0], &upgrade_with(&path, &lines));
                    header(&head, "x-backend").unwrap().to_owned()
                })
                .collect();
            assert_eq!(homes.len(), 1, "{key:?} {number}: {homes:?}");
            used.extend(homes);
        }
        assert_eq!(used.len(), 4, "{key:?}: 32 keys reach every backend");
    }
}
