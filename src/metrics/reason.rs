//! Why something was refused, failed or ended: one closed list each, used as metric labels and log words.

/// Defines a closed list of reasons whose `label` is both the metric label and the word in the access log.
macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $label:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for this reason in metrics and logs.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// The place of this reason in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

reasons! {
    /// What became of a connection that was to move from the worker that accepted it to one that carried less.
    Handoff {
        /// This worker accepted it and handed it on.
        Out => "out",
        /// This worker took it over.
        In => "in",
        /// This worker kept it: the other one had no room in line, or was going.
        Refused => "refused",
    }
}

reasons! {
    /// Why a client was answered by Ringway itself instead of by a backend.
    Refusal {
        /// 308: the client came in the clear to a listener that sends clients on to HTTPS.
        RedirectToHttps => "redirect_to_https",
        /// 400: the head breaks HTTP/1.1 (security rule 6).
        BadRequest => "bad_request",
        /// 400: an upgrade with a missing or malformed WebSocket header (rule 2).
        BadUpgrade => "bad_upgrade",
        /// 403: the Origin is not on the route's list (rule 5).
        OriginForbidden => "origin_forbidden",
        /// 404: no route has this host and path.
        NoRoute => "no_route",
        /// 405: a method that the route does not take.
        MethodNotAllowed => "method_not_allowed",
        /// 408: the whole head did not arrive before its deadline.
        HeadTimeout => "head_timeout",
        /// 414: the request line is over its bound.
        UriTooLong => "uri_too_long",
        /// 426: a WebSocket route was asked for something else, or for a version other than 13.
        UpgradeRequired => "upgrade_required",
        /// 429: this source address is at one of its bounds.
        SourceLimited => "source_limited",
        /// 431: a header line, their count or the whole head is over its bound.
        HeadTooLarge => "head_too_large",
        /// 502: a backend answered something that is not HTTP, or a 101 that proves nothing.
        BadBackendAnswer => "bad_backend_answer",
        /// 502: a backend closed before it had answered.
        BackendClosed => "backend_closed",
        /// 503: the pool has no backend that may be tried, or every one that was tried refused.
        NoBackend => "no_backend",
        /// 503: every backend of the pool is full, and so is the line of those who wait.
        BackendsFull => "backends_full",
        /// 503: every backend of the pool was full for as long as one may wait.
        WaitingTimeout => "waiting_timeout",
        /// 503: we had no descriptor or memory to try a backend with.
        NoResources => "no_resources",
        /// 503: no source address of ours had a port left for the backend.
        SourcePortsExhausted => "source_ports_exhausted",
        /// 503: this host has none of the addresses that the backend is to be dialled from, or none that leads to it.
        SourceAddressMissing => "source_address_missing",
        /// 503: this worker is at one of its bounds.
        WorkerFull => "worker_full",
        /// 503: Ringway is going down.
        Draining => "draining",
        /// 504: no backend took the connection before the deadline.
        ConnectTimeout => "connect_timeout",
        /// 504: the backend did not answer the request before the deadline.
        AnswerTimeout => "answer_timeout",
        /// 502: a backend's TLS handshake failed, by its certificate or otherwise.
        BackendTls => "backend_tls",
        /// 400, in the clear: plain HTTP came to a listener that speaks TLS.
        PlainHttp => "plain_http",
        /// What came to a listener that speaks TLS is no TLS.
        NotTls => "not_tls",
        /// Alert 70: the client speaks no TLS version that the listener does.
        TlsNoSharedVersion => "tls_no_shared_version",
        /// Alert 40: no cipher, key exchange or kind of key is known to both.
        TlsNoSharedSuite => "tls_no_shared_suite",
        /// Alert 112: no certificate is for the host that the client named.
        TlsUnknownName => "tls_unknown_name",
        /// Alert 120: the client offered only protocols other than HTTP/1.1 (ALPN).
        TlsNoSharedProtocol => "tls_no_shared_protocol",
        /// The client's certificate was not vouched for, had expired or was revoked.
        TlsBadClientCertificate => "tls_bad_client_certificate",
        /// The client showed no certificate where one is required.
        TlsNoClientCertificate => "tls_no_client_certificate",
        /// The client ended the handshake with an alert, or gave up before its request was whole: mostly it does not trust
        /// the certificate.
        TlsAlert => "tls_alert",
        /// The client broke the rules of TLS in its handshake, or before its request was whole.
        TlsProtocol => "tls_protocol",
        /// The handshake was not over before its deadline.
        TlsTimeout => "tls_timeout",
        /// As many handshakes were in flight on this worker as may be.
        TlsHandshakesFull => "tls_handshakes_full",
        /// A handshake failed on our side.
        TlsInternal => "tls_internal",
        /// 403: the route asks for a certificate that this client did not show.
        CertificateForbidden => "certificate_forbidden",
        /// Close 1008: a client that has its 101 from Ringway sent no message in time.
        FirstMessageTimeout => "first_message_timeout",
        /// Close 1008, or the code of the rule it broke: its first message does not say where it belongs.
        FirstMessageRefused => "first_message_refused",
    }
}

