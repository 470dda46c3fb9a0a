//! What a request is hashed by, so that the same key goes to the same backend.

use std::net::IpAddr;

use crate::fleet::{HashKey, Hashing, PolicyKind, Pool, key_hash};
use crate::http::{RequestHead, cookie_values};

/// The hash of the request's key, for a pool whose policy hashes. `client` is the address behind the trusted
/// proxies. A request without the key, or with an empty one, goes by its source address. Values are compared as
/// they were sent: nothing is decoded.
pub fn request_key(pool: &Pool, head: &RequestHead<'_>, client: IpAddr) -> Option<u64> {
    let hashing = &pool.hashing;
    let value = match pool.policy {
        PolicyKind::Hash => value_of(&hashing.key, head),
        PolicyKind::SourceHash => None,
        _ => return None,
    };
    Some(value.map_or_else(|| source_key(hashing, client), key_hash))
}

fn value_of<'a>(key: &HashKey, head: &RequestHead<'a>) -> Option<&'a [u8]> {
    let value = match key {
        HashKey::Source => None,
        HashKey::Header(name) => head.header(name),
        HashKey::Cookie(name) => cookie_values(head, name).next(),
        HashKey::Query(name) => parameter(head.path_and_query(), name).map(str::as_bytes),
        HashKey::Path(path) => path.find(head.path()).map(str::as_bytes),
        HashKey::Subprotocol => head.header("sec-websocket-protocol"),
    };
    value.filter(|value| !value.is_empty())
}

/// The first value of a query parameter.
fn parameter<'a>(path_and_query: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = path_and_query.split_once('?')?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value)
        .next()
}

/// The hash of the block that an address is in.
fn source_key(hashing: &Hashing, client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let rest = 32_u32.saturating_sub(hashing.source_prefix_v4);
            let block = address.to_bits() & u32::MAX.checked_shl(rest).unwrap_or(0);
            key_hash(&block.to_be_bytes())
        }
        IpAddr::V6(address) => {
            let rest = 128_u32.saturating_sub(hashing.source_prefix_v6);
            let block = address.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0);
            key_hash(&block.to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::{PathKey, PoolId};

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn pool(key: HashKey) -> Pool {
        let mut pool = Pool::new(PoolId(0), "p", PolicyKind::Hash, Vec::new());
        pool.hashing.key = key;
        pool
    }

    fn key_of(pool: &Pool, target: &str, lines: &str) -> Option<u64> {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        request_key(pool, &RequestHead::parse(bytes.as_bytes()).unwrap(), CLIENT)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_kind_of_key_is_found_where_it_stands() {
        let lines = "X-User: ann\r\nx-user: bob\r\nCookie: a=1; user=ann; user=bob\r\n\
                     Sec-WebSocket-Protocol: chat, v2\r\n";
        let target = "/room/ann?u=x&user=ann&user=bob";
        let room = PathKey::parse("/room/{id}").unwrap();
        for (key, expected) in [
            (HashKey::Header("x-user".into()), "ann"),
            (HashKey::Cookie("user".into()), "ann"),
            (HashKey::Query("user".into()), "ann"),
            (HashKey::Path(room), "ann"),
            (HashKey::Subprotocol, "chat, v2"),
        ] {
            let found = key_of(&pool(key.clone()), target, lines);
            assert_eq!(found, Some(key_hash(expected.as_bytes())), "{key:?}");
        }
    }

    #[test]
    fn without_its_key_a_request_goes_by_its_source() {
        let source = key_of(&pool(HashKey::Source), "/", "");
        assert_eq!(source, Some(key_hash(&[192, 0, 2, 7])));
        let room = PathKey::parse("/room/{id}").unwrap();
        for key in [
            HashKey::Header("x-user".into()),
            HashKey::Cookie("user".into()),
            HashKey::Query("user".into()),
            HashKey::Path(room),
            HashKey::Subprotocol,
        ] {
            let lines = "X-User:\r\nCookie: User=a; user=\r\nSec-WebSocket-Protocol:\r\n";
            let found = key_of(&pool(key.clone()), "/room/?user=&User=a&user", lines);
            assert_eq!(found, source, "{key:?}");
        }
    }

    #[test]
    fn only_a_policy_that_hashes_has_a_key() {
        let mut pool = pool(HashKey::Header("x-user".into()));
        for policy in PolicyKind::ALL {
            pool.policy = policy;
            let found = key_of(&pool, "/", "X-User: ann\r\n");
            assert_eq!(found.is_some(), policy.is_hash(), "{policy:?}");
        }
        pool.policy = PolicyKind::SourceHash;
        let found = key_of(&pool, "/", "X-User: ann\r\n");
        assert_eq!(
            found,
            Some(key_hash(&[192, 0, 2, 7])),
            "whatever key is set"
        );
    }

    #[test]
    fn a_prefix_decides_which_sources_are_one() {
        let mut hashing = Hashing {
            source_prefix_v4: 24,
            ..Hashing::default()
        };
        let key = |hashing: &Hashing, text| source_key(hashing, address(text));
        assert_eq!(key(&hashing, "10.1.2.3"), key(&hashing, "10.1.2.200"));
        assert_ne!(key(&hashing, "10.1.2.3"), key(&hashing, "10.1.3.3"));
        assert_eq!(key(&hashing, "::ffff:10.1.2.3"), key(&hashing, "10.1.2.9"));
        assert_eq!(
            key(&hashing, "2001:db8::1"),
            key(&hashing, "2001:db8::ffff:1")
        );
        assert_ne!(
            key(&hashing, "2001:db8::1"),
            key(&hashing, "2001:db8:0:1::1")
        );
        hashing.source_prefix_v6 = 128;
        assert_ne!(key(&hashing, "2001:db8::1"), key(&hashing, "2001:db8::2"));
    }

    proptest! {
        /// Two addresses are one source exactly if their first bits are the same.
        #[test]
        fn a_block_is_all_that_counts(one: u128, other: u128, bits in 1_u32..=128) {
            let hashing = Hashing { source_prefix_v6: bits, ..Hashing::default() };
            let (one, other) = (one | 1 << 127, other | 1 << 127);
            let mixed = (one >> (128 - bits) << (128 - bits)) | (other & !(u128::MAX << (128 - bits)));
            let key = |bits: u128| source_key(&hashing, IpAddr::V6(bits.into()));
            prop_assert_eq!(key(one), key(mixed));
            if one >> (128 - bits) != other >> (128 - bits) {
                prop_assert_ne!(key(one), key(other));
            }
        }
    }
}
