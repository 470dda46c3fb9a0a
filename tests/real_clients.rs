//! Clients and servers that others wrote find nothing strange about Ringway between them.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::net::SocketAddr;

use fastwebsockets::{Frame, OpCode, Payload, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use support::{Fixture, start};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

type Tungstenite = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn tungstenite(address: SocketAddr) -> Tungstenite {
    connect_async(format!("ws://{address}/ws")).await.unwrap().0
}

fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }
}

fn bulk(bytes: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(bytes).collect()
}

#[tokio::test]
async fn tungstenite_gets_back_text_binary_and_large_messages() {
    let fixture = Fixture::echo(1, "");
    let mut client = tungstenite(fixture.address()).await;
    let large_text = "ö".repeat(512 * 1024);
    for message in [
        Message::text("hello"),
        Message::text(""),
        Message::text(large_text),
        Message::binary(vec![0, 255, 128]),
        Message::binary(bulk(125)),
        Message::binary(bulk(126)),
        Message::binary(bulk(65_536)),
        Message::binary(bulk(1024 * 1024)),
    ] {
        client.send(message.clone()).await.unwrap();
        assert!(client.next().await.unwrap().unwrap() == message);
    }
}

#[tokio::test]
async fn tungstenite_pings_are_answered_between_messages() {
    let fixture = Fixture::echo(1, "");
    let mut client = tungstenite(fixture.address()).await;
    client
        .send(Message::Ping(b"alive?".to_vec().into()))
        .await
        .unwrap();
    client.send(Message::text("after")).await.unwrap();
    let pong = Message::Pong(b"alive?".to_vec().into());
    assert_eq!(client.next().await.unwrap().unwrap(), pong);
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::text("after")
    );
}

#[tokio::test]
async fn a_close_of_tungstenite_comes_back_with_its_code() {
    let fixture = Fixture::echo(1, "");
    for code in [1000, 1001, 3000, 4999] {
        let mut client = tungstenite(fixture.address()).await;
        client.close(Some(close(code, ""))).await.unwrap();
        let answer = client.next().await.unwrap().unwrap();
        let Message::Close(Some(frame)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(u16::from(frame.code), code);
        assert!(client.next().await.is_none(), "the stream ends well");
    }
}

#[tokio::test]
async fn a_close_of_the_backend_reaches_the_client_with_its_code_and_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ringway = start(&[listener.local_addr().unwrap()], "");
    let backend = tokio::spawn(async move {
        let mut server = accept_async(listener.accept().await.unwrap().0)
            .await
            .unwrap();
        let asked = server.next().await.unwrap().unwrap();
        server
            .send(Message::Ping(b"who?".to_vec().into()))
            .await
            .unwrap();
        let pong = server.next().await.unwrap().unwrap();
        server.close(Some(close(4321, "go away"))).await.unwrap();
        // The client's answer, and then the end.
        let answer = server.next().await.unwrap().unwrap();
        let end = server.next().await;
        (asked, pong, answer, end.is_none())
    });
    let mut client = tungstenite(ringway.listening[0]).await;
    client.send(Message::text("let me in")).await.unwrap();
    let ping = client.next().await.unwrap().unwrap();
    assert_eq!(ping, Message::Ping(b"who?".to_vec().into()));
    let goodbye = client.next().await.unwrap().unwrap();
    assert_eq!(goodbye, Message::Close(Some(close(4321, "go away"))));
    assert!(matches!(
        client.next().await,
        None | Some(Err(Error::ConnectionClosed))
    ));
    drop(client);
    let (asked, answered, reply, ended) = backend.await.unwrap();
    assert_eq!(asked, Message::text("let me in"));
    assert_eq!(answered, Message::Pong(b"who?".to_vec().into()));
    assert_eq!(reply, Message::Close(Some(close(4321, "go away"))));
    assert!(ended);
}

#[tokio::test]
async fn a_subprotocol_is_agreed_through_ringway() {
    let fixture = Fixture::echo(1, "");
    let mut request = format!("ws://{}/ws", fixture.address())
        .into_client_request()
        .unwrap();
    let offer = "superchat, chat".parse().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", offer);
    let (mut client, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "superchat");
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::text("hello")
    );
}

