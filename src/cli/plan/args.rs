//! The flags of `ringway plan`, and the wish they make.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::wish::{TlsSides, Wish};
use crate::cli::doctor::Profile;
use crate::config::{self, Config, Cores};
use crate::limits;

/// Compute what a host needs for a load, and write its settings.
///
/// Files, local ports and source addresses, memory of the kernel and of Ringway as sums that can be read, cores at the measured cost, and
/// network. Then, where this host falls short of it, with the commands that help.
/// Costs were measured on machines that docs/capacity.md names: give your own with --cost-ns and --handshake-ns.
/// With --output it writes ringway.toml, a drop-in for the service's limits and a file for sysctl.d.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  ringway plan --tunnels 1000000 --backends 40\n  ringway plan --tunnels 200000 --backends 2 --message-rate 2 --message-bytes 512 --tls clients\n  ringway plan -c ringway.toml --tunnels 500000 --output plan/"
)]
pub struct PlanArgs {
    /// How many tunnels the host shall carry at one time.
    #[arg(long, value_name = "NUMBER", value_parser = within(1, limits::PLAN_TUNNELS_MAX))]
    pub tunnels: u64,
    /// How many backends (distinct addresses and ports) share them. Without it, those of the configuration, or 1.
    #[arg(long, value_name = "NUMBER", value_parser = within(1, limits::PLAN_BACKENDS_MAX))]
    pub backends: Option<u64>,
    /// How many addresses it listens on. Without it, those of the configuration, or 1.
    #[arg(long, value_name = "NUMBER", value_parser = within(1, limits::PLAN_LISTENERS_MAX))]
    pub listener_addresses: Option<u64>,
    /// Messages a second on each tunnel, both ways together.
    #[arg(long, default_value = "0.1", value_name = "PER_SECOND", value_parser = milli)]
    pub message_rate: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64, value_name = "BYTES", value_parser = within(0, limits::PLAN_MESSAGE_BYTES_MAX))]
    pub message_bytes: u64,
    /// New tunnels a second, over all.
    #[arg(long, default_value_t = 1_000, value_name = "PER_SECOND", value_parser = within(0, limits::PLAN_CONNECT_RATE_MAX))]
    pub connect_rate: u64,
    /// Which sides speak TLS. Without it, as the configuration says, or none.
    #[arg(long, value_enum)]
    pub tls: Option<TlsSides>,
    /// How many source addresses tunnels are dialled from. Without it, as many as are needed.
    #[arg(long, value_name = "NUMBER", value_parser = within(1, limits::PLAN_SOURCES_MAX))]
    pub source_addresses: Option<u64>,
    /// Local ports of one source address (`net.ipv4.ip_local_port_range`); this is what Linux begins with.
    #[arg(long, default_value = "32768-60999", value_name = "FIRST-LAST", value_parser = port_range)]
    pub ports: RangeInclusive<u16>,
    /// How many cores get a worker. Without it, as the configuration says, or as many as are needed.
    #[arg(long, value_name = "NUMBER", value_parser = within(1, limits::CORES_MAX.into()))]
    pub cores: Option<u64>,
    /// How many tunnels of a hundred have a slow reader at one time.
    #[arg(long, default_value_t = limits::PLAN_SLOW_PERCENT.default.into(), value_name = "PERCENT", value_parser = within(0, limits::PLAN_SLOW_PERCENT.most.into()))]
    pub slow_readers: u64,
    /// What a message there and one back cost on your machine, in nanoseconds, as `cargo versus` prints it.
    #[arg(long, value_name = "NS", value_parser = within(1, limits::PLAN_COST_NS_MAX))]
    pub cost_ns: Option<u64>,
    /// What a handshake with its end costs on your machine, in nanoseconds.
    #[arg(long, value_name = "NS", value_parser = within(1, limits::PLAN_COST_NS_MAX))]
    pub handshake_ns: Option<u64>,
    /// What the host shall be good at.
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,
    /// A configuration, to take backends, listeners, TLS and workers from; it is what --output then writes, with the plan's workers.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write the settings into this folder, or print them ("-").
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Let --output replace files that are there.
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

impl PlanArgs {
    /// The configuration that was named.
    pub(super) fn configuration(&self) -> anyhow::Result<Option<Config>> {
        let Some(file) = &self.config else {
            return Ok(None);
        };
        let config = config::load(file)
            .map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
            .with_context(|| format!("try: ringway check -c {}", file.display()))?;
        Ok(Some(config))
    }

