//! Tunnels and their frames as people and programs read them: names instead of numbers, times as the log writes them.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::id::TunnelId;
use crate::access_log::{Names as _, Timestamp};
use crate::clock::Now;
use crate::control::names::NameBook;
use crate::fleet::BackendId;
use crate::relay::{TailFrame, TunnelRow};
use crate::ws::Opcode;

/// The tunnels that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TunnelList {
    /// As many as were asked for, in the order of the workers.
    pub tunnels: Vec<OpenTunnel>,
    /// Whether there are others that match, or may be.
    pub more: bool,
    /// Workers that did not answer, or not to the end. What they have, or the rest of it, is missing.
    pub unanswered: Vec<u16>,
}

/// One tunnel that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTunnel {
    /// What it is called, see [`TunnelId`].
    pub id: String,
    /// The number of its worker.
    pub worker: u16,
    /// Where its connection comes from.
    pub client: SocketAddr,
    /// The client's own address, when a trusted proxy named it.
    pub forwarded_for: Option<IpAddr>,
    /// The name of its route.
    pub route: String,
    /// The pool its backend is in.
    pub pool: String,
    /// The name of its backend.
    pub backend: String,
    /// When it was opened, in RFC 3339.
    pub opened: String,
    /// For how long nothing has gone either way, in milliseconds.
    pub silent_ms: u64,
    /// What the client sent.
    pub client_to_backend: Carried,
    /// What the backend sent.
    pub backend_to_client: Carried,
    /// How closely its frames are looked at: `headers`, `text` or `messages`.
    pub inspect: String,
    /// Whether permessage-deflate was agreed on.
    pub compressed: bool,
}

/// What one direction of a tunnel has carried so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Whole messages.
    pub messages: u64,
    /// Bytes, frame headers included.
    pub bytes: u64,
}

/// The latest frames of one tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelTail {
    /// Whose.
    pub id: String,
    /// The oldest first.
    pub frames: Vec<SeenFrame>,
}

/// One frame that went through a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFrame {
    /// Its number among all that came since the tail began, both directions counted together.
    pub number: u64,
    /// When it came, in RFC 3339.
    pub at: String,
    /// `client` or `backend`.
    pub sender: String,
    /// `text`, `binary`, `continuation`, `ping`, `pong` or `close`.
    pub opcode: String,
    /// The last frame of its message.
    pub fin: bool,
    /// Its message is compressed.
    pub compressed: bool,
    /// How long its payload is.
    pub payload_bytes: u64,
    /// The shape of its first bytes, without a letter or a digit of them, if that was asked for and can be told.
    pub shape: Option<String>,
}

impl OpenTunnel {
    pub(super) fn new(worker: u16, row: &TunnelRow, names: &NameBook) -> Self {
        let id = TunnelId {
            worker,
            place: row.place,
            generation: row.generation,
        };
        let carried = |place: usize| Carried {
            messages: row.messages[place],
            bytes: row.bytes[place],
        };
        Self {
            id: id.to_string(),
            worker,
            client: row.client,
            forwarded_for: row.forwarded_for,
            route: route(row, names),
            pool: named(names.pool(BackendId(row.backend)), row.backend),
            backend: backend(row, names),
            opened: Timestamp(row.opened_unix_ms).to_string(),
            silent_ms: row.silent_ms,
            client_to_backend: carried(0),
            backend_to_client: carried(1),
            inspect: row.inspect.label().to_owned(),
            compressed: row.deflate,
        }
    }
}

impl SeenFrame {
    /// `now` and `unix_ms` are the same moment on both clocks. A shape that somebody else has asked for is left out.
    pub(super) fn new(frame: TailFrame, shows_payload: bool, (now, unix_ms): (Now, u64)) -> Self {
        let age_ms = u64::try_from(now.since(frame.at).as_millis()).unwrap_or(u64::MAX);
        Self {
            number: frame.number,
            at: Timestamp(unix_ms.saturating_sub(age_ms)).to_string(),
            sender: frame.sender.label().to_owned(),
            opcode: word(frame.opcode).to_owned(),
            fin: frame.fin,
            compressed: frame.compressed,
            payload_bytes: frame.payload_bytes,
            shape: frame.shape.filter(|_| shows_payload),
        }
    }
}

/// The name of a tunnel's route.
pub(super) fn route(row: &TunnelRow, names: &NameBook) -> String {
    named(names.route(row.route), row.route)
}

/// The name of a tunnel's backend.
pub(super) fn backend(row: &TunnelRow, names: &NameBook) -> String {
    named(names.backend(row.backend), row.backend)
}

/// The name, or the number if nobody knows a name, as in the access log.
fn named(name: Option<Cow<'_, str>>, number: u16) -> String {
    name.map_or_else(|| format!("#{number}"), Cow::into_owned)
}

const fn word(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "continuation",
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Close => "close",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
    }
}
