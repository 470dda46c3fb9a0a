//! The command line of `ringway bench`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::options::{Mode, Options, Text, Trust};
use super::subject::Subject;

/// Load a WebSocket echo server and report throughput, latency and errors.
///
/// Opens tunnels, sends numbered messages, binary ones or text, and checks every echo. It knows nothing of Ringway, so it measures any
/// server that echoes, or any proxy before one.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct BenchArgs {
    /// The server: ws://host:port/path, or wss:// for TLS.
    pub url: String,
    /// Tunnels open at once; with --handshakes, handshakes under way at once.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub tunnels: usize,
    /// Payload of each message, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    pub size: usize,
    /// Send text: ASCII, or mixed with characters of 2 to 4 bytes. Without it, messages are binary.
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "ascii", conflicts_with = "handshakes")]
    pub text: Option<Text>,
    /// Messages each tunnel may have under way.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub in_flight: usize,
    /// Messages per second over all tunnels, due at fixed times whether or not echoes come back. Latency then counts
    /// from when a message was due (corrected for coordinated omission). Without it, each echo lets the next go.
    #[arg(long, value_name = "MSGS_PER_SECOND", conflicts_with_all = ["handshakes", "idle"])]
    pub rate: Option<u64>,
    /// The measured time, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Load before measuring, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub warmup: Duration,
    /// Threads, each with its share of the tunnels.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Pin the first thread to this core, the next to the one after it, and so on.
    #[arg(long, value_name = "N")]
    pub core: Option<usize>,
    /// New connections per second while the tunnels open; with --handshakes, all the time.
    #[arg(long, value_name = "PER_SECOND")]
    pub connect_rate: Option<u64>,
    /// Local addresses to connect from, in turn. One address has ports for some 28,000 tunnels to one server.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub source: Vec<IpAddr>,
    /// Connect, upgrade and abort in a loop, and report handshakes per second. With wss:// that takes in the handshake
    /// of TLS, which is a full one each time unless --resume says otherwise.
    #[arg(long, conflicts_with = "idle")]
    pub handshakes: bool,
    /// Send one message on each tunnel, then hold all of them open and silent for the duration.
    #[arg(long)]
    pub idle: bool,
    /// Trust the authorities in this PEM file, and no others. Without it, those that this system trusts.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Trust any certificate, whoever made it and for whatever name: for servers of your own.
    #[arg(long)]
    pub insecure: bool,
    /// With --handshakes, come back with the ticket that the server gave to the connection before.
    #[arg(long, requires = "handshakes")]
    pub resume: bool,
    /// How long a handshake or an echo may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
    /// Report the processor time and memory of this local process too, or of what an agent on the proxy's host answers
    /// for (`cargo versus --role proxy`); repeat it for several.
    #[arg(long, value_name = "PID|ADDRESS:PORT")]
    pub watch: Vec<Subject>,
    /// A further request header; repeat it for several.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Print one JSON object on standard output, and nothing else.
    #[arg(long)]
    pub json: bool,
}

impl BenchArgs {
    /// The same in the program's own terms.
    pub fn options(&self) -> Options {
        Options {
            url: self.url.clone(),
            mode: match (self.handshakes, self.idle) {
                (true, _) => Mode::Handshakes,
                (_, true) => Mode::Idle,
                _ => Mode::Messages,
            },
            tunnels: self.tunnels,
            payload_bytes: self.size,
            text: self.text,
            in_flight: self.in_flight,
            rate: self.rate,
            duration: self.duration,
            warmup: self.warmup,
            threads: self.threads,
            core: self.core,
            connect_rate: self.connect_rate,
            sources: self.source.clone(),
            headers: self.header.clone(),
            trust: match (&self.ca, self.insecure) {
                (Some(file), _) => Trust::File(file.clone()),
                (None, true) => Trust::Anyone,
                (None, false) => Trust::System,
            },
            is_resuming: self.resume,
            timeout: self.timeout,
            watch: self.watch.clone(),
            has_progress: !self.json,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| format!("expected 0 to {} seconds", DURATION_MAX.as_secs()))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected \"Name: value\"")?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is no header name"));
    }
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("a header value holds no control characters".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// A week; a longer run is more likely a slip.
const DURATION_MAX: Duration = Duration::from_hours(7 * 24);

const EXAMPLES: &str = "\
Examples:
  ringway bench ws://127.0.0.1:8080/ws
  ringway bench ws://127.0.0.1:8080/ws --tunnels 1000 --size 1024 --rate 20000 --duration 30
  ringway bench ws://127.0.0.1:8080/ws --size 65536 --text mixed
  ringway bench ws://10.0.0.5:8080/ws --idle --tunnels 50000 --source 10.0.0.7,10.0.0.8
  ringway bench ws://127.0.0.1:8080/ws --handshakes --json
  ringway bench wss://localhost:8443/ws --handshakes --resume --ca ca.pem";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(words: &str) -> Result<Options, String> {
        let words = std::iter::once("bench").chain(words.split_ascii_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(line.bench.options())
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let mut expected = Options::to("ws://a/");
        expected.has_progress = true;
        assert_eq!(
            format!("{:?}", parse("ws://a/").unwrap()),
            format!("{expected:?}")
        );
    }

    #[test]
    fn words_become_options() {
        let options = parse(
            "ws://a/ --idle --source 127.0.0.1,127.0.0.2 --duration 0.5 --header A:b --header C:d --json",
        )
        .unwrap();
        assert_eq!(options.mode, Mode::Idle);
        assert_eq!(options.sources.len(), 2);
        assert_eq!(options.duration, Duration::from_millis(500));
        assert_eq!(options.headers[1], ("C".to_owned(), "d".to_owned()));
        assert!(!options.has_progress);
    }

    #[test]
    fn text_is_ascii_unless_it_says_otherwise() {
        for (words, text) in [
            ("ws://a/", None),
            ("ws://a/ --text", Some(Text::Ascii)),
            ("ws://a/ --text --json", Some(Text::Ascii)),
            ("--text ascii ws://a/", Some(Text::Ascii)),
            ("ws://a/ --text mixed", Some(Text::Mixed)),
        ] {
            assert_eq!(parse(words).unwrap().text, text, "{words}");
        }
    }

    #[test]
    fn trust_is_the_system_s_unless_it_says_otherwise() {
        for (words, trust) in [
            ("wss://a/", Trust::System),
            ("wss://a/ --insecure", Trust::Anyone),
            ("wss://a/ --ca a.pem", Trust::File("a.pem".into())),
        ] {
            assert_eq!(parse(words).unwrap().trust, trust, "{words}");
        }
    }

    #[test]
    fn words_that_make_no_sense_are_refused() {
        for words in [
            "ws://a/ --idle --handshakes",
            "ws://a/ --idle --rate 5",
            "ws://a/ --text --handshakes",
            "ws://a/ --text latin",
            "wss://a/ --ca a.pem --insecure",
            "wss://a/ --resume",
            "ws://a/ --duration -1",
            "ws://a/ --duration soon",
            "ws://a/ --header nothing",
            "ws://a/ --header b@d:x",
            "",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
