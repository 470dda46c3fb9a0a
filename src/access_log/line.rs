//! One record as one line of JSON, with names put to its numbers and its time in RFC 3339.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

use super::{OneWay, Record, RefusalRecord, TunnelRecord};

/// Knows the names of what records carry as numbers. A number it does not know is printed as it is.
pub trait Names {
    /// A route's name, for instance its host and path.
    fn route(&self, id: u16) -> Option<Cow<'_, str>>;
    /// A backend's address or name.
    fn backend(&self, id: u16) -> Option<Cow<'_, str>>;
}

/// Appends the record to `out` as one JSON object and a line feed.
pub fn write_line(out: &mut Vec<u8>, record: &Record, names: &dyn Names) {
    let line = match record {
        Record::Tunnel(tunnel) => tunnel_line(tunnel, names),
        Record::Refused(refusal) => refusal_line(refusal, names),
    };
    serde_json::to_writer(&mut *out, &line)
        .expect("invariant: a Vec takes every byte and the line has only string keys");
    out.push(b'\n');
}

/// The fields in the order they are printed; absent ones are left out.
#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    event: &'static str,
    client: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded_for: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<Cow<'a, str>>,
    worker: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<Timestamp>,
    duration_ms: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    traffic: Option<TrafficFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<&'static str>,
    reason: &'static str,
}

#[derive(Serialize)]
struct TrafficFields {
    client_messages: u64,
    client_bytes: u64,
    backend_messages: u64,
    backend_bytes: u64,
}

impl TrafficFields {
    const fn new(client: OneWay, backend: OneWay) -> Self {
        Self {
            client_messages: client.messages,
            client_bytes: client.bytes,
            backend_messages: backend.messages,
            backend_bytes: backend.bytes,
        }
    }
}

fn tunnel_line<'a>(tunnel: &TunnelRecord, names: &'a dyn Names) -> Line<'a> {
    Line {
        time: Timestamp(tunnel.opened_unix_ms.saturating_add(tunnel.duration_ms)),
        event: "tunnel",
        client: tunnel.client,
        forwarded_for: tunnel.forwarded_for,
        route: Some(named(names.route(tunnel.route), tunnel.route)),
        backend: Some(named(names.backend(tunnel.backend), tunnel.backend)),
        worker: tunnel.worker,
        status: Some(tunnel.status),
        opened: Some(Timestamp(tunnel.opened_unix_ms)),
        duration_ms: tunnel.duration_ms,
        traffic: Some(TrafficFields::new(
            tunnel.client_to_backend,
            tunnel.backend_to_client,
        )),
        close_code: tunnel.close_code,
        ended_by: Some(tunnel.ended_by.label()),
        reason: tunnel.reason.label(),
    }
}

fn refusal_line<'a>(refusal: &RefusalRecord, names: &'a dyn Names) -> Line<'a> {
    Line {
        time: Timestamp(refusal.at_unix_ms),
        event: "refused",
        client: refusal.client,
        forwarded_for: refusal.forwarded_for,
        route: refusal.route.map(|id| named(names.route(id), id)),
        backend: refusal.backend.map(|id| named(names.backend(id), id)),
        worker: refusal.worker,
        status: refusal.status,
        opened: None,
        duration_ms: refusal.duration_ms,
        traffic: None,
        close_code: None,
        ended_by: None,
        reason: refusal.reason.label(),
    }
}

