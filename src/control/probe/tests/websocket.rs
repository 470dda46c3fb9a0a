//! A handshake and a ping against backends that hold to RFC 6455, and others.

use std::future;

use super::*;
use crate::http::{RequestHead, accept_key};
use crate::limits::{INTERIM_ANSWERS_MAX, PROBE_SKIPPED_BYTES_MAX};
use crate::ws::{FrameHeader, apply_mask};

/// Reads the request and agrees, with these fields besides.
async fn agree(stream: &mut TcpStream, more: &str) -> String {
    let head = read_head(stream).await;
    stream
        .write_all(agreement(&head, more).as_bytes())
        .await
        .unwrap();
    head
}

fn agreement(head: &str, more: &str) -> String {
    let request = RequestHead::parse(head.as_bytes()).unwrap();
    let key = str::from_utf8(request.header("sec-websocket-key").unwrap()).unwrap();
    let accept = String::from_utf8(accept_key(key).to_vec()).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// What is answered to a request.
type Answer = fn(&str) -> String;

/// What is answered to a ping with this payload.
type Pong = fn(&[u8]) -> Vec<u8>;

/// Reads one short masked frame: its first byte and its payload.
async fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut frame = [0; 6];
    stream.read_exact(&mut frame).await.unwrap();
    let (header, _) = FrameHeader::decode(&frame).unwrap().unwrap();
    let mut payload = vec![0; usize::try_from(header.payload_bytes).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    apply_mask(&mut payload, header.mask.expect("a client masks"), 0);
    (frame[0], payload)
}

fn pong(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0x8A, length], payload].concat()
}

async fn websocket(address: SocketAddr, timeout: Duration) -> Result<Probed, ProbeFailure> {
    probe(address, &settings(websocket_probe(None), timeout)).await
}

#[tokio::test]
async fn a_websocket_probe_shakes_hands_pings_and_says_goodbye() {
    let backend = Backend::with(|mut stream| async move {
        let head = agree(&mut stream, "Sec-WebSocket-Protocol: v2.chat\r\n").await;
        let (first, payload) = read_frame(&mut stream).await;
        assert_eq!((first, payload.len()), (0x89, 16));
        stream.write_all(&pong(&payload)).await.unwrap();
        let goodbye = read_frame(&mut stream).await;
        (head, goodbye)
    })
    .await;
    let settings = settings(websocket_probe(Some("v2.chat")), PATIENT);
    let outcome = probe(backend.address, &settings).await;
    assert!(outcome.unwrap().took < PATIENT);
    let (head, goodbye) = backend.seen.await.unwrap();
    assert!(
        head.starts_with("GET /live HTTP/1.1\r\nHost: chat.test\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nUser-Agent: ringway-probe\r\n"), "{head}");
    assert!(
        head.contains("\r\nSec-WebSocket-Protocol: v2.chat\r\n"),
        "{head}"
    );
    assert_eq!(goodbye, (0x88, 1000_u16.to_be_bytes().to_vec()));
}

#[tokio::test]
async fn a_backend_that_never_ends_the_connection_is_still_good_and_left_in_time() {
    let backend = Backend::with(|mut stream| async move {
        agree(&mut stream, "").await;
        let (_, payload) = read_frame(&mut stream).await;
        stream.write_all(&pong(&payload)).await.unwrap();
        ended(&mut stream).await
    })
    .await;
    let begun = Now::read();
    let outcome = websocket(backend.address, PATIENT).await;
    let lasted = Now::read().since(begun);
    assert!((PROBE_GOODBYE..PATIENT).contains(&lasted), "{lasted:?}");
    assert!(
        outcome.unwrap().took + PROBE_GOODBYE <= lasted,
        "the goodbye is not the ping's"
    );
    assert!(backend.seen.await.unwrap());
}

