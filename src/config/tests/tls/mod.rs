//! What TLS in the file becomes.

pub(super) mod any;
pub(super) mod print;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, Listener, PoolSettings, RouteSettings, load, parse};
use crate::fleet::{Pattern, Registry, San, SlotTable};
use crate::limits;
use crate::sync::Arc;
use crate::tls::{
    BackendTls, CertificateFiles, ClientAuth, ClientCertificates, ListenerTls, Roots, Suite,
    Tickets, UnknownName, Version,
};

/// A file whose only listener has these settings, and whose only pool and route have those.
fn config(listener: &str, pool: &str, route: &str) -> Config {
    let text = format!(
        "[listeners.public]\nbind = \"0.0.0.0:8443\"\n{listener}\n\
         [pools.chat]\nbackends = [\"10.0.0.1:9000\"]\n{pool}\n[[routes]]\npool = \"chat\"\n{route}\n"
    );
    parse("a.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn listener(settings: &str) -> Listener {
    config(settings, "", "").listeners.remove(0)
}

fn pool(settings: &str) -> PoolSettings {
    config("", settings, "").pools.remove(0)
}

fn route(settings: &str) -> RouteSettings {
    let asks = "tls = { certificates = [{ chain = \"c\", key = \"k\" }], client_certificates = { authorities = \"a\" } }";
    config(asks, "", settings).routes.remove(0)
}

fn files(chain: &str, key: &str) -> CertificateFiles {
    CertificateFiles {
        chain: chain.into(),
        key: key.into(),
    }
}

#[test]
fn what_says_nothing_of_tls_is_in_the_clear() {
    let config = config("redirect_to_https = false", "", "");
    let listener = &config.listeners[0];
    assert_eq!(
        (&listener.tls, listener.redirect_to_https, &listener.hsts),
        (&None, None, &None)
    );
    assert_eq!(
        (&config.pools[0].tls, config.pools[0].probe_tls),
        (&None, false)
    );
    assert_eq!(config.routes[0].client_certificate, None);
}

#[test]
fn a_certificate_is_enough_for_a_listener() {
    let tls = listener("tls.certificates = [{ chain = \"/etc/a.pem\", key = \"b.key\" }]").tls;
    let usual = ListenerTls {
        certificates: vec![files("/etc/a.pem", "b.key")],
        unknown_name: UnknownName::Default,
        min_version: Version::Tls12,
        suites: Suite::ALL.to_vec(),
        tickets: Tickets::Own {
            rotate_after: limits::TICKET_LIFETIME.default,
        },
        clients: None,
        handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT.default,
    };
    assert_eq!(tls, Some(usual));
}

#[test]
fn a_listener_is_read_as_written() {
    let tls = listener(
        "[listeners.public.tls]\n\
         certificates = [{ chain = \"a\", key = \"b\" }, { key = \"d\", chain = \"c\" }]\n\
         unknown_name = \"refuse\"\nmin_version = \"1.3\"\nciphers = [\"chacha20-poly1305\", \"aes-128-gcm\"]\n\
         handshake_timeout = \"3s\"\nticket_lifetime = \"1h\"\n\
         client_certificates = { mode = \"optional\", authorities = \"ca\", revoked = \"crl\" }",
    )
    .tls;
    let expected = ListenerTls {
        certificates: vec![files("a", "b"), files("c", "d")],
        unknown_name: UnknownName::Refuse,
        min_version: Version::Tls13,
        suites: vec![Suite::ChaCha20Poly1305, Suite::Aes128Gcm],
        tickets: Tickets::Own {
            rotate_after: Duration::from_hours(1),
        },
        clients: Some(ClientCertificates {
            auth: ClientAuth::Optional,
            authorities: "ca".into(),
            revoked: Some("crl".into()),
        }),
        handshake_timeout: Duration::from_secs(3),
    };
    assert_eq!(tls, Some(expected));
}

#[test]
fn tickets_come_from_nowhere_from_us_or_from_a_file() {
    let tickets = |value: &str| {
        let tls = format!(
            "tls = {{ certificates = [{{ chain = \"a\", key = \"b\" }}], tickets = {value} }}"
        );
        listener(&tls).tls.unwrap().tickets
    };
    assert_eq!(tickets("\"off\""), Tickets::Off);
    let rotate_after = limits::TICKET_LIFETIME.default;
    assert_eq!(tickets("\"own\""), Tickets::Own { rotate_after });
    assert_eq!(tickets("{ file = \"/t\" }"), Tickets::File("/t".into()));
}

#[test]
fn files_are_looked_for_beside_the_configuration_and_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringway.toml");
    fs::copy(example("tls.toml"), &file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("/etc/ringway/", "certs/")).unwrap();
    let config = load(&file).unwrap();
    let beside = |name: &str| folder.path().join("certs").join(name);
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[1].key, beside("example.org.key"));
    assert_eq!(tls.tickets, Tickets::File(beside("ticket.keys")));
    let clients = config.listeners[2].tls.as_ref().unwrap().clients.as_ref();
    assert_eq!(clients.unwrap().authorities, beside("device-ca.pem"));
    assert_eq!(clients.unwrap().revoked, Some(beside("device-crl.pem")));
    let tls = config.pools[0].tls.as_ref().unwrap();
    assert_eq!(tls.roots, Roots::File(beside("internal-ca.pem")));
    assert_eq!(
        tls.certificate.as_ref().unwrap().chain,
        beside("ringway.pem")
    );
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

