//! What TLS takes at a listener and at a pool alike: versions, ciphers, certificates, files.

use std::path::PathBuf;

use super::{Distinct, check_length};
use crate::config::kind::{self, Kind};
use crate::config::raw::{Given, Item, Report, Table};
use crate::limits;
use crate::tls::{CertificateFiles, Suite, Version};

/// This item as a table; another value is noted with what was expected.
pub(super) fn table<'a>(item: &Item<'a>, expected: &str) -> Option<Table<'a>> {
    let table = item.as_table();
    if table.is_none() {
        item.read(&Kind::<()>::new(expected, |_| None));
    }
    table
}

pub(super) fn min_version(table: &mut Table<'_>) -> Version {
    let versions = kind::word([("1.2", Version::Tls12), ("1.3", Version::Tls13)]);
    table.value("min_version", &versions, Version::Tls12)
}

/// The ciphers, best liked first.
pub(super) fn suites(table: &mut Table<'_>) -> Vec<Suite> {
    let expected =
        "a list of ciphers such as [\"aes-128-gcm\", \"aes-256-gcm\", \"chacha20-poly1305\"]";
    let Some(item) = table.item("ciphers") else {
        return Suite::ALL.to_vec();
    };
    let word = kind::word(CIPHERS.map(|(word, _)| (word, word)));
    let items = item.list(expected).unwrap_or_default();
    if item.is_list() && items.is_empty() {
        let report = item.report();
        report.wrong(
            item.place(),
            "at least one cipher",
            "none",
            "leave it out for all",
        );
    }
    let words: Vec<_> = items.iter().filter_map(|item| item.read(&word)).collect();
    let mut distinct = Distinct::new("a cipher of its own");
    for word in &words {
        distinct.admit(word, table.report());
    }
    let suite = |word: &Given<&str>| CIPHERS.iter().find(|(name, _)| *name == word.value);
    let suites = words.iter().filter_map(suite);
    suites.map(|(_, suite)| *suite).collect()
}

/// A certificate chain and its key. Nothing if one of the two is missing or wrong, which has then been noted.
pub(super) fn certificate(table: &mut Table<'_>) -> Option<Given<CertificateFiles>> {
    let chain = required_file(table, "chain");
    let key = required_file(table, "key");
    let (chain, key) = (chain?, key?);
    let place = chain.place;
    let value = CertificateFiles {
        chain: chain.value,
        key: key.value,
    };
    Some(Given { value, place })
}

/// A file that has to be named here.
pub(super) fn required_file(table: &mut Table<'_>, key: &'static str) -> Option<Given<PathBuf>> {
    let kind = kind::file();
    let item = table.required(key, kind.expected())?;
    file(&item)
}

/// A file that may be named here.
pub(super) fn optional_file(table: &mut Table<'_>, key: &'static str) -> Option<PathBuf> {
    let item = table.item(key)?;
    file(&item).map(|given| given.value)
}

/// A file that is read later, by someone who does not know where the configuration stood: beside that, unless its path
/// is absolute.
fn file(item: &Item<'_>) -> Option<Given<PathBuf>> {
    let given = item.read(&kind::file())?;
    Some(Given {
        value: beside(item.report(), given.value),
        place: given.place,
    })
}

pub(super) fn beside(report: &Report<'_>, file: PathBuf) -> PathBuf {
    report.beside(&file).unwrap_or(file)
}

/// Notes a list of certificates that is empty or too long, and a chain that stands in it twice.
pub(super) fn check_certificates(item: &Item<'_>, all: &[Option<Given<CertificateFiles>>]) {
    let (report, most) = (item.report(), limits::CERTIFICATES_MAX);
    check_length(report, item.place(), all.len(), most);
    let mut distinct = Distinct::new("a chain of its own");
    for given in all.iter().flatten() {
        let chain = Given {
            value: given.value.chain.display().to_string(),
            place: given.place.clone(),
        };
        distinct.admit(&chain, report);
    }
}

/// The ciphers by the names that RFC 8446 and OpenSSL share, without what only TLS 1.2 has in them.
pub(in crate::config) const CIPHERS: [(&str, Suite); 3] = [
    ("aes-128-gcm", Suite::Aes128Gcm),
    ("aes-256-gcm", Suite::Aes256Gcm),
    ("chacha20-poly1305", Suite::ChaCha20Poly1305),
];
