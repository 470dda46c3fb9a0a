//! The fleet as its operators, its probes and its file change it, while clients come and tunnels live.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use ringway::admin;
use ringway::cli::echo::EchoFleet;
use ringway::clock::Now;
use ringway::config::{self, Config};
use ringway::control::{BackendRow, Change, ChangeRefused, ReloadRefused, Running, Signals};
use ringway::health::ProbeSettings;
use support::{PATIENCE, client_frame, connect, open_tunnel, read_frame, read_head, upgrade_head};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn text(backends: &[SocketAddr], pool: &str) -> String {
    let list: Vec<_> = backends
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    format!(
        "[workers]\ncores = 2\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.test]\nbind = [\"127.0.0.1:0\"]\n\
         [pools.chat]\npolicy = \"least-connections\"\nbackends = [{}]\n{pool}\n\
         [[routes]]\npath = \"/\"\npool = \"chat\"\n",
        list.join(", ")
    )
}

fn configured(backends: &[SocketAddr]) -> Config {
    config::parse("test.toml", &text(backends, "")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn start(config: &Config) -> Running {
    Running::start(config, admin::service(), Signals::Ignore).unwrap()
}

/// Waits for an answer of the control thread.
fn ask<T>(question: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, question).await.unwrap() })
}

fn rows(ringway: &Running) -> Vec<BackendRow> {
    ask(ringway.fleet().rows()).unwrap()
}

fn row(ringway: &Running, backend: SocketAddr) -> BackendRow {
    let name = backend.to_string();
    rows(ringway)
        .into_iter()
        .find(|row| row.backend == name)
        .unwrap()
}

fn order(
    ringway: &Running,
    backend: SocketAddr,
    change: Change,
) -> Result<BackendRow, ChangeRefused> {
    let change = ringway
        .fleet()
        .change("chat".into(), backend.to_string(), change);
    ask(change).unwrap()
}

