//! Certificates, keys and revocation lists, made for one test and gone after it.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::tls::{
    BackendTls, CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Roots, Suite,
    Tickets, UnknownName, Version,
};

/// An authority and a folder for what it makes.
pub(super) struct Papers {
    folder: TempDir,
    pub authority: CertifiedIssuer<'static, KeyPair>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    Ecdsa,
}

impl Papers {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let name = format!("Authority {:02x?}", &key.public_key_raw()[1..9]);
        params.distinguished_name.push(DnType::CommonName, name);
        Self {
            folder: TempDir::new().unwrap(),
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// A file with this text.
    pub(super) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn authority_file(&self) -> PathBuf {
        self.file("authority.pem", self.authority.pem())
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        roots
    }

    pub(super) fn certificate(&self, names: &[&str]) -> CertificateFiles {
        self.certificate_of(names, Kind::Ecdsa, |_| {})
    }

    pub(super) fn certificate_of(
        &self,
        names: &[&str],
        kind: Kind,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateFiles {
        let algorithm = match kind {
            Kind::Rsa => &PKCS_RSA_SHA256,
            Kind::Ecdsa => &PKCS_ECDSA_P256_SHA256,
        };
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let number = std::fs::read_dir(self.folder.path()).unwrap().count();
        CertificateFiles {
            chain: self.file(&format!("{number}.chain.pem"), certificate.pem()),
            key: self.file(&format!("{number}.key.pem"), key.serialize_pem()),
        }
    }

    /// A revocation list with these serial numbers, due at the start of this year.
    pub(super) fn revoked(&self, serials: &[u8], due: i32) -> PathBuf {
        let revoked_certs = serials
            .iter()
            .map(|&serial| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&[serial]),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(due, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority).unwrap();
        self.file("revoked.pem", list.pem().unwrap())
    }

    pub(super) fn clients(&self, auth: ClientAuth) -> ClientCertificates {
        ClientCertificates {
            auth,
            authorities: self.authority_file(),
            revoked: None,
        }
    }

    pub(super) fn listener(&self) -> ListenerTls {
        listener(vec![self.certificate(&["example.com"])])
    }

    pub(super) fn backend(&self) -> BackendTls {
        BackendTls {
            roots: Roots::File(self.authority_file()),
            server_name: None,
            certificate: None,
            pins: Vec::new(),
            min_version: Version::Tls12,
            suites: Suite::ALL.to_vec(),
        }
    }
}

pub(super) fn listener(certificates: Vec<CertificateFiles>) -> ListenerTls {
    ListenerTls {
        certificates,
        unknown_name: UnknownName::Default,
        min_version: Version::Tls12,
        suites: Suite::ALL.to_vec(),
        tickets: Tickets::Off,
        clients: None,
        handshake_timeout: std::time::Duration::from_secs(10),
    }
}
