//! Tells the service manager (systemd) how it goes: ready, reading its file again, going down. Where there is none, nothing.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::limits;

/// The way to the service manager, which named a socket in `NOTIFY_SOCKET` if it wants to hear.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manager {
    /// Whether we are the service.
    is_ours: bool,
}

impl Manager {
    /// One that hears nothing, if we are not the service.
    pub(super) const fn new(is_ours: bool) -> Self {
        Self { is_ours }
    }

    /// Connections are accepted: whoever waits for us may start. Also the end of a reload, whether it was taken or not.
    pub(super) fn ready(self, status: &str) {
        self.say(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The file is read again. The time tells a manager that waits for it (`Type=notify-reload`) which reload this is.
    pub(super) fn reloading(self) {
        let Ok(now) = NotifyState::monotonic_usec_now() else {
            return;
        };
        self.say(&[NotifyState::Reloading, now]);
    }

    /// Goes down, for at most the drain's `deadline`. A manager that has less patience by its own setting
    /// (`TimeoutStopSec=`) gets more here: cutting tunnels off is the deadline's business.
    pub(super) fn stopping(self, deadline: Duration) {
        let patience = deadline + limits::STOP_MARGIN;
        let extension = format!("EXTEND_TIMEOUT_USEC={}", patience.as_micros());
        let status = format!("draining for at most {} s", deadline.as_secs());
        self.say(&[
            NotifyState::Stopping,
            NotifyState::Custom(&extension),
            NotifyState::Status(&status),
        ]);
    }

    fn say(self, what: &[NotifyState<'_>]) {
        if !self.is_ours {
            return;
        }
        let said: io::Result<()> = sd_notify::notify(what);
        if let Err(error) = said {
            tracing::warn!("the service manager cannot be told how it goes: {error}");
        }
    }
}
