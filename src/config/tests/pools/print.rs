//! A pool as the file has it, with every setting that fits it.

use std::fmt::Write;

use crate::config::tests::tls;
use crate::config::units::{Percent, Span};
use crate::config::{BackendSettings, NameKind, NameSettings, PoolSettings};
use crate::fleet::{EjectionRules, HashKey, Hashing, PolicyKind, Sticky, Weight};
use crate::health::{ProbeKind, ProbeSettings};

pub(in crate::config::tests) fn pool(out: &mut String, pool: &PoolSettings) {
    let name = &pool.name;
    let backends: Vec<_> = pool.backends.iter().enumerate().map(backend).collect();
    let names: Vec<_> = pool.names.iter().map(discovered).collect();
    writeln!(out, "[pools.\"{name}\"]").unwrap();
    writeln!(out, "policy = {:?}", pool.policy.label()).unwrap();
    writeln!(out, "backends = [{}]", backends.join(", ")).unwrap();
    writeln!(out, "discover = [{}]", names.join(", ")).unwrap();
    let sources: Vec<_> = pool.source_addresses.iter().collect();
    if !sources.is_empty() {
        let sources = sources.iter().map(|source| format!("\"{source}\""));
        let sources: Vec<_> = sources.collect();
        writeln!(out, "source_addresses = [{}]", sources.join(", ")).unwrap();
    }
    writeln!(out, "connect_timeout = \"{}\"", Span(pool.connect_timeout)).unwrap();
    writeln!(out, "connect_tries = {}", pool.connect_tries).unwrap();
    writeln!(out, "answer_timeout = \"{}\"", Span(pool.answer_timeout)).unwrap();
    writeln!(out, "panic_threshold = \"{}\"", Percent(pool.panic_percent)).unwrap();
    let slow_start = or_off(pool.slow_start.map(quoted_span));
    writeln!(out, "slow_start = {slow_start}").unwrap();
    hashing(out, pool.policy, &pool.hashing);
    bounds(out, pool);
    ejection(out, name, &pool.ejection);
    if let Some(cookie) = &pool.sticky {
        sticky(out, name, cookie);
    }
    if let Some(asked) = &pool.probe {
        probe(out, name, asked);
        if pool.tls.is_some() {
            writeln!(out, "tls = {}", pool.probe_tls).unwrap();
        }
    }
    if let Some(spoken) = &pool.tls {
        tls::print::pool(out, name, spoken);
    }
}

fn backend((index, backend): (usize, &BackendSettings)) -> String {
    let BackendSettings {
        address,
        weight,
        priority,
    } = backend;
    // Each way of writing a backend, where it is possible.
    match (index % 3, priority, *weight == Weight::ONE) {
        (0, 0, true) => format!("\"{address}\""),
        (1, 0 | 1, _) => {
            let backup = *priority == 1;
            format!("{{ address = \"{address}\", weight = {weight}, backup = {backup} }}")
        }
        _ => format!("{{ address = \"{address}\", weight = {weight}, priority = {priority} }}"),
    }
}

fn discovered(name: &NameSettings) -> String {
    let (text, interval) = (&name.name, Span(name.interval));
    match name.kind {
        NameKind::Srv => format!("{{ srv = {text:?}, interval = \"{interval}\" }}"),
        NameKind::Addresses { port } => {
            let share = format!("weight = {}, priority = {}", name.weight, name.priority);
            format!("{{ dns = {text:?}, port = {port}, interval = \"{interval}\", {share} }}")
        }
    }
}

fn hashing(out: &mut String, policy: PolicyKind, hashing: &Hashing) {
    if policy == PolicyKind::Hash {
        let key = match &hashing.key {
            HashKey::Source => "source".to_owned(),
            HashKey::Header(name) => format!("header:{name}"),
            HashKey::Cookie(name) => format!("cookie:{name}"),
            HashKey::Query(name) => format!("query:{name}"),
            HashKey::Path(path) => format!("path:{}", path.as_str()),
            HashKey::Subprotocol => "subprotocol".to_owned(),
        };
        writeln!(out, "hash_key = {key:?}").unwrap();
    }
    if policy.is_hash() {
        let bound = hashing.load_bound_percent;
        let bound = or_off(bound.map(|percent| format!("\"{}\"", Percent(percent))));
        writeln!(out, "source_prefix_v4 = {}", hashing.source_prefix_v4).unwrap();
        writeln!(out, "source_prefix_v6 = {}", hashing.source_prefix_v6).unwrap();
        writeln!(out, "load_bound = {bound}").unwrap();
    }
}

