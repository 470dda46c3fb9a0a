//! Who may see and change the fleet (security rule 19): whoever has the token; without one, programs of this machine.
//! Never a web page, whoever looks at it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::Problem;
use crate::config::Token;

/// What every browser of today says of a request by itself, and no program says by accident: who made it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request through, or says why not.
pub(super) fn admit(
    headers: &HeaderMap,
    peer: SocketAddr,
    token: Option<&Token>,
) -> Result<(), Problem> {
    from_no_page(headers)?;
    match token {
        Some(token) => with_token(headers, token),
        None => from_this_machine(headers, peer),
    }
}

/// A browser adds one of these to whatever a page makes it send, and no page can take them away.
fn from_no_page(headers: &HeaderMap) -> Result<(), Problem> {
    // "none" is a person who typed the address.
    let site = headers.get(SEC_FETCH_SITE);
    if headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none") {
        let words = "a web page may not ask this";
        return Err(Problem::new(StatusCode::FORBIDDEN, words));
    }
    Ok(())
}

/// Without a token the place has to do: only this machine, and only by an address of its own. A page whose name was
/// made to lead here (DNS rebinding) sends that name.
fn from_this_machine(headers: &HeaderMap, peer: SocketAddr) -> Result<(), Problem> {
    if !peer.ip().to_canonical().is_loopback() {
        let words = "from another machine this takes a token, and none is configured";
        return Err(Problem::new(StatusCode::FORBIDDEN, words));
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_none() && host.is_some_and(is_address) {
        return Ok(());
    }
    let words =
        "the Host has to be an address or localhost, not a name that anybody may point here";
    Err(Problem::new(StatusCode::FORBIDDEN, words))
}

/// Whether a Host is an IP address or `localhost`, with or without a port.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    if let Some(rest) = name.strip_prefix('[') {
        let inside = rest.strip_suffix(']');
        return inside.is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok());
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
}

fn with_token(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let first = given.next().map(HeaderValue::as_bytes);
    let shown = first.and_then(|value| {
        let (scheme, rest) = value.split_at_checked("Bearer ".len())?;
        scheme
            .eq_ignore_ascii_case(b"Bearer ")
            .then(|| rest.trim_ascii())
    });
    if given.next().is_none() && shown.is_some_and(|shown| token.is(shown)) {
        return Ok(());
    }
    let words = if first.is_some() {
        "this is not the token"
    } else {
        "this takes a token: Authorization: Bearer TOKEN"
    };
    Err(Problem::new(StatusCode::UNAUTHORIZED, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:4711";
    const AWAY: &str = "192.0.2.7:4711";

    fn asked(peer: &str, token: Option<&Token>, lines: &[(&'static str, &str)]) -> Result<(), u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        admit(&headers, peer.parse().unwrap(), token).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_program_of_this_machine_needs_no_token_if_none_is_configured() {
        for host in [
            "127.0.0.1:9090",
            "127.0.0.1",
            "localhost",
            "LOCALHOST:9090",
            "[::1]:9090",
            "[::1]",
        ] {
            assert_eq!(asked(HERE, None, &[("host", host)]), Ok(()), "{host}");
            assert_eq!(
                asked("[::ffff:127.0.0.1]:1", None, &[("host", host)]),
                Ok(())
            );
            assert_eq!(asked(AWAY, None, &[("host", host)]), Err(403), "{host}");
        }
    }

    #[test]
    fn a_name_that_somebody_pointed_here_is_refused() {
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "[::1].evil.example",
            "::1",
            "",
            ":9090",
        ] {
            assert_eq!(asked(HERE, None, &[("host", host)]), Err(403), "{host}");
        }
        assert_eq!(asked(HERE, None, &[]), Err(403), "no Host at all");
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(asked(HERE, None, &twice), Err(403));
    }

    #[test]
    fn a_page_is_refused_whatever_else_is_right() {
        let right = [("host", "localhost"), ("authorization", "Bearer s3cret")];
        for mark in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:9090"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let lines = [right[0], right[1], mark];
            assert_eq!(asked(HERE, None, &lines), Err(403), "{mark:?}");
            assert_eq!(
                asked(HERE, Some(&Token::of(b"s3cret")), &lines),
                Err(403),
                "{mark:?}"
            );
        }
        let typed = [right[0], ("sec-fetch-site", "none")];
        assert_eq!(asked(HERE, None, &typed), Ok(()));
    }

    #[test]
    fn a_configured_token_is_asked_of_everybody_and_is_enough_from_anywhere() {
        let token = Token::of(b"s3cret");
        let token = Some(&token);
        for value in ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret"] {
            let lines = [("host", "ringway-1.example"), ("authorization", value)];
            assert_eq!(asked(AWAY, token, &lines), Ok(()), "{value}");
        }
        for value in [
            "Bearer s3creT",
            "Bearer s3cre",
            "Bearer s3crett",
            "Bearer ",
            "Bearer",
            "Basic s3cret",
            "s3cret",
        ] {
            let lines = [("host", "localhost"), ("authorization", value)];
            assert_eq!(asked(HERE, token, &lines), Err(401), "{value}");
        }
        assert_eq!(asked(HERE, token, &[("host", "localhost")]), Err(401));
        let two = [
            ("authorization", "Bearer s3cret"),
            ("authorization", "Bearer x"),
        ];
        assert_eq!(asked(HERE, token, &two), Err(401));
    }
}
