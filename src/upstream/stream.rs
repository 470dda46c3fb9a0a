//! A connection while it is greeted or greets: its socket, and the records it speaks in if it speaks TLS.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::clock::Now;
use crate::limits;
use crate::ring::Caller;
use crate::sys;
use crate::tls::{ALERT_BYTES_MAX, Failure, FailureReason, StreamEnd, Wire, sealed_bytes_max};

/// One connection. Tasks read and write it through the ring, in the clear or over TLS alike.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
    /// Never borrowed across an await.
    wire: RefCell<Option<Box<Wire>>>,
}

impl Stream {
    /// A connection in the clear.
    pub const fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            wire: RefCell::new(None),
        }
    }

    /// What follows on it are records, of which this much has come already; what is in them goes to `into`.
    pub fn secure(&self, wire: Wire, mut came: Vec<u8>, into: &mut Vec<u8>) -> Result<(), Failure> {
        *self.wire.borrow_mut() = Some(Box::new(wire));
        self.open(&mut came, into)
    }

    /// Receives what is there, at least one byte, and appends it to `into`. Zero means the peer has ended its stream. An
    /// error that has a [`Failure`] inside came from records.
    pub async fn receive(
        &self,
        caller: &Caller,
        into: &mut Vec<u8>,
        deadline: Now,
    ) -> io::Result<usize> {
        if self.wire.borrow().is_none() {
            return caller.receive(self.as_fd(), into, deadline).await;
        }
        let before = into.len();
        let mut came = Vec::new();
        loop {
            if into.len() > before {
                return Ok(into.len() - before);
            }
            if self
                .wire
                .borrow()
                .as_ref()
                .is_none_or(|wire| wire.has_ended())
            {
                return Ok(0);
            }
            came.clear();
            if caller.receive(self.as_fd(), &mut came, deadline).await? == 0 {
                // Whoever cuts a stream off has no `close_notify` to send; what came of a head is not a head.
                return Ok(0);
            }
            self.open(&mut came, into).map_err(io::Error::other)?;
        }
    }

    /// Sends all of `bytes`; hands the memory back for the next time.
    pub async fn send_all(
        &self,
        caller: &Caller,
        bytes: Vec<u8>,
        deadline: Now,
    ) -> io::Result<Vec<u8>> {
        let Some(sealed) = self.seal(&bytes)? else {
            return caller.send_all(self.as_fd(), bytes, deadline).await;
        };
        caller.send_all(self.as_fd(), sealed, deadline).await?;
        Ok(bytes)
    }

    /// Ends our half of the stream.
    pub fn end(&self) {
        if let Some(wire) = self.wire.borrow_mut().as_mut() {
            let mut out = [0; ALERT_BYTES_MAX];
            let bytes = wire.close(&mut out);
            let mut last = wire.take_last_flight();
            last.extend_from_slice(&out[..bytes]);
            sys::send_last(&self.socket, &last);
        }
        sys::end_stream(&self.socket);
    }

    /// Hands on the socket, and the records it speaks in.
    pub fn into_parts(self) -> (OwnedFd, Option<Box<Wire>>) {
        (self.socket, self.wire.into_inner())
    }

    /// Opens what came, and appends what is in it to `into`. Whoever sent what may not be has been told.
    fn open(&self, came: &mut [u8], into: &mut Vec<u8>) -> Result<(), Failure> {
        let mut wire = self.wire.borrow_mut();
        let Some(wire) = wire.as_mut() else {
            return Ok(());
        };
        let mut from = 0;
        let mut end = None;
        if wire.holds() {
            let (taken, whole) = wire.complete(came);
            let Some(opened) = whole else { return Ok(()) };
            from = taken;
            into.extend_from_slice(&wire.take_held()[opened.plain]);
            end = opened.end;
        }
        if end.is_none() {
            let opened = wire.open(&mut came[from..]);
            into.extend_from_slice(&came[from..][opened.plain]);
            end = opened.end;
            if end.is_none() && from + opened.used < came.len() {
                wire.hold(&came[from + opened.used..], Vec::new());
            }
        }
        match end {
            None | Some(StreamEnd::Closed) => Ok(()),
            Some(StreamEnd::Aborted(alert)) => Err(Failure {
                reason: FailureReason::PeerAlert,
                detail: format!("{alert:?}"),
            }),
            Some(StreamEnd::Refused(alert)) => {
                let mut out = [0; ALERT_BYTES_MAX];
                let bytes = wire.refuse(alert, &mut out);
                let mut last = wire.take_last_flight();
                last.extend_from_slice(&out[..bytes]);
                sys::send_last(&self.socket, &last);
                Err(Failure {
                    reason: FailureReason::Protocol,
                    detail: format!("a record may not be: {alert:?}"),
                })
            }
        }
    }

    /// Nothing if the connection is in the clear.
    fn seal(&self, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut wire = self.wire.borrow_mut();
        let Some(wire) = wire.as_mut() else {
            return Ok(None);
        };
        let mut out = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let from = out.len();
            let turn = rest.len().min(limits::SEALED_TURN_BYTES);
            let extra = sealed_bytes_max(0) * 8 + limits::LAST_FLIGHT_BYTES_MAX;
            out.resize(from + turn + extra, 0);
            let sealed = wire
                .seal(std::iter::once(&rest[..turn]), &mut out[from..])
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            out.truncate(from + sealed.bytes);
            rest = &rest[sealed.plain..];
        }
        Ok(Some(out))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
