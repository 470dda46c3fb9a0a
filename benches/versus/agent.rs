//! The role on the proxy's host: starts a proxy when told to, and says what it has used so far.
//!
//! It obeys whoever can connect, but knows five orders only, and starts nothing but the proxies it found: an address
//! of a network of your own is the place for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context;
use ringway::clock::Now;
use serde::Serialize;

use crate::host::Host;
use crate::proxy::{Peer, Proxy, Shape};
use crate::remote::{Known, Started, Who};
use crate::round::Ground;
use crate::server::Server;

/// What the agent was told on its command line.
pub(crate) struct Post {
    pub(crate) agent: SocketAddr,
    pub(crate) listen: SocketAddr,
    pub(crate) backends: Vec<SocketAddr>,
    pub(crate) peers: Vec<Peer>,
}

/// Obeys until it is told `end`, or has run as long as it may.
pub(crate) fn serve(ground: &Ground, post: &Post) -> anyhow::Result<()> {
    let listener = TcpListener::bind(post.agent)
        .with_context(|| format!("listening for orders on {}", post.agent))?;
    let mut proxies = vec![("ringway", Proxy::ringway(Shape::Auto))];
    for &peer in &post.peers {
        match Proxy::find(peer) {
            Ok(proxy) => proxies.push((peer.key(), proxy)),
            Err(why) => eprintln!("skipped: {why}"),
        }
    }
    eprintln!(
        "obeying on {}; proxies will listen on {}",
        post.agent, post.listen
    );
    let mut running = None;
    listener.set_nonblocking(true)?;
    while !ground.is_over() {
        let Ok((caller, _)) = listener.accept() else {
            std::thread::park_timeout(BREATH);
            continue;
        };
        // A caller that goes away or says nothing costs its own order alone.
        if let Ok(true) = answer(caller, |order| {
            obey(ground, post, &proxies, &mut running, order)
        }) {
            break;
        }
    }
    Ok(())
}

/// Whether that was the last order.
fn answer(
    mut caller: TcpStream,
    obey: impl FnOnce(&str) -> anyhow::Result<String>,
) -> anyhow::Result<bool> {
    caller.set_nonblocking(false)?;
    caller.set_read_timeout(Some(PATIENCE))?;
    caller.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&mut caller).take(ORDER_BYTES_MAX)).read_line(&mut line)?;
    let order = line.trim();
    let answer = obey(order)
        .unwrap_or_else(|error| serde_json::json!({ "error": format!("{error:#}") }).to_string());
    caller.write_all(format!("{answer}\n").as_bytes())?;
    Ok(order == "end")
}

fn obey(
    ground: &Ground,
    post: &Post,
    proxies: &[(&str, Proxy)],
    running: &mut Option<Server>,
    order: &str,
) -> anyhow::Result<String> {
    let (verb, key) = order.split_once(' ').unwrap_or((order, ""));
    match verb {
        "who" => {
            let known = proxies.iter().map(|(key, proxy)| {
                let (name, version) = proxy.described();
                Known {
                    key: (*key).to_owned(),
                    name,
                    version,
                }
            });
            json(&Who {
                host: Host::read(),
                proxies: known.collect(),
            })
        }
        "start" => {
            *running = None;
            let (_, proxy) = proxies
                .iter()
                .find(|(known, _)| *known == key)
                .with_context(|| format!("no proxy {key:?} here"))?;
            let server = Server::start_at(ground, proxy, post.listen, &post.backends)?;
            let started = Started {
                listen: post.listen,
                backend: post.backends[0],
                config: server.config.clone(),
            };
            *running = Some(server);
            json(&started)
        }
        "read" => json(&running.as_ref().context("nothing runs")?.used()),
        "words" => json(&running.as_ref().map(Server::last_words)),
        "stop" | "end" => {
            *running = None;
            json(&Now::read().as_nanos())
        }
        _ => anyhow::bail!("unknown order"),
    }
}

fn json(answer: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(answer)?)
}

const PATIENCE: Duration = Duration::from_secs(2);
const ORDER_BYTES_MAX: u64 = 256;
/// Between two looks for a caller. Shorter than the edges of a measured time may be wrong by.
const BREATH: Duration = Duration::from_millis(1);