fn bounds(out: &mut String, pool: &PoolSettings) {
    let cap = |cap: Option<u32>| or_off(cap.map(|cap| cap.to_string()));
    let (room, budget, fates) = (pool.waiting_room, pool.retry_budget, pool.fates);
    writeln!(out, "connections_max = {}", cap(pool.established_max)).unwrap();
    writeln!(
        out,
        "backend_connections_max = {}",
        cap(pool.caps.established)
    )
    .unwrap();
    writeln!(
        out,
        "backend_connecting_max = {}",
        cap(pool.caps.connecting)
    )
    .unwrap();
    writeln!(out, "waiting_max = {}", room.places).unwrap();
    writeln!(out, "waiting_timeout = \"{}\"", Span(room.timeout)).unwrap();
    writeln!(out, "retry_budget = \"{}\"", Percent(budget.percent)).unwrap();
    writeln!(
        out,
        "retries_least_per_second = {}",
        budget.least_per_second
    )
    .unwrap();
    writeln!(out, "on_down = {:?}", fates.down.label()).unwrap();
    writeln!(out, "on_drain = {:?}", fates.drain.label()).unwrap();
    writeln!(out, "on_remove = {:?}", fates.remove.label()).unwrap();
    if [fates.down, fates.drain, fates.remove].contains(&crate::fleet::Fate::Close) {
        writeln!(out, "close_per_second = {}", fates.close_per_second).unwrap();
    }
}

fn ejection(out: &mut String, name: &str, rules: &EjectionRules) {
    if rules.failures == 0 && rules.abnormal_percent == 0 {
        writeln!(out, "ejection = \"off\"").unwrap();
        return;
    }
    let given = |number: u32| Some(number).filter(|number| *number > 0);
    let failures = or_off(given(rules.failures).map(|failures| failures.to_string()));
    let abnormal = given(rules.abnormal_percent);
    let abnormal = or_off(abnormal.map(|percent| format!("\"{}\"", Percent(percent))));
    let share = Percent(rules.share_max_percent);
    writeln!(out, "[pools.\"{name}\".ejection]").unwrap();
    writeln!(out, "failures = {failures}\nabnormal = {abnormal}").unwrap();
    writeln!(out, "time = \"{}\"", Span(rules.time)).unwrap();
    writeln!(out, "time_max = \"{}\"", Span(rules.time_max)).unwrap();
    writeln!(out, "share_max = \"{share}\"").unwrap();
}

fn sticky(out: &mut String, name: &str, sticky: &Sticky) {
    let key = sticky.secret.0.iter();
    let key: Vec<_> = key.map(|byte| format!("{byte:02x}")).collect();
    let key = key.concat();
    let lifetime = sticky
        .lifetime
        .map_or("\"session\"".to_owned(), quoted_span);
    writeln!(out, "[pools.\"{name}\".sticky]").unwrap();
    writeln!(out, "cookie = {:?}\nsecret = \"{key}\"", sticky.cookie).unwrap();
    writeln!(out, "same_site = {:?}", sticky.same_site.label()).unwrap();
    writeln!(out, "secure = {}\nlifetime = {lifetime}", sticky.secure).unwrap();
}

fn probe(out: &mut String, name: &str, probe: &ProbeSettings) {
    writeln!(out, "[pools.\"{name}\".probe]").unwrap();
    let target = |out: &mut String, path: &str, host: &Option<String>| {
        writeln!(out, "path = {path:?}").unwrap();
        if let Some(host) = host {
            writeln!(out, "host = {host:?}").unwrap();
        }
    };
    match &probe.kind {
        ProbeKind::Tcp => writeln!(out, "kind = \"tcp\"").unwrap(),
        ProbeKind::Http(http) => {
            writeln!(out, "kind = \"http\"").unwrap();
            target(out, &http.path, &http.host);
            let (first, last) = (http.status.start(), http.status.end());
            if first == last {
                writeln!(out, "status = {first}").unwrap();
            } else {
                writeln!(out, "status = \"{first}-{last}\"").unwrap();
            }
            if let Some(body) = &http.body {
                // What Debug escapes is not what TOML escapes.
                let body = toml::Value::from(body.as_str());
                writeln!(out, "body = {body}").unwrap();
            }
        }
        ProbeKind::WebSocket(web_socket) => {
            writeln!(out, "kind = \"websocket\"").unwrap();
            target(out, &web_socket.path, &web_socket.host);
            if let Some(subprotocol) = &web_socket.subprotocol {
                writeln!(out, "subprotocol = {subprotocol:?}").unwrap();
            }
        }
    }
    writeln!(out, "interval = \"{}\"", Span(probe.interval)).unwrap();
    writeln!(out, "unsure_interval = \"{}\"", Span(probe.unsure_interval)).unwrap();
    writeln!(out, "jitter = \"{}\"", Percent(probe.jitter_percent)).unwrap();
    writeln!(out, "timeout = \"{}\"", Span(probe.timeout)).unwrap();
    writeln!(out, "rise = {}\nfall = {}", probe.rise, probe.fall).unwrap();
}

fn or_off(value: Option<String>) -> String {
    value.unwrap_or_else(|| "\"off\"".to_owned())
}

fn quoted_span(duration: std::time::Duration) -> String {
    format!("\"{}\"", Span(duration))
}
