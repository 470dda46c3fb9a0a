//! Bounds of what is asked about single tunnels: by whom, how often, how long.

use std::time::Duration;

use super::settings::count;
use super::{
    ADMIN_CONNECTION_MAX, CLOSE_LOOKS_MAX, MAILBOX_COMMANDS, REMOTE_TIMEOUT, Setting,
    TAIL_UNASKED_MAX, TAIL_WAIT_MAX, TUNNELS_LISTED_MAX, TUNNELS_MAX,
};

/// How long a worker may take for one answer. It looks at its mail after every batch, so this is some hundred times as
/// long as it takes.
pub const WORKER_ANSWER_MAX: Duration = Duration::from_secs(1);
/// Questions that wait in one worker's mailbox or are being answered. Orders find room beside them.
pub const WORKER_QUESTIONS_MAX: usize = 4;
/// How many tunnels one asks for.
pub const TUNNELS_LIMIT: Setting<u32> = count(100, 1, 1_000);
/// How long one may search through the tables of all workers for tunnels that match.
pub const TUNNELS_SEARCH_MAX: Duration = Duration::from_secs(3);
/// Questions that it takes to search through the table of one worker: each answer is full, or has looked at
/// [`CLOSE_LOOKS_MAX`] places.
pub const TUNNELS_ROUNDS_MAX: usize = 2_048;
/// Of how many frames a tail shows one, at most.
pub const TAIL_EVERY_MAX: u32 = 1_000_000;
/// How long `ringway tail` lets frames gather before it shows them.
pub const TAIL_POLL: Duration = Duration::from_secs(1);
/// How often in a row it asks a worker again that did not answer: altogether no longer than frames are kept for.
pub const TAIL_RETRIES_MAX: u32 = 5;

const _: () = assert!(2 * WORKER_QUESTIONS_MAX <= MAILBOX_COMMANDS);
const _: () = assert!(TUNNELS_LIMIT.most as usize <= TUNNELS_LISTED_MAX);
const _: () = assert!(
    TUNNELS_MAX.most as usize / TUNNELS_LISTED_MAX + TUNNELS_MAX.most as usize / CLOSE_LOOKS_MAX
        < TUNNELS_ROUNDS_MAX
);
const _: () = assert!(
    TAIL_WAIT_MAX.as_secs() + 2 * WORKER_ANSWER_MAX.as_secs() < ADMIN_CONNECTION_MAX.as_secs(),
    "whoever waits for a tail gets it"
);
const _: () = assert!(TAIL_POLL.as_secs() <= TAIL_WAIT_MAX.as_secs());
const _: () = assert!(
    TAIL_RETRIES_MAX as u64 * (2 * TAIL_POLL.as_secs() + 2 * WORKER_ANSWER_MAX.as_secs())
        < TAIL_UNASKED_MAX.as_secs()
);
const _: () = assert!(
    TAIL_POLL.as_secs() + 2 * WORKER_ANSWER_MAX.as_secs() < REMOTE_TIMEOUT.as_secs(),
    "the command hears the answer"
);
const _: () = assert!(TUNNELS_SEARCH_MAX.as_secs() < REMOTE_TIMEOUT.as_secs());
const _: () = assert!(REMOTE_TIMEOUT.as_secs() < ADMIN_CONNECTION_MAX.as_secs());
