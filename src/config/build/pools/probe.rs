//! `[pools.NAME.probe]`: how backends are asked whether they are well.

use std::ops::RangeInclusive;

use super::unused;
use crate::config::kind::{self, Kind};
use crate::config::raw::{Given, Report, Table};
use crate::config::units::Span;
use crate::fleet::HostPattern;
use crate::health::{HttpProbe, ProbeKind, ProbeSettings, WebSocketProbe};
use crate::limits;

/// How the pool is probed, if it is, and whether over TLS. A pool that speaks TLS is also asked so, unless the file says
/// otherwise.
pub(super) fn probe(table: &mut Table<'_>, has_tls: bool) -> (Option<ProbeSettings>, bool) {
    let both = table.optional("probe", |table| {
        let tls = table.given("tls", &kind::flag());
        if !has_tls {
            unused(table.report(), tls.as_ref(), "tls in the pool", "none");
        }
        let over_tls = has_tls && tls.is_none_or(|given| given.value);
        (settings(table), over_tls)
    });
    match both {
        Some((settings, over_tls)) => (Some(settings), over_tls),
        None => (None, has_tls),
    }
}

fn settings(table: &mut Table<'_>) -> ProbeSettings {
    let usual = ProbeSettings::default();
    let what = what(table);
    let interval = kind::duration(limits::PROBE_INTERVAL);
    let interval = table.value("interval", &interval, usual.interval);
    let unsure = kind::duration(limits::PROBE_UNSURE_INTERVAL);
    let unsure = table.given("unsure_interval", &unsure);
    if let Some(given) = unsure.as_ref().filter(|given| given.value > interval) {
        let expected = format!("at most interval, \"{}\"", Span(interval));
        let found = format!("\"{}\"", Span(given.value));
        table.report().wrong(&given.place, expected, found, "");
    }
    let jitter = kind::percent(limits::PROBE_JITTER_PERCENT);
    let timeout = kind::duration(limits::PROBE_TIMEOUT);
    let (rise, fall) = (
        kind::count(limits::PROBE_RISE),
        kind::count(limits::PROBE_FALL),
    );
    ProbeSettings {
        kind: what,
        interval,
        // Who probes often and says nothing about doubt does not want to probe less in it.
        unsure_interval: unsure.map_or(usual.unsure_interval.min(interval), |given| given.value),
        jitter_percent: table.value("jitter", &jitter, usual.jitter_percent),
        timeout: table.value("timeout", &timeout, usual.timeout),
        rise: table.value("rise", &rise, usual.rise),
        fall: table.value("fall", &fall, usual.fall),
    }
}

/// What is asked. A setting that does not belong to the kind is a mistake, unless the kind is one itself.
fn what(table: &mut Table<'_>) -> ProbeKind {
    let kinds = kind::word([TCP, HTTP, WEBSOCKET].map(|word| (word, word)));
    let kind = match table.item("kind") {
        Some(item) => item.read(&kinds).map(|given| given.value),
        None => Some(TCP),
    };
    let path = table.given("path", &path());
    let host = table.given("host", &host());
    let status = table.given("status", &status());
    let body = table.given("body", &body());
    let subprotocol = table.given("subprotocol", &kind::token("a subprotocol"));
    if let Some(kind) = kind {
        let of = Of {
            kind,
            report: table.report(),
        };
        of.check(path.as_ref(), &[HTTP, WEBSOCKET]);
        of.check(host.as_ref(), &[HTTP, WEBSOCKET]);
        of.check(status.as_ref(), &[HTTP]);
        of.check(body.as_ref(), &[HTTP]);
        of.check(subprotocol.as_ref(), &[WEBSOCKET]);
    }
    let path = path.map_or_else(|| "/".to_owned(), |given| given.value);
    let host = host.map(|given| given.value);
    match kind {
        Some(HTTP) => ProbeKind::Http(HttpProbe {
            path,
            host,
            status: status.map_or(SUCCESS, |given| given.value),
            body: body.map(|given| given.value),
        }),
        Some(WEBSOCKET) => ProbeKind::WebSocket(WebSocketProbe {
            path,
            host,
            subprotocol: subprotocol.map(|given| given.value),
        }),
        _ => ProbeKind::Tcp,
    }
}

/// A kind of probe, and where a setting is noted that does not belong to it.
struct Of<'a> {
    kind: &'static str,
    report: &'a Report<'a>,
}

impl Of<'_> {
    fn check<T>(&self, given: Option<&Given<T>>, kinds: &[&'static str]) {
        if !kinds.contains(&self.kind) {
            let words: Vec<_> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
            let expected = format!("kind = {}", words.join(" or "));
            let found = format!("\"{}\"", self.kind);
            unused(self.report, given, &expected, &found);
        }
    }
}

/// A path as it is sent, perhaps with a query.
fn path() -> Kind<String> {
    Kind::new("a path such as \"/\" or \"/healthz?full=1\"", |value| {
        let path = value.as_str()?;
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        let right = path.starts_with('/')
            && path.len() <= limits::ROUTE_PATH_BYTES_MAX
            && path.bytes().all(plain);
        right.then(|| path.to_owned())
    })
}

/// A host as the field Host has it, perhaps with a port.
fn host() -> Kind<String> {
    let expected = "a host such as \"chat.example.com\" or \"chat.example.com:8080\"";
    Kind::new(expected, |value| {
        let text = value.as_str()?;
        let is_host = |text: &str| matches!(HostPattern::parse(text), Some(HostPattern::Exact(_)));
        let right = is_host(text)
            || text.rsplit_once(':').is_some_and(|(host, port)| {
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                is_host(host) && digits && port.parse::<u16>().is_ok()
            });
        right.then(|| text.to_owned())
    })
}

/// One status or a range of them. An interim one never ends an answer.
fn status() -> Kind<RangeInclusive<u16>> {
    let one = kind::whole(STATUSES);
    let expected = "a status from 200 to 599, or a range of them such as \"200-299\"";
    Kind::new(expected, move |value| {
        let Some(text) = value.as_str() else {
            return one.read(value).ok().map(|status| status..=status);
        };
        let (first, last) = text.split_once('-')?;
        let bound = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            let status = text.parse().ok().filter(|_| digits);
            status.filter(|status| STATUSES.contains(status))
        };
        let (first, last) = (bound(first)?, bound(last)?);
        (first <= last).then_some(first..=last)
    })
}

fn body() -> Kind<String> {
    let most = limits::PROBE_EXPECTED_BYTES_MAX;
    Kind::new(format!("a text of 1 to {most} bytes"), move |value| {
        let text = value.as_str()?;
        (1..=most).contains(&text.len()).then(|| text.to_owned())
    })
}

const TCP: &str = "tcp";
const HTTP: &str = "http";
const WEBSOCKET: &str = "websocket";
/// What an answer may end with.
const STATUSES: RangeInclusive<u16> = 200..=599;
/// What is well if nobody says otherwise.
const SUCCESS: RangeInclusive<u16> = 200..=299;
