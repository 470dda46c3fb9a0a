//! What a route says of the frames of its tunnels, put together from its tables.

use super::{heartbeat, rates, side, slow_consumer, unused};
use crate::config::kind::{self, Kind};
use crate::config::raw::{Place, Report, Table};
use crate::fleet::FrameRules;
use crate::limits;
use crate::ws::{Inspect, Opcode};

/// How far frames can be looked into. A setting that is wrong has been noted, and counts as one that allows all: it is
/// held against no other one.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    /// How closely payloads are looked at; nothing if it is wrong.
    pub(super) inspect: Option<Inspect>,
    /// Whether messages may be compressed.
    pub(super) offers_deflate: bool,
    /// The same, if the file says so without a mistake.
    may_be_compressed: bool,
}

impl Sight {
    /// Notes a setting that would leave messages out of what may be compressed.
    pub(super) fn leaves_out(self, place: &Place, report: &Report<'_>) {
        if self.may_be_compressed {
            let note = "a compressed stream breaks when one of its messages is left out";
            let expected = "compression = \"strip\" in its route";
            report.wrong(place, expected, "\"pass\"", note);
        }
    }
}

/// A first message comes before any backend that could agree to compress it.
pub(super) fn sight(table: &mut Table<'_>, has_first_message: bool) -> Sight {
    let levels = Inspect::ALL.map(|level| (level.label(), level));
    let inspect = table.given_or("inspect", &kind::word(levels), Inspect::default());
    let compression = kind::word([("pass", true), ("strip", false)]);
    let offers = table.given_or("compression", &compression, !has_first_message);
    if let Some(given) = offers
        .as_ref()
        .filter(|given| given.value && has_first_message)
    {
        let note = "clients get their 101 before a backend could agree to compress";
        let expected = "\"strip\" with first_message";
        table
            .report()
            .wrong(&given.place, expected, "\"pass\"", note);
    }
    let offers_deflate = !has_first_message && offers.as_ref().is_none_or(|given| given.value);
    Sight {
        inspect: inspect.map(|given| given.value),
        offers_deflate,
        may_be_compressed: offers_deflate && offers.is_some(),
    }
}

/// Nothing if the file asks for nothing but what RFC 6455 does anyway.
pub(super) fn frames(table: &mut Table<'_>, sight: Sight) -> Option<FrameRules> {
    let usual = FrameRules::default();
    let client = table.section("client_frames", |table| side::watch(table, sight.inspect));
    let backend = table.section("backend_frames", |table| side::watch(table, sight.inspect));
    let rates = rates::rates(table, sight);
    let opcodes = (client.limits.opcodes, backend.limits.opcodes);
    let heartbeat = table.section("heartbeat", |table| heartbeat::heartbeats(table, opcodes));
    let slow = table.section("slow_consumer", |table| {
        slow_consumer::slow_consumer(table, sight)
    });
    let answer_pings = table.given("answer_pings", &kind::flag());
    let answers = answer_pings.as_ref().filter(|given| given.value);
    if !client.limits.opcodes.allow(Opcode::Ping) {
        let expected = "\"ping\" in client_frames.opcodes";
        unused(table.report(), answers, expected, "none");
    }
    let span = kind::duration(limits::MESSAGE_TIMEOUT);
    let rules = FrameRules {
        client,
        backend,
        rates,
        peer_close_code: table.value("peer_close_code", &close_code(), usual.peer_close_code),
        heartbeat,
        message_timeout: table.value("message_timeout", &span, usual.message_timeout),
        answer_pings: answers.is_some(),
        to_client: slow.to_client,
        to_backend: slow.to_backend,
        queue_bytes_max: slow.queue_bytes_max,
    };
    let counts = table.value("frame_metrics", &kind::flag(), false);
    (counts || rules != usual).then_some(rules)
}

/// A close code that a server may send (RFC 6455 section 7.4, IANA registry) and that blames nobody for a mistake of
/// the protocol: whoever gets it made none.
fn close_code() -> Kind<u16> {
    let number = kind::whole(1000..=4999);
    let expected = "a close code: 1000, 1001, 1008, 1011 to 1014 or 3000 to 4999";
    Kind::new(expected, move |value| {
        let code = number.read(value).ok()?;
        matches!(code, 1000 | 1001 | 1008 | 1011..=1014 | 3000..=4999).then_some(code)
    })
}
