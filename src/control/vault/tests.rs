//! What is loaded from files that are right, wrong, old and changed.

use super::*;
use crate::config;
use crate::control::papers::Papers;
use crate::tls::CertificateFiles;

/// A configuration with these lines in the tables of a listener and a pool.
fn config(listener: &str, pool: &str) -> Config {
    let text = format!(
        "[listeners.public]\nbind = \"127.0.0.1:0\"\n[listeners.public.tls]\n{listener}\n\
         [pools.chat]\nbackends = [\"127.0.0.1:9\"]\n[pools.chat.tls]\n{pool}\n\
         [[routes]]\npool = \"chat\"\n"
    );
    config::parse("test.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

fn table(files: &CertificateFiles) -> String {
    let (chain, key) = (files.chain.display(), files.key.display());
    format!("{{ chain = \"{chain}\", key = \"{key}\" }}")
}

const START: Now = Now::from_nanos(0);

#[test]
fn every_mistake_is_found_at_once_and_each_has_its_place() {
    let papers = Papers::new();
    let (good, other) = (
        papers.certificate("good", &["a.example"]),
        papers.certificate("other", &["b.example"]),
    );
    let mixed = CertificateFiles {
        key: other.key.clone(),
        ..good.clone()
    };
    let empty = papers.file("empty.pem", "");
    let missing = papers.file("x", "").with_file_name("missing");
    let listener = format!(
        "certificates = [{}, {}, {}]\ntickets = {{ file = \"{}\" }}\n\
         client_certificates = {{ authorities = \"{}\" }}",
        table(&other),
        table(&mixed),
        table(&CertificateFiles {
            chain: missing.clone(),
            key: missing.clone()
        }),
        papers.file("tickets", "abc\n").display(),
        empty.display(),
    );
    let pool = format!(
        "authorities = \"{}\"\ncertificate = {}",
        empty.display(),
        table(&mixed),
    );
    let config = config(&listener, &pool);
    let found = check_tls(&config);
    let places: Vec<_> = found
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "listeners.public.tls.tickets",
            "listeners.public.tls.certificates[1]",
            "listeners.public.tls.certificates[2]",
            "listeners.public.tls.client_certificates",
            "pools.chat.tls.authorities",
            "pools.chat.tls.certificate",
        ],
        "{found:#?}"
    );
    assert!(found[1].contains("expected the key of"), "{}", found[1]);
    assert!(found[2].contains("missing: expected"), "{}", found[2]);

    let error = Vault::load(&config, &Vault::default(), START).unwrap_err();
    assert_eq!(error.to_string().lines().count(), found.len(), "{error}");

    let report = examine_tls(&config);
    assert_eq!(report.mistakes.len(), found.len());
    let [known] = &report.certificates[..] else {
        panic!("{report:#?}");
    };
    assert_eq!(known.place, "listeners.public.tls.certificates[0]");
}

#[test]
fn a_mistake_of_all_certificates_together_is_found_too() {
    let papers = Papers::new();
    let listener = format!(
        "certificates = [{}, {}]",
        table(&papers.certificate("a", &["a.example"])),
        table(&papers.certificate("nameless", &[])),
    );
    let authority = papers.authority();
    let pool = format!("authorities = \"{}\"", authority.display());
    let [found] = &check_tls(&config(&listener, &pool))[..] else {
        panic!("one mistake");
    };
    assert!(found.starts_with("listeners.public.tls: "), "{found}");
    assert!(found.contains("nameless.pem: expected"), "{found}");
}

#[test]
fn certificates_that_are_not_good_for_long_are_named_now_and_every_day() {
    let papers = Papers::new();
    let long = papers.certificate_in("long", &["a.example"], (2020, 2040));
    let short = papers.certificate_in("short", &["b.example"], (2020, 2030));
    let ours = papers.certificate_in("ours", &["ringway.example"], (2020, 2029));
    let listener = format!("certificates = [{}, {}]", table(&long), table(&short));
    let authority = papers.authority();
    let pool = format!(
        "authorities = \"{}\"\ncertificate = {}",
        authority.display(),
        table(&ours)
    );
    let mut vault = Vault::load(&config(&listener, &pool), &Vault::default(), START).unwrap();
    // 2029-12-22.
    let unix_seconds = 1_893_456_000 - 10 * 86_400;
    let found = vault.reminders(START, unix_seconds);
    assert_eq!(
        found,
        [
            format!(
                "listeners.public.tls.certificates[1]: the certificate in {} for b.example: 10 days left",
                short.chain.display()
            ),
            format!(
                "pools.chat.tls.certificate: the certificate in {} for ringway.example: ended 355 days ago",
                ours.chain.display()
            ),
        ]
    );
    assert!(vault.reminders(START, unix_seconds).is_empty());
    let next_day = START.after(limits::CERTIFICATE_REMINDER);
    assert_eq!(vault.reminders(next_day, unix_seconds).len(), 2);
}

#[test]
fn a_changed_file_is_seen_at_the_next_look() {
    let papers = Papers::new();
    let files = papers.certificate_in("a", &["a.example"], (2020, 2030));
    let listener = format!("certificates = [{}]", table(&files));
    let authority = papers.authority();
    let pool = format!("authorities = \"{}\"", authority.display());
    let config = config(&listener, &pool);
    let mut vault = Vault::load(&config, &Vault::default(), START).unwrap();
    papers.certificate_in("a", &["a.example"], (2020, 2031));
    assert!(!vault.has_changed(&config, START), "it is not time yet");
    let later = START.after(limits::TLS_FILES_LOOK);
    assert!(vault.has_changed(&config, later));
    let renewed = Vault::load(&config, &vault, later).unwrap();
    let ends = |vault: &Vault| vault.certificates().next().unwrap().fact.not_after;
    assert!(ends(&renewed) > ends(&vault));
    let connector = |vault: &Vault| vault.connector("chat").unwrap().clone();
    assert_ne!(connector(&renewed), connector(&vault));
}
