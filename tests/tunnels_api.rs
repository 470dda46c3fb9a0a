//! Operators see single tunnels over the control listener, and the frames of one; nothing that anybody says is shown.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use http::{Answer, ask, start_text};
use ringway::cli::echo::EchoFleet;
use ringway::clock::Now;
use ringway::control::{OpenTunnel, Running, SeenFrame, TunnelList, TunnelTail};
use ringway::limits;
use support::pairs::{
    Hall, Pair, SHAPES, Stream, assert_arrives, assert_ended, one_worker, read_in_pieces, whole,
    write_in_pieces,
};
use support::{
    Fixture, PATIENCE, backend_frame, client_frame, connect, frame, open_tunnel, read_frame,
    read_head, upgrade_head,
};

fn get(ringway: &Running, target: &str) -> Answer {
    get_with(ringway, target, "Host: localhost\r\n")
}

fn get_with(ringway: &Running, target: &str, fields: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    ask(ringway.control, request.as_bytes())
}

/// The tunnels that a query names, once every worker has answered.
fn list(ringway: &Running, query: &str) -> TunnelList {
    let begun = Now::read();
    loop {
        let list = listed(ringway, query);
        if list.unanswered.is_empty() {
            return list;
        }
        assert!(Now::read().since(begun) < PATIENCE, "{list:?}");
    }
}

