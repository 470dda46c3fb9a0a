//! The live screen: one thread asks, one draws. The terminal is given back however it ends: by a key, a signal, an
//! error or a panic.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::draw::draw;
use super::reading::Reading;
use super::view::{Flow, View};
use crate::cli::remote::Remote;
use crate::limits::TOP_TICK;

type Taken = anyhow::Result<Reading>;

/// Shows the view until somebody quits it.
pub(super) fn show(remote: Remote, interval: Duration, view: View) -> anyhow::Result<ExitCode> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot take over the signals")?;
    let (looks, readings) = sync_channel(1);
    // Dropped at the end, it ends the other thread. That may still wait for an answer; nobody waits for it.
    let (_quit, quits) = channel::<()>();
    thread::Builder::new()
        .name("ringway-look".to_owned())
        .spawn(move || look(&remote, interval, &looks, &quits))
        .context("cannot start a thread")?;
    // This also sees to it that a panic gives the terminal back before it is told.
    let mut terminal = ratatui::try_init().context("cannot take over the terminal")?;
    let _given_back = GivenBack;
    run(&mut terminal, view, &readings, &mut signals)
}

/// Gives the terminal back when it goes out of scope.
struct GivenBack;

impl Drop for GivenBack {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn run(
    terminal: &mut DefaultTerminal,
    mut view: View,
    readings: &Receiver<Taken>,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    loop {
        terminal.draw(|frame| draw(frame, &view))?;
        loop {
            if let Some(signal) = signals.pending().next() {
                return Ok(ended_by(signal));
            }
            if let Ok(taken) = readings.try_recv() {
                view.heard(taken);
                break;
            }
            if !event::poll(TOP_TICK)? {
                continue;
            }
            if let Event::Key(key) = event::read()?
                && view.pressed(key) == Flow::Quit
            {
                return Ok(ExitCode::SUCCESS);
            }
            // A key, or a terminal of another size.
            break;
        }
    }
}

/// What a shell expects of a program that a signal ended.
fn ended_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}

/// Asks again and again, and tells what came of it, until nobody listens.
fn look(remote: &Remote, interval: Duration, looks: &SyncSender<Taken>, quits: &Receiver<()>) {
    while looks.send(Reading::take(remote)).is_ok() {
        if quits.recv_timeout(interval) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}
