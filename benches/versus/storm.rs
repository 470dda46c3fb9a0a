//! New TLS connections at a fixed rate, while something else is measured: another process, which takes only the time
//! that nobody else wants of the proxy's core.
//!
//! The other core would be the wrong place: what these clients compute would delay the generator there, and look like a
//! slow proxy. Here, the proxy takes its core from them the moment it wakes (`SCHED_IDLE`).

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::round::Ground;
use crate::server::{Server, pause};

/// A storm that blows.
pub(crate) struct Storm {
    child: Child,
}

impl Storm {
    /// Starts one of `per_second` that lasts a little longer than a run.
    pub(crate) fn start(ground: &Ground, server: &Server, per_second: u64) -> anyhow::Result<Self> {
        let seconds = (ground.warmup + ground.measured + OVERLAP).as_secs_f64();
        let mut command = idly(ground);
        command
            .arg(env!("CARGO_BIN_EXE_ringway"))
            .args(["bench", &server.url(), "--handshakes", "--json"])
            .args(["--connect-rate", &per_second.to_string()])
            .args(["--tunnels", "64", "--warmup", "0.1"])
            .args(["--duration", &seconds.to_string()]);
        if let Some(authority) = server.authority() {
            command.arg("--ca").arg(authority);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(
                "starting the storm with setpriv, chrt and taskset; is util-linux installed?",
            )?;
        pause(OVERLAP / 2);
        Ok(Self { child })
    }

    /// Waits for its end. How many connections it made in a second.
    pub(crate) fn end(self) -> anyhow::Result<f64> {
        let output = self
            .child
            .wait_with_output()
            .context("waiting for the storm")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the storm failed: {words}");
        let report: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("reading what the storm did")?;
        let errors = &report["errors"]["examples"];
        let has_none = errors.as_object().is_some_and(serde_json::Map::is_empty);
        ensure!(has_none, "the storm met errors: {errors}");
        report["messages_per_second"]
            .as_f64()
            .context("the storm does not say how fast it was")
    }
}

/// Keeps the proxy's core from sleeping, for as long as it lives. A core that sleeps takes long to wake, longer than a
/// handshake on a virtual machine, and a storm keeps it awake: without this, p99 would be better in the storm.
pub(crate) struct Awake {
    child: Child,
}

impl Awake {
    pub(crate) fn start(ground: &Ground) -> anyhow::Result<Self> {
        let mut command = idly(ground);
        command.args(["sh", "-c", "while :; do :; done"]);
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.context("keeping the proxy's core awake")?;
        Ok(Self { child })
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // Both fail only if it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs what follows in the time that nobody else wants of the proxy's core.
fn idly(ground: &Ground) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "chrt", "--idle", "0", "taskset"])
        .args(["--cpu-list", &ground.proxy_core.to_string()]);
    command
}

/// The storm begins earlier than what it disturbs, and ends later.
const OVERLAP: Duration = Duration::from_millis(600);
