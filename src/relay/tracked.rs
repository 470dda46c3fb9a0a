//! What of an outbox waits in its tracks: whole frames behind the line, where somebody looks at them.

use super::outbox::{Outbox, whole};
use super::tracks::Tracks;
use crate::ws::Ends;

impl Outbox {
    /// Leaves out the oldest whole messages in the tracks until no more than `most` bytes wait there. Returns how many.
    pub(super) fn keep_newest(&mut self, most: u32) -> u64 {
        self.tracks
            .as_mut()
            .map_or(0, |tracks| tracks.keep_newest(most as usize))
    }

    /// Leaves out all that waits in the tracks. Whether a frame may follow what is left.
    pub(super) fn clear_tracks(&mut self) -> bool {
        match &mut self.tracks {
            Some(tracks) => tracks.clear_to_boundary(),
            None => self.last_ends != Ends::Nothing,
        }
    }

    /// Whether nobody needs to know any more where frames end in it.
    pub(super) const fn is_plain(&self) -> bool {
        self.tracks.is_none()
    }

    /// Bytes that wait in the tracks.
    pub(super) fn in_tracks(&self) -> usize {
        self.tracks.as_ref().map_or(0, |tracks| tracks.bytes())
    }

    /// Takes about so many bytes out of the tracks, behind what is in line.
    pub(super) fn refill(&mut self, turn: usize) {
        let Some(tracks) = &mut self.tracks else {
            return;
        };
        if tracks.is_empty() {
            return;
        }
        let before = self.waiting.len();
        tracks.refill(&mut self.waiting, turn);
        self.copied += whole(self.waiting.len() - before);
        self.last_ends = tracks.last_ends();
        if tracks.is_over() {
            self.tracks = None;
        }
    }

    /// Puts a Close frame of ours behind everything else. False if it cannot go, because the rest of a frame has not
    /// come.
    pub(super) fn push_last(&mut self, frame: &[u8]) -> bool {
        match &mut self.tracks {
            None => self.push_copy(frame),
            Some(tracks) if tracks.ends_at_boundary() => tracks.push(frame, Ends::Close),
            Some(_) => return false,
        }
        true
    }

    pub(super) fn tracks(&mut self) -> &mut Tracks {
        let last_ends = self.last_ends;
        self.tracks
            .get_or_insert_with(|| Box::new(Tracks::behind(last_ends)))
    }
}
