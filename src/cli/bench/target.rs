//! Reads the URL and finds the address behind it.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Where the load goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// The value of the `Host` header.
    pub(super) host: String,
    /// Path and query.
    pub(super) path: String,
    /// The name that a certificate must be for, where TLS is spoken.
    pub(super) secure_name: Option<String>,
}

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'url> {
    is_secure: bool,
    authority: &'url str,
    host: &'url str,
    port: u16,
    path: &'url str,
}

impl Target {
    /// Reads `url` and resolves its name. A name with several addresses means the first that accepts a connection.
    pub(super) fn resolve(url: &str, timeout: Duration) -> anyhow::Result<Self> {
        let parts = split(url).with_context(|| format!("reading the URL {url:?}"))?;
        let addresses: Vec<SocketAddr> = (parts.host, parts.port)
            .to_socket_addrs()
            .with_context(|| format!("looking up {:?}; is the name right?", parts.host))?
            .collect();
        Ok(Self {
            address: choose(&addresses, timeout)?,
            host: parts.authority.to_owned(),
            path: parts.path.to_owned(),
            secure_name: parts.is_secure.then(|| parts.host.to_owned()),
        })
    }
}

/// One address is taken as it is, so that a server is not troubled by a connection nobody measures.
fn choose(addresses: &[SocketAddr], timeout: Duration) -> anyhow::Result<SocketAddr> {
    let mut refusal = None;
    match addresses {
        [] => bail!("the name has no address"),
        [only] => return Ok(*only),
        several => {
            for address in several {
                match TcpStream::connect_timeout(address, timeout) {
                    Ok(_) => return Ok(*address),
                    Err(error) => refusal = Some(error),
                }
            }
        }
    }
    let refusal = refusal.map_or_else(String::new, |error| error.to_string());
    bail!("none of {addresses:?} accepts a connection ({refusal}); is the server running?")
}

fn split(url: &str) -> anyhow::Result<Parts<'_>> {
    let lower = url.to_ascii_lowercase();
    let is_secure = lower.starts_with("wss://");
    ensure!(
        is_secure || lower.starts_with("ws://"),
        "expected ws://host:port/path or wss://host:port/path, such as ws://127.0.0.1:8080/ws"
    );
    ensure!(
        url.bytes().all(|byte| byte.is_ascii_graphic()),
        "a URL holds visible ASCII characters only; write others as %XX"
    );
    let rest = &url[if is_secure { "wss://" } else { "ws://" }.len()..];
    let rest = rest.split('#').next().unwrap_or(rest);
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    ensure!(
        !path.starts_with('?'),
        "write a path before the query: ws://{authority}/{path}"
    );
    ensure!(
        !authority.contains('@'),
        "a name and password go into --header \"Authorization: …\""
    );
    let (host, port) = split_port(authority, if is_secure { 443 } else { 80 })?;
    ensure!(
        !host.is_empty(),
        "there is no host between the // and the path"
    );
    Ok(Parts {
        is_secure,
        authority,
        host,
        port,
        path: if path.is_empty() { "/" } else { path },
    })
}

fn split_port(authority: &str, default: u16) -> anyhow::Result<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .context("an IPv6 address ends with ]")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port
            .parse()
            .with_context(|| format!("port: expected 1 to 65535, found {port:?}"))?,
        None => default,
    };
    ensure!(port != 0, "port: expected 1 to 65535, found 0");
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_what_the_request_needs() {
        let cases = [
            ("ws://a.example", ("a.example", "a.example", 80, "/")),
            ("ws://a:9001/ws?x=1#top", ("a:9001", "a", 9001, "/ws?x=1")),
            ("WS://[::1]:80/ws", ("[::1]:80", "::1", 80, "/ws")),
            ("ws://[fe80::1]", ("[fe80::1]", "fe80::1", 80, "/")),
            ("wss://a.example/x", ("a.example", "a.example", 443, "/x")),
            ("Wss://a:1", ("a:1", "a", 1, "/")),
        ];
        for (url, (authority, host, port, path)) in cases {
            let expected = Parts {
                is_secure: url.to_ascii_lowercase().starts_with("wss"),
                authority,
                host,
                port,
                path,
            };
            assert_eq!(split(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_work_says_why() {
        for (url, reason) in [
            ("http://a/", "expected ws://host:port/path"),
            ("ws:///path", "no host"),
            ("ws://a:70000/", "expected 1 to 65535"),
            ("ws://a:0/", "found 0"),
            ("ws://a/b c", "visible ASCII"),
            ("ws://me@a/", "--header"),
            ("ws://a?b", "before the query"),
        ] {
            let error = split(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn an_address_needs_no_look_up() {
        let target = Target::resolve("ws://127.0.0.1:9/x", Duration::from_secs(1)).unwrap();
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 9)));
        assert_eq!(target.path, "/x");
    }
}
