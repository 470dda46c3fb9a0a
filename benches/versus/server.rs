//! One running proxy with echo backends of its own; both end when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use ringway::cli::bench::{Options, Trust};
use ringway::cli::echo::EchoFleet;
use ringway::clock::Now;
use tempfile::TempDir;

use crate::duel::Ground;
use crate::papers::Papers;
use crate::proxy::{Place, Proxy};

/// A proxy that accepts connections.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The text it was started with.
    pub(crate) config: String,
    /// The processes that are measured.
    pub(crate) pids: Vec<u32>,
    /// Who vouches for it, where it speaks TLS.
    authority: Option<PathBuf>,
    folder: TempDir,
    /// Ends after the proxy, whose connections it holds.
    backends: EchoFleet,
}

impl Server {
    /// Starts `proxy` before `backends` echo backends, and returns when it accepts connections.
    ///
    /// The backends serve this proxy alone: what one proxy leaves behind in the port table must not slow the other.
    pub(crate) fn start(ground: &Ground, proxy: &Proxy, backends: usize) -> anyhow::Result<Self> {
        let names: Vec<String> = (1..=backends)
            .map(|number| format!("echo-{number}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let any = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); backends];
        let fleet = EchoFleet::start(&names, &any, Some(ground.load_core))
            .context("starting the echo backends")?;
        let folder = tempfile::tempdir().context("creating a folder for the configuration")?;
        let [listen, control] = free_addresses()?;
        let place = Place {
            folder: folder.path(),
            listen,
            control,
            backends: fleet.addresses(),
            core: ground.proxy_core,
            files: ground.files,
            papers: ground.papers.as_ref(),
        };
        let (file, config) = proxy.config(&place);
        let path = folder.path().join(file);
        fs::write(&path, &config).with_context(|| format!("writing {}", path.display()))?;
        let log = File::create(folder.path().join(LOG)).context("creating its log")?;
        let child = proxy
            .command(&path, &place)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("sharing its log")?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "starting {} on its core with taskset; is util-linux installed?",
                    proxy.name
                )
            })?;
        let mut server = Self {
            pids: vec![child.id()],
            child,
            address: listen,
            config,
            authority: ground.papers.as_ref().map(Papers::authority),
            folder,
            backends: fleet,
        };
        server.wait_until_up(proxy)?;
        Ok(server)
    }

    /// How it ended, if it has ended although nobody asked it to.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "wss"
        } else {
            "ws"
        };
        format!("{scheme}://{}/", self.address)
    }

    /// What its clients are told, before anything else.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::to(self.url());
        if let Some(file) = &self.authority {
            options.trust = Trust::File(file.clone());
        }
        options
    }

    /// Where the first of its backends listens.
    pub(crate) fn backend(&self) -> SocketAddr {
        self.backends.addresses()[0]
    }

    /// The last lines it wrote.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
    }

    fn wait_until_up(&mut self, proxy: &Proxy) -> anyhow::Result<()> {
        let deadline = Now::read().after(START_TIMEOUT);
        loop {
            if let Some(status) = self.end() {
                bail!(
                    "{} ended at its start ({status}): {}",
                    proxy.name,
                    self.last_words()
                );
            }
            if TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT).is_ok() {
                let workers = children(self.child.id());
                if !proxy.has_worker() || !workers.is_empty() {
                    self.pids.extend(workers);
                    return Ok(());
                }
            }
            if Now::read() > deadline {
                bail!(
                    "{} does not listen after {START_TIMEOUT:?}: {}",
                    proxy.name,
                    self.last_words()
                );
            }
            pause(PATIENCE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A shell can always send a signal; a killed nginx would leave its worker behind, a terminated one does not.
        let pid = self.child.id().to_string();
        let _ = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status();
        let deadline = Now::read().after(STOP_TIMEOUT);
        while Now::read() < deadline {
            if self.end().is_some() {
                return;
            }
            pause(PATIENCE);
        }
        // It had its chance. Both fail only if it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets time pass.
pub(crate) fn pause(time: Duration) {
    let until = Now::read().after(time);
    while Now::read() < until {
        std::thread::park_timeout(until.since(Now::read()));
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// Addresses that were free a moment ago.
fn free_addresses() -> anyhow::Result<[SocketAddr; 2]> {
    let reserve = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // Both are held before either is given back, so they differ.
    let held = [reserve(), reserve()]
        .map(|listener| listener.and_then(|held| Ok((held.local_addr()?, held))));
    let [first, second] = held;
    let (first, second) = (
        first.context("finding a free port")?,
        second.context("finding a free port")?,
    );
    Ok([first.0, second.0])
}

const LOG: &str = "log";
const LAST_LINES: usize = 4;
const START_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(10);
