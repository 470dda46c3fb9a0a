//! Tunnels of TLS 1.2 whose keys come to their end: told goodbye while there is time, or broken off.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use super::tests::Still;
use super::tunnel::{Connection, End};
use crate::metrics::EndReason;
use crate::tls::{Half, Role, Session, StreamEnd, Suite, Version, Wire};
use crate::ws::close_frame;

/// What a key of ours may seal or open. A quarter of it is for goodbyes.
const LIMIT: u32 = 64;
const USED: u32 = LIMIT - LIMIT / 4;

/// The far end of a tunnel, in records or in the clear.
struct Far {
    socket: UnixStream,
    wire: Option<Wire>,
    /// What came, less what was taken.
    plain: Vec<u8>,
    said_end: bool,
    is_over: bool,
}

impl Far {
    /// A socket for the tunnel and its far end.
    fn pair(role: Option<Role>) -> (Connection, Self) {
        let (near, socket) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let half = |byte: u8| Half::of_key(Suite::Aes128Gcm, &[byte; 16], [byte; 12], 0).unwrap();
        let of = |role, limit| {
            let (tx, rx) = match role {
                Role::Client => (half(1), half(2)),
                Role::Server => (half(2), half(1)),
            };
            let session = Session::new(Version::Tls12, Suite::Aes128Gcm, role, tx, rx);
            Wire::new(session.with_limit(limit), None)
        };
        let other = |role| match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let ours = role.map(|role| Box::new(of(role, LIMIT)));
        let far = Self {
            socket,
            wire: role.map(|role| of(other(role), u32::MAX)),
            plain: Vec::new(),
            said_end: false,
            is_over: false,
        };
        ((near.into(), ours), far)
    }

    /// Sends so much, in a record of its own if it speaks TLS.
    fn say(&mut self, bytes: &[u8]) {
        let mut out = [0; 4096];
        let bytes = match &mut self.wire {
            None => bytes,
            Some(wire) => {
                let sealed = wire.seal(std::iter::once(bytes), &mut out).unwrap();
                &out[..sealed.bytes]
            }
        };
        self.socket.write_all(bytes).unwrap();
    }

    /// Takes in what has come.
    fn hear(&mut self) {
        let mut room = [0; 4096];
        let bytes = match self.socket.read(&mut room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(0) | Err(_) => return self.is_over = true,
            Ok(bytes) => bytes,
        };
        let came = &mut room[..bytes];
        let Some(wire) = &mut self.wire else {
            return self.plain.extend_from_slice(came);
        };
        // A socket of this kind hands over what was sent at once as it was sent.
        let opened = wire.open(came);
        self.plain.extend_from_slice(&came[opened.plain]);
        assert_eq!(opened.used, bytes);
        if let Some(end) = opened.end {
            assert_eq!(end, StreamEnd::Closed);
            self.said_end = true;
        }
    }

    /// Takes so many bytes of what came, once they are there.
    fn take(&mut self, still: &mut Still, bytes: usize) -> Vec<u8> {
        while self.plain.len() < bytes {
            assert!(!self.is_over, "it ends with {:?}", self.plain);
            still.turn();
            self.hear();
        }
        self.plain.drain(..bytes).collect()
    }
}

/// A tunnel of which one end speaks TLS; it has the client's answer behind it.
fn opened(secured: End) -> (Still, Far, Far) {
    let (client_role, backend_role) = match secured {
        End::Client => (Some(Role::Server), None),
        End::Backend => (None, Some(Role::Client)),
    };
    let (near_client, mut client) = Far::pair(client_role);
    let (near_backend, backend) = Far::pair(backend_role);
    let mut still = Still::new();
    still.open_between(near_client, near_backend);
    let head = client.take(&mut still, HEAD_BYTES);
    assert!(head.ends_with(b"\r\n\r\n"));
    (still, client, backend)
}

