//! Whose processor time and memory a run reports beside its own: a process of this machine, or whatever an agent on
//! another one answers for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use super::processor::{process_ns, resident_bytes};

/// One that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A process here.
    Process(u32),
    /// An agent: whoever connects and sends the line `read` gets one line of JSON, a [`Usage`].
    Agent(SocketAddr),
}

/// What a subject has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Processor time of all its threads.
    pub processor_ns: u64,
    /// How long they were ready to run and had no core.
    #[serde(default)]
    pub waited_ns: u64,
    /// Memory that is resident now.
    pub resident_bytes: u64,
}

impl Subject {
    /// The process, if it is one of this machine.
    pub(super) const fn pid(self) -> Option<u32> {
        match self {
            Self::Process(pid) => Some(pid),
            Self::Agent(_) => None,
        }
    }

    /// Processor time so far.
    pub(super) fn processor_ns(self) -> io::Result<u64> {
        match self {
            Self::Process(pid) => process_ns(pid),
            Self::Agent(address) => Ok(ask(address, READ)?.processor_ns),
        }
    }

    /// Memory that is resident now.
    pub(super) fn resident_bytes(self) -> io::Result<u64> {
        match self {
            Self::Process(pid) => resident_bytes(pid),
            Self::Agent(address) => Ok(ask(address, READ)?.resident_bytes),
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let process = || text.parse().map(Self::Process).ok();
        let agent = || text.parse().map(Self::Agent).ok();
        process()
            .or_else(agent)
            .ok_or_else(|| "expected a process id, or an agent's address:port".to_owned())
    }
}

fn ask(address: SocketAddr, order: &str) -> io::Result<Usage> {
    let mut agent = TcpStream::connect_timeout(&address, PATIENCE)?;
    agent.set_read_timeout(Some(PATIENCE))?;
    agent.write_all(order.as_bytes())?;
    let mut line = String::new();
    BufReader::new(agent.take(ANSWER_BYTES_MAX)).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(io::Error::from)
}

const READ: &str = "read\n";
/// An agent that is slower makes a time between two answers worthless.
const PATIENCE: Duration = Duration::from_secs(2);
/// Three numbers and their names.
const ANSWER_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_number_is_a_process_and_an_address_an_agent() {
        assert_eq!("17".parse(), Ok(Subject::Process(17)));
        let address = "10.0.0.1:8100".parse().unwrap();
        assert_eq!("10.0.0.1:8100".parse(), Ok(Subject::Agent(address)));
        assert!("nginx".parse::<Subject>().is_err());
    }

    #[test]
    fn an_agent_is_asked_with_one_line_and_answers_with_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let subject = Subject::Agent(listener.local_addr().unwrap());
        let agent = std::thread::spawn(move || {
            let (mut caller, _) = listener.accept().unwrap();
            let mut order = [0; READ.len()];
            caller.read_exact(&mut order).unwrap();
            assert_eq!(order, READ.as_bytes());
            caller
                .write_all(b"{\"processor_ns\":5,\"resident_bytes\":4096}\n")
                .unwrap();
        });
        assert_eq!(subject.processor_ns().unwrap(), 5);
        agent.join().unwrap();
    }
}
