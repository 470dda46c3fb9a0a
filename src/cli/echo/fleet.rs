//! Runs all backends of an echo fleet on one thread with one epoll.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker, net::TcpListener};
use slab::Slab;
use socket2::{Domain, Protocol, Socket, Type};

use super::super::pin::pin_to;
use super::connection::{Connection, Desk, Turn};
use crate::clock::Now;
use crate::limits::{ECHO_ACCEPT_RETRY, ECHO_ACCEPTS_PER_TURN, ECHO_BACKLOG, ECHO_GOODBYE_TIMEOUT};

/// Echo backends that run on a thread of their own until they are dropped.
#[derive(Debug)]
pub struct EchoFleet {
    addresses: Vec<SocketAddr>,
    stop: Waker,
    thread: Option<JoinHandle<()>>,
}

impl EchoFleet {
    /// Starts one backend for each name, listening on the address in the same place; port 0 takes any free port.
    /// With `core`, the thread runs on that core alone.
    pub fn start(
        names: &[&str],
        addresses: &[SocketAddr],
        core: Option<usize>,
    ) -> io::Result<Self> {
        if names.len() != addresses.len() || names.is_empty() || names.len() > usize::from(u16::MAX)
        {
            return Err(invalid("an echo fleet needs one address for each name"));
        }
        if names.iter().any(|name| !is_plain(name)) {
            return Err(invalid(
                "a backend's name is 1 to 64 visible ASCII characters",
            ));
        }
        let poll = Poll::new()?;
        let mut backends = Vec::with_capacity(names.len());
        for (index, (name, &address)) in names.iter().zip(addresses).enumerate() {
            let mut listener = listen(address)?;
            let token = Token(FIRST_LISTENER + index);
            poll.registry()
                .register(&mut listener, token, Interest::READABLE)?;
            backends.push(Backend {
                name: (*name).to_owned(),
                listener,
            });
        }
        let addresses = backends
            .iter()
            .map(|backend| backend.listener.local_addr())
            .collect::<io::Result<_>>()?;
        let stop = Waker::new(poll.registry(), STOP)?;
        let thread = spawn(Loop::new(poll, backends), core)?;
        Ok(Self {
            addresses,
            stop,
            thread: Some(thread),
        })
    }

    /// Where the backends listen, in the order of their names.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for EchoFleet {
    fn drop(&mut self) {
        let woken = self.stop.wake();
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            // A panic on that thread has already been printed there.
            let _ = thread.join();
        }
    }
}

fn spawn(mut fleet: Loop, core: Option<usize>) -> io::Result<JoinHandle<()>> {
    let (started, is_started) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("echo".to_owned())
        .spawn(move || {
            let start = core.map_or(Ok(()), pin_to);
            let may_run = start.is_ok();
            if started.send(start).is_ok() && may_run {
                fleet.run();
            }
        })?;
    is_started
        .recv()
        .unwrap_or_else(|_| Err(invalid("the echo thread died at its start")))?;
    Ok(thread)
}

/// What the thread owns.
struct Loop {
    poll: Poll,
    backends: Vec<Backend>,
    connections: Slab<Connection>,
    desk: Desk,
    /// Listeners and connections that have more to do although epoll will not say so again.
    ready: Vec<Token>,
    /// Connections that wait for their peer's goodbye, soonest deadline first: when, where and which.
    leaving: VecDeque<(Now, usize, u32)>,
    serial: u32,
    /// The last accept failed for want of something that only time brings, such as a file descriptor.
    is_starved: bool,
}

struct Backend {
    name: String,
    listener: TcpListener,
}

impl Loop {
    fn new(poll: Poll, backends: Vec<Backend>) -> Self {
        Self {
            poll,
            backends,
            connections: Slab::new(),
            desk: Desk::new(),
            ready: Vec::new(),
            leaving: VecDeque::new(),
            serial: 0,
            is_starved: false,
        }
    }

    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut again = Vec::new();
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                if event.token() == STOP {
                    return;
                }
                self.serve(event.token(), event.is_read_closed() || event.is_error());
            }
            std::mem::swap(&mut self.ready, &mut again);
            for token in again.drain(..) {
                if let Some(connection) = self.connection_mut(token) {
                    connection.is_queued = false;
                }
                self.serve(token, true);
            }
            self.cut_off_the_late();
            if self.is_starved {
                self.is_starved = false;
                (0..self.backends.len()).for_each(|backend| self.accept(backend));
            }
        }
    }

    /// How long the poll may wait for events.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let goodbye = self
            .leaving
            .front()
            .map(|(deadline, ..)| deadline.since(Now::read()));
        let retry = self.is_starved.then_some(ECHO_ACCEPT_RETRY);
        [goodbye, retry].into_iter().flatten().min()
    }

    fn serve(&mut self, token: Token, has_hung_up: bool) {
        let first_connection = FIRST_LISTENER + self.backends.len();
        let Some(key) = token.0.checked_sub(first_connection) else {
            return self.accept(token.0 - FIRST_LISTENER);
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let name = &self.backends[usize::from(connection.backend)].name;
        let turn = connection.turn(&mut self.desk, name, has_hung_up);
        if turn == Turn::Leaving {
            let deadline = Now::read().after(ECHO_GOODBYE_TIMEOUT);
            self.leaving.push_back((deadline, key, connection.serial));
        }
        match turn {
            Turn::Again | Turn::Leaving if !connection.is_queued => {
                connection.is_queued = true;
                self.ready.push(token);
            }
            Turn::Gone => drop(self.connections.remove(key)),
            Turn::Wait | Turn::Again | Turn::Leaving => {}
        }
    }

    fn accept(&mut self, backend: usize) {
        for _ in 0..ECHO_ACCEPTS_PER_TURN {
            match self.backends[backend].listener.accept() {
                Ok((socket, _)) => {
                    let index = u16::try_from(backend).expect("invariant: start bounds the names");
                    self.serial = self.serial.wrapping_add(1);
                    let connection = Connection::new(socket, index, self.serial);
                    if self.admit(connection).is_err() {
                        self.is_starved = true;
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if is_passing(&error) => {}
                Err(_) => {
                    self.is_starved = true;
                    return;
                }
            }
        }
        self.ready.push(Token(FIRST_LISTENER + backend));
    }

    fn admit(&mut self, mut connection: Connection) -> io::Result<()> {
        let place = self.connections.vacant_entry();
        let token = Token(FIRST_LISTENER + self.backends.len() + place.key());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(connection.socket(), token, interest)?;
        place.insert(connection);
        Ok(())
    }

    fn cut_off_the_late(&mut self) {
        while let Some(&(deadline, key, serial)) = self.leaving.front() {
            let connection = self.connections.get(key);
            let is_gone = connection.is_none_or(|connection| connection.serial != serial);
            if !is_gone && deadline > Now::read() {
                return;
            }
            self.leaving.pop_front();
            if !is_gone {
                self.connections.remove(key);
            }
        }
    }

    fn connection_mut(&mut self, token: Token) -> Option<&mut Connection> {
        let key = token.0.checked_sub(FIRST_LISTENER + self.backends.len())?;
        self.connections.get_mut(key)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ECHO_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// The client gave up before it was accepted, or a signal came; the next one may be fine.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}

const STOP: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const EVENTS_PER_POLL: usize = 1024;
