//! The two that are compared: rustls, and a session of ours, each with what it delivered and how it ended.

use std::io::Read;

use ringway::tls::{Alert, Keys, Session, Verdict};
use rustls::Connection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Live,
    Closed,
    Aborted(Alert),
    Refused(Alert),
    /// rustls does not always say why.
    Failed,
}

/// A rustls connection that receives.
pub struct Rustls {
    pub peer: Connection,
    pub data: Vec<u8>,
    pub end: End,
}

impl Rustls {
    pub const fn new(peer: Connection) -> Self {
        Self {
            peer,
            data: Vec::new(),
            end: End::Live,
        }
    }

    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.end == End::Live {
            self.peer.read_tls(&mut bytes).unwrap();
            let state = self.peer.process_new_packets();
            match state {
                Ok(state) if state.peer_has_closed() => self.end = End::Closed,
                Ok(_) => {}
                Err(_) => self.end = End::Failed,
            }
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = self.peer.reader().read(&mut part) {
                self.data.extend_from_slice(&part[..count]);
            }
        }
    }

    /// What rustls wants to send.
    pub fn drain(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.peer.wants_write() {
            self.peer.write_tls(&mut out).unwrap();
        }
        out
    }
}

/// A session that receives.
pub struct Own {
    pub session: Session,
    pub keys: Keys,
    pub wire: Vec<u8>,
    pub data: Vec<u8>,
    pub end: End,
    pub tickets: Vec<Vec<u8>>,
    pub renewals: usize,
}

impl Own {
    pub const fn new(session: Session) -> Self {
        Self {
            session,
            keys: Keys::new(),
            wire: Vec::new(),
            data: Vec::new(),
            end: End::Live,
            tickets: Vec::new(),
            renewals: 0,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.wire.extend_from_slice(bytes);
        while self.end == End::Live {
            let used = match self.session.open(&mut self.keys, &mut self.wire) {
                Verdict::Need(bytes) => {
                    assert!(bytes > self.wire.len());
                    return;
                }
                Verdict::Data { at, used } => {
                    self.data.extend_from_slice(&self.wire[at]);
                    used
                }
                Verdict::Ticket { at, used } => {
                    let found = ringway::tls::tickets(&self.wire[at]);
                    self.tickets.extend(found.map(<[u8]>::to_vec));
                    used
                }
                Verdict::Rekeyed { used } => {
                    self.renewals += 1;
                    used
                }
                Verdict::Quiet { used } => used,
                Verdict::Closed { used } => {
                    self.end = End::Closed;
                    used
                }
                Verdict::Aborted(alert) => {
                    self.end = End::Aborted(alert);
                    return;
                }
                Verdict::Refuse(alert) => {
                    self.end = End::Refused(alert);
                    return;
                }
            };
            self.wire.drain(..used);
        }
    }

    pub fn travel(mut self) -> Self {
        let bytes = self.session.freeze();
        self.session = Session::thaw(bytes.as_bytes()).unwrap();
        self.keys = Keys::new();
        self
    }
}
