//! `ringway top`: the fleet of a running Ringway as a live table in the terminal.

mod draw;
mod reading;
mod screen;
mod table;
mod view;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::remote::{Remote, RemoteArgs};
use crate::limits::{TOP_INTERVAL, TOP_ONCE_PAUSE};
use reading::{Rates, Reading};
use view::View;

/// Show the backends of a running Ringway as a live table.
///
/// Keys: q quits, s sorts by the next column, r turns the order around, / filters by pool, the arrows and the page
/// keys scroll. Where standard output is no terminal, one plain table is printed, as with --once.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ringway top\n  ringway top --once --pool chat")]
pub(super) struct TopArgs {
    /// How often it looks.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = interval)]
    pub interval: Duration,
    /// Print one plain table and exit. The rates are those of one second.
    #[arg(long)]
    pub once: bool,
    /// Show only pools whose name contains this.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub pool: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn top(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let remote = Remote::new(&args.remote)?;
    let view = View::new(remote.address(), args.pool.clone());
    if args.once || !std::io::stdout().is_terminal() {
        return once(&remote, view);
    }
    screen::show(remote, args.interval, view)
}

#[expect(
    clippy::print_stdout,
    reason = "the table is what the command is asked for"
)]
fn once(remote: &Remote, mut view: View) -> anyhow::Result<ExitCode> {
    let first = Reading::take(remote)?;
    std::thread::park_timeout(TOP_ONCE_PAUSE);
    view.heard(Ok(first));
    view.heard(Ok(Reading::take(remote)?));
    print!("{}", table::plain(&view));
    Ok(ExitCode::SUCCESS)
}

/// `500ms` or `2s`, within its bounds.
fn interval(text: &str) -> Result<Duration, String> {
    let millis = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse().ok(),
        (_, Some(number)) => number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(1_000)),
        _ => None,
    };
    let range = TOP_INTERVAL.least..=TOP_INTERVAL.most;
    let time = millis.map(Duration::from_millis);
    time.filter(|time| range.contains(time))
        .ok_or_else(|| "expected a time from 100ms to 3600s, such as 500ms or 2s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_unit_and_bounds() {
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["", "2", "s", "ms", "99ms", "3601s", "1h", "-1s", "1.5s"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
