//! The progress bar, on standard error and only where a person watches.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::options::{Mode, Options};
use super::signals::Signals;

/// Shows how far a run has come.
pub(super) struct Progress {
    bar: ProgressBar,
    tunnels: u64,
    load_ms: u64,
    what: &'static str,
}

impl Progress {
    pub(super) fn new(options: &Options) -> Self {
        let is_shown = options.has_progress && std::io::stderr().is_terminal();
        let bar = if is_shown {
            ProgressBar::new(1)
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{bar:30} {msg}")
            .expect("invariant: the template is a constant that parses");
        bar.set_style(style);
        let load = options.warmup + options.duration;
        Self {
            bar,
            tunnels: options.tunnels as u64,
            load_ms: u64::try_from(load.as_millis()).unwrap_or(u64::MAX),
            what: if options.mode == Mode::Handshakes {
                "handshakes"
            } else {
                "messages"
            },
        }
    }

    pub(super) fn show_opening(&self, signals: &Signals) {
        let (opened, _) = signals.progress();
        self.bar.set_length(self.tunnels);
        self.bar.set_position(opened);
        self.bar
            .set_message(format!("opening {opened} of {} tunnels", self.tunnels));
    }

    pub(super) fn show_load(&self, signals: &Signals, elapsed: Duration) {
        let (_, answered) = signals.progress();
        self.bar.set_length(self.load_ms);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.bar.set_position(elapsed_ms.min(self.load_ms));
        self.bar.set_message(format!("{answered} {}", self.what));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
