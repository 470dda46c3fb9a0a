//! One record: its header, how it is opened where it stands, and how it is sealed.

use std::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use super::super::settings::{Suite, Version};
use super::alert::Alert;
use super::cipher::{self, NONCE_BYTES, TAG_BYTES};
use super::half::Half;
use crate::limits::{
    RECORD_EXPANSION_12_BYTES_MAX, RECORD_EXPANSION_13_BYTES_MAX, RECORD_PLAIN_BYTES_MAX,
};

/// What a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    ChangeCipherSpec = 20,
    Alert = 21,
    Handshake = 22,
    Data = 23,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::Data,
            _ => return None,
        })
    }
}

/// The first five bytes of a record, legal where they stand.
pub(super) struct Header {
    bytes: [u8; HEADER_BYTES],
    kind: Kind,
    /// Of the record behind its header.
    length: usize,
}

impl Header {
    /// Reads the header at the front, or nothing while it is cut. What can be refused by the header alone is refused
    /// here, before its record has come.
    pub(super) fn read(version: Version, suite: Suite, wire: &[u8]) -> Result<Option<Self>, Alert> {
        let Some(bytes @ [kind, version_1, version_2, length_1, length_2]) =
            wire.first_chunk().copied()
        else {
            return Ok(None);
        };
        let kind = Kind::of(kind).ok_or(Alert::UNEXPECTED_MESSAGE)?;
        // After a handshake of TLS 1.3 all records look like data (RFC 8446 section 5.2), and nothing changes a cipher.
        if kind == Kind::ChangeCipherSpec || version == Version::Tls13 && kind != Kind::Data {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        if [version_1, version_2] != WIRE_VERSION {
            return Err(Alert::PROTOCOL_VERSION);
        }
        let length = usize::from(u16::from_be_bytes([length_1, length_2]));
        let longest = RECORD_PLAIN_BYTES_MAX
            + match version {
                Version::Tls12 => RECORD_EXPANSION_12_BYTES_MAX,
                Version::Tls13 => RECORD_EXPANSION_13_BYTES_MAX,
            };
        if length > longest {
            return Err(Alert::RECORD_OVERFLOW);
        }
        if length < cipher::explicit_nonce_bytes(version, suite) + TAG_BYTES {
            return Err(Alert::BAD_RECORD_MAC);
        }
        Ok(Some(Self {
            bytes,
            kind,
            length,
        }))
    }

    /// The bytes of the whole record.
    pub(super) const fn whole(&self) -> usize {
        HEADER_BYTES + self.length
    }
}

/// Opens a whole record in place, and says what it carries and where. One alert for whatever does not open.
pub(super) fn open(
    half: &mut Half,
    key: &LessSafeKey,
    header: &Header,
    record: &mut [u8],
) -> Result<(Kind, Range<usize>), Alert> {
    let explicit_bytes = cipher::explicit_nonce_bytes(half.version, half.suite);
    let start = HEADER_BYTES + explicit_bytes;
    let nonce = if explicit_bytes == 0 {
        half.nonce()
    } else {
        let mut nonce: [u8; NONCE_BYTES] = half.iv;
        nonce[NONCE_BYTES - explicit_bytes..].copy_from_slice(&record[HEADER_BYTES..start]);
        Nonce::assume_unique_for_key(nonce)
    };
    let sealed = &mut record[start..];
    let plain_bytes = sealed.len() - TAG_BYTES;
    let opened = match half.version {
        Version::Tls13 => key.open_in_place(nonce, Aad::from(header.bytes), sealed),
        Version::Tls12 => {
            let extra = extra_12(half.sequence, header.kind, plain_bytes);
            key.open_in_place(nonce, Aad::from(extra), sealed)
        }
    };
    let plain = opened.map_err(|_| Alert::BAD_RECORD_MAC)?;
    half.sequence += 1;
    let (kind, length) = match half.version {
        Version::Tls13 => unpadded(plain)?,
        Version::Tls12 => (header.kind, plain.len()),
    };
    if length > RECORD_PLAIN_BYTES_MAX {
        return Err(Alert::RECORD_OVERFLOW);
    }
    Ok((kind, start..start + length))
}

/// TLS 1.3: the type is the last byte that is not zero (RFC 8446 section 5.4). All of them together, padding included,
/// are one more than the content may be.
fn unpadded(plain: &[u8]) -> Result<(Kind, usize), Alert> {
    if plain.len() > RECORD_PLAIN_BYTES_MAX + 1 {
        return Err(Alert::RECORD_OVERFLOW);
    }
    let last = plain.iter().rposition(|byte| *byte != 0);
    let last = last.ok_or(Alert::UNEXPECTED_MESSAGE)?;
    let kind = Kind::of(plain[last]).ok_or(Alert::UNEXPECTED_MESSAGE)?;
    Ok((kind, last))
}

/// What is to be sealed.
#[derive(Clone, Copy)]
pub(super) enum Plain<'a> {
    /// It stands somewhere else.
    Apart(&'a [u8]),
    /// So many bytes of it stand in the record already, behind [`head_bytes`].
    InPlace(usize),
}

/// Seals one record at the front of `out`, and says how many bytes it has.
///
/// AES-GCM reads the content where it stands. ChaCha20-Poly1305 is slower that way than a copy and one pass in place.
pub(super) fn seal(
    half: &mut Half,
    key: &LessSafeKey,
    kind: Kind,
    plain: Plain<'_>,
    out: &mut [u8],
) -> usize {
    let plain_bytes = match plain {
        Plain::Apart(plain) => plain.len(),
        Plain::InPlace(bytes) => bytes,
    };
    assert!(
        plain_bytes <= RECORD_PLAIN_BYTES_MAX,
        "invariant: callers cut what they send into records"
    );
    let whole = record_bytes(half.version, half.suite, plain_bytes);
    let (head, body) = out[..whole].split_at_mut(head_bytes(half.version, half.suite));
    let apart = match plain {
        Plain::Apart(plain) if half.suite != Suite::ChaCha20Poly1305 => Some(plain),
        Plain::Apart(plain) => {
            body[..plain_bytes].copy_from_slice(plain);
            None
        }
        Plain::InPlace(_) => None,
    };
    let nonce = half.nonce();
    write_head(half.version, kind, whole - HEADER_BYTES, &nonce, head);
    match half.version {
        Version::Tls13 => {
            let extra = Aad::from(&head[..HEADER_BYTES]);
            cover(key, (nonce, extra), apart, body, &[kind as u8]);
        }
        Version::Tls12 => {
            let extra = Aad::from(extra_12(half.sequence, kind, plain_bytes));
            cover(key, (nonce, extra), apart, body, &[]);
        }
    }
    half.sequence += 1;
    whole
}

/// The header, and the part of the nonce that TLS 1.2 shows.
fn write_head(version: Version, kind: Kind, length: usize, nonce: &Nonce, head: &mut [u8]) {
    let length = u16::try_from(length).expect("invariant: a record's length fits its header");
    let outer = match version {
        Version::Tls12 => kind,
        Version::Tls13 => Kind::Data,
    };
    let (header, explicit) = head.split_at_mut(HEADER_BYTES);
    header[0] = outer as u8;
    header[1..3].copy_from_slice(&WIRE_VERSION);
    header[3..].copy_from_slice(&length.to_be_bytes());
    explicit.copy_from_slice(&nonce.as_ref()[NONCE_BYTES - explicit.len()..]);
}

/// Encrypts content, which stands apart or in the body, and what follows it inside; then comes the tag.
fn cover<A: AsRef<[u8]>>(
    key: &LessSafeKey,
    (nonce, extra): (Nonce, Aad<A>),
    apart: Option<&[u8]>,
    body: &mut [u8],
    follows: &[u8],
) {
    let content_bytes = body.len() - follows.len() - TAG_BYTES;
    if let Some(plain) = apart {
        let (content, tail) = body.split_at_mut(content_bytes);
        key.seal_out_of_place_scatter(nonce, extra, plain, content, follows, tail)
            .expect("invariant: content and tail have the room that they say");
        return;
    }
    let (inside, tag) = body.split_at_mut(content_bytes + follows.len());
    inside[content_bytes..].copy_from_slice(follows);
    let sealed = key
        .seal_in_place_separate_tag(nonce, extra, inside)
        .expect("invariant: a record is shorter than a cipher's limit");
    tag.copy_from_slice(sealed.as_ref());
}

/// What TLS 1.2 protects beside the content (RFC 5246 section 6.2.3.3).
fn extra_12(sequence: u64, kind: Kind, plain_bytes: usize) -> [u8; 13] {
    let mut extra = [0; 13];
    let length = u16::try_from(plain_bytes).expect("invariant: a record's length fits its header");
    extra[..8].copy_from_slice(&sequence.to_be_bytes());
    extra[8] = kind as u8;
    extra[9..11].copy_from_slice(&WIRE_VERSION);
    extra[11..].copy_from_slice(&length.to_be_bytes());
    extra
}

/// What stands before the content of a sealed record.
pub(super) const fn head_bytes(version: Version, suite: Suite) -> usize {
    HEADER_BYTES + cipher::explicit_nonce_bytes(version, suite)
}

/// What stands behind it inside: its type, which TLS 1.3 hides.
const fn kind_bytes(version: Version) -> usize {
    match version {
        Version::Tls12 => 0,
        Version::Tls13 => 1,
    }
}

/// How long a sealed record is.
pub(super) const fn record_bytes(version: Version, suite: Suite, plain_bytes: usize) -> usize {
    head_bytes(version, suite) + plain_bytes + kind_bytes(version) + TAG_BYTES
}

/// The room that one record of so much data needs, whatever the suite: its own, and that of a key update before it.
pub const fn sealed_bytes_max(plain_bytes: usize) -> usize {
    plain_bytes + SEALED_EXTRA_BYTES_MAX
}

/// How much longer data may get when it is sealed into one record: TLS 1.3 may put a key update before it, TLS 1.2
/// shows part of its nonces.
pub const SEALED_EXTRA_BYTES_MAX: usize = {
    let with_update = 2 * record_bytes(Version::Tls13, Suite::Aes128Gcm, 0) + KEY_UPDATE_BYTES;
    let with_nonce = record_bytes(Version::Tls12, Suite::Aes128Gcm, 0);
    if with_update > with_nonce {
        with_update
    } else {
        with_nonce
    }
};

/// The longest record of an alert.
pub const ALERT_BYTES_MAX: usize = record_bytes(Version::Tls12, Suite::Aes128Gcm, 2);

pub(super) const HEADER_BYTES: usize = 5;
/// A whole `KeyUpdate` message (RFC 8446 section 4.6.3).
pub(super) const KEY_UPDATE_BYTES: usize = 5;
/// Both versions write that of TLS 1.2.
const WIRE_VERSION: [u8; 2] = [3, 3];
