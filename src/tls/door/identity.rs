//! Who a client is, as its certificate says. Read only after the certificate was found good.

use aws_lc_rs::digest;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::certificates::address;
use crate::limits::{CLIENT_NAMES_MAX, CLIENT_SUBJECT_BYTES_MAX};

/// What the certificate of a client says. Its texts hold no control characters: they may go into logs and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The subject as RFC 4514 writes it, most special part first: `CN=sensor 7,O=Example`. Cut at
    /// [`CLIENT_SUBJECT_BYTES_MAX`].
    pub subject: String,
    /// Other names, each with its kind before it (`DNS:`, `email:`, `URI:`, `IP:`), the first [`CLIENT_NAMES_MAX`].
    pub names: Vec<String>,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// SHA-256 of the certificate.
    pub fingerprint_sha256: [u8; 32],
}

impl ClientIdentity {
    /// `None` if it is no certificate.
    pub(super) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut fingerprint_sha256 = [0; 32];
        fingerprint_sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Some(Self {
            subject: subject(certificate.subject()),
            names: names(&certificate),
            serial: hex(certificate.raw_serial()),
            fingerprint_sha256,
        })
    }

    /// The fingerprint in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        hex(&self.fingerprint_sha256)
    }
}

/// RFC 4514 section 2.1: the last part first.
fn subject(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (place, part) in parts.iter().rev().enumerate() {
        for (at, attribute) in part.iter().enumerate() {
            match (place, at) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            push_attribute(&mut text, attribute);
            if text.len() > CLIENT_SUBJECT_BYTES_MAX {
                text.truncate(text.floor_char_boundary(CLIENT_SUBJECT_BYTES_MAX));
                return text;
            }
        }
    }
    text
}

fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid);
    text.push_str(short.map_or(&oid, |(_, short)| short));
    text.push('=');
    if let Ok(value) = attribute.as_str() {
        push_escaped(text, value);
    } else {
        text.push('#');
        text.push_str(&hex(attribute.attr_value().data));
    }
}

/// RFC 4514 section 2.4, and control characters as it allows to write any byte.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        let at_an_end = (at == 0 && matches!(letter, ' ' | '#')) || (at == last && letter == ' ');
        match letter {
            letter if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    text.push('\\');
                    text.push_str(&hex(&[byte]));
                }
                continue;
            }
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.push('\\'),
            _ if at_an_end => text.push('\\'),
            _ => {}
        }
        text.push(letter);
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    let texts = names.filter_map(|name| match name {
        GeneralName::DNSName(text) => visible("DNS", text),
        GeneralName::RFC822Name(text) => visible("email", text),
        GeneralName::URI(text) => visible("URI", text),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| format!("IP:{address}")),
        _ => None,
    });
    texts.take(CLIENT_NAMES_MAX).collect()
}

/// Names are visible ASCII; one with anything else in it is not to be believed.
fn visible(kind: &str, text: &str) -> Option<String> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    (good && text.len() <= CLIENT_SUBJECT_BYTES_MAX).then(|| format!("{kind}:{text}"))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Those of RFC 4514 section 3, and two that everybody writes so.
const SHORT_NAMES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("2.5.4.5", "serialNumber"),
];
