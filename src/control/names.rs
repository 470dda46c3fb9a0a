//! The names of routes, backends and their pools for whoever reads them, by their numbers.

use std::borrow::Cow;

use arc_swap::ArcSwap;

use crate::access_log::Names;
use crate::fleet::{BackendId, Snapshot};
use crate::sync::Arc;

/// Every name so far. One that has left keeps its name until its number goes to another: a tunnel that ends
/// later is logged under the name it had.
#[derive(Debug, Clone, Default)]
struct Book {
    routes: Vec<Option<Arc<str>>>,
    backends: Vec<Option<Arc<str>>>,
    /// The pool of each backend.
    pools: Vec<Option<Arc<str>>>,
}

/// The book, shared by whoever writes it with the log's writer.
#[derive(Debug, Clone, Default)]
pub(super) struct NameBook(Arc<ArcSwap<Book>>);

impl NameBook {
    /// One with the names of a first snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let book = Self::default();
        book.follow(snapshot);
        book
    }

    /// Adds the names of a snapshot.
    pub(super) fn follow(&self, snapshot: &Snapshot) {
        let mut book = Book::clone(&self.0.load());
        for route in &snapshot.routes {
            enter(&mut book.routes, usize::from(route.id.0), &route.name);
        }
        for pool in &snapshot.pools {
            for member in pool.backends.iter() {
                enter(&mut book.backends, member.id.index(), &member.name);
                enter(&mut book.pools, member.id.index(), &pool.name);
            }
        }
        self.0.store(Arc::new(book));
    }

    /// The pool that a backend is in, or was in when it left.
    pub(super) fn pool(&self, backend: BackendId) -> Option<Cow<'static, str>> {
        name(&self.0.load().pools, backend.0)
    }
}

fn enter(names: &mut Vec<Option<Arc<str>>>, place: usize, name: &Arc<str>) {
    names.resize(names.len().max(place + 1), None);
    names[place] = Some(Arc::clone(name));
}

fn name(names: &[Option<Arc<str>>], place: u16) -> Option<Cow<'static, str>> {
    let name = names.get(usize::from(place))?.as_deref()?;
    Some(Cow::Owned(name.to_owned()))
}

impl Names for NameBook {
    fn route(&self, id: u16) -> Option<Cow<'_, str>> {
        name(&self.0.load().routes, id)
    }

    fn backend(&self, id: u16) -> Option<Cow<'_, str>> {
        name(&self.0.load().backends, id)
    }
}
