//! What a run found, for programs and for people.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::failure::Errors;
use super::options::{Mode, Options, Text};
use super::tally::{Shaken, Tally};

/// All numbers of one run. Names end in their unit.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// What was loaded.
    pub url: String,
    /// What the tunnels did.
    pub mode: Mode,
    /// Tunnels asked for.
    pub tunnels: usize,
    /// Tunnels open at the end of the measured time.
    pub tunnels_open: u64,
    /// Payload of each message.
    pub payload_bytes: usize,
    /// The kind of text sent; binary messages if none.
    pub text: Option<Text>,
    /// Messages each tunnel could have under way.
    pub in_flight: usize,
    /// The fixed rate that was asked for.
    pub rate_per_second: Option<u64>,
    /// The measured time.
    pub measured_seconds: f64,
    /// Echoes that came back in the measured time; in [`Mode::Handshakes`], handshakes.
    pub messages: u64,
    /// The same for each second.
    pub messages_per_second: f64,
    /// Payload echoed for each second; the same amount went out.
    pub payload_mib_per_second: f64,
    /// How long the echoes took.
    pub latency: Latency,
    /// What went wrong.
    pub errors: Errors,
    /// The handshakes of TLS; none in the clear.
    pub tls: Shaken,
    /// Messages of a fixed rate that were due in the measured time and never answered.
    pub unanswered: u64,
    /// What the generator itself used.
    pub generator: Processor,
    /// What those that were watched used, in the order they were named.
    pub watched: Vec<Watched>,
}

/// How long messages took, in microseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Latency {
    /// Counted from the moment a message was due, so that a stall is not forgiven (corrected for coordinated
    /// omission). That needs a fixed rate; otherwise from the moment it was sent.
    pub is_corrected: bool,
    /// Messages measured.
    pub count: u64,
    /// The mean.
    pub mean_us: f64,
    /// The median.
    pub p50_us: f64,
    /// Nine of ten were faster.
    pub p90_us: f64,
    /// 99 of 100 were faster.
    pub p99_us: f64,
    /// 999 of 1,000 were faster.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// Processor time spent in the measured time.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Processor {
    /// Nanoseconds of processor time.
    pub processor_ns: u64,
    /// Busy cores: 1 is one core all the time.
    pub cores: f64,
    /// Processor time for each message, or handshake.
    pub ns_per_message: f64,
}

/// One that was watched.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Watched {
    /// The process; none where an agent answered.
    pub pid: Option<u32>,
    /// Its processor time, all threads together.
    #[serde(flatten)]
    pub processor: Processor,
    /// Resident memory before the first connection.
    pub resident_bytes_before: u64,
    /// Resident memory at the end of the measured time, while the tunnels are open.
    pub resident_bytes_after: u64,
}

impl Report {
    pub(super) fn new(options: &Options, tally: Tally, resident_before: &[u64]) -> Self {
        let seconds = tally.measured.as_secs_f64();
        let per_second = ratio(float(tally.messages), seconds);
        let echoed_bytes = match options.mode {
            Mode::Handshakes => 0.0,
            Mode::Messages | Mode::Idle => float(options.payload_bytes as u64),
        };
        let processor = |ns| Processor::new(ns, tally.measured, tally.messages);
        let before = options.watch.iter().zip(resident_before);
        let watched = before
            .zip(&tally.watched)
            .map(|((subject, &before), &(ns, after))| Watched {
                pid: subject.pid(),
                processor: processor(ns),
                resident_bytes_before: before,
                resident_bytes_after: after,
            });
        Self {
            url: options.url.clone(),
            mode: options.mode,
            tunnels: options.tunnels,
            tunnels_open: tally.tunnels_open,
            payload_bytes: options.payload_bytes,
            text: options.text,
            in_flight: options.in_flight,
            rate_per_second: options.rate,
            measured_seconds: seconds,
            messages: tally.messages,
            messages_per_second: per_second,
            payload_mib_per_second: per_second * echoed_bytes / MIB,
            latency: Latency::new(&tally.latency, options.rate.is_some()),
            unanswered: tally.unanswered,
            generator: processor(tally.processor_ns),
            watched: watched.collect(),
            errors: tally.errors,
            tls: tally.shaken,
        }
    }
}

impl Latency {
    fn new(histogram: &Histogram<u64>, is_corrected: bool) -> Self {
        let at = |quantile| float(histogram.value_at_quantile(quantile)) / 1e3;
        Self {
            is_corrected,
            count: histogram.len(),
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: float(histogram.max()) / 1e3,
        }
    }
}

impl Processor {
    fn new(processor_ns: u64, measured: Duration, messages: u64) -> Self {
        Self {
            processor_ns,
            cores: ratio(float(processor_ns) / 1e9, measured.as_secs_f64()),
            ns_per_message: ratio(float(processor_ns), float(messages)),
        }
    }
}

