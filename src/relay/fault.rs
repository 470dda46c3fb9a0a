//! Whose fault an end is: the passive signal about a backend's health.

use super::tunnel::{End, Tunnel};
use crate::metrics::{EndReason, Party};
use crate::ws::close::INTERNAL_ERROR;

impl Tunnel {
    /// Whether the backend ended the tunnel abnormally: without a Close frame from anybody (1006), or with one
    /// that carried 1011. What we ended ourselves, and a client that broke off or left without a Close frame,
    /// says nothing about the backend.
    pub(super) fn ended_abnormally_by_backend(&self) -> bool {
        let Some((party, reason)) = self.end else {
            return false;
        };
        if !is_of_their_own(reason) {
            return false;
        }
        let codes = (
            self.client.scanner.close_code(),
            self.backend.scanner.close_code(),
        );
        match codes {
            (None, None) => match self.first_end {
                Some(end) => end == End::Backend,
                None => party == Party::Backend,
            },
            (_, code) => self.first_close == Some(End::Backend) && code == Some(INTERNAL_ERROR),
        }
    }
}

/// Whether the two sides came to this end without us.
const fn is_of_their_own(reason: EndReason) -> bool {
    matches!(
        reason,
        EndReason::CloseHandshake
            | EndReason::EndOfStream
            | EndReason::Reset
            | EndReason::HalfCloseTimeout
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::clock::Now;
    use crate::fleet::BackendId;
    use crate::relay::{FirstBytes, Opening, Patience};
    use crate::sync::Arc;
    use crate::ws::close_frame;

    fn tunnel() -> Tunnel {
        let (client, backend) = UnixStream::pair().unwrap();
        let opening = Opening {
            flow: Arc::default(),
            frames: None,
            backend: (backend.into(), None),
            peer: "192.0.2.1:5".parse().unwrap(),
            accepted: Now::from_nanos(0),
            forwarded_for: None,
            route: 0,
            backend_id: BackendId(0),
            deflate: false,
            first_bytes: FirstBytes {
                answer: Vec::new(),
                from_client: Vec::new(),
                from_backend: Vec::new(),
            },
            patience: Patience {
                idle_ms: 1,
                stalled_write_ms: 1,
                half_close_ms: 1,
            },
        };
        Tunnel::open((client.into(), None), opening, 0, Now::from_nanos(0)).0
    }

    /// How a tunnel came to its end: who sent which Close frame first, who ended its stream first, the rest.
    fn ended(
        closes: &[(End, u16)],
        first_end: Option<End>,
        (party, reason): (Party, EndReason),
    ) -> bool {
        let mut tunnel = tunnel();
        for (end, code) in closes {
            let mask = (*end == End::Client).then_some([1, 2, 3, 4]);
            let frame = close_frame(*code, "", mask);
            tunnel.side(*end).scanner.feed(frame.as_bytes());
            tunnel.first_close.get_or_insert(*end);
        }
        tunnel.first_end = first_end;
        tunnel.decide(party, reason);
        tunnel.ended_abnormally_by_backend()
    }

    #[test]
    fn a_backend_that_leaves_without_a_close_frame_ended_it_abnormally() {
        let backend = Some(End::Backend);
        let end = (Party::Backend, EndReason::EndOfStream);
        assert!(ended(&[], backend, end));
        assert!(ended(&[], None, (Party::Backend, EndReason::Reset)));
        // The client's reset came only after the backend had left.
        assert!(ended(&[], backend, (Party::Client, EndReason::Reset)));
        let waited = (Party::Backend, EndReason::HalfCloseTimeout);
        assert!(ended(&[], backend, waited));
        for side in [End::Backend, End::Client] {
            assert!(!ended(&[(side, 1000)], backend, end), "{side:?} said 1000");
        }
    }

    #[test]
    fn a_close_frame_with_1011_counts_only_where_the_backend_sent_it_first() {
        let end = (Party::Backend, EndReason::CloseHandshake);
        let (backend, client) = ((End::Backend, 1011), (End::Client, 1011));
        assert!(ended(&[backend, client], None, end));
        assert!(ended(&[backend], Some(End::Client), end));
        assert!(!ended(&[client, backend], None, end));
        assert!(!ended(&[(End::Backend, 1001), client], None, end));
    }

    #[test]
    fn a_client_that_breaks_off_and_an_end_of_ours_are_not_the_backends_fault() {
        let client = Some(End::Client);
        assert!(!ended(&[], None, (Party::Client, EndReason::Reset)));
        let left = (Party::Client, EndReason::EndOfStream);
        assert!(!ended(&[], client, left));
        assert!(!ended(&[], client, (Party::Backend, EndReason::Reset)));
        for reason in EndReason::ALL {
            if !is_of_their_own(*reason) {
                let ours = (Party::Ringway, *reason);
                assert!(!ended(&[], Some(End::Backend), ours), "{reason:?}");
                assert!(!ended(&[(End::Backend, 1011)], None, ours), "{reason:?}");
            }
        }
    }
}
