//! The parameters of a question, behind the `?` of its target: each known, at most once, and in its range.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::http::StatusCode;

use super::problem::Problem;

/// What was given, by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// Takes them out of a query, which knows these names and no others.
    pub(super) fn read(query: Option<&str>, known: &[&'static str]) -> Result<Self, Problem> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let Some(known_name) = known.iter().find(|known| **known == name) else {
                let words = format!("expected {}, found the parameter {name:?}", listed(known));
                return Err(bad(words));
            };
            if found.iter().any(|(before, _)| before == known_name) {
                return Err(bad(format!("{name}: expected once, found twice")));
            }
            found.push((known_name, value.into_owned()));
        }
        Ok(Self(found))
    }

    /// The text of one, if it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| &**value)
    }

    /// A whole number in its range, if it was given.
    pub(super) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match digits(text) {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = (range.start(), range.end());
                let words = format!("{name}: expected {least} to {most}, found {text:?}");
                Err(bad(words))
            }
        }
    }

    /// One of these words; the first, if nothing was given. Answers with its place.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(0);
        };
        let place = words.iter().position(|word| *word == text);
        place.ok_or_else(|| {
            bad(format!(
                "{name}: expected {}, found {text:?}",
                listed(words)
            ))
        })
    }

    /// A time up to `most`, which is whole seconds; none, if nothing was given.
    pub(super) fn time(&self, name: &str, most: Duration) -> Result<Duration, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(Duration::ZERO);
        };
        let millis = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => digits(number),
            (_, Some(number)) => digits(number).and_then(|number| number.checked_mul(1_000)),
            _ => None,
        };
        let time = millis.map(|millis| Duration::from_millis(millis.into()));
        time.filter(|time| *time <= most).ok_or_else(|| {
            let most = most.as_secs();
            bad(format!(
                "{name}: expected a time from 0s to {most}s, such as 500ms or 1s, found {text:?}"
            ))
        })
    }
}

fn bad(words: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, words)
}

/// A number of digits and nothing else.
fn digits(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// `a, b or c`.
fn listed(words: &[&str]) -> String {
    let mut text = String::new();
    for (place, word) in words.iter().enumerate() {
        let before = match words.len() - place {
            _ if place == 0 => "",
            1 => " or ",
            _ => ", ",
        };
        // Writing to a String never fails.
        let _ = write!(text, "{before}{word}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["route", "limit", "wait", "payload"];

    fn read(query: &str) -> Parameters {
        Parameters::read(Some(query), KNOWN).unwrap()
    }

    fn words<T>(answer: Result<T, Problem>) -> String {
        let problem = answer.err().unwrap();
        assert_eq!(problem.status, StatusCode::BAD_REQUEST);
        problem.words
    }

    #[test]
    fn what_was_given_is_found_with_its_percent_signs_resolved() {
        let parameters = read("route=a.example%2Fchat+room&limit=7&wait=500ms&payload=shape");
        assert_eq!(parameters.text("route"), Some("a.example/chat room"));
        assert_eq!(parameters.number("limit", 1..=10), Ok(Some(7)));
        let most = Duration::from_secs(5);
        let wait = parameters.time("wait", most);
        assert_eq!(wait, Ok(Duration::from_millis(500)));
        assert_eq!(parameters.word("payload", &["none", "shape"]), Ok(1));
        for nothing in [None, Some("")] {
            let parameters = Parameters::read(nothing, KNOWN).unwrap();
            assert_eq!(parameters.text("route"), None);
            assert_eq!(parameters.number("limit", 1..=10), Ok(None));
            assert_eq!(parameters.time("wait", most), Ok(Duration::ZERO));
            assert_eq!(parameters.word("payload", &["none", "shape"]), Ok(0));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        let unknown = Parameters::read(Some("limits=7"), KNOWN);
        let expected =
            "expected route, limit, wait or payload, found the parameter \"limits\"".to_owned();
        assert_eq!(words(unknown), expected);
        let twice = Parameters::read(Some("limit=7&route=a&limit=7"), KNOWN);
        assert_eq!(words(twice), "limit: expected once, found twice");
        for number in ["0", "11", "-1", "+1", "1.0", "x", "99999999999"] {
            let parameters = Parameters(vec![("limit", number.to_owned())]);
            let expected = format!("limit: expected 1 to 10, found {number:?}");
            assert_eq!(words(parameters.number("limit", 1..=10)), expected);
        }
        for time in ["5001ms", "6s", "1", "1m", "-1s", "s", "4294968s"] {
            let found = words(read(&format!("wait={time}")).time("wait", Duration::from_secs(5)));
            assert!(
                found.starts_with("wait: expected a time from 0s to 5s"),
                "{found}"
            );
            assert!(found.ends_with(&format!("found {time:?}")), "{found}");
        }
        let shapes = read("payload=shapes").word("payload", &["none", "shape"]);
        assert_eq!(
            words(shapes),
            "payload: expected none or shape, found \"shapes\""
        );
    }
}
