//! One tunnel as plain data: two sides, what each owes the other, and why it ended.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::look::{Framing, Look};
use super::outbox::Outbox;
use crate::clock::{self, Now};
use crate::fleet::{BackendId, SlowConsumer};
use crate::limits;
use crate::metrics::{EndReason, FlowCounters, FlowTraffic, Party};
use crate::ring::{Lane, Token};
use crate::sync::Arc;
use crate::tls::Wire;
use crate::ws::{Rule, Scanner, Sender, close};

/// One of the two sides of a tunnel; also the direction that starts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The side that connected to us.
    Client,
    /// The side we connected to.
    Backend,
}

impl End {
    /// Both sides.
    pub(super) const BOTH: [Self; 2] = [Self::Client, Self::Backend];

    /// The opposite side.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }

    pub(super) const fn party(self) -> Party {
        match self {
            Self::Client => Party::Client,
            Self::Backend => Party::Backend,
        }
    }

    pub(super) const fn sender(self) -> Sender {
        match self {
            Self::Client => Sender::Client,
            Self::Backend => Sender::Backend,
        }
    }
}

/// How long each kind of silence is borne, in milliseconds (up to 49 days).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Nothing went either way.
    pub idle_ms: u32,
    /// A side took nothing of what waits for it.
    pub stalled_write_ms: u32,
    /// One side had ended its stream, the other went on.
    pub half_close_ms: u32,
}

/// Why we close a side, as it will be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// 1001: Ringway goes down.
    GoingDown,
    /// 1012: its backend is gone; who connects again gets another one.
    Restart,
    /// 1001: its client was sent away.
    SentAway,
    /// 1001: nothing went either way for too long.
    Idle,
    /// 1001: it gave no sign of life.
    Silent,
    /// 1001: a key of TLS 1.2 is near its end.
    WornOut,
    /// 1001 or what the route says: the other side broke a rule, was too slow or gave no sign of life.
    PeerGone(u16),
    /// 1013: it took less than was sent to it.
    TooSlow,
    /// This side broke a rule, which has its code.
    Broke(Rule),
}

impl Farewell {
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::GoingDown | Self::SentAway | Self::Idle | Self::Silent | Self::WornOut => {
                close::GOING_AWAY
            }
            Self::PeerGone(code) => code,
            Self::TooSlow => close::TRY_AGAIN_LATER,
            Self::Restart => close::SERVICE_RESTART,
            Self::Broke(rule) => rule.close_code(),
        }
    }

    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::GoingDown => "going down",
            Self::Restart => "the backend is gone, connect again",
            Self::SentAway => "the client was sent away",
            Self::Idle => "idle for too long",
            Self::Silent => "no sign of life",
            Self::WornOut => "a key of TLS 1.2 is used up, connect again",
            Self::PeerGone(_) => "the other side was sent away",
            Self::TooSlow => "messages were not read fast enough",
            Self::Broke(rule) => rule.reason(),
        }
    }
}

/// A socket, and the records it speaks in if it speaks TLS.
pub type Connection = (OwnedFd, Option<Box<Wire>>);

/// What a greeting hands over when the backend's `101` was verified.
#[derive(Debug)]
pub struct Opening {
    /// The backend's socket, and its records.
    pub backend: Connection,
    /// Where the client's connection comes from.
    pub peer: SocketAddr,
    /// When that connection was accepted.
    pub accepted: Now,
    /// The client's own address, when a trusted proxy named it.
    pub forwarded_for: Option<IpAddr>,
    /// The route it came by.
    pub route: u16,
    /// The backend it went to.
    pub backend_id: BackendId,
    /// permessage-deflate was negotiated, so RSV1 is legal.
    pub deflate: bool,
    /// What the greeting leaves to be sent.
    pub first_bytes: FirstBytes,
    /// How long each silence is borne.
    pub patience: Patience,
    /// Where its route and backend are counted.
    pub flow: Arc<FlowCounters>,
    /// What its route asks of frames, if it asks for anything.
    pub frames: Option<Framing>,
}

/// Bytes that were there before the tunnel was.
#[derive(Debug)]
pub struct FirstBytes {
    /// The head that answers the client, rendered.
    pub answer: Vec<u8>,
    /// What the client sent after its head.
    pub from_client: Vec<u8>,
    /// What the backend sent after its `101`.
    pub from_backend: Vec<u8>,
}

/// What becomes of the bytes a side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// They go to the other side.
    Relay,
    /// They go to the other side up to the next frame boundary, where our Close frame waits.
    Cut,
    /// They are scanned for a Close frame, counted and dropped: the other side was told goodbye.
    Discard,
}

/// Where a side's receive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Nothing is armed.
    Idle,
    /// The kernel hands us what arrives.
    Armed,
    /// A cancellation is on its way; the last completion is still to come.
    Cancelling,
    /// No buffer was free; it waits in the starved list.
    Starved,
}