/// The text for people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_question(out)?;
        self.write_answer(out)?;
        self.write_errors(out)?;
        let share = self.generator.cores * 100.0;
        let each = self.generator.ns_per_message;
        write!(
            out,
            "generator   {share:.0} % of one core, {each:.0} ns each"
        )?;
        for one in &self.watched {
            let Processor {
                cores,
                ns_per_message,
                ..
            } = one.processor;
            let before = float(one.resident_bytes_before) / MIB;
            let after = float(one.resident_bytes_after) / MIB;
            write!(
                out,
                "\nprocess {:<7} {:.0} % of one core, {ns_per_message:.0} ns each, \
                {before:.1} MiB resident before and {after:.1} MiB at the end",
                one.pid
                    .map_or_else(|| "there".to_owned(), |pid| pid.to_string()),
                cores * 100.0
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn write_question(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            tunnels,
            payload_bytes,
            in_flight,
            ..
        } = self;
        let seconds = self.measured_seconds;
        write!(out, "{url}  {tunnels} tunnels, ")?;
        match (self.mode, self.rate_per_second) {
            (Mode::Handshakes, _) => write!(out, "handshakes")?,
            (Mode::Idle, _) => write!(out, "idle after one message of {payload_bytes} B")?,
            (Mode::Messages, rate) => {
                let kind = match self.text {
                    None => "",
                    Some(Text::Ascii) => " of ASCII text",
                    Some(Text::Mixed) => " of mixed text",
                };
                write!(out, "{payload_bytes} B{kind}, {in_flight} in flight, ")?;
                match rate {
                    Some(rate) => write!(out, "{rate} messages/s")?,
                    None => write!(out, "as fast as possible")?,
                }
            }
        }
        writeln!(out, ", {seconds:.1} s\n")
    }

    fn write_answer(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.messages_per_second;
        match self.mode {
            Mode::Handshakes => writeln!(out, "handshakes  {}, {per_second:.0}/s", self.messages)?,
            Mode::Idle => writeln!(
                out,
                "tunnels     {} of {} open to the end",
                self.tunnels_open, self.tunnels
            )?,
            Mode::Messages => writeln!(
                out,
                "messages    {}, {per_second:.0}/s, {:.1} MiB/s each way, {} tunnels open to the end",
                self.messages, self.payload_mib_per_second, self.tunnels_open
            )?,
        }
        let Shaken {
            full,
            resumed,
            terms,
        } = &self.tls;
        if !terms.is_empty() {
            writeln!(
                out,
                "TLS         {full} full handshakes, {resumed} resumed; {terms}"
            )?;
        }
        let Latency {
            p50_us,
            p90_us,
            p99_us,
            p999_us,
            max_us,
            ..
        } = self.latency;
        writeln!(
            out,
            "latency     p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            Micros(p50_us),
            Micros(p90_us),
            Micros(p99_us),
            Micros(p999_us),
            Micros(max_us)
        )?;
        if self.mode == Mode::Messages {
            let meaning = if self.latency.is_corrected {
                "from when each message was due: corrected for coordinated omission"
            } else {
                "from when each message was sent: a stall holds back those behind it unseen, --rate shows it"
            };
            writeln!(out, "            {meaning}")?;
        }
        Ok(())
    }

    fn write_errors(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unanswered > 0 {
            let share = 100.0 * ratio(float(self.unanswered), float(self.latency.count));
            writeln!(
                out,
                "unanswered  {} messages that were due ({share:.1} %)",
                self.unanswered
            )?;
        }
        if self.errors.total() == 0 {
            return writeln!(out, "errors      none");
        }
        for (count, kind, example) in self.errors.lines() {
            writeln!(out, "errors      {count} {kind}, the first: {example}")?;
        }
        Ok(())
    }
}

/// A time in the unit that reads best.
struct Micros(f64);

impl fmt::Display for Micros {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            micros if micros < 1e3 => write!(out, "{micros:.0} µs"),
            micros if micros < 1e6 => write!(out, "{:.2} ms", micros / 1e3),
            micros => write!(out, "{:.2} s", micros / 1e6),
        }
    }
}

fn ratio(one: f64, other: f64) -> f64 {
    if other > 0.0 { one / other } else { 0.0 }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a report needs the first digits only"
)]
const fn float(count: u64) -> f64 {
    count as f64
}

const MIB: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_well_and_is_json() {
        let mut options = Options::to("ws://h/");
        options.rate = Some(100);
        options.text = Some(Text::Mixed);
        let mut tally = Tally::new();
        tally.messages = 250;
        tally.measured = Duration::from_millis(2500);
        tally.processor_ns = 500_000_000;
        for micros in 1..=1000 {
            tally.latency.saturating_record(micros * 1000);
        }
        let report = Report::new(&options, tally, &[]);
        let text = report.to_string();
        assert!(text.contains("messages    250, 100/s"), "{text}");
        assert!(text.contains("64 B of mixed text, 1 in flight"), "{text}");
        assert!(text.contains("p50 500 µs"), "{text}");
        assert!(
            text.contains("corrected for coordinated omission"),
            "{text}"
        );
        assert!(text.contains("20 % of one core, 2000000 ns each"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["mode"], "messages");
        assert_eq!(json["text"], "mixed");
        assert_eq!(json["latency"]["is_corrected"], true);
        assert_eq!(json["errors"]["wrong_echo"], 0);
    }

    #[test]
    fn an_empty_run_divides_by_nothing() {
        let report = Report::new(&Options::to("ws://h/"), Tally::new(), &[]);
        assert!(
            !serde_json::to_string(&report)
                .unwrap()
                .contains("null,\"messages\"")
        );
        assert!(report.messages_per_second.abs() < f64::EPSILON);
    }
}
