//! Discovery against a DNS server of the tests' own, on loopback.

mod addresses;
mod services;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::*;
use crate::fleet::Weight;

impl Resolver {
    /// Asks only this server.
    pub(in crate::control) fn of(server: SocketAddr) -> Self {
        Self::patient(server, Duration::from_secs(5))
    }

    /// Asks only this server, once a question, and waits so long. It has a search list, which must not matter.
    fn patient(server: SocketAddr, patience: Duration) -> Self {
        let mut ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for way in &mut ways {
            way.port = server.port();
        }
        let server = NameServerConfig::new(server.ip(), true, ways.to_vec());
        let search = Name::from_ascii("search.test.").unwrap();
        let config = ResolverConfig::from_parts(None, vec![search], vec![server]);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        builder.options_mut().timeout = patience;
        builder.options_mut().attempts = 0;
        set_our_own(builder.options_mut());
        Self(builder.build().unwrap())
    }
}

/// What a zone says to one question.
#[derive(Debug, Clone)]
enum Says {
    Records(Vec<(u32, RData)>),
    Code(ResponseCode),
    Nothing,
}

/// A DNS server on one port for UDP and TCP. What it has no words for does not exist.
struct Server {
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

type Zone = HashMap<(Name, RecordType), Says>;

impl Server {
    async fn of(zone: &[(&str, RecordType, Says)]) -> Self {
        let zone: Zone = zone
            .iter()
            .map(|(name, kind, says)| ((Name::from_ascii(name).unwrap(), *kind), says.clone()))
            .collect();
        let (udp, tcp) = one_port().await;
        let address = udp.local_addr().unwrap();
        let tasks = [
            tokio::spawn(answer_datagrams(udp, zone.clone())),
            tokio::spawn(answer_streams(tcp, zone)),
        ];
        Self { address, tasks }
    }

    async fn asked(&self, name: &NameSettings) -> Result<Answer, DiscoveryError> {
        Resolver::of(self.address).ask(name).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn one_port() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Somebody else may have the same port for datagrams.
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn answer_datagrams(socket: UdpSocket, zone: Zone) {
    let mut room = [0; 4096];
    loop {
        let (length, peer) = socket.recv_from(&mut room).await.unwrap();
        let Some(mut answer) = answer(&zone, &room[..length]) else {
            continue;
        };
        let mut bytes = answer.to_vec().unwrap();
        if bytes.len() > 512 {
            answer.answers.clear();
            answer.metadata.truncation = true;
            bytes = answer.to_vec().unwrap();
        }
        socket.send_to(&bytes, peer).await.unwrap();
    }
}

async fn answer_streams(listener: TcpListener, zone: Zone) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // An asker that is gone ends its stream; that is no mistake of the test.
        let _ = answer_stream(stream, &zone).await;
    }
}

async fn answer_stream(mut stream: TcpStream, zone: &Zone) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await?;
        if let Some(answer) = answer(zone, &question) {
            let bytes = answer.to_vec().unwrap();
            stream
                .write_u16(u16::try_from(bytes.len()).unwrap())
                .await?;
            stream.write_all(&bytes).await?;
        }
    }
}

fn answer(zone: &Zone, question: &[u8]) -> Option<Message> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let key = (query.name().clone(), query.query_type());
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.add_query(query.clone());
    match zone.get(&key) {
        Some(Says::Records(records)) => answer.add_answers(
            records
                .iter()
                .map(|(ttl, data)| Record::from_rdata(query.name().clone(), *ttl, data.clone())),
        ),
        Some(Says::Code(code)) => {
            answer.metadata.response_code = *code;
            &mut answer
        }
        Some(Says::Nothing) => return None,
        None => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            &mut answer
        }
    };
    Some(answer)
}

// --- Questions and words of the zone ---

const INTERVAL: Duration = Duration::from_mins(2);

fn addresses_of(name: &str) -> NameSettings {
    NameSettings {
        name: name.to_owned(),
        kind: NameKind::Addresses { port: 8080 },
        interval: INTERVAL,
        weight: Weight::new(7).unwrap(),
        priority: 3,
    }
}

fn services_of(name: &str) -> NameSettings {
    NameSettings {
        kind: NameKind::Srv,
        ..addresses_of(name)
    }
}

fn v4(ttl: u32, addresses: &[[u8; 4]]) -> Says {
    let data = |&octets| (ttl, RData::A(A(Ipv4Addr::from(octets))));
    Says::Records(addresses.iter().map(data).collect())
}

fn v6(ttl: u32, addresses: &[&str]) -> Says {
    let data = |text: &&str| (ttl, RData::AAAA(AAAA(text.parse::<Ipv6Addr>().unwrap())));
    Says::Records(addresses.iter().map(data).collect())
}

/// Priority, weight, port, target.
type Service = (u16, u16, u16, &'static str);

fn srv(records: &[Service]) -> Says {
    let data = |&(priority, weight, port, target): &Service| {
        let target = Name::from_ascii(target).unwrap();
        (60, RData::SRV(SRV::new(priority, weight, port, target)))
    };
    Says::Records(records.iter().map(data).collect())
}

/// Address, weight and tier of each backend.
fn plain(answer: &Answer) -> Vec<(String, u16, u8)> {
    let plain = |backend: &BackendSettings| {
        let address = backend.address.to_string();
        (address, backend.weight.get(), backend.priority)
    };
    answer.backends.iter().map(plain).collect()
}

fn expected(backends: &[(&str, u16, u8)]) -> Vec<(String, u16, u8)> {
    let owned = |&(address, weight, tier): &(&str, u16, u8)| (address.to_owned(), weight, tier);
    backends.iter().map(owned).collect()
}

fn is_failed(outcome: &Result<Answer, DiscoveryError>) -> bool {
    matches!(outcome, Err(DiscoveryError::Failed(_)))
}
