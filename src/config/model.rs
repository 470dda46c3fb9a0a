//! Ready values. Whatever is here has passed every check, so nobody downstream asks again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::secret::Token;
use crate::fleet::{
    Caps, ClientCertRules, EjectionRules, Fates, FirstMessage, FrameRules, Hashing, HostPattern,
    PolicyKind, PoolId, RetryBudget, SourceAddresses, Sticky, WaitingRoom, Weight,
};
use crate::health::ProbeSettings;
use crate::limits;
use crate::sync::Arc;
use crate::tls::{BackendTls, ListenerTls};

/// One whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cores and what each may hold.
    pub workers: WorkerSettings,
    /// The control listener and the access log.
    pub control: ControlSettings,
    /// Where clients connect; at least one, names distinct, addresses distinct over all of them.
    pub listeners: Vec<Listener>,
    /// Bounds against clients that are slow or many.
    pub limits: LimitSettings,
    /// How to go down.
    pub drain: DrainSettings,
    /// At least one, names distinct; a [`PoolId`] is a place in here.
    pub pools: Vec<PoolSettings>,
    /// At least one, names distinct, no host and path twice.
    pub routes: Vec<RouteSettings>,
}

/// `[workers]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Which cores get a worker.
    pub cores: Cores,
    /// Which worker a new connection goes to.
    pub steering: Steering,
    /// The shape of the receive buffers.
    pub receive_buffers: ReceiveBuffers,
    /// Tunnels one worker may hold.
    pub tunnels_max: u32,
    /// Handshakes one worker may have in flight.
    pub handshakes_max: u32,
    /// Receive buffers of one worker, a power of two; nothing lets the shape decide.
    pub buffers: Option<u16>,
    /// The size of one receive buffer; nothing lets the shape decide.
    pub buffer_bytes: Option<u32>,
    /// Places in the completion queue of one worker's ring, a power of two.
    pub completion_queue: u16,
}

/// Which cores get a worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cores {
    /// Every core the process may run on.
    #[default]
    Auto,
    /// So many of them, at least one.
    Count(u16),
    /// These, by number; at least one, none twice.
    List(Vec<u16>),
}

/// Which worker a new connection goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Steering {
    /// The kernel's hash over addresses and ports decides.
    #[default]
    Hash,
    /// The worker on the core that received the packet, by a classic BPF program.
    Cpu,
    /// The kernel's hash, and then a worker that carries less, if there is one.
    LeastLoaded,
}

/// The shape of the receive buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiveBuffers {
    /// The best that the kernel offers.
    #[default]
    Auto,
    /// Few large buffers that many receives share (kernel 6.12).
    Incremental,
    /// Many small buffers and few large ones; a tunnel moves between them.
    TwoSize,
    /// Small buffers, several filled by one receive (kernel 6.10).
    Bundle,
}

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where metrics and health are served.
    pub bind: SocketAddr,
    /// Where a line about each tunnel goes.
    pub access_log: AccessLog,
    /// What a request must carry that would change something, or nothing. Never nothing if `bind` is not a loopback
    /// address (security rule 19).
    pub token: Option<Token>,
}

/// Where a line about each tunnel goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To standard output.
    #[default]
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

/// `[listeners.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What logs and metrics call it.
    pub name: String,
    /// Where it listens; at least one.
    pub addresses: Vec<SocketAddr>,
    /// Connections the kernel may hold for one worker before it accepts them.
    pub backlog: u32,
    /// How long a connection is silent before the kernel probes it, in whole seconds; nothing for never.
    pub keepalive: Option<Duration>,
    /// How it speaks TLS; in the clear without it.
    pub tls: Option<ListenerTls>,
    /// Every request gets a 308 to the same host and target over https, on this port. Never beside `tls`.
    pub redirect_to_https: Option<u16>,
    /// The value of `Strict-Transport-Security` (RFC 6797) in answers to its clients. Only beside `tls`.
    pub hsts: Option<Box<str>>,
}

/// `[limits]`. Bounds for a source count an IPv6 /64 as one; `None` is no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Connections one source may have open.
    pub connections_per_source: Option<u32>,
    /// Handshakes one source may have in flight.
    pub handshakes_per_source: Option<u32>,
    /// Connections one source may open in a second.
    pub new_connections_per_source_per_second: Option<u32>,
    /// How long a client may take for its whole request head.
    pub head_timeout: Duration,
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// `[drain]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainSettings {
    /// Over how long the Close frames are spread.
    pub time: Duration,
    /// When whoever is left is cut off, from the start. At least `time`.
    pub deadline: Duration,
}

