//! From a request to a connected backend: the choice, the wait while all are full, the tries.

use std::os::fd::BorrowedFd;

use super::greet::{Greeter, Stop};
use super::lobby::{Lobby, Place};
use crate::clock::Now;
use crate::metrics::Refusal;
use crate::ring::Leaving;
use crate::upstream::{Chosen, Dialled, NoChoice, Search};

/// A client's socket, and what counts as its leaving.
pub(super) type Client<'a> = (BorrowedFd<'a>, Leaving);

impl From<NoChoice> for Stop {
    fn from(none: NoChoice) -> Self {
        match none {
            NoChoice::Full => Refusal::BackendsFull.into(),
            NoChoice::Refuse(refusal, detail) => Self::Refuse(refusal, detail),
        }
    }
}

impl Greeter {
    /// Connects to the next backend of the search that takes the connection.
    pub(super) async fn reach<'a>(
        &self,
        client: Client<'_>,
        search: &mut Search<'a>,
        lobby: &Lobby,
    ) -> Result<Dialled<'a>, Stop> {
        loop {
            let chosen = self.choose(client, search, lobby).await?;
            if let Some(dialled) = search.connect(&self.caller, chosen).await {
                return Ok(dialled);
            }
        }
    }

    /// The next backend of the search; waits in line while all are full. A newcomer stands behind those who wait; who
    /// was sent away by a backend has had its turn and does not.
    async fn choose<'a>(
        &self,
        client: Client<'_>,
        search: &mut Search<'a>,
        lobby: &Lobby,
    ) -> Result<Chosen<'a>, Stop> {
        let now = Now::read();
        if lobby.is_empty() || !search.is_fresh() {
            match search.choose(now) {
                Err(NoChoice::Full) => {}
                decided => return decided.map_err(Stop::from),
            }
        }
        let room = search.pool().waiting_room;
        let deadline = now.after(room.timeout);
        let counters = &self.floor.counters;
        let place = lobby
            .join(room.places, deadline, counters)
            .ok_or(NoChoice::Full)?;
        self.floor.look_at_lobbies(now);
        self.wait(client, search, place).await
    }

    async fn wait<'a>(
        &self,
        client: Client<'_>,
        search: &mut Search<'a>,
        place: Place<'_>,
    ) -> Result<Chosen<'a>, Stop> {
        let handle = self.caller.handle();
        loop {
            let call_off = || place.call_off();
            if handle
                .unless_left(client, place.called(), call_off)
                .await
                .is_none()
            {
                self.floor.counters.abandoned.add(1);
                return Err(Stop::Over);
            }
            if self.floor.draining.get() {
                return Err(Refusal::Draining.into());
            }
            let now = Now::read();
            if place.is_first() {
                match search.choose(now) {
                    Err(NoChoice::Full) => {}
                    decided => return decided.map_err(Stop::from),
                }
            }
            if now >= place.deadline {
                return Err(Refusal::WaitingTimeout.into());
            }
        }
    }
}
