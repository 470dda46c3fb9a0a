//! Every metric there is: one table of names, helps, types, labels and the cell each value is read from.

use super::metric::{
    FLOW_DIRECTION, FLOW_SIDE, FlowSource, LISTENER_CERTIFICATE, Metric, POOL_BACKEND, Source,
    WORKER, WORKER_DIRECTION, WORKER_REASON, counter, flow, gauge, times,
};
use super::{BackendFailure, EndReason, Handoff, Refusal};

/// Every metric, in the order `/metrics` prints them.
pub const CATALOG: &[Metric] = &[
    // --- Connections and handshakes ---
    counter(
        "ringway_connections_accepted_total",
        "Client connections accepted.",
        WORKER,
        Source::Worker(|worker| worker.accepted.get()),
    ),
    counter(
        "ringway_accept_pauses_total",
        "Times accepting paused because file descriptors had run out.",
        WORKER,
        Source::Worker(|worker| worker.accept_paused.get()),
    ),
    counter(
        "ringway_handoffs_total",
        "Client connections that moved to a worker that carried less, at both, or could not.",
        &["worker", "handoff"],
        Source::Reasons(|worker| &worker.handoffs, |at| Handoff::ALL[at].label()),
    ),
    counter(
        "ringway_request_heads_total",
        "Client connections whose whole request head arrived.",
        WORKER,
        Source::Worker(|worker| worker.greeted.get()),
    ),
    gauge(
        "ringway_handshakes_open",
        "Handshakes under way now.",
        WORKER,
        Source::Worker(|worker| worker.handshakes_open.get()),
    ),
    times(
        "ringway_handshake_duration_seconds",
        "Time from accept to the answer, whatever the answer was.",
        |worker| worker.handshake_times.read(),
    ),
    counter(
        "ringway_refusals_total",
        "Handshakes that Ringway itself answered with an error, by reason.",
        WORKER_REASON,
        Source::Reasons(
            |worker| &worker.refused,
            |place| Refusal::ALL[place].label(),
        ),
    ),
    counter(
        "ringway_tls_full_handshakes_total",
        "Full TLS handshakes with clients.",
        WORKER,
        Source::Worker(|worker| worker.tls_full.get()),
    ),
    counter(
        "ringway_tls_resumed_handshakes_total",
        "TLS handshakes with clients that resumed an earlier session.",
        WORKER,
        Source::Worker(|worker| worker.tls_resumed.get()),
    ),
    gauge(
        "ringway_tls_handshakes_open",
        "TLS handshakes with clients under way now.",
        WORKER,
        Source::Worker(|worker| worker.tls_handshakes_open.get()),
    ),
    counter(
        "ringway_tls_backend_handshakes_total",
        "TLS handshakes with backends that succeeded.",
        WORKER,
        Source::Worker(|worker| worker.tls_backends.get()),
    ),
    counter(
        "ringway_handshakes_abandoned_total",
        "Handshakes given up because the client left before the backend had answered.",
        WORKER,
        Source::Worker(|worker| worker.abandoned.get()),
    ),
    counter(
        "ringway_plain_responses_total",
        "Backend answers other than 101 that were relayed to the client.",
        WORKER,
        Source::Worker(|worker| worker.plain_responses.get()),
    ),
    // --- Tunnels ---
    counter(
        "ringway_tunnels_opened_total",
        "Tunnels opened.",
        WORKER,
        Source::Worker(|worker| worker.upgraded.get()),
    ),
    gauge(
        "ringway_tunnels_open",
        "Tunnels open now.",
        WORKER,
        Source::Worker(|worker| worker.tunnels_open.get()),
    ),
    counter(
        "ringway_tunnels_ended_total",
        "Tunnels ended, by reason.",
        WORKER_REASON,
        Source::Reasons(
            |worker| &worker.ended,
            |place| EndReason::ALL[place].label(),
        ),
    ),
    times(
        "ringway_tunnel_duration_seconds",
        "How long tunnels lived, observed at their end.",
        |worker| worker.tunnel_times.read(),
    ),
    counter(
        "ringway_messages_total",
        "Whole WebSocket messages relayed, by direction.",
        WORKER_DIRECTION,
        Source::Directions(|traffic| traffic.messages.get()),
    ),
    counter(
        "ringway_bytes_total",
        "Bytes relayed through tunnels, frame headers included, by direction.",
        WORKER_DIRECTION,
        Source::Directions(|traffic| traffic.bytes.get()),
    ),
    counter(
        "ringway_frame_violations_total",
        "Rules of RFC 6455 and of routes that were broken, by rule.",
        &["worker", "rule"],
        Source::Rules,
    ),
    counter(
        "ringway_backpressure_pauses_total",
        "Times one side of a tunnel stopped reading because the other did not keep up.",
        WORKER,
        Source::Worker(|worker| worker.backpressure_pauses.get()),
    ),
    // --- Routes and their backends ---
    flow(
        "ringway_route_messages_total",
        "Whole WebSocket messages relayed, by route, backend and direction.",
        FLOW_DIRECTION,
        FlowSource::Directions(|traffic| traffic.messages.get(), |_| true),
    ),
    flow(
        "ringway_route_bytes_total",
        "Bytes relayed, frame headers included, by route, backend and direction.",
        FLOW_DIRECTION,
        FlowSource::Directions(|traffic| traffic.bytes.get(), |_| true),
    ),
    flow(
        "ringway_message_size_bytes",
        "Payload of whole messages.",
        FLOW_DIRECTION,
        FlowSource::Sizes,
    ),
    flow(
        "ringway_message_fragments_total",
        "Frames of messages that came in more than one frame.",
        FLOW_DIRECTION,
        FlowSource::Directions(
            |traffic| traffic.fragments.get(),
            |traffic| traffic.fragments.get() > 0,
        ),
    ),
    flow(
        "ringway_messages_dropped_total",
        "Messages that were not passed on though their tunnel lived, by reason.",
        &["route", "pool", "backend", "direction", "reason"],
        FlowSource::Dropped,
    ),
    flow(
        "ringway_reads_slowed_total",
        "Times reading was put off because messages came faster than they may.",
        FLOW_DIRECTION,
        FlowSource::Directions(
            |traffic| traffic.slowed.get(),
            |traffic| traffic.slowed.get() > 0,
        ),
    ),
    flow(
        "ringway_close_frames_total",
        "Close frames, by the side that sent them and their code.",
        &["route", "pool", "backend", "side", "code"],
        FlowSource::Closes,
    ),
    flow(
        "ringway_route_violations_total",
        "Frames and messages that broke a rule, by route, backend and rule.",
        &["route", "pool", "backend", "rule"],
        FlowSource::Rules,
    ),
    flow(
        "ringway_pings_sent_total",
        "Pings of our own, by the side they were sent to.",
        FLOW_SIDE,
        FlowSource::Sides(
            |side| side.pings_sent.get(),
            |side| side.pings_sent.get() > 0,
        ),
    ),
    flow(
        "ringway_pongs_missed_total",
        "Pings of our own that a side did not answer in time.",
        FLOW_SIDE,
        FlowSource::Sides(
            |side| side.pongs_missed.get(),
            |side| side.pings_sent.get() > 0,
        ),
    ),
    flow(
        "ringway_pings_answered_total",
        "Pings of a side that Ringway answered in the other side's place.",
        FLOW_SIDE,
        FlowSource::Sides(
            |side| side.pings_answered.get(),
            |side| side.pings_answered.get() > 0,
        ),
    ),
    flow(
        "ringway_ping_rtt_seconds",
        "Time from a ping of our own to its answer, by the side that answered.",
        FLOW_SIDE,
        FlowSource::RoundTrips,
    ),
    // --- Backends ---
    counter(
        "ringway_backend_failures_total",
        "What backends did wrong during handshakes, by reason.",
        WORKER_REASON,
        Source::Reasons(
            |worker| &worker.backend_failures,
            |place| BackendFailure::ALL[place].label(),
        ),
    ),
    counter(
        "ringway_source_address_connects_total",
        "Connections to backends made from a configured source address.",
        WORKER,
        Source::Worker(|worker| worker.dials_bound.get()),
    ),
    counter(
        "ringway_source_port_searches_failed_total",
        "Searches for a source port that found every one in use; the next source address was tried, if there was one.",
        WORKER,
        Source::Worker(|worker| worker.ports_missed.get()),
    ),
    counter(
        "ringway_retries_total",
        "Handshakes tried again at another backend.",
        WORKER,
        Source::Worker(|worker| worker.retries.get()),
    ),
    counter(
        "ringway_retries_denied_total",
        "Handshakes not tried again because the pool's retry budget was spent.",
        WORKER,
        Source::Worker(|worker| worker.retries_denied.get()),
    ),
    counter(
        "ringway_backend_ejections_total",
        "Times this worker put a backend out because too many handshakes with it failed in a row.",
        WORKER,
        Source::Worker(|worker| worker.ejections.get()),
    ),
    gauge(
        "ringway_clients_waiting",
        "Clients that wait now because every backend of their pool is full.",
        WORKER,
        Source::Worker(|worker| worker.clients_waiting.get()),
    ),
    counter(
        "ringway_clients_waited_total",
        "Clients that had to wait because every backend of their pool was full.",
        WORKER,
        Source::Worker(|worker| worker.clients_waited.get()),
    ),
    gauge(
        "ringway_backend_tunnels_open",
        "Tunnels open to this backend now, over all workers.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.established),
    ),
    gauge(
        "ringway_backend_handshakes_open",
        "Handshakes under way to this backend now, over all workers.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.connecting),
    ),
    gauge(
        "ringway_backend_state",
        "Always 1; the state of this backend is the label.",
        &["pool", "backend", "state"],
        Source::BackendState,
    ),
    gauge(
        "ringway_backend_weight",
        "The share of this backend in its pool by now.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.weight),
    ),
    gauge(
        "ringway_backend_handshake_seconds",
        "What handshakes with this backend take: slow ones count at once and are forgiven slowly.",
        POOL_BACKEND,
        Source::BackendTime(|backend| backend.handshake_us),
    ),
    counter(
        "ringway_backend_failed_total",
        "Failures of this backend, over all workers, by kind.",
        &["pool", "backend", "kind"],
        Source::BackendFailures,
    ),
    gauge(
        "ringway_backend_failures_in_a_row",
        "Failed handshakes with this backend since the last good one.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.failures_in_a_row),
    ),
    gauge(
        "ringway_backend_ejections_in_a_row",
        "How often in a row workers have put this backend out.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.ejections_in_a_row),
    ),
    gauge(
        "ringway_backend_ejected_for_seconds",
        "How long this backend stays put out until one connection may try it, else 0.",
        POOL_BACKEND,
        Source::BackendTime(|backend| Some(backend.ejected_for_us)),
    ),
    counter(
        "ringway_backend_tunnels_ended_total",
        "Tunnels to this backend that have ended.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.ended),
    ),
    counter(
        "ringway_backend_tunnels_ended_abnormally_total",
        "Tunnels that ended without a Close frame or with 1011, by this backend's doing.",
        POOL_BACKEND,
        Source::Backend(|backend| backend.ended_abnormally),
    ),
    // --- The worker itself ---
    gauge(
        "ringway_receive_buffers",
        "Receive buffers of the worker.",
        WORKER,
        Source::Worker(|worker| worker.buffers_total.get()),
    ),
    gauge(
        "ringway_receive_buffers_home",
        "Receive buffers that hold no bytes in flight; all of them when the worker is at rest.",
        WORKER,
        Source::Worker(|worker| worker.buffers_home.get()),
    ),
    counter(
        "ringway_receive_buffers_starved_total",
        "Times a read found no free receive buffer and had to wait.",
        WORKER,
        Source::Worker(|worker| worker.starved.get()),
    ),
    counter(
        "ringway_ring_enters_total",
        "Times the worker entered its io_uring.",
        WORKER,
        Source::Worker(|worker| worker.ring_enters.get()),
    ),
    counter(
        "ringway_ring_completions_total",
        "Completions the worker took from its io_uring.",
        WORKER,
        Source::Worker(|worker| worker.ring_completions.get()),
    ),
    counter(
        "ringway_worker_restarts_total",
        "Times the worker died and was started again.",
        WORKER,
        Source::Worker(|worker| worker.worker_restarts.get()),
    ),
    // --- The access log ---
    counter(
        "ringway_access_log_dropped_total",
        "Access-log records dropped because the ring to the control thread was full.",
        WORKER,
        Source::Worker(|worker| worker.log_dropped.get()),
    ),
    counter(
        "ringway_access_log_lines_total",
        "Access-log lines written.",
        &[],
        Source::Control(|control| control.log_lines.get()),
    ),
    counter(
        "ringway_access_log_lines_lost_total",
        "Access-log lines lost because writing them failed.",
        &[],
        Source::Control(|control| control.log_lines_lost.get()),
    ),
    counter(
        "ringway_access_log_write_errors_total",
        "Writes of the access log that failed.",
        &[],
        Source::Control(|control| control.log_write_errors.get()),
    ),
    // --- TLS files ---
    gauge(
        "ringway_tls_certificate_not_after_seconds",
        "Until when this certificate is good, in seconds since the Unix epoch.",
        LISTENER_CERTIFICATE,
        Source::Certificate(|certificate| certificate.not_after),
    ),
    counter(
        "ringway_tls_loads_total",
        "Times certificates and the like were loaded again because their files had changed.",
        &[],
        Source::Control(|control| control.tls_loads.get()),
    ),
    counter(
        "ringway_tls_load_failures_total",
        "Times changed files of certificates and the like could not be loaded, so that the old ones stayed.",
        &[],
        Source::Control(|control| control.tls_load_failures.get()),
    ),
    // --- The process ---
    counter(
        "ringway_scrapes_total",
        "Scrapes of /metrics answered before this one.",
        &[],
        Source::Control(|control| control.scrapes.get()),
    ),
    gauge(
        "ringway_draining",
        "1 while Ringway is going down, else 0.",
        &[],
        Source::Draining,
    ),
    gauge(
        "ringway_build_info",
        "Always 1; the version is the label.",
        &["version"],
        Source::Build,
    ),
    counter(
        "process_cpu_seconds_total",
        "Processor time used, user and system.",
        &[],
        Source::Process(|process| Some(process.cpu_seconds)),
    ),
    gauge(
        "process_resident_memory_bytes",
        "Memory that is resident.",
        &[],
        Source::Process(|process| Some(process.resident_bytes)),
    ),
    gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since the Unix epoch.",
        &[],
        Source::Process(|process| process.start_unix_seconds),
    ),
    gauge(
        "process_open_fds",
        "File descriptors that are open (kernel 6.2 and newer).",
        &[],
        Source::Process(|process| process.files_open),
    ),
    gauge(
        "process_max_fds",
        "File descriptors the process may have.",
        &[],
        Source::Process(|process| process.files_max),
    ),
];

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
