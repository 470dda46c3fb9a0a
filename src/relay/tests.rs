//! Tunnels on socket pairs, with a clock of the test's own: what they ask of the wheel, and when they give up.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use super::ask::Asks;
use super::outbox::Outbox;
use super::segments::Segments;
use super::table::{Ledgers, Tunnels};
use super::tail::TailOptions;
use super::tunnel::{Connection, FirstBytes, Opening, Patience, Stage};
use crate::clock::Now;
use crate::fleet::{BackendId, Ledger, SlotTable};
use crate::limits;
use crate::metrics::{EndReason, Party};
use crate::ring::{BufferOptions, Features, Lane, Ring, RingOptions, Shape, Token, Wheel};
use crate::rng::Rng;
use crate::sync::Arc;
use crate::sys::eventfd::EventFd;
use crate::ws::Verdict;

const HOUR: Duration = Duration::from_hours(1);
const STALLED: Duration = Duration::from_mins(1);

/// A core without a driver, whose time the test decides.
pub(super) struct Still {
    // The order of dropping: what the ring still has to submit names sockets that the tunnels hold.
    ring: Ring,
    pub(super) tunnels: Tunnels,
    wheel: Wheel,
    patience: Patience,
    now: Now,
    _bell: OwnedFd,
}

impl Still {
    pub(super) fn new() -> Self {
        let buffers = BufferOptions {
            shape: Shape::TwoSize,
            count: Some(4),
            bytes: Some(1024),
        };
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap();
        let bell = EventFd::for_parking().unwrap();
        let features = Features::probe().unwrap();
        let now = Now::from_nanos(1_000_000_007);
        let ledgers = Ledgers {
            fleet: Rc::new(Ledger::new(Arc::new(SlotTable::new(1)))),
            counters: Arc::default(),
            log: Rc::new(RefCell::new(None)),
            worker: 0,
        };
        Self {
            tunnels: Tunnels::new(ledgers, Rng::seeded(1), 8),
            ring: Ring::new(RingOptions::new(64, buffers), features, bell.as_fd()).unwrap(),
            wheel: Wheel::new(now),
            patience: Patience {
                idle_ms: ms(HOUR),
                stalled_write_ms: ms(STALLED),
                half_close_ms: ms(HOUR),
            },
            now,
            _bell: bell,
        }
    }

    /// Opens a tunnel and hands back its far ends.
    fn open(&mut self, (client, backend): (UnixStream, UnixStream)) {
        self.open_between((client.into(), None), (backend.into(), None));
    }

    pub(super) fn open_between(&mut self, client: Connection, backend: Connection) {
        let opening = Opening {
            flow: Arc::default(),
            frames: None,
            backend,
            peer: "192.0.2.1:5".parse().unwrap(),
            accepted: Now::from_nanos(0),
            forwarded_for: None,
            route: 0,
            backend_id: BackendId(0),
            deflate: false,
            first_bytes: FirstBytes {
                answer: b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
                from_client: Vec::new(),
                from_backend: Vec::new(),
            },
            patience: self.patience,
        };
        let Self { ring, wheel, .. } = self;
        self.tunnels.open(ring, wheel, (client, opening), self.now);
    }

    /// Lets the time go to the wheel's next moment, and what is due then happen.
    fn step(&mut self) {
        self.now = self.wheel.next().unwrap();
        let mut due = Vec::new();
        self.wheel.advance(self.now, &mut due);
        for token in due {
            let Self { ring, wheel, .. } = self;
            self.tunnels.due(ring, wheel, token, self.now);
        }
    }

    /// Lets the kernel do what it was asked for.
    pub(super) fn turn(&mut self) {
        let Self {
            ring, wheel, now, ..
        } = self;
        for completion in ring.turn() {
            if Tunnels::owns(completion.token) {
                self.tunnels.complete(ring, wheel, &completion, *now);
            }
        }
        self.tunnels.batch_done(ring, wheel, *now);
    }

