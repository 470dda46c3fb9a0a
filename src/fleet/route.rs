//! From the host and path of a request to the route that serves it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::client_cert::ClientCertRules;
use super::first::FirstMessage;
use super::frames::FrameRules;
use super::host::{self, HostPattern};
use super::ids::{PoolId, RouteId};
use crate::http::OriginRules;
use crate::limits::HOST_BYTES_MAX;
use crate::sync::Arc;

/// Which requests go to which pool, and under which rules.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its place in the file.
    pub id: RouteId,
    /// What logs and metrics call it.
    pub name: Arc<str>,
    /// The hosts it answers to; none means any.
    pub hosts: Vec<HostPattern>,
    /// The path it answers to, and every path below: `/chat` takes `/chat` and `/chat/x`, never `/chatter`.
    /// Invariant: starts with `/`, and ends with it only if it is `/`.
    pub path: Arc<str>,
    /// Where it leads.
    pub pool: PoolId,
    /// Which Origins may open a tunnel; `None` looks at no Origin (security rule 5).
    pub origins: Option<OriginRules>,
    /// Whether a plain GET or HEAD is relayed, once and with `Connection: close`. If not, it gets `426`.
    pub plain_http: bool,
    /// How long nothing may go either way.
    pub idle_timeout: Duration,
    /// How long a side may take nothing of what waits for it.
    pub stalled_write_timeout: Duration,
    /// How long one half may stay open after the other has ended.
    pub half_close_timeout: Duration,
    /// Whether backends are offered the permessage-deflate that clients offer. Compressed messages cannot be looked into.
    pub offers_deflate: bool,
    /// What is done with the frames of its tunnels beyond the rules of RFC 6455; usually nothing.
    pub frames: Option<Arc<FrameRules>>,
    /// Whether the client's first message decides where it goes, and how.
    pub first_message: Option<Arc<FirstMessage>>,
    /// What is asked of clients' certificates, and told of them; usually nothing.
    pub client_certificate: Option<Box<ClientCertRules>>,
}

/// All routes of a snapshot, laid out for looking up.
///
/// The most specific host is asked first: the exact name, then wildcards from the longest suffix to the
/// shortest, then the routes for any host. Within a host the longest path wins. A host whose paths do not
/// fit passes the request on to the next less specific one, so a route for any host is a common ground that
/// holds under every name.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    routes: Box<[Route]>,
    /// Sorted by name.
    exact: Box<[Host]>,
    /// Sorted by name, which is what follows the `*.`.
    under: Box<[Host]>,
    any: Paths,
    /// In lower case, with dashes for underscores; sorted, none twice.
    claimed: Box<[Box<str>]>,
}

#[derive(Debug, Clone)]
struct Host {
    name: Box<str>,
    paths: Paths,
}

/// Indexes into `routes`, the longest path first, so that the first match is the longest.
type Paths = Vec<u16>;

impl RouteTable {
    /// A table of these routes. Among routes with the same host and path the first one wins.
    pub fn new(routes: Vec<Route>) -> Self {
        let mut exact = Vec::new();
        let mut under = Vec::new();
        let mut any = Paths::new();
        for (index, route) in (0..).zip(&routes) {
            if route.hosts.is_empty() {
                any.push(index);
            }
            for host in &route.hosts {
                match host {
                    HostPattern::Exact(name) => exact.push((&**name, index)),
                    HostPattern::Under(parent) => under.push((&**parent, index)),
                }
            }
        }
        longest_first(&mut any, &routes);
        let claimed = claimed(&routes);
        Self {
            claimed,
            exact: by_host(exact, &routes),
            under: by_host(under, &routes),
            any,
            routes: routes.into(),
        }
    }

    /// The route for a host, given without its port, and a path, with or without its query.
    ///
    /// A path is taken as it was sent: neither percent signs nor `..` are resolved, because the backend will
    /// not see them resolved either. Allocates nothing; the work is bounded by the number of routes and the
    /// labels of a host of legal length.
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<&Route> {
        let name = host
            .map(host::bare)
            .filter(|name| name.len() <= HOST_BYTES_MAX);
        name.and_then(|name| self.find_under_name(name, path))
            .or_else(|| self.first_fit(&self.any, path))
    }

