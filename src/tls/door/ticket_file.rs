//! Reads keys of tickets from a file that several hosts share: one in each line, 80 bytes in base64. The first 16 name
//! it, the rest is random: `openssl rand -base64 -A 80` makes one. Empty lines and those that begin with `#` are free.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::LoadError;
use super::files::bytes_of;
use super::tickets::{SECRET_BYTES, Secret};
use crate::limits::{TICKET_FILE_BYTES_MAX, TICKET_KEYS_MAX};

/// At least one key; the first is the one that seals.
pub(super) fn read(path: &Path) -> Result<Vec<Secret>, LoadError> {
    let bytes = bytes_of(path, "a file of ticket keys", TICKET_FILE_BYTES_MAX)?;
    let mut keys = Vec::new();
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let key = decode(line).map_err(|found| {
            // What was found is a secret, or was meant to be.
            LoadError::new(path, "80 bytes in base64", found, REMEDY).at(Some(at + 1))
        })?;
        keys.push(key);
    }
    match keys.len() {
        0 => Err(LoadError::new(
            path,
            "a line for each ticket key",
            "none",
            REMEDY,
        )),
        1..=TICKET_KEYS_MAX => Ok(keys),
        more => Err(LoadError::new(
            path,
            format!("1 to {TICKET_KEYS_MAX} ticket keys"),
            more.to_string(),
            "take out those whose tickets are no longer good",
        )),
    }
}

fn decode(line: &[u8]) -> Result<Secret, String> {
    let bytes = STANDARD.decode(line).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "another text".to_owned())?;
    let mut key = Zeroizing::new([0; SECRET_BYTES]);
    if bytes.len() != SECRET_BYTES {
        return Err(format!("{} bytes", bytes.len()));
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

const REMEDY: &str = "openssl rand -base64 -A 80 makes one";