    /// A flag before the configuration, and that before what holds without either.
    pub(super) fn wish(&self, config: Option<&Config>) -> Wish {
        let workers = config.map_or((limits::HANDSHAKES_MAX.default, None, None), |config| {
            let workers = &config.workers;
            (
                workers.handshakes_max,
                workers.buffers,
                workers.buffer_bytes,
            )
        });
        let (handshakes_max, buffers, buffer_bytes) = workers;
        let buffers = u64::from(buffers.unwrap_or(limits::INCREMENTAL_BUFFERS));
        let buffer_bytes = u64::from(buffer_bytes.unwrap_or(limits::INCREMENTAL_BUFFER_BYTES));
        let of_config = |count: fn(&Config) -> u64| config.map(count).filter(|&count| count > 0);
        Wish {
            tunnels: self.tunnels,
            backends: self.backends.or_else(|| of_config(backends)).unwrap_or(1),
            listener_addresses: self
                .listener_addresses
                .or_else(|| of_config(listener_addresses))
                .unwrap_or(1),
            message_rate_milli: self.message_rate,
            message_bytes: self.message_bytes,
            connects_per_second: self.connect_rate,
            tls: self
                .tls
                .or_else(|| config.map(tls_sides))
                .unwrap_or_default(),
            source_addresses: self.source_addresses,
            ports: self.ports.len() as u64,
            workers: self.cores.or_else(|| of_config(workers_named)),
            slow_percent: self.slow_readers,
            echo_ns: self.cost_ns,
            handshake_ns: self.handshake_ns,
            receive_bytes: buffers * buffer_bytes,
            handshakes_max: handshakes_max.into(),
            profile: self.profile,
        }
    }
}

/// Distinct addresses: two pools may name the same one, and share its ports.
fn backends(config: &Config) -> u64 {
    let mut addresses: Vec<_> = config
        .pools
        .iter()
        .flat_map(|pool| pool.backends.iter().map(|backend| backend.address))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.len() as u64
}

fn listener_addresses(config: &Config) -> u64 {
    let listeners = config.listeners.iter();
    listeners.map(|one| one.addresses.len() as u64).sum()
}

/// Zero if the configuration leaves it open.
fn workers_named(config: &Config) -> u64 {
    match &config.workers.cores {
        Cores::Auto => 0,
        Cores::Count(count) => (*count).into(),
        Cores::List(list) => list.len() as u64,
    }
}

fn tls_sides(config: &Config) -> TlsSides {
    let clients = config.listeners.iter().any(|one| one.tls.is_some());
    let backends = config.pools.iter().any(|pool| pool.tls.is_some());
    TlsSides::of(clients, backends)
}

fn within(least: u64, most: u64) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(least..=most)
}

/// `0.1` as thousandths.
fn milli(text: &str) -> Result<u64, String> {
    let most = limits::PLAN_MESSAGE_RATE_MAX;
    let wrong = || format!("expected 0 to {most}, in thousandths at the finest");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    if whole > most || (whole == most && part > 0) {
        return Err(wrong());
    }
    Ok(whole * 1000 + part)
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        (0 < first && first <= last).then_some(first..=last)
    });
    range.ok_or_else(|| {
        "expected two ports from 1 to 65535, the lower one first: 1024-65535".to_owned()
    })
}

#[cfg(test)]
impl PlanArgs {
    /// As they are typed.
    pub(super) fn of(flags: &[&str]) -> Self {
        use clap::{Command, FromArgMatches as _};
        let command = Self::augment_args(Command::new("plan").no_binary_name(true));
        Self::from_arg_matches(&command.get_matches_from(flags)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_thousandths_and_bounded() {
        for (text, thousandths) in [
            ("0.1", 100),
            ("2", 2_000),
            ("0.001", 1),
            ("1.25", 1_250),
            ("1000000", 1_000_000_000),
        ] {
            assert_eq!(milli(text), Ok(thousandths), "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "1e3",
            "0.0001",
            "1000000.1",
            "1000001",
            "1.",
            "99999999999999999999",
        ] {
            assert!(milli(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_of_ports_are_in_order() {
        assert_eq!(port_range("1024-65535"), Ok(1024..=65535));
        for text in ["", "1024", "0-9", "9-8", "1-65536", "a-b"] {
            assert!(port_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_configuration_says_what_no_flag_does() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/many-pools.toml");
        let args = PlanArgs::of(&["--tunnels", "1000", "-c", file]);
        let config = args.configuration().unwrap().unwrap();
        let wish = args.wish(Some(&config));
        assert_eq!((wish.backends, wish.listener_addresses), (7, 3));
        let args = PlanArgs::of(&["--tunnels", "1000", "-c", file, "--backends", "3"]);
        assert_eq!(args.wish(Some(&config)).backends, 3);
    }

    #[test]
    fn a_configuration_with_mistakes_is_no_plan() {
        let args = PlanArgs::of(&["--tunnels", "1000", "-c", "no-such-file.toml"]);
        let error = args.configuration().unwrap_err();
        assert!(format!("{error:#}").contains("ringway check -c no-such-file.toml"));
    }
}
