//! `ringway tunnels`: which tunnels a running Ringway has open, and what they have carried.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::columns::{Column, clean, lined_up, number, text};
use super::remote::{Remote, RemoteArgs, escaped};
use crate::control::{OpenTunnel, TunnelList};
use crate::limits::TUNNELS_LIMIT;

/// Show the open tunnels of a running Ringway and what they have carried.
///
/// With --json the answer of `GET /tunnels` is printed as it is. What is missing is said on standard error.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  ringway tunnels --backend 10.0.0.11:9000\n  ringway tunnels --route chat --limit 1000 --json"
)]
pub(super) struct TunnelsArgs {
    /// Only those of the route with this name.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only those of the backend with this name, as `ringway top` shows it.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Only those of one worker.
    #[arg(long, value_name = "NUMBER")]
    worker: Option<u16>,
    /// At most so many, up to 1000.
    #[arg(long, default_value_t = TUNNELS_LIMIT.default, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(i64::from(TUNNELS_LIMIT.least)..=i64::from(TUNNELS_LIMIT.most)))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[expect(
    clippy::print_stdout,
    reason = "the list is what the command is asked for"
)]
#[expect(
    clippy::print_stderr,
    reason = "what is missing from the list is no part of it"
)]
pub(super) fn tunnels(args: &TunnelsArgs) -> anyhow::Result<ExitCode> {
    let remote = Remote::new(&args.remote)?;
    let body = remote.get(&target(args))?.good()?;
    let list: TunnelList = serde_json::from_str(&body)
        .context("its tunnels are not told as this version tells them")?;
    if args.json {
        println!("{body}");
    } else {
        let rows: Vec<_> = list.tunnels.iter().map(cells).collect();
        print!("{}", lined_up(&COLUMNS, &rows));
    }
    for words in missing(&list) {
        eprintln!("{words}");
    }
    Ok(ExitCode::SUCCESS)
}

fn target(args: &TunnelsArgs) -> String {
    let mut target = format!("/tunnels?limit={}", args.limit);
    let worker = args.worker.map(|worker| worker.to_string());
    for (name, value) in [
        ("route", &args.route),
        ("backend", &args.backend),
        ("worker", &worker),
    ] {
        if let Some(value) = value {
            // Writing to a String never fails.
            let _ = write!(target, "&{name}={}", escaped(value));
        }
    }
    target
}

/// What a row shows, in this order.
const COLUMNS: [Column; 11] = [
    text("ID", 10),
    text("CLIENT", 21),
    text("ROUTE", 8),
    text("POOL", 8),
    text("BACKEND", 21),
    text("OPENED", 24),
    number("SILENT", 8),
    number("FROM CLIENT", 11),
    number("BYTES", 8),
    number("FROM BACKEND", 12),
    number("BYTES", 8),
];

fn cells(tunnel: &OpenTunnel) -> [String; COLUMNS.len()] {
    let client = match tunnel.forwarded_for {
        Some(address) => format!("{address} by {}", tunnel.client),
        None => tunnel.client.to_string(),
    };
    let (up, down) = (tunnel.client_to_backend, tunnel.backend_to_client);
    let (seconds, millis) = (tunnel.silent_ms / 1_000, tunnel.silent_ms % 1_000);
    [
        clean(&tunnel.id),
        client,
        clean(&tunnel.route),
        clean(&tunnel.pool),
        clean(&tunnel.backend),
        clean(&tunnel.opened),
        format!("{seconds}.{:01} s", millis / 100),
        up.messages.to_string(),
        up.bytes.to_string(),
        down.messages.to_string(),
        down.bytes.to_string(),
    ]
}

/// What the list leaves out, in a line each.
fn missing(list: &TunnelList) -> Vec<String> {
    let mut words = Vec::new();
    if list.more {
        words.push("there are more, or may be: raise --limit, or ask for fewer".to_owned());
    }
    for worker in &list.unanswered {
        words.push(format!(
            "worker {worker} did not answer, so its tunnels are missing"
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Carried;

    fn tunnel() -> OpenTunnel {
        OpenTunnel {
            id: "0-17-4211".to_owned(),
            worker: 0,
            client: "10.0.0.1:5000".parse().unwrap(),
            forwarded_for: Some("192.0.2.7".parse().unwrap()),
            route: "/\u{1b}[2J".to_owned(),
            pool: "chat".to_owned(),
            backend: "10.0.0.11:9000".to_owned(),
            opened: "2026-11-22T14:00:00.000Z".to_owned(),
            silent_ms: 61_980,
            client_to_backend: Carried {
                messages: 4,
                bytes: 50,
            },
            backend_to_client: Carried {
                messages: 6,
                bytes: 70_000,
            },
            inspect: "headers".to_owned(),
            compressed: false,
        }
    }

    #[test]
    fn a_row_says_who_where_and_how_much() {
        assert_eq!(
            lined_up(&COLUMNS, &[cells(&tunnel())]),
            "ID         CLIENT                      ROUTE  POOL  BACKEND         OPENED                    SILENT  FROM CLIENT  BYTES  FROM BACKEND  BYTES\n\
             0-17-4211  192.0.2.7 by 10.0.0.1:5000  /?[2J  chat  10.0.0.11:9000  2026-11-22T14:00:00.000Z  61.9 s            4     50             6  70000\n"
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let list = TunnelList {
            tunnels: vec![tunnel()],
            more: true,
            unanswered: vec![1, 3],
        };
        let words = missing(&list);
        assert_eq!(words.len(), 3, "{words:?}");
        assert!(words[2].starts_with("worker 3 did not answer"), "{words:?}");
        assert!(missing(&TunnelList::default()).is_empty());
    }
}
