//! Bounds of what looks into frames: what is held back, what may be set, what is remembered.

use std::time::Duration;

use super::settings::{HOUR, MINUTE, SECOND, count, millis};
use super::{
    CONTROL_FRAME_BYTES_MAX, CONTROL_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES_MAX, OUTBOX_HIGH_BYTES,
    OUTBOX_SPARE_BYTES, Setting,
};

// --- What is held back ---

/// A text frame of up to so many bytes is held back until its text is known to be good, so that nothing of a bad one
/// reaches the other side. Longer ones stream: most messages of chat, trading and games are shorter.
pub const WHOLE_FRAME_BYTES_MAX: usize = 4 * 1024;
/// What the headers of one message may take that is held back until it is whole: some 10,000 fragments. Without it
/// empty fragments could be held for ever.
pub const HELD_HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// Memory that is taken for a half message at first: a frame that is held back for its text fits.
pub const HELD_SPARE_BYTES_LEAST: usize = WHOLE_FRAME_BYTES_MAX + FRAME_HEADER_BYTES_MAX;
/// Memory for half messages that is kept when they are whole, at most so large each: what an outbox lends out too, so
/// that each may take it over from the other.
pub const HELD_SPARE_BYTES_MAX: usize = OUTBOX_SPARE_BYTES;
/// So many of them are kept: half a MiB a core.
pub const HELD_SPARES_MAX: usize = 8;
/// Memory for short starts of frames that stand in line before their rest, which is kept when they are out: about what
/// one batch of a busy core brings, a quarter MiB a core.
pub const LINED_UP_SPARES_MAX: usize = 64;
/// So many of them stand ready from the start.
pub const LINED_UP_SPARES_READY: usize = 8;
/// What one vectored send may copy between its chunks: two such starts, or one for each chunk where frames are short.
pub const BETWEEN_CHUNKS_BYTES_MAX: usize = 2 * HELD_SPARE_BYTES_LEAST;
/// What was held back is handed on without another copy from here on; less is copied as fast as memory is swapped.
pub const TAKEN_OVER_BYTES: usize = 8 * 1024;
/// What all half messages of one worker may take, in memory. Whoever would hold more back than is left is closed with
/// 1013, so a crowd that sends half messages cannot take the host's memory; but for a short frame there always is room.
pub const ASSEMBLY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long a frame or a message that is held back may take to become whole. A phone on a bad link needs a while for a
/// picture; half a message that is never finished holds its memory no longer than this.
pub const MESSAGE_TIMEOUT: Setting<Duration> = millis(30 * SECOND, 100, HOUR);

// --- The firewall ---

/// The longest frame or message that a route lets through, if it has a bound; at least a full control frame's payload,
/// at most the largest power of two that 32 bits count. Whoever wants more wants none: "off".
pub const FRAME_BYTES: (u32, u32) = (125, 1 << 31);
/// The longest message where messages are held back until they are whole. A picture fits; a thousand of them under way
/// are what one worker may hold.
pub const HELD_MESSAGE_BYTES: Setting<u32> = count(256 * 1024, FRAME_BYTES.0, 16 * 1024 * 1024);
/// Frames of one message.
pub const FRAGMENTS: (u32, u32) = (1, 1_000_000);
/// Control frames of one side in a second.
pub const CONTROL_PER_SECOND: (u32, u32) = (1, 100_000);
/// Rates of one route: each is looked at for every message.
pub const RATES_MAX: usize = 4;
/// Messages in a second.
pub const MESSAGES_PER_SECOND: (u32, u32) = (1, 10_000_000);
/// Bytes in a second.
pub const BYTES_PER_SECOND: (u32, u32) = (1024, 1 << 31);
/// What a bucket holds, as the time it takes to fill.
pub const RATE_BURST: Setting<Duration> = millis(SECOND, 10, HOUR);
/// Values of sources, headers and cookies whose rates one worker remembers at once; some 100 bytes each. A new one
/// beyond them is refused at its handshake.
pub const RATE_KEYS_MAX: usize = 256 * 1024;

// --- Heartbeats ---

/// How long a side may be silent before it is asked whether it lives. Off unless it is set.
pub const HEARTBEAT: Setting<Duration> = millis(30 * SECOND, SECOND, HOUR);
/// How much of it chance adds or takes: clients that connected together are not all asked together.
pub const HEARTBEAT_JITTER_PERCENT: Setting<u32> = count(10, 0, 50);
/// Pings in a row without a sign of life.
pub const HEARTBEAT_MISSES: Setting<u32> = count(2, 1, 100);

// --- Slow consumers ---

/// What waits for a slow consumer under any rule but backpressure.
pub const SLOW_QUEUE_BYTES: Setting<u32> = count(64 * 1024, 4 * 1024, 16 * 1024 * 1024);
/// Copied bytes that an outbox takes before what follows waits in tracks, where a control frame may overtake it; also
/// what the tracks give it at a time.
pub const TRACK_TURN_BYTES: u32 = OUTBOX_HIGH_BYTES / 2;
/// Control frames that wait in their track. Beyond it the oldest of ours and of the peer's Pongs go: only the newest
/// Ping needs an answer (RFC 6455 section 5.5.3).
pub const CONTROL_TRACK_BYTES_MAX: usize = 4 * 1024;

// --- The tail of one tunnel ---

/// Frames that a tail keeps; some 100 bytes each.
pub const TAIL_FRAMES_MAX: usize = 256;
/// How much of a payload shows its shape.
pub const TAIL_PAYLOAD_BYTES_MAX: usize = 64;
/// A tail that nobody asks for is given up after so long.
pub const TAIL_UNASKED_MAX: Duration = Duration::from_mins(1);
/// Tails that one worker keeps at a time.
pub const TAILS_MAX: usize = 64;
/// How long whoever asks for a tail may wait for frames to come.
pub const TAIL_WAIT_MAX: Duration = Duration::from_secs(5);
/// Tunnels that one answer lists.
pub const TUNNELS_LISTED_MAX: usize = 1_000;

// --- The first message ---

/// The longest first message of a route that decides by it.
pub const FIRST_MESSAGE_BYTES: Setting<u32> = count(16 * 1024, 64, 1024 * 1024);
/// How long it may take.
pub const FIRST_MESSAGE_TIMEOUT: Setting<Duration> = millis(5 * SECOND, 100, 5 * MINUTE);
/// What first messages may take on one worker, those of all clients that are waited for; beyond it one gets 1013.
pub const FIRST_MESSAGES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How often whoever waits for a first message looks whether Ringway is going down.
pub const FIRST_MESSAGE_LOOK: Duration = Duration::from_millis(250);
/// Values that lead to a pool each.
pub const FIRST_MESSAGE_POOLS_MAX: usize = 1024;

const _: () = assert!(FRAME_BYTES.0 as usize == CONTROL_PAYLOAD_BYTES_MAX);
const _: () = assert!(TRACK_TURN_BYTES < OUTBOX_HIGH_BYTES);
const _: () = assert!(CONTROL_TRACK_BYTES_MAX > 2 * CONTROL_FRAME_BYTES_MAX);
const _: () = assert!((HELD_MESSAGE_BYTES.most as usize) * 8 <= ASSEMBLY_BYTES_MAX);
