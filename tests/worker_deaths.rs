//! A worker that dies leaves no connection behind. Alone in its file, because it counts this process's sockets.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::io::{Read as _, Write as _};

use support::{Puppet, connect, read_head, start, upgrade_head, wait_for_metric};

fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let names = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    names
        .filter(|name| name.to_string_lossy().starts_with("socket:"))
        .count()
}

#[test]
fn sockets_are_as_many_after_ten_deaths_as_after_one() {
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let mut after = Vec::new();
    for death in 1..=10 {
        let mut tunnel = connect(ringway.listening[0]);
        tunnel.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let (open, _) = puppet.accept_tunnel();
        read_head(&mut tunnel);
        let mut half = connect(ringway.listening[0]);
        half.write_all(b"GET").unwrap();
        let mut whole = connect(ringway.listening[0]);
        whole.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let mut asked = puppet.accept();
        read_head(&mut asked);
        wait_for_metric(&ringway, "ringway_handshakes_open", |count| count == 2.0);
        ringway.fail_worker(0);
        for mut side in [tunnel, open, half, whole, asked] {
            let end = side
                .read_to_end(&mut Vec::new())
                .map_err(|error| error.kind());
            assert!(
                matches!(end, Ok(0) | Err(std::io::ErrorKind::ConnectionReset)),
                "{end:?}"
            );
        }
        wait_for_metric(&ringway, "ringway_worker_restarts_total", |count| {
            count == f64::from(death)
        });
        // A look at the metrics has a socket for a moment longer than the look.
        let fewest = (0..1_000).map(|_| sockets()).min();
        after.push(fewest.unwrap());
    }
    assert!(after[9] <= after[0], "{after:?}");
}
