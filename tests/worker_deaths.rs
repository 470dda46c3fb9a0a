//! A worker that dies leaves no connection behind. Alone in its file, because it counts this process's sockets.
#![expect(
    clippy::float_cmp,
    reason = "metrics count, and whole numbers are exact"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::io::{Read as _, Write as _};

use support::{Puppet, connect, read_head, start, upgrade_head, wait_for_metric};

/// How many descriptors of one kind this process has open.
fn opened(kind: &str) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let names = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    names
        .filter(|name| name.to_string_lossy().starts_with(kind))
        .count()
}

/// The fewest of one kind in many looks: what just ended may be there for a moment longer.
fn fewest(kind: &str) -> usize {
    (0..1_000).map(|_| opened(kind)).min().unwrap()
}

/// How many eventfds executors of glommio 0.9 keep for ever when so many die of a panic in their main task: one
/// each, by which it was woken, because the tasks that it forgets hold it.
fn kept_by_glommio(deaths: usize) -> usize {
    // The first one makes what all share.
    panic_inside();
    let before = fewest(EVENTFD);
    (0..deaths).for_each(|_| panic_inside());
    fewest(EVENTFD) - before
}

fn panic_inside() {
    let dies = std::thread::spawn(|| {
        let executor = glommio::LocalExecutorBuilder::default().make().unwrap();
        executor.run(async {
            glommio::spawn_local(std::future::pending::<()>()).detach();
            glommio::executor().yield_now().await;
            panic!("like a worker that dies");
        });
    });
    assert!(dies.join().is_err());
}

const EVENTFD: &str = "anon_inode:[eventfd]";
const RING: &str = "anon_inode:[io_uring]";

#[test]
fn descriptors_are_as_many_after_ten_deaths_as_after_one() {
    let kept = kept_by_glommio(9);
    let puppet = Puppet::new();
    let ringway = start(&[puppet.address()], "");
    let (mut after, mut eventfds, mut rings) = (Vec::new(), Vec::new(), Vec::new());
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
        // Here the worker is whole, and nothing is left of the one before it but what stays for good.
        eventfds.push(fewest(EVENTFD));
        rings.push(fewest(RING));
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
        after.push(fewest("socket:"));
    }
    assert!(after[9] <= after[0], "{after:?}");
    assert!(rings[9] <= rings[0], "{rings:?}");
    // Of our own, none.
    assert_eq!(eventfds[9] - eventfds[0], kept, "{eventfds:?}");
}