/// What is answered at once.
fn listed(ringway: &Running, query: &str) -> TunnelList {
    let answer = get(ringway, &format!("/tunnels{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

/// The only tunnel there is.
fn only(ringway: &Running) -> OpenTunnel {
    let mut list = list(ringway, "");
    assert_eq!(list.tunnels.len(), 1, "{list:?}");
    list.tunnels.remove(0)
}

/// The frames of a tunnel. On a machine that is busy with other tests the worker is asked again.
fn frames(ringway: &Running, id: &str, query: &str) -> Vec<SeenFrame> {
    let begun = Now::read();
    let mut answer = get(ringway, &format!("/tunnels/{id}/frames{query}"));
    while answer.status == 503 && Now::read().since(begun) < PATIENCE {
        answer = get(ringway, &format!("/tunnels/{id}/frames{query}"));
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    let tail: TunnelTail = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(tail.id, id);
    tail.frames
}

/// The words of a refusal with this status.
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

/// A tunnel by this path.
fn open(ringway: &Running, path: &str) -> TcpStream {
    let mut client = connect(ringway.listening[0]);
    client.write_all(upgrade_head(path).as_bytes()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "no tunnel: {head}");
    client
}

/// Sends so many messages of so many bytes, and hears each of them back.
fn say(client: &mut TcpStream, count: u32, bytes: usize) {
    for _ in 0..count {
        client.write_all(&client_frame(2, &vec![7; bytes])).unwrap();
        assert_eq!(read_frame(client).unwrap().1.len(), bytes);
    }
}

/// Two workers before two pools with a backend each; `rooms` looks into its messages.
fn two_pools(echo: &EchoFleet) -> Running {
    let [one, two] = echo.addresses() else {
        unreachable!()
    };
    start_text(&format!(
        "[workers]\ncores = 2\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         [listeners.l]\nbind = \"127.0.0.1:0\"\n\
         [pools.p]\nbackends = [\"{one}\"]\n[pools.q]\nbackends = [\"{two}\"]\n\
         [[routes]]\nname = \"chat\"\npath = \"/chat\"\npool = \"p\"\n\
         [[routes]]\nname = \"rooms\"\npath = \"/rooms\"\npool = \"q\"\ninspect = \"messages\"\n"
    ))
}

#[test]
fn tunnels_are_listed_with_what_they_carried_over_all_workers() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let echo = EchoFleet::start(&["one", "two"], &[any; 2], None).unwrap();
    let ringway = two_pools(&echo);
    let mut clients = BTreeMap::new();
    for number in 0..24_u32 {
        let is_room = number % 8 == 0;
        let mut client = open(&ringway, if is_room { "/rooms" } else { "/chat/x" });
        say(&mut client, number, 200);
        clients.insert(client.local_addr().unwrap(), (client, number, is_room));
    }
    let all = list(&ringway, "");
    assert_eq!((all.tunnels.len(), all.more), (24, false));
    for tunnel in &all.tunnels {
        let (_, number, is_room) = &clients[&tunnel.client];
        let (names, inspect, backend) = if *is_room {
            (("rooms", "q"), "messages", echo.addresses()[1])
        } else {
            (("chat", "p"), "headers", echo.addresses()[0])
        };
        assert_eq!((&*tunnel.route, &*tunnel.pool), names);
        assert_eq!(tunnel.backend, backend.to_string());
        assert_eq!((&*tunnel.inspect, tunnel.compressed), (inspect, false));
        let (up, down) = (tunnel.client_to_backend, tunnel.backend_to_client);
        // Headers of four bytes, and a mask.
        let number = u64::from(*number);
        assert_eq!((up.messages, up.bytes), (number, number * 208));
        assert_eq!((down.messages, down.bytes), (number, number * 204));
        assert!(tunnel.opened.starts_with("20") && tunnel.opened.ends_with('Z'));
        assert!(tunnel.id.starts_with(&format!("{}-", tunnel.worker)));
    }
    let of_worker = |worker: u16| {
        let list = list(&ringway, &format!("?worker={worker}&limit=1000"));
        assert!(list.tunnels.iter().all(|tunnel| tunnel.worker == worker));
        list.tunnels.len()
    };
    assert_eq!(of_worker(0) + of_worker(1), 24);

    let named = |query: &str| list(&ringway, query).tunnels.len();
    assert_eq!(named("?route=rooms"), 3);
    assert_eq!(named(&format!("?backend={}", echo.addresses()[0])), 21);
    let none = format!("?route=rooms&backend={}", echo.addresses()[0]);
    assert_eq!(named(&none), 0);
    let some = list(&ringway, "?route=rooms&limit=2");
    assert_eq!((some.tunnels.len(), some.more), (2, true));
    let three = list(&ringway, "?route=rooms&limit=3");
    assert_eq!((three.tunnels.len(), three.more), (3, false));
}

/// Without a letter or a digit, except those that stand for others.
fn is_redacted(shape: &str) -> bool {
    shape
        .bytes()
        .all(|byte| byte == b'x' || byte == b'X' || byte == b'0' || !byte.is_ascii_alphanumeric())
}

#[test]
fn the_tail_shows_headers_and_shapes_of_both_sides_and_nothing_they_say() {
    let hall = Hall::new(&one_worker("two-size", ""), "");
    let mut pair = hall.pair();
    pair.echoes();
    let id = only(&hall.ringway).id;
    let look = |query: &str| frames(&hall.ringway, &id, query);
    assert_eq!(look("?payload=shape"), [], "nobody has looked before");

    let secret = b"{\"Room\": \"lobby-42\", \"token\": \"s3cReT\"}";
    let words = "{\"Xxxx\": \"xxxxx-00\", \"xxxxx\": \"x0xXxX\"}";
    let up = [
        client_frame(1, secret),
        frame(0x02, &[0xFF; 300], Some([1, 2, 3, 4])),
        client_frame(9, b"ping"),
        client_frame(0, &vec![b'q'; 70_000]),
    ];
    for bytes in &up {
        pair.client.write_all(bytes).unwrap();
        assert_arrives(&mut pair.backend, bytes);
    }
    let down = backend_frame(1, secret);
    pair.backend.write_all(&down).unwrap();
    assert_arrives(&mut pair.client, &down);

    let seen = look("?payload=shape");
    let told: Vec<_> = seen
        .iter()
        .map(|frame| {
            let (sender, opcode) = (&*frame.sender, &*frame.opcode);
            (frame.number, sender, opcode, frame.fin, frame.payload_bytes)
        })
        .collect();
    let bytes = secret.len() as u64;
    assert_eq!(
        told,
        [
            (1, "client", "text", true, bytes),
            (2, "client", "binary", false, 300),
            (3, "client", "ping", true, 4),
            (4, "client", "continuation", true, 70_000),
            (5, "backend", "text", true, bytes),
        ]
    );
    let shape = |place: usize| seen[place].shape.as_deref();
    assert_eq!((shape(0), shape(4)), (Some(words), Some(words)));
    assert_eq!(shape(2), None, "a control frame has none");
    assert_eq!(shape(3).map(str::len), Some(64));
    for frame in &seen {
        assert!(frame.shape.as_deref().is_none_or(is_redacted), "{frame:?}");
        assert!(!frame.compressed && frame.at.ends_with('Z'), "{frame:?}");
    }
    // Whoever does not ask for shapes gets none, and is not logged.
    let plain = look("");
    assert_eq!(plain.len(), 5);
    assert!(plain.iter().all(|frame| frame.shape.is_none()));
    drop(pair);
    hall.all_home();
}

#[test]
fn one_of_so_many_frames_is_shown_and_only_the_latest() {
    let hall = Hall::new(&one_worker("two-size", ""), "");
    let mut pair = hall.pair();
    let id = only(&hall.ringway).id;
    let look = |every: u32| frames(&hall.ringway, &id, &format!("?every={every}"));
    assert_eq!(look(10), []);
    for _ in 0..50 {
        pair.echoes();
    }
    let numbers: Vec<_> = look(10).iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, (1..=10).map(|ten| 10 * ten).collect::<Vec<_>>());
    look(1);
    for _ in 0..limits::TAIL_FRAMES_MAX {
        pair.echoes();
    }
    let latest = look(1);
    assert_eq!(latest.len(), limits::TAIL_FRAMES_MAX);
    let last = latest.last().unwrap().number;
    assert_eq!(last, 100 + 2 * limits::TAIL_FRAMES_MAX as u64);
}

#[test]
fn a_question_that_waits_is_answered_with_what_came_meanwhile() {
    let fixture = Fixture::echo(1, "");
    let mut client = open_tunnel(fixture.address());
    let id = only(&fixture.ringway).id;
    let begun = Now::read();
    let seen = thread::scope(|scope| {
        let asking = scope.spawn(|| frames(&fixture.ringway, &id, "?wait=300ms"));
        while !asking.is_finished() {
            say(&mut client, 1, 5);
        }
        asking.join().unwrap()
    });
    assert!(Now::read().since(begun).as_millis() >= 300);
    assert!(
        seen.iter().any(|frame| frame.sender == "client"),
        "{seen:?}"
    );
    assert!(seen.iter().all(|frame| frame.payload_bytes == 5));
}

/// The first half of a message, then a tail that begins, then the other half.
fn halved(hall: &Hall, pair: &mut Pair) -> String {
    let message = client_frame(2, &[9; 5_000]);
    pair.client.write_all(&message[..2_500]).unwrap();
    assert_arrives(&mut pair.backend, &message[..2_500]);
    let tunnel = only(&hall.ringway);
    assert_eq!(tunnel.client_to_backend.messages, 0);
    assert_eq!(frames(&hall.ringway, &tunnel.id, "?payload=shape"), []);
    pair.client.write_all(&message[2_500..]).unwrap();
    assert_arrives(&mut pair.backend, &message[2_500..]);
    assert_eq!(only(&hall.ringway).client_to_backend.messages, 1);
    tunnel.id
}

#[test]
fn a_tunnel_carries_every_byte_while_it_is_tailed_from_the_middle_of_a_frame_on() {
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), "");
        let mut pair = hall.pair();
        let id = halved(&hall, &mut pair);
        let (up, down) = (Stream::rich(true, 1), Stream::rich(false, 2));
        let read_up = read_in_pieces(&pair.backend, 3);
        let read_down = read_in_pieces(&pair.client, 4);
        let (wanted_up, wanted_down) = (whole(&up.bytes), whole(&down.bytes));
        let write_up = write_in_pieces(&pair.client, up.bytes, 5);
        let look = || {
            let seen = frames(&hall.ringway, &id, "?payload=shape");
            let mut shapes = seen.iter().filter_map(|frame| frame.shape.as_deref());
            assert!(shapes.all(is_redacted));
            seen.len()
        };
        while !write_up.is_finished() {
            look();
        }
        write_up.join().unwrap();
        assert_eq!(read_up.join().unwrap(), wanted_up, "to the backend");
        // The other direction comes later, so that the tunnel is still there.
        assert_eq!(look(), limits::TAIL_FRAMES_MAX);
        let write_down = write_in_pieces(&pair.backend, down.bytes, 6);
        write_down.join().unwrap();
        assert_eq!(read_down.join().unwrap(), wanted_down, "to the client");
        let messages = |way| format!("ringway_messages_total{{direction=\"{way}\"");
        hall.wait_for(&messages("client_to_backend"), up.messages + 1);
        hall.wait_for(&messages("backend_to_client"), down.messages);
        hall.all_home();
        let answer = get(&hall.ringway, &format!("/tunnels/{id}/frames"));
        assert!(refused(&answer, 404).contains(&id));
    }
}

