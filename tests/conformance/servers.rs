//! The servers that stand behind Ringway or are asked directly: two libraries, and our own for deflate.

use std::net::SocketAddr;

use fastwebsockets::{FragmentCollector, OpCode, Payload, WebSocket, WebSocketError};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode as Code};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::deflate;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tungstenite,
    Fastwebsockets,
    /// Neither library has permessage-deflate.
    Deflate,
}

/// Both libraries.
pub(crate) const LIBRARIES: &[Kind] = &[Kind::Tungstenite, Kind::Fastwebsockets];

/// A server that echoes until it is dropped.
pub(crate) struct Server {
    pub address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    /// On a thread of its own; it sends messages of more than `fragment_bytes` in fragments of so many.
    pub(crate) fn start(kind: Kind, fragment_bytes: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = runtime.block_on(TcpListener::bind(any)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                match kind {
                    Kind::Tungstenite => drop(tokio::spawn(tungstenite(stream, fragment_bytes))),
                    Kind::Fastwebsockets => drop(tokio::spawn(fast(stream, fragment_bytes))),
                    Kind::Deflate => drop(tokio::spawn(deflate::serve(stream, fragment_bytes))),
                }
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }
}

/// Ends our half and reads the other to its end: a socket that is closed with bytes unread is reset, and the
/// reset may overtake the Close frame.
pub(crate) async fn end(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    // The client may be gone already, and that is as good.
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
}

/// The payloads of a message's frames, and whether each is the last.
pub(crate) fn fragments(
    payload: &[u8],
    fragment_bytes: usize,
) -> impl Iterator<Item = (&[u8], bool)> {
    let last = payload.len().div_ceil(fragment_bytes).max(1) - 1;
    (0..=last).map(move |place| {
        let start = place * fragment_bytes;
        let end = payload.len().min(start.saturating_add(fragment_bytes));
        (&payload[start..end], place == last)
    })
}

async fn tungstenite(stream: TcpStream, fragment_bytes: usize) -> Option<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    let code = loop {
        let (mut data, payload) = match socket.next().await {
            Some(Ok(Message::Text(text))) => (Data::Text, text.into()),
            Some(Ok(Message::Binary(payload))) => (Data::Binary, payload),
            Some(Ok(_)) => continue,
            Some(Err(Error::Protocol(_))) => break 1002,
            Some(Err(Error::Utf8(_))) => break 1007,
            Some(Err(Error::Capacity(_))) => break 1009,
            Some(Err(_)) | None => break 0,
        };
        for (part, is_last) in fragments(&payload, fragment_bytes) {
            let frame = Frame::message(part.to_vec(), Code::Data(data), is_last);
            socket.send(Message::Frame(frame)).await.ok()?;
            data = Data::Continue;
        }
    };
    if code > 0 {
        let reason = "refused by tungstenite".into();
        socket
            .close(Some(CloseFrame {
                code: code.into(),
                reason,
            }))
            .await
            .ok()?;
    }
    end(socket.get_mut()).await;
    Some(())
}

async fn fast(stream: TcpStream, fragment_bytes: usize) {
    let service = hyper::service::service_fn(move |mut request| async move {
        let (response, socket) = fastwebsockets::upgrade::upgrade(&mut request)?;
        tokio::spawn(async move {
            // A client that left before its upgrade is no concern of the echo.
            if let Ok(socket) = socket.await {
                fast_echo(socket, fragment_bytes).await;
            }
        });
        Ok::<_, WebSocketError>(response)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // Ends with an error if the client does; there is nobody to tell.
    let _ = connection.await;
}

async fn fast_echo(
    socket: WebSocket<TokioIo<hyper::upgrade::Upgraded>>,
    fragment_bytes: usize,
) -> Option<()> {
    let mut socket = FragmentCollector::new(socket);
    let code = loop {
        let message = match socket.read_frame().await {
            Ok(frame) if matches!(frame.opcode, OpCode::Text | OpCode::Binary) => frame,
            Ok(frame) if frame.opcode == OpCode::Close => break 0,
            Ok(_) => continue,
            Err(WebSocketError::InvalidUTF8) => break 1007,
            Err(WebSocketError::FrameTooLarge) => break 1009,
            // The client is gone, or the library has refused its code in a Close frame of its own.
            Err(
                WebSocketError::IoError(_)
                | WebSocketError::UnexpectedEOF
                | WebSocketError::InvalidCloseCode,
            ) => break 0,
            Err(_) => break 1002,
        };
        let mut opcode = message.opcode;
        for (part, is_last) in fragments(&message.payload, fragment_bytes) {
            let part = Payload::Owned(part.to_vec());
            let frame = fastwebsockets::Frame::new(is_last, opcode, None, part);
            socket.write_frame(frame).await.ok()?;
            opcode = OpCode::Continuation;
        }
    };
    if code > 0 {
        let frame = fastwebsockets::Frame::close(code, b"refused by fastwebsockets");
        socket.write_frame(frame).await.ok()?;
    }
    end(&mut socket.into_inner()).await;
    Some(())
}
