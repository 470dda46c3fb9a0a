//! The certificate of a run with TLS: made for it, the same for every proxy, and gone with it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A P-256 certificate for 127.0.0.1, with the authority that vouches for it.
#[derive(Debug)]
pub(crate) struct Papers {
    folder: TempDir,
}

impl Papers {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("creating a folder for the certificate")?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "versus authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "versus");
        let key = KeyPair::generate()?;
        let chain = params.signed_by(&key, &authority)?.pem();
        let papers = Self { folder };
        let key = key.serialize_pem();
        for (path, text) in [
            (papers.authority(), &authority.pem()),
            (papers.both(), &format!("{chain}{key}")),
            (papers.chain(), &chain),
            (papers.key(), &key),
        ] {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(papers)
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Chain and key in one file.
    pub(crate) fn both(&self) -> PathBuf {
        self.folder.path().join("both.pem")
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }
}
