//! Turns records into backends: tiers, weights, what is too much. Knows no network.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::rdata::SRV;

use super::{Answer, DiscoveryError};
use crate::config::BackendSettings;
use crate::fleet::Weight;
use crate::limits::{DNS_INTERVAL, DNS_MEMBERS_MAX, PRIORITY_MAX, WEIGHT_MAX};

/// The backends of one answer while it is put together.
#[derive(Debug, Default)]
pub(super) struct Members {
    backends: Vec<BackendSettings>,
    /// The SRV records whose targets are still to be added, by target; each list in the order of its tiers.
    services: BTreeMap<Name, Vec<Service>>,
    dropped: usize,
    ttl: Option<u32>,
}

/// An SRV record in our own terms.
#[derive(Debug, Clone, Copy)]
struct Service {
    port: u16,
    weight: Weight,
    priority: u8,
}

impl Members {
    /// Notes that a record holds for so many seconds.
    pub(super) fn expect_again(&mut self, ttl: Option<u32>) {
        self.ttl = self.ttl.into_iter().chain(ttl).min();
    }

    /// Notes the records whose targets will be added. The distinct priorities become the tiers from 0, the lowest
    /// first; those that are too many share the last.
    pub(super) fn set_services(&mut self, mut records: Vec<SRV>) {
        // A target "." says that the service is decidedly not there (RFC 2782).
        records.retain(|record| !record.target.is_root());
        records.sort_by(|one, two| {
            (one.priority, &one.target, one.port).cmp(&(two.priority, &two.target, two.port))
        });
        self.dropped += records.len().saturating_sub(DNS_MEMBERS_MAX);
        records.truncate(DNS_MEMBERS_MAX);
        let tiers = (0..=PRIORITY_MAX).chain(std::iter::repeat(PRIORITY_MAX));
        let tiered: Vec<(u8, &SRV)> = records
            .chunk_by(|one, two| one.priority == two.priority)
            .zip(tiers)
            .flat_map(|(same, tier)| same.iter().map(move |record| (tier, record)))
            .collect();
        for same in tiered.chunk_by(|one, two| one.0 == two.0) {
            let heaviest = same.iter().map(|(_, record)| record.weight).max();
            for (tier, record) in same {
                let services = self.services.entry(record.target.clone()).or_default();
                services.push(Service {
                    port: record.port,
                    weight: share(record.weight, heaviest.unwrap_or(0)),
                    priority: *tier,
                });
            }
        }
    }

    /// The targets whose addresses are to be found, each once.
    pub(super) fn targets(&self) -> Vec<Name> {
        self.services.keys().cloned().collect()
    }

    /// Adds what a target of the services resolves to. A few kilobytes can name a thousand ports of a target and a
    /// thousand addresses for it; of their million pairs no more are made than can be kept.
    pub(super) fn add_target(&mut self, target: &Name, mut addresses: Vec<IpAddr>) {
        let services = self.services.remove(target).unwrap_or_default();
        addresses.sort();
        addresses.dedup();
        let pairs = services.len() * addresses.len();
        self.dropped += pairs.saturating_sub(DNS_MEMBERS_MAX);
        let backends = services.iter().flat_map(|service| {
            addresses.iter().map(|&address| BackendSettings {
                address: SocketAddr::new(address, service.port),
                weight: service.weight,
                priority: service.priority,
            })
        });
        for backend in backends.take(DNS_MEMBERS_MAX) {
            self.add(backend);
        }
        self.trim();
    }

    /// Adds one, unless nobody can connect to it.
    pub(super) fn add(&mut self, backend: BackendSettings) {
        if is_reachable(backend.address) {
            self.backends.push(backend);
        } else {
            self.dropped += 1;
        }
    }

    /// The answer, if there is one.
    pub(super) fn into_answer(mut self, interval: Duration) -> Result<Answer, DiscoveryError> {
        self.trim();
        if self.backends.is_empty() {
            return Err(DiscoveryError::Empty);
        }
        self.backends.sort_by_key(|backend| backend.address);
        let ttl = self
            .ttl
            .map_or(interval, |seconds| Duration::from_secs(seconds.into()));
        Ok(Answer {
            backends: self.backends,
            dropped: self.dropped,
            ttl: ttl.clamp(DNS_INTERVAL.least, interval.max(DNS_INTERVAL.least)),
        })
    }

    /// Merges what is there twice, for the better tier and then the greater weight, and cuts what is too much from the
    /// last tier. The order is of the addresses, so that the same records in another order are the same answer.
    fn trim(&mut self) {
        let rank = |backend: &BackendSettings| (backend.priority, Reverse(backend.weight.get()));
        self.backends
            .sort_by_key(|backend| (backend.address, rank(backend)));
        self.backends.dedup_by_key(|backend| backend.address);
        self.backends
            .sort_by_key(|backend| (backend.priority, backend.address));
        self.dropped += self.backends.len().saturating_sub(DNS_MEMBERS_MAX);
        self.backends.truncate(DNS_MEMBERS_MAX);
    }
}

/// A record's weight among those of its tier: scaled so that the heaviest fits, and never nothing, since RFC 2782
/// gives a weight of 0 a very small chance.
fn share(weight: u16, heaviest: u16) -> Weight {
    let (weight, heaviest) = (u32::from(weight), u32::from(heaviest));
    let most = u32::from(WEIGHT_MAX);
    let fitted = if heaviest > most {
        (weight * most + heaviest / 2) / heaviest
    } else {
        weight
    };
    u16::try_from(fitted)
        .ok()
        .and_then(Weight::new)
        .unwrap_or_default()
}

fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}
