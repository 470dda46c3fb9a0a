//! Reads certificates, keys and revocation lists from PEM files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::LoadError;
use crate::limits::TLS_FILE_BYTES_MAX;

/// The bytes of a file, wiped when they are dropped: it may hold a key.
pub(super) fn bytes_of(
    path: &Path,
    what: &str,
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, LoadError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let read =
        File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(LoadError::new(path, what, error.to_string(), "")),
        Ok(length) if length > bytes_max => Err(LoadError::new(
            path,
            format!("{what} of at most {bytes_max} bytes"),
            "a longer file",
            "",
        )),
        Ok(_) => Ok(bytes),
    }
}

/// At least one certificate.
pub(super) fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let what = "a PEM file of certificates";
    let bytes = bytes_of(path, what, TLS_FILE_BYTES_MAX)?;
    sections(path, &bytes, what, "-----BEGIN CERTIFICATE-----")
}

/// At least one revocation list.
pub(super) fn revocations_of(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, LoadError> {
    let what = "a PEM file of revocation lists";
    let bytes = bytes_of(path, what, TLS_FILE_BYTES_MAX)?;
    sections(path, &bytes, what, "-----BEGIN X509 CRL-----")
}

/// The first private key.
pub(super) fn key_of(path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    let what = "a PEM file with a private key";
    let bytes = bytes_of(path, what, TLS_FILE_BYTES_MAX)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        Error::NoItemsFound if contains(&bytes, "-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
            LoadError::new(
                path,
                "a private key that no password protects",
                "an encrypted one",
                "decrypt it: openssl pkey -in FILE -out NEW",
            )
        }
        Error::NoItemsFound => LoadError::new(
            path,
            what,
            "none",
            "PKCS#8, SEC1 or PKCS#1, between lines such as -----BEGIN PRIVATE KEY-----",
        ),
        error => malformed(path, &bytes, what, &error),
    })
}

/// The line where the section with this place begins, counted from 1.
pub(super) fn line_of_section(bytes: &[u8], marker: &str, place: usize) -> Option<usize> {
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let mut begins = lines.filter(|(_, line)| line.starts_with(marker.as_bytes()));
    begins.nth(place).map(|(at, _)| at + 1)
}

fn sections<T: PemObject>(
    path: &Path,
    bytes: &[u8],
    what: &str,
    marker: &str,
) -> Result<Vec<T>, LoadError> {
    let read: Result<Vec<T>, Error> = T::pem_slice_iter(bytes).collect();
    match read {
        Ok(list) if list.is_empty() => Err(LoadError::new(
            path,
            what,
            "none",
            format!("each begins with a line {marker}"),
        )),
        Ok(list) => Ok(list),
        Err(error) => Err(malformed(path, bytes, what, &error)),
    }
}

fn malformed(path: &Path, bytes: &[u8], what: &str, error: &Error) -> LoadError {
    let (found, line) = match error {
        Error::MissingSectionEnd { .. } => {
            let last = bytes.split(|&byte| byte == b'\n').count();
            let begin = (0..last).rev().find(|&at| {
                let line = bytes.split(|&byte| byte == b'\n').nth(at);
                line.is_some_and(|line| line.starts_with(b"-----BEGIN "))
            });
            ("a section that does not end", begin.map(|at| at + 1))
        }
        Error::IllegalSectionStart { .. } => ("a line that begins a section and is cut", None),
        _ => ("a section that is not base64", None),
    };
    LoadError::new(path, what, found, "is the file complete?").at(line)
}

fn contains(bytes: &[u8], marker: &str) -> bool {
    line_of_section(bytes, marker, 0).is_some()
}
