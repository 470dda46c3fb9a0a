//! HAProxy's configuration: one pinned thread, no log, long tunnels. A client whose backend cannot be reached is sent to
//! another, as the others do by themselves.

use super::{Place, lines};

pub(super) fn config(place: &Place<'_>) -> String {
    let Place {
        listen,
        core,
        files,
        papers,
        ..
    } = place;
    // Two files for each connection, and some for itself.
    let connections = (files.saturating_sub(200) / 2).clamp(100, CONNECTIONS_MAX);
    let servers = lines(place.backends, |index, backend| {
        format!("    server echo{index} {backend}")
    });
    let tls = papers.map_or_else(String::new, |papers| {
        format!(" ssl crt {} {TLS}", papers.both().display())
    });
    format!(
        r"global
    nbthread 1
    cpu-map 1/1 {core}
    maxconn {connections}

defaults
    mode http
    option forwardfor
    option redispatch 1
    timeout connect 5s
    timeout http-request 10s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h

frontend front
    bind {listen} backlog 4096{tls}
    maxconn {connections}
    default_backend echo

backend echo
    balance roundrobin
{servers}
"
    )
}

pub(super) const TLS: &str = "ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256";
const CONNECTIONS_MAX: u64 = 65_536;
