//! The arithmetic: sums are their parts, more tunnels never need less, and the numbers that people know by heart.

use proptest::prelude::*;

use super::PlanArgs;
use super::files::{files, write};
use super::reckon::{Need, reckon};
use super::shortfall::shortfalls;
use super::sum::Sum;
use super::wish::{TlsSides, Wish};
use crate::cli::doctor::{Profile, Tuning};
use crate::limits;
use crate::sys::host::Host;

fn wish(flags: &[&str]) -> Wish {
    PlanArgs::of(flags).wish(None)
}

#[test]
fn one_source_address_carries_as_many_tunnels_to_a_backend_as_it_has_ports() {
    for (tunnels, backends, ports, needed) in [
        ("1000000", "40", "32768-60999", 1),
        ("28232", "1", "32768-60999", 1),
        ("28233", "1", "32768-60999", 2),
        ("100000", "1", "32768-60999", 4),
        ("4000000", "40", "32768-60999", 4),
        ("100000", "1", "1024-65535", 2),
    ] {
        let need = reckon(&wish(&[
            "--tunnels",
            tunnels,
            "--backends",
            backends,
            "--ports",
            ports,
        ]));
        assert_eq!(
            need.ports.source_addresses_needed, needed,
            "{tunnels} {backends} {ports}"
        );
    }
    let need = reckon(&wish(&["--tunnels", "1000000", "--backends", "40"]));
    assert_eq!(need.ports.tunnels_per_backend, 25_000);
    assert_eq!(need.ports.per_source_address, 28_232);
    assert_eq!(need.ports.used_percent, 89);
}

#[test]
fn a_million_tunnels_are_two_million_files_and_two_workers_at_least() {
    let need = reckon(&wish(&["--tunnels", "1000000", "--backends", "40"]));
    assert_eq!(need.files.lines[0].total, 2_000_000);
    assert!(need.settings.files_limit >= need.files.total);
    assert_eq!(need.cores.by_tunnels, 2);
    assert_eq!(need.cores.messages_per_second, 100_000);
    assert_eq!(need.conntrack_entries, 2_000_000);
    assert!(need.settings.tunnels_max * need.cores.workers >= 1_250_000);
}

#[test]
fn costs_of_ones_own_come_before_those_that_were_measured() {
    let need = reckon(&wish(&[
        "--tunnels",
        "1000",
        "--message-rate",
        "1000",
        "--cost-ns",
        "2000",
        "--handshake-ns",
        "5000",
        "--connect-rate",
        "100",
    ]));
    // 1,000,000 messages at 1,000 ns and 100 handshakes at 5,000 ns.
    assert_eq!(need.cores.busy_ns_per_second, 1_000_500_000);
    assert_eq!(need.cores.by_work, 3);
}

#[test]
fn tls_costs_memory_and_time_on_each_side_that_speaks_it() {
    let of = |tls| reckon(&wish(&["--tunnels", "100000", "--tls", tls]));
    let all = ["none", "clients", "both"].map(of);
    let [none, one, both] = &all;
    assert_eq!(of("backends"), *one);
    assert!(
        none.our_bytes.total < one.our_bytes.total && one.our_bytes.total < both.our_bytes.total
    );
    assert!(
        none.cores.message_ns < one.cores.message_ns
            && one.cores.message_ns < both.cores.message_ns
    );
    assert!(none.cores.handshake_ns < one.cores.handshake_ns);
}

#[test]
fn a_message_on_the_wire_has_its_headers() {
    let need = reckon(&wish(&[
        "--tunnels",
        "1000",
        "--message-rate",
        "1",
        "--message-bytes",
        "64",
    ]));
    assert_eq!(need.network.wire_bytes_per_message, 64 + 8 + 90);
    assert_eq!(need.network.bits_per_second, 1000 * 162 * 8);
}

#[test]
fn what_is_written_is_a_right_configuration() {
    for flags in [
        &["--tunnels", "1000000", "--backends", "40"][..],
        &[
            "--tunnels",
            "100000000",
            "--backends",
            "16384",
            "--listener-addresses",
            "64",
            "--tls",
            "both",
        ],
        &["--tunnels", "1"],
    ] {
        let wish = wish(flags);
        let need = reckon(&wish);
        let files = files(&wish, &need, "32768 60999", None);
        let config = crate::config::parse("planned", &files[0].text).unwrap();
        assert_eq!(config.pools[0].backends.len() as u64, wish.backends);
        assert!(u64::from(config.workers.tunnels_max) <= limits::TUNNELS_MAX.most.into());
        assert!(
            files[1]
                .text
                .contains(&format!("LimitNOFILE={}\n", need.settings.files_limit))
        );
        assert!(
            files[2]
                .text
                .contains("net.ipv4.ip_local_port_range = 32768 60999\n")
        );
    }
}

