//! Asks the DNS who the backends behind a name are. Knows one question and its answer, never what was before.
//!
//! An answer is hostile input: addresses that nobody can connect to are left out, and what is too much is dropped and
//! counted. A question that was not wholly answered has failed; half an answer would take healthy backends away.

mod members;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::members::Members;
use crate::config::{BackendSettings, NameKind, NameSettings};
use crate::limits::{DNS_ANSWER_MAX, DNS_TARGETS_AT_ONCE};

/// The way to the DNS. It remembers no answers: whoever asks knows how soon to ask again.
#[derive(Debug, Clone)]
pub(super) struct Resolver(TokioResolver);

/// Who is behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// At least one, addresses distinct, sorted by address, at most
    /// [`DNS_MEMBERS_MAX`](crate::limits::DNS_MEMBERS_MAX).
    pub(super) backends: Vec<BackendSettings>,
    /// Records that are over that bound, and addresses that nobody can connect to.
    pub(super) dropped: usize,
    /// How soon to ask again: the least TTL, within
    /// [`DNS_INTERVAL`](crate::limits::DNS_INTERVAL)`.least` and the name's own interval.
    pub(super) ttl: Duration,
}

/// Why there is no answer to go by. The backends of the last good one stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// The question was not answered, or not wholly.
    #[error("the DNS did not answer: {0}")]
    Failed(String),
    /// The name has no addresses.
    #[error("the DNS knows no address for this name")]
    Empty,
}

impl Resolver {
    /// Asks the servers in `/etc/resolv.conf`, with its timeout and attempts. Names are whole: its search list does
    /// not apply, and neither does `/etc/hosts`.
    pub(super) fn system() -> Result<Self, DiscoveryError> {
        let mut builder = TokioResolver::builder_tokio()
            .map_err(|error| DiscoveryError::Failed(format!("/etc/resolv.conf: {error}")))?;
        set_our_own(builder.options_mut());
        let resolver = builder.build().map_err(|error| failed(&error))?;
        Ok(Self(resolver))
    }

    /// Asks once; never longer than [`DNS_ANSWER_MAX`].
    pub(super) async fn ask(&self, name: &NameSettings) -> Result<Answer, DiscoveryError> {
        let asked = async {
            match name.kind {
                NameKind::Addresses { port } => self.ask_addresses(name, port).await,
                NameKind::Srv => self.ask_services(name).await,
            }
        };
        let late = || DiscoveryError::Failed(format!("it took longer than {DNS_ANSWER_MAX:?}"));
        let members = timeout(DNS_ANSWER_MAX, asked)
            .await
            .unwrap_or_else(|_| Err(late()))?;
        members.into_answer(name.interval)
    }

    async fn ask_addresses(
        &self,
        name: &NameSettings,
        port: u16,
    ) -> Result<Members, DiscoveryError> {
        let (addresses, ttl) = self.addresses(whole(&name.name)?).await?;
        let mut members = Members::default();
        members.expect_again(ttl);
        for address in addresses {
            members.add(BackendSettings {
                address: SocketAddr::new(address, port),
                weight: name.weight,
                priority: name.priority,
            });
        }
        Ok(members)
    }

    async fn ask_services(&self, name: &NameSettings) -> Result<Members, DiscoveryError> {
        let (records, ttl) = self.records(whole(&name.name)?, RecordType::SRV).await?;
        let services = records.into_iter().filter_map(|data| match data {
            RData::SRV(service) => Some(service),
            _ => None,
        });
        let mut members = Members::default();
        members.expect_again(ttl);
        members.set_services(services.collect());
        self.follow(&mut members).await?;
        Ok(members)
    }

    /// Asks for the addresses of every target, a few at once. The additional section of the first answer is not looked
    /// at: it may hold some of a target's addresses and not the others.
    async fn follow(&self, members: &mut Members) -> Result<(), DiscoveryError> {
        let mut targets = members.targets().into_iter();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < DNS_TARGETS_AT_ONCE
                && let Some(target) = targets.next()
            {
                let asker = self.clone();
                under_way.spawn(async move { (asker.addresses(target.clone()).await, target) });
            }
            let Some(found) = under_way.join_next().await else {
                return Ok(());
            };
            let (found, target) =
                found.map_err(|error| DiscoveryError::Failed(error.to_string()))?;
            let (addresses, ttl) = found?;
            members.expect_again(ttl);
            members.add_target(&target, addresses);
        }
    }

    /// The addresses of both families and their least TTL. A family without records is fine; one that was not answered
    /// is not, or its backends would be gone for as long as the server stumbles.
    async fn addresses(&self, name: Name) -> Result<(Vec<IpAddr>, Ttl), DiscoveryError> {
        let (v4, v6) = tokio::join!(
            self.records(name.clone(), RecordType::A),
            self.records(name, RecordType::AAAA),
        );
        let ((v4, v4_ttl), (v6, v6_ttl)) = (v4?, v6?);
        let addresses = v4.into_iter().chain(v6).filter_map(|data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0).to_canonical()),
            _ => None,
        });
        let ttl = v4_ttl.into_iter().chain(v6_ttl).min();
        Ok((addresses.collect(), ttl))
    }

    /// The records of one kind, none if there are none, and the least TTL on the way to them.
    async fn records(
        &self,
        name: Name,
        kind: RecordType,
    ) -> Result<(Vec<RData>, Ttl), DiscoveryError> {
        match self.0.lookup(name, kind).await {
            Ok(found) => {
                let ttl = found.answers().iter().map(|record| record.ttl).min();
                let wanted = found
                    .answers()
                    .iter()
                    .filter(|record| record.record_type() == kind);
                Ok((wanted.map(|record| record.data.clone()).collect(), ttl))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok((Vec::new(), None)),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Seconds; nothing if no record said one.
type Ttl = Option<u32>;

/// What holds whatever `/etc/resolv.conf` says.
fn set_our_own(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // The TTL of a CNAME on the way counts too.
    options.preserve_intermediates = true;
}

/// The name as it stands, with no search list.
fn whole(name: &str) -> Result<Name, DiscoveryError> {
    let mut name = Name::from_utf8(name)
        .map_err(|error| DiscoveryError::Failed(format!("{name:?} is no name: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

fn failed(error: &NetError) -> DiscoveryError {
    DiscoveryError::Failed(error.to_string())
}
