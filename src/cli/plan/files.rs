//! The settings of a plan as files: what Ringway reads, the limits of its service, and the kernel's settings.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::merge::with_workers;
use super::reckon::Need;
use super::wish::{TlsSides, Wish};
use crate::limits;

/// A file of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Written {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// All of them. `given` is the configuration that was named, as it is written.
pub(super) fn files(wish: &Wish, need: &Need, ports: &str, given: Option<&str>) -> Vec<Written> {
    let configuration = match given {
        Some(text) => with_workers(text, need.cores.workers, need.settings.tunnels_max),
        None => fresh(wish, need),
    };
    let file = |name, text| Written { name, text };
    vec![
        file("ringway.toml", configuration),
        file("service-limits.conf", service_limits(need)),
        file("sysctl.conf", sysctl(wish, need, ports)),
    ]
}

/// A whole configuration with made-up addresses.
fn fresh(wish: &Wish, need: &Need) -> String {
    let mut text = format!(
        "# {} tunnels, planned by `ringway plan`. Addresses of listeners and backends are made up: put yours in their place.\n",
        wish.tunnels
    );
    if wish.tls != TlsSides::None {
        text.push_str("# The plan counts on TLS; how to set it: docs/tls.md.\n");
    }
    let (workers, tunnels_max) = (need.cores.workers, need.settings.tunnels_max);
    // Writing to a String never fails.
    let _ = write!(
        text,
        "\n[workers]\ncores = {workers}\ntunnels_max = {tunnels_max}\n\n[listeners.public]\nbind = ["
    );
    for at in 0..wish.listener_addresses {
        let _ = write!(text, "{}\"0.0.0.0:{}\"", comma(at), FIRST_PORT + at);
    }
    let _ = write!(
        text,
        "]\nbacklog = {}\n\n[pools.planned]\n",
        limits::QUEUE_WANTED
    );
    if need.ports.source_addresses > 1 {
        let _ = write!(
            text,
            "# {} addresses of this host to dial from, or networks of them.\n#source_addresses = [\"ADDRESS\", \"NETWORK/BITS\"]\n",
            need.ports.source_addresses
        );
    }
    text.push_str("backends = [\n");
    for at in 0..wish.backends {
        let address = Ipv4Addr::from_bits(FIRST_BACKEND.to_bits() + u32::try_from(at).unwrap_or(0));
        let _ = writeln!(text, "    \"{address}:9000\",");
    }
    text.push_str("]\n\n[[routes]]\npool = \"planned\"\n");
    text
}

const fn comma(at: u64) -> &'static str {
    if at == 0 { "" } else { ", " }
}

fn service_limits(need: &Need) -> String {
    let settings = &need.settings;
    format!(
        "# A drop-in for the service: /etc/systemd/system/ringway.service.d/limits.conf, then: systemctl daemon-reload\n\
         [Service]\n\
         # {} descriptors, rounded up.\n\
         LimitNOFILE={}\n\
         # The rings of {} workers.\n\
         LimitMEMLOCK={}\n",
        need.files.total, settings.files_limit, need.cores.workers, settings.locked_bytes
    )
}

fn sysctl(wish: &Wish, need: &Need, ports: &str) -> String {
    let settings = &need.settings;
    let mut text = format!(
        "# /etc/sysctl.d/90-ringway-plan.conf, then: sysctl --system. What follows from {} tunnels; all else is in tuning/.\n\
         # The highest limit on descriptors that a service may be given, and those of all processes.\n\
         fs.nr_open = {}\n\
         fs.file-max = {}\n\
         # A storm of reconnects waits there.\n\
         net.core.somaxconn = {}\n\
         # With cookies the queue of half-open connections is as long.\n\
         net.ipv4.tcp_syncookies = 1\n\
         # Local ports: {} % of those of {} source addresses are taken.\n\
         net.ipv4.ip_local_port_range = {ports}\n",
        wish.tunnels,
        settings.files_limit.max(FILES_CEILING),
        settings.files_of_all,
        limits::QUEUE_WANTED,
        need.ports.used_percent,
        need.ports.source_addresses,
    );
    if need.ports.used_percent > limits::PORTS_BUSY_PERCENT {
        text.push_str("# Ports that were closed in the last minute are needed again.\nnet.ipv4.tcp_tw_reuse = 1\n");
    }
    let _ = write!(
        text,
        "# Only where connections are tracked:\n#net.netfilter.nf_conntrack_max = {}\n",
        need.conntrack_entries.saturating_add(CONNTRACK_SPARE)
    );
    text
}

/// Writes them all or none; a file that is there is replaced only if `force` says so.
pub(super) fn write(folder: &Path, files: &[Written], force: bool) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let there: Vec<String> = files
        .iter()
        .map(|file| folder.join(file.name))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !there.is_empty() && !force {
        bail!(
            "{} there already; nothing was written. --force replaces, another --output leaves as it is",
            there.join(", ") + if there.len() == 1 { " is" } else { " are" }
        );
    }
    for file in files {
        let path = folder.join(file.name);
        put(&path, &file.text, force)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn put(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        // Whoever made it since we looked keeps it.
        options.create_new(true);
    }
    io::Write::write_all(&mut options.open(path)?, text.as_bytes())
}

/// The range that RFC 2544 keeps for benchmarks: no host has such an address by accident, and there is room for every backend.
const FIRST_BACKEND: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const FIRST_PORT: u64 = 8080;
/// What Linux begins with; it is not lowered.
const FILES_CEILING: u64 = 1 << 20;
/// What else a host has connections for.
const CONNTRACK_SPARE: u64 = 65_536;

const _: () = assert!(
    limits::PLAN_BACKENDS_MAX < 1 << 17,
    "198.18.0.0/15 has so many"
);
