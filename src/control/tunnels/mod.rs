//! Asks workers about single tunnels, each for so long and no longer. One that is dead or too busy is named instead.

mod id;
mod rows;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

pub use id::{NoTunnelId, TunnelId};
pub use rows::{Carried, OpenTunnel, SeenFrame, TunnelList, TunnelTail};

use super::names::NameBook;
use super::requests::{FleetHandle, FleetRequest};
use crate::clock::{self, Now};
use crate::limits;
use crate::relay::{Answer, Asks, Question, TailOptions, TunnelRow};
use crate::sync::Arc;

/// Which tunnels are wanted; what is nothing may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelQuery {
    /// Those of one worker.
    pub worker: Option<u16>,
    /// Those of the route with this name.
    pub route: Option<String>,
    /// Those of the backends with this name, whatever their pools.
    pub backend: Option<String>,
    /// No more than so many.
    pub limit: usize,
}

/// Why a question about tunnels has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskRefused {
    /// There is no worker of this number; the second is the last.
    #[error("worker: expected 0 to {1}, found {0}")]
    NoWorker(u16, usize),
    /// There is no such tunnel, or not any more.
    #[error("there is no tunnel {0}, or it has ended")]
    NoTunnel(TunnelId),
    /// The worker keeps as many tails as it may.
    #[error(
        "worker {0} keeps the frames of {max} tunnels already; it forgets what nobody has asked for in a minute or two",
        max = limits::TAILS_MAX
    )]
    TooManyTails(u16),
    /// The worker did not answer in time, or died.
    #[error("worker {0} did not answer: it has just died, or is too busy; ask again")]
    Unanswered(u16),
    /// Ringway is going down.
    #[error("Ringway is going down")]
    Gone,
}

/// How many questions each worker may have at a time, the place being its number.
pub(super) type Places = Arc<[Arc<Semaphore>]>;

/// Places for the questions to so many workers.
pub(super) fn places(workers: usize) -> Places {
    let places = || Arc::new(Semaphore::new(limits::WORKER_QUESTIONS_MAX));
    (0..workers).map(|_| places()).collect()
}

impl FleetHandle {
    /// The tunnels that are open and match.
    pub async fn tunnels(&self, wanted: &TunnelQuery) -> Result<TunnelList, AskRefused> {
        let workers = self.places.len();
        let mut search = Search {
            wanted,
            // There are as many as numbers for them, or fewer.
            workers: (0..=u16::MAX).take(workers).collect(),
            list: TunnelList::default(),
        };
        if let Some(worker) = wanted.worker {
            if usize::from(worker) >= workers {
                return Err(AskRefused::NoWorker(worker, workers.saturating_sub(1)));
            }
            search.workers = [worker].into();
        }
        if self.requests.is_closed() {
            return Err(AskRefused::Gone);
        }
        let is_over = timeout(limits::TUNNELS_SEARCH_MAX, search.run(self)).await;
        let Search {
            workers, mut list, ..
        } = search;
        if is_over.is_err() {
            list.more = true;
            list.unanswered.extend(workers);
        }
        Ok(list)
    }

    /// The latest frames of a tunnel, those that come while one waits included. They are kept from the first question
    /// on, so that one is answered with none unless it waits.
    pub async fn tail(
        &self,
        id: TunnelId,
        options: TailOptions,
        wait: Duration,
    ) -> Result<TunnelTail, AskRefused> {
        if self.requests.is_closed() {
            return Err(AskRefused::Gone);
        }
        let mut frames = self.ask_tail(id, options).await?;
        if !wait.is_zero() {
            sleep(wait).await;
            frames = self.ask_tail(id, options).await?;
        }
        Ok(TunnelTail {
            id: id.to_string(),
            frames,
        })
    }

