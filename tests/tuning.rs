//! The scripts of `tuning/`: what they promise whoever runs them as root, shown on forged hosts.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![expect(
    clippy::print_stdout,
    reason = "a skipped test says why, and a measured one what it measured"
)]

use std::collections::BTreeSet;

use forged::{Host, PROFILES, Run, SUBJECTS};

#[path = "tuning/effects.rs"]
mod effects;
#[path = "tuning/forged.rs"]
mod forged;
#[path = "tuning/namespace.rs"]
mod namespace;

/// Options under which every value of every subject is wanted.
const EVERYTHING: &[&str] = &[
    "--interface",
    "eth0",
    "--cores",
    "1-3",
    "--backend-side",
    "10.0.0.0/8",
    "--port",
    "443",
];

fn with<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[verb], EVERYTHING, more].concat()
}

// --- What apply and undo promise ---

#[test]
fn undo_restores_a_host_byte_for_byte_for_each_subject_and_profile() {
    for subject in SUBJECTS {
        let mut changed = 0;
        for profile in PROFILES {
            let host = Host::new();
            let before = host.files();
            host.run(subject, &with("apply", &["--profile", profile]))
                .succeeded();
            changed += usize::from(host.files() != before);
            host.run(subject, &["undo"]).succeeded();
            host.expect(&before, &format!("{subject}, {profile}"));
            assert!(
                host.state().is_empty(),
                "{subject} leaves its memory behind"
            );
        }
        assert!(changed > 0, "{subject} changes nothing under any profile");
    }
}

