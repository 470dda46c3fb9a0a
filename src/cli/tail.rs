//! `ringway tail`: the frames of one tunnel as they come.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::columns::clean;
use super::remote::{Remote, RemoteArgs};
use crate::control::{SeenFrame, TunnelId, TunnelTail};
use crate::limits::{TAIL_EVERY_MAX, TAIL_POLL, TAIL_RETRIES_MAX};

/// Show the frames of one tunnel of a running Ringway as they come.
///
/// Frames are shown from the first question on, each second those of the last one. Of payloads nothing is shown, or
/// with --payload the shape of the first 64 bytes: every letter as x or X, every digit as 0, and punctuation as it is.
/// That is logged by Ringway. It ends with the tunnel, after --count frames, or with Control-C.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  ringway tail 0-17-4211\n  ringway tail 0-17-4211 --every 100 --payload --json"
)]
pub(super) struct TailArgs {
    /// The tunnel, as `ringway tunnels` names it.
    id: TunnelId,
    /// Show one of so many frames.
    #[arg(long, default_value_t = 1, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(TAIL_EVERY_MAX)))]
    every: u32,
    /// Show the shape of payloads.
    #[arg(long)]
    payload: bool,
    /// End after so many frames.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print each frame as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[expect(
    clippy::print_stderr,
    reason = "that the tunnel has ended is no frame of it"
)]
pub(super) fn tail(args: &TailArgs) -> anyhow::Result<ExitCode> {
    let remote = Remote::new(&args.remote)?;
    let payload = if args.payload { "shape" } else { "none" };
    let (id, every, wait_ms) = (args.id, args.every, TAIL_POLL.as_millis());
    let target = format!("/tunnels/{id}/frames?every={every}&payload={payload}&wait={wait_ms}ms");
    let mut shown = Shown::new(args);
    let (mut has_begun, mut retries) = (false, 0);
    while !shown.is_enough() {
        let answer = remote.get(&target)?;
        if has_begun && answer.status == 503 && retries < TAIL_RETRIES_MAX {
            // A worker that is busy has the frames all the same.
            retries += 1;
            std::thread::park_timeout(TAIL_POLL);
            continue;
        }
        if has_begun && answer.status == 404 {
            eprintln!("tunnel {id} has ended");
            break;
        }
        let tail: TunnelTail = serde_json::from_str(&answer.good()?)
            .context("its frames are not told as this version tells them")?;
        (has_begun, retries) = (true, 0);
        match print(&shown.take(&tail.frames)) {
            // Whoever read this has heard enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            other => other?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// How far the frames were shown, and how.
#[derive(Debug)]
struct Shown {
    every: u64,
    json: bool,
    /// The number of the last one.
    last: u64,
    /// How many more are wanted.
    left: u64,
}

impl Shown {
    fn new(args: &TailArgs) -> Self {
        Self {
            every: args.every.into(),
            json: args.json,
            last: 0,
            left: args.count.unwrap_or(u64::MAX),
        }
    }

    const fn is_enough(&self) -> bool {
        self.left == 0
    }

    /// The lines of what is new among the latest frames.
    fn take(&mut self, frames: &[SeenFrame]) -> String {
        let newest = frames.last().map_or(0, |frame| frame.number);
        if newest < self.last {
            // The tail was forgotten in between, and has begun anew.
            self.last = 0;
        }
        let mut text = String::new();
        for frame in frames {
            if frame.number <= self.last || self.is_enough() {
                continue;
            }
            let missed = (frame.number - self.last) / self.every;
            if self.last > 0 && missed > 1 && !self.json {
                let lost = missed - 1;
                // Writing to a String never fails.
                let _ = writeln!(text, "({lost} frames came too fast to be kept)");
            }
            self.last = frame.number;
            self.left -= 1;
            text.push_str(&if self.json { json(frame) } else { line(frame) });
            text.push('\n');
        }
        text
    }
}

fn json(frame: &SeenFrame) -> String {
    serde_json::to_string(frame).expect("invariant: a frame has only string keys")
}

fn line(frame: &SeenFrame) -> String {
    let SeenFrame {
        number,
        payload_bytes,
        ..
    } = frame;
    let (at, sender, opcode) = (clean(&frame.at), clean(&frame.sender), clean(&frame.opcode));
    let mut line =
        format!("{at}  {number:>6}  {sender:<7}  {opcode:<12}  {payload_bytes:>10} bytes");
    if !frame.fin {
        line.push_str(", not the last");
    }
    if frame.compressed {
        line.push_str(", compressed");
    }
    if let Some(shape) = &frame.shape {
        line.push_str("  ");
        line.push_str(&clean(shape));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64) -> SeenFrame {
        SeenFrame {
            number,
            at: "2026-11-22T14:00:00.123Z".to_owned(),
            sender: "client".to_owned(),
            opcode: "text".to_owned(),
            fin: true,
            compressed: false,
            payload_bytes: 17,
            shape: None,
        }
    }

    fn shown(every: u64, left: u64) -> Shown {
        Shown {
            every,
            json: false,
            last: 0,
            left,
        }
    }

    #[test]
    fn a_line_says_what_the_header_says() {
        let start = "2026-11-22T14:00:00.123Z       7  client   text                  17 bytes";
        assert_eq!(line(&frame(7)), start);
        let mut fragment = frame(7);
        fragment.fin = false;
        fragment.compressed = true;
        assert_eq!(
            line(&fragment),
            format!("{start}, not the last, compressed")
        );
        let mut shaped = frame(7);
        shaped.shape = Some("{\"xxx\": 00}".to_owned());
        assert_eq!(line(&shaped), format!("{start}  {{\"xxx\": 00}}"));
    }

    #[test]
    fn each_frame_is_shown_once_and_gaps_are_told() {
        let mut shown = shown(10, 100);
        let lines = |text: String| text.lines().count();
        assert_eq!(lines(shown.take(&[frame(10), frame(20)])), 2);
        assert_eq!(lines(shown.take(&[frame(10), frame(20)])), 0);
        assert_eq!(lines(shown.take(&[frame(20), frame(30)])), 1);
        let text = shown.take(&[frame(80), frame(90)]);
        assert!(text.starts_with("(4 frames came too fast"), "{text}");
        assert_eq!(lines(text), 3);
        // Forgotten, and begun anew.
        assert_eq!(lines(shown.take(&[frame(10)])), 1);
        assert_eq!(lines(shown.take(&[])), 0);
        assert_eq!(lines(shown.take(&[frame(10), frame(20)])), 2);
    }

    #[test]
    fn it_ends_after_as_many_as_are_wanted() {
        let mut shown = shown(1, 2);
        assert!(!shown.is_enough());
        let text = shown.take(&[frame(1), frame(2), frame(3)]);
        assert_eq!((text.lines().count(), shown.is_enough()), (2, true));
    }
}
