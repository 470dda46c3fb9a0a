//! Ringway: a WebSocket-first load balancer for bare-metal Linux.
//!
//! Each pinned core owns an accept queue, a glommio executor and one io_uring. A connection is greeted
//! by an async task, then becomes a tunnel: a slab entry to which completions are dispatched inline.
//!
//! Rooms stand in one line, and a room imports only from rooms to its left
//! (`cargo test --test architecture` checks it):
//!
//! ```text
//! limits sync clock rng | sys ring simd | metrics | http ws tls | fleet balance health access_log
//!     | upstream relay worker | config control admin | cli
//! ```

pub mod clock;
pub mod limits;
pub mod rng;
pub mod sync;

pub mod ring;
pub mod simd;
pub mod sys;

pub mod metrics;

pub mod http;
pub mod tls;
pub mod ws;

pub mod access_log;
pub mod balance;
pub mod fleet;
pub mod health;

pub mod relay;
pub mod upstream;
pub mod worker;

pub mod admin;
pub mod config;
pub mod control;

pub mod cli;
