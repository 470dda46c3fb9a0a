//! A and AAAA: who is found, what fails, how soon to ask again.

use hickory_resolver::proto::rr::rdata::CNAME;

use super::*;
use crate::limits::{DNS_INTERVAL, DNS_MEMBERS_MAX};

#[tokio::test]
async fn both_families_become_backends_once_each_and_in_order() {
    let server = Server::of(&[
        (
            "chat.test.",
            RecordType::A,
            v4(90, &[[10, 0, 0, 2], [10, 0, 0, 1], [10, 0, 0, 2]]),
        ),
        (
            "chat.test.",
            RecordType::AAAA,
            v6(60, &["fd00::1", "::ffff:10.0.0.1"]),
        ),
    ])
    .await;
    let answer = server.asked(&addresses_of("chat.test")).await.unwrap();
    let backends = [
        ("10.0.0.1:8080", 7, 3),
        ("10.0.0.2:8080", 7, 3),
        ("[fd00::1]:8080", 7, 3),
    ];
    assert_eq!(plain(&answer), expected(&backends));
    assert_eq!((answer.dropped, answer.ttl), (0, Duration::from_mins(1)));
}

#[tokio::test]
async fn one_family_without_records_is_fine() {
    let none = Says::Records(Vec::new());
    for v6 in [none, Says::Code(ResponseCode::NXDomain)] {
        let server = Server::of(&[
            ("chat.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
            ("chat.test.", RecordType::AAAA, v6),
        ])
        .await;
        let answer = server.asked(&addresses_of("chat.test")).await.unwrap();
        assert_eq!(plain(&answer), expected(&[("10.0.0.1:8080", 7, 3)]));
    }
}

#[tokio::test]
async fn one_family_that_was_not_answered_fails_the_whole() {
    let server = Server::of(&[
        ("chat.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
        (
            "chat.test.",
            RecordType::AAAA,
            Says::Code(ResponseCode::ServFail),
        ),
    ])
    .await;
    let outcome = server.asked(&addresses_of("chat.test")).await;
    assert!(is_failed(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_name_without_addresses_is_empty_and_a_server_in_trouble_failed() {
    let none = Says::Records(Vec::new());
    let server = Server::of(&[
        ("none.test.", RecordType::A, none.clone()),
        ("none.test.", RecordType::AAAA, none),
        (
            "sick.test.",
            RecordType::A,
            Says::Code(ResponseCode::ServFail),
        ),
        (
            "sick.test.",
            RecordType::AAAA,
            Says::Code(ResponseCode::ServFail),
        ),
        (
            "shy.test.",
            RecordType::A,
            Says::Code(ResponseCode::Refused),
        ),
    ])
    .await;
    for name in ["none.test", "nowhere.test"] {
        let outcome = server.asked(&addresses_of(name)).await;
        assert_eq!(outcome, Err(DiscoveryError::Empty), "{name}");
    }
    for name in ["sick.test", "shy.test", "no name.."] {
        let outcome = server.asked(&addresses_of(name)).await;
        assert!(is_failed(&outcome), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_fails_in_time() {
    let server = Server::of(&[
        ("mute.test.", RecordType::A, Says::Nothing),
        ("mute.test.", RecordType::AAAA, Says::Nothing),
    ])
    .await;
    let resolver = Resolver::patient(server.address, Duration::from_millis(200));
    let name = addresses_of("mute.test");
    let outcome = timeout(Duration::from_secs(5), resolver.ask(&name)).await;
    let outcome = outcome.unwrap();
    assert!(is_failed(&outcome), "{outcome:?}");

    // However patient the resolver is told to be; nothing comes from any socket, so the clock may run ahead.
    let resolver = Resolver::patient(server.address, DNS_ANSWER_MAX * 10);
    tokio::time::pause();
    let outcome = timeout(DNS_ANSWER_MAX * 2, resolver.ask(&name)).await;
    let late = outcome.unwrap().unwrap_err().to_string();
    assert!(late.contains("longer than 15s"), "{late}");
}

#[tokio::test]
async fn names_are_whole_and_search_lists_do_not_apply() {
    let server =
        Server::of(&[("chat.search.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]]))]).await;
    let outcome = server.asked(&addresses_of("chat")).await;
    assert_eq!(outcome, Err(DiscoveryError::Empty));
}

#[tokio::test]
async fn the_least_ttl_on_the_way_counts_and_is_kept_in_bounds() {
    let alias = |ttl| {
        let target = RData::CNAME(CNAME(Name::from_ascii("real.test.").unwrap()));
        Says::Records(vec![(ttl, target)])
    };
    let server = Server::of(&[
        ("hasty.test.", RecordType::A, v4(0, &[[10, 0, 0, 1]])),
        (
            "settled.test.",
            RecordType::A,
            v4(u32::MAX, &[[10, 0, 0, 1]]),
        ),
        ("rock.test.", RecordType::A, v4(86_400, &[[10, 0, 0, 1]])),
        ("alias.test.", RecordType::A, alias(20)),
        ("real.test.", RecordType::A, v4(90, &[[10, 0, 0, 1]])),
    ])
    .await;
    for (name, ttl) in [
        ("hasty.test", DNS_INTERVAL.least),
        ("settled.test", INTERVAL),
        ("rock.test", INTERVAL),
        ("real.test", Duration::from_secs(90)),
        ("alias.test", Duration::from_secs(20)),
    ] {
        let answer = server.asked(&addresses_of(name)).await.unwrap();
        assert_eq!((answer.backends.len(), answer.ttl), (1, ttl), "{name}");
    }
}

#[tokio::test]
async fn no_answer_is_remembered_whatever_its_ttl() {
    let server = Server::of(&[
        ("chat.test.", RecordType::A, v4(3600, &[[10, 0, 0, 1]])),
        ("chat.test.", RecordType::AAAA, v6(3600, &["fd00::1"])),
    ])
    .await;
    let resolver = Resolver::patient(server.address, Duration::from_millis(200));
    assert!(resolver.ask(&addresses_of("chat.test")).await.is_ok());
    drop(server);
    let outcome = resolver.ask(&addresses_of("chat.test")).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn more_records_than_fit_a_datagram_come_over_tcp_and_are_cut() {
    let many: Vec<[u8; 4]> = (0..=1200_u16)
        .rev()
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            [10, 1, high, low]
        })
        .collect();
    let server = Server::of(&[("many.test.", RecordType::A, v4(60, &many))]).await;
    let answer = server.asked(&addresses_of("many.test")).await.unwrap();
    assert_eq!(answer.backends.len(), DNS_MEMBERS_MAX);
    assert_eq!(answer.dropped, 1201 - DNS_MEMBERS_MAX);
    assert_eq!(answer.backends[0].address.to_string(), "10.1.0.0:8080");
    assert!(answer.backends.is_sorted_by_key(|backend| backend.address));
}

#[tokio::test]
async fn addresses_that_nobody_can_connect_to_are_dropped() {
    let bad = [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]];
    let server = Server::of(&[
        ("bad.test.", RecordType::A, v4(60, &bad)),
        (
            "mixed.test.",
            RecordType::A,
            v4(60, &[[0, 0, 0, 0], [10, 0, 0, 1]]),
        ),
        ("mixed.test.", RecordType::AAAA, v6(60, &["::", "ff02::1"])),
    ])
    .await;
    let outcome = server.asked(&addresses_of("bad.test")).await;
    assert_eq!(outcome, Err(DiscoveryError::Empty));
    let answer = server.asked(&addresses_of("mixed.test")).await.unwrap();
    assert_eq!(plain(&answer), expected(&[("10.0.0.1:8080", 7, 3)]));
    assert_eq!(answer.dropped, 3);
}

#[tokio::test]
async fn the_systems_servers_are_asked_and_nothing_is_remembered() {
    match Resolver::system() {
        Ok(resolver) => {
            let options = resolver.0.options();
            assert_eq!(options.cache_size, 0);
            assert_eq!(options.use_hosts_file, ResolveHosts::Never);
        }
        // A machine without the file has no DNS to ask.
        Err(error) => assert!(error.to_string().contains("/etc/resolv.conf"), "{error}"),
    }
}