    /// Every route, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Route> {
        self.routes.iter()
    }

    /// Names of the fields that tell backends of clients' certificates on any of the routes, in lower case, with dashes
    /// for underscores. On no route may a client send one of them itself: routes share pools, and a backend cannot see
    /// by which of them a request has come.
    pub fn claimed_fields(&self) -> &[Box<str>] {
        &self.claimed
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route at all.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn find_under_name(&self, name: &str, path: &str) -> Option<&Route> {
        let exact = paths_of(&self.exact, name).and_then(|paths| self.first_fit(paths, path));
        exact.or_else(|| {
            let dots = name.match_indices('.').map(|(at, _)| at);
            dots.filter(|&at| at > 0)
                .filter_map(|at| paths_of(&self.under, &name[at + 1..]))
                .find_map(|paths| self.first_fit(paths, path))
        })
    }

    fn first_fit(&self, paths: &[u16], path: &str) -> Option<&Route> {
        paths
            .iter()
            .map(|&index| &self.routes[usize::from(index)])
            .find(|route| is_at_or_below(path, &route.path))
    }
}

impl<'a> IntoIterator for &'a RouteTable {
    type Item = &'a Route;
    type IntoIter = std::slice::Iter<'a, Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Whether `path` is `prefix` or lies below it, a segment being what stands between two slashes.
fn is_at_or_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| match rest.as_bytes().first() {
        None | Some(b'?') => !prefix.is_empty(),
        Some(&next) => next == b'/',
    })
}

fn paths_of<'a>(hosts: &'a [Host], asked: &str) -> Option<&'a Paths> {
    let place = hosts.binary_search_by(|host| host::compare(&host.name, asked));
    place.ok().map(|place| &hosts[place].paths)
}

fn by_host(mut entries: Vec<(&str, u16)>, routes: &[Route]) -> Box<[Host]> {
    entries.sort_unstable();
    let same_host = entries.chunk_by(|one, other| one.0 == other.0);
    let hosts = same_host.map(|chunk| {
        let mut paths: Paths = chunk.iter().map(|&(_, index)| index).collect();
        longest_first(&mut paths, routes);
        Host {
            name: chunk[0].0.into(),
            paths,
        }
    });
    hosts.collect()
}

fn claimed(routes: &[Route]) -> Box<[Box<str>]> {
    let rules = routes
        .iter()
        .filter_map(|route| route.client_certificate.as_deref());
    let names = rules.flat_map(ClientCertRules::fields);
    let names: BTreeSet<Box<str>> = names
        .map(|name| name.to_ascii_lowercase().replace('_', "-").into())
        .collect();
    names.into_iter().collect()
}

