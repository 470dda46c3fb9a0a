//! One look at a running Ringway, and what happened in a second between two of them.

use anyhow::Context as _;

use crate::cli::remote::Remote;
use crate::clock::Now;
use crate::control::BackendRow;

/// What was there at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) at: Now,
    pub(super) rows: Vec<BackendRow>,
    pub(super) totals: Totals,
}

/// What the metrics say of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals {
    pub(super) workers: usize,
    pub(super) tunnels: f64,
    pub(super) handshakes: f64,
    pub(super) messages: f64,
    pub(super) bytes: f64,
    pub(super) is_draining: bool,
}

/// What happened in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) handshakes: f64,
    pub(super) messages: f64,
    pub(super) bytes: f64,
}

impl Reading {
    pub(super) fn take(remote: &Remote) -> anyhow::Result<Self> {
        let page = remote.get("/metrics")?.good()?;
        let at = Now::read();
        let rows = remote.get("/backends")?.good()?;
        let rows = serde_json::from_str(&rows)
            .context("its backends are not told as this version tells them")?;
        Ok(Self {
            at,
            rows,
            totals: Totals::of(&page),
        })
    }
}

impl Totals {
    fn of(page: &str) -> Self {
        let mut totals = Self::default();
        for line in page.lines() {
            let Some((name, value)) = sample(line) else {
                continue;
            };
            match name {
                "ringway_tunnels_open" => {
                    totals.workers += 1;
                    totals.tunnels += value;
                }
                "ringway_request_heads_total" => totals.handshakes += value,
                "ringway_messages_total" => totals.messages += value,
                "ringway_bytes_total" => totals.bytes += value,
                "ringway_draining" => totals.is_draining = value > 0.0,
                _ => {}
            }
        }
        totals
    }
}

/// The name and the value of one line; nothing for a comment.
fn sample(line: &str) -> Option<(&str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let name = series.split('{').next()?;
    Some((name, value.parse().ok()?))
}

impl Rates {
    /// Nothing if no time has passed, or if another process answered and counts from zero.
    pub(super) fn between(earlier: &Reading, later: &Reading) -> Option<Self> {
        let seconds = later.at.since(earlier.at).as_secs_f64();
        let rate = |of: fn(&Totals) -> f64| {
            let grown = of(&later.totals) - of(&earlier.totals);
            (seconds > 0.0 && grown >= 0.0).then(|| grown / seconds)
        };
        Some(Self {
            handshakes: rate(|totals| totals.handshakes)?,
            messages: rate(|totals| totals.messages)?,
            bytes: rate(|totals| totals.bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PAGE: &str = "# HELP ringway_tunnels_open Tunnels open now.\n\
        # TYPE ringway_tunnels_open gauge\n\
        ringway_tunnels_open{worker=\"0\"} 3\nringway_tunnels_open{worker=\"1\"} 4\n\
        ringway_tunnels_opened_total{worker=\"0\"} 1000\n\
        ringway_request_heads_total{worker=\"0\"} 50\n\
        ringway_messages_total{worker=\"0\",direction=\"client_to_backend\"} 100\n\
        ringway_messages_total{worker=\"0\",direction=\"backend_to_client\"} 200\n\
        ringway_bytes_total{worker=\"0\",direction=\"client_to_backend\"} 4096\n\
        ringway_draining 1\n";

    fn reading(page: &str, millis: u64) -> Reading {
        Reading {
            at: Now::from_nanos(0).after(Duration::from_millis(millis)),
            rows: Vec::new(),
            totals: Totals::of(page),
        }
    }

    #[test]
    fn totals_add_up_the_workers() {
        let totals = Totals::of(PAGE);
        assert_eq!(
            totals,
            Totals {
                workers: 2,
                tunnels: 7.0,
                handshakes: 50.0,
                messages: 300.0,
                bytes: 4096.0,
                is_draining: true,
            }
        );
        assert_eq!(Totals::of("{} \n } x\n nonsense 5 6 y"), Totals::default());
    }

    #[test]
    fn rates_are_those_of_a_second_and_none_after_a_restart() {
        let later = PAGE.replace("} 50\n", "} 70\n").replace("} 4096", "} 8192");
        let (earlier, later) = (reading(PAGE, 1_000), reading(&later, 3_000));
        let rates = Rates::between(&earlier, &later).unwrap();
        assert_eq!(
            rates,
            Rates {
                handshakes: 10.0,
                messages: 0.0,
                bytes: 2048.0
            }
        );
        assert_eq!(Rates::between(&later, &earlier), None);
        let again = reading("", 4_000);
        assert_eq!(Rates::between(&later, &again), None);
    }
}
