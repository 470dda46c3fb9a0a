//! One running proxy with echo backends of its own; both end when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use ringway::cli::bench::{Options, Subject, Trust, Usage};
use ringway::clock::Now;
use tempfile::TempDir;

use crate::behind::Behind;
use crate::case::{Case, Load};
use crate::papers::Papers;
use crate::proxy::{Place, Proxy};
use crate::remote::{Agent, Started};
use crate::round::Ground;
use crate::station::Station;
use crate::usage::{ran_ns, resident_bytes, waited_ns};

/// A proxy that accepts connections.
pub(crate) struct Server {
    home: Home,
    pub(crate) address: SocketAddr,
    /// Where its clients go.
    pub(crate) path: &'static str,
    /// The text it was started with.
    pub(crate) config: String,
    /// The processes that are measured, if they run here.
    pub(crate) pids: Vec<u32>,
    /// Who vouches for it, where it speaks TLS.
    authority: Option<PathBuf>,
    backend: SocketAddr,
    /// Ends after the proxy, whose connections it holds. Absent where the backends are elsewhere.
    behind: Option<Behind>,
}

/// Where it runs.
enum Home {
    Here {
        child: Child,
        folder: TempDir,
        /// The file it reads, what will stand in it, and the signal that makes it do so.
        renewal: (PathBuf, String, &'static str),
    },
    There(Agent),
}

impl Server {
    /// Starts `proxy` before the backends that `case` needs, and returns when it accepts connections.
    ///
    /// The backends serve this proxy alone: what one proxy leaves behind in the port table must not slow the other.
    pub(crate) fn start(ground: &Ground, proxy: &Proxy, case: &Case) -> anyhow::Result<Self> {
        if let Some(agent) = ground.agent {
            return Self::start_there(agent, proxy);
        }
        let behind = Behind::start(case, ground.load_core)?;
        let [listen, control] = free_addresses()?;
        let is_renewed = case.load == Load::Reload;
        let mut server = Self::spawn(
            ground,
            proxy,
            [listen, control],
            &behind.addresses(),
            is_renewed,
        )?;
        server.behind = Some(behind);
        server.wait_until_up(proxy, is_renewed)?;
        Ok(server)
    }

    /// Starts `proxy` at a given address, before backends that run elsewhere.
    pub(crate) fn start_at(
        ground: &Ground,
        proxy: &Proxy,
        listen: SocketAddr,
        backends: &[SocketAddr],
    ) -> anyhow::Result<Self> {
        let [control, _] = free_addresses()?;
        let mut server = Self::spawn(ground, proxy, [listen, control], backends, false)?;
        server.wait_until_up(proxy, false)?;
        Ok(server)
    }

    fn start_there(agent: Agent, proxy: &Proxy) -> anyhow::Result<Self> {
        let started: Started = agent.order(&format!("start {}", proxy.key()))?;
        Ok(Self {
            home: Home::There(agent),
            address: started.listen,
            path: "/",
            config: started.config,
            pids: Vec::new(),
            authority: None,
            backend: started.backend,
            behind: None,
        })
    }

    fn spawn(
        ground: &Ground,
        proxy: &Proxy,
        [listen, control]: [SocketAddr; 2],
        backends: &[SocketAddr],
        is_renewed: bool,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("creating a folder for the configuration")?;
        let papers = ground.papers.as_ref().filter(|_| proxy.speaks_tls());
        let renewed = Place {
            folder: folder.path(),
            listen,
            control,
            backends,
            core: ground.proxy_core,
            files: ground.files,
            papers,
            is_renewed,
        };
        // What is read again later has one backend more.
        let first = backends.len() - usize::from(is_renewed);
        let place = Place {
            backends: &backends[..first],
            ..renewed
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
        let renewal = (path, proxy.config(&renewed).1, proxy.renewing_signal());
        Ok(Self {
            pids: vec![child.id()],
            home: Home::Here {
                child,
                folder,
                renewal,
            },
            address: listen,
            path: "/",
            config,
            authority: papers.map(Papers::authority),
            backend: backends[0],
            behind: None,
        })
    }

    /// How it ended, if it has ended although nobody asked it to.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        match &mut self.home {
            Home::Here { child, .. } => child.try_wait().ok().flatten(),
            Home::There(_) => None,
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "wss"
        } else {
            "ws"
        };
        format!("{scheme}://{}{}", self.address, self.path)
    }