/// A stable sort: among equal lengths the order of the file stays.
fn longest_first(paths: &mut Paths, routes: &[Route]) {
    paths.sort_by_key(|&index| std::cmp::Reverse(routes[usize::from(index)].path.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route(index: u16, hosts: &[&str], path: &str) -> Route {
        let second = Duration::from_secs(1);
        Route {
            id: RouteId(index),
            name: path.into(),
            hosts: hosts
                .iter()
                .map(|host| HostPattern::parse(host).unwrap())
                .collect(),
            path: path.into(),
            pool: PoolId(0),
            origins: None,
            plain_http: false,
            idle_timeout: second,
            stalled_write_timeout: second,
            half_close_timeout: second,
            offers_deflate: true,
            frames: None,
            first_message: None,
            client_certificate: None,
        }
    }

    fn table(routes: &[(&[&str], &str)]) -> RouteTable {
        let routes = (0..)
            .zip(routes)
            .map(|(index, (hosts, path))| route(index, hosts, path));
        RouteTable::new(routes.collect())
    }

    fn found(table: &RouteTable, host: &str, path: &str) -> Option<u16> {
        let host = Some(host).filter(|host| !host.is_empty());
        table.find(host, path).map(|route| route.id.0)
    }

    #[test]
    fn a_field_that_one_route_tells_is_claimed_on_all() {
        let mut routes = vec![route(0, &[], "/"), route(1, &[], "/a"), route(2, &[], "/b")];
        for (index, verify) in [(1, None), (2, Some("x_client_verify".into()))] {
            routes[index].client_certificate = Some(Box::new(ClientCertRules {
                subject_header: Some("X-Client-Subject".into()),
                verify_header: verify,
                ..ClientCertRules::default()
            }));
        }
        let table = RouteTable::new(routes);
        let claimed: Vec<_> = table.claimed_fields().iter().map(|name| &**name).collect();
        assert_eq!(claimed, ["x-client-subject", "x-client-verify"]);
        assert!(RouteTable::default().claimed_fields().is_empty());
    }

    #[test]
    fn a_path_matches_on_a_segment_boundary_only() {
        let table = table(&[(&[], "/chat")]);
        for path in ["/chat", "/chat/", "/chat/x", "/chat?room=1", "/chat/x?y=/z"] {
            assert_eq!(found(&table, "a", path), Some(0), "{path}");
        }
        for path in [
            "/",
            "/chatter",
            "/cha",
            "/Chat",
            "/x/chat",
            "",
            "chat",
            "*",
            "/chat%2Fx",
        ] {
            assert_eq!(found(&table, "a", path), None, "{path}");
        }
    }

    #[test]
    fn the_root_takes_every_path_and_no_other_target() {
        let table = table(&[(&[], "/")]);
        for path in ["/", "/x", "//", "/?q", "/x/y"] {
            assert_eq!(found(&table, "", path), Some(0), "{path}");
        }
        for target in ["", "*", "?q", "x", "http://a/"] {
            assert_eq!(found(&table, "", target), None, "{target}");
        }
    }

    #[test]
    fn the_longest_path_wins_whatever_the_order() {
        let table = table(&[(&[], "/"), (&[], "/chat/rooms"), (&[], "/chat")]);
        assert_eq!(found(&table, "a", "/chat/rooms/1"), Some(1));
        assert_eq!(found(&table, "a", "/chat/roomsize"), Some(2));
        assert_eq!(found(&table, "a", "/other"), Some(0));
    }

    #[test]
    fn the_most_specific_host_wins() {
        let table = table(&[
            (&[], "/"),
            (&["*.example.com"], "/"),
            (&["*.eu.example.com"], "/"),
            (&["chat.eu.example.com"], "/"),
        ]);
        assert_eq!(found(&table, "chat.eu.example.com", "/"), Some(3));
        assert_eq!(found(&table, "news.eu.example.com", "/"), Some(2));
        assert_eq!(found(&table, "a.b.eu.example.com", "/"), Some(2));
        assert_eq!(found(&table, "eu.example.com", "/"), Some(1));
        assert_eq!(found(&table, "example.com", "/"), Some(0));
        assert_eq!(found(&table, ".example.com", "/"), Some(0));
        assert_eq!(found(&table, "notexample.com", "/"), Some(0));
        assert_eq!(found(&table, "", "/"), Some(0));
    }

    #[test]
    fn a_host_without_a_fitting_path_passes_on_to_the_next() {
        let table = table(&[
            (&["chat.example.com"], "/chat"),
            (&["*.example.com"], "/news"),
            (&[], "/status"),
        ]);
        assert_eq!(found(&table, "chat.example.com", "/chat"), Some(0));
        assert_eq!(found(&table, "chat.example.com", "/news"), Some(1));
        assert_eq!(found(&table, "chat.example.com", "/status"), Some(2));
        assert_eq!(found(&table, "chat.example.com", "/none"), None);
    }

    #[test]
    fn hosts_compare_without_case_brackets_or_final_dot() {
        let table = table(&[(&["Chat.Example.com", "[2001:db8::A]"], "/")]);
        assert_eq!(found(&table, "CHAT.eXample.com", "/"), Some(0));
        assert_eq!(found(&table, "chat.example.com.", "/"), Some(0));
        assert_eq!(found(&table, "[2001:DB8::a]", "/"), Some(0));
        assert_eq!(found(&table, "2001:db8::a", "/"), Some(0));
    }

    #[test]
    fn an_endless_host_costs_no_search() {
        let table = table(&[(&["*.com"], "/"), (&[], "/any")]);
        let endless = "a.".repeat(4_000) + "com";
        assert_eq!(found(&table, &endless, "/"), None);
        assert_eq!(found(&table, &endless, "/any"), Some(1));
    }

    /// The rules once more, as a plain search over all routes.
    fn plainly(table: &RouteTable, host: &str, path: &str) -> Option<u16> {
        let host = host.to_ascii_lowercase();
        let rank = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => (**name == *host).then_some(usize::MAX),
            HostPattern::Under(parent) => host
                .ends_with(&format!(".{parent}"))
                .then_some(parent.len()),
        };
        let fits = |route: &&Route| {
            *route.path == *"/"
                || path == &*route.path
                || path.starts_with(&format!("{}/", route.path))
        };
        let host_rank = |route: &Route| {
            let ranks = route.hosts.iter().filter_map(rank);
            route.hosts.is_empty().then_some(0).or_else(|| ranks.max())
        };
        let ranked = table
            .iter()
            .filter(fits)
            .filter_map(|route| Some((host_rank(route)?, route.path.len(), u16::MAX - route.id.0)));
        ranked.max().map(|(.., index)| u16::MAX - index)
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_plain_search(
            routes in prop::collection::vec(
                (prop::collection::vec("(\\*\\.)?([ab]\\.){0,2}[ab]", 0..3), "(/[xy]{1,2}){1,3}|/"),
                0..12,
            ),
            host in "([abAB]\\.){0,4}[abAB]",
            path in "(/[xy]{1,2}){1,4}|/",
        ) {
            let routes = (0..).zip(&routes).map(|(index, (hosts, path))| {
                let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
                route(index, &hosts, path)
            });
            let table = RouteTable::new(routes.collect());
            prop_assert_eq!(found(&table, &host, &path), plainly(&table, &host, &path));
        }
    }
}