#[tokio::test]
async fn other_messages_before_the_pong_are_passed_over() {
    let backend = Backend::with(|mut stream| async move {
        let head = read_head(&mut stream).await;
        // A greeting in one piece with the 101, a ping, fragments, a heartbeat, and only then the pong, cut in two.
        let greeting = [
            agreement(&head, "").as_bytes(),
            &[0x81, 2, b'h', b'i', 0x89, 0],
        ]
        .concat();
        stream.write_all(&greeting).await.unwrap();
        let (_, payload) = read_frame(&mut stream).await;
        let mut rest = vec![0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        rest.resize(rest.len() + 65_536, 7);
        rest.extend_from_slice(&[0x8A, 1, b'x', 0x80, 0]);
        rest.extend_from_slice(&pong(&payload)[..9]);
        stream.write_all(&rest).await.unwrap();
        stream.write_all(&pong(&payload)[9..]).await.unwrap();
        read_frame(&mut stream).await
    })
    .await;
    let outcome = websocket(backend.address, PATIENT).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(backend.seen.await.unwrap().0, 0x88);
}

#[tokio::test]
async fn interim_answers_are_passed_over_up_to_a_bound() {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let backend = Backend::with(move |mut stream| async move {
        stream.write_all(interim.as_bytes()).await.unwrap();
        agree(&mut stream, "").await;
        let (_, payload) = read_frame(&mut stream).await;
        stream.write_all(&pong(&payload)).await.unwrap();
    })
    .await;
    assert!(websocket(backend.address, PATIENT).await.is_ok());

    let backend =
        Backend::with(move |mut stream| async move { pour(&mut stream, "", interim).await });
    let why = bad(websocket(backend.await.address, PATIENT).await);
    assert_eq!(
        why,
        format!("it sent more than {INTERIM_ANSWERS_MAX} interim answers")
    );
}

#[tokio::test]
async fn an_agreement_that_proves_nothing_is_bad_and_said() {
    let wrong_accept = |head: &str| {
        let right = agreement(head, "");
        let place = right.find("Accept: ").unwrap() + "Accept: ".len();
        let mut wrong = right.into_bytes();
        wrong[place] ^= 1;
        String::from_utf8(wrong).unwrap()
    };
    let wrong: [(Answer, &str); 5] = [
        (wrong_accept, "Sec-WebSocket-Accept does not answer the key"),
        (
            |head| agreement(head, "Sec-WebSocket-Protocol: v3\r\n"),
            "subprotocol was not offered",
        ),
        (
            |head| agreement(head, ""),
            "it did not take the subprotocol v2",
        ),
        (
            |head| {
                agreement(
                    head,
                    "Sec-WebSocket-Protocol: v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
                )
            },
            "an extension was not offered",
        ),
        (
            |_| "HTTP/1.1 404 No\r\n\r\n".to_owned(),
            "its status is 404, expected 101",
        ),
    ];
    for (answer, expected) in wrong {
        let backend = Backend::with(move |mut stream| async move {
            let head = read_head(&mut stream).await;
            stream.write_all(answer(&head).as_bytes()).await.unwrap();
            ended(&mut stream).await
        })
        .await;
        let settings = settings(websocket_probe(Some("v2")), PATIENT);
        let why = bad(probe(backend.address, &settings).await);
        assert!(why.contains(expected), "{why}");
        assert!(backend.seen.await.unwrap());
    }
}

#[tokio::test]
async fn no_pong_or_only_those_of_others_is_a_timeout() {
    let quiet: [Pong; 3] = [
        |_| Vec::new(),
        |_| pong(b"not what you asked"),
        |payload| pong(&payload[..15]),
    ];
    for answer in quiet {
        let backend = Backend::with(move |mut stream| async move {
            agree(&mut stream, "").await;
            let (_, payload) = read_frame(&mut stream).await;
            stream.write_all(&answer(&payload)).await.unwrap();
            ended(&mut stream).await
        })
        .await;
        let begun = Now::read();
        let outcome = websocket(backend.address, SHORT).await;
        assert_eq!(outcome, Err(ProbeFailure::Timeout));
        assert!((SHORT..PATIENT).contains(&Now::read().since(begun)));
        assert!(backend.seen.await.unwrap());
    }
}

#[tokio::test]
async fn a_101_that_never_becomes_whole_is_a_timeout() {
    let backend = Backend::with(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = agreement(&head, "");
        let (most, _) = answer.split_at(answer.len() - 1);
        stream.write_all(most.as_bytes()).await.unwrap();
        future::pending::<()>().await;
    })
    .await;
    let outcome = websocket(backend.address, SHORT).await;
    assert_eq!(outcome, Err(ProbeFailure::Timeout));
}

#[tokio::test]
async fn a_close_or_a_broken_rule_instead_of_the_pong_is_bad_and_said() {
    let wrong: [(&'static [u8], &str); 4] = [
        (
            &[0x88, 2, 0x03, 0xF3],
            "it closed the WebSocket before its pong",
        ),
        (&[0x81, 0x80, 1, 2, 3, 4], "a server frame is masked"),
        (&[0x80, 0], "a continuation frame continues nothing"),
        (
            &[0x8A, 126, 0, 200],
            "a control frame is longer than 125 bytes",
        ),
    ];
    for (frame, expected) in wrong {
        let backend = Backend::with(move |mut stream| async move {
            agree(&mut stream, "").await;
            stream.write_all(frame).await.unwrap();
            ended(&mut stream).await
        })
        .await;
        let why = bad(websocket(backend.address, PATIENT).await);
        assert!(why.contains(expected), "{why}");
        assert!(backend.seen.await.unwrap());
    }
}

#[tokio::test]
async fn messages_without_end_before_the_pong_are_left_at_a_bound() {
    let backend = Backend::with(|mut stream| async move {
        agree(&mut stream, "").await;
        // One message of 2^62 bytes, which is never kept.
        let start = [0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0];
        let mut poured = 0;
        while stream.write_all(&start).await.is_ok() {
            poured += start.len();
            let more = [0; 8192];
            while stream.write_all(&more).await.is_ok() {
                poured += more.len();
            }
        }
        poured
    })
    .await;
    let why = bad(websocket(backend.address, PATIENT).await);
    assert_eq!(
        why,
        format!("it sent {PROBE_SKIPPED_BYTES_MAX} bytes before its pong")
    );
    assert!(backend.seen.await.unwrap() >= PROBE_SKIPPED_BYTES_MAX);
}