    /// The file that says whom its clients should trust.
    pub(crate) const fn authority(&self) -> Option<&PathBuf> {
        self.authority.as_ref()
    }

    /// What its clients are told, before anything else.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::to(self.url());
        if let Some(file) = &self.authority {
            options.trust = Trust::File(file.clone());
        }
        options.watch = match &self.home {
            Home::Here { .. } => self.pids.iter().copied().map(Subject::Process).collect(),
            Home::There(agent) => vec![Subject::Agent(agent.0)],
        };
        options
    }

    /// What its processes have used so far. One that has ended is found out elsewhere.
    pub(crate) fn used(&self) -> Usage {
        match &self.home {
            Home::Here { .. } => Usage {
                processor_ns: ran_ns(&self.pids),
                waited_ns: waited_ns(&self.pids),
                resident_bytes: resident_bytes(&self.pids),
            },
            Home::There(agent) => agent.order("read").unwrap_or_default(),
        }
    }

    /// Where the first of its backends listens.
    pub(crate) const fn backend(&self) -> SocketAddr {
        self.backend
    }

    /// Lends the backend that speaks to all, if that stands behind it; [`Server::give_back`] takes it again.
    pub(crate) fn lend_station(&mut self) -> Option<Station> {
        match self.behind.take() {
            Some(Behind::Station(station)) => Some(station),
            other => {
                self.behind = other;
                None
            }
        }
    }

    pub(crate) fn give_back(&mut self, station: Station) {
        self.behind = Some(Behind::Station(station));
    }

    /// Kills the first of its backends.
    pub(crate) fn kill_a_backend(&mut self) -> anyhow::Result<()> {
        match &mut self.behind {
            Some(Behind::Mortals(mortals)) => mortals[0].kill(),
            _ => bail!("its backends cannot be killed"),
        }
    }

    /// Lets it read its configuration again, which has one backend more by now.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let Home::Here { child, renewal, .. } = &self.home else {
            bail!("a proxy elsewhere is not told to read its configuration again");
        };
        let (path, config, signal) = renewal;
        fs::write(path, config).with_context(|| format!("writing {}", path.display()))?;
        signal_to(child.id(), signal);
        Ok(())
    }

    /// How many processes it has.
    pub(crate) fn processes(&self) -> u64 {
        match &self.home {
            Home::Here { child, .. } => 1 + children(child.id()).len() as u64,
            Home::There(_) => 0,
        }
    }

    /// The last lines it wrote.
    pub(crate) fn last_words(&self) -> String {
        let Home::Here { folder, .. } = &self.home else {
            return String::new();
        };
        let text = fs::read_to_string(folder.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
    }

    fn wait_until_up(&mut self, proxy: &Proxy, is_renewed: bool) -> anyhow::Result<()> {
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
                let workers = children(self.pids[0]);
                if !proxy.has_worker(is_renewed) || !workers.is_empty() {
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
        let pid = match &self.home {
            // One that does not answer has gone.
            Home::There(agent) => return drop(agent.order::<u64>("stop")),
            Home::Here { child, .. } => child.id(),
        };
        // A killed nginx would leave its worker behind, a terminated one does not.
        signal_to(pid, "TERM");
        let deadline = Now::read().after(STOP_TIMEOUT);
        while Now::read() < deadline {
            if self.end().is_some() {
                return;
            }
            pause(PATIENCE);
        }
        if let Home::Here { child, .. } = &mut self.home {
            // It had its chance. Both fail only if it is gone.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A shell can always send a signal.
fn signal_to(pid: u32, signal: &str) {
    let order = format!("kill -{signal} \"$0\"");
    let _ = Command::new("sh")
        .args(["-c", &order, &pid.to_string()])
        .status();
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
