//! What a Ringway that speaks TLS has in its memory stays there: it leaves no core dump.
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A `ringway run` with these lines in its listener, killed when dropped.
struct Process(Child);

impl Process {
    /// Also what it said up to the line about its metrics, which is the last of its start.
    fn start(folder: &Path, listener: &str) -> (Self, Vec<String>) {
        let text = format!(
            "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [listeners.test]\nbind = \"127.0.0.1:0\"\n{listener}\n\
             [pools.p]\nbackends = [\"127.0.0.1:9\"]\n[[routes]]\npool = \"p\"\n"
        );
        let file = folder.join("ringway.toml");
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(["run", "-c"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        while !said
            .last()
            .is_some_and(|line: &String| line.contains("metrics on"))
        {
            said.push(
                lines
                    .next()
                    .expect("it says where its metrics are")
                    .unwrap(),
            );
        }
        // What it says later is read away, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        (Self(child), said)
    }

    /// The soft and the hard limit of its core dumps.
    fn core_limits(&self) -> Vec<String> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.0.id())).unwrap();
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max core file size"));
        let words = line.unwrap().split_whitespace().take(2);
        words.map(str::to_owned).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn core_dumps_are_off_where_tls_is_spoken_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    std::fs::write(&chain, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "tls = {{ certificates = [{{ chain = \"{}\", key = \"{}\" }}] }}",
        chain.display(),
        key.display()
    );
    let is_off = |said: &[String]| said.iter().any(|line| line.contains("core dumps are off"));

    let (process, said) = Process::start(folder.path(), &tls);
    assert!(is_off(&said), "{said:?}");
    assert_eq!(process.core_limits(), ["0", "0"]);

    let (process, said) = Process::start(folder.path(), "");
    assert!(!is_off(&said), "{said:?}");
    let ours = std::fs::read_to_string("/proc/self/limits").unwrap();
    for limit in process.core_limits() {
        assert!(ours.contains(&limit), "{limit} was not changed");
    }
}
