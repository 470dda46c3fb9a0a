//! From the tables of the file to ready values: kinds, defaults, and what must agree with what.

mod listeners;
mod pools;
mod routes;
mod sections;
mod tls;

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::path::PathBuf;

use toml::de::DeTable;

use super::model::Config;
use super::raw::{Given, Place, Report, Table};
use super::secret;
#[cfg(test)]
pub(super) use tls::CIPHERS;

/// The configuration, unless a part of it is missing. Whether it may be used, the report decides.
pub(super) fn build(root: &DeTable<'_>, report: &Report<'_>) -> Option<Config> {
    Table::root(root, report).open(|root| {
        let workers = root.section("workers", sections::workers);
        let control = root.section("control", sections::control);
        let listeners = listeners::listeners(root, control.as_ref());
        let limits = root.section("limits", sections::limits);
        let drain = root.section("drain", sections::drain);
        let pools = pools::pools(root);
        let routes = routes::routes(root, &pools, listeners.may_ask);
        Some(Config {
            workers,
            control: control?,
            listeners: listeners.list,
            limits,
            drain,
            pools,
            routes,
        })
    })
}

/// Values that must each be the only one of their kind, and where each was first given.
struct Distinct<T> {
    what: &'static str,
    first: HashMap<T, Place>,
}

impl<T: Eq + Hash + Clone + Display> Distinct<T> {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            first: HashMap::new(),
        }
    }

    /// Keeps this value; a second one is noted, and the answer is then false.
    fn admit(&mut self, given: &Given<T>, report: &Report<'_>) -> bool {
        let Some(first) = self.first.get(&given.value) else {
            self.first.insert(given.value.clone(), given.place.clone());
            return true;
        };
        let note = format!("first in line {}, {}", report.line(first), first.path());
        let found = format!("{} again", given.value);
        report.wrong(&given.place, self.what, found, &note);
        false
    }
}

/// What `make` makes of the content of the file that is named here. What is wrong with the file is noted; `make`
/// says what it found instead of what is expected.
fn from_secret_file<T>(
    file: &Given<PathBuf>,
    expected: &str,
    report: &Report<'_>,
    make: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Option<T> {
    let content = match report.beside(&file.value) {
        Some(path) => secret::read(&path),
        None => Err(secret::Unusable::unread()),
    };
    let secret = content.and_then(|content| make(&content).map_err(secret::Unusable::of));
    if let Err(why) = &secret {
        report.wrong(&file.place, expected, &why.found, &why.note);
    }
    secret.ok()
}

/// Notes a setting that does nothing here, because another one does not stand beside it.
fn unused<T>(report: &Report<'_>, given: Option<&Given<T>>, expected: &str, found: &str) {
    if let Some(given) = given {
        let expected = format_args!("{expected} beside it");
        report.wrong(&given.place, expected, found, "it does nothing here");
    }
}

/// Notes a list that is empty or longer than its bound.
fn check_length(report: &Report<'_>, place: &Place, found: usize, most: usize) {
    if !(1..=most).contains(&found) {
        report.wrong(place, format_args!("1 to {most} of them"), found, "");
    }
}