#[test]
fn a_tail_that_begins_within_a_close_frame_leaves_the_goodbye_alone() {
    let hall = Hall::new(&one_worker("two-size", ""), "");
    let mut pair = hall.pair();
    let close = client_frame(8, b"\x03\xE8see you");
    pair.client.write_all(&close[..10]).unwrap();
    assert_arrives(&mut pair.backend, &close[..10]);
    let id = only(&hall.ringway).id;
    assert_eq!(frames(&hall.ringway, &id, ""), []);
    // Whatever follows a Close frame goes nowhere.
    let rest = [&close[10..], &client_frame(2, b"too late")].concat();
    pair.client.write_all(&rest).unwrap();
    assert_arrives(&mut pair.backend, &close[10..]);
    let answer = backend_frame(8, b"\x03\xE8");
    pair.backend.write_all(&answer).unwrap();
    assert_arrives(&mut pair.client, &answer);
    pair.client.shutdown(Shutdown::Write).unwrap();
    assert_ended(&mut pair.backend);
    drop(pair);
    hall.wait_for("ringway_tunnels_ended_total{reason=\"close_handshake\"", 1);
    hall.all_home();
}

#[test]
fn a_worker_keeps_so_many_tails_and_one_that_ends_makes_room() {
    let fixture = Fixture::echo(1, "");
    let mut clients: Vec<_> = (0..=limits::TAILS_MAX)
        .map(|_| open_tunnel(fixture.address()))
        .collect();
    let tunnels = list(&fixture.ringway, "").tunnels;
    let (last, first) = tunnels.split_last().unwrap();
    for tunnel in first {
        assert_eq!(frames(&fixture.ringway, &tunnel.id, ""), []);
    }
    let target = format!("/tunnels/{}/frames", last.id);
    let words = refused(&get(&fixture.ringway, &target), 503);
    assert!(words.contains("64 tunnels"), "{words}");
    clients.retain(|client| client.local_addr().unwrap() != first[0].client);
    let begun = Now::read();
    while get(&fixture.ringway, &target).status != 200 {
        assert!(Now::read().since(begun) < PATIENCE, "it never made room");
    }
}

