//! What a route does that decides by a client's first message. Plain values, checked by `config`.

use std::time::Duration;

use super::ids::PoolId;
use super::pointer::JsonPointer;
use crate::sync::Arc;

/// A route that decides by what the client says first: it gets its 101 from Ringway, and a backend is looked for when
/// its first message has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstMessage {
    /// Where in that message, a JSON text, the deciding value stands.
    pub pointer: JsonPointer,
    /// What it decides.
    pub decides: Decides,
    /// What happens to a client whose message does not say: true sends it to the route's own pool, by that
    /// pool's own key where it hashes; false closes it with 1008.
    pub may_be_missing: bool,
    /// The longest first message, in bytes of payload.
    pub bytes_max: u32,
    /// How long it may take, from the 101 on.
    pub timeout: Duration,
    /// The subprotocol in our 101, for clients that offer it.
    pub subprotocol: Option<Arc<str>>,
}

/// What the value in a first message decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decides {
    /// The backend, in a pool that hashes.
    Backend,
    /// The pool: that of the value, or none of these.
    Pool(Vec<(Arc<str>, PoolId)>),
}