/// Waits until this backend's row is as wanted.
fn wait_for(
    ringway: &Running,
    backend: SocketAddr,
    wanted: impl Fn(&BackendRow) -> bool,
) -> BackendRow {
    let deadline = Now::read().after(PATIENCE);
    loop {
        let row = row(ringway, backend);
        if wanted(&row) {
            return row;
        }
        assert!(Now::read() < deadline, "it never came: {row:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn echoes(tunnel: &mut TcpStream) {
    tunnel
        .write_all(&client_frame(0x81, b"still here"))
        .unwrap();
    assert_eq!(read_frame(tunnel).unwrap().1, b"still here");
}

/// The code of the Close frame that comes next.
fn close_code(tunnel: &mut TcpStream) -> u16 {
    let (first, payload) = read_frame(tunnel).unwrap();
    assert_eq!(first, 0x88);
    u16::from_be_bytes([payload[0], payload[1]])
}

#[test]
fn a_drained_backend_keeps_its_tunnels_and_gets_no_new_ones() {
    let echo = EchoFleet::start(&["one", "two"], &[ANY; 2], None).unwrap();
    let [one, two] = echo.addresses() else {
        unreachable!()
    };
    let ringway = start(&configured(&[*one, *two]));
    let client = ringway.listening[0];
    let mut tunnels: Vec<_> = (0..2).map(|_| open_tunnel(client)).collect();
    assert_eq!(row(&ringway, *one).established, 1);

    let drained = order(&ringway, *one, Change::Drain).unwrap();
    assert_eq!(drained.state, "draining");
    tunnels.extend((0..6).map(|_| open_tunnel(client)));
    assert_eq!(row(&ringway, *one).established, 1);
    assert_eq!(row(&ringway, *two).established, 7);
    tunnels.iter_mut().for_each(echoes);

    assert_eq!(order(&ringway, *one, Change::Undrain).unwrap().state, "up");
    tunnels.extend((0..6).map(|_| open_tunnel(client)));
    assert_eq!(row(&ringway, *one).established, 7);
}

#[test]
fn a_backend_that_is_taken_down_has_its_tunnels_told_1012() {
    let echo = EchoFleet::start(&["one", "two"], &[ANY; 2], None).unwrap();
    let [one, two] = echo.addresses() else {
        unreachable!()
    };
    let ringway = start(&configured(&[*one, *two]));
    let mut first = open_tunnel(ringway.listening[0]);
    let id_of_first = if row(&ringway, *one).established == 1 {
        *one
    } else {
        *two
    };
    let mut second = open_tunnel(ringway.listening[0]);

    assert_eq!(
        order(&ringway, id_of_first, Change::Down).unwrap().state,
        "disabled"
    );
    assert_eq!(close_code(&mut first), 1012);
    first
        .write_all(&client_frame(0x88, &1012_u16.to_be_bytes()))
        .unwrap();
    wait_for(&ringway, id_of_first, |row| row.established == 0);
    echoes(&mut second);
    assert_eq!(
        order(&ringway, id_of_first, Change::Up).unwrap().state,
        "up"
    );
}

#[test]
fn orders_that_cannot_be_carried_out_say_why() {
    let echo = EchoFleet::start(&["one"], &[ANY], None).unwrap();
    let one = echo.addresses()[0];
    let ringway = start(&configured(&[one]));
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    assert!(matches!(
        order(&ringway, nobody, Change::Drain),
        Err(ChangeRefused::NoBackend { .. })
    ));
    let pool = ringway
        .fleet()
        .change("games".into(), one.to_string(), Change::Drain);
    assert_eq!(
        ask(pool).unwrap(),
        Err(ChangeRefused::NoPool("games".into()))
    );
    assert_eq!(
        order(&ringway, one, Change::Weight(1_001)),
        Err(ChangeRefused::Weight(1_001))
    );
    assert_eq!(order(&ringway, one, Change::Weight(0)).unwrap().weight, 0);
    assert_eq!(ask(ringway.fleet().reload()), Err(ReloadRefused::NoFile));
}

#[test]
fn probes_find_a_backend_that_died_and_one_that_came_back() {
    let echo = EchoFleet::start(&["one"], &[ANY], None).unwrap();
    let one = echo.addresses()[0];
    // It takes connections for as long as somebody listens, which is all that this probe asks.
    let other = TcpListener::bind(ANY).unwrap();
    let two = other.local_addr().unwrap();
    let mut config = configured(&[one, two]);
    config.pools[0].probe = Some(ProbeSettings {
        interval: Duration::from_millis(20),
        unsure_interval: Duration::from_millis(10),
        rise: 2,
        fall: 2,
        ..ProbeSettings::default()
    });
    let ringway = start(&config);
    wait_for(&ringway, two, |row| {
        row.probe.as_ref().is_some_and(|probe| probe.up)
    });

    drop(other);
    let down = wait_for(&ringway, two, |row| row.state == "down");
    let probe = down.probe.unwrap();
    assert!(!probe.up && probe.error.is_some(), "{probe:?}");
    let tunnels: Vec<_> = (0..20).map(|_| open_tunnel(ringway.listening[0])).collect();
    assert_eq!(row(&ringway, one).established, 20);
    drop(tunnels);

    let _back = TcpListener::bind(two).unwrap();
    wait_for(&ringway, two, |row| row.state == "up");
}

#[test]
fn a_reload_follows_the_file_and_a_broken_file_changes_nothing() {
    let echo = EchoFleet::start(&["one", "two"], &[ANY; 2], None).unwrap();
    let [one, two] = echo.addresses() else {
        unreachable!()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringway.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write(&text(&[*one], ""));
    let config = config::load(&file).unwrap();
    let ringway = Running::start_from(
        &config,
        Some(file.clone()),
        admin::service(),
        Signals::Ignore,
    );
    let ringway = ringway.unwrap();
    let mut tunnel = open_tunnel(ringway.listening[0]);

    write(&text(&[*one, *two], ""));
    assert_eq!(
        ask(ringway.fleet().reload()).unwrap().needs_restart,
        [""; 0]
    );
    assert_eq!(row(&ringway, *one).established, 1, "its count survives");
    let _second = open_tunnel(ringway.listening[0]);
    assert_eq!(row(&ringway, *two).established, 1);

    write("[pools.chat]\nbackends = 7\n");
    let refused = ask(ringway.fleet().reload()).unwrap_err();
    assert!(
        refused.to_string().contains("pools.chat.backends"),
        "{refused}"
    );
    assert_eq!(rows(&ringway).len(), 2);

    write(&text(&[*two], ""));
    ask(ringway.fleet().reload()).unwrap();
    assert_eq!(rows(&ringway).len(), 1);
    echoes(&mut tunnel);
    let _third = open_tunnel(ringway.listening[0]);
    assert_eq!(row(&ringway, *two).established, 2);
    assert_file_is_read_again(&ringway, &file);
}

/// What only a restart can change is named.
fn assert_file_is_read_again(ringway: &Running, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text.replace("cores = 2", "cores = 1")).unwrap();
    let reloaded = ask(ringway.fleet().reload()).unwrap();
    assert_eq!(reloaded.needs_restart, ["workers"]);
}

#[test]
fn a_pool_that_is_all_taken_out_answers_503_until_one_is_back() {
    let echo = EchoFleet::start(&["one"], &[ANY], None).unwrap();
    let one = echo.addresses()[0];
    let ringway = start(&configured(&[one]));
    order(&ringway, one, Change::Down).unwrap();
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head("/").as_bytes()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("retry-after:"), "{head}");
    order(&ringway, one, Change::Up).unwrap();
    open_tunnel(ringway.listening[0]);
}
