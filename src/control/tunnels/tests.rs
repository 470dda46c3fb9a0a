//! Questions to workers that answer, hang or are gone, on a clock that jumps.

use std::net::SocketAddr;

use tokio::sync::mpsc::Receiver;

use super::*;
use crate::ws::Inspect;

/// A fleet of two workers whose questions the test answers.
fn fleet() -> (FleetHandle, Receiver<FleetRequest>) {
    FleetHandle::new(2, NameBook::default())
}

async fn question(inbox: &mut Receiver<FleetRequest>) -> (u16, Question) {
    match inbox.recv().await {
        Some(FleetRequest::Ask { worker, question }) => (worker, question),
        other => panic!("no question: {other:?}"),
    }
}

fn row(place: u32, backend: u16) -> TunnelRow {
    TunnelRow {
        place,
        generation: 7,
        client: SocketAddr::from(([192, 0, 2, 1], 5000)),
        forwarded_for: None,
        route: 0,
        backend,
        opened_unix_ms: 1_795_356_000_000,
        silent_ms: 12,
        messages: [1, 2],
        bytes: [10, 20],
        inspect: Inspect::Text,
        deflate: true,
    }
}

/// Answers every question out of these tables, some rows at a time.
async fn answer(mut inbox: Receiver<FleetRequest>, tables: [Vec<TunnelRow>; 2], rows_max: usize) {
    while let Some(FleetRequest::Ask { worker, question }) = inbox.recv().await {
        let Asks::Tunnels { from } = question.asks else {
            panic!("{question:?}")
        };
        let table = &tables[usize::from(worker)];
        let to = table.len().min(from + rows_max);
        (question.answer)(Answer::Tunnels {
            rows: table[from..to].to_vec(),
            next: (to < table.len()).then_some(to),
        });
    }
}

fn wanted(limit: usize) -> TunnelQuery {
    TunnelQuery {
        worker: None,
        route: None,
        backend: None,
        limit,
    }
}

fn ids(list: &TunnelList) -> Vec<&str> {
    list.tunnels.iter().map(|tunnel| &*tunnel.id).collect()
}

#[tokio::test]
async fn a_search_goes_on_through_the_tables_until_there_is_enough() {
    let (fleet, inbox) = fleet();
    let many = (0..50).map(|place| row(place, u16::from(place == 40)));
    tokio::spawn(answer(inbox, [many.collect(), vec![row(3, 1)]], 7));

    let all = fleet.tunnels(&wanted(51)).await.unwrap();
    assert_eq!((all.tunnels.len(), all.more), (51, false));
    let some = fleet.tunnels(&wanted(50)).await.unwrap();
    assert_eq!((some.tunnels.len(), some.more), (50, true));

    let rare = TunnelQuery {
        backend: Some("#1".to_owned()),
        ..wanted(2)
    };
    let list = fleet.tunnels(&rare).await.unwrap();
    assert_eq!(ids(&list), ["0-40-7", "1-3-7"]);
    assert!(!list.more && list.unanswered.is_empty(), "{list:?}");
    let one = TunnelQuery { limit: 1, ..rare };
    let list = fleet.tunnels(&one).await.unwrap();
    assert_eq!((ids(&list), list.more), (vec!["0-40-7"], true));
    let second = TunnelQuery {
        worker: Some(1),
        ..one
    };
    let list = fleet.tunnels(&second).await.unwrap();
    assert_eq!((ids(&list), list.more), (vec!["1-3-7"], false));
    let none = TunnelQuery {
        route: Some("elsewhere".to_owned()),
        ..wanted(10)
    };
    assert_eq!(fleet.tunnels(&none).await.unwrap(), TunnelList::default());
    let third = TunnelQuery {
        worker: Some(2),
        ..wanted(10)
    };
    assert_eq!(fleet.tunnels(&third).await, Err(AskRefused::NoWorker(2, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_gone_or_hangs_is_named_and_costs_the_others_nothing() {
    let (fleet, mut inbox) = fleet();
    let begun = tokio::time::Instant::now();
    let search = tokio::spawn(async move { fleet.tunnels(&wanted(10)).await });
    let (_, dropped) = question(&mut inbox).await;
    drop(dropped);
    let (worker, question) = question(&mut inbox).await;
    assert_eq!(worker, 1);
    (question.answer)(Answer::Tunnels {
        rows: vec![row(0, 0)],
        next: None,
    });
    let list = search.await.unwrap().unwrap();
    assert_eq!((ids(&list), &*list.unanswered), (vec!["1-0-7"], &[0][..]));
    assert!(begun.elapsed() < limits::WORKER_ANSWER_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hangs_is_never_sent_more_than_it_may_have() {
    let (fleet, mut inbox) = fleet();
    let (mut held, any) = (Vec::new(), wanted(10));
    for _ in 0..limits::WORKER_QUESTIONS_MAX {
        let (list, asked) = tokio::join!(fleet.tunnels(&any), async {
            let first = question(&mut inbox).await;
            drop(question(&mut inbox).await);
            first
        });
        assert_eq!(list.unwrap().unanswered, [0, 1]);
        held.push(asked);
    }
    let id = "0-1-1".parse().unwrap();
    let options = TailOptions {
        every: 1,
        payload: false,
    };
    let refused = fleet.tail(id, options, Duration::ZERO).await;
    assert_eq!(refused, Err(AskRefused::Unanswered(0)));
    assert!(inbox.try_recv().is_err(), "it was not even asked");
    // Once it looks at its mail again it can be asked again.
    held.clear();
    let (tail, ()) = tokio::join!(fleet.tail(id, options, Duration::ZERO), async {
        let (_, question) = question(&mut inbox).await;
        (question.answer)(Answer::Tail(Vec::new()));
    });
    assert_eq!(tail.unwrap().frames, []);
}

#[tokio::test]
async fn nobody_answers_when_ringway_is_down() {
    let (fleet, inbox) = fleet();
    drop(inbox);
    assert_eq!(fleet.tunnels(&wanted(1)).await, Err(AskRefused::Gone));
    let nobody = FleetHandle::to_nobody();
    assert_eq!(nobody.tunnels(&wanted(1)).await, Err(AskRefused::Gone));
}

#[test]
fn a_tunnel_is_told_with_names_or_numbers() {
    let tunnel = OpenTunnel::new(3, &row(17, 2), &NameBook::default());
    let text = serde_json::to_string(&tunnel).unwrap();
    assert_eq!(
        text,
        concat!(
            r##"{"id":"3-17-7","worker":3,"client":"192.0.2.1:5000","forwarded_for":null,"route":"#0","##,
            r##""pool":"#2","backend":"#2","opened":"2026-11-22T14:00:00.000Z","silent_ms":12,"##,
            r#""client_to_backend":{"messages":1,"bytes":10},"backend_to_client":{"messages":2,"bytes":20},"#,
            r#""inspect":"text","compressed":true}"#
        )
    );
    assert_eq!(serde_json::from_str::<OpenTunnel>(&text).unwrap(), tunnel);
}
