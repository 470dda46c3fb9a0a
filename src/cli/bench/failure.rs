//! What can go wrong with a tunnel, counted by kind with one example each.

use std::collections::BTreeMap;
use std::io;

/// One thing that went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// What a person would want to read.
    pub(super) detail: String,
}

/// The kinds of failure that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ConnectFailed,
    RefusedStatus,
    Closed,
    TimedOut,
    WrongEcho,
}

/// How often each kind of failure happened.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Errors {
    /// The connection could not be made.
    pub connect_failed: u64,
    /// The server answered the upgrade with something else than a proper 101.
    pub refused_status: u64,
    /// The server ended a tunnel, or a handshake, before its time.
    pub closed: u64,
    /// A handshake or an echo did not come in time.
    pub timed_out: u64,
    /// What came back was not what was sent.
    pub wrong_echo: u64,
    /// The first of each kind, in words.
    pub examples: BTreeMap<&'static str, String>,
}

impl Failure {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// A connection that could not be made, with what helps when this machine is the reason.
    pub(super) fn connect(error: &io::Error) -> Self {
        let advice = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::AddrNotAvailable, _) => {
                "; no local port or address is free, add --source addresses"
            }
            (_, Some(TOO_MANY_OPEN_FILES)) => "; raise the limit with ulimit -n",
            _ if is_about_certificate(error) => {
                "; trust its authority with --ca FILE, or any certificate with --insecure"
            }
            _ => "",
        };
        Self::new(Kind::ConnectFailed, format!("{error}{advice}"))
    }

    pub(super) fn closed(error: &io::Error) -> Self {
        Self::new(Kind::Closed, error.to_string())
    }
}

impl Errors {
    pub(super) fn count(&mut self, failure: Failure) {
        let (name, count) = match failure.kind {
            Kind::ConnectFailed => ("connect_failed", &mut self.connect_failed),
            Kind::RefusedStatus => ("refused_status", &mut self.refused_status),
            Kind::Closed => ("closed", &mut self.closed),
            Kind::TimedOut => ("timed_out", &mut self.timed_out),
            Kind::WrongEcho => ("wrong_echo", &mut self.wrong_echo),
        };
        *count += 1;
        self.examples.entry(name).or_insert(failure.detail);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.connect_failed += other.connect_failed;
        self.refused_status += other.refused_status;
        self.closed += other.closed;
        self.timed_out += other.timed_out;
        self.wrong_echo += other.wrong_echo;
        for (name, example) in other.examples {
            self.examples.entry(name).or_insert(example);
        }
    }

    /// All kinds together.
    pub const fn total(&self) -> u64 {
        self.connect_failed + self.refused_status + self.closed + self.timed_out + self.wrong_echo
    }

    /// Each kind that happened: how often, what it is called, and the first of it.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, &'static str, &str)> {
        let kinds = [
            (self.connect_failed, "connect failed", "connect_failed"),
            (self.refused_status, "refused status", "refused_status"),
            (self.closed, "closed", "closed"),
            (self.timed_out, "timed out", "timed_out"),
            (self.wrong_echo, "wrong echo", "wrong_echo"),
        ];
        kinds
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, words, name)| {
                let example = self.examples.get(name).map_or("", String::as_str);
                (count, words, example)
            })
    }
}

fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// `EMFILE`, the same on every Linux.
const TOO_MANY_OPEN_FILES: i32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_kind_is_kept() {
        let mut errors = Errors::default();
        errors.count(Failure::new(Kind::Closed, "one"));
        errors.count(Failure::new(Kind::Closed, "two"));
        let mut other = Errors::default();
        other.count(Failure::connect(&io::Error::from_raw_os_error(24)));
        errors.add(other);
        assert_eq!(errors.total(), 3);
        let lines: Vec<_> = errors.lines().collect();
        assert_eq!(lines[1], (2, "closed", "one"));
        assert!(lines[0].2.contains("ulimit -n"));
    }
}
