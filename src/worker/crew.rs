//! The greeters at work, kept where a worker that ends can find them. The executor forgets the tasks it did
//! not finish, and with them would go the sockets they hold.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use slab::Slab;

/// All greeters of one core.
#[derive(Default)]
pub(super) struct Crew {
    places: RefCell<Slab<Place>>,
}

/// Where one greeter works; empty once it was dismissed.
type Place = Rc<RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>>;

impl Crew {
    /// Keeps `greeter` until it is done or dismissed. What comes back does its work, for a task to run.
    pub(super) fn keep(
        self: &Rc<Self>,
        greeter: impl Future<Output = ()> + 'static,
    ) -> impl Future<Output = ()> + 'static {
        let place: Place = Rc::new(RefCell::new(Some(Box::pin(greeter))));
        let key = self.places.borrow_mut().insert(Rc::clone(&place));
        let crew = Rc::clone(self);
        async move {
            poll_fn(|context| match &mut *place.borrow_mut() {
                Some(greeter) => greeter.as_mut().poll(context),
                None => Poll::Ready(()),
            })
            .await;
            crew.places.borrow_mut().try_remove(key);
        }
    }

    /// Drops every greeter with all it holds. Nobody may be at work.
    pub(super) fn dismiss(&self) {
        for (_, place) in self.places.take() {
            drop(place.take());
        }
    }
}
