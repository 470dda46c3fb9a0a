//! A warm worker relays without allocating: an allocator asks each allocation of the worker where it comes from.
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one looks and passes on"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

#[path = "support/http.rs"]
mod http;
#[path = "support/secure.rs"]
mod secure;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use http::start_text;
use ringway::cli::echo::EchoFleet;
use secure::{Authority, connect_tls, read_head_of};
use support::pairs::{SHAPES, one_worker};
use support::{Fixture, client_frame, metric, open_tunnel, upgrade_head, wait_for_metric};

/// Watches what the worker allocates while [`WATCHING`].
struct Watchful;

static WATCHING: AtomicBool = AtomicBool::new(false);
static STRICT: AtomicBool = AtomicBool::new(false);
/// Allocations on the way of a message: in the ring, the relay or the dispatcher.
static OURS: AtomicU32 = AtomicU32::new(0);
/// The executor's own: a few each time its preemption timer is set anew, however many messages pass.
static OTHERS: AtomicU32 = AtomicU32::new(0);
/// Where the first one came from that should not have been.
static FIRST: OnceLock<String> = OnceLock::new();

thread_local! {
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

fn look() {
    if !WATCHING.load(Ordering::Relaxed) || LOOKING.replace(true) {
        return;
    }
    if std::thread::current().name() == Some("ringway-0") {
        let trace = Backtrace::force_capture().to_string();
        // What a deadline does, it does by the clock and not by the message: its place in the wheel is the first there.
        let by_the_clock = trace.contains("/src/ring/wheel.rs") && trace.contains("::due\n");
        if !by_the_clock && trace.lines().any(is_on_the_way) {
            OURS.fetch_add(1, Ordering::Relaxed);
            if STRICT.load(Ordering::Relaxed) {
                FIRST.get_or_init(|| trace);
            }
        } else {
            OTHERS.fetch_add(1, Ordering::Relaxed);
        }
    }
    LOOKING.set(false);
}

/// Whether a line of a backtrace stands in code that a message passes. The driver's loop is in every
/// backtrace of the worker, so it says nothing; what it calls does.
fn is_on_the_way(line: &str) -> bool {
    let ours = [
        "/src/relay/",
        "/src/ring/",
        "/src/ws/",
        "/src/tls/",
        "/src/worker/desk.rs",
    ];
    ours.iter().any(|place| line.contains(place)) && !line.contains("/src/ring/driver.rs")
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Watchful {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        look();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        look();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Watchful = Watchful;

/// What the worker allocates on the way of a message while `act` runs, and beside it.
fn watched(act: impl FnOnce()) -> (u32, u32) {
    OURS.store(0, Ordering::Relaxed);
    OTHERS.store(0, Ordering::Relaxed);
    WATCHING.store(true, Ordering::Relaxed);
    act();
    WATCHING.store(false, Ordering::Relaxed);
    (OURS.load(Ordering::Relaxed), OTHERS.load(Ordering::Relaxed))
}

/// Sends `message` so many times, and each time reads as much as comes back.
fn echo(client: &mut (impl Read + Write), message: &[u8], times: u32) {
    // What comes back is not masked.
    let mut back = vec![0; message.len() - 4];
    for _ in 0..times {
        client.write_all(message).unwrap();
        client.flush().unwrap();
        client.read_exact(&mut back).unwrap();
    }
}

/// Sends `message` so many times without waiting for what comes back: the worker's tables grow to what more at
/// once needs than any lockstep does.
fn crowd(client: &TcpStream, message: &[u8], times: usize) {
    let mut writer = client.try_clone().unwrap();
    let mut reader = client.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..times).for_each(|_| writer.write_all(message).unwrap()));
        let mut back = vec![0; (message.len() - 4) * times];
        reader.read_exact(&mut back).unwrap();
    });
}

