//! What `doctor` says about the certificates of a configuration, and about keeping their keys.

use std::path::Path;

use super::finding::Finding;
use crate::config;
use crate::control::{Life, ShownCertificate, TlsReport, VaultError, examine_tls};
use crate::tls::RevocationFact;

/// A finding for each certificate and revocation list, and for each file that cannot be loaded.
pub(super) fn examine(file: &Path, unix_seconds: i64) -> Vec<Finding> {
    match config::load(file) {
        Ok(config) if config.speaks_tls() => {
            let dumps = "off while it runs: keys of TLS are in its memory";
            let mut found = vec![Finding::ok("core dumps", dumps, "off")];
            found.extend(findings(&examine_tls(&config), unix_seconds));
            found
        }
        Ok(_) => Vec::new(),
        Err(_) => {
            let finding = Finding::ok("configuration", "has mistakes", "none");
            vec![finding.or_fail(false, || format!("ringway check -c {}", file.display()))]
        }
    }
}

fn findings(report: &TlsReport, unix_seconds: i64) -> Vec<Finding> {
    let certificates = report.certificates.iter();
    let certificates = certificates.map(|shown| certificate(shown, unix_seconds));
    let lists = report.revocations.iter();
    let lists = lists.map(|list| revocation(list, unix_seconds));
    let mistakes = report.mistakes.iter().map(mistake);
    certificates.chain(lists).chain(mistakes).collect()
}

fn certificate(shown: &ShownCertificate, unix_seconds: i64) -> Finding {
    let check = format!("certificate {}", shown.fact.chain_path.display());
    let (names, key) = (shown.names(), shown.key());
    let left = shown.time_left(unix_seconds);
    let life = shown.life(unix_seconds);
    let wants = "30 days, or a quarter of its life";
    Finding::ok(&check, format!("{names}; {key} key; {left}"), wants)
        .or_fail(life != Life::Ended, || {
            format!(
                "renew it now, for clients and backends refuse it; Ringway loads it by itself ({})",
                shown.place
            )
        })
        .or_fail(life != Life::NotYet, || {
            "is the clock right? date -u; else use the one before until then".to_owned()
        })
        .or_warn(life != Life::Ending, || {
            format!("renew it; Ringway loads it by itself ({})", shown.place)
        })
}

/// One that is overdue still counts, but whoever was revoked since is let in.
fn revocation(list: &RevocationFact, unix_seconds: i64) -> Finding {
    let check = format!("revocation list {}", list.path.display());
    let due = list.next_update;
    let is_overdue = due.is_some_and(|due| due < unix_seconds);
    let found = match due {
        None => "does not say when the next is due",
        Some(_) if is_overdue => "the next one is overdue",
        Some(_) => "the next one is not due yet",
    };
    let found = format!("of {}; {found}", list.issuer);
    Finding::ok(&check, found, "the newest").or_warn(!is_overdue, || {
        "fetch the next one; Ringway loads it by itself".to_owned()
    })
}

fn mistake(mistake: &VaultError) -> Finding {
    let error = &mistake.error;
    let found = match error.file.to_str() {
        None | Some("") => error.found.clone(),
        Some(file) => format!("{file}: {}", error.found),
    };
    Finding::ok(&mistake.place, found, &*error.expected).or_fail(false, || {
        if error.remedy.is_empty() {
            "is the path right, and may Ringway's user read it?".to_owned()
        } else {
            error.remedy.clone()
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::cli::doctor::finding::Status;
    use crate::control::papers::Papers;

    /// 2029-12-22.
    const AT: i64 = 1_893_456_000 - 10 * 86_400;

    #[test]
    fn each_certificate_says_what_it_is_for_and_how_long_it_is_good() {
        let papers = Papers::new();
        let mut text = String::from("[listeners.public]\nbind = \"127.0.0.1:0\"\n");
        text.push_str("[listeners.public.tls]\ncertificates = [\n");
        for (name, years) in [
            ("good", (2020, 2040)),
            ("ending", (2020, 2030)),
            ("ended", (2020, 2029)),
            ("early", (2030, 2040)),
            ("broken", (2020, 2040)),
        ] {
            let host = format!("{name}.example");
            let files = papers.certificate_in(name, &[&host], years);
            let (chain, key) = (files.chain.display(), files.key.display());
            writeln!(text, "{{ chain = \"{chain}\", key = \"{key}\" }},").unwrap();
        }
        papers.file("broken.key", "");
        text.push_str(
            "]\n[pools.chat]\nbackends = [\"127.0.0.1:9\"]\n[[routes]]\npool = \"chat\"\n",
        );
        let file = papers.file("ringway.toml", &text);
        let found = examine(&file, AT);
        assert_eq!(found[0].check, "core dumps");
        let found = &found[1..];
        let said: Vec<_> = found
            .iter()
            .map(|finding| (finding.status, &*finding.found))
            .collect();
        let key = file.with_file_name("broken.key");
        assert_eq!(
            said,
            [
                (Status::Ok, "good.example; ECDSA key; 3662 days left"),
                (Status::Warn, "ending.example; ECDSA key; 10 days left"),
                (Status::Fail, "ended.example; ECDSA key; ended 355 days ago"),
                (
                    Status::Fail,
                    "early.example; ECDSA key; good only in 10 days"
                ),
                (Status::Fail, &*format!("{}: none", key.display())),
            ]
        );
        assert!(found[1].fix.as_ref().unwrap().contains("certificates[1]"));
        assert_eq!(found[4].check, "listeners.public.tls.certificates[4]");
        assert!(found[4].fix.as_ref().unwrap().contains("PKCS#8"));
    }

    #[test]
    fn a_configuration_with_mistakes_leads_to_check() {
        let papers = Papers::new();
        let file = papers.file("ringway.toml", "x = 1\n");
        let [finding] = &examine(&file, AT)[..] else {
            panic!("one finding");
        };
        assert_eq!(finding.status, Status::Fail);
        let check = format!("ringway check -c {}", file.display());
        assert_eq!(finding.fix.as_ref(), Some(&check));
    }

    #[test]
    fn a_revocation_list_that_is_overdue_is_a_warning() {
        let list = |next_update| RevocationFact {
            path: "revoked.pem".into(),
            issuer: "CN=Devices".to_owned(),
            next_update,
        };
        assert_eq!(revocation(&list(None), AT).status, Status::Ok);
        assert_eq!(revocation(&list(Some(AT + 1)), AT).status, Status::Ok);
        let overdue = revocation(&list(Some(AT - 1)), AT);
        assert_eq!(overdue.status, Status::Warn);
        assert_eq!(overdue.found, "of CN=Devices; the next one is overdue");
    }
}
