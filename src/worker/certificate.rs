//! What a route asks of a client's certificate, and what its backends are told of it.

use super::greet::Stop;
use crate::fleet::ClientCertRules;
use crate::metrics::Refusal;
use crate::tls::{ClientIdentity, Facts};

/// Refuses who may not use the route.
pub(super) fn check(rules: &ClientCertRules, facts: Option<&Facts>) -> Result<(), Stop> {
    let shown = shown(facts);
    let subject = shown.map(|client| client.subject.as_str());
    let names = shown.map_or(&[][..], |client| &client.names);
    if rules.allows(subject, names) {
        return Ok(());
    }
    let words = match shown {
        None => "this route asks for a client certificate, and none was shown",
        Some(_) => "this client certificate may not use this route",
    };
    Err(Stop::Refuse(Refusal::CertificateForbidden, words.into()))
}

/// The fields that tell a backend; all are set, so that an absent one is never taken for an old proxy.
pub(super) fn fields<'a>(
    rules: Option<&'a ClientCertRules>,
    facts: Option<&Facts>,
) -> Vec<(&'a str, String)> {
    let Some(rules) = rules else {
        return Vec::new();
    };
    let shown = shown(facts);
    let verified = if shown.is_some() { "SUCCESS" } else { "NONE" };
    let told = [
        (&rules.verify_header, Some(verified.to_owned())),
        (
            &rules.subject_header,
            shown.map(|client| plain(&client.subject)),
        ),
        (
            &rules.sans_header,
            shown.map(|client| plain(&client.names.join(", "))),
        ),
        (
            &rules.fingerprint_header,
            shown.map(ClientIdentity::fingerprint),
        ),
    ];
    let told = told
        .into_iter()
        .filter_map(|(name, value)| Some((name.as_deref()?, value?)));
    told.collect()
}

fn shown(facts: Option<&Facts>) -> Option<&ClientIdentity> {
    facts.and_then(|facts| facts.client.as_deref())
}

/// As a field may carry it (RFC 9110 section 5.5): no control characters.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}