reasons! {
    /// What a backend did wrong; each is counted on its own and may cost it its place.
    BackendFailure {
        /// It refused the connection, or the network did.
        Refused => "refused",
        /// It did not take the connection before the deadline.
        ConnectTimeout => "connect_timeout",
        /// It took the connection and closed it before an answer.
        Closed => "closed",
        /// It did not answer before the deadline.
        AnswerTimeout => "answer_timeout",
        /// Its TLS handshake failed, by its certificate or otherwise.
        Tls => "tls",
        /// It answered something that is not HTTP, or a 101 that proves nothing.
        BadAnswer => "bad_answer",
        /// We had no port left to dial it from: our fault, not its.
        SourcePortsExhausted => "source_ports_exhausted",
        /// We had no address to dial it from: our fault, not its.
        SourceAddressMissing => "source_address_missing",
        /// We had no descriptor or memory to try it with: our fault, not its.
        NoResources => "no_resources",
    }
}

reasons! {
    /// Why a tunnel ended.
    EndReason {
        /// A Close frame went both ways, then the connections ended.
        CloseHandshake => "close_handshake",
        /// A side ended its stream without a Close frame.
        EndOfStream => "end_of_stream",
        /// A side reset its connection, or the network did.
        Reset => "reset",
        /// A side broke a rule of RFC 6455; it was sent 1002 or 1007.
        ProtocolError => "protocol_error",
        /// A side broke a rule of its route, a limit or a rate, and was sent 1008 or 1009; or Ringway had no room for
        /// its half message, and sent 1013.
        Policy => "policy",
        /// A side took less than was sent to it; it was sent 1013.
        SlowConsumer => "slow_consumer",
        /// A side answered no Ping of ours.
        HeartbeatMissed => "heartbeat_missed",
        /// A side gave up its TLS connection with a fatal alert.
        TlsAborted => "tls_aborted",
        /// A side sent a TLS record that may not be; it was sent the alert that says so.
        TlsViolation => "tls_violation",
        /// The stream of a side that speaks TLS ended without `close_notify` and without a Close frame: somebody else may
        /// have cut it off.
        TlsTruncated => "tls_truncated",
        /// A key of a TLS 1.2 connection was nearly used up (2^24 records), and that version has no new ones: both sides
        /// were sent 1001.
        TlsExhausted => "tls_exhausted",
        /// Nothing went either way for the idle time.
        IdleTimeout => "idle_timeout",
        /// A side took nothing for the stalled-write time.
        StalledWrite => "stalled_write",
        /// The other half stayed open for too long after one side had ended.
        HalfCloseTimeout => "half_close_timeout",
        /// Ringway was going down: both sides were sent 1001.
        Drained => "drained",
        /// Ringway was going down and the deadline passed before the peers had closed.
        DrainTimeout => "drain_timeout",
        /// Its backend went down or was taken out: the client was sent 1012.
        BackendGone => "backend_gone",
        /// The worker itself failed.
        WorkerFailure => "worker_failure",
    }
}

reasons! {
    /// Why a message was not passed on though its tunnel lives.
    Dropped {
        /// It was over a rate.
        Rate => "rate",
        /// It waited for a slow consumer and made room for a newer one.
        SlowConsumer => "slow_consumer",
    }
}

impl BackendFailure {
    /// Whether it is our fault: it is not held against the backend.
    pub const fn is_ours(self) -> bool {
        matches!(
            self,
            Self::SourcePortsExhausted | Self::SourceAddressMissing | Self::NoResources
        )
    }
}

/// Which side of a tunnel did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Party {
    /// The side that connected to us.
    Client,
    /// The side we connected to.
    Backend,
    /// Ringway itself.
    Ringway,
}

impl Party {
    /// The word for this side in metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backend => "backend",
            Self::Ringway => "ringway",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_indexes_follow_the_list() {
        for (place, reason) in Refusal::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert_eq!(
                Refusal::ALL
                    .iter()
                    .filter(|other| other.label() == reason.label())
                    .count(),
                1
            );
        }
    }
}