#[tokio::test]
async fn many_tungstenite_clients_at_once_each_hear_their_own_words() {
    let fixture = Fixture::echo(3, "[workers]\ncores = 2\n");
    let address = fixture.address();
    let talks = (0..50_u32).map(|number| {
        tokio::spawn(async move {
            let mut client = tungstenite(address).await;
            for turn in 0..20 {
                let message = Message::text(format!("{number}: {turn} {}", "x".repeat(turn * 97)));
                client.send(message.clone()).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), message);
            }
            client.close(None).await.unwrap();
            while let Some(Ok(_)) = client.next().await {}
        })
    });
    for talk in talks.collect::<Vec<_>>() {
        talk.await.unwrap();
    }
    let ended = "ringway_tunnels_ended_total{reason=\"close_handshake\"";
    let ringway = fixture.ringway;
    let waiting = move || support::wait_for_metric(&ringway, ended, |count| count == 50.0);
    tokio::task::spawn_blocking(waiting).await.unwrap();
}

#[tokio::test]
async fn a_refused_upgrade_is_an_answer_to_tungstenite() {
    let fixture = Fixture::echo(1, "");
    let route = "allowed_origins = [\"https://a.example\"]";
    let ringway = support::start_with(fixture.echo.addresses(), "", "", route);
    let refused = connect_async(format!("ws://{}/ws", ringway.listening[0])).await;
    let Err(Error::Http(response)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(response.status(), 403);
}

/// Runs hyper's connection where fastwebsockets asks for it.
struct Spawn;

impl<F> hyper::rt::Executor<F> for Spawn
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

async fn fast(address: SocketAddr) -> WebSocket<TokioIo<hyper::upgrade::Upgraded>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let request = hyper::Request::get("/ws")
        .header("Host", "test")
        .header("Upgrade", "websocket")
        .header("Connection", "upgrade")
        .header(
            "Sec-WebSocket-Key",
            fastwebsockets::handshake::generate_key(),
        )
        .header("Sec-WebSocket-Version", "13")
        .body(http_body_util::Empty::<hyper::body::Bytes>::new())
        .unwrap();
    let client = fastwebsockets::handshake::client(&Spawn, request, stream).await;
    let (mut client, response) = client.unwrap();
    assert_eq!(response.status(), 101);
    client.set_max_message_size(4 * 1024 * 1024);
    client
}

fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Frame<'static> {
    Frame::new(fin, opcode, None, Payload::Owned(payload.to_vec()))
}

#[tokio::test]
async fn fastwebsockets_gets_back_text_binary_pings_and_large_messages() {
    let fixture = Fixture::echo(1, "");
    let mut client = fast(fixture.address()).await;
    for (opcode, payload) in [
        (OpCode::Text, b"hello".to_vec()),
        (OpCode::Binary, vec![]),
        (OpCode::Binary, bulk(126)),
        (OpCode::Binary, bulk(65_536)),
        (OpCode::Binary, bulk(1024 * 1024)),
    ] {
        client
            .write_frame(frame(true, opcode, &payload))
            .await
            .unwrap();
        let answer = client.read_frame().await.unwrap();
        assert_eq!(answer.opcode, opcode);
        assert!(*answer.payload == *payload, "{} bytes", payload.len());
    }
    client
        .write_frame(frame(true, OpCode::Ping, b"alive?"))
        .await
        .unwrap();
    let pong = client.read_frame().await.unwrap();
    assert_eq!(
        (pong.opcode, &*pong.payload),
        (OpCode::Pong, &b"alive?"[..])
    );
}

#[tokio::test]
async fn fastwebsockets_sends_a_message_in_pieces_with_a_ping_between() {
    let fixture = Fixture::echo(1, "");
    let mut client = fast(fixture.address()).await;
    let sent = [
        frame(false, OpCode::Text, b"one "),
        frame(true, OpCode::Ping, b"?"),
        frame(false, OpCode::Continuation, b"two "),
        frame(true, OpCode::Continuation, b"three"),
    ];
    for piece in sent {
        client.write_frame(piece).await.unwrap();
    }
    let (mut text, mut pongs) = (Vec::new(), 0);
    while text.len() < 13 {
        let answer = client.read_frame().await.unwrap();
        match answer.opcode {
            OpCode::Pong => pongs += 1,
            _ => text.extend_from_slice(&answer.payload),
        }
    }
    assert_eq!((&*text, pongs), (&b"one two three"[..], 1));
}

#[tokio::test]
async fn a_close_of_fastwebsockets_comes_back_with_its_code() {
    let fixture = Fixture::echo(1, "");
    let mut client = fast(fixture.address()).await;
    client.set_auto_close(false);
    client
        .write_frame(Frame::close(4002, b"done"))
        .await
        .unwrap();
    let answer = client.read_frame().await.unwrap();
    assert_eq!(answer.opcode, OpCode::Close);
    assert_eq!(&answer.payload[..2], 4002_u16.to_be_bytes());
}
