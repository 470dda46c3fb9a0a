//! A core's receive buffers: which shape they have, and that every one of them comes home.

use std::io;

use io_uring::{IoUring, Submitter, cqueue};

use super::group::{Chunk, Group, GroupOptions};
use crate::limits;

/// The shape of the receive buffers; it decides the speed (ARCHITECTURE.md has the measurements).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Few large buffers that the kernel fills piece by piece (`IOU_PBUF_RING_INC`, kernel 6.12).
    Incremental,
    /// Many small and few large plain buffers; a socket moves to the large ones while its reads fill
    /// small ones (kernel 6.0).
    TwoSize,
    /// Small plain buffers, several to one completion (recv bundles, kernel 6.10).
    Bundle,
}

impl Shape {
    /// The word in the configuration, in `doctor` and in the startup log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::TwoSize => "two-size",
            Self::Bundle => "bundle",
        }
    }
}

/// Which group a receive takes its buffers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The ordinary group.
    Small,
    /// The group of large buffers; the same one where the shape has only one.
    Large,
}

/// How many buffers of which size. `None` takes the shape's own default from [`limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferOptions {
    /// The shape.
    pub shape: Shape,
    /// Buffers in the ordinary group; rounded up to a power of two.
    pub count: Option<u16>,
    /// Bytes in each of them.
    pub bytes: Option<u32>,
}

/// All receive buffers of one core.
#[derive(Debug)]
pub struct Buffers {
    shape: Shape,
    small: Group,
    large: Option<Group>,
}

impl Buffers {
    pub(super) fn register(ring: &IoUring, options: BufferOptions) -> io::Result<Self> {
        let (default_count, default_bytes) = match options.shape {
            Shape::Incremental => (
                limits::INCREMENTAL_BUFFERS,
                limits::INCREMENTAL_BUFFER_BYTES,
            ),
            Shape::TwoSize => (limits::SMALL_BUFFERS, limits::SMALL_BUFFER_BYTES),
            Shape::Bundle => (limits::BUNDLE_BUFFERS, limits::BUNDLE_BUFFER_BYTES),
        };
        let count = options
            .count
            .unwrap_or(default_count)
            .clamp(1, limits::BUFFERS_MAX);
        let small = GroupOptions {
            id: 0,
            first: 0,
            count: count.next_power_of_two(),
            buffer_bytes: options.bytes.unwrap_or(default_bytes),
            incremental: options.shape == Shape::Incremental,
        };
        let large = (options.shape == Shape::TwoSize).then_some(GroupOptions {
            id: 1,
            first: small.count,
            count: limits::LARGE_BUFFERS,
            buffer_bytes: limits::LARGE_BUFFER_BYTES,
            incremental: false,
        });
        Ok(Self {
            shape: options.shape,
            small: Group::register(ring, small)?,
            large: large
                .map(|large| Group::register(ring, large))
                .transpose()?,
        })
    }

    pub(super) fn unregister(&self, submitter: &Submitter<'_>) {
        self.small.unregister(submitter);
        if let Some(large) = &self.large {
            large.unregister(submitter);
        }
    }

    /// The shape in use.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Bytes in a buffer of the lane: a read of so many bytes filled it.
    pub fn lane_bytes(&self, lane: Lane) -> u32 {
        self.lane(lane).buffer_bytes()
    }

    /// How many buffers the kernel may take from in the lane.
    pub fn available(&self, lane: Lane) -> u16 {
        self.lane(lane).with_kernel()
    }

    /// Buffers the kernel holds and buffers there are: equal when every one is home.
    pub fn home_and_total(&self) -> (u32, u32) {
        let groups = || std::iter::once(&self.small).chain(&self.large);
        let home = groups().map(|group| u32::from(group.with_kernel())).sum();
        (home, groups().map(|group| u32::from(group.count())).sum())
    }

    pub(super) fn group_id(&self, lane: Lane) -> u16 {
        self.lane(lane).id()
    }

    /// Takes what a receive brought into the account and appends it to `out` in the order of the stream.
    pub(super) fn take(&mut self, result: i32, flags: u32, out: &mut Vec<Chunk>) {
        let Some(buffer) = cqueue::buffer_select(flags) else {
            return;
        };
        let bundle = self.shape == Shape::Bundle;
        let group = self.group_of_mut(buffer);
        match u32::try_from(result) {
            Ok(bytes) if bytes > 0 && bundle => group.filled_bundle(buffer, bytes, out),
            Ok(bytes) if bytes > 0 => out.push(group.filled(buffer, bytes)),
            // A bundle of no bytes takes no buffer: kernels 6.10 to 6.17 name one that stays at the head.
            _ if bundle => {}
            _ => group.retired_empty(buffer),
        }
    }

    /// The bytes of a chunk.
    pub fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.group_of(chunk.buffer).bytes(chunk)
    }

    /// The bytes of a chunk, to be changed where they stand. No send may name it.
    pub fn bytes_mut(&mut self, chunk: &mut Chunk) -> &mut [u8] {
        self.group_of_mut(chunk.buffer).bytes_mut(chunk)
    }

    /// Gives a chunk back; its buffer returns to the kernel with its last chunk.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a released chunk must not be used again"
    )]
    pub fn release(&mut self, chunk: Chunk) {
        self.group_of_mut(chunk.buffer).release(&chunk);
    }

    pub(super) fn address(&self, chunk: &Chunk, from: u32, bytes: u32) -> *const u8 {
        self.group_of(chunk.buffer).address(chunk, from, bytes)
    }

    fn lane(&self, lane: Lane) -> &Group {
        match (&self.large, lane) {
            (Some(large), Lane::Large) => large,
            _ => &self.small,
        }
    }

    fn group_of(&self, buffer: u16) -> &Group {
        match &self.large {
            Some(large) if large.owns(buffer) => large,
            _ => &self.small,
        }
    }

    fn group_of_mut(&mut self, buffer: u16) -> &mut Group {
        match &mut self.large {
            Some(large) if large.owns(buffer) => large,
            _ => &mut self.small,
        }
    }
}
