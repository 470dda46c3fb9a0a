//! SRV: ports, weights, tiers, and targets that have to be asked for.

use super::*;
use crate::limits::{DNS_MEMBERS_MAX, PRIORITY_MAX, WEIGHT_MAX};

#[tokio::test]
async fn services_bring_their_port_weight_and_tier() {
    let server = Server::of(&[
        (
            "_ws._tcp.test.",
            RecordType::SRV,
            srv(&[
                (20, 5, 81, "b.test."),
                (10, 0, 80, "a.test."),
                (10, 30, 80, "b.test."),
                (10, 30, 0, "b.test."),
            ]),
        ),
        (
            "a.test.",
            RecordType::A,
            v4(60, &[[10, 0, 0, 1], [10, 0, 0, 9]]),
        ),
        ("b.test.", RecordType::A, v4(45, &[[10, 0, 0, 2]])),
        ("b.test.", RecordType::AAAA, v6(50, &["fd00::2"])),
    ])
    .await;
    let answer = server.asked(&services_of("_ws._tcp.test")).await.unwrap();
    let backends = [
        ("10.0.0.1:80", 1, 0),
        ("10.0.0.2:80", 30, 0),
        ("10.0.0.2:81", 5, 1),
        ("10.0.0.9:80", 1, 0),
        ("[fd00::2]:80", 30, 0),
        ("[fd00::2]:81", 5, 1),
    ];
    assert_eq!(plain(&answer), expected(&backends));
    assert_eq!((answer.dropped, answer.ttl), (2, Duration::from_secs(45)));
}

#[tokio::test]
async fn heavy_services_are_scaled_within_their_tier() {
    let server = Server::of(&[
        (
            "heavy.test.",
            RecordType::SRV,
            srv(&[
                (1, 50_000, 1, "a.test."),
                (1, 25_000, 2, "a.test."),
                (1, 1, 3, "a.test."),
                (2, WEIGHT_MAX, 4, "a.test."),
                (2, 3, 5, "a.test."),
            ]),
        ),
        ("a.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
    ])
    .await;
    let answer = server.asked(&services_of("heavy.test")).await.unwrap();
    let shares: Vec<u16> = answer
        .backends
        .iter()
        .map(|backend| backend.weight.get())
        .collect();
    assert_eq!(shares, [1000, 500, 1, 1000, 3]);
}

#[tokio::test]
async fn one_address_by_two_targets_is_one_backend_of_the_better_tier() {
    let server = Server::of(&[
        (
            "twice.test.",
            RecordType::SRV,
            srv(&[
                (5, 9, 80, "b.test."),
                (1, 2, 80, "a.test."),
                (1, 3, 80, "c.test."),
            ]),
        ),
        ("a.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
        ("b.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
        ("c.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
    ])
    .await;
    let answer = server.asked(&services_of("twice.test")).await.unwrap();
    assert_eq!(plain(&answer), expected(&[("10.0.0.1:80", 3, 0)]));
}

#[tokio::test]
async fn priorities_beyond_the_last_tier_share_it() {
    let records: Vec<Service> = (0..20)
        .map(|number| (number * 100, 1, 1000 + number, "a.test."))
        .collect();
    let server = Server::of(&[
        ("tiers.test.", RecordType::SRV, srv(&records)),
        ("a.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
    ])
    .await;
    let answer = server.asked(&services_of("tiers.test")).await.unwrap();
    let tiers: Vec<u8> = answer
        .backends
        .iter()
        .map(|backend| backend.priority)
        .collect();
    let wanted: Vec<u8> = (0..20).map(|number: u8| number.min(PRIORITY_MAX)).collect();
    assert_eq!(tiers, wanted);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_empty() {
    let server = Server::of(&[
        ("off.test.", RecordType::SRV, srv(&[(0, 0, 0, ".")])),
        (
            "dangling.test.",
            RecordType::SRV,
            srv(&[(0, 1, 80, "nowhere.test.")]),
        ),
    ])
    .await;
    for name in ["off.test", "dangling.test", "nowhere.test"] {
        let outcome = server.asked(&services_of(name)).await;
        assert_eq!(outcome, Err(DiscoveryError::Empty), "{name}");
    }
}

#[tokio::test]
async fn a_target_without_addresses_is_left_out_but_one_not_answered_fails_the_whole() {
    let server = Server::of(&[
        (
            "one.test.",
            RecordType::SRV,
            srv(&[(0, 1, 80, "a.test."), (0, 1, 80, "nowhere.test.")]),
        ),
        (
            "sick.test.",
            RecordType::SRV,
            srv(&[(0, 1, 80, "a.test."), (0, 1, 80, "b.test.")]),
        ),
        ("a.test.", RecordType::A, v4(60, &[[10, 0, 0, 1]])),
        ("b.test.", RecordType::A, Says::Code(ResponseCode::ServFail)),
    ])
    .await;
    let answer = server.asked(&services_of("one.test")).await.unwrap();
    assert_eq!(plain(&answer), expected(&[("10.0.0.1:80", 1, 0)]));
    let outcome = server.asked(&services_of("sick.test")).await;
    assert!(is_failed(&outcome), "{outcome:?}");
}

#[test]
fn a_thousand_ports_times_a_thousand_addresses_are_never_made() {
    let target = Name::from_ascii("a.test.").unwrap();
    let mut members = Members::default();
    let services = |port| SRV::new(0, 1, port, target.clone());
    members.set_services((1..=1100).map(services).collect());
    let addresses =
        (0..1100_u32).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + number)));
    members.add_target(&target, addresses.collect());
    let answer = members.into_answer(INTERVAL).unwrap();
    assert_eq!(answer.backends.len(), DNS_MEMBERS_MAX);
    assert_eq!(
        answer.dropped,
        1100 - DNS_MEMBERS_MAX + DNS_MEMBERS_MAX * 1100 - DNS_MEMBERS_MAX
    );
    assert!(
        answer
            .backends
            .iter()
            .all(|backend| backend.address.port() == 1)
    );
}
