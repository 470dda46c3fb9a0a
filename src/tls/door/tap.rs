//! Catches the two traffic secrets that rustls shows while it works, and lets none of them stay behind.
//!
//! rustls gives out keys but not the secrets that the next keys come from; those it shows to a [`KeyLog`] only. It does
//! so inside the call that makes them, on the same thread: a slot that is open during that call and empty after it ties
//! secrets to connections without a table.

use std::cell::RefCell;
use std::net::IpAddr;

use rustls::KeyLog;
use zeroize::Zeroizing;

/// The traffic secrets of a TLS 1.3 connection, as far as they are known. Wiped when they are dropped.
#[derive(Default)]
pub(super) struct Secrets {
    /// What the client seals with.
    pub client: Option<Zeroizing<Vec<u8>>>,
    /// What the server seals with.
    pub server: Option<Zeroizing<Vec<u8>>>,
}

impl Secrets {
    fn take_newer(&mut self, newer: Self) {
        self.client = newer.client.or_else(|| self.client.take());
        self.server = newer.server.or_else(|| self.server.take());
    }
}

/// What is known during one call into rustls.
struct Call {
    secrets: Secrets,
    local: Option<IpAddr>,
}

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Calls rustls; secrets that it makes meanwhile go to `secrets`, and it may ask for `local`.
pub(super) fn during<T>(
    secrets: &mut Secrets,
    local: Option<IpAddr>,
    call: impl FnOnce() -> T,
) -> T {
    let _emptied = Slot::open(local);
    let answer = call();
    secrets.take_newer(CALL.take().map(|call| call.secrets).unwrap_or_default());
    answer
}

/// The address that the client of this call came to, if it is known.
pub(super) fn local() -> Option<IpAddr> {
    CALL.with_borrow(|call| call.as_ref().and_then(|call| call.local))
}

/// Empties the slot, also when the call panics.
struct Slot;

impl Slot {
    fn open(local: Option<IpAddr>) -> Self {
        CALL.set(Some(Call {
            secrets: Secrets::default(),
            local,
        }));
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        CALL.set(None);
    }
}

/// What is given to rustls.
#[derive(Debug)]
pub(super) struct Tap;

impl KeyLog for Tap {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        CALL.with_borrow_mut(|call| {
            let Some(call) = call else { return };
            let kept = Some(Zeroizing::new(secret.to_vec()));
            match label {
                CLIENT => call.secrets.client = kept,
                SERVER => call.secrets.server = kept,
                _ => {}
            }
        });
    }

    fn will_log(&self, label: &str) -> bool {
        [CLIENT, SERVER].contains(&label)
    }
}

const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_traffic_secrets_are_caught_and_only_during_a_call() {
        let mut secrets = Secrets::default();
        Tap.log(CLIENT, &[], b"before");
        during(&mut secrets, None, || {
            Tap.log("EXPORTER_SECRET", &[], b"never");
            Tap.log("CLIENT_RANDOM", &[], b"never");
            Tap.log(SERVER, &[], b"server");
        });
        Tap.log(CLIENT, &[], b"after");
        assert!(secrets.client.is_none());
        assert_eq!(**secrets.server.as_ref().unwrap(), *b"server");
        assert!(CALL.with_borrow(Option::is_none));
    }

    #[test]
    fn a_call_that_panics_leaves_nothing_behind() {
        let caught = std::panic::catch_unwind(|| {
            during(&mut Secrets::default(), None, || {
                Tap.log(CLIENT, &[], b"secret");
                panic!("in rustls");
            });
        });
        assert!(caught.is_err());
        assert!(CALL.with_borrow(Option::is_none));
    }

    #[test]
    fn what_was_caught_before_stays_until_it_is_made_anew() {
        let mut secrets = Secrets::default();
        during(&mut secrets, None, || Tap.log(SERVER, &[], b"one"));
        during(&mut secrets, None, || Tap.log(CLIENT, &[], b"two"));
        assert_eq!(**secrets.server.as_ref().unwrap(), *b"one");
        assert_eq!(**secrets.client.as_ref().unwrap(), *b"two");
    }
}
