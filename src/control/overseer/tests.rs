//! The overseer alone: the DNS's answers are given by hand, and what it would tell the workers is looked at.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::discovery::{Answer, DiscoveryError};
use super::super::probe::ProbeFailure;
use super::super::probe::tests::secure::server;
use super::super::vault::Vault;
use super::tasks::{Event, Named};
use super::{Change, News, Overseer};
use crate::clock::Now;
use crate::config::{self, BackendSettings, Config, NameKind, NameSettings};
use crate::control::papers::Papers;
use crate::fleet::{Fate, Registry, SlotTable, State, Weight};
use crate::limits;
use crate::metrics::ControlCounters;
use crate::sync::Arc;
use crate::worker::Command;

const TEXT: &str = "[listeners.test]\nbind = [\"127.0.0.1:8080\"]\n\
    [pools.chat]\nbackends = [\"10.0.0.1:9000\"]\n\
    [[routes]]\npath = \"/\"\npool = \"chat\"\n";

fn name() -> NameSettings {
    NameSettings {
        name: "chat.internal".into(),
        kind: NameKind::Addresses { port: 9000 },
        interval: Duration::from_secs(30),
        weight: Weight::ONE,
        priority: 0,
    }
}

fn config() -> Config {
    let mut config = config::parse("test.toml", TEXT).unwrap();
    config.pools[0].names = vec![name()];
    config
}

fn overseer(config: Config) -> Overseer {
    let table = Arc::new(SlotTable::new(16));
    let mut registry = Registry::new(table);
    let snapshot = Arc::new(config.snapshot(&mut registry).unwrap());
    Overseer::start(config, registry, (snapshot, Vault::default()), 2, || None).0
}

fn backend(last: u8) -> BackendSettings {
    BackendSettings {
        address: SocketAddr::from(([10, 0, 0, last], 9000)),
        weight: Weight::ONE,
        priority: 0,
    }
}

fn answers(backends: &[u8]) -> Event {
    Event::Named(Named {
        pool: "chat".into(),
        name: name(),
        answer: Ok(Answer {
            backends: backends.iter().map(|&last| backend(last)).collect(),
            dropped: 0,
            ttl: Duration::from_secs(30),
        }),
    })
}

fn members(news: &News) -> Vec<String> {
    let snapshot = news.snapshot.as_ref().expect("there is news");
    let members = snapshot.pools[0].backends.iter();
    members.map(|member| member.name.to_string()).collect()
}

#[tokio::test]
async fn what_the_dns_names_joins_what_the_file_names_and_rows_survive() {
    let mut overseer = overseer(config());
    let news = overseer.heard(answers(&[2, 1, 3]), Now::read());
    assert_eq!(
        members(&news),
        ["10.0.0.1:9000", "10.0.0.2:9000", "10.0.0.3:9000"]
    );
    let two = overseer.snapshot.pools[0].backends[1].clone();
    overseer.table().connect_started(two.id);
    overseer.table().opened(two.id);

    assert!(
        overseer
            .heard(answers(&[2, 1, 3]), Now::read())
            .snapshot
            .is_none()
    );
    let news = overseer.heard(answers(&[3]), Now::read());
    assert_eq!(members(&news), ["10.0.0.1:9000", "10.0.0.3:9000"]);
    assert_eq!(overseer.table().standing(two.id).state, State::Removed);
    let news = overseer.heard(answers(&[2, 3]), Now::read());
    assert_eq!(members(&news).len(), 3);
    let back = &overseer.snapshot.pools[0].backends[1];
    assert_eq!((back.id, back.generation), (two.id, two.generation));
    assert_eq!(
        overseer.table().established(two.id),
        1,
        "its tunnel was counted all along"
    );
    assert_eq!(overseer.table().standing(two.id).state, State::Up);
}

#[tokio::test]
async fn an_answer_that_fails_or_is_empty_keeps_the_last_good_one() {
    let mut overseer = overseer(config());
    overseer.heard(answers(&[2]), Now::read());
    for error in [
        DiscoveryError::Empty,
        DiscoveryError::Failed("SERVFAIL".into()),
    ] {
        let named = Named {
            pool: "chat".into(),
            name: name(),
            answer: Err(error),
        };
        assert!(
            overseer
                .heard(Event::Named(named), Now::read())
                .snapshot
                .is_none()
        );
        assert_eq!(overseer.rows(Now::read()).len(), 2);
    }
}

#[tokio::test]
async fn orders_hold_over_a_change_of_members_and_over_a_reload() {
    let mut overseer = overseer(config());
    let now = Now::read();
    overseer.heard(answers(&[2]), now);
    overseer
        .change(("chat", "10.0.0.1:9000"), Change::Drain, now)
        .unwrap();
    overseer
        .change(("chat", "10.0.0.2:9000"), Change::Weight(7), now)
        .unwrap();
    overseer.heard(answers(&[2, 3]), now);
    let mut reloaded = config();
    reloaded.pools[0].backends.push(backend(9));
    overseer.reload(reloaded, now).unwrap();
    let rows = overseer.rows(now);
    let of = |name: &str| rows.iter().find(|row| row.backend == name).unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(of("10.0.0.1:9000").state, "draining");
    assert_eq!(of("10.0.0.2:9000").weight, 7);
    assert_eq!(of("10.0.0.9:9000").state, "up");
}