/// What a route may ask for, and whether its text is looked into.
const ROUTES: [&str; 3] = [
    "",
    "inspect = \"text\"",
    "inspect = \"messages\"\nanswer_pings = true\n[routes.heartbeat]\nclient = \"1h\"",
];

/// One test, because the two would watch each other's workers.
#[test]
fn a_warm_worker_relays_without_allocating() {
    for shape in SHAPES {
        for route in ROUTES {
            relays_without_allocating(shape, route);
        }
        carries_records_without_allocating(shape);
    }
}

/// A tunnel whose client speaks TLS. Its keys were made by the first message, and the next ones come at once.
fn carries_records_without_allocating(shape: &str) {
    let authority = Authority::new();
    let papers = authority.issue("server", &["localhost"]);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let fleet = EchoFleet::start(&["one"], &[any], None).unwrap();
    let ringway = start_text(&format!(
        "{}[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.test]\nbind = [\"127.0.0.1:0\"]\n[listeners.test.tls]\ncertificates = [{}]\n\
         [pools.all]\nbackends = [\"{}\"]\n[[routes]]\npath = \"/\"\npool = \"all\"\n",
        one_worker(shape, ""),
        papers.toml(),
        fleet.addresses()[0],
    ));
    let config = Arc::new(authority.client());
    let mut client = connect_tls(ringway.listening[0], &config, "localhost").unwrap();
    client.write_all(upgrade_head("/ws").as_bytes()).unwrap();
    let head = read_head_of(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for (bytes, times) in [(64, 5_000), (16 * 1024, 2_000)] {
        let message = client_frame(2, &vec![b'a'; bytes]);
        echo(&mut client, &message, 2_000);
        STRICT.store(true, Ordering::Relaxed);
        let (ours, others) = watched(|| echo(&mut client, &message, times));
        STRICT.store(false, Ordering::Relaxed);
        eprintln!("{shape}, TLS, {times} echoes of {bytes} bytes: {ours}, and {others} of glommio");
        assert_eq!(ours, 0, "{shape}, TLS, {bytes} bytes: {:?}", FIRST.get());
    }
    drop(client);
    ringway.stop();
    ringway.wait();
}

fn relays_without_allocating(shape: &str, route: &str) {
    let fixture = Fixture::echo_with(1, &one_worker(shape, ""), route);
    let mut client = open_tunnel(fixture.address());
    for (bytes, times) in [(64, 10_000), (16 * 1024, 5_000)] {
        let message = client_frame(1, &vec![b'a'; bytes]);
        crowd(&client, &message, 300);
        echo(&mut client, &message, 2_000);
        // A header that the end of a buffer cuts is rare; now it has happened.
        let row = "ringway_bytes_total{direction=\"client_to_backend\"";
        let before = metric(&fixture.ringway, row);
        client.write_all(&message[..3]).unwrap();
        wait_for_metric(&fixture.ringway, row, |bytes| bytes > before + 2.5);
        client.write_all(&message[3..]).unwrap();
        client.read_exact(&mut vec![0; message.len() - 4]).unwrap();
        STRICT.store(true, Ordering::Relaxed);
        let (ours, others) = watched(|| echo(&mut client, &message, times));
        STRICT.store(false, Ordering::Relaxed);
        eprintln!(
            "{shape}, {route:?}, {times} echoes of {bytes} bytes: {ours}, and {others} of glommio"
        );
        assert_eq!(
            ours,
            0,
            "{shape}, {route:?}, {bytes} bytes; the first: {:?}",
            FIRST.get()
        );
    }
    // The watch is awake: opening a tunnel does allocate.
    let (ours, _) = watched(|| {
        let more = open_tunnel(fixture.address());
        wait_for_metric(&fixture.ringway, "ringway_tunnels_open", |open| open > 1.5);
        drop(more);
    });
    assert!(ours > 0, "an allocator that sees nothing proves nothing");
    drop(client);
    wait_for_metric(&fixture.ringway, "ringway_tunnels_open", |open| open < 0.5);
    fixture.drain();
}
