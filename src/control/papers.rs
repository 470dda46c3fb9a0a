//! Certificates and keys in files, made for one test and gone after it.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::tls::CertificateFiles;

/// An authority, and a folder for what it vouches for.
pub(crate) struct Papers {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // Nobody's name is somebody else's: which authority is meant is found out by that.
        let name = format!("Authority of {}", folder.path().display());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self {
            folder,
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// A file with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The authority's own certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.file("authority.pem", &self.authority.pem())
    }

    /// `NAME.pem` and `NAME.key`, for these names, good for long.
    pub(crate) fn certificate(&self, name: &str, names: &[&str]) -> CertificateFiles {
        self.certificate_in(name, names, (1975, 4096))
    }

    /// The same, good from the start of one year to the start of another.
    pub(crate) fn certificate_in(
        &self,
        name: &str,
        names: &[&str],
        (from, to): (i32, i32),
    ) -> CertificateFiles {
        let key = KeyPair::generate().unwrap();
        // What looks like an address becomes one.
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        CertificateFiles {
            chain: self.file(&format!("{name}.pem"), &certificate.pem()),
            key: self.file(&format!("{name}.key"), &key.serialize_pem()),
        }
    }
}
