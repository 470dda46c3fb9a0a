//! The same on a real kernel: a network namespace that the test makes, and that ends with it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use crate::forged::Host;

/// Tells the inner test that it runs in a namespace, and which one it must not be.
const OUTSIDE: &str = "RINGWAY_TEST_NAMESPACE_OUTSIDE";

/// What the tests do in there first.
const PROBE: &str = "ip link set lo up && echo 4096 >/proc/sys/net/core/somaxconn";

/// Subjects whose values belong to a network namespace. The others change the whole machine.
const OWN: &[&str] = &["sockets", "tcp-memory", "ports", "congestion", "conntrack"];

#[test]
fn a_real_kernel_takes_the_values_and_gets_its_own_back() {
    if let Some(output) = run_inside("namespace::inside_a_namespace") {
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{error}");
        assert!(said.contains("1 passed"), "{said}\n{error}");
    }
}

#[test]
#[ignore = "is run by the test above, in a namespace of its own"]
fn inside_a_namespace() {
    if !is_inside() {
        return;
    }
    let host = real_host();
    command("ip", &["link", "set", "lo", "up"]);
    command("ip", &["route", "add", "10.0.0.0/8", "dev", "lo"]);
    for profile in ["many-idle", "low-latency", "throughput"] {
        for subject in OWN {
            let before = everything();
            let options = [
                "apply",
                "--profile",
                profile,
                "--backend-side",
                "10.0.0.0/8",
                "--port",
                "443",
            ];
            let said = host.run(subject, &options).succeeded();
            let may_do_nothing = ["sockets", "conntrack"].contains(subject);
            assert!(said.contains(" -> ") || may_do_nothing, "{said}");
            let after = everything();
            let again = host.run(subject, &options).succeeded();
            assert!(!again.contains(" -> "), "{profile}: {again}");
            assert_eq!(everything(), after, "{subject} applied twice");
            host.run(subject, &["undo"]).succeeded();
            for (name, was) in &before {
                assert_eq!(
                    Some(was),
                    everything().get(name),
                    "{subject} {profile}: {name}"
                );
            }
        }
    }
    host.run(
        "congestion",
        &[
            "apply",
            "--profile",
            "many-idle",
            "--backend-side",
            "10.0.0.0/8",
        ],
    )
    .succeeded();
    assert!(command("ip", &["route"]).contains("congctl cubic"));
}

/// Settings, routes and rules of this namespace.
fn everything() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for folder in [
        "/proc/sys/net/core",
        "/proc/sys/net/ipv4",
        "/proc/sys/net/netfilter",
    ] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if let Ok(text) = fs::read_to_string(&path) {
                all.insert(path.display().to_string(), text);
            }
        }
    }
    // How many there are is no setting.
    all.remove("/proc/sys/net/netfilter/nf_conntrack_count");
    all.insert("routes".into(), command("ip", &["route"]));
    all.insert("rules".into(), command("nft", &["list", "ruleset"]));
    all
}

/// The real /proc, with an /etc of its own and only the programs that stay in the namespace.
pub(crate) fn real_host() -> Host {
    let host = Host::bare();
    symlink("/proc", host.path("proc")).unwrap();
    for folder in ["etc/sysctl.d", "usr/sbin"] {
        fs::create_dir_all(host.path(folder)).unwrap();
    }
    for program in ["ip", "nft"] {
        let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .map(|folder| format!("{folder}/{program}"))
            .into_iter()
            .find(|path| fs::exists(path).unwrap_or(false));
        if let Some(path) = found {
            symlink(path, host.path("usr/sbin").join(program)).unwrap();
        }
    }
    host
}

/// Runs one ignored test of this file in a network namespace of its own; says why if that cannot be had.
pub(crate) fn run_inside(test: &str) -> Option<Output> {
    let outside = fs::read_link("/proc/self/ns/net").unwrap();
    for how in [&["--net"][..], &["--user", "--map-root-user", "--net"]] {
        let tried = Command::new("unshare")
            .args(how)
            .args(["sh", "-c", PROBE])
            .output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            continue;
        }
        let program = std::env::current_exe().unwrap();
        let output = Command::new("unshare")
            .args(how)
            .arg(program)
            .args(["--ignored", "--exact", test, "--nocapture"])
            .env(OUTSIDE, outside)
            .output();
        return Some(output.unwrap());
    }
    println!("skipped: nobody here may make a network namespace and set it up (unshare, ip)");
    None
}

/// Whether this process is in a namespace that was made for it. In any other it must not write.
pub(crate) fn is_inside() -> bool {
    let here = fs::read_link("/proc/self/ns/net").unwrap();
    let inside = std::env::var_os(OUTSIDE).is_some_and(|outside| outside != here.as_os_str());
    // A kernel that shows the machine's own settings in here would have them changed.
    inside && !fs::exists("/proc/sys/net/ipv4/tcp_mem").unwrap_or(true)
}

/// What a program said; nothing if it is not here.
pub(crate) fn command(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
