//! A Ringway that is stopped twice leaves nothing behind. Alone in its file, because it counts this process's threads.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::io::Write as _;

use ringway::clock::Now;
use support::pairs::assert_reset;
use support::{Puppet, connect, open_tunnel, read_head, start, upgrade_head};

/// Our threads, by their names.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("ringway-"))
        .collect()
}

#[test]
fn stopped_twice_or_dropped_it_leaves_no_thread_and_no_connection() {
    let puppet = Puppet::new();
    for dropped in [false, true] {
        let sections = "[workers]\ncores = 2\n[drain]\ntime = \"10m\"\ndeadline = \"1h\"\n";
        let ringway = start(&[puppet.address()], sections);
        assert!(threads().len() >= 3, "{:?}", threads());
        let address = ringway.listening[0];
        let client = std::thread::spawn(move || open_tunnel(address));
        let (mut backend, _) = puppet.accept_tunnel();
        let mut client = client.join().unwrap();
        // Another is being greeted.
        let mut asking = connect(address);
        asking.write_all(upgrade_head("/ws").as_bytes()).unwrap();
        let mut asked = puppet.accept();
        read_head(&mut asked);
        if dropped {
            drop(ringway);
        } else {
            ringway.stop();
            ringway.stop();
            assert!(ringway.wait().at_once);
        }
        // A thread that was joined is listed for a moment longer.
        let start = Now::read();
        while !threads().is_empty() {
            let waited = Now::read().since(start).as_secs();
            assert!(waited < 2, "{:?} go on", threads());
            std::thread::yield_now();
        }
        assert_reset(&mut client);
        assert_reset(&mut backend);
        drop(asking);
    }
}
