//! Loads what one listener or pool names. The door stops at the first mistake; here the others are looked for, one file
//! at a time, so that all of them can be said together.

use std::time::Duration;

use super::{Kept, KeptPool, VaultError};
use crate::clock::Now;
use crate::config::Config;
use crate::tls::{
    Acceptor, BackendTls, CertificateFact, CertificateFiles, Connector, ListenerTls, LoadError,
    Roots, Suite, TicketKeys, Tickets, UnknownName, Version,
};

/// A listener's TLS, or everything that is wrong with it. `known` is what it was before.
pub(super) fn listener(
    place: &str,
    settings: &ListenerTls,
    known: Option<&Kept>,
    now: Now,
) -> Result<Kept, Vec<VaultError>> {
    let mut wrong = Wrong::at(place);
    let tickets = match known {
        Some(kept) if kept.settings.tickets == settings.tickets => {
            kept.tickets.reload(now).map(|_| kept.tickets.clone())
        }
        _ => TicketKeys::load(&settings.tickets, now),
    };
    let tickets = tickets.map_err(|error| wrong.note(".tickets", error));
    let none = TicketKeys::load(&Tickets::Off, now).map_err(|error| wrong.note("", error));
    let Some(keys) = tickets.as_ref().ok().or(none.as_ref().ok()) else {
        return Err(wrong.list);
    };
    let loaded = Acceptor::load(settings, keys).map_err(|whole| {
        each_of_listener(settings, keys, &mut wrong);
        wrong.note_if_new("", whole);
    });
    match (loaded, tickets) {
        (Ok(loaded), Ok(tickets)) => Ok(Kept {
            settings: settings.clone(),
            tickets,
            acceptor: loaded.acceptor,
            certificates: loaded.certificates.into(),
            revocations: loaded.revocations,
        }),
        _ => Err(wrong.list),
    }
}

/// A pool's TLS, or everything that is wrong with it.
pub(super) fn pool(place: &str, settings: &BackendTls) -> Result<KeptPool, Vec<VaultError>> {
    let mut wrong = Wrong::at(place);
    let certificate = settings.certificate.as_ref();
    let fact = certificate.map(fact_of).transpose();
    let loaded = Connector::load(settings).inspect_err(|_| {
        let alone = BackendTls {
            certificate: None,
            ..settings.clone()
        };
        if let Err(error) = Connector::load(&alone) {
            let from_file = matches!(settings.roots, Roots::File(_));
            wrong.note(if from_file { ".authorities" } else { "" }, error);
        }
    });
    let fact = fact.map_err(|error| wrong.note(".certificate", error));
    let loaded = loaded.map_err(|whole| wrong.note_if_new("", whole));
    match (loaded, fact) {
        (Ok(connector), Ok(certificate)) => Ok(KeptPool {
            connector,
            certificate,
        }),
        _ => Err(wrong.list),
    }
}

/// Every certificate that the configuration names, with its place.
pub(super) fn certificates_named(
    config: &Config,
) -> impl Iterator<Item = (String, &CertificateFiles)> {
    let listeners = config.listeners.iter().flat_map(|listener| {
        let tls = listener.tls.iter();
        let all = tls.flat_map(|settings| settings.certificates.iter().enumerate());
        let place = format!("listeners.{}.tls", listener.name);
        all.map(move |(number, files)| (place_at(&place, number), files))
    });
    let pools = config.pools.iter().filter_map(|pool| {
        let files = pool.tls.as_ref()?.certificate.as_ref()?;
        Some((format!("pools.{}.tls.certificate", pool.name), files))
    });
    listeners.chain(pools)
}

/// The place of a listener's certificate with this number.
pub(super) fn place_at(place: &str, number: usize) -> String {
    format!("{place}.certificates[{number}]")
}

/// What a certificate says about itself, if it can be loaded with its key.
pub(super) fn fact_of(files: &CertificateFiles) -> Result<CertificateFact, LoadError> {
    let none = TicketKeys::load(&Tickets::Off, Now::default())?;
    let loaded = Acceptor::load(&alone(files), &none)?;
    let mut facts = loaded.certificates.into_iter();
    Ok(facts
        .next()
        .expect("invariant: each certificate that was asked for has its fact"))
}

/// Looks at each certificate alone, then at what certificates of clients go by.
fn each_of_listener(settings: &ListenerTls, keys: &TicketKeys, wrong: &mut Wrong<'_>) {
    let mut good = None;
    for (number, files) in settings.certificates.iter().enumerate() {
        match Acceptor::load(&alone(files), keys) {
            Ok(_) => good = Some(files),
            Err(error) => wrong.note(&place_at("", number), error),
        }
    }
    // The door looks at these only beside a certificate that is good.
    if let (Some(files), Some(_)) = (good, &settings.clients) {
        let clients = ListenerTls {
            clients: settings.clients.clone(),
            ..alone(files)
        };
        if let Err(error) = Acceptor::load(&clients, keys) {
            wrong.note(".client_certificates", error);
        }
    }
}

/// A listener with this certificate and nothing else.
fn alone(files: &CertificateFiles) -> ListenerTls {
    ListenerTls {
        certificates: vec![files.clone()],
        unknown_name: UnknownName::Default,
        min_version: Version::Tls12,
        suites: Suite::ALL.to_vec(),
        tickets: Tickets::Off,
        clients: None,
        handshake_timeout: Duration::ZERO,
    }
}

/// What is wrong with one listener or pool.
struct Wrong<'a> {
    place: &'a str,
    list: Vec<VaultError>,
}

impl<'a> Wrong<'a> {
    const fn at(place: &'a str) -> Self {
        Self {
            place,
            list: Vec::new(),
        }
    }

    fn note(&mut self, below: &str, error: LoadError) {
        let place = format!("{}{below}", self.place);
        self.list.push(VaultError { place, error });
    }

    /// Unless it has been found in a place of its own.
    fn note_if_new(&mut self, below: &str, error: LoadError) {
        if self.list.iter().all(|known| known.error != error) {
            self.note(below, error);
        }
    }
}
