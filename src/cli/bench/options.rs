//! What a run is asked to do, for callers inside the program.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use super::subject::Subject;
use crate::limits::{
    BENCH_IN_FLIGHT_MAX, BENCH_PAYLOAD_BYTES_MAX, BENCH_RATE_MAX, BENCH_THREADS_MAX,
    BENCH_TUNNELS_MAX,
};

/// What to load, how hard and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// `ws://host:port/path`, or `wss://` for TLS.
    pub url: String,
    /// What the tunnels do.
    pub mode: Mode,
    /// Tunnels open at once; in [`Mode::Handshakes`], handshakes under way at once.
    pub tunnels: usize,
    /// Payload of each message.
    pub payload_bytes: usize,
    /// Sends text of this kind. `None` sends binary messages.
    pub text: Option<Text>,
    /// Messages each tunnel may have under way.
    pub in_flight: usize,
    /// Messages per second over all tunnels, sent whether or not echoes come back in time. `None` sends a message as
    /// soon as an echo makes room.
    pub rate: Option<u64>,
    /// The measured time.
    pub duration: Duration,
    /// Time under load before measuring.
    pub warmup: Duration,
    /// Threads, each with its own share of the tunnels.
    pub threads: usize,
    /// Pins the first thread to this core, the next to the one after it, and so on.
    pub core: Option<usize>,
    /// New connections per second over all threads while the tunnels open; in [`Mode::Handshakes`], all the time.
    pub connect_rate: Option<u64>,
    /// Local addresses to connect from, in turn; each has ports for some 28,000 tunnels.
    pub sources: Vec<IpAddr>,
    /// Extra request headers.
    pub headers: Vec<(String, String)>,
    /// Who may vouch for a server that speaks TLS.
    pub trust: Trust,
    /// In [`Mode::Handshakes`], come back with the ticket that the connection before was given.
    pub is_resuming: bool,
    /// How long a handshake or an echo may take.
    pub timeout: Duration,
    /// Whose processor time and memory are read at the edges of the measured time.
    pub watch: Vec<Subject>,
    /// Draw a progress bar on standard error if it is a terminal.
    pub has_progress: bool,
}

/// What the tunnels do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Exchange messages.
    Messages,
    /// Connect, upgrade, abort, again and again.
    Handshakes,
    /// Exchange one message each, then stay open and silent.
    Idle,
}

/// Who may vouch for a server that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The authorities of this system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
    /// Nobody needs to: any certificate will do, for any name.
    Anyone,
}

/// What text messages are made of. Each begins with its number, in hexadecimal digits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// ASCII alone.
    Ascii,
    /// Characters of one to four bytes.
    Mixed,
}

impl Options {
    /// The defaults of the command line: 64 tunnels, 64 binary bytes, one in flight, as fast as possible, ten seconds.
    pub fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            mode: Mode::Messages,
            tunnels: 64,
            payload_bytes: 64,
            text: None,
            in_flight: 1,
            rate: None,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            threads: 1,
            core: None,
            connect_rate: None,
            sources: Vec::new(),
            headers: Vec::new(),
            trust: Trust::System,
            is_resuming: false,
            timeout: Duration::from_secs(5),
            watch: Vec::new(),
            has_progress: false,
        }
    }

    /// Refuses what cannot be run, in words that name the setting.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        check_range("--tunnels", self.tunnels, 1, BENCH_TUNNELS_MAX)?;
        check_range("--size", self.payload_bytes, 0, BENCH_PAYLOAD_BYTES_MAX)?;
        check_range("--in-flight", self.in_flight, 1, BENCH_IN_FLIGHT_MAX)?;
        check_range("--threads", self.threads, 1, BENCH_THREADS_MAX)?;
        ensure!(
            self.threads <= self.tunnels,
            "--threads {}: more threads than tunnels ({}); each thread needs at least one",
            self.threads,
            self.tunnels
        );
        let rate = self.rate.unwrap_or(1);
        ensure!(
            (1..=BENCH_RATE_MAX).contains(&rate),
            "--rate: expected 1 to {BENCH_RATE_MAX}, found {rate}; leave it out for as fast as possible"
        );
        ensure!(
            self.connect_rate != Some(0),
            "--connect-rate: expected at least 1, found 0; leave it out for as fast as possible"
        );
        ensure!(
            !self.duration.is_zero() && !self.timeout.is_zero(),
            "--duration and --timeout must be longer than 0"
        );
        Ok(())
    }

    /// The tunnels of one thread: the number of the first, and how many.
    pub(super) const fn share(&self, thread: usize) -> (usize, usize) {
        let base = self.tunnels / self.threads;
        let extra = self.tunnels % self.threads;
        let first = thread * base + if thread < extra { thread } else { extra };
        (first, base + (thread < extra) as usize)
    }
}

fn check_range(name: &str, found: usize, least: usize, most: usize) -> anyhow::Result<()> {
    ensure!(
        (least..=most).contains(&found),
        "{name}: expected {least} to {most}, found {found}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_tunnel_once() {
        for (tunnels, threads) in [(64, 1), (10, 3), (3, 3), (1000, 7)] {
            let options = Options {
                tunnels,
                threads,
                ..Options::to("ws://x/")
            };
            let mut next = 0;
            for thread in 0..threads {
                let (first, count) = options.share(thread);
                assert_eq!(first, next);
                next += count;
            }
            assert_eq!(next, tunnels);
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let mut options = Options::to("ws://x/");
        options.in_flight = 0;
        let error = options.check().unwrap_err().to_string();
        assert_eq!(error, "--in-flight: expected 1 to 65536, found 0");
    }
}
