//! Bounds for one source address: connections, handshakes, and new connections in a second.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::clock::Now;
use crate::fleet::SourceLimits;
use crate::limits;

/// What each source holds on this worker. Knows numbers and time, never sockets.
#[derive(Debug, Default)]
pub(super) struct Sources {
    held: HashMap<IpAddr, Held>,
}

#[derive(Debug, Default)]
struct Held {
    connections: u32,
    handshakes: u32,
    /// The second that `opened` counts.
    second: u64,
    opened: u32,
}

impl Sources {
    /// Whether `source` may open one more connection; if so it is counted, as a handshake too.
    pub(super) fn admit(&mut self, source: IpAddr, bounds: SourceLimits, now: Now) -> bool {
        if bounds == SourceLimits::default() {
            return true;
        }
        if self.held.len() >= limits::SOURCES_MAX {
            self.forget(now);
        }
        let known = self.held.len() < limits::SOURCES_MAX || self.held.contains_key(&block(source));
        if !known {
            return false;
        }
        let held = self.held.entry(block(source)).or_default();
        let second = now.as_millis() / 1000;
        if held.second != second {
            (held.second, held.opened) = (second, 0);
        }
        let within = |bound: Option<u32>, count: u32| bound.is_none_or(|bound| count < bound);
        let admitted = within(bounds.connections, held.connections)
            && within(bounds.handshakes, held.handshakes)
            && within(bounds.new_connections_per_second, held.opened);
        if admitted {
            held.opened += 1;
            held.connections += 1;
            held.handshakes += 1;
        }
        admitted
    }

    /// A handshake of `source` is over, however it went.
    pub(super) fn greeted(&mut self, source: IpAddr) {
        if let Some(held) = self.held.get_mut(&block(source)) {
            held.handshakes = held.handshakes.saturating_sub(1);
        }
    }

    /// A connection of `source` is gone.
    pub(super) fn gone(&mut self, source: IpAddr, now: Now) {
        let Some(held) = self.held.get_mut(&block(source)) else {
            return;
        };
        held.connections = held.connections.saturating_sub(1);
        if held.connections == 0 && held.second != now.as_millis() / 1000 {
            self.held.remove(&block(source));
        }
    }

    /// Forgets sources that hold nothing and opened nothing in this second.
    fn forget(&mut self, now: Now) {
        let second = now.as_millis() / 1000;
        self.held
            .retain(|_, held| held.connections > 0 || held.second == second);
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 host commands.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(prefix.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bounds(connections: u32, handshakes: u32, per_second: u32) -> SourceLimits {
        SourceLimits {
            connections: Some(connections),
            handshakes: Some(handshakes),
            new_connections_per_second: Some(per_second),
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_bound_holds_alone_and_gives_way_again() {
        let now = Now::from_nanos(0);
        let mut sources = Sources::default();
        let one = address("192.0.2.1");
        assert!(
            sources.admit(one, bounds(2, 9, 9), now) && sources.admit(one, bounds(2, 9, 9), now)
        );
        assert!(!sources.admit(one, bounds(2, 9, 9), now), "two connections");
        assert!(!sources.admit(one, bounds(9, 2, 9), now), "two handshakes");
        assert!(!sources.admit(one, bounds(9, 9, 2), now), "two in a second");
        sources.greeted(one);
        assert!(sources.admit(one, bounds(9, 2, 9), now));
        let later = now.after(Duration::from_secs(1));
        sources.gone(one, later);
        assert!(sources.admit(one, bounds(9, 9, 1), later));
        assert!(!sources.admit(one, bounds(9, 9, 1), later));
    }

    #[test]
    fn a_whole_ipv6_64_is_one_source_and_a_mapped_ipv4_is_its_ipv4() {
        let now = Now::from_nanos(0);
        let mut sources = Sources::default();
        assert!(sources.admit(address("2001:db8::1"), bounds(1, 1, 1), now));
        assert!(!sources.admit(address("2001:db8::ffff:2"), bounds(1, 1, 1), now));
        assert!(sources.admit(address("2001:db8:0:1::1"), bounds(1, 1, 1), now));
        assert!(sources.admit(address("192.0.2.7"), bounds(1, 1, 1), now));
        assert!(!sources.admit(address("::ffff:192.0.2.7"), bounds(1, 1, 1), now));
    }

    #[test]
    fn without_bounds_nothing_is_remembered() {
        let mut sources = Sources::default();
        assert!(sources.admit(
            address("192.0.2.1"),
            SourceLimits::default(),
            Now::from_nanos(0)
        ));
        assert!(sources.held.is_empty());
    }
}
