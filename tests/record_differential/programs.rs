//! What a stranger may send after a handshake: single cases with the end that each must have, and the parts of random
//! programs.

use ringway::tls::{Alert, Role, Version};

use super::ends::End;
use super::forger::{Record, Twist};

pub const CHANGE: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

const UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const UPDATE_ASKED: [u8; 5] = [24, 0, 0, 1, 1];

pub fn record(kind: u8, content: &[u8]) -> Record {
    Record {
        kind,
        content: content.to_vec(),
        padding: 0,
        twist: Twist::None,
        renews: false,
    }
}

pub fn data(content: &[u8]) -> Record {
    record(DATA, content)
}

pub fn update(asked: bool) -> Record {
    Record {
        renews: true,
        ..record(HANDSHAKE, if asked { &UPDATE_ASKED } else { &UPDATE })
    }
}

fn twisted(twist: Twist) -> Record {
    Record {
        twist,
        ..data(b"twisted")
    }
}

fn padded(content: &[u8], padding: usize) -> Record {
    Record {
        padding,
        ..data(content)
    }
}

/// A ticket that rustls can read.
pub fn ticket() -> Vec<u8> {
    let body = [
        &[0, 0, 1, 0, 1, 2, 3, 4][..], // It lives for 256 seconds.
        &[1, 7],                       // Its nonce.
        &[0, 3, 5, 5, 5],              // The ticket.
        &[0, 0],                       // No extensions.
    ]
    .concat();
    [&[4, 0, 0, body.len() as u8], &body[..]].concat()
}

