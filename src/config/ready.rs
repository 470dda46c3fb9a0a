//! What ready values become: the snapshot that workers read, and the configuration of the demo.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use super::model::{
    AccessLog, BackendSettings, Config, ControlSettings, DrainSettings, LimitSettings, Listener,
    OriginSettings, PoolSettings, RouteSettings, WorkerSettings,
};
use crate::fleet::{
    FrameRules, Heartbeats, Member, PolicyKind, Pool, PoolId, Registry, Route, RouteId, RouteTable,
    Snapshot, SourceLimits, Standing, TableFull, Weight,
};
use crate::http::OriginRules;
use crate::limits;
use crate::sync::Arc;
use crate::ws::{FrameLimits, Inspect, Watch};

impl Config {
    /// The snapshot of this configuration. Backends that the registry knows keep their rows; those that are
    /// not in this configuration are retired. With a registry of
    /// [`SLOT_ROWS_MAX`](crate::limits::SLOT_ROWS_MAX) rows it fails only while tunnels of earlier
    /// configurations keep half of them.
    pub fn snapshot(&self, registry: &mut Registry) -> Result<Snapshot, TableFull> {
        let snapshot = self.snapshot_with(registry, &|place| self.pools[place].backends.clone())?;
        for member in snapshot.pools.iter().flat_map(|pool| pool.backends.iter()) {
            let standing = Standing {
                weight: member.weight.get(),
                ..registry.table().standing(member.id)
            };
            registry.table().set_standing(member.id, standing);
        }
        Ok(snapshot)
    }

    /// The same with the members that `members` gives for each pool, by its place: those of the file, those that the
    /// DNS named, or both. Of two with one address the first counts. A pool may have none.
    ///
    /// More than [`BACKENDS_MAX`](crate::limits::BACKENDS_MAX) in all are refused, and the registry is then as before.
    pub fn snapshot_with(
        &self,
        registry: &mut Registry,
        members: &dyn Fn(usize) -> Vec<BackendSettings>,
    ) -> Result<Snapshot, TableFull> {
        let members: Vec<_> = (0..self.pools.len())
            .map(|place| distinct(members(place)))
            .collect();
        if members.iter().map(Vec::len).sum::<usize>() > limits::BACKENDS_MAX {
            return Err(TableFull {
                capacity: limits::BACKENDS_MAX,
            });
        }
        let pools = (0..).zip(self.pools.iter().zip(&members));
        let pools: Vec<_> = pools
            .map(|(place, (settings, members))| pool(PoolId(place), settings, members, registry))
            .collect::<Result<_, _>>()?;
        let mut stays = vec![false; registry.table().capacity()];
        for member in pools.iter().flat_map(|pool| pool.backends.iter()) {
            stays[member.id.index()] = true;
        }
        registry.retain(|id| stays[id.index()]);
        let routes = self.routes.iter();
        let routes = routes.map(|settings| route(registry.route(&settings.name), settings));
        Ok(Snapshot {
            pools,
            routes: RouteTable::new(routes.collect()),
            trusted_proxies: self.limits.trusted_proxies.clone(),
            doors: Vec::new(),
            head_timeout: self.limits.head_timeout,
            source_limits: SourceLimits {
                connections: self.limits.connections_per_source,
                handshakes: self.limits.handshakes_per_source,
                new_connections_per_second: self.limits.new_connections_per_source_per_second,
            },
        })
    }

    /// Whether any listener or pool speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        let listeners = self.listeners.iter().any(|listener| listener.tls.is_some());
        listeners || self.pools.iter().any(|pool| pool.tls.is_some())
    }

    /// The settings in which this configuration and `other` differ and which only a restart can change, by their
    /// names in the file.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let (old, new) = (&self.control, &other.control);
        let parts = [
            ("workers", self.workers != other.workers),
            (
                "listeners",
                by_name(&self.listeners) != by_name(&other.listeners),
            ),
            ("control.bind", old.bind != new.bind),
            ("control.access_log", old.access_log != new.access_log),
            ("control.token_file", old.token != new.token),
        ];
        let differing = parts.iter().filter(|(_, differs)| *differs);
        differing.map(|(name, _)| *name).collect()
    }

    /// A configuration without a file: one listener, one pool in turn, a route that relays plain HTTP too and one
    /// that looks into messages.
    pub fn for_demo(listen: SocketAddr, control: SocketAddr, backends: &[SocketAddr]) -> Self {
        let backend = |&address: &SocketAddr| BackendSettings {
            address,
            weight: Weight::ONE,
            priority: 0,
        };
        Self {
            workers: WorkerSettings::default(),
            control: ControlSettings {
                bind: control,
                access_log: AccessLog::Off,
                token: None,
            },
            listeners: vec![Listener {
                name: "demo".to_owned(),
                addresses: vec![listen],
                backlog: limits::BACKLOG.default,
                keepalive: Some(limits::KEEPALIVE_IDLE.default),
                tls: None,
                redirect_to_https: None,
                hsts: None,
            }],
            limits: LimitSettings::default(),
            drain: DrainSettings::default(),
            pools: vec![PoolSettings::new(
                "echo",
                PolicyKind::RoundRobin,
                backends.iter().map(backend).collect(),
            )],
            routes: vec![
                demo_route("/", None),
                demo_route("/inspected", Some(demo_rules())),
            ],
        }
    }
}

