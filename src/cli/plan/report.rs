//! A plan as a person reads it.

use std::fmt::Write as _;

use super::reckon::{Cores, Need, Network, Ports};
use super::shortfall::Shortfall;
use super::sum::Sum;
use super::wish::{TlsSides, Wish};
use crate::cli::columns::{lined_up, number, text};
use crate::limits::PLAN_CORE_PERCENT;

pub(super) fn report(wish: &Wish, need: &Need) -> String {
    let mut all = headline(wish);
    let bytes = |bytes| size(bytes);
    section(&mut all, "FILES", &need.files, grouped);
    section(&mut all, "MEMORY OF THE KERNEL", &need.kernel_bytes, bytes);
    section(&mut all, "OUR MEMORY", &need.our_bytes, bytes);
    // Writing to a String never fails.
    let _ = writeln!(all, "\nmemory in all: {}", size(need.memory_bytes));
    ports(&mut all, &need.ports);
    cores(&mut all, &need.cores, wish);
    network(&mut all, &need.network, wish);
    let _ = writeln!(
        all,
        "connection tracking, if it is loaded: {} entries",
        grouped(need.conntrack_entries)
    );
    all
}

fn headline(wish: &Wish) -> String {
    let tls = match wish.tls {
        TlsSides::None => "no TLS",
        TlsSides::Clients => "TLS with clients",
        TlsSides::Backends => "TLS with backends",
        TlsSides::Both => "TLS on both sides",
    };
    format!(
        "{} tunnels to {} backends, {} messages a second each of {} bytes, {} new a second, {tls}\n",
        grouped(wish.tunnels),
        grouped(wish.backends),
        thousandths(wish.message_rate_milli),
        grouped(wish.message_bytes),
        grouped(wish.connects_per_second),
    )
}

fn section(all: &mut String, title: &'static str, sum: &Sum, show: impl Fn(u64) -> String) {
    let columns = [
        text(title, 0),
        number("COUNT", 0),
        number("EACH", 0),
        number("IN ALL", 0),
        text("FROM", 0),
    ];
    let mut rows: Vec<[String; 5]> = sum
        .lines
        .iter()
        .map(|line| {
            [
                line.name.to_owned(),
                grouped(line.count),
                show(line.each),
                show(line.total),
                line.from.to_owned(),
            ]
        })
        .collect();
    let nothing = String::new;
    rows.push([
        "together".to_owned(),
        nothing(),
        nothing(),
        show(sum.total),
        nothing(),
    ]);
    all.push('\n');
    all.push_str(&lined_up(&columns, &rows));
}

fn ports(all: &mut String, ports: &Ports) {
    let _ = writeln!(
        all,
        "\nlocal ports: {} tunnels to each backend, {} ports of a source address: {} source address{} needed\n\
         {:13}({} with all ports from 1024 on); {} % of the ports of {} taken",
        grouped(ports.tunnels_per_backend),
        grouped(ports.per_source_address),
        grouped(ports.source_addresses_needed),
        if ports.source_addresses_needed == 1 {
            ""
        } else {
            "es"
        },
        "",
        grouped(ports.source_addresses_with_widest),
        grouped(ports.used_percent),
        grouped(ports.source_addresses),
    );
}

fn cores(all: &mut String, cores: &Cores, wish: &Wish) {
    let source = if wish.echo_ns.is_some() {
        "as given"
    } else {
        "as measured on the machines that docs/capacity.md names"
    };
    let busy = u128::from(cores.busy_ns_per_second);
    let _ = writeln!(
        all,
        "\nprocessor: {} messages a second at {} ns, {} handshakes at {} µs: {} cores' time, {source}\n\
         {:11}{} workers at {PLAN_CORE_PERCENT} % ({} by work, {} by tunnels), and a core for everything else",
        grouped(cores.messages_per_second),
        grouped(cores.message_ns),
        grouped(cores.connects_per_second),
        grouped(cores.handshake_ns.div_ceil(1000)),
        thousandths(u64::try_from(busy / 1_000_000).unwrap_or(u64::MAX)),
        "",
        grouped(cores.workers_needed),
        grouped(cores.by_work),
        grouped(cores.by_tunnels),
    );
    if cores.workers != cores.workers_needed {
        let _ = writeln!(all, "{:11}planned with {}", "", grouped(cores.workers));
    }
}

fn network(all: &mut String, network: &Network, wish: &Wish) {
    let _ = writeln!(
        all,
        "\nnetwork: {} in and as much out ({} bytes on the wire for a message of {})",
        bits(network.bits_per_second),
        grouped(network.wire_bytes_per_message),
        grouped(wish.message_bytes)
    );
}

/// What this host lacks.
pub(super) fn shortfalls_text(shortfalls: &[Shortfall]) -> String {
    if shortfalls.is_empty() {
        return "\nThis host lacks nothing for it.\n".to_owned();
    }
    let mut all = "\nWhere this host falls short:\n".to_owned();
    for one in shortfalls {
        let _ = writeln!(all, "  {}: {}, needs {}", one.what, one.found, one.needed);
        let _ = writeln!(all, "    fix: {}", one.fix);
    }
    all
}

/// `1,000,000`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.1` of 100.
fn thousandths(count: u64) -> String {
    let text = format!("{}.{:03}", grouped(count / 1000), count % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes with three digits or so: `451 B`, `8.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    scaled(
        bytes,
        1024,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
    )
}

fn bits(bits: u64) -> String {
    scaled(
        bits,
        1000,
        &[
            "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s",
        ],
    )
}

/// With one decimal from the second unit on; integers all the way, so that it is the same everywhere.
fn scaled(count: u64, step: u64, units: &[&str]) -> String {
    let (mut whole, mut rest, mut unit) = (count, 0, 0);
    while whole >= step && unit + 1 < units.len() {
        (whole, rest, unit) = (whole / step, whole % step, unit + 1);
    }
    match unit {
        0 => format!("{whole} {}", units[0]),
        _ => format!("{whole}.{} {}", rest * 10 / step, units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(thousandths(100), "0.1");
        assert_eq!(thousandths(2_000), "2");
        assert_eq!(thousandths(1_234_050), "1,234.05");
        assert_eq!(size(451), "451 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(9 << 30), "9.0 GiB");
        assert_eq!(size(u64::MAX), "15.9 EiB");
        assert_eq!(bits(1_296_000_000), "1.2 Gbit/s");
    }
}