    async fn ask_tail(
        &self,
        id: TunnelId,
        options: TailOptions,
    ) -> Result<Vec<SeenFrame>, AskRefused> {
        let TunnelId {
            worker,
            place,
            generation,
        } = id;
        if usize::from(worker) >= self.places.len() {
            return Err(AskRefused::NoTunnel(id));
        }
        let asks = Asks::Tail {
            place,
            generation,
            options,
        };
        match self.ask(worker, asks).await {
            Some(Answer::Tail(frames)) => {
                let moment = (Now::read(), clock::unix_millis());
                let frames = frames.into_iter();
                Ok(frames
                    .map(|frame| SeenFrame::new(frame, options.payload, moment))
                    .collect())
            }
            Some(Answer::NoTunnel) => Err(AskRefused::NoTunnel(id)),
            Some(Answer::TooManyTails) => Err(AskRefused::TooManyTails(worker)),
            Some(Answer::Tunnels { .. }) | None => Err(AskRefused::Unanswered(worker)),
        }
    }

    /// Asks one worker. Nothing if it does not answer in time, or cannot any more.
    async fn ask(&self, worker: u16, asks: Asks) -> Option<Answer> {
        let asking = async {
            let places = self.places.get(usize::from(worker))?;
            let place = Arc::clone(places).acquire_owned().await.ok()?;
            let (answer, mut answered) = mpsc::channel(1);
            let way = WayBack {
                answer,
                _place: place,
            };
            let question = Question {
                asks,
                answer: Arc::new(move |answer| way.take(answer)),
            };
            let request = FleetRequest::Ask { worker, question };
            self.requests.send(request).await.ok()?;
            // Dropped unanswered, it ends this at once.
            answered.recv().await
        };
        timeout(limits::WORKER_ANSWER_MAX, asking).await.ok()?
    }
}

/// The way back of one question. It has its place until the worker has answered it, or has left it behind: a worker
/// that hangs is never sent more than it may have, however often one asks.
struct WayBack {
    answer: mpsc::Sender<Answer>,
    _place: OwnedSemaphorePermit,
}

impl WayBack {
    /// Called by the worker, and never waits.
    fn take(&self, answer: Answer) {
        // Whoever asked may have left.
        let _ = self.answer.try_send(answer);
    }
}

/// A search under way.
struct Search<'a> {
    wanted: &'a TunnelQuery,
    /// Workers that have not told everything.
    workers: VecDeque<u16>,
    list: TunnelList,
}

impl Search<'_> {
    /// Goes through the tables of the workers until there is one tunnel more than is wanted.
    async fn run(&mut self, fleet: &FleetHandle) {
        while let Some(worker) = self.workers.front().copied() {
            if !self.search(fleet, worker).await {
                self.list.unanswered.push(worker);
            }
            self.workers.pop_front();
            if self.list.tunnels.len() > self.wanted.limit {
                self.list.tunnels.truncate(self.wanted.limit);
                self.list.more = true;
                return;
            }
        }
    }

    /// Goes through one worker's table. False if it did not answer.
    async fn search(&mut self, fleet: &FleetHandle, worker: u16) -> bool {
        let mut from = 0;
        for _ in 0..limits::TUNNELS_ROUNDS_MAX {
            let answer = fleet.ask(worker, Asks::Tunnels { from }).await;
            let Some(Answer::Tunnels { rows, next }) = answer else {
                return false;
            };
            let room = (self.wanted.limit + 1).saturating_sub(self.list.tunnels.len());
            let names = &fleet.names;
            let matching = rows
                .iter()
                .filter(|row| self.wanted.wants(row, names))
                .take(room);
            let tunnels = matching.map(|row| OpenTunnel::new(worker, row, names));
            self.list.tunnels.extend(tunnels);
            let is_enough = self.list.tunnels.len() > self.wanted.limit;
            match next {
                Some(next) if !is_enough => from = next,
                _ => return true,
            }
        }
        self.list.more = true;
        true
    }
}

impl TunnelQuery {
    fn wants(&self, row: &TunnelRow, names: &NameBook) -> bool {
        let (route, backend) = (self.route.as_deref(), self.backend.as_deref());
        route.is_none_or(|wanted| wanted == rows::route(row, names))
            && backend.is_none_or(|wanted| wanted == rows::backend(row, names))
    }
}

#[cfg(test)]
mod tests;
