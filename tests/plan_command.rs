//! `ringway plan` computes what a load needs, and writes settings that `ringway check` takes.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn ringway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn need(arguments: &[&str]) -> Value {
    let mut all = vec!["plan", "--json"];
    all.extend(arguments);
    let plan: Value = serde_json::from_str(&text(&ringway(&all))).unwrap();
    plan["need"].clone()
}

#[test]
fn a_million_tunnels_to_forty_backends() {
    let need = need(&["--tunnels", "1000000", "--backends", "40"]);
    assert_eq!(need["ports"]["tunnels_per_backend"], 25_000);
    assert_eq!(need["ports"]["per_source_address"], 28_232);
    assert_eq!(need["ports"]["source_addresses_needed"], 1);
    assert_eq!(need["files"]["lines"][0]["total"], 2_000_000);
    assert_eq!(need["conntrack_entries"], 2_000_000);
    let sum = need["kernel_bytes"]["total"].as_u64().unwrap()
        + need["our_bytes"]["total"].as_u64().unwrap();
    assert_eq!(need["memory_bytes"], sum);
}

#[test]
fn a_hundred_thousand_tunnels_to_one_backend_need_four_source_addresses() {
    for flags in [
        ["--tunnels", "100000", "--backends", "1"],
        ["--tunnels", "4000000", "--backends", "40"],
    ] {
        assert_eq!(need(&flags)["ports"]["source_addresses_needed"], 4);
    }
}

#[test]
fn the_plan_reads_as_sums_with_their_parts() {
    let all = text(&ringway(&[
        "plan",
        "--tunnels",
        "1000000",
        "--backends",
        "40",
    ]));
    for part in [
        "1,000,000 tunnels to 40 backends",
        "FILES",
        "MEMORY OF THE KERNEL",
        "sockets of idle tunnels",
        "OUR MEMORY",
        "local ports: 25,000 tunnels to each backend, 28,232 ports of a source address: 1 source address needed",
        "processor: 100,000 messages a second",
        "all.sh apply --profile many-idle",
    ] {
        assert!(all.contains(part), "{part:?} is not in\n{all}");
    }
}

#[test]
fn what_it_writes_passes_check_and_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("plan");
    let output = output.to_str().unwrap();
    let flags = [
        "plan",
        "--tunnels",
        "4000000",
        "--backends",
        "40",
        "--output",
        output,
    ];
    let all = text(&ringway(&flags));
    let configuration = format!("{output}/ringway.toml");
    assert!(all.contains(&configuration), "{all}");
    text(&ringway(&["check", "-c", &configuration]));
    let limits = fs::read_to_string(format!("{output}/service-limits.conf")).unwrap();
    assert!(limits.contains("\nLimitNOFILE=") && limits.contains("\nLimitMEMLOCK="));
    let sysctl = fs::read_to_string(format!("{output}/sysctl.conf")).unwrap();
    assert!(
        sysctl.contains("\nfs.nr_open = ")
            && sysctl.contains("\nnet.ipv4.ip_local_port_range = 32768 60999\n")
    );

    fs::write(&configuration, "mine").unwrap();
    let again = ringway(&flags);
    assert!(!again.status.success());
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("--force"),
        "{again:?}"
    );
    assert_eq!(fs::read_to_string(&configuration).unwrap(), "mine");
    let mut forced = flags.to_vec();
    forced.push("--force");
    text(&ringway(&forced));
    text(&ringway(&["check", "-c", &configuration]));
}

#[test]
fn a_configuration_gives_its_backends_and_keeps_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().to_str().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/many-pools.toml");
    let flags = [
        "plan",
        "-c",
        example.to_str().unwrap(),
        "--tunnels",
        "700000",
        "--cores",
        "6",
        "--output",
        output,
    ];
    let all = text(&ringway(&flags));
    assert!(all.contains("700,000 tunnels to 7 backends"), "{all}");
    let configuration = format!("{output}/ringway.toml");
    text(&ringway(&["check", "-c", &configuration]));
    let written = ringway::config::load(Path::new(&configuration)).unwrap();
    let given = ringway::config::load(&example).unwrap();
    let backends = |config: &ringway::config::Config| -> Vec<_> {
        let pools = config.pools.iter();
        pools
            .flat_map(|pool| pool.backends.clone())
            .map(|one| one.address)
            .collect()
    };
    assert_eq!(backends(&written), backends(&given));
    assert_eq!(written.workers.cores, ringway::config::Cores::Count(6));
    assert_eq!(written.workers.tunnels_max, 146_432);
}

#[test]
fn settings_can_be_printed_and_flags_have_bounds() {
    let all = text(&ringway(&["plan", "--tunnels", "1000", "-o", "-"]));
    for name in ["ringway.toml", "service-limits.conf", "sysctl.conf"] {
        assert!(all.contains(&format!("# --- {name}\n")), "{all}");
    }
    for wrong in [
        &["--tunnels", "0"][..],
        &["--tunnels", "100000001"],
        &["--tunnels", "1", "--backends", "16385"],
        &["--tunnels", "1", "--message-rate", "-1"],
        &["--tunnels", "1", "--ports", "9-8"],
        &["--tunnels", "1", "--force"],
    ] {
        let mut all = vec!["plan"];
        all.extend(wrong);
        assert!(!ringway(&all).status.success(), "{wrong:?}");
    }
}
