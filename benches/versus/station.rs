//! A backend that speaks to all of its tunnels at once.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use ringway::clock::Now;

use crate::knock::welcome;
use crate::pin::pin;

/// The backend on a thread of its own, which ends when this is dropped.
pub(crate) struct Station {
    address: SocketAddr,
    orders: Option<Sender<Order>>,
    answers: Receiver<std::io::Result<Now>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    /// Forget everybody and let so many in.
    Gather(usize),
    /// Send these bytes to everybody.
    Shout(Vec<u8>),
}

impl Station {
    pub(crate) fn start(core: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a broadcaster")?;
        let address = listener.local_addr()?;
        let (orders, heard) = channel();
        let (answer, answers) = channel();
        let thread = std::thread::Builder::new()
            .name("station".to_owned())
            .spawn(move || {
                pin(core);
                let mut tunnels = Vec::new();
                for order in heard {
                    // Whoever gave the order waits for the answer, or has gone.
                    let _ = answer.send(obey(order, &listener, &mut tunnels));
                }
            })?;
        Ok(Self {
            address,
            orders: Some(orders),
            answers,
            thread: Some(thread),
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets `count` tunnels in; they may connect from now on. [`Station::wait`] says when all are there.
    pub(crate) fn gather(&self, count: usize) {
        self.order(Order::Gather(count));
    }

    /// Sends `frame` to everybody; [`Station::wait`] says when that began.
    pub(crate) fn shout(&self, frame: &[u8]) {
        self.order(Order::Shout(frame.to_vec()));
    }

    /// When what was ordered began.
    pub(crate) fn wait(&self) -> anyhow::Result<Now> {
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .context("the broadcaster is stuck")?;
        answer.context("broadcasting")
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that has ended answers nothing, which is found out there.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has already been printed there.
            let _ = thread.join();
        }
    }
}

fn obey(
    order: Order,
    listener: &TcpListener,
    tunnels: &mut Vec<TcpStream>,
) -> std::io::Result<Now> {
    let now = Now::read();
    match order {
        Order::Gather(count) => {
            tunnels.clear();
            let deadline = now.after(PATIENCE / 2);
            listener.set_nonblocking(true)?;
            while tunnels.len() < count {
                match listener.accept() {
                    Ok((mut socket, _)) => {
                        socket.set_nonblocking(false)?;
                        // A proxy may connect for itself; that one says nothing and is no tunnel.
                        if welcome(&mut socket, GREETING).is_ok() {
                            tunnels.push(socket);
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        if Now::read() > deadline {
                            return Err(std::io::ErrorKind::TimedOut.into());
                        }
                        std::thread::park_timeout(BREATH);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Order::Shout(frame) => {
            for tunnel in tunnels {
                tunnel.write_all(&frame)?;
            }
        }
    }
    Ok(now)
}

const PATIENCE: Duration = Duration::from_mins(1);
const GREETING: Duration = Duration::from_secs(2);
const BREATH: Duration = Duration::from_micros(200);