    fn stage(&self) -> Stage {
        self.tunnels.slab.iter().next().unwrap().1.stage
    }
}

#[test]
fn tunnels_that_have_ended_leave_the_wheel_within_a_round() {
    let mut still = Still::new();
    still.patience.stalled_write_ms = still.patience.idle_ms;
    let start = still.now;
    let mut most = 0;
    for cycle in 0..300 {
        let ((client, far), (backend, end)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        still.open((client, backend));
        drop((far, end));
        while !still.tunnels.is_empty() {
            still.turn();
        }
        // A tunnel opens and ends each second.
        still.now = start.after(Duration::from_secs(cycle));
        still.wheel.advance(still.now, &mut Vec::new());
        most = most.max(still.wheel.len());
    }
    // One or two entries for each of a round's 65 tunnels.
    assert!(most <= 140, "{most} entries of tunnels that are gone");
}

#[test]
fn a_tunnel_is_looked_at_once_a_round_and_told_goodbye_after_its_hour() {
    let mut still = Still::new();
    let start = still.now;
    let ((client, _far), (backend, _end)) =
        (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    still.open((client, backend));
    still.turn();
    let mut looks = 0;
    while still.stage() == Stage::Open {
        still.step();
        looks += 1;
        assert!(
            still.now <= start.after(HOUR + limits::WHEEL_TICK * 2),
            "late"
        );
    }
    assert!(still.now >= start.after(HOUR), "early");
    assert!(looks < 80, "{looks} looks in an hour");
}

#[test]
fn who_takes_nothing_is_given_up_on_although_nothing_was_sent_in_vain() {
    // The socket is full before the first bytes come, and a waiting send does not say so.
    let (client, _far) = UnixStream::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    while (&client).write(&[0; 4096]).is_ok() {}
    client.set_nonblocking(false).unwrap();
    let mut still = Still::new();
    let start = still.now;
    let (backend, _end) = UnixStream::pair().unwrap();
    still.open((client, backend));
    still.turn();
    assert!(still.tunnels.slab[0].client.outbox.in_flight());
    while still.stage() == Stage::Open {
        still.step();
    }
    assert!(still.now >= start.after(STALLED), "early");
    assert!(
        still.now <= start.after(STALLED + limits::WHEEL_TICK * 2),
        "late"
    );
    let end = still.tunnels.slab[0].end;
    assert_eq!(end, Some((Party::Client, EndReason::StalledWrite)));
}

#[test]
fn the_stalled_clock_runs_from_the_first_bytes_that_wait_and_stops_when_they_are_out() {
    let (client, mut far) = UnixStream::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(bytes) = (&client).write(&[0; 4096]) {
        filled += bytes;
    }
    let mut still = Still::new();
    let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
    let way = || (client.as_fd(), Token::new(Token::FIRST_FREE_KIND, 1, 1));
    outbox.push_copy(b"half a header, and what follows it");
    let (ring, now) = (&mut still.ring, still.now);
    assert!(outbox.flush(ring, &segments, way(), now), "it starts");
    assert_eq!(outbox.stalled_since(), Some(now));
    let later = now.after(STALLED);
    outbox.push_copy(b"more");
    assert!(!outbox.flush(ring, &segments, way(), later));
    assert_eq!(
        outbox.stalled_since(),
        Some(now),
        "more that waits is no news"
    );

    far.read_exact(&mut vec![0; filled]).unwrap();
    while !outbox.is_empty() {
        for completion in ring.turn() {
            outbox.sent(ring, &mut segments, completion.result, later);
        }
        outbox.flush(ring, &segments, way(), later);
    }
    assert_eq!(outbox.stalled_since(), None);
}

#[test]
fn a_tail_never_begins_within_a_close_frame_and_misses_no_message_that_was_under_way() {
    let ((client, mut far), (backend, mut end)) =
        (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let mut still = Still::new();
    still.open((client, backend));
    let asks = Asks::Tail {
        place: 0,
        generation: still.tunnels.slab[0].generation,
        options: TailOptions {
            every: 1,
            payload: false,
        },
    };
    let mut arrives = |still: &mut Still, bytes: &[u8]| {
        far.write_all(bytes).unwrap();
        let before = still.tunnels.slab[0].client.bytes;
        while still.tunnels.slab[0].client.bytes < before + bytes.len() as u64 {
            still.turn();
        }
    };
    // A whole header and half of what it announces, before anybody asks.
    arrives(&mut still, &[0x82, 0x84, 0, 0, 0, 0, b'h', b'a']);
    still.tunnels.answer(asks, still.now);
    assert!(still.tunnels.slab[0].look.is_some(), "it has begun");
    arrives(&mut still, b"lf");
    assert_eq!(still.tunnels.slab[0].client.messages, 1);

    // Nobody asks any more, so it is over.
    still.now = still.now.after(limits::TAIL_UNASKED_MAX * 2);
    still.tunnels.forget_tail(0, still.now);
    assert!(still.tunnels.slab[0].look.is_none(), "it has ended");
    assert_eq!(still.tunnels.tails, 0);

    // A Close with its code, and half of its reason.
    arrives(&mut still, &[0x88, 0x84, 0, 0, 0, 0, 0x03, 0xE8, b'o']);
    still.tunnels.answer(asks, still.now);
    assert!(still.tunnels.slab[0].look.is_none(), "not here");
    arrives(&mut still, b"k");
    assert_eq!(
        still.tunnels.slab[0].client.scanner.verdict(),
        Verdict::Closed
    );
    let mut room = [0; 64];
    while still.tunnels.slab[0].backend.outbox.in_flight() {
        still.turn();
    }
    let bytes = end.read(&mut room).unwrap();
    assert_eq!(&room[bytes - 4..bytes], b"\x03\xE8ok");
}

#[test]
fn the_start_of_a_frame_leaves_between_two_chunks_in_one_send_and_waits_with_them_where_a_socket_is_full()
 {
    for is_full in [false, true] {
        let ((near, mut far), (client, mut source)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let mut still = Still::new();
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let (ring, now) = (&mut still.ring, still.now);
        let token = |index| Token::new(Token::FIRST_FREE_KIND, 1, index);
        ring.receive(client.as_fd(), Lane::Small, token(1));
        let mut chunk = |ring: &mut Ring, bytes: &[u8]| {
            let mut chunks = Vec::new();
            source.write_all(bytes).unwrap();
            while chunks.is_empty() {
                for completion in ring.turn() {
                    ring.take(&completion, &mut chunks);
                }
            }
            chunks.pop().unwrap()
        };
        let (before, behind) = (
            chunk(ring, b"a whole frame"),
            chunk(ring, b"its rest, more"),
        );
        outbox.push(ring, &mut segments, before, 0..13);
        outbox.push_held(&mut segments, b"the start of one, ");
        outbox.push(ring, &mut segments, behind, 0..8);

        let mut filled = 0;
        near.set_nonblocking(true).unwrap();
        while is_full && let Ok(bytes) = (&near).write(&[0; 4096]) {
            filled += bytes;
        }
        near.set_nonblocking(false).unwrap();
        outbox.flush(ring, &segments, (near.as_fd(), token(2)), now);
        let mut sends = 0;
        while outbox.in_flight() {
            for completion in ring.turn() {
                outbox.sent(ring, &mut segments, completion.result, now);
                sends += 1;
            }
        }
        assert_eq!(segments.len(), 0, "full or not, the buffers go home");
        assert_eq!(sends, 1);
        assert_eq!(outbox.copied(), if is_full { 39 } else { 0 });
        far.read_exact(&mut vec![0; filled]).unwrap();
        outbox.flush(ring, &segments, (near.as_fd(), token(2)), now);
        while !outbox.is_empty() {
            for completion in ring.turn() {
                outbox.sent(ring, &mut segments, completion.result, now);
            }
        }
        let mut room = [0; 39];
        far.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"a whole framethe start of one, its rest");
    }
}