/// Our half of the stream towards one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// More may be written.
    Open,
    /// It ends once the outbox is empty.
    Closing,
    /// It has ended.
    Closed,
}

/// One side of a tunnel.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of its own, and any of them may be so with any other"
)]
pub(super) struct Side {
    /// Nothing once the socket was closed.
    pub(super) socket: Option<OwnedFd>,
    /// The records it speaks in, if it speaks TLS.
    pub(super) wire: Option<Box<Wire>>,
    /// Follows the frames this side sends.
    pub(super) scanner: Scanner,
    /// What waits to be written to this side.
    pub(super) outbox: Outbox,
    pub(super) flow: Flow,
    pub(super) receiving: Receiving,
    pub(super) lane: Lane,
    /// Reads in a row that say the other lane would fit better.
    pub(super) misfits: u8,
    /// More of this side's bytes are welcome; false while the other side's outbox is over its mark.
    pub(super) welcome: bool,
    /// It sent more than it may: it is read again when its time has come.
    pub(super) slowed: bool,
    /// This side ended its stream.
    pub(super) ended: bool,
    /// Our half of the stream towards this side.
    pub(super) ours: Half,
    /// We sent this side a Close frame of our own, or it waits in the outbox.
    pub(super) told: bool,
    /// What our Close frame will say when the boundary comes.
    pub(super) farewell: Farewell,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Side {
    fn new((socket, wire): Connection, end: End, deflate: bool) -> Self {
        Self {
            socket: Some(socket),
            wire,
            scanner: Scanner::new(end.sender(), deflate),
            outbox: Outbox::default(),
            flow: Flow::Relay,
            receiving: Receiving::Idle,
            lane: Lane::Small,
            misfits: 0,
            welcome: true,
            slowed: false,
            ended: false,
            ours: Half::Open,
            told: false,
            farewell: Farewell::GoingDown,
            messages: 0,
            bytes: 0,
        }
    }

    /// Ends our half once the outbox is empty.
    pub(super) fn close_half(&mut self) {
        if self.ours == Half::Open {
            self.ours = Half::Closing;
        }
    }

    /// The kernel holds a request for this side's socket.
    pub(super) fn busy(&self) -> bool {
        matches!(self.receiving, Receiving::Armed | Receiving::Cancelling)
            || self.outbox.in_flight()
    }

    /// This side said goodbye in either way: it will send nothing more that matters.
    pub(super) fn is_through(&self) -> bool {
        self.ended || self.scanner.close_code().is_some()
    }
}

/// How a tunnel is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Bytes go both ways.
    Open,
    /// Both sides are being told goodbye.
    Leaving,
    /// Nothing more is sent; the last completions are awaited.
    Ending,
}

/// One client joined to one backend.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) client: Side,
    pub(super) backend: Side,
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// Why and through whom it ended, once that is decided.
    pub(super) end: Option<(Party, EndReason)>,
    /// The side that sent the first Close frame, and the side that ended its stream first.
    pub(super) first_close: Option<End>,
    pub(super) first_end: Option<End>,
    /// It was ended by a reset or a deadline, not by its sides.
    pub(super) broken_off: bool,
    pub(super) last_active: Now,
    /// A deadline that is not about silence: half-close, leaving.
    pub(super) deadline: Option<Now>,
    /// The earliest moment at which the wheel will look here.
    pub(super) scheduled: Option<Now>,
    pub(super) patience: Patience,
    pub(super) accepted: Now,
    pub(super) opened: Now,
    pub(super) opened_unix_ms: u64,
    pub(super) peer: SocketAddr,
    pub(super) forwarded_for: Option<IpAddr>,
    pub(super) route: u16,
    pub(super) backend_id: BackendId,
    pub(super) flow: Arc<FlowCounters>,
    /// Who looks into its frames, if anybody does.
    pub(super) look: Option<Box<Look>>,
}

impl Tunnel {
    /// A tunnel at its start that nobody looks into, and the bytes that were there before it.
    pub(super) fn open(
        client: Connection,
        opening: Opening,
        generation: u32,
        now: Now,
    ) -> (Self, FirstBytes) {
        let tunnel = Self {
            client: Side::new(client, End::Client, opening.deflate),
            backend: Side::new(opening.backend, End::Backend, opening.deflate),
            generation,
            stage: Stage::Open,
            end: None,
            first_close: None,
            first_end: None,
            broken_off: false,
            last_active: now,
            deadline: None,
            scheduled: None,
            patience: opening.patience,
            accepted: opening.accepted,
            opened: now,
            opened_unix_ms: clock::unix_millis(),
            peer: opening.peer,
            forwarded_for: opening.forwarded_for,
            route: opening.route,
            backend_id: opening.backend_id,
            flow: opening.flow,
            look: None,
        };
        (tunnel, opening.first_bytes)
    }

