//! Key schedules that are ready for use. Only tunnels with traffic have them; they are made anew when there is some.

use aws_lc_rs::aead::{LessSafeKey, UnboundKey};

use super::cipher::{self, NONCE_BYTES};
use super::half::Half;

/// The schedules of one session's keys, some 600 bytes each where the cipher is AES. Made when a record is opened or
/// sealed, wiped when they are dropped.
#[derive(Default)]
pub struct Keys {
    pub(super) tx: Warm,
    pub(super) rx: Warm,
}

/// One direction's schedule, if there is one.
#[derive(Default)]
pub(super) struct Warm(Option<(LessSafeKey, [u8; NONCE_BYTES])>);

impl Keys {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            tx: Warm(None),
            rx: Warm(None),
        }
    }

    /// Drops them. What is opened or sealed next makes them again, in some 100 ns each.
    pub fn cool(&mut self) {
        *self = Self::new();
    }

    /// Whether there are any.
    pub const fn is_warm(&self) -> bool {
        self.tx.is_ready() || self.rx.is_ready()
    }
}

impl Warm {
    /// The schedule of this half. One of another half, told by its nonce mask, is replaced: to seal with it under this
    /// half's numbers could use a nonce twice.
    pub(super) fn of(&mut self, half: &Half) -> &LessSafeKey {
        if self.0.as_ref().is_some_and(|(_, iv)| *iv != half.iv) {
            self.0 = None;
        }
        let (key, _) = self.0.get_or_insert_with(|| {
            let key = UnboundKey::new(cipher::algorithm(half.suite), half.key())
                .expect("invariant: a half's key is as long as its suite wants");
            (LessSafeKey::new(key), half.iv)
        });
        key
    }

    /// Whether there is one.
    pub(super) const fn is_ready(&self) -> bool {
        self.0.is_some()
    }

    /// Drops it.
    pub(super) fn cool(&mut self) {
        self.0 = None;
    }
}
