//! What people call one tunnel: its worker, its place there, and which of the tunnels that had the place it is.

use std::fmt;
use std::str::FromStr;

/// One tunnel, for as long as it and its worker live. Written as `0-17-4211`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TunnelId {
    /// The number of its worker.
    pub worker: u16,
    /// Its place in the worker's table.
    pub place: u32,
    /// Which of the place's owners it is.
    pub generation: u32,
}

/// What was given is no id of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of a tunnel, such as 0-17-4211, found {0:?}")]
pub struct NoTunnelId(String);

impl fmt::Display for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            worker,
            place,
            generation,
        } = self;
        write!(f, "{worker}-{place}-{generation}")
    }
}

impl FromStr for TunnelId {
    type Err = NoTunnelId;

    fn from_str(text: &str) -> Result<Self, NoTunnelId> {
        let mut parts = text.split('-');
        let id = (|| {
            Some(Self {
                worker: number(parts.next()?)?,
                place: number(parts.next()?)?,
                generation: number(parts.next()?)?,
            })
        })();
        id.filter(|_| parts.next().is_none())
            .ok_or_else(|| NoTunnelId(text.to_owned()))
    }
}

/// A whole number of nothing but digits.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_three_numbers() {
        let id: TunnelId = "0-17-4211".parse().unwrap();
        let wanted = TunnelId {
            worker: 0,
            place: 17,
            generation: 4211,
        };
        assert_eq!(id, wanted);
        for wrong in [
            "",
            "-",
            "--",
            "0",
            "0-17",
            "0-17-4211-",
            "0-17-4211-1",
            "-0-17-4211",
            "0-+17-4211",
            "0-17-x",
            " 0-17-4211",
            "65536-17-4211",
            "0-4294967296-1",
            "0-17-99999999999999999999",
        ] {
            let words = wrong.parse::<TunnelId>().unwrap_err().to_string();
            assert!(words.ends_with(&format!("found {wrong:?}")), "{words}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(worker: u16, place: u32, generation: u32) {
            let id = TunnelId { worker, place, generation };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