#[test]
fn source_addresses_are_asked_for_where_one_is_too_few() {
    let text = |tunnels| {
        let wish = wish(&["--tunnels", tunnels]);
        files(&wish, &reckon(&wish), "32768 60999", None)[0]
            .text
            .clone()
    };
    assert!(text("100000").contains("# 4 addresses of this host to dial from"));
    assert!(!text("1000").contains("source_addresses"));
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_forced() {
    let wish = wish(&["--tunnels", "1000"]);
    let files = files(&wish, &reckon(&wish), "32768 60999", None);
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("sysctl.conf");
    std::fs::write(&mine, "mine").unwrap();
    let error = write(folder.path(), &files, false).unwrap_err();
    assert!(
        error.to_string().contains("sysctl.conf is there already"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
    assert!(!folder.path().join("ringway.toml").exists(), "all or none");
    write(folder.path(), &files, true).unwrap();
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), files[2].text);
}

#[test]
fn a_small_host_falls_short_and_says_what_helps() {
    let host = Host {
        cpus_allowed: vec![0],
        memory_available_bytes: Some(1 << 30),
        ports: Some(32_768..=60_999),
        ..Host::default()
    };
    let wish = wish(&[
        "--tunnels",
        "1000000",
        "--source-addresses",
        "3",
        "--message-rate",
        "5",
    ]);
    let need = reckon(&wish);
    let tuning = Tuning::of_the_tree(Profile::ManyIdle);
    let found = shortfalls(&host, &wish, &need, &tuning);
    let what: Vec<&str> = found.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(what, ["memory", "cores", "source addresses", "local ports"]);
    assert!(
        found[2]
            .needed
            .starts_with("36 with 28,232 ports each, or 19")
    );
    assert!(found.iter().all(|one| !one.fix.is_empty()));
    let nothing_known = shortfalls(&Host::default(), &wish, &need, &tuning);
    assert!(nothing_known.iter().all(|one| one.what != "memory"));
}

fn sums(need: &Need) -> [&Sum; 3] {
    [&need.files, &need.kernel_bytes, &need.our_bytes]
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let load = (
        1..=limits::PLAN_TUNNELS_MAX,
        1..=limits::PLAN_BACKENDS_MAX,
        1..=limits::PLAN_LISTENERS_MAX,
        0..=1_000_000_000_u64,
        0..=limits::PLAN_MESSAGE_BYTES_MAX,
        0..=limits::PLAN_CONNECT_RATE_MAX,
    );
    let sides = vec![
        TlsSides::None,
        TlsSides::Clients,
        TlsSides::Backends,
        TlsSides::Both,
    ];
    let settled = (
        proptest::sample::select(sides),
        proptest::option::of(1..=limits::PLAN_SOURCES_MAX),
        1..=65_535_u64,
        proptest::option::of(1..=1024_u64),
        0..=100_u64,
        proptest::option::of(1..=limits::PLAN_COST_NS_MAX),
        proptest::option::of(1..=limits::PLAN_COST_NS_MAX),
    );
    (load, settled).prop_map(|(load, settled)| Wish {
        tunnels: load.0,
        backends: load.1,
        listener_addresses: load.2,
        message_rate_milli: load.3,
        message_bytes: load.4,
        connects_per_second: load.5,
        tls: settled.0,
        source_addresses: settled.1,
        ports: settled.2,
        workers: settled.3,
        slow_percent: settled.4,
        echo_ns: settled.5,
        handshake_ns: settled.6,
        receive_bytes: limits::RECEIVE_BYTES_MAX,
        handshakes_max: limits::HANDSHAKES_MAX.most.into(),
        profile: Profile::ManyIdle,
    })
}

proptest! {
    #[test]
    fn sums_are_their_parts_and_nothing_overflows(wish in any_wish()) {
        let need = reckon(&wish);
        for sum in sums(&need) {
            let parts: u128 = sum.lines.iter().map(|line| u128::from(line.count) * u128::from(line.each)).sum();
            prop_assert_eq!(u128::from(sum.total), parts);
            for line in &sum.lines {
                prop_assert_eq!(u128::from(line.total), u128::from(line.count) * u128::from(line.each));
            }
        }
        prop_assert_eq!(need.memory_bytes, need.kernel_bytes.total + need.our_bytes.total);
        prop_assert!(need.settings.files_limit >= need.files.total);
        prop_assert!(u128::from(need.ports.source_addresses_needed) * u128::from(wish.ports) >= u128::from(need.ports.tunnels_per_backend));
    }

    #[test]
    fn more_tunnels_never_need_less(wish in any_wish(), more in 0..=1_000_000_u64) {
        let greater = Wish {
            tunnels: (wish.tunnels + more).min(limits::PLAN_TUNNELS_MAX),
            ..wish.clone()
        };
        let (need, greater) = (reckon(&wish), reckon(&greater));
        for (sum, greater) in sums(&need).into_iter().zip(sums(&greater)) {
            prop_assert!(sum.total <= greater.total);
        }
        prop_assert!(need.ports.source_addresses_needed <= greater.ports.source_addresses_needed);
        prop_assert!(need.cores.workers_needed <= greater.cores.workers_needed);
        prop_assert!(need.cores.busy_ns_per_second <= greater.cores.busy_ns_per_second);
        prop_assert!(need.network.bits_per_second <= greater.network.bits_per_second);
        prop_assert!(need.settings.files_limit <= greater.settings.files_limit);
        prop_assert!(need.conntrack_entries <= greater.conntrack_entries);
    }
}