/// A route of the demo; the one without rules relays plain HTTP too.
fn demo_route(path: &str, frames: Option<FrameRules>) -> RouteSettings {
    RouteSettings {
        name: path.to_owned(),
        hosts: Vec::new(),
        path: path.to_owned(),
        pool: PoolId(0),
        origins: None,
        plain_http: frames.is_none(),
        idle_timeout: limits::IDLE_TIMEOUT.default,
        stalled_write_timeout: limits::STALLED_WRITE_TIMEOUT.default,
        half_close_timeout: limits::HALF_CLOSE_TIMEOUT.default,
        offers_deflate: frames.is_none(),
        frames,
        first_message: None,
        client_certificate: None,
    }
}

/// Messages of up to 64 KiB are held back until they are whole and good, and silent clients are asked each second
/// whether they live.
fn demo_rules() -> FrameRules {
    let most = FrameLimits {
        message_bytes_max: Some(64 * 1024),
        ..FrameLimits::default()
    };
    let watch = Watch {
        inspect: Inspect::Messages,
        limits: most,
    };
    FrameRules {
        client: watch,
        backend: watch,
        heartbeat: Heartbeats {
            client: Some(limits::HEARTBEAT.least),
            ..Heartbeats::OFF
        },
        ..FrameRules::default()
    }
}

/// The listeners by their names: in which order the file has them says nothing.
fn by_name(listeners: &[Listener]) -> BTreeMap<&str, impl PartialEq + use<'_>> {
    // How a listener speaks TLS, and what it says about it, follows a reload.
    let socket = |one: &Listener| (one.addresses.clone(), one.backlog, one.keepalive);
    let named = listeners.iter().map(|one| (one.name.as_str(), socket(one)));
    named.collect()
}

/// The first of each address, in their order.
fn distinct(mut members: Vec<BackendSettings>) -> Vec<BackendSettings> {
    let mut seen = HashSet::new();
    members.retain(|member| seen.insert(member.address));
    members
}

fn pool(
    id: PoolId,
    settings: &PoolSettings,
    members: &[BackendSettings],
    registry: &mut Registry,
) -> Result<Pool, TableFull> {
    let member = |backend: &BackendSettings| {
        let id = registry.assign(&settings.name, backend.address)?;
        Ok(Member {
            generation: registry.table().standing(id).generation,
            priority: backend.priority,
            ..Member::new(id, backend.address, backend.weight)
        })
    };
    let members: Vec<_> = members.iter().map(member).collect::<Result<_, _>>()?;
    let pool = Pool {
        hashing: settings.hashing.clone(),
        sticky: settings.sticky.clone(),
        source_addresses: settings.source_addresses.clone(),
        connect_tries_max: 1 + settings.connect_tries,
        connect_timeout: settings.connect_timeout,
        answer_timeout: settings.answer_timeout,
        panic_percent: settings.panic_percent,
        slow_start: settings.slow_start,
        ejection: settings.ejection,
        caps: settings.caps,
        established_max: settings.established_max,
        waiting_room: settings.waiting_room,
        retry_budget: settings.retry_budget,
        fates: settings.fates,
        tls: settings.tls.clone(),
        ..Pool::new(id, &settings.name, settings.policy, members)
    };
    Ok(pool.with_aliases())
}

fn route(id: RouteId, settings: &RouteSettings) -> Route {
    let rules = |origins: &OriginSettings| {
        OriginRules::new(&origins.allowed, origins.allow_missing, origins.allow_null)
            .expect("invariant: build has tried each of these origins")
    };
    Route {
        id,
        name: settings.name.as_str().into(),
        hosts: settings.hosts.clone(),
        path: settings.path.as_str().into(),
        pool: settings.pool,
        origins: settings.origins.as_ref().map(rules),
        plain_http: settings.plain_http,
        idle_timeout: settings.idle_timeout,
        stalled_write_timeout: settings.stalled_write_timeout,
        half_close_timeout: settings.half_close_timeout,
        offers_deflate: settings.offers_deflate,
        frames: settings.frames.clone().map(Arc::new),
        first_message: settings.first_message.clone().map(Arc::new),
        client_certificate: settings.client_certificate.clone(),
    }
}
