//! Ringway as its own process, for tests that count its descriptors or take them away.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A `ringway run` of its own, killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    pub control: SocketAddr,
    _config: tempfile::TempDir,
}

impl Process {
    /// One worker in front of these backends, with at most `files` descriptors.
    pub fn start(backends: &[SocketAddr], files: u32) -> Self {
        let list: Vec<String> = backends.iter().map(|one| format!("\"{one}\"")).collect();
        let text = format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = [\"127.0.0.1:0\"]\n[limits]\nhead_timeout = \"20s\"\n\
             [pools.p]\nbackends = [{}]\n[[routes]]\npool = \"p\"\n",
            list.join(", ")
        );
        let config = tempfile::tempdir().unwrap();
        let file = config.path().join("ringway.toml");
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -n \"$1\" && exec \"$2\" run -c \"$3\"", "sh"])
            .args([&files.to_string(), env!("CARGO_BIN_EXE_ringway")])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut after = |start: &str| {
            let found = lines.find_map(|line| {
                let line = line.unwrap();
                Some(line.split_once(start)?.1.to_owned())
            });
            found.unwrap_or_else(|| panic!("it never said {start:?}"))
        };
        let address = after("listening on ").parse().unwrap();
        let control = after("metrics on http://");
        let control = control.trim_end_matches("/metrics").parse().unwrap();
        // What it says later is read away, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            control,
            _config: config,
        }
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder).unwrap().count()
    }

    /// Waits until it has at most so many open.
    pub fn wait_for_descriptors(&self, most: usize) {
        let start = ringway::clock::Now::read();
        while self.descriptors() > most {
            let waited = ringway::clock::Now::read().since(start);
            let open = self.descriptors();
            assert!(
                waited < crate::support::PATIENCE,
                "{open} instead of {most}"
            );
            std::thread::yield_now();
        }
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `ringway echo` of its own, for a backend that is killed. Killed when dropped, too.
pub struct EchoProcess {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl EchoProcess {
    /// As many backends in one process as there are addresses; the last is called `echo-N`, by their number.
    pub fn start(addresses: &[SocketAddr]) -> Self {
        let binds = addresses.iter().map(|one| format!("--bind={one}"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .arg("echo")
            .args(binds)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = |line: String| line.rsplit(' ').next().unwrap().parse().unwrap();
        let named = lines
            .take(addresses.len())
            .map(|line| address(line.unwrap()));
        let addresses: Vec<_> = named.collect();
        Self { child, addresses }
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The signal 9: it gets no chance to say goodbye. Hands back where it listened.
    pub fn kill(mut self) -> Vec<SocketAddr> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::take(&mut self.addresses)
    }
}

impl Drop for EchoProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
