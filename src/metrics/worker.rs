//! What one worker counts. The worker is the only writer of every cell, but for `worker_restarts`.

use super::{
    BackendFailure, ByReason, Counter, EndReason, Flows, Gauge, Handoff, Histogram, Refusal,
};
use crate::sync::Arc;

/// Places for the rules that a frame or a message can break; the `ws` room numbers its rules below this and names
/// them.
pub const RULES: usize = 32;

/// From the accept to the answer: 128 µs to 67 s, doubling.
pub type HandshakeTimes = Histogram<7, 1, 20>;
/// From the first to the last byte of a tunnel: 131 ms to 6.4 days, each bound four times the last.
pub type TunnelTimes = Histogram<17, 2, 12>;

/// What went one way through the tunnels of a worker.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Whole messages, counted at their last frame.
    pub messages: Counter,
    /// Bytes as they came off the socket, frame headers included.
    pub bytes: Counter,
}

/// Everything one worker counts. It lives as long as the process: a restarted worker goes on with the
/// numbers of the one before it, so counters never run backwards.
///
/// Aligned to two cache lines, because neighbouring lines are fetched in pairs: two workers' counters
/// never share one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Messages and bytes from clients to backends.
    pub client_to_backend: Traffic,
    /// Messages and bytes from backends to clients.
    pub backend_to_client: Traffic,
    /// Times the worker entered its ring.
    pub ring_enters: Counter,
    /// Completions taken from the ring.
    pub ring_completions: Counter,
    /// Times one side of a tunnel stopped reading because the other side did not keep up.
    pub backpressure_pauses: Counter,
    /// Times a read found no receive buffer and had to wait for one.
    pub starved: Counter,
    /// Receive buffers that are with the kernel or free. At rest it equals `buffers_total`.
    pub buffers_home: Gauge,
    /// Receive buffers the worker has.
    pub buffers_total: Gauge,

    /// Connections accepted.
    pub accepted: Counter,
    /// Connections between workers, by [`Handoff::index`].
    pub handoffs: [Counter; Handoff::ALL.len()],
    /// Connections whose whole request head arrived.
    pub greeted: Counter,
    /// Tunnels opened, in total.
    pub upgraded: Counter,
    /// Tunnels that are open now.
    pub tunnels_open: Gauge,
    /// Handshakes that are under way now.
    pub handshakes_open: Gauge,
    /// Clients that wait now while every backend of their pool is full.
    pub clients_waiting: Gauge,
    /// Clients that ever had to.
    pub clients_waited: Counter,
    /// Handshakes tried again at another backend.
    pub retries: Counter,
    /// Handshakes not tried again because the pool's budget was spent.
    pub retries_denied: Counter,
    /// Backends this worker put out.
    pub ejections: Counter,
    /// Handshakes whose client left while the backend was asked.
    pub abandoned: Counter,
    /// Backends' answers other than 101 that were relayed to the client.
    pub plain_responses: Counter,
    /// Times accepting paused because descriptors had run out.
    pub accept_paused: Counter,
    /// TLS handshakes with clients that were full ones, key exchange and certificate.
    pub tls_full: Counter,
    /// TLS handshakes with clients that resumed an earlier session.
    pub tls_resumed: Counter,
    /// TLS handshakes with clients that are under way now.
    pub tls_handshakes_open: Gauge,
    /// TLS handshakes with backends that succeeded.
    pub tls_backends: Counter,
    /// Connections to backends that were made from a configured source address.
    pub dials_bound: Counter,
    /// Searches for a port that found none: the next source address was tried, if there was one.
    pub ports_missed: Counter,
    /// How long handshakes took, whatever their end.
    pub handshake_times: HandshakeTimes,
    /// How long tunnels lived.
    pub tunnel_times: TunnelTimes,

    /// Refused handshakes, by [`Refusal::index`].
    pub refused: ByReason<{ Refusal::ALL.len() }>,
    /// Backends' failures, by [`BackendFailure::index`]. The counts of each backend are in its slot.
    pub backend_failures: [Counter; BackendFailure::ALL.len()],
    /// Ended tunnels, by [`EndReason::index`].
    pub ended: [Counter; EndReason::ALL.len()],
    /// Broken frame rules, by the number the `ws` room gives each.
    pub violations: [Counter; RULES],

    /// A row for each pair of route and backend that this worker had tunnels for.
    pub flows: Arc<Flows>,

    /// Access-log records that found the ring to the control thread full.
    pub log_dropped: Counter,
    /// Times the worker died and was started again. Its one writer is the supervisor.
    pub worker_restarts: Counter,
}

impl WorkerCounters {
    /// Counts a refused handshake.
    pub fn refused(&self, reason: Refusal) {
        self.refused[reason.index()].add(1);
    }

    /// Counts a connection that moves between workers, or could not.
    pub fn handoff(&self, handoff: Handoff) {
        self.handoffs[handoff.index()].add(1);
    }

    /// Counts a backend's failure.
    pub fn backend_failed(&self, failure: BackendFailure) {
        self.backend_failures[failure.index()].add(1);
    }

    /// Counts a tunnel that ended.
    pub fn ended(&self, reason: EndReason) {
        self.ended[reason.index()].add(1);
    }

    /// Counts a broken frame rule. A number past the last place is counted in the last, so a rule that was
    /// added without a place is seen and harms nobody.
    pub fn violated(&self, rule: usize) {
        self.violations[rule.min(RULES - 1)].add(1);
    }

    /// Sets every gauge to zero. The supervisor calls it after a worker's thread has ended and before the next
    /// one starts, so there is one writer at any time.
    pub fn reset_gauges(&self) {
        for gauge in [
            &self.tunnels_open,
            &self.handshakes_open,
            &self.clients_waiting,
            &self.tls_handshakes_open,
            &self.buffers_home,
            &self.buffers_total,
        ] {
            gauge.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_cell_and_a_rule_without_a_place_uses_the_last() {
        let counters = WorkerCounters::default();
        counters.refused(Refusal::FirstMessageRefused);
        counters.backend_failed(BackendFailure::NoResources);
        counters.ended(EndReason::WorkerFailure);
        counters.violated(usize::MAX);
        assert_eq!(counters.refused[Refusal::ALL.len() - 1].get(), 1);
        assert_eq!(
            counters.backend_failures[BackendFailure::ALL.len() - 1].get(),
            1
        );
        assert_eq!(counters.ended[EndReason::ALL.len() - 1].get(), 1);
        assert_eq!(counters.violations[RULES - 1].get(), 1);
        assert_eq!(counters.refused[0].get(), 0);
    }

    #[test]
    fn a_restarted_worker_keeps_its_counters_and_starts_with_empty_gauges() {
        let counters = WorkerCounters::default();
        counters.accepted.add(3);
        counters.tunnels_open.inc();
        counters.reset_gauges();
        assert_eq!(counters.accepted.get(), 3);
        assert_eq!(counters.tunnels_open.get(), 0);
    }
}
