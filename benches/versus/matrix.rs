//! The matrix: tunnels by size by messages in flight.

use std::borrow::Cow;

use crate::case::{Case, Load, size};

/// How much of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Extent {
    /// Its axes, with few points on each.
    Quick,
    /// Its axes, then all that lies between them.
    Full,
}

/// The cells, the axes first, so that a run that is cut short still shows each of them. `tunnels_most` is as many as
/// there are files for.
pub(crate) fn cells(extent: Extent, tunnels_most: usize) -> Vec<Case> {
    let Points {
        tunnels,
        sizes,
        depths,
    } = match extent {
        Extent::Quick => QUICK,
        Extent::Full => FULL,
    };
    let mut tunnels: Vec<usize> = tunnels
        .iter()
        .copied()
        .filter(|&count| count < tunnels_most)
        .collect();
    tunnels.push(tunnels_most);
    let mut cells: Vec<[usize; 3]> = Vec::new();
    let mut add = |cell: [usize; 3]| {
        let [tunnels, bytes, depth] = cell;
        if !cells.contains(&cell) && tunnels * bytes * depth <= UNDER_WAY_BYTES_MAX {
            cells.push(cell);
        }
    };
    for &count in &tunnels {
        add([count, BASE_BYTES, BASE_DEPTH]);
    }
    for &bytes in sizes {
        add([BASE_TUNNELS.min(tunnels_most), bytes, BASE_DEPTH]);
    }
    for &depth in depths {
        add([BASE_TUNNELS.min(tunnels_most), BASE_BYTES, depth]);
    }
    if extent == Extent::Full {
        for &count in &tunnels {
            for &bytes in sizes {
                for &depth in depths {
                    add([count, bytes, depth]);
                }
            }
        }
    }
    cells.into_iter().map(case).collect()
}

/// The points on each axis.
struct Points {
    tunnels: &'static [usize],
    sizes: &'static [usize],
    depths: &'static [usize],
}

const QUICK: Points = Points {
    tunnels: &[1, 64, 1_000],
    sizes: &[16, 64, KIB, 16 * KIB, 256 * KIB, MIB],
    depths: &[1, 16, 64],
};

const FULL: Points = Points {
    tunnels: &[1, 16, 64, 256, 1_000, 4_000],
    sizes: &[
        16,
        64,
        256,
        KIB,
        4 * KIB,
        16 * KIB,
        64 * KIB,
        256 * KIB,
        MIB,
    ],
    depths: &[1, 4, 16, 64],
};

fn case([tunnels, payload_bytes, in_flight]: [usize; 3]) -> Case {
    let depth = if in_flight == 1 {
        String::new()
    } else {
        format!("x{in_flight}")
    };
    let bytes = size(payload_bytes).replace(' ', "");
    let bytes = bytes.strip_suffix('B').filter(|_| payload_bytes < KIB);
    let bytes = bytes.map_or_else(|| size(payload_bytes).replace(' ', ""), str::to_owned);
    Case {
        name: Cow::Owned(format!("{tunnels}x{bytes}{depth}")),
        load: Load::Messages {
            tunnels,
            payload_bytes,
            in_flight,
            text: None,
        },
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Where the axes meet.
pub(crate) const BASE_TUNNELS: usize = 64;
pub(crate) const BASE_BYTES: usize = 64;
pub(crate) const BASE_DEPTH: usize = 1;
/// What may be under way at once: four places hold it, the kernel and the proxy on both sides.
const UNDER_WAY_BYTES_MAX: usize = 128 * MIB;