/// The name, or the number if nobody knows a name, as after a reload that removed it.
fn named(name: Option<Cow<'_, str>>, id: u16) -> Cow<'_, str> {
    name.unwrap_or_else(|| Cow::Owned(format!("#{id}")))
}

/// A moment in milliseconds since the Unix epoch, printed as `2026-11-22T14:00:00.000Z`.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1_000, self.0 % 1_000);
        let (year, month, day) = civil_date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The Gregorian date of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`: years are
/// counted from March, so the leap day is the last of its year, and 400 years repeat exactly.
const fn civil_date(days: u64) -> (u64, u64, u64) {
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH_DAYS: u64 = 719_468;
    const ERA_DAYS: u64 = 146_097;
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let january_or_february = if month <= 2 { 1 } else { 0 };
    (year_of_era + era * 400 + january_or_february, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{EndReason, Party, Refusal};

    struct One;

    impl Names for One {
        fn route(&self, id: u16) -> Option<Cow<'_, str>> {
            (id == 1).then_some(Cow::Borrowed("example.com/\"chat\""))
        }
        fn backend(&self, id: u16) -> Option<Cow<'_, str>> {
            (id == 2).then_some(Cow::Borrowed("10.0.0.11:9000"))
        }
    }

    fn line(record: &Record) -> String {
        let mut out = Vec::new();
        write_line(&mut out, record, &One);
        String::from_utf8(out).unwrap()
    }

    fn tunnel() -> TunnelRecord {
        TunnelRecord {
            opened_unix_ms: 1_795_356_000_000,
            duration_ms: 61_005,
            client: "[2001:db8::1]:5000".parse().unwrap(),
            forwarded_for: Some("192.0.2.7".parse().unwrap()),
            route: 1,
            backend: 2,
            worker: 3,
            status: 101,
            client_to_backend: OneWay {
                messages: 4,
                bytes: 50,
            },
            backend_to_client: OneWay {
                messages: 6,
                bytes: 70,
            },
            close_code: Some(1000),
            ended_by: Party::Client,
            reason: EndReason::CloseHandshake,
        }
    }

    #[test]
    fn a_tunnel_is_one_line_of_json_with_names() {
        assert_eq!(
            line(&Record::Tunnel(tunnel())),
            concat!(
                r#"{"time":"2026-11-22T14:01:01.005Z","event":"tunnel","client":"[2001:db8::1]:5000","#,
                r#""forwarded_for":"192.0.2.7","route":"example.com/\"chat\"","backend":"10.0.0.11:9000","#,
                r#""worker":3,"status":101,"opened":"2026-11-22T14:00:00.000Z","duration_ms":61005,"#,
                r#""client_messages":4,"client_bytes":50,"backend_messages":6,"backend_bytes":70,"#,
                r#""close_code":1000,"ended_by":"client","reason":"close_handshake"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_is_not_known_is_left_out_or_a_number() {
        let record = Record::Tunnel(TunnelRecord {
            forwarded_for: None,
            close_code: None,
            backend: 9,
            ..tunnel()
        });
        let text = line(&record);
        assert!(!text.contains("forwarded_for"));
        assert!(!text.contains("close_code"));
        assert!(text.contains(r##""backend":"#9""##), "{text}");
    }

    fn refusal(status: Option<u16>, reason: Refusal) -> Record {
        Record::Refused(RefusalRecord {
            at_unix_ms: 0,
            duration_ms: 2,
            client: "192.0.2.1:80".parse().unwrap(),
            forwarded_for: None,
            route: None,
            backend: None,
            worker: 0,
            status,
            reason,
        })
    }

    #[test]
    fn a_refusal_is_one_line_without_traffic() {
        assert_eq!(
            line(&refusal(Some(404), Refusal::NoRoute)),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","event":"refused","client":"192.0.2.1:80","#,
                r#""worker":0,"status":404,"duration_ms":2,"reason":"no_route"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn who_was_not_answered_has_no_status() {
        assert_eq!(
            line(&refusal(None, Refusal::TlsTimeout)),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","event":"refused","client":"192.0.2.1:80","#,
                r#""worker":0,"duration_ms":2,"reason":"tls_timeout"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_164_799, "2024-02-28T23:59:59.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp(seconds * 1_000).to_string(), text);
        }
    }

    #[test]
    fn each_day_of_four_centuries_follows_the_one_before() {
        let leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let mut expected = (1970, 1, 1);
        for days in 0..146_097 {
            assert_eq!(civil_date(days), expected);
            let (year, month, day) = expected;
            let last = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day == last) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
