//! What leads browsers to TLS and keeps them there: the redirect of a plain listener, and HSTS (RFC 6797).

use toml::de::DeValue;

use crate::config::build::tls;
use crate::config::kind::{self, Kind};
use crate::config::raw::{Place, Table};
use crate::config::units::Span;
use crate::limits;

/// The port that every request is sent on to, if the file wants that. A listener with TLS would send them on to itself.
pub(super) fn redirect(table: &mut Table<'_>, has_tls: bool) -> Option<u16> {
    let port = kind::whole(1..=u16::MAX);
    let kind = Kind::new(
        format!("true, false or a port from {}", port.expected()),
        move |value| match value {
            DeValue::Boolean(wanted) => Some(wanted.then_some(HTTPS)),
            _ => port.read(value).ok().map(Some),
        },
    );
    let given = table.given("redirect_to_https", &kind)?;
    if has_tls && given.value.is_some() {
        let note = "it is https already";
        let report = table.report();
        report.wrong(&given.place, "a listener without tls", "one with it", note);
    }
    given.value
}

/// The value of the field `Strict-Transport-Security`, if the file wants it. Browsers pass it over in the clear
/// (RFC 6797 section 8.1).
pub(super) fn hsts(table: &mut Table<'_>, has_tls: bool) -> Option<Box<str>> {
    let item = table.item("hsts")?;
    let inner = tls::table(&item, "a table such as { max_age = \"365d\" }")?;
    if !has_tls {
        let note = "browsers pass it over in the clear";
        let report = table.report();
        report.wrong(item.place(), "tls beside it", "none", note);
    }
    inner.open(|table| {
        let setting = limits::HSTS_MAX_AGE;
        let max_age = table.given_or("max_age", &kind::seconds(setting), setting.default);
        let subdomains = table.value("include_subdomains", &kind::flag(), false);
        let preload = table.given("preload", &kind::flag());
        let max_age = max_age?;
        if let Some(preload) = preload.as_ref().filter(|given| given.value) {
            if !subdomains {
                refused_by_lists(table, &preload.place, "include_subdomains = true", "false");
            }
            let least = limits::HSTS_PRELOAD_AGE_LEAST;
            if max_age.value < least {
                let expected = format!("max_age of at least \"{}\"", Span(least));
                let found = format!("\"{}\"", Span(max_age.value));
                refused_by_lists(table, &preload.place, &expected, &found);
            }
        }
        let mut value = format!("max-age={}", max_age.value.as_secs());
        if subdomains {
            value.push_str("; includeSubDomains");
        }
        if preload.is_some_and(|given| given.value) {
            value.push_str("; preload");
        }
        Some(value.into())
    })
}

fn refused_by_lists(table: &Table<'_>, place: &Place, expected: &str, found: &str) {
    let expected = format_args!("{expected} beside it");
    let note = "the lists of browsers take no host without it";
    table.report().wrong(place, expected, found, note);
}

/// Where https is if nobody says otherwise.
const HTTPS: u16 = 443;