    pub(super) fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Client => &mut self.client,
            End::Backend => &mut self.backend,
        }
    }

    pub(super) const fn side_ref(&self, end: End) -> &Side {
        match end {
            End::Client => &self.client,
            End::Backend => &self.backend,
        }
    }

    /// When somebody should look at this tunnel next, if nothing happens.
    pub(super) fn next_deadline(&self) -> Now {
        let idle = self.last_active.after(millis(self.patience.idle_ms));
        let mut next = match (self.stage, self.deadline) {
            (Stage::Open, Some(deadline)) => deadline.min(idle),
            // Silence is what a goodbye without an answer looks like; it puts nothing off.
            (Stage::Leaving | Stage::Ending, Some(deadline)) => deadline,
            (_, None) => idle,
        };
        if self.stage == Stage::Open
            && let Some(due) = self.look.as_ref().and_then(|look| look.next_due())
        {
            next = next.min(due);
        }
        if self.is_warm() {
            next = next.min(self.last_active.after(limits::KEYS_COOL_AFTER));
        }
        for end in End::BOTH {
            if let Some(since) = self.side_ref(end).outbox.stalled_since() {
                next = next.min(since.after(millis(self.patience.stalled_write_ms)));
            }
        }
        next
    }

    /// Whether its frames are looked at for nothing but their tail.
    pub(super) fn is_only_tailed(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.is_for_tail)
    }

    /// Whether the side that `sender` sends to stands between two frames, so that a frame may be put in.
    pub(super) fn at_boundary(&self, sender: End) -> bool {
        match &self.look {
            Some(look) => look.way_ref(sender).inspector.at_boundary(),
            None => self.side_ref(sender).scanner.at_boundary(),
        }
    }

    /// Whether nobody is read on for `receiver` while it is slow. At its end every tunnel is so.
    pub(super) fn is_waited_for(&self, receiver: End) -> bool {
        let rule = self.look.as_ref().map(|look| look.slow_rule(receiver));
        self.stage != Stage::Open || rule.is_none_or(|rule| rule == SlowConsumer::Backpressure)
    }

    /// Where what this side sends is counted.
    pub(super) fn traffic(&self, sender: End) -> &FlowTraffic {
        match sender {
            End::Client => &self.flow.client_to_backend,
            End::Backend => &self.flow.backend_to_client,
        }
    }

    /// The code for the other side of one who is sent away.
    pub(super) fn peer_gone(&self) -> Farewell {
        let rules = self.look.as_ref().map(|look| &look.rules);
        Farewell::PeerGone(rules.map_or(close::GOING_AWAY, |rules| rules.peer_close_code))
    }

    /// Both sides have sent their Close frame.
    pub(super) fn is_closed(&self) -> bool {
        End::BOTH
            .iter()
            .all(|end| self.side_ref(*end).scanner.close_code().is_some())
    }

    /// Nothing waits to be written to either side.
    pub(super) fn is_flushed(&self) -> bool {
        End::BOTH
            .iter()
            .all(|end| self.side_ref(*end).outbox.is_empty())
    }

    /// Decides why the tunnel ends; the first reason stays.
    pub(super) fn decide(&mut self, party: Party, reason: EndReason) {
        self.end.get_or_insert((party, reason));
    }

    /// The token of a request for one side.
    pub(super) fn token(&self, key: u32, kind: u8) -> Token {
        Token::new(kind, self.generation, key)
    }
}

/// A patience as a duration.
pub(super) const fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms as u64)
}

/// Kinds of this room's requests and deadlines.
pub(super) mod kind {
    use super::End;
    use crate::ring::Token;

    pub(in crate::relay) const RECEIVE_CLIENT: u8 = Token::FIRST_FREE_KIND;
    pub(in crate::relay) const RECEIVE_BACKEND: u8 = RECEIVE_CLIENT + 1;
    pub(in crate::relay) const SEND_CLIENT: u8 = RECEIVE_CLIENT + 2;
    pub(in crate::relay) const SEND_BACKEND: u8 = RECEIVE_CLIENT + 3;
    pub(in crate::relay) const DUE: u8 = RECEIVE_CLIENT + 4;

    pub(in crate::relay) const fn receive(end: End) -> u8 {
        match end {
            End::Client => RECEIVE_CLIENT,
            End::Backend => RECEIVE_BACKEND,
        }
    }

    pub(in crate::relay) const fn send(end: End) -> u8 {
        match end {
            End::Client => SEND_CLIENT,
            End::Backend => SEND_BACKEND,
        }
    }
}

// An idle tunnel's whole user memory besides its place in the wheel; the budget is 1 KiB.
const _: () = assert!(size_of::<Tunnel>() <= 544);
