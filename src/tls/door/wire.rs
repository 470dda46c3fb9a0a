//! Cuts what a peer sends into records, and says what cannot be one. Knows headers, never what is inside.

use crate::limits::{TLS_HANDSHAKE_BYTES_MAX, TLS_RECORD_BYTES_MAX};

/// At most one record, in the making or whole.
#[derive(Default)]
pub(super) struct Wire {
    /// Invariant: at most [`HEADER_BYTES`] + [`TLS_RECORD_BYTES_MAX`] bytes.
    held: Vec<u8>,
    /// A whole record is held and was given out.
    given: bool,
    /// Bytes taken since the start.
    taken: usize,
}

/// Why there is no next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It starts like a request in plain HTTP.
    PlainHttp,
    /// It is no TLS at all.
    NotTls,
    /// After good records, a header that no record has.
    Header,
    /// A record, or all of them together, is over its bound.
    TooLong,
}

impl Wire {
    /// Takes bytes off the front of `bytes` until a record is whole, and gives it out with its header. `None` asks for
    /// more. Cutting the stream elsewhere never changes what is given out or refused.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&[u8]>, Refused> {
        if self.given {
            self.held.clear();
            self.given = false;
        }
        while let Some(missing) = self.missing()? {
            if bytes.is_empty() {
                return Ok(None);
            }
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.taken += now.len();
            if self.taken > TLS_HANDSHAKE_BYTES_MAX {
                return Err(Refused::TooLong);
            }
            self.held.extend_from_slice(now);
            *bytes = later;
        }
        self.given = true;
        Ok(Some(&self.held))
    }

    /// What is held of a record that was refused or is not whole.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    /// How many bytes to take before the next look; `None` if the record is whole.
    fn missing(&self) -> Result<Option<usize>, Refused> {
        if self.is_first() && !self.held.is_empty() && !is_type(self.held[0]) {
            return if spells_a_method(&self.held).ok_or(Refused::NotTls)? {
                Err(Refused::PlainHttp)
            } else {
                Ok(Some(1))
            };
        }
        self.check_header()?;
        let Some(&[_, _, _, high, low]) = self.held.first_chunk() else {
            return Ok(Some(HEADER_BYTES - self.held.len()));
        };
        let whole = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
        Ok((self.held.len() < whole).then(|| whole - self.held.len()))
    }

    /// Checks each byte of the header as soon as it is there.
    fn check_header(&self) -> Result<(), Refused> {
        let wrong = if self.is_first() {
            Refused::NotTls
        } else {
            Refused::Header
        };
        let header = &self.held[..self.held.len().min(HEADER_BYTES)];
        if header.first().is_some_and(|&byte| !is_type(byte)) {
            return Err(wrong);
        }
        // The minor version is frozen by TLS 1.3 and ignored (RFC 8446 section 5.1).
        if header.get(1).is_some_and(|&major| major != 3) {
            return Err(wrong);
        }
        let Some(&[kind, _, _, high, low]) = header.first_chunk() else {
            return Ok(());
        };
        match usize::from(u16::from_be_bytes([high, low])) {
            // Only data may be empty, and even that only when it is not protected.
            0 if kind != APPLICATION_DATA => Err(wrong),
            length if length > TLS_RECORD_BYTES_MAX => Err(Refused::TooLong),
            _ => Ok(()),
        }
    }

    fn is_first(&self) -> bool {
        self.taken == self.held.len()
    }
}

const fn is_type(byte: u8) -> bool {
    matches!(byte, 20..=APPLICATION_DATA)
}

/// `Some(false)` while more bytes could spell a method, `None` when they cannot.
fn spells_a_method(bytes: &[u8]) -> Option<bool> {
    if METHODS.iter().any(|method| bytes.starts_with(method)) {
        return Some(true);
    }
    let could_be = METHODS.iter().any(|method| method.starts_with(bytes));
    could_be.then_some(false)
}

/// Type, version and length.
pub(super) const HEADER_BYTES: usize = 5;
const APPLICATION_DATA: u8 = 23;
/// Those of RFC 9110 section 9 and RFC 5789, and the preface of HTTP/2.
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI * ",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that is given out, then what is refused if anything is.
    fn cut(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Refused>) {
        let mut wire = Wire::default();
        let mut records = Vec::new();
        for mut piece in pieces.iter().copied() {
            loop {
                match wire.next(&mut piece) {
                    Ok(Some(record)) => records.push(record.to_vec()),
                    Ok(None) => break,
                    Err(refused) => return (records, Some(refused)),
                }
            }
        }
        (records, None)
    }

    #[test]
    fn records_are_given_out_whole_and_one_by_one() {
        let bytes = b"\x16\x03\x01\0\x02ab\x17\x03\x03\0\0\x14\x03\x03\0\x01\x01\x16\x03";
        let (records, refused) = cut(&[bytes]);
        let bodies: Vec<_> = records.iter().map(|record| &record[5..]).collect();
        assert_eq!(bodies, [&b"ab"[..], b"", b"\x01"]);
        assert_eq!(refused, None);
    }

    #[test]
    fn what_is_no_record_is_refused_at_its_first_wrong_byte() {
        for (bytes, refused) in [
            (&b"GET "[..], Some(Refused::PlainHttp)),
            (b"PRI * ", Some(Refused::PlainHttp)),
            (b"OPTIO", None),
            (b"GEX", Some(Refused::NotTls)),
            (b"SSH-", Some(Refused::NotTls)),
            (b"\x80", Some(Refused::NotTls)),
            (b"\x16\x02", Some(Refused::NotTls)),
            (b"\x16\x03\x01\0\0", Some(Refused::NotTls)),
            (b"\x16\x03\x01\x48\x01", Some(Refused::TooLong)),
            (b"\x16\x03\x01\x48\x00", None),
            (b"\x16\x03\x01\0\x01a\x18", Some(Refused::Header)),
            (b"\x16\x03\x01\0\x01aGET ", Some(Refused::Header)),
            (b"\x16\x03\x01\0\x01a\x16\x04", Some(Refused::Header)),
        ] {
            assert_eq!(cut(&[bytes]).1, refused, "{bytes:?}");
        }
    }

    #[test]
    fn all_records_together_have_a_bound() {
        let record = [&b"\x16\x03\x03\x40\x00"[..], &[0; 0x4000]].concat();
        let (records, refused) = cut(&[&record, &record, &record, &record]);
        assert_eq!((records.len(), refused), (3, Some(Refused::TooLong)));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                prop::collection::vec(prop_oneof![Just(0u8), Just(3), Just(22), Just(b'G'), Just(b'E'), 0u8..8], 0..64),
            ],
            at in 0usize..64,
        ) {
            let (left, right) = bytes.split_at(at.min(bytes.len()));
            let singly: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(cut(&[left, right]), cut(&[&bytes]));
            prop_assert_eq!(cut(&singly), cut(&[&bytes]));
        }
    }
}