#[test]
fn all_of_them_together_are_undone_too() {
    for profile in PROFILES {
        let host = Host::new();
        let before = host.files();
        host.run("all", &with("apply", &["--profile", profile]))
            .succeeded();
        assert_eq!(host.read("proc/sys/net/ipv4/tcp_tw_reuse"), "1\n");
        host.run("all", &["undo"]).succeeded();
        host.expect(&before, profile);
    }
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would() {
    for subject in SUBJECTS {
        for profile in PROFILES {
            let host = Host::new();
            let before = host.files();
            let options = with("apply", &["--profile", profile, "--dry-run"]);
            let dry = host.run(subject, &options).succeeded();
            host.expect(&before, subject);
            assert!(host.state().is_empty(), "{subject} remembers a dry run");
            host.run(subject, &with("apply", &["--profile", profile]))
                .succeeded();
            let differs = host.files() != before;
            assert_eq!(dry.contains("would go from"), differs, "{subject}: {dry}");
            let after = host.files();
            host.run(subject, &["undo", "--dry-run"]).succeeded();
            host.expect(&after, subject);
        }
    }
}

#[test]
fn showing_changes_nothing() {
    let host = Host::new();
    let before = host.files();
    host.run("all", &with("show", &[])).succeeded();
    host.expect(&before, "show");
    assert!(host.state().is_empty());
}

#[test]
fn a_second_apply_finds_all_done_and_keeps_what_was_first() {
    for subject in SUBJECTS {
        let host = Host::new();
        let before = host.files();
        let apply = with("apply", &["--profile", "many-idle"]);
        host.run(subject, &apply).succeeded();
        let (after, memory) = (host.files(), host.state());
        let again = host.run(subject, &apply).succeeded();
        assert!(!again.contains(" -> "), "{subject} writes again:\n{again}");
        host.expect(&after, subject);
        assert_eq!(host.state(), memory, "{subject}");
        host.run(subject, &["undo"]).succeeded();
        host.expect(&before, subject);
    }
}

#[test]
fn another_profile_takes_back_what_it_does_not_want() {
    for subject in SUBJECTS {
        let (host, fresh) = (Host::new(), Host::new());
        let before = host.files();
        host.run(subject, &with("apply", &["--profile", "many-idle"]))
            .succeeded();
        host.run(subject, &with("apply", &["--profile", "low-latency"]))
            .succeeded();
        fresh
            .run(subject, &with("apply", &["--profile", "low-latency"]))
            .succeeded();
        host.expect(&fresh.files(), subject);
        host.run(subject, &["undo"]).succeeded();
        host.expect(&before, subject);
    }
}

#[test]
fn a_profile_stays_until_another_is_named() {
    let host = Host::new();
    host.write("proc/sys/net/core/somaxconn", "128\n");
    host.run("sockets", &["apply", "--profile", "throughput"])
        .succeeded();
    host.write("proc/sys/net/core/somaxconn", "128\n");
    host.run("sockets", &["apply"]).succeeded();
    assert_eq!(host.read("proc/sys/net/core/somaxconn"), "4096\n");
}

#[test]
fn a_better_value_than_ours_is_left_alone() {
    let host = Host::new();
    host.write("proc/sys/net/core/somaxconn", "1000000\n");
    host.write("proc/sys/fs/file-max", "9223372036854775807\n");
    host.write("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t33554432\n");
    for (subject, profile) in [
        ("sockets", "many-idle"),
        ("limits", "many-idle"),
        ("tcp-memory", "throughput"),
    ] {
        host.run(subject, &["apply", "--profile", profile])
            .succeeded();
    }
    assert_eq!(host.read("proc/sys/net/core/somaxconn"), "1000000\n");
    assert_eq!(host.read("proc/sys/fs/file-max"), "9223372036854775807\n");
    let kept = host.read("proc/sys/net/ipv4/tcp_rmem");
    assert_eq!(kept, "4096\t131072\t33554432\n");
}

// --- What the host lacks, and what fails ---

#[test]
fn a_host_that_has_nothing_gets_nothing_and_no_complaint() {
    for profile in PROFILES {
        let host = Host::bare();
        let before = host.files();
        let options = with("apply", &["--profile", profile]);
        let said = host.run("all", &options).succeeded();
        host.expect(&before, profile);
        assert!(said.contains("not here, skipped"), "{said}");
        host.run("all", &with("show", &[])).succeeded();
        host.run("all", &["undo"]).succeeded();
        host.expect(&before, profile);
    }
}

#[test]
fn nothing_appears_that_was_not_there_but_our_own_documents() {
    for profile in PROFILES {
        let host = Host::new();
        let before: BTreeSet<_> = host.files().into_keys().collect();
        // Queues are made by the card.
        host.run("all", &with("apply", &["--profile", profile]))
            .succeeded();
        let after: BTreeSet<_> = host.files().into_keys().collect();
        for new in after.difference(&before) {
            let ours = new.starts_with("etc/sysctl.d/60-ringway-")
                || new.starts_with("etc/systemd/system/ringway.service.d")
                || new.starts_with("sys/class/net/eth0/queues/")
                || new.starts_with("nft/");
            assert!(ours, "{profile} made {new}");
        }
        assert!(after.is_superset(&before));
    }
}

#[test]
fn a_write_that_fails_in_the_middle_is_named_and_what_came_before_is_undone() {
    for (subject, refused) in [
        ("tcp-memory", "/proc/sys/net/ipv4/tcp_wmem"),
        ("ports", "/proc/sys/net/ipv4/ip_local_port_range"),
        ("busy-poll", "/proc/sys/net/core/busy_read"),
        ("irq", "/proc/irq/41/smp_affinity_list"),
        ("nic", "/sys/class/net/eth0/queues/tx-1/xps_cpus"),
        ("hugepages", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ] {
        let host = Host::new();
        let before = host.files();
        host.refuse(refused);
        let failed = host.run(subject, &with("apply", &["--profile", "many-idle"]));
        assert_eq!(failed.code, 1, "{subject}: {}", failed.stderr);
        assert!(
            failed.stderr.contains("Invalid argument"),
            "{}",
            failed.stderr
        );
        assert!(
            failed.stderr.contains("Run it as root"),
            "{}",
            failed.stderr
        );
        host.refuse_nothing();
        host.run(subject, &["undo"]).succeeded();
        host.expect(&before, subject);
    }
}

#[test]
fn what_cannot_be_put_back_stays_remembered() {
    let host = Host::new();
    let before = host.files();
    host.run("sockets", &["apply"]).succeeded();
    host.refuse("/proc/sys/net/core/somaxconn");
    let failed = host.run("sockets", &["undo"]);
    assert_eq!(failed.code, 1);
    assert!(
        failed.stderr.contains("net.core.somaxconn"),
        "{}",
        failed.stderr
    );
    host.refuse_nothing();
    host.run("sockets", &["undo"]).succeeded();
    host.expect(&before, "the second undo");
}

#[test]
fn what_was_there_is_on_disk_before_the_first_write() {
    let host = Host::new();
    // A tee that is killed as it opens the file: the worst moment.
    host.kill_at("/proc/sys/net/core/somaxconn");
    let killed = host.run("sockets", &["apply"]);
    assert_ne!(killed.code, 0);
    let memory = host.state();
    let line = "before\tsysctl\tnet.core.somaxconn\t4096\n";
    assert!(memory["sockets"].contains(line), "{memory:?}");
}

#[test]
fn without_a_place_to_remember_nothing_is_written() {
    let host = Host::new();
    let before = host.files();
    let nowhere = host.path("proc/meminfo");
    let failed = host.run_remembering("sockets", &["apply"], &nowhere);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stderr.contains("no undo"), "{}", failed.stderr);
    host.expect(&before, "no memory");
}

#[test]
fn bad_usage_is_told_apart() {
    let host = Host::new();
    let before = host.files();
    for arguments in [
        &[][..],
        &["tune"],
        &["show", "apply"],
        &["apply", "--profile"],
        &["apply", "--profile", "fast"],
        &["apply", "--cores", "a"],
        &["apply", "--interface", "../../etc"],
        &["apply", "--backend-side", "everywhere"],
        &["apply", "--port", "70000"],
        &["apply", "--tunnels", "0"],
        &["apply", "--force"],
    ] {
        for subject in SUBJECTS.iter().chain(&["all"]) {
            let run = host.run(subject, arguments);
            assert_eq!(run.code, 2, "{subject} {arguments:?}: {}", run.stderr);
            assert!(run.stderr.contains("--help"), "{}", run.stderr);
        }
    }
    host.expect(&before, "bad usage");
}

#[test]
fn help_names_verbs_options_and_exit_codes() {
    let host = Host::bare();
    for subject in SUBJECTS.iter().chain(&["all"]) {
        let said = host.run(subject, &["--help"]).succeeded();
        for word in [
            "show",
            "apply",
            "undo",
            "--dry-run",
            "--profile",
            "Exit code",
        ] {
            assert!(
                said.contains(word),
                "{subject} --help lacks {word}:\n{said}"
            );
        }
    }
}

// --- What the table says ---

#[test]
fn every_value_has_its_reason_its_source_and_its_number() {
    let mut values = 0;
    for subject in SUBJECTS {
        let host = Host::new();
        let said = host.run(subject, &with("show", &[])).succeeded();
        let mut explained = false;
        for block in said.split("\n\n").skip(1) {
            values += 1;
            for word in [
                "now",
                "wanted  many-idle: ",
                "; low-latency: ",
                "; throughput: ",
            ] {
                assert!(block.contains(word), "{subject} lacks {word} in\n{block}");
            }
            // A row of queues or cores has it once.
            let has = ["why     ", "source  ", "moves   "].map(|word| block.contains(word));
            explained |= has == [true; 3];
            assert!(
                explained && (has == [true; 3] || has == [false; 3]),
                "{block}"
            );
        }
        assert!(explained, "{subject} explains nothing:\n{said}");
    }
    assert!(values > 45, "the forged host shows every value: {values}");
}

#[test]
fn the_readme_names_every_script_and_every_value() {
    let readme = include_str!("../tuning/README.md");
    for subject in SUBJECTS {
        assert!(readme.contains(&format!("`{subject}.sh`")), "{subject}");
        let said = Host::new().run(subject, &with("show", &[])).succeeded();
        for line in said
            .lines()
            .filter(|line| line.starts_with("  net.") || line.starts_with("  fs."))
        {
            let (name, _) = line.trim().split_once(": ").expect("name: state");
            assert!(readme.contains(name), "tuning/README.md lacks {name}");
        }
    }
}

#[test]
fn states_are_told_apart() {
    let host = Host::new();
    let said = host.run("sockets", &["show"]).succeeded();
    assert!(said.contains("net.core.somaxconn: differs"), "{said}");
    assert!(said.contains("net.ipv4.tcp_syncookies: ok"), "{said}");
    host.run("sockets", &["apply"]).succeeded();
    let said = host.run("sockets", &["show"]).succeeded();
    assert!(said.contains("net.core.somaxconn: ok"), "{said}");
    assert!(said.contains("before  4096"), "{said}");
    let said = host
        .run("ports", &["show", "--profile", "throughput"])
        .succeeded();
    assert!(said.contains("ip_local_port_range: left alone"), "{said}");
    let said = Host::bare().run("sockets", &["show"]).succeeded();
    assert!(said.contains("net.core.somaxconn: not here"), "{said}");
}

// --- Values that the host decides ---

#[test]
fn tcp_memory_is_a_share_of_the_hosts() {
    let host = Host::new();
    // 16 GiB in pages of 4 KiB: 4,194,304.
    host.run("tcp-memory", &["apply"]).succeeded();
    let set = host.read("proc/sys/net/ipv4/tcp_mem");
    assert_eq!(set, "524288 699050 1048576\n");
}

#[test]
fn open_files_follow_the_wanted_tunnels() {
    let host = Host::new();
    host.run(
        "limits",
        &["apply", "--tunnels", "2000000", "--cores", "0-3"],
    )
    .succeeded();
    assert_eq!(host.read("proc/sys/fs/nr_open"), "4204544\n");
    let limits = host.read("etc/systemd/system/ringway.service.d/60-ringway-limits.conf");
    assert!(limits.contains("LimitNOFILE=4204544\n"), "{limits}");
    assert!(limits.ends_with("LimitMEMLOCK=1536K\n"), "{limits}");
}

#[test]
fn ports_that_listen_are_reserved_with_those_that_were() {
    let host = Host::new();
    host.run("ports", &["apply", "--port", "12345"]).succeeded();
    // 20000-20001 were reserved, 0x4E84 = 20100 listens, 0x1F90 = 8080 is below the range, and 0x7530 is connected.
    let set = host.read("proc/sys/net/ipv4/ip_local_reserved_ports");
    assert_eq!(set, "20000-20001,12345,20100\n");
    let kept = host.read("etc/sysctl.d/60-ringway-ports.conf");
    let lines: Vec<_> = kept.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        lines.contains(&"net.ipv4.ip_local_port_range = 10240 65535"),
        "{kept}"
    );
    assert!(lines.contains(&"net.ipv4.ip_local_reserved_ports = 20000-20001,12345,20100"));
}

