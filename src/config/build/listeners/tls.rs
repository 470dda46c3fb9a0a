//! `[listeners.NAME.tls]`: how clients are spoken to.

use std::path::PathBuf;

use crate::config::build::{tls, unused};
use crate::config::kind::{self, Kind};
use crate::config::raw::{Item, Table};
use crate::limits;
use crate::tls::{
    CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Tickets, UnknownName,
};

/// What stands at a listener of TLS.
#[derive(Default)]
pub(super) struct Tls {
    /// Nothing if it has no certificate, which has then been noted.
    pub(super) settings: Option<ListenerTls>,
    /// Whether clients are asked for certificates. What is wrong counts as asking: nobody else is blamed for it.
    pub(super) asks: bool,
}

pub(super) fn tls(item: &Item<'_>) -> Tls {
    let expected =
        "a table such as { certificates = [{ chain = \"chain.pem\", key = \"key.pem\" }] }";
    match tls::table(item, expected) {
        Some(table) => table.open(of_table),
        None => Tls {
            settings: None,
            asks: true,
        },
    }
}

fn of_table(table: &mut Table<'_>) -> Tls {
    let certificates = certificates(table);
    let unknown = kind::word([
        ("default", UnknownName::Default),
        ("refuse", UnknownName::Refuse),
    ]);
    let unknown_name = table.value("unknown_name", &unknown, UnknownName::Default);
    let min_version = tls::min_version(table);
    let suites = tls::suites(table);
    let timeout = limits::TLS_HANDSHAKE_TIMEOUT;
    let handshake_timeout = table.value(
        "handshake_timeout",
        &kind::duration(timeout),
        timeout.default,
    );
    let tickets = tickets(table);
    let clients = table.item("client_certificates");
    let asks = clients.is_some();
    let clients = clients.and_then(|item| client_certificates(&item));
    let settings = ListenerTls {
        certificates,
        unknown_name,
        min_version,
        suites,
        tickets,
        clients,
        handshake_timeout,
    };
    Tls {
        settings: Some(settings).filter(|settings| !settings.certificates.is_empty()),
        asks,
    }
}

fn certificates(table: &mut Table<'_>) -> Vec<CertificateFiles> {
    let expected = "a list of certificates such as [{ chain = \"chain.pem\", key = \"key.pem\" }]";
    let item = table.required("certificates", expected);
    let all = item.and_then(|item| {
        let all = item.rows(expected, tls::certificate)?;
        tls::check_certificates(&item, &all);
        Some(all)
    });
    let good = all.into_iter().flatten().flatten();
    good.map(|given| given.value).collect()
}

/// Keys of our own, unless the file says something else.
fn tickets(table: &mut Table<'_>) -> Tickets {
    let item = table.item("tickets");
    let lifetime = kind::duration(limits::TICKET_LIFETIME);
    let lifetime = table.given("ticket_lifetime", &lifetime);
    let tickets = match &item {
        Some(item) => from(item),
        None => Some(From::Own),
    };
    let (tickets, found) = match tickets {
        Some(From::Own) | None => {
            let usual = limits::TICKET_LIFETIME.default;
            let rotate_after = lifetime.map_or(usual, |given| given.value);
            return Tickets::Own { rotate_after };
        }
        Some(From::File(path)) => (Tickets::File(path), "a file, which brings its own"),
        Some(From::Nowhere) => (Tickets::Off, "\"off\""),
    };
    let expected = "tickets = \"own\"";
    unused(table.report(), lifetime.as_ref(), expected, found);
    tickets
}

/// Where the keys of tickets come from.
enum From {
    Own,
    Nowhere,
    File(PathBuf),
}

/// Nothing if it is wrong, which has then been noted.
fn from(item: &Item<'_>) -> Option<From> {
    if let Some(table) = item.as_table() {
        let file = table.open(|table| tls::required_file(table, "file"));
        return Some(From::File(file?.value));
    }
    let words = Kind::new(
        "\"own\", \"off\" or { file = \"ticket.keys\" }",
        |value| match value.as_str()? {
            "own" => Some(true),
            "off" => Some(false),
            _ => None,
        },
    );
    let own = item.read(&words)?.value;
    Some(if own { From::Own } else { From::Nowhere })
}

/// Nothing if no authorities are named, which has then been noted.
fn client_certificates(item: &Item<'_>) -> Option<ClientCertificates> {
    let table = tls::table(
        item,
        "a table such as { mode = \"required\", authorities = \"clients.pem\" }",
    )?;
    table.open(|table| {
        let modes = kind::word([
            ("optional", ClientAuth::Optional),
            ("required", ClientAuth::Required),
        ]);
        let auth = table.value("mode", &modes, ClientAuth::Required);
        let authorities = tls::required_file(table, "authorities");
        let revoked = tls::optional_file(table, "revoked");
        Some(ClientCertificates {
            auth,
            authorities: authorities?.value,
            revoked,
        })
    })
}
