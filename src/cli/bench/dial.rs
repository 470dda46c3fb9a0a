//! Opens a connection and asks for the upgrade.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, Socket, Type};

use super::super::handshake::{AcceptKey, Head, accept_key, read_response, request_key};
use super::failure::{Failure, Kind};
use super::line::Line;
use super::options::Options;
use super::target::Target;
use super::tls::Tls;
use crate::clock::Now;
use crate::rng::Rng;
use crate::sync::Arc;

/// Makes connections to one target.
#[derive(Debug)]
pub(super) struct Dialer {
    address: SocketAddr,
    sources: Vec<IpAddr>,
    next_source: usize,
    tls: Option<Secure>,
    /// The request up to the key, and after it.
    before_key: Vec<u8>,
    after_key: Vec<u8>,
    rng: Rng,
    request: Vec<u8>,
}

/// What it takes to speak TLS.
#[derive(Debug)]
struct Secure {
    name: ServerName<'static>,
    /// Tokens take them in turn.
    configs: Vec<Arc<ClientConfig>>,
}

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) begun: Now,
    expected: AcceptKey,
    has_asked: bool,
    /// The answer as far as it has come.
    head: Vec<u8>,
}

/// How far a handshake has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    /// The tunnel is open; these bytes of the buffer came behind the answer.
    Upgraded(Range<usize>),
}

impl Dialer {
    /// For this share of the tunnels: the number of the first, and how many.
    pub(super) fn new(
        target: &Target,
        tls: Option<&Tls>,
        options: &Options,
        (first, count): (usize, usize),
        rng: Rng,
    ) -> Self {
        let is_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
        let own_host = [("Host".to_owned(), target.host.clone())];
        let own_host = own_host
            .iter()
            .filter(|_| !options.headers.iter().any(is_host));
        let headers: Vec<String> = own_host
            .chain(&options.headers)
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let headers = headers.concat();
        let before_key = format!(
            "GET {} HTTP/1.1\r\n{headers}Upgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            target.path
        );
        Self {
            address: target.address,
            sources: options.sources.clone(),
            next_source: first,
            tls: tls.map(|tls| Secure {
                name: tls.name.clone(),
                configs: tls.configs(count),
            }),
            before_key: before_key.into_bytes(),
            after_key: b"\r\n\r\n".to_vec(),
            rng,
            request: Vec::new(),
        }
    }

    /// Begins a connection; `registry` reports its events under `token`, the first when it is made or has failed.
    pub(super) fn dial(
        &mut self,
        registry: &Registry,
        token: Token,
    ) -> Result<(Line, Greeting), Failure> {
        let begun = Now::read();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let line = self.connect().and_then(|mut socket| {
            registry.register(&mut socket, token, interest)?;
            Ok(Line::new(socket, self.client(token)?))
        });
        let greeting = Greeting {
            begun,
            expected: [0; 28],
            has_asked: false,
            head: Vec::new(),
        };
        Ok((line.map_err(|error| Failure::connect(&error))?, greeting))
    }

    fn client(&self, token: Token) -> io::Result<Option<Box<ClientConnection>>> {
        let Some(Secure { name, configs }) = &self.tls else {
            return Ok(None);
        };
        let config = Arc::clone(&configs[token.0 % configs.len()]);
        let client = ClientConnection::new(config, name.clone()).map_err(io::Error::other)?;
        Ok(Some(Box::new(client)))
    }

    fn connect(&mut self) -> io::Result<TcpStream> {
        let domain = Domain::for_address(self.address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if !self.sources.is_empty() {
            let source = self.sources[self.next_source % self.sources.len()];
            self.next_source = self.next_source.wrapping_add(1);
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    /// The request with a fresh key, and the answer it must get.
    fn request(&mut self) -> (&[u8], AcceptKey) {
        let key = request_key([self.rng.next_u64(), self.rng.next_u64()]);
        self.request.clear();
        self.request.extend_from_slice(&self.before_key);
        self.request.extend_from_slice(&key);
        self.request.extend_from_slice(&self.after_key);
        (&self.request, accept_key(&key))
    }
}

impl Greeting {
    /// Goes on after the socket reported an event. Reads into `buffer`.
    pub(super) fn step(
        &mut self,
        line: &mut Line,
        dialer: &mut Dialer,
        buffer: &mut [u8],
    ) -> Result<Step, Failure> {
        if !self.has_asked {
            return match line.shake(buffer) {
                Ok(true) => self.ask(line, dialer),
                Ok(false) => Ok(Step::Wait),
                Err(error) => Err(Failure::connect(&error)),
            };
        }
        loop {
            match line.read(buffer) {
                Ok(heard) if heard.count == 0 => {
                    let detail = "the server closed the connection during the handshake";
                    return Err(Failure::new(Kind::Closed, detail));
                }
                Ok(heard) => {
                    let step = self.take(buffer, heard.count)?;
                    if step != Step::Wait {
                        return Ok(step);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Wait),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::closed(&error)),
            }
        }
    }

    /// The first write tells whether the connection was made: it waits, fails with the connection's error, or works.
    fn ask(&mut self, line: &mut Line, dialer: &mut Dialer) -> Result<Step, Failure> {
        let (request, expected) = dialer.request();
        match line.write(request) {
            Ok(count) if count < request.len() => Err(Failure::new(
                Kind::ConnectFailed,
                "the request is too long for one write; use fewer --header",
            )),
            Ok(_) => {
                self.has_asked = true;
                self.expected = expected;
                Ok(Step::Wait)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step::Wait),
            Err(error) => Err(Failure::connect(&error)),
        }
    }

    fn take(&mut self, buffer: &[u8], count: usize) -> Result<Step, Failure> {
        let before = self.head.len();
        let answer = if before == 0 {
            read_response(&buffer[..count], &self.expected)
        } else {
            self.head.extend_from_slice(&buffer[..count]);
            read_response(&self.head, &self.expected)
        };
        let refuse = |detail: String| Err(Failure::new(Kind::RefusedStatus, detail));
        match answer {
            Head::Whole(head_bytes, (101, true)) => {
                self.head = Vec::new();
                Ok(Step::Upgraded(head_bytes - before..count))
            }
            Head::Whole(_, (101, false)) => {
                refuse("status 101 with a wrong Sec-WebSocket-Accept".to_owned())
            }
            Head::Whole(_, (status, _)) => refuse(format!("status {status}")),
            Head::Wrong => refuse("the answer is not HTTP/1.1".to_owned()),
            Head::Partial => {
                if before == 0 {
                    self.head.extend_from_slice(&buffer[..count]);
                }
                Ok(Step::Wait)
            }
        }
    }
}

/// `EINPROGRESS`, the same on every Linux this runs on.
const IN_PROGRESS: i32 = 115;