#[test]
fn queues_and_their_interrupts_come_to_the_cores_of_workers() {
    let host = Host::new();
    for subject in ["nic", "irq"] {
        host.run(subject, &with("apply", &[])).succeeded();
    }
    for (queue, mask) in [(0, "00000002"), (1, "00000004"), (2, "00000008")] {
        let set = host.read(&format!("sys/class/net/eth0/queues/tx-{queue}/xps_cpus"));
        assert_eq!(set, format!("{mask}\n"));
        assert_eq!(
            host.read(&format!("sys/class/net/eth0/queues/rx-{queue}/rps_cpus")),
            "0\n"
        );
    }
    for (irq, cores) in [(40, "1"), (41, "2"), (42, "0-3")] {
        assert_eq!(
            host.read(&format!("proc/irq/{irq}/smp_affinity_list")),
            format!("{cores}\n")
        );
    }
    let said = host.run("irq", &with("show", &[])).succeeded();
    assert!(said.contains("--banirq=40 --banirq=41"), "{said}");
}

#[test]
fn a_core_beyond_the_thirty_second_has_its_bit_in_the_next_group() {
    let host = Host::new();
    host.run("nic", &["apply", "--interface", "eth0", "--cores", "0,33"])
        .succeeded();
    let set = host.read("sys/class/net/eth0/queues/tx-1/xps_cpus");
    assert_eq!(set, "00000002,00000000\n");
}

#[test]
fn a_firewall_that_judges_by_state_is_not_undercut() {
    let host = Host::new();
    let rules = "table inet filter {\n\tchain input {\n\t\tct state established accept\n\t}\n}\n";
    host.write("nft/other", rules);
    let before = host.files();
    let said = host
        .run("conntrack", &with("apply", &["--tunnels", "1000"]))
        .succeeded();
    assert!(said.contains("ct state untracked"), "{said}");
    host.expect(&before, "a firewall by state");
    host.write(
        "nft/other",
        &rules.replace("established", "established,untracked"),
    );
    let Run { stdout, .. } = host.run("conntrack", &with("apply", &["--tunnels", "1000"]));
    assert!(stdout.contains("tcp dport 443 notrack"), "{stdout}");
}