#[test]
fn what_is_wrong_with_a_question_is_said() {
    let fixture = Fixture::echo(1, "");
    let _client = open_tunnel(fixture.address());
    let id = only(&fixture.ringway).id;
    let own = format!("/tunnels/{id}/frames");
    for (target, status, words) in [
        (
            "/tunnels?limit=0".to_owned(),
            400,
            "limit: expected 1 to 1000, found \"0\"",
        ),
        ("/tunnels?limit=1001".to_owned(), 400, "found \"1001\""),
        (
            "/tunnels?worker=1".to_owned(),
            400,
            "worker: expected 0 to 0, found 1",
        ),
        ("/tunnels?worker=x".to_owned(), 400, "found \"x\""),
        (
            "/tunnels?pool=p".to_owned(),
            400,
            "expected worker, route, backend or limit",
        ),
        (
            "/tunnels/x/frames".to_owned(),
            400,
            "such as 0-17-4211, found \"x\"",
        ),
        ("/tunnels/%FF/frames".to_owned(), 400, "UTF-8"),
        ("/tunnels/1-0-1/frames".to_owned(), 404, "no tunnel 1-0-1"),
        ("/tunnels/0-9999999-1/frames".to_owned(), 404, "has ended"),
        (format!("/tunnels/{id}0/frames"), 404, "has ended"),
        (
            format!("{own}?every=0"),
            400,
            "every: expected 1 to 1000000, found \"0\"",
        ),
        (format!("{own}?every=1000001"), 400, "found \"1000001\""),
        (
            format!("{own}?payload=all"),
            400,
            "payload: expected none or shape, found \"all\"",
        ),
        (
            format!("{own}?wait=6s"),
            400,
            "wait: expected a time from 0s to 5s",
        ),
        (
            format!("{own}?every=1&every=2"),
            400,
            "every: expected once",
        ),
    ] {
        let found = refused(&get(&fixture.ringway, &target), status);
        assert!(found.contains(words), "{target}: {found}");
    }
    for target in ["/tunnels", &own] {
        let request = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        refused(&ask(fixture.ringway.control, request.as_bytes()), 405);
    }
}

