//! The backends one client was already sent to in vain.

use crate::fleet::BackendId;
use crate::limits::CONNECT_TRIES_MAX;

/// A set of at most [`CONNECT_TRIES_MAX`] backends, inline and without allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    ids: [Option<BackendId>; CONNECT_TRIES_MAX as usize],
}

impl Tried {
    /// Nobody yet.
    pub const fn none() -> Self {
        Self {
            ids: [None; CONNECT_TRIES_MAX as usize],
        }
    }

    /// Remembers a backend; false if it was known or there is no room, so that a loop of tries always ends.
    pub fn insert(&mut self, id: BackendId) -> bool {
        if self.contains(id) {
            return false;
        }
        match self.ids.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(id);
                true
            }
            None => false,
        }
    }

    /// Whether this backend was tried.
    pub fn contains(&self, id: BackendId) -> bool {
        self.ids.contains(&Some(id))
    }

    /// How many were tried.
    pub fn len(&self) -> usize {
        self.ids.iter().flatten().count()
    }

    /// Whether nobody was tried.
    pub fn is_empty(&self) -> bool {
        self.ids[0].is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_takes_each_backend_once_and_no_more_than_its_bound() {
        let mut tried = Tried::none();
        assert!(tried.is_empty());
        for id in 0..u16::from(CONNECT_TRIES_MAX) {
            assert!(tried.insert(BackendId(id)));
            assert!(!tried.insert(BackendId(id)));
        }
        assert_eq!(tried.len(), usize::from(CONNECT_TRIES_MAX));
        assert!(!tried.insert(BackendId(99)));
        assert!(tried.contains(BackendId(0)));
        assert!(!tried.contains(BackendId(99)));
    }
}