/// A case by its name: what is sent, and how a session of ours ends. After each, data is sent.
pub type Case = (&'static str, Vec<Record>, End);

const fn refused(alert: Alert) -> End {
    End::Refused(alert)
}

/// Cases of both versions.
#[expect(clippy::too_many_lines, reason = "a table, to be read line by line")]
pub fn cases() -> Vec<Case> {
    let long = |bytes| vec![7; bytes];
    let unexpected = refused(Alert::UNEXPECTED_MESSAGE);
    let mac = refused(Alert::BAD_RECORD_MAC);
    vec![
        ("nothing but data", vec![data(b"one")], End::Live),
        ("the longest data", vec![data(&long(16_384))], End::Live),
        (
            "data too long",
            vec![data(&long(16_385))],
            refused(Alert::RECORD_OVERFLOW),
        ),
        ("empty records", vec![data(b""); 32], End::Live),
        ("too many empty records", vec![data(b""); 33], unexpected),
        ("close_notify", vec![record(ALERT, &[1, 0])], End::Closed),
        (
            "a fatal close_notify",
            vec![record(ALERT, &[2, 0])],
            End::Closed,
        ),
        (
            "data behind close_notify",
            vec![record(ALERT, &[1, 0]), data(b"late")],
            End::Closed,
        ),
        (
            "a fatal alert",
            vec![record(ALERT, &[2, 40])],
            End::Aborted(Alert(40)),
        ),
        ("user_canceled", vec![record(ALERT, &[1, 90])], End::Live),
        (
            "a fatal user_canceled",
            vec![record(ALERT, &[2, 90])],
            End::Aborted(Alert(90)),
        ),
        ("warnings", vec![record(ALERT, &[1, 90]); 4], End::Live),
        (
            "too many warnings",
            vec![record(ALERT, &[1, 90]); 5],
            unexpected,
        ),
        (
            "an alert of no level",
            vec![record(ALERT, &[7, 40])],
            refused(Alert::ILLEGAL_PARAMETER),
        ),
        (
            "half an alert",
            vec![record(ALERT, &[1])],
            refused(Alert::DECODE_ERROR),
        ),
        (
            "two alerts at once",
            vec![record(ALERT, &[1, 90, 1, 90])],
            refused(Alert::DECODE_ERROR),
        ),
        ("an empty alert", vec![record(ALERT, &[])], unexpected),
        (
            "an empty handshake record",
            vec![record(HANDSHAKE, &[])],
            unexpected,
        ),
        ("a cipher change", vec![record(CHANGE, &[1])], unexpected),
        ("a record of no type", vec![record(99, &[1])], unexpected),
        (
            "a finished",
            vec![record(HANDSHAKE, &[20, 0, 0, 1, 0])],
            unexpected,
        ),
        (
            "a flipped bit in the content",
            vec![twisted(Twist::Flip(14 * 8))],
            mac,
        ),
        ("a lost record", vec![twisted(Twist::Lost)], mac),
        (
            "a record that comes twice",
            vec![twisted(Twist::Twice)],
            mac,
        ),
        (
            "another version, later",
            vec![twisted(Twist::Wire([3, 4]))],
            refused(Alert::PROTOCOL_VERSION),
        ),
        (
            "another version, earlier",
            vec![twisted(Twist::Wire([3, 1]))],
            refused(Alert::PROTOCOL_VERSION),
        ),
        (
            "no version",
            vec![twisted(Twist::Wire([9, 9]))],
            refused(Alert::PROTOCOL_VERSION),
        ),
    ]
}

/// Cases of one version.
pub fn cases_of(version: Version, role: Role) -> Vec<Case> {
    match version {
        Version::Tls12 => cases_of_12(role),
        Version::Tls13 => cases_of_13(role),
    }
}

fn cases_of_12(role: Role) -> Vec<Case> {
    let again = match role {
        Role::Client => vec![0, 0, 0, 0],
        Role::Server => vec![1, 0, 0, 2, 3, 3],
    };
    let other = vec![20, 0, 0, 1, 0];
    let unexpected = refused(Alert::UNEXPECTED_MESSAGE);
    vec![
        (
            "a second handshake",
            vec![record(HANDSHAKE, &again)],
            refused(Alert::NO_RENEGOTIATION),
        ),
        (
            "another message",
            vec![record(HANDSHAKE, &other)],
            unexpected,
        ),
        ("a key update", vec![record(HANDSHAKE, &UPDATE)], unexpected),
        ("a warning", vec![record(ALERT, &[1, 100])], End::Live),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table, to be read line by line")]
fn cases_of_13(role: Role) -> Vec<Case> {
    let unexpected = refused(Alert::UNEXPECTED_MESSAGE);
    let part = |content: &[u8]| record(HANDSHAKE, content);
    let last_part = |content: &[u8]| Record {
        renews: true,
        ..part(content)
    };
    let ticket = ticket();
    let tickets = match role {
        Role::Client => End::Live,
        Role::Server => unexpected,
    };
    let updates = |count| vec![update(true); count];
    vec![
        ("a key update", vec![update(false)], End::Live),
        (
            "a key update that asks",
            vec![update(true), data(b"one"), update(true)],
            End::Live,
        ),
        ("many key updates", updates(32), End::Live),
        ("too many key updates", updates(33), unexpected),
        (
            "a key update in two parts",
            vec![part(&[24, 0, 0]), last_part(&[1, 1])],
            End::Live,
        ),
        (
            "a key update whose body is apart",
            vec![part(&[24, 0, 0, 1]), last_part(&[0])],
            End::Live,
        ),
        (
            "data inside a key update",
            vec![part(&[24, 0, 0]), data(b"in"), last_part(&[1, 1])],
            unexpected,
        ),
        (
            "an alert inside a key update",
            vec![part(&[24]), record(ALERT, &[1, 90])],
            unexpected,
        ),
        (
            "two key updates at once",
            vec![last_part(&[&UPDATE[..], &UPDATE].concat())],
            unexpected,
        ),
        (
            "a key update and more",
            vec![last_part(&[&UPDATE[..], &[24]].concat())],
            unexpected,
        ),
        (
            "a key update with a wrong body",
            vec![part(&[24, 0, 0, 1, 2])],
            refused(Alert::ILLEGAL_PARAMETER),
        ),
        (
            "a key update too long",
            vec![part(&[24, 0, 0, 2, 0, 0])],
            refused(Alert::DECODE_ERROR),
        ),
        (
            "an empty key update",
            vec![part(&[24, 0, 0, 0])],
            refused(Alert::DECODE_ERROR),
        ),
        ("a ticket", vec![part(&ticket)], tickets),
        (
            "two tickets at once",
            vec![part(&ticket.repeat(2))],
            tickets,
        ),
        (
            "a ticket in two parts",
            vec![part(&ticket[..9]), part(&ticket[9..])],
            tickets,
        ),
        (
            "a ticket and a key update",
            vec![last_part(&[&ticket[..], &UPDATE_ASKED].concat())],
            tickets,
        ),
        (
            "a ticket that never ends",
            vec![part(&ticket[..9])],
            unexpected,
        ),
        (
            "a certificate request",
            vec![part(&[13, 0, 0, 3, 0, 0, 0])],
            unexpected,
        ),
        (
            "a client hello",
            vec![part(&[1, 0, 0, 2, 3, 3])],
            unexpected,
        ),
        (
            "padding",
            vec![padded(b"zeros\0\0", 200), padded(b"", 9)],
            End::Live,
        ),
        ("padding only", vec![record(0, &[])], unexpected),
        ("long padding only", vec![record(0, &[0; 300])], unexpected),
        (
            "padding beyond the longest",
            vec![padded(&[7; 16_384], 1)],
            refused(Alert::RECORD_OVERFLOW),
        ),
        (
            "padding up to the longest",
            vec![padded(&[7; 384], 16_000)],
            End::Live,
        ),
        (
            "an outer alert",
            vec![twisted(Twist::Outer(ALERT))],
            unexpected,
        ),
        (
            "an outer handshake",
            vec![twisted(Twist::Outer(HANDSHAKE))],
            unexpected,
        ),
        (
            "a warning",
            vec![record(ALERT, &[1, 100])],
            End::Aborted(Alert(100)),
        ),
    ]
}

/// Whether a session of ours may refuse for it what rustls 0.23 takes.
///
/// Wrong types and versions in the header of TLS 1.3 (RFC 8446 section 5.2), empty handshake records and alerts (section
/// 5.4), a second handshake of TLS 1.2, and quiet records of two kinds that together are too many.
pub fn is_stricter(records: &[Record]) -> bool {
    let quiet = records
        .iter()
        .filter(|record| record.renews || record.content.is_empty());
    quiet.count() > 32
        || records.iter().any(|record| {
            matches!(
                record.twist,
                Twist::Outer(_) | Twist::Wire(_) | Twist::Flip(..40)
            ) || record.content.is_empty() && record.kind != DATA
                || record.kind == HANDSHAKE && [0, 1].contains(&record.content[0])
        })
}