/// The code of the Close frame that comes next, and what it says. It is masked if a backend gets it.
fn close_of(still: &mut Still, far: &mut Far, masked: bool) -> (u16, String) {
    let head = far.take(still, 2);
    assert_eq!((head[0], head[1] & 0x80 != 0), (0x88, masked));
    let mask = if masked {
        far.take(still, 4)
    } else {
        vec![0; 4]
    };
    let mut payload = far.take(still, usize::from(head[1] & 0x7f));
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    let reason = String::from_utf8(payload.split_off(2)).unwrap();
    (u16::from_be_bytes([payload[0], payload[1]]), reason)
}

/// Both ends answer the goodbye, and everything ends as it should.
fn parts_well((mut still, mut client, mut backend): (Still, Far, Far)) {
    let told = (
        1001,
        "a key of TLS 1.2 is used up, connect again".to_owned(),
    );
    assert_eq!(close_of(&mut still, &mut client, false), told);
    assert_eq!(close_of(&mut still, &mut backend, true), told);
    client.say(close_frame(1001, "", Some([1, 2, 3, 4])).as_bytes());
    backend.say(close_frame(1001, "", None).as_bytes());
    while !still.tunnels.is_empty() {
        still.turn();
    }
    for mut far in [client, backend] {
        while !far.is_over {
            // Sockets are closed by the ring.
            still.turn();
            far.hear();
        }
        assert!(far.plain.is_empty(), "nothing comes behind the goodbye");
        assert_eq!(far.said_end, far.wire.is_some(), "close_notify");
    }
    assert_eq!(exhausted(&still), 1);
}

fn exhausted(still: &Still) -> u64 {
    let counters = &still.tunnels.ledgers.counters;
    counters.ended[EndReason::TlsExhausted.index()].get()
}

#[test]
fn both_sides_are_told_goodbye_before_a_key_is_used_up() {
    for secured in End::BOTH {
        for from in End::BOTH {
            let (mut still, mut client, mut backend) = opened(secured);
            // The answer to the client took one.
            let before = u32::from(secured == End::Client && from == End::Backend);
            for _ in before..USED {
                let frame = match from {
                    End::Client => &[0x82, 0x81, 0, 0, 0, 0, 7][..],
                    End::Backend => &[0x82, 1, 7],
                };
                let (source, sink) = match from {
                    End::Client => (&mut client, &mut backend),
                    End::Backend => (&mut backend, &mut client),
                };
                assert_eq!(exhausted(&still), 0);
                source.say(frame);
                assert_eq!(sink.take(&mut still, frame.len()), frame);
            }
            parts_well((still, client, backend));
        }
    }
}

/// A message that leaves in so many records of one byte, the last of them under way when a key is nearly used up.
fn drip((still, client, backend): (&mut Still, &mut Far, &mut Far), bytes: u8) {
    backend.say(&[0x82, bytes]);
    assert_eq!(client.take(still, 2), [0x82, bytes]);
    for byte in 0..bytes {
        backend.say(&[byte]);
        while client.plain.is_empty() && !client.is_over {
            still.turn();
            client.hear();
        }
        if client.is_over {
            return;
        }
        assert_eq!(client.take(still, 1), [byte]);
    }
}

#[test]
fn a_message_that_is_under_way_is_ended_before_the_goodbye() {
    let (mut still, mut client, mut backend) = opened(End::Client);
    drip((&mut still, &mut client, &mut backend), 55);
    parts_well((still, client, backend));
}

#[test]
fn a_message_that_never_ends_is_broken_off_with_the_last_record() {
    let (mut still, mut client, mut backend) = opened(End::Client);
    drip((&mut still, &mut client, &mut backend), 100);
    assert!(client.said_end && client.plain.is_empty());
    while !still.tunnels.is_empty() {
        still.turn();
    }
    assert_eq!(exhausted(&still), 1);
}

const HEAD_BYTES: usize = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".len();
