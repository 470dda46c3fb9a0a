//! Echo backends that can be killed: processes of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

/// One of them. It ends when its standard input closes, and at the latest when this is dropped.
pub(crate) struct Mortal {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Mortal {
    pub(crate) fn start(core: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(["echo", "--bind", "127.0.0.1:0", "--core", &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting an echo backend")?;
        let output = child.stdout.take().context("hearing an echo backend")?;
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let address = line
            .split_whitespace()
            .last()
            .and_then(|word| word.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            read?;
            anyhow::bail!("an echo backend did not say where it listens: {line:?}");
        };
        Ok(Self { child, address })
    }

    /// Ends it as a crash does: nobody says goodbye.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "it was dead before");
        self.child.kill().context("killing an echo backend")?;
        self.child.wait().context("burying an echo backend")?;
        Ok(())
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // Both fail only if it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
