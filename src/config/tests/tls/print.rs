//! TLS as the file has it.

use std::fmt::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::Listener;
use crate::config::build::CIPHERS;
use crate::config::units::Span;
use crate::fleet::ClientCertRules;
use crate::tls::{
    BackendTls, CertificateFiles, ClientAuth, ListenerTls, Roots, Suite, Tickets, UnknownName,
    Version,
};

pub(in crate::config::tests) fn listener(out: &mut String, listener: &Listener) {
    match listener.redirect_to_https {
        Some(443) => writeln!(out, "redirect_to_https = true").unwrap(),
        Some(port) => writeln!(out, "redirect_to_https = {port}").unwrap(),
        None => writeln!(out, "redirect_to_https = false").unwrap(),
    }
    if let Some(value) = &listener.hsts {
        let mut parts = value.split("; ");
        let age = parts.next().unwrap().strip_prefix("max-age=").unwrap();
        let subdomains = value.contains("includeSubDomains");
        let preload = value.contains("preload");
        writeln!(
            out,
            "hsts = {{ max_age = \"{age}s\", include_subdomains = {subdomains}, preload = {preload} }}"
        )
        .unwrap();
    }
    if let Some(tls) = &listener.tls {
        writeln!(out, "[listeners.\"{}\".tls]", listener.name).unwrap();
        settings(out, tls);
    }
}

fn settings(out: &mut String, tls: &ListenerTls) {
    let certificates: Vec<_> = tls.certificates.iter().map(certificate).collect();
    writeln!(out, "certificates = [{}]", certificates.join(", ")).unwrap();
    let unknown = match tls.unknown_name {
        UnknownName::Default => "default",
        UnknownName::Refuse => "refuse",
    };
    writeln!(out, "unknown_name = {unknown:?}").unwrap();
    versions(out, tls.min_version, &tls.suites);
    writeln!(
        out,
        "handshake_timeout = \"{}\"",
        Span(tls.handshake_timeout)
    )
    .unwrap();
    match &tls.tickets {
        Tickets::Off => writeln!(out, "tickets = \"off\"").unwrap(),
        Tickets::File(path) => writeln!(out, "tickets = {{ file = {} }}", quoted(path)).unwrap(),
        Tickets::Own { rotate_after } => {
            writeln!(out, "ticket_lifetime = \"{}\"", Span(*rotate_after)).unwrap();
        }
    }
    if let Some(clients) = &tls.clients {
        let mode = match clients.auth {
            ClientAuth::Optional => "optional",
            ClientAuth::Required => "required",
        };
        let authorities = quoted(&clients.authorities);
        let revoked = clients.revoked.as_deref();
        let revoked = revoked.map(|path| format!(", revoked = {}", quoted(path)));
        let revoked = revoked.unwrap_or_default();
        writeln!(
            out,
            "client_certificates = {{ mode = {mode:?}, authorities = {authorities}{revoked} }}"
        )
        .unwrap();
    }
}

pub(in crate::config::tests) fn pool(out: &mut String, name: &str, tls: &BackendTls) {
    writeln!(out, "[pools.\"{name}\".tls]").unwrap();
    match &tls.roots {
        Roots::System => writeln!(out, "authorities = \"system\"").unwrap(),
        Roots::File(path) => writeln!(out, "authorities = {}", quoted(path)).unwrap(),
    }
    if let Some(name) = &tls.server_name {
        writeln!(out, "server_name = {name:?}").unwrap();
    }
    if let Some(files) = &tls.certificate {
        writeln!(out, "certificate = {}", certificate(files)).unwrap();
    }
    if !tls.pins.is_empty() {
        let pin = |pin: &[u8; 32]| format!("sha256/{}", STANDARD.encode(pin));
        let pins: Vec<_> = tls.pins.iter().map(pin).collect();
        writeln!(out, "pins = {pins:?}").unwrap();
    }
    versions(out, tls.min_version, &tls.suites);
}

pub(in crate::config::tests) fn rules(out: &mut String, rules: &ClientCertRules) {
    writeln!(out, "[routes.client_certificate]").unwrap();
    writeln!(out, "required = {}", rules.required).unwrap();
    let texts = |texts: Vec<String>| toml::Value::from(texts);
    if !rules.subjects.is_empty() {
        let subjects = rules.subjects.iter().map(ToString::to_string).collect();
        writeln!(out, "subjects = {}", texts(subjects)).unwrap();
    }
    if !rules.sans.is_empty() {
        let sans = rules.sans.iter().map(ToString::to_string).collect();
        writeln!(out, "sans = {}", texts(sans)).unwrap();
    }
    for (key, name) in [
        ("subject_header", &rules.subject_header),
        ("sans_header", &rules.sans_header),
        ("fingerprint_header", &rules.fingerprint_header),
        ("verify_header", &rules.verify_header),
    ] {
        if let Some(name) = name {
            writeln!(out, "{key} = {name:?}").unwrap();
        }
    }
}

fn certificate(files: &CertificateFiles) -> String {
    let (chain, key) = (quoted(&files.chain), quoted(&files.key));
    format!("{{ chain = {chain}, key = {key} }}")
}

fn versions(out: &mut String, version: Version, suites: &[Suite]) {
    let version = match version {
        Version::Tls12 => "1.2",
        Version::Tls13 => "1.3",
    };
    let name = |suite: &Suite| CIPHERS.iter().find(|(_, one)| one == suite).unwrap().0;
    let ciphers: Vec<_> = suites.iter().map(name).collect();
    writeln!(out, "min_version = {version:?}\nciphers = {ciphers:?}").unwrap();
}

/// As TOML quotes it, which is not as Debug does.
fn quoted(path: &Path) -> toml::Value {
    toml::Value::from(path.to_str().unwrap())
}
