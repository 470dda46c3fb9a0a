//! How long a certificate is good for, and from when on that is too short.

use crate::limits::CERTIFICATE_ENDING;
use crate::tls::{CertificateFact, KeyKind, Validity};

/// A certificate that is shown to clients or to backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The setting that names it, such as `listeners.public.tls.certificates[0]`.
    pub place: String,
    /// What it says about itself.
    pub fact: CertificateFact,
}

/// How a certificate stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is good, and for long enough.
    Good,
    /// It is good, but should have been renewed: less than 30 days are left, or less than a quarter of its whole life
    /// where that is shorter. Whoever renews by the usual third of 90 days never sees it.
    Ending,
    /// It is not good yet.
    NotYet,
    /// It is not good any more.
    Ended,
}

impl ShownCertificate {
    /// How it stands at this second since 1970.
    pub fn life(&self, unix_seconds: i64) -> Life {
        match self.fact.validity(unix_seconds) {
            Validity::NotYet => Life::NotYet,
            Validity::Expired => Life::Ended,
            Validity::Good if self.left(unix_seconds) < self.ending() => Life::Ending,
            Validity::Good => Life::Good,
        }
    }

    /// When less than this many seconds are left, it should have been renewed.
    fn ending(&self) -> i64 {
        let life = self.fact.not_after.saturating_sub(self.fact.not_before);
        let most = i64::try_from(CERTIFICATE_ENDING.as_secs()).unwrap_or(i64::MAX);
        most.min(life / 4)
    }

    const fn left(&self, unix_seconds: i64) -> i64 {
        self.fact.not_after.saturating_sub(unix_seconds)
    }

    /// `63 days left` and the like.
    pub fn time_left(&self, unix_seconds: i64) -> String {
        match self.fact.validity(unix_seconds) {
            Validity::NotYet => {
                let until = self.fact.not_before.saturating_sub(unix_seconds);
                format!("good only in {}", span(until))
            }
            Validity::Expired => {
                let since = unix_seconds.saturating_sub(self.fact.not_after);
                format!("ended {} ago", span(since))
            }
            Validity::Good => format!("{} left", span(self.left(unix_seconds))),
        }
    }

    /// The names it is for, the first few of them.
    pub fn names(&self) -> String {
        match &self.fact.names[..] {
            [] => "no name".to_owned(),
            all if all.len() <= NAMES_SHOWN => all.join(", "),
            all => format!(
                "{} and {} more",
                all[..NAMES_SHOWN].join(", "),
                all.len() - NAMES_SHOWN
            ),
        }
    }

    /// The kind of its key.
    pub const fn key(&self) -> &'static str {
        match self.fact.key {
            KeyKind::Rsa => "RSA",
            KeyKind::Ecdsa => "ECDSA",
            KeyKind::EdDsa => "EdDSA",
            KeyKind::Other => "of another kind",
        }
    }

    /// Everything about it in a sentence for the log.
    pub(super) fn words(&self, unix_seconds: i64) -> String {
        let (place, file) = (&self.place, self.fact.chain_path.display());
        let (names, left) = (self.names(), self.time_left(unix_seconds));
        format!("{place}: the certificate in {file} for {names}: {left}")
    }
}

/// A span of seconds in its largest unit.
pub(super) fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        DAY.. => (seconds / DAY, "day"),
        HOUR.. => (seconds / HOUR, "hour"),
        _ => (seconds / 60, "minute"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// So many names are shown.
const NAMES_SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(days: i64) -> ShownCertificate {
        ShownCertificate {
            place: "listeners.public.tls.certificates[0]".to_owned(),
            fact: CertificateFact {
                chain_path: "chat.pem".into(),
                names: vec!["chat.example".to_owned()],
                not_before: 0,
                not_after: days * DAY,
                key: KeyKind::Ecdsa,
            },
        }
    }

    #[test]
    fn a_certificate_ends_soon_by_days_or_by_a_share_of_its_life() {
        for (days, last_good, first_ending) in [
            (365, 335, 336),
            // It is renewed with 30 days left, and nobody is warned.
            (90, 67, 68),
            (47, 35, 36),
            (6, 4, 5),
        ] {
            let certificate = shown(days);
            assert_eq!(certificate.life(last_good * DAY), Life::Good, "{days}");
            assert_eq!(certificate.life(first_ending * DAY), Life::Ending, "{days}");
            assert_eq!(certificate.life(days * DAY), Life::Ending, "{days}");
            assert_eq!(certificate.life(days * DAY + 1), Life::Ended, "{days}");
            assert_eq!(certificate.life(-1), Life::NotYet, "{days}");
        }
    }

    #[test]
    fn how_long_it_is_good_for_is_said_in_words() {
        let certificate = shown(90);
        for (at, words) in [
            (27 * DAY, "63 days left"),
            (88 * DAY + 23 * HOUR, "1 day left"),
            (89 * DAY + HOUR, "23 hours left"),
            (90 * DAY - 90, "1 minute left"),
            (93 * DAY, "ended 3 days ago"),
            (-2 * HOUR, "good only in 2 hours"),
        ] {
            assert_eq!(certificate.time_left(at), words);
        }
    }

    #[test]
    fn a_certificate_for_many_names_shows_the_first() {
        let mut certificate = shown(90);
        assert_eq!(certificate.names(), "chat.example");
        certificate.fact.names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(certificate.names(), "a, b, c and 2 more");
        certificate.fact.names.clear();
        assert_eq!(certificate.names(), "no name");
    }
}
