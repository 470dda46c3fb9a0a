//! A GET and its answer, judged by status and by what the start of the body contains.

use std::error::Error as _;
use std::future;
use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;

use super::{ProbeFailure, Stream, USER_AGENT, host, secure};
use crate::health::HttpProbe;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, PROBE_BODY_BYTES_MAX};

/// Sends the GET and judges the answer. The connection ends with this future.
pub(super) async fn get(
    stream: Stream,
    address: SocketAddr,
    asked: &HttpProbe,
) -> Result<(), ProbeFailure> {
    let request = request(address, asked)?;
    let (sender, connection) = Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| failure(&error))?;
    // It is driven here and not in a task, so that it ends with the probe. Its own end comes up in the exchange.
    let driven = async {
        drop(connection.await);
        future::pending().await
    };
    tokio::select! {
        verdict = exchange(sender, request, asked) => verdict,
        never = driven => never,
    }
}

fn request(address: SocketAddr, asked: &HttpProbe) -> Result<Request<Empty<Bytes>>, ProbeFailure> {
    Request::get(&asked.path)
        .header(header::HOST, host(asked.host.as_ref(), address))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| ProbeFailure::Ours(error.to_string()))
}

async fn exchange(
    mut sender: SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    asked: &HttpProbe,
) -> Result<(), ProbeFailure> {
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failure(&error))?;
    let status = answer.status().as_u16();
    if !asked.status.contains(&status) {
        let (least, most) = (asked.status.start(), asked.status.end());
        return Err(ProbeFailure::BadAnswer(format!(
            "its status is {status}, expected {least} to {most}"
        )));
    }
    match &asked.body {
        Some(wanted) => find(wanted, answer.into_body()).await,
        None => Ok(()),
    }
}

/// Reads the start of a body until it contains `wanted`.
async fn find(wanted: &str, mut body: Incoming) -> Result<(), ProbeFailure> {
    let mut start = Vec::new();
    while start.len() < PROBE_BODY_BYTES_MAX {
        let Some(frame) = body.frame().await else {
            return Err(ProbeFailure::BadAnswer(format!(
                "its body does not contain {wanted:?}"
            )));
        };
        let Ok(data) = frame.map_err(|error| failure(&error))?.into_data() else {
            continue;
        };
        let room = PROBE_BODY_BYTES_MAX - start.len();
        // Only what is new, and a cut match before it, is looked at.
        let fresh = start.len().saturating_sub(wanted.len());
        start.extend_from_slice(&data[..data.len().min(room)]);
        if contains(&start[fresh..], wanted.as_bytes()) {
            return Ok(());
        }
    }
    Err(ProbeFailure::BadAnswer(format!(
        "the first {PROBE_BODY_BYTES_MAX} bytes of its body do not contain {wanted:?}"
    )))
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

fn failure(error: &hyper::Error) -> ProbeFailure {
    let broken_off = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(broken) = broken_off.and_then(secure::failure) {
        return broken;
    }
    let is_broken_off = broken_off.is_some();
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_broken_off {
        ProbeFailure::Closed
    } else {
        ProbeFailure::BadAnswer(format!("its answer is not HTTP: {error}"))
    }
}
