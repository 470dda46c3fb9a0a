//! Accepts, connects, passes bytes on, and closes: what each completion leads to.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use ringway::sys::{end_stream, reset_on_close, stream_for};
use slab::Slab;
use socket2::SockAddr;

use super::outbox::Next;
use super::pool::Pool;
use super::ring::{Completion, Ring, Tag, accepted};
use super::tunnel::{BACKEND, CLIENT, Inbound, Tunnel};

/// The whole relay. The ring stands first: it is dropped before any memory that it names.
pub(super) struct Relay {
    ring: Ring,
    pool: Pool,
    tunnels: Slab<Tunnel>,
    listener: OwnedFd,
    listening: Listening,
    backends: Vec<(SocketAddr, SockAddr)>,
    next_backend: usize,
    /// Ends that may have something to send when the batch is done, so that what came together leaves together.
    listed: Vec<(usize, usize)>,
    /// Ends whose receive found no buffer.
    starved: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    Yes,
    /// No file was left; when a tunnel ends, there are two.
    OutOfFiles,
    Stopped,
}

impl Relay {
    pub(super) fn new(listener: OwnedFd, backends: &[SocketAddr]) -> io::Result<Self> {
        let (ring, pool) = Ring::new()?;
        let backends = backends.iter().map(|one| (*one, (*one).into()));
        Ok(Self {
            ring,
            pool,
            tunnels: Slab::new(),
            listener,
            listening: Listening::Yes,
            backends: backends.collect(),
            next_backend: 0,
            listed: Vec::new(),
            starved: Vec::new(),
        })
    }

    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut batch = Vec::new();
        self.ring.accept(self.listener.as_fd())?;
        while self.listening != Listening::Stopped || !self.tunnels.is_empty() {
            self.ring.turn(&mut batch)?;
            for completion in batch.drain(..) {
                self.dispatch(completion)?;
            }
            self.send_listed()?;
            self.feed_starved()?;
        }
        Ok(())
    }

    fn dispatch(&mut self, completion: Completion) -> io::Result<()> {
        match completion.tag {
            Tag::Accept => self.accepted(completion),
            // What it called back says so itself.
            Tag::Cancel => Ok(()),
            Tag::Connect(tunnel) => self.connected(tunnel, completion),
            Tag::Receive(tunnel, side) => self.received((tunnel, side), completion),
            Tag::Send(tunnel, side) => self.sent((tunnel, side), completion),
        }
    }

    fn accepted(&mut self, completion: Completion) -> io::Result<()> {
        match completion.result {
            Ok(number) => self.join(accepted(number))?,
            Err(libc::EINVAL) => self.listening = Listening::Stopped,
            Err(libc::EMFILE | libc::ENFILE) => self.listening = Listening::OutOfFiles,
            // That connection is gone already.
            Err(_) => {}
        }
        if !completion.more && self.listening == Listening::Yes {
            self.ring.accept(self.listener.as_fd())?;
        }
        Ok(())
    }

    /// Dials the next backend for `client`. The dial's last packet waits for the client's first bytes: a WebSocket client
    /// always speaks first.
    fn join(&mut self, client: OwnedFd) -> io::Result<()> {
        let (address, raw_address) = &self.backends[self.next_backend];
        self.next_backend = (self.next_backend + 1) % self.backends.len();
        let Ok(backend) = stream_for(*address) else {
            // No file was left for it.
            reset_on_close(&client);
            return Ok(());
        };
        let mut tunnel = Tunnel::new(client, backend);
        tunnel.in_flight = 1;
        let place = self.tunnels.insert(tunnel);
        let socket = self.tunnels[place].ends[BACKEND].socket.as_fd();
        self.ring.connect(socket, raw_address, place)
    }

    fn connected(&mut self, place: usize, completion: Completion) -> io::Result<()> {
        self.tunnels[place].in_flight -= 1;
        if completion.result.is_err() {
            return self.break_off((place, BACKEND));
        }
        self.receive((place, CLIENT))?;
        self.receive((place, BACKEND))
    }

    fn receive(&mut self, (place, side): (usize, usize)) -> io::Result<()> {
        let tunnel = &mut self.tunnels[place];
        let end = &mut tunnel.ends[side];
        end.inbound = Inbound::Armed;
        tunnel.in_flight += 1;
        self.ring
            .receive(end.socket.as_fd(), Tag::Receive(place, side))
    }

    fn received(
        &mut self,
        (place, side): (usize, usize),
        completion: Completion,
    ) -> io::Result<()> {
        let tunnel = &mut self.tunnels[place];
        if !completion.more {
            tunnel.ends[side].inbound = Inbound::Off;
            tunnel.in_flight -= 1;
        }
        match (completion.result, completion.buffer) {
            (Ok(0), buffer) => {
                if let Some(buffer) = buffer {
                    self.pool.named_empty(buffer);
                }
                tunnel.ends[side].inbound = Inbound::Ended;
            }
            (Ok(bytes), Some(buffer)) => {
                let chunk = self.pool.filled(buffer, bytes);
                let outbox = &mut tunnel.ends[1 - side].outbox;
                outbox.push(chunk, &mut self.pool);
            }
            (Err(libc::ENOBUFS), _) => {
                tunnel.ends[side].inbound = Inbound::Starved;
                self.starved.push((place, side));
                return self.close_if_over(place);
            }
            (Err(_) | Ok(_), _) => return self.break_off((place, side)),
        }
        if tunnel.closing {
            return self.close_if_over(place);
        }
        let again = tunnel.ends[side].inbound == Inbound::Off;
        self.list((place, 1 - side));
        if again {
            self.receive((place, side))?;
        }
        Ok(())
    }

    fn sent(&mut self, (place, side): (usize, usize), completion: Completion) -> io::Result<()> {
        let tunnel = &mut self.tunnels[place];
        let end = &mut tunnel.ends[side];
        end.sending = false;
        tunnel.in_flight -= 1;
        match completion.result {
            Ok(bytes) => end.outbox.sent(bytes as usize, &mut self.pool),
            Err(libc::EAGAIN) => end.outbox.sent(0, &mut self.pool),
            Err(_) => return self.break_off((place, side)),
        }
        if tunnel.closing {
            return self.close_if_over(place);
        }
        self.list((place, side));
        Ok(())
    }

    fn list(&mut self, (place, side): (usize, usize)) {
        let end = &mut self.tunnels[place].ends[side];
        if !end.listed && !end.sending {
            end.listed = true;
            self.listed.push((place, side));
        }
    }

    /// Starts a send at every listed end that has something to send, or passes the end of the stream on.
    fn send_listed(&mut self) -> io::Result<()> {
        let mut listed = std::mem::take(&mut self.listed);
        for at in listed.drain(..) {
            self.send(at)?;
        }
        self.listed = listed;
        Ok(())
    }

    fn send(&mut self, (place, side): (usize, usize)) -> io::Result<()> {
        // Another tunnel may stand here by now; it is listed a second time then, which does no harm.
        let Some(tunnel) = self.tunnels.get_mut(place) else {
            return Ok(());
        };
        let stream_ended = tunnel.ends[1 - side].inbound == Inbound::Ended;
        let end = &mut tunnel.ends[side];
        end.listed = false;
        if tunnel.closing || end.sending {
            return Ok(());
        }
        let tag = Tag::Send(place, side);
        let socket = end.socket.as_fd();
        match end.outbox.next() {
            Next::Nothing if stream_ended && !end.told => {
                end.told = true;
                return self.pass_end((place, side));
            }
            Next::Nothing => return Ok(()),
            Next::Chunks(chunks) => self.ring.send_chunks(socket, chunks, &self.pool, tag)?,
            Next::Copy(bytes) => self.ring.send_copy(socket, bytes, tag)?,
        }
        end.sending = true;
        tunnel.in_flight += 1;
        Ok(())
    }

    /// Everything is out at this end: says so, or closes both when it was the same the other way round.
    fn pass_end(&mut self, (place, side): (usize, usize)) -> io::Result<()> {
        let tunnel = &mut self.tunnels[place];
        if tunnel.ends[1 - side].told {
            tunnel.closing = true;
            return self.close_if_over(place);
        }
        end_stream(&tunnel.ends[side].socket);
        Ok(())
    }

    /// One end is broken: the other is broken off as well, and whatever is in flight is called back.
    fn break_off(&mut self, (place, broken): (usize, usize)) -> io::Result<()> {
        let tunnel = &mut self.tunnels[place];
        if !tunnel.closing {
            tunnel.closing = true;
            reset_on_close(&tunnel.ends[1 - broken].socket);
            for end in &tunnel.ends {
                if end.inbound == Inbound::Armed || end.sending {
                    self.ring.cancel(end.socket.as_fd())?;
                }
            }
        }
        self.close_if_over(place)
    }

    fn close_if_over(&mut self, place: usize) -> io::Result<()> {
        if !self.tunnels[place].is_over() {
            return Ok(());
        }
        let mut tunnel = self.tunnels.remove(place);
        tunnel.clear(&mut self.pool);
        drop(tunnel);
        if self.listening == Listening::OutOfFiles {
            self.listening = Listening::Yes;
            self.ring.accept(self.listener.as_fd())?;
        }
        Ok(())
    }

    /// Receives that found no buffer try again once one has come home; before that they would fail at once, and spin.
    fn feed_starved(&mut self) -> io::Result<()> {
        if self.starved.is_empty() || !self.pool.has_some() {
            return Ok(());
        }
        for at @ (place, side) in std::mem::take(&mut self.starved) {
            // Another tunnel may stand here by now, which has not starved.
            let Some(tunnel) = self.tunnels.get_mut(place) else {
                continue;
            };
            if tunnel.ends[side].inbound == Inbound::Starved && !tunnel.closing {
                self.receive(at)?;
            }
        }
        Ok(())
    }
}
