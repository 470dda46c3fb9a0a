//! What one worker counts for one pair of route and backend: messages, closes, pings, broken rules.

use super::{CloseCodes, Counter, Dropped, Histogram, HistogramReading, RULES};
use crate::limits::FLOW_BYTES_MAX;

/// How long answers to our pings took: 128 µs to 8.4 s, doubling.
pub type RoundTrips = Histogram<7, 1, 17>;

/// The counters of one pair of route and backend on one worker, its only writer.
///
/// Aligned to two cache lines, as [`WorkerCounters`](super::WorkerCounters) are: two workers' rows never share one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct FlowCounters {
    /// What went from clients to the backend.
    pub client_to_backend: FlowTraffic,
    /// What went from the backend to clients.
    pub backend_to_client: FlowTraffic,
    /// What the clients did.
    pub client: FlowSide,
    /// What the backend did.
    pub backend: FlowSide,
    /// Broken rules, by the number the `ws` room gives each.
    pub violations: [Counter; RULES],
}

impl FlowCounters {
    /// Counts a broken rule. A number past the last place is counted in the last, so a rule that was added without a
    /// place is seen and harms nobody.
    pub fn violated(&self, rule: usize) {
        self.violations[rule.min(RULES - 1)].add(1);
    }
}

/// What went one way.
#[derive(Debug, Default)]
pub struct FlowTraffic {
    /// Whole messages, counted at their last frame.
    pub messages: Counter,
    /// Bytes as they came off the socket, frame headers included.
    pub bytes: Counter,
    /// Frames of messages that came in more than one frame.
    pub fragments: Counter,
    /// Payload bytes of whole messages.
    pub sizes: Sizes,
    /// Messages that were not passed on, by [`Dropped::index`].
    pub dropped: [Counter; Dropped::ALL.len()],
    /// Times reading was put off because messages came faster than they may.
    pub slowed: Counter,
}

impl FlowTraffic {
    /// Counts a message that is not passed on.
    pub fn dropped(&self, reason: Dropped) {
        self.dropped[reason.index()].add(1);
    }
}

/// What one side did.
#[derive(Debug, Default)]
pub struct FlowSide {
    /// Close frames it sent, by code.
    pub closes: CloseCodes,
    /// Pings that Ringway sent to it.
    pub pings_sent: Counter,
    /// Those of them that it did not answer in time.
    pub pongs_missed: Counter,
    /// Pings of its own that Ringway answered in the other side's place.
    pub pings_answered: Counter,
    /// How long its answers to our pings took.
    pub round_trips: RoundTrips,
}

/// How large messages are, in bytes of payload: 64 B to 16 MiB, each bound four times the last. Exactly one thread
/// may call [`Sizes::observe`].
#[derive(Debug, Default)]
pub struct Sizes(Histogram<6, 2, 10>);

impl Sizes {
    /// Counts one whole message.
    pub fn observe(&self, bytes: u64) {
        self.0.count(bytes);
    }

    /// The buckets as they are now, in bytes.
    pub fn read(&self) -> HistogramReading {
        self.0.read()
    }
}

const _: () = assert!(size_of::<FlowCounters>() <= FLOW_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_from_64_bytes_to_16_mebibytes_and_beyond() {
        let sizes = Sizes::default();
        for bytes in [0, 64, 65, 16 << 20, (16 << 20) + 1] {
            sizes.observe(bytes);
        }
        let seen = sizes.read();
        let bounds: Vec<u64> = seen.buckets.iter().map(|(bound, _)| *bound).collect();
        assert_eq!(
            bounds,
            (0..10).map(|place| 64 << (2 * place)).collect::<Vec<_>>()
        );
        let counts: Vec<u64> = seen.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((seen.beyond, seen.sum), (1, 2 * (16 << 20) + 130));
    }

    #[test]
    fn round_trips_go_from_128_microseconds_to_8_seconds() {
        let bounds = RoundTrips::default().read().buckets;
        assert_eq!(bounds.first(), Some(&(128, 0)));
        assert_eq!(bounds.last(), Some(&(8_388_608, 0)));
    }

    #[test]
    fn each_reason_and_rule_has_its_own_cell() {
        let counters = FlowCounters::default();
        counters.backend_to_client.dropped(Dropped::SlowConsumer);
        counters.violated(3);
        counters.violated(usize::MAX);
        let dropped = counters
            .backend_to_client
            .dropped
            .each_ref()
            .map(Counter::get);
        assert_eq!(dropped, [0, 1]);
        assert_eq!(counters.client_to_backend.dropped[1].get(), 0);
        assert_eq!(counters.violations[3].get(), 1);
        assert_eq!(counters.violations[RULES - 1].get(), 1);
    }
}
