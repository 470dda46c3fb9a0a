//! What stands behind a proxy.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use ringway::cli::echo::EchoFleet;

use crate::case::{Case, Load};
use crate::mortal::Mortal;
use crate::station::Station;

/// The backends of one proxy.
pub(crate) enum Behind {
    /// They echo, on a thread of this process.
    Echo(EchoFleet),
    /// One that speaks to all.
    Station(Station),
    /// They echo, each in a process that can be killed.
    Mortals(Vec<Mortal>),
}

impl Behind {
    /// What `case` needs.
    pub(crate) fn start(case: &Case, core: usize) -> anyhow::Result<Self> {
        let count = case.backends();
        match case.load {
            Load::Broadcast { .. } => Ok(Self::Station(Station::start(core)?)),
            Load::Death { .. } => {
                let mortals: anyhow::Result<Vec<Mortal>> =
                    (0..count).map(|_| Mortal::start(core)).collect();
                mortals.map(Self::Mortals)
            }
            _ => {
                let names: Vec<String> =
                    (1..=count).map(|number| format!("echo-{number}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let any = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); count];
                EchoFleet::start(&names, &any, Some(core))
                    .map(Self::Echo)
                    .context("starting the echo backends")
            }
        }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Self::Echo(fleet) => fleet.addresses().to_vec(),
            Self::Station(station) => vec![station.address()],
            Self::Mortals(mortals) => mortals.iter().map(|mortal| mortal.address).collect(),
        }
    }
}
