//! Secrets that stand in files of their own: read once, bounded, and never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::units::Size;
use crate::limits::{SECRET_FILE_BYTES_MAX, TOKEN_BYTES};

/// What opens the control listener to someone who is not on this machine. Only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// Why a file gives no secret, and what may help.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) found: String,
    pub(super) note: String,
}

impl Token {
    /// The token of this text.
    pub fn of(text: &[u8]) -> Self {
        Self(digest(text))
    }

    /// The token in the first and only line of a file.
    pub(super) fn in_file(content: &[u8]) -> Option<Self> {
        let text = content.trim_ascii_end();
        let (least, most) = TOKEN_BYTES;
        let right = (least..=most).contains(&text.len());
        (right && text.iter().all(u8::is_ascii_graphic)).then(|| Self::of(text))
    }

    /// Whether this is it. How long the answer takes says nothing about where the two differ.
    pub fn is(&self, given: &[u8]) -> bool {
        let pairs = self.0.iter().zip(digest(given));
        pairs.fold(0, |differing, (mine, theirs)| differing | (mine ^ theirs)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Unusable {
    /// The file was read, and this is in it.
    pub(super) fn of(found: String) -> Self {
        let note = String::new();
        Self { found, note }
    }

    /// Nobody may read files here.
    pub(super) fn unread() -> Self {
        Self::of("one that is not read here".to_owned())
    }
}

/// The SHA-256 of these bytes.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The content of a file that not everybody may read or write.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    let refused = |error: io::Error| Unusable::of(format!("{}: {error}", path.display()));
    // Opening a pipe would wait for its writer, so what it is comes first.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err(Unusable::of("something that is not a file".to_owned()));
    }
    let file = File::open(path).map_err(refused)?;
    // Asked of the open file: another one may have taken its name meanwhile.
    let mode = file.metadata().map_err(refused)?.permissions().mode();
    if mode & EVERYBODY != 0 {
        let note = format!("chmod o-rwx {}", path.display());
        let found = "one that everybody may read or write".to_owned();
        return Err(Unusable { found, note });
    }
    let mut content = Vec::new();
    let bound = SECRET_FILE_BYTES_MAX as u64 + 1;
    file.take(bound)
        .read_to_end(&mut content)
        .map_err(refused)?;
    if content.len() > SECRET_FILE_BYTES_MAX {
        let most = Size(SECRET_FILE_BYTES_MAX as u64);
        return Err(Unusable::of(format!("more than {most}")));
    }
    Ok(content)
}

/// The bits of a mode that let those read or write who are neither the owner nor of the group.
const EVERYBODY: u32 = 0o006;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_every_other_and_never_shown() {
        let token = Token::in_file(b"correct-horse-battery\n").unwrap();
        assert!(token.is(b"correct-horse-battery"));
        for other in [
            "",
            "correct-horse-batterz",
            "correct-horse-battery\n",
            "correct-horse-batter",
        ] {
            assert!(!token.is(other.as_bytes()), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_token_fits_into_a_header_and_is_no_guess() {
        let long = [b'x'; TOKEN_BYTES.1 + 1];
        for wrong in [
            &b""[..],
            b"short",
            b"two words of a phrase",
            b"one-line-of-a-text\nand-another",
            &long,
        ] {
            assert_eq!(Token::in_file(wrong), None);
        }
        assert!(Token::in_file(&long[1..]).is_some());
    }
}
