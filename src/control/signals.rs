//! The signals an operator sends, as things to await.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks Ringway to go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM, as a service manager sends it.
    Terminate,
    /// SIGINT, as a person sends it with Ctrl-C.
    Interrupt,
}

impl StopSignal {
    /// The signal's name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

/// SIGTERM and SIGINT. From [`StopSignals::listen`] on they no longer end the process on their own.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes both signals over.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one: the first call asks for a drain, the second for an end at once. A dropped
    /// wait loses no signal.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

/// SIGHUP, which asks for the log file to be opened anew and the configuration to be read again.
#[derive(Debug)]
pub struct HangUps(Signal);

impl HangUps {
    /// Takes the signal over.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(name: &str) {
        let sent = tokio::process::Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", std::process::id())])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    #[tokio::test]
    async fn a_first_and_a_second_stop_and_a_hang_up_arrive() {
        let mut stops = StopSignals::listen().unwrap();
        let mut hang_ups = HangUps::listen().unwrap();
        send("TERM").await;
        assert_eq!(stops.next().await, StopSignal::Terminate);
        send("INT").await;
        assert_eq!(stops.next().await, StopSignal::Interrupt);
        send("HUP").await;
        hang_ups.next().await;
    }
}
