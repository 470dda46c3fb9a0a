//! What the control thread of a Ringway in this process says about its backends.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::net::SocketAddr;
use std::time::Duration;

use ringway::clock::Now;
use ringway::control::{BackendRow, Running};

use crate::support::PATIENCE;

/// Waits for an answer of the control thread.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await.unwrap() })
}

/// Every backend's row.
pub fn rows(ringway: &Running) -> Vec<BackendRow> {
    wait(ringway.fleet().rows()).unwrap()
}

/// The row of this backend.
pub fn row(ringway: &Running, backend: SocketAddr) -> BackendRow {
    let name = backend.to_string();
    let mut rows = rows(ringway).into_iter();
    rows.find(|row| row.backend == name).unwrap()
}

/// Waits until this backend's row is as wanted.
pub fn wait_for_row(
    ringway: &Running,
    backend: SocketAddr,
    wanted: impl Fn(&BackendRow) -> bool,
) -> BackendRow {
    let deadline = Now::read().after(PATIENCE);
    loop {
        let row = row(ringway, backend);
        if wanted(&row) {
            return row;
        }
        assert!(Now::read() < deadline, "it never came: {row:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// How many handshakes with this backend have failed.
pub fn failures(row: &BackendRow) -> u64 {
    row.failures.values().sum()
}
