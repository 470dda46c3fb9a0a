//! Turns the command line into what a run does: the ground, the proxies, the cases.

use std::time::Duration;

use anyhow::{Context, ensure};
use ringway::clock::Now;
use ringway::sys::proc::{Limit, Resource};

use crate::args::Args;
use crate::case::Case;
use crate::matrix::cells;
use crate::papers::Papers;
use crate::proxy::{Level, Peer, Proxy, RINGWAY, Shape};
use crate::remote::{Agent, Who};
use crate::round::Ground;

/// The cores and limits that hold for every contest.
pub(crate) fn ground(args: &Args) -> anyhow::Result<Ground> {
    let files = Limit::raise_to_hard(Resource::Files).context("raising the limit of open files")?;
    ensure!(
        args.proxy_core != args.load_core || args.agent.is_some(),
        "--proxy-core and --load-core must differ: the proxy would be measured against its own load"
    );
    Ok(Ground {
        proxy_core: args.proxy_core,
        load_core: args.load_core,
        files: files
            .soft
            .unwrap_or(FILES_WITHOUT_LIMIT)
            .min(FILES_WITHOUT_LIMIT),
        rounds: args.rounds(),
        measured: args.seconds(),
        warmup: args.warmup(),
        papers: if args.tls {
            Some(Papers::make()?)
        } else {
            None
        },
        agent: args.agent.map(Agent),
        until: Now::read().after(Duration::from_secs(60 * args.minutes_max)),
    })
}

/// Who stands against whom. The first of each group is compared with all others of it: Ringway with its peers, one
/// shape of its receive buffers with the others, or each level that looks into frames with the one that does not.
pub(crate) fn groups(args: &Args) -> anyhow::Result<Vec<Vec<Proxy>>> {
    let floor = || {
        Proxy::find(Peer::Floor)
            .ok()
            .filter(|_| args.wants(Peer::Floor))
    };
    if args.shapes {
        let shapes = Shape::FIXED.map(Proxy::ringway);
        return Ok(vec![shapes.into_iter().chain(floor()).collect()]);
    }
    if args.levels {
        let groups = Level::LOOKING.map(|level| {
            let pair = [level, Level::Headers].map(|level| Proxy::level(args.shape(), level));
            pair.into_iter().chain(floor()).collect()
        });
        return Ok(groups.to_vec());
    }
    let mut group = vec![Proxy::ringway(args.shape())];
    for peer in args.peers() {
        if args.tls && !peer.speaks_tls() && peer != Peer::Floor {
            eprintln!("skipped: {peer:?} has no TLS here");
            continue;
        }
        match Proxy::find(peer) {
            Ok(peer) => group.push(peer),
            Err(why) => eprintln!("skipped: {why}"),
        }
    }
    ensure!(
        group.len() > 1,
        "no peer is installed; try `apt-get install nginx-light haproxy`"
    );
    Ok(vec![group])
}

/// Those that an agent can start, Ringway first.
pub(crate) fn groups_there(args: &Args, who: &Who) -> anyhow::Result<Vec<Vec<Proxy>>> {
    let known = who.proxies.iter().filter_map(Proxy::there);
    let wanted = |proxy: &Proxy| proxy.peer().is_none_or(|peer| args.wants(peer));
    let mut group: Vec<Proxy> = known.filter(wanted).collect();
    group.sort_by_key(|proxy| proxy.key() != RINGWAY);
    ensure!(
        group.first().is_some_and(|first| first.key() == RINGWAY),
        "the agent has no Ringway"
    );
    Ok(vec![group])
}

pub(crate) fn cases(args: &Args, ground: &Ground) -> anyhow::Result<Vec<Case>> {
    let cases = match args.matrix {
        Some(extent) => cells(extent, ground.affordable(usize::MAX)),
        None => args.cases()?,
    };
    let Some(case) = cases
        .iter()
        .find(|case| ground.agent.is_some() && !case.is_for_far_hosts())
    else {
        return Ok(cases);
    };
    anyhow::bail!(
        "{} needs the backends here, name other --cases with --agent",
        case.name
    )
}

/// More files than any case needs, for machines that set no limit.
const FILES_WITHOUT_LIMIT: u64 = 1 << 20;
