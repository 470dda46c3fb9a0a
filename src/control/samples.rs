//! What `/metrics` shows of the fleet: each backend's row in the slot table and each listener's certificates, in plain
//! values.

use arc_swap::ArcSwap;

use crate::clock::Now;
use crate::fleet::{Door, Member, SlotTable, Snapshot};
use crate::health;
use crate::metrics::{BackendFailure, BackendSample, CertificateSample, Samples};
use crate::sync::Arc;

/// Reads the rows of whatever snapshot is current.
pub(super) fn samples_of(
    current: &Arc<ArcSwap<Snapshot>>,
    table: &Arc<SlotTable>,
) -> Box<dyn Fn() -> Samples + Send + Sync> {
    let (current, table) = (Arc::clone(current), Arc::clone(table));
    Box::new(move || {
        let snapshot = current.load();
        Samples {
            backends: backends(&snapshot, &table, Now::read()),
            certificates: certificates(&snapshot.doors),
        }
    })
}

/// Each listener's certificates, once: its addresses stand side by side, each with a door of its own.
fn certificates(doors: &[Door]) -> Vec<CertificateSample> {
    let mut shown: Vec<_> = doors.iter().filter_map(|door| door.tls.as_ref()).collect();
    shown.dedup_by(|one, before| one.listener == before.listener);
    let each = shown.into_iter().flat_map(|door| {
        let facts = door.certificates.iter();
        facts.map(|fact| CertificateSample {
            listener: door.listener.to_string(),
            certificate: fact.chain_path.display().to_string(),
            not_after: fact.not_after,
        })
    });
    each.collect()
}

fn backends(snapshot: &Snapshot, table: &SlotTable, now: Now) -> Vec<BackendSample> {
    let members = snapshot.pools.iter().flat_map(|pool| {
        let name = &pool.name;
        pool.backends.iter().map(move |member| (name, member))
    });
    members
        .map(|(pool, member)| sample(pool, member, table, now))
        .collect()
}

fn sample(pool: &str, member: &Member, table: &SlotTable, now: Now) -> BackendSample {
    let id = member.id;
    let (load, ends, pace, ejection) = (
        table.load(id),
        table.ends(id),
        table.pace(id),
        table.ejection(id),
    );
    let mut failures = [0; BackendFailure::ALL.len()];
    for (count, failure) in failures.iter_mut().zip(BackendFailure::ALL) {
        *count = table.failures(id, *failure);
    }
    BackendSample {
        pool: pool.to_owned(),
        backend: member.name.to_string(),
        state: health::describe(table, id, now),
        weight: table.standing(id).weight.into(),
        established: load.established.into(),
        connecting: load.connecting.into(),
        handshake_us: (pace.micros > 0).then(|| whole(pace.micros_at(now))),
        failures,
        failures_in_a_row: table.streak(id).into(),
        ejections_in_a_row: ejection.times.into(),
        ejected_for_us: health::returns_in(table, id, now).map_or(0, |left| {
            u64::try_from(left.as_micros()).unwrap_or(u64::MAX)
        }),
        ended: ends.total.into(),
        ended_abnormally: ends.abnormal.into(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a pace is between 0 and a u32 of microseconds"
)]
fn whole(micros: f64) -> u64 {
    micros as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::papers::Papers;
    use crate::fleet::{BackendId, Ejection, Phase, Standing, State, TlsDoor, Weight};
    use crate::tls::{
        Acceptor, CertificateFiles, ListenerTls, Suite, TicketKeys, Tickets, UnknownName, Version,
    };

    #[test]
    fn a_sample_says_all_that_the_row_knows() {
        let table = SlotTable::new(1);
        let id = BackendId(0);
        let now = Now::from_nanos(0).after(Duration::from_secs(100));
        table.set_standing(
            id,
            Standing {
                state: State::Draining,
                weight: 7,
                generation: 0,
            },
        );
        table.connect_started(id);
        table.opened(id);
        table.connect_started(id);
        table.failed(id, BackendFailure::Closed);
        table.streak_grew(id);
        table.ended(id, true);
        table.ended(id, false);
        table.handshake_took(id, Duration::from_millis(4), now);
        let out = Ejection {
            phase: Phase::Out,
            until_ms: 102_500,
            times: 3,
        };
        assert!(table.replace_ejection(id, Ejection::default(), out));
        let member = Member {
            id,
            generation: 0,
            address: "10.0.0.11:9000".parse().unwrap(),
            name: "10.0.0.11:9000".into(),
            weight: Weight::ONE,
            priority: 0,
        };
        let sample = sample("chat", &member, &table, now);
        let mut failures = [0; BackendFailure::ALL.len()];
        failures[BackendFailure::Closed.index()] = 1;
        assert_eq!(
            sample,
            BackendSample {
                pool: "chat".to_owned(),
                backend: "10.0.0.11:9000".to_owned(),
                state: "draining",
                weight: 7,
                established: 1,
                connecting: 1,
                handshake_us: Some(4_000),
                failures,
                failures_in_a_row: 1,
                ejections_in_a_row: 3,
                ejected_for_us: 2_500_000,
                ended: 2,
                ended_abnormally: 1,
            }
        );
    }

    #[test]
    fn a_listener_with_two_addresses_shows_each_certificate_once() {
        let papers = Papers::new();
        let settings = |certificates| ListenerTls {
            certificates,
            unknown_name: UnknownName::Default,
            min_version: Version::Tls12,
            suites: Suite::ALL.to_vec(),
            tickets: Tickets::Off,
            clients: None,
            handshake_timeout: Duration::from_secs(10),
        };
        let door = |listener: &str, certificates| {
            let tickets = TicketKeys::load(&Tickets::Off, Now::from_nanos(0)).unwrap();
            let loaded = Acceptor::load(&settings(certificates), &tickets).unwrap();
            Door {
                tls: Some(TlsDoor {
                    acceptor: loaded.acceptor,
                    handshake_timeout: Duration::from_secs(10),
                    hsts: None,
                    listener: listener.into(),
                    certificates: loaded.certificates.into(),
                }),
                redirect_to_https: None,
            }
        };
        let chat = papers.certificate_in("chat", &["chat.example"], (2020, 2030));
        let shop = papers.certificate_in("shop", &["shop.example"], (2020, 2031));
        let public = door("public", vec![chat.clone(), shop.clone()]);
        let doors = [
            public.clone(),
            public,
            Door::default(),
            door("devices", vec![chat.clone()]),
        ];
        let row = |listener: &str, files: &CertificateFiles, not_after| CertificateSample {
            listener: listener.to_owned(),
            certificate: files.chain.display().to_string(),
            not_after,
        };
        assert_eq!(
            certificates(&doors),
            [
                row("public", &chat, 1_893_456_000),
                row("public", &shop, 1_924_992_000),
                row("devices", &chat, 1_893_456_000),
            ]
        );
    }
}
