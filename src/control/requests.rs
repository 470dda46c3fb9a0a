//! What the control listener may ask of the supervisor, and the way there.

use tokio::sync::{mpsc, oneshot};

use super::names::NameBook;
use super::overseer::{BackendRow, Change, ChangeRefused};
use super::tunnels::{self, Places};
use crate::limits;
use crate::relay::Question;

/// One question or order, with the way back for its answer.
#[derive(Debug)]
pub(super) enum FleetRequest {
    /// Every backend, live.
    Rows(oneshot::Sender<Vec<BackendRow>>),
    /// An order about one backend.
    Change {
        pool: String,
        backend: String,
        change: Change,
        answer: oneshot::Sender<Result<BackendRow, ChangeRefused>>,
    },
    /// Read the file again and follow it.
    Reload(oneshot::Sender<Result<Reloaded, ReloadRefused>>),
    /// A question for one worker. If it cannot be asked, the question is dropped.
    Ask { worker: u16, question: Question },
}

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Settings that have changed and hold only after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// Why a reload changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadRefused {
    /// There is no file, as in a demo.
    #[error("this Ringway was not started from a file")]
    NoFile,
    /// The file is not right; everything stays as it was.
    #[error("nothing was changed: {0}")]
    Mistakes(String),
    /// Ringway is going down.
    #[error("Ringway is going down")]
    Gone,
}

/// The way to the fleet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FleetHandle {
    pub(super) requests: mpsc::Sender<FleetRequest>,
    pub(super) places: Places,
    pub(super) names: NameBook,
}

impl FleetHandle {
    pub(super) fn new(workers: usize, names: NameBook) -> (Self, mpsc::Receiver<FleetRequest>) {
        let (requests, inbox) = mpsc::channel(limits::FLEET_REQUESTS_MAX);
        let handle = Self {
            requests,
            places: tunnels::places(workers),
            names,
        };
        (handle, inbox)
    }

    /// A way that leads nowhere, as when Ringway is down.
    #[doc(hidden)]
    pub fn to_nobody() -> Self {
        Self::new(0, NameBook::default()).0
    }

    /// Every backend, live. Nothing if Ringway is going down.
    pub async fn rows(&self) -> Option<Vec<BackendRow>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(FleetRequest::Rows(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Orders something about a backend. Nothing if Ringway is going down.
    pub async fn change(
        &self,
        pool: String,
        backend: String,
        change: Change,
    ) -> Option<Result<BackendRow, ChangeRefused>> {
        let (answer, answered) = oneshot::channel();
        let request = FleetRequest::Change {
            pool,
            backend,
            change,
            answer,
        };
        self.requests.send(request).await.ok()?;
        answered.await.ok()
    }

    /// Lets the file be read again.
    pub async fn reload(&self) -> Result<Reloaded, ReloadRefused> {
        let (answer, answered) = oneshot::channel();
        let request = FleetRequest::Reload(answer);
        self.requests
            .send(request)
            .await
            .map_err(|_| ReloadRefused::Gone)?;
        answered.await.unwrap_or(Err(ReloadRefused::Gone))
    }
}
