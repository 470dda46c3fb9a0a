//! Clients that wait for what comes: many tunnels on one thread with one epoll.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::inbox::Inbox;
use crate::knock::{knock, told};

/// Open tunnels.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    pub(crate) members: Vec<Member>,
    buffer: Vec<u8>,
}

/// One of them.
pub(crate) struct Member {
    socket: TcpStream,
    pub(crate) inbox: Inbox,
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// How it ended.
    pub(crate) end: Option<String>,
}

impl Crowd {
    /// Opens `count` tunnels, one after the other.
    pub(crate) fn join(address: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut members = Vec::with_capacity(count);
        for place in 0..count {
            let socket = knock(address, PATIENCE)
                .map_err(|why| anyhow!("tunnel {place} of {count} did not open: {why}"))?;
            socket.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(socket);
            poll.registry()
                .register(&mut socket, Token(place), Interest::READABLE)
                .context("waiting for a tunnel")?;
            members.push(Member {
                socket,
                inbox: Inbox::default(),
                sent: 0,
                end: None,
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            members,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Waits at most `patience`, and reads all that came. `each` is told of every tunnel that said something or ended.
    pub(crate) fn listen(
        &mut self,
        patience: Duration,
        mut each: impl FnMut(&mut Member),
    ) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.context("waiting for tunnels")?,
        }
        for event in &self.events {
            let member = &mut self.members[event.token().0];
            member.read(&mut self.buffer);
            each(member);
        }
        Ok(())
    }
}

impl Member {
    /// Sends a frame; one that the socket does not take whole ends the tunnel.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        match self.socket.write(frame) {
            Ok(count) if count == frame.len() => self.sent += 1,
            Ok(_) => self.end = Some("a full socket".to_owned()),
            Err(error) => self.end = Some(told(&error)),
        }
    }

    /// Whether all it sent came back.
    pub(crate) const fn is_answered(&self) -> bool {
        self.inbox.messages >= self.sent
    }

    fn read(&mut self, buffer: &mut [u8]) {
        while self.end.is_none() {
            match self.socket.read(buffer) {
                Ok(0) => {
                    let close = self.inbox.close;
                    self.end = Some(close.map_or_else(
                        || "end without Close".to_owned(),
                        |code| format!("Close {code}"),
                    ));
                }
                Ok(count) => self.inbox.feed(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let close = self.inbox.close;
                    self.end =
                        Some(close.map_or_else(|| told(&error), |code| format!("Close {code}")));
                }
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