#[test]
fn neither_a_web_page_nor_a_stranger_is_told_of_tunnels() {
    let fixture = Fixture::echo(1, "");
    let _client = open_tunnel(fixture.address());
    let id = only(&fixture.ringway).id;
    let own = format!("/tunnels/{id}/frames?payload=shape");
    for target in ["/tunnels", &own] {
        for fields in [
            "Host: localhost\r\nOrigin: https://evil.example\r\n",
            "Host: localhost\r\nSec-Fetch-Site: same-origin\r\n",
            "Host: evil.example\r\n",
        ] {
            refused(&get_with(&fixture.ringway, target, fields), 403);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret-of-sixteen-or-more\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let ringway = start_text(&format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
         token_file = \"{}\"\n[listeners.l]\nbind = \"127.0.0.1:0\"\n\
         [pools.p]\nbackends = [\"{}\"]\n[[routes]]\npool = \"p\"\n",
        file.display(),
        fixture.echo.addresses()[0]
    ));
    let _other = open_tunnel(ringway.listening[0]);
    for target in ["/tunnels", &own] {
        let host = "Host: localhost\r\n";
        refused(&get_with(&ringway, target, host), 401);
        let wrong = format!("{host}Authorization: Bearer s3cret\r\n");
        refused(&get_with(&ringway, target, &wrong), 401);
        let right = format!("{host}Authorization: Bearer s3cret-of-sixteen-or-more\r\n");
        assert_eq!(get_with(&ringway, target, &right).status, 200);
    }
}

#[test]
fn a_worker_that_died_is_named_and_the_others_answer() {
    let fixture = Fixture::echo(1, "[workers]\ncores = 2\n");
    let mut clients = Vec::new();
    while list(&fixture.ringway, "?worker=1").tunnels.is_empty() {
        clients.push(open_tunnel(fixture.address()));
        assert!(clients.len() < 200, "one worker gets nobody");
    }
    let begun = Now::read();
    let found = loop {
        // The question may overtake the order to fail.
        fixture.ringway.fail_worker(0);
        let found = listed(&fixture.ringway, "");
        if found.unanswered == [0] {
            break found;
        }
        assert!(Now::read().since(begun) < PATIENCE, "it never died");
    };
    assert!(!found.tunnels.is_empty());
    assert!(found.tunnels.iter().all(|tunnel| tunnel.worker == 1));
    // And it comes back.
    list(&fixture.ringway, "");
}