/// `[pools.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Its name.
    pub name: String,
    /// How a backend is chosen.
    pub policy: PolicyKind,
    /// How it hashes, if it does.
    pub hashing: Hashing,
    /// The cookie that brings a client back.
    pub sticky: Option<Arc<Sticky>>,
    /// Who can be chosen, as the file names them: addresses distinct. At least one, unless names are asked for.
    pub backends: Vec<BackendSettings>,
    /// Names whose addresses join them.
    pub names: Vec<NameSettings>,
    /// Where they are dialled from.
    pub source_addresses: SourceAddresses,
    /// How long one backend may take to accept a connection.
    pub connect_timeout: Duration,
    /// How many others are tried after the first.
    pub connect_tries: u8,
    /// How long a backend may take to answer a request head.
    pub answer_timeout: Duration,
    /// How little of a tier may be healthy before the next one is called in, in percent.
    pub panic_percent: u32,
    /// Over how long a backend that came up is filled; nothing at once.
    pub slow_start: Option<Duration>,
    /// When workers put a backend out.
    pub ejection: EjectionRules,
    /// What each backend may hold.
    pub caps: Caps,
    /// What all its backends together may hold.
    pub established_max: Option<u32>,
    /// Where clients wait while every backend is full.
    pub waiting_room: WaitingRoom,
    /// How many handshakes may be tried again.
    pub retry_budget: RetryBudget,
    /// What happens to open tunnels when their backend leaves.
    pub fates: Fates,
    /// How its backends are probed, if they are.
    pub probe: Option<ProbeSettings>,
    /// How its backends are spoken to; in the clear without it. What stands here is only named: the control room loads
    /// the files, and gives what comes of it to the pool of the same place in the [`Snapshot`](crate::fleet::Snapshot).
    pub tls: Option<Arc<BackendTls>>,
    /// Whether probes speak TLS as tunnels do. Only if `tls` is there.
    pub probe_tls: bool,
}

/// A name in the DNS whose addresses are backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameSettings {
    /// The name, without a final dot.
    pub name: String,
    /// What is asked for.
    pub kind: NameKind,
    /// The longest time between two questions; a shorter TTL is obeyed down to
    /// [`DNS_INTERVAL`](crate::limits::DNS_INTERVAL)`.least`.
    pub interval: Duration,
    /// The share of each address. An SRV record's own weight counts instead.
    pub weight: Weight,
    /// The tier of each address. An SRV record's own priority counts instead.
    pub priority: u8,
}

/// What is asked of the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A and AAAA records, with this port.
    Addresses {
        /// The port of every address.
        port: u16,
    },
    /// SRV records (RFC 2782): port, weight and priority are theirs. The lowest priority is the first tier.
    Srv,
}

impl PoolSettings {
    /// A pool of these backends, and everything else as if the file did not say it.
    pub fn new(name: &str, policy: PolicyKind, backends: Vec<BackendSettings>) -> Self {
        Self {
            name: name.to_owned(),
            policy,
            hashing: Hashing::default(),
            sticky: None,
            backends,
            names: Vec::new(),
            source_addresses: SourceAddresses::default(),
            connect_timeout: limits::CONNECT_TIMEOUT.default,
            connect_tries: limits::CONNECT_TRIES.default,
            answer_timeout: limits::ANSWER_TIMEOUT.default,
            panic_percent: 0,
            slow_start: None,
            ejection: EjectionRules::default(),
            caps: Caps::default(),
            established_max: None,
            waiting_room: WaitingRoom::default(),
            retry_budget: RetryBudget::default(),
            fates: Fates::default(),
            probe: None,
            tls: None,
            probe_tls: false,
        }
    }
}

/// One entry of `backends`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendSettings {
    /// Where to connect.
    pub address: SocketAddr,
    /// Its share of the pool.
    pub weight: Weight,
    /// Its tier, from 0 to [`PRIORITY_MAX`](crate::limits::PRIORITY_MAX).
    pub priority: u8,
}

/// `[[routes]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// Its name, or its first host and path.
    pub name: String,
    /// Hosts it answers to; none means any.
    pub hosts: Vec<HostPattern>,
    /// The path it answers to, and every path below.
    pub path: String,
    /// Where it leads.
    pub pool: PoolId,
    /// Which Origins may open a tunnel; `None` looks at no Origin.
    pub origins: Option<OriginSettings>,
    /// Whether a plain GET or HEAD is relayed.
    pub plain_http: bool,
    /// How long nothing may go either way.
    pub idle_timeout: Duration,
    /// How long a side may take nothing of what waits for it.
    pub stalled_write_timeout: Duration,
    /// How long one half may stay open after the other has ended.
    pub half_close_timeout: Duration,
    /// Whether backends are offered the permessage-deflate that clients offer. Never beside `first_message`.
    pub offers_deflate: bool,
    /// What is done with frames beyond the rules of RFC 6455; nothing if the file asks for nothing of it.
    pub frames: Option<FrameRules>,
    /// Whether a client's first message decides where it goes, and how.
    pub first_message: Option<FirstMessage>,
    /// What is asked of clients' certificates, and told of them.
    pub client_certificate: Option<Box<ClientCertRules>>,
}

/// The Origins of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginSettings {
    /// Each has been accepted by the rules of `http`.
    pub allowed: Vec<String>,
    /// Whether a request without an Origin may pass.
    pub allow_missing: bool,
    /// Whether `Origin: null` may pass.
    pub allow_null: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            cores: Cores::default(),
            steering: Steering::default(),
            receive_buffers: ReceiveBuffers::default(),
            tunnels_max: limits::TUNNELS_MAX.default,
            handshakes_max: limits::HANDSHAKES_MAX.default,
            buffers: None,
            buffer_bytes: None,
            completion_queue: limits::COMPLETION_ENTRIES,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections_per_source: None,
            handshakes_per_source: Some(limits::HANDSHAKES_PER_SOURCE.default),
            new_connections_per_source_per_second: None,
            head_timeout: limits::HEAD_TIMEOUT.default,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self {
            time: limits::DRAIN_TIME.default,
            deadline: limits::DRAIN_DEADLINE.default,
        }
    }
}
