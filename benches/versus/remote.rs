//! The generator's side of an agent on the proxy's host: orders go out as a line, answers come back as a line of JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::host::Host;

/// Where an agent listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agent(pub(crate) SocketAddr);

/// What an agent answers to `who`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Who {
    pub(crate) host: Host,
    pub(crate) proxies: Vec<Known>,
}

/// A proxy that an agent can start.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Known {
    /// The word to start it by.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) version: String,
}

/// What an agent answers to `start`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Started {
    pub(crate) listen: SocketAddr,
    pub(crate) backend: SocketAddr,
    pub(crate) config: String,
}

impl Agent {
    /// Gives an order and reads the answer.
    pub(crate) fn order<T: serde::de::DeserializeOwned>(self, order: &str) -> anyhow::Result<T> {
        let mut socket = TcpStream::connect_timeout(&self.0, PATIENCE)
            .with_context(|| format!("asking the agent at {}", self.0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(format!("{order}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(socket.take(ANSWER_BYTES_MAX)).read_line(&mut line)?;
        let value: serde_json::Value = serde_json::from_str(&line)
            .with_context(|| format!("the agent at {} answered {line:?}", self.0))?;
        if let Some(why) = value.get("error") {
            bail!("the agent at {}: {why}", self.0);
        }
        serde_json::from_value(value).context("reading the agent's answer")
    }
}

/// Longer than a proxy may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// A configuration, and some.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