#[tokio::test]
async fn tunnels_are_closed_as_the_pool_says_and_told_again_if_nobody_heard() {
    let mut settings = config();
    settings.pools[0].fates.drain = Fate::Keep;
    settings.pools[0].fates.down = Fate::Close;
    settings.pools[0].fates.close_per_second = 100;
    let mut overseer = overseer(settings);
    let (now, one) = (Now::read(), ("chat", "10.0.0.1:9000"));
    overseer.change(one, Change::Drain, now).unwrap();
    assert!(overseer.take_closing().is_empty());
    overseer.change(one, Change::Down, now).unwrap();
    for _ in 0..2 {
        let commands = overseer.take_closing();
        let [
            Command::Close {
                backends,
                per_second,
            },
        ] = &commands[..]
        else {
            panic!("{commands:?}");
        };
        assert_eq!(
            (backends.len(), *per_second),
            (1, 50),
            "half of it on each of two workers"
        );
        overseer.untold(&commands[0]);
    }
}

#[tokio::test]
async fn a_newcomer_starts_slowly_and_whoever_was_there_at_the_start_does_not() {
    let mut overseer = overseer(config());
    let now = Now::read().after(Duration::from_secs(1));
    overseer.heard(answers(&[2]), now);
    let members = overseer.snapshot.pools[0].backends.clone();
    assert_eq!(overseer.table().risen_ms(members[0].id), 0);
    assert_eq!(overseer.table().risen_ms(members[1].id), now.as_millis());
}

#[tokio::test]
async fn a_weight_of_nothing_by_order_holds_while_members_change() {
    let mut overseer = overseer(config());
    let now = Now::read();
    overseer
        .change(("chat", "10.0.0.1:9000"), Change::Weight(0), now)
        .unwrap();
    let one = overseer.snapshot.pools[0].backends[0].id;
    let epoch_of = |overseer: &Overseer| {
        (
            overseer.table().standing(one).weight,
            overseer.table().epoch(),
        )
    };
    let (_, before) = epoch_of(&overseer);
    overseer.heard(answers(&[1]), now);
    let (weight, after) = epoch_of(&overseer);
    assert_eq!(
        (weight, after),
        (0, before),
        "nobody could have picked it in between"
    );
}

#[tokio::test]
async fn a_reload_that_finds_no_room_changes_nothing() {
    let mut overseer = overseer(config());
    let now = Now::read();
    overseer.heard(answers(&[2, 3]), now);
    let mut too_many = config();
    too_many.pools[0].names.clear();
    too_many.pools[0].backends = (10..40).map(backend).collect();
    assert!(overseer.reload(too_many, now).is_err());
    assert_eq!(overseer.rows(now).len(), 3);
    let news = overseer.heard(answers(&[2, 3, 4]), now);
    assert_eq!(
        members(&news).len(),
        4,
        "what the DNS had named is still known"
    );
}

#[tokio::test]
async fn an_authority_that_was_replaced_counts_from_the_next_probe_on() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let acceptor = server(&papers.certificate("chat", &["127.0.0.1"]), None);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever does not trust it hangs up.
            let _ = acceptor.accept(stream).await;
        }
    });
    let authority = strangers.authority();
    let text = format!(
        "[listeners.test]\nbind = \"127.0.0.1:8080\"\n[pools.chat]\nbackends = [\"{address}\"]\n\
         tls = {{ authorities = \"{}\" }}\nprobe = {{ interval = \"50ms\" }}\n\
         [[routes]]\npool = \"chat\"\n",
        authority.display()
    );
    let config = config::parse("test.toml", &text).unwrap();
    let vault = Vault::load(&config, &Vault::default(), Now::read()).unwrap();
    let mut registry = Registry::new(Arc::new(SlotTable::new(16)));
    let mut snapshot = config.snapshot(&mut registry).unwrap();
    vault.furnish(&config, &config, &mut snapshot);
    let known = (Arc::new(snapshot), vault);
    let (mut overseer, mut events) = Overseer::start(config, registry, known, 2, || None);
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
        let Ok(Some(Event::Probed(probed))) = event else {
            panic!("{event:?}");
        };
        probed.outcome
    };
    let before = next().await;
    assert!(matches!(before, Err(ProbeFailure::Tls(_))), "{before:?}");

    std::fs::copy(papers.authority(), &authority).unwrap();
    let counters = ControlCounters::default();
    let later = Now::read().after(limits::TLS_FILES_LOOK);
    let news = overseer.look_at_files(&counters, later);
    assert!(news.snapshot.is_some());
    assert_eq!(counters.tls_loads.get(), 1);
    // One may have been under way.
    let _ = next().await;
    let after = next().await;
    assert!(after.is_ok(), "{after:?}");
}