#[test]
fn a_redirect_goes_to_the_usual_port_or_to_another() {
    let port = |value: &str| listener(&format!("redirect_to_https = {value}")).redirect_to_https;
    assert_eq!(
        [port("true"), port("8443"), port("false")],
        [Some(443), Some(8443), None]
    );
}

#[test]
fn hsts_is_ready_to_be_sent() {
    let hsts = |value: &str| {
        let tls = "tls.certificates = [{ chain = \"a\", key = \"b\" }]";
        let hsts = listener(&format!("{tls}\nhsts = {value}")).hsts.unwrap();
        String::from(hsts)
    };
    assert_eq!(hsts("{}"), "max-age=31536000");
    assert_eq!(hsts("{ max_age = \"0s\" }"), "max-age=0");
    assert_eq!(
        hsts("{ max_age = \"730d\", include_subdomains = true, preload = true }"),
        "max-age=63072000; includeSubDomains; preload"
    );
    assert_eq!(
        hsts("{ max_age = \"60s\", include_subdomains = true, preload = false }"),
        "max-age=60; includeSubDomains"
    );
}

#[test]
fn an_empty_table_is_enough_for_a_pool() {
    let usual = BackendTls {
        roots: Roots::System,
        server_name: None,
        certificate: None,
        pins: Vec::new(),
        min_version: Version::Tls12,
        suites: Suite::ALL.to_vec(),
    };
    let pool = pool("tls = {}");
    assert_eq!(pool.tls.as_deref(), Some(&usual));
    assert!(pool.probe_tls);
}

#[test]
fn a_pool_is_read_as_written() {
    let pool = pool(
        "probe.tls = false\n[pools.chat.tls]\nauthorities = \"ca.pem\"\nserver_name = \"Chat.Internal.\"\n\
         certificate = { chain = \"a\", key = \"b\" }\nmin_version = \"1.3\"\nciphers = [\"aes-256-gcm\"]\n\
         pins = [\"sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]",
    );
    let expected = BackendTls {
        roots: Roots::File("ca.pem".into()),
        server_name: Some("chat.internal".to_owned()),
        certificate: Some(files("a", "b")),
        pins: vec![std::array::from_fn(|at| u8::try_from(at).unwrap())],
        min_version: Version::Tls13,
        suites: vec![Suite::Aes256Gcm],
    };
    assert_eq!(pool.tls.as_deref(), Some(&expected));
    assert!(!pool.probe_tls);
}

#[test]
fn probes_follow_the_pool_until_they_are_told_otherwise() {
    let of = |settings: &str| pool(settings).probe_tls;
    assert!(of("tls = {}\nprobe = {}"));
    assert!(of("tls = {}\nprobe = { kind = \"http\", tls = true }"));
    assert!(!of("tls = {}\nprobe = { tls = false }"));
    assert!(!of("probe = {}"));
}

#[test]
fn a_route_that_asks_for_certificates_demands_one_until_told_otherwise() {
    let rules = |table: &str| {
        let route = route(&format!("client_certificate = {table}"));
        *route.client_certificate.unwrap()
    };
    assert!(rules("{}").required);
    assert!(!rules("{ required = false }").required);
    let listed = rules("{ subjects = [\"CN=device-*\"], sans = [\"a.example\", \"IP:10.0.0.1\"] }");
    assert!(listed.required);
    assert_eq!(listed.subjects, [Pattern::Start("CN=device-".into())]);
    let sans = ["DNS:a.example", "IP:10.0.0.1"].map(|text| San::parse(text).unwrap());
    assert_eq!(listed.sans, sans);
    let told =
        rules("{ required = false, subject_header = \"X-Who\", verify_header = \"x_verify\" }");
    assert_eq!(told.fields().collect::<Vec<_>>(), ["X-Who", "x_verify"]);
}

#[test]
fn a_snapshot_carries_what_workers_need_of_it() {
    let config = load(&example("tls.toml")).unwrap();
    let mut registry = Registry::new(Arc::new(SlotTable::new(8)));
    let snapshot = config.snapshot(&mut registry).unwrap();
    assert_eq!(snapshot.pools[0].tls, config.pools[0].tls);
    let route = snapshot
        .routes
        .find(Some("devices.example.com"), "/")
        .unwrap();
    assert_eq!(
        route.client_certificate,
        config.routes[1].client_certificate
    );
    assert_eq!(snapshot.routes.claimed_fields().len(), 2);
    let open = snapshot.routes.find(Some("chat.example.com"), "/").unwrap();
    assert_eq!(open.client_certificate, None);
}
