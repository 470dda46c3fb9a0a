//! The processes of one run: Ringway and its backend, each this program once more with descriptors of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, bail, ensure};
use ringway::cli::echo::EchoFleet;
use ringway::control::{Running, Signals};
use ringway::sys::proc::{Limit, Resource};

use crate::float;

/// A Ringway with so many workers.
pub(crate) struct Proxy {
    process: Process,
    pub(crate) pid: String,
    pub(crate) address: SocketAddr,
    control: SocketAddr,
    workers: usize,
    _folder: tempfile::TempDir,
}

/// An echo backend.
pub(crate) struct Backend {
    _process: Process,
    pub(crate) address: SocketAddr,
}

/// A child that ends with its standard input, and is killed if it does not.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts this program as something else, and reads what it says of where it is.
    fn start(args: &[&str]) -> anyhow::Result<(Self, Vec<SocketAddr>)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("its output is piped")?;
        let process = Self {
            input: child.stdin.take(),
            child,
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let addresses = line.split_whitespace().map(str::parse);
        let addresses = addresses.collect::<Result<_, _>>();
        Ok((process, addresses.context("it did not say where it is")?))
    }
}

impl Backend {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (process, addresses) = Process::start(&["--backend"])?;
        Ok(Self {
            _process: process,
            address: *addresses.first().context("it says one address")?,
        })
    }
}

impl Proxy {
    pub(crate) fn start(
        workers: usize,
        steering: &str,
        backend: SocketAddr,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ringway.toml");
        let text = format!(
            "[workers]\ncores = {workers}\nsteering = \"{steering}\"\n\
             [control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [limits]\nhandshakes_per_source = \"off\"\n\
             [listeners.bench]\nbind = \"127.0.0.1:0\"\n\
             [pools.bench]\nbackends = [\"{backend}\"]\n[[routes]]\npool = \"bench\"\n"
        );
        std::fs::write(&file, text)?;
        let file = file.to_str().context("a path in UTF-8")?;
        let (process, addresses) = Process::start(&["--proxy", file])?;
        ensure!(addresses.len() == 2, "it says two addresses");
        Ok(Self {
            pid: process.child.id().to_string(),
            process,
            address: addresses[0],
            control: addresses[1],
            workers,
            _folder: folder,
        })
    }

    /// The most and the fewest tunnels of a worker, each over the mean.
    pub(crate) fn spread(&self) -> anyhow::Result<[f64; 2]> {
        let page = self.page()?;
        let open: Vec<u64> = (0..self.workers)
            .map(|worker| value(&page, &of("ringway_tunnels_open", worker)))
            .collect();
        let mean = float(open.iter().sum()) / float(open.len() as u64);
        let most = open.iter().max().copied().unwrap_or(0);
        let fewest = open.iter().min().copied().unwrap_or(0);
        Ok([float(most) / mean, float(fewest) / mean])
    }

    /// How many connections moved, and how many could not.
    pub(crate) fn handoffs(&self) -> anyhow::Result<[u64; 2]> {
        let page = self.page()?;
        let sum = |word: &str| {
            let row = |worker| {
                format!("ringway_handoffs_total{{worker=\"{worker}\",handoff=\"{word}\"}} ")
            };
            (0..self.workers)
                .map(|worker| value(&page, &row(worker)))
                .sum()
        };
        Ok([sum("out"), sum("refused")])
    }

    /// Has a worker die; returns when another one is in its place, with how many tunnels it had.
    pub(crate) fn kill_worker(&mut self, worker: usize) -> anyhow::Result<usize> {
        let restarts = of("ringway_worker_restarts_total", worker);
        let tunnels = value(&self.page()?, &of("ringway_tunnels_open", worker));
        let input = self.process.input.as_mut().context("it listens to us")?;
        writeln!(input, "{worker}")?;
        for _ in 0..LOOKS_MAX {
            let page = self.page()?;
            if value(&page, &restarts) == 1
                && value(&page, &of("ringway_receive_buffers", worker)) > 0
            {
                return Ok(usize::try_from(tunnels)?);
            }
            std::thread::park_timeout(LOOK);
        }
        bail!("worker {worker} does not come back");
    }

    fn page(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.control)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }
}

fn of(name: &str, worker: usize) -> String {
    format!("{name}{{worker=\"{worker}\"}} ")
}

fn value(page: &str, row: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(row));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Is a Ringway until its input ends; a line there is the number of a worker that is to die.
pub(crate) fn be_proxy(file: &Path) -> anyhow::Result<()> {
    let config = ringway::config::load(file).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let running = Running::start(&config, ringway::admin::service(), Signals::Ignore)?;
    println!("{} {}", running.listening[0], running.control);
    // What the death of a worker says on the way is known.
    std::panic::set_hook(Box::new(|_| {}));
    for line in std::io::stdin().lines() {
        running.fail_worker(line?.parse()?);
    }
    Ok(())
}

/// Is an echo backend until its input ends.
pub(crate) fn be_backend() -> anyhow::Result<()> {
    Limit::raise_to_hard(Resource::Files)?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let fleet = EchoFleet::start(&["echo"], &[any], None)?;
    println!("{}", fleet.addresses()[0]);
    std::io::stdin().lines().for_each(drop);
    Ok(())
}

const LOOK: std::time::Duration = std::time::Duration::from_millis(10);
const LOOKS_MAX: usize = 1_000;
