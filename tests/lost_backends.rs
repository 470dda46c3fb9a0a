//! What happens to the tunnels of a backend that is gone: their clients are sent away, a few at a time and at a
//! frame boundary, and nobody else notices.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is the test's failure"
)]

#[path = "support/lone.rs"]
mod lone;
mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use lone::Lone;
use ringway::clock::Now;
use ringway::fleet::{BackendId, State};
use ringway::limits::GOODBYE_TIMEOUT;
use ringway::metrics::EndReason;
use ringway::worker::Command;
use support::pairs::{Pair, assert_arrives, assert_ended, assert_reset};
use support::{
    Puppet, backend_frame, client_frame, connect, read_frame, read_head, right_answer, upgrade_head,
};

/// A worker in front of two pools of one backend each, under `/lost` and `/other`.
struct Stage {
    lone: Lone,
    lost: Puppet,
    other: Puppet,
}

impl Stage {
    fn new() -> Self {
        let (lost, other) = (Puppet::new(), Puppet::new());
        let lone = Lone::start(&[
            ("lost", &[lost.address()], "answer_timeout = \"5m\""),
            ("other", &[other.address()], ""),
        ]);
        Self { lone, lost, other }
    }

    fn lost_id(&self) -> BackendId {
        self.lone.id("lost", self.lost.address())
    }

    fn other_id(&self) -> BackendId {
        self.lone.id("other", self.other.address())
    }

    fn ask(&self, path: &str) -> TcpStream {
        let mut client = connect(self.lone.address);
        client.write_all(upgrade_head(path).as_bytes()).unwrap();
        client
    }

    fn pair(&self, path: &str) -> Pair {
        let mut client = self.ask(path);
        let puppet = if path == "/lost" {
            &self.lost
        } else {
            &self.other
        };
        let (backend, _) = puppet.accept_tunnel();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
        Pair { client, backend }
    }

    fn pairs(&self, path: &str, count: usize) -> Vec<Pair> {
        (0..count).map(|_| self.pair(path)).collect()
    }

    /// The backend behind `/lost` goes down, and its tunnels are closed.
    fn lose(&mut self, per_second: u32) {
        let id = self.lost_id();
        self.lone.set(id, State::Down);
        self.lone.close(&[id], per_second);
    }

    fn all_gone(self) {
        self.lone.wait_until("every tunnel is gone", |lone| {
            lone.counters.tunnels_open.get() == 0
        });
        for id in [self.lost_id(), self.other_id()] {
            assert_eq!(self.lone.table.load(id).total(), 0);
        }
        self.lone.drain();
    }
}

fn assert_told(stream: &mut TcpStream, code: u16) {
    let (first, payload) = read_frame(stream).unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]));
}

/// Both sides answer what they were told, and their streams end well.
fn leave_well(pair: &mut Pair) {
    assert_told(&mut pair.backend, 1001);
    let answer = |code: u16| code.to_be_bytes();
    let (client, backend) = (
        client_frame(8, &answer(1012)),
        backend_frame(8, &answer(1001)),
    );
    pair.client.write_all(&client).unwrap();
    pair.backend.write_all(&backend).unwrap();
    assert_ended(&mut pair.client);
    assert_ended(&mut pair.backend);
}

#[test]
fn clients_of_a_lost_backend_get_1012_at_the_pace_and_those_of_another_stay() {
    let mut stage = Stage::new();
    let mut staying = stage.pairs("/other", 3);
    let mut going = stage.pairs("/lost", 21);
    staying.extend(stage.pairs("/other", 3));
    let start = Now::read();
    stage.lose(20);
    let mut told = Vec::new();
    for pair in &mut going {
        assert_told(&mut pair.client, 1012);
        told.push(Now::read().since(start));
        leave_well(pair);
        staying.iter_mut().for_each(Pair::echoes);
    }
    assert!(told[0] < Duration::from_millis(500), "{told:?}");
    assert!(told[10] >= Duration::from_millis(450), "{told:?}");
    assert!(told[20] >= Duration::from_millis(950), "{told:?}");
    assert_eq!(stage.lone.ended(EndReason::BackendGone), 21);
    assert_eq!(stage.lone.table.load(stage.other_id()).total(), 6);
    let ends = stage.lone.table.ends(stage.lost_id());
    assert_eq!((ends.total, ends.abnormal), (21, 0), "our own ends");
    drop(staying);
    stage.all_gone();
}

#[test]
fn a_frame_under_way_arrives_whole_before_the_close_in_either_direction() {
    let mut stage = Stage::new();
    let (mut down, mut up) = (stage.pair("/lost"), stage.pair("/lost"));
    let mut idle = stage.pair("/lost");
    let from_backend = backend_frame(2, &vec![3; 50_000]);
    let from_client = client_frame(2, &vec![4; 50_000]);
    down.backend.write_all(&from_backend[..20_000]).unwrap();
    assert_arrives(&mut down.client, &from_backend[..20_000]);
    up.client.write_all(&from_client[..20_000]).unwrap();
    assert_arrives(&mut up.backend, &from_client[..20_000]);

    stage.lose(1_000_000);
    // The last one in the table is told: so the others had their turn.
    assert_told(&mut idle.client, 1012);
    leave_well(&mut idle);
    down.backend.write_all(&from_backend[20_000..]).unwrap();
    assert_arrives(&mut down.client, &from_backend[20_000..]);
    assert_told(&mut down.client, 1012);
    leave_well(&mut down);
    up.client.write_all(&from_client[20_000..]).unwrap();
    assert_arrives(&mut up.backend, &from_client[20_000..]);
    assert_told(&mut up.client, 1012);
    leave_well(&mut up);
    stage.all_gone();
}

#[test]
fn a_client_that_answers_is_let_go_at_once_and_who_does_not_answer_is_cut() {
    let mut stage = Stage::new();
    let (mut answers, mut silent) = (stage.pair("/lost"), stage.pair("/lost"));
    let start = Now::read();
    stage.lose(1_000_000);
    assert_told(&mut answers.client, 1012);
    assert_told(&mut silent.client, 1012);
    let answer = client_frame(8, &1012_u16.to_be_bytes());
    answers.client.write_all(&answer).unwrap();
    assert_ended(&mut answers.client);
    assert!(Now::read().since(start) < GOODBYE_TIMEOUT / 2);
    // Neither backend says a word: it may be dead.
    assert_reset(&mut answers.backend);
    assert_reset(&mut silent.client);
    assert_reset(&mut silent.backend);
    let took = Now::read().since(start);
    assert!(took >= GOODBYE_TIMEOUT, "{took:?}");
    assert!(took < GOODBYE_TIMEOUT * 2, "{took:?}");
    assert_eq!(stage.lone.ended(EndReason::BackendGone), 2);
    stage.all_gone();
}

#[test]
fn a_backend_that_is_up_again_keeps_the_tunnels_that_were_not_told_yet() {
    let mut stage = Stage::new();
    let mut pairs = stage.pairs("/lost", 3);
    let mut last = stage.pair("/other");
    stage.lose(1);
    assert_told(&mut pairs[0].client, 1012);
    stage.lone.set(stage.lost_id(), State::Up);
    // One more with the same pace, behind them in the table: when it is told, they had their turn.
    let other = stage.other_id();
    stage.lone.set(other, State::Removed);
    stage.lone.close(&[other], 1);
    assert_told(&mut last.client, 1012);
    pairs[1..].iter_mut().for_each(Pair::echoes);
    leave_well(&mut pairs[0]);
    leave_well(&mut last);
    drop(pairs);
    stage.all_gone();
}

#[test]
fn a_handshake_that_was_under_way_becomes_a_tunnel_that_is_told_at_once() {
    let mut stage = Stage::new();
    let mut open = stage.pair("/lost");
    let mut late = stage.ask("/lost");
    let mut backend = stage.lost.accept();
    read_head(&mut backend);
    stage.lose(1_000);
    assert_told(&mut open.client, 1012);
    leave_well(&mut open);
    // That was a whole pass over the table.
    backend.write_all(right_answer().as_bytes()).unwrap();
    assert!(read_head(&mut late).starts_with("HTTP/1.1 101 "));
    assert_told(&mut late, 1012);
    leave_well(&mut Pair {
        client: late,
        backend,
    });
    stage.all_gone();
}

#[test]
fn who_comes_to_a_lost_backend_later_because_there_is_no_other_stays() {
    let mut stage = Stage::new();
    let mut open = stage.pair("/lost");
    let mut late = stage.ask("/lost");
    let mut backend = stage.lost.accept();
    read_head(&mut backend);
    stage.lose(1_000);
    assert_told(&mut open.client, 1012);
    leave_well(&mut open);
    let mut knowing = stage.pair("/lost");
    backend.write_all(right_answer().as_bytes()).unwrap();
    assert!(read_head(&mut late).starts_with("HTTP/1.1 101 "));
    // It is told in a pass that looks at both.
    assert_told(&mut late, 1012);
    leave_well(&mut Pair {
        client: late,
        backend,
    });
    knowing.echoes();
    drop(knowing);
    stage.all_gone();
}

#[test]
fn closes_overlap_and_each_keeps_its_pace() {
    let mut stage = Stage::new();
    let mut slow = stage.pairs("/lost", 3);
    let mut fast = stage.pairs("/other", 10);
    stage.lose(2);
    let other = stage.other_id();
    stage.lone.set(other, State::Draining);
    stage.lone.close(&[other], 1_000);
    for pair in &mut fast {
        assert_told(&mut pair.client, 1012);
        leave_well(pair);
    }
    // Half a second for each but the first; the fast ones were through before.
    slow[2].echoes();
    for pair in &mut slow {
        assert_told(&mut pair.client, 1012);
        leave_well(pair);
    }
    stage.all_gone();
}

#[test]
fn a_drain_tells_1001_to_whoever_was_not_told_yet() {
    let mut stage = Stage::new();
    let mut pairs = stage.pairs("/lost", 4);
    stage.lose(1);
    assert_told(&mut pairs[0].client, 1012);
    assert!(stage.lone.tell(Command::Drain {
        time: Duration::ZERO,
        deadline: Duration::from_secs(20),
    }));
    for pair in &mut pairs[1..] {
        assert_told(&mut pair.client, 1001);
        leave_well(pair);
    }
    leave_well(&mut pairs[0]);
    let Stage { lone, .. } = stage;
    lone.wait_until("every tunnel is gone", |lone| {
        lone.ended(EndReason::BackendGone) == 1 && lone.ended(EndReason::Drained) == 3
    });
    let goodbyes = lone.drain();
    assert_eq!((goodbyes.clean, goodbyes.cut), (4, 0));
}

/// Waits for the end number `total` of the lost backend's tunnels, and asserts how many were abnormal by then.
fn assert_ends(stage: &Stage, total: u32, abnormal: u32) {
    let id = stage.lost_id();
    stage
        .lone
        .wait_until("one more end", |lone| lone.table.ends(id).total == total);
    assert_eq!(stage.lone.table.ends(id).abnormal, abnormal, "of {total}");
}

fn close(code: u16) -> (Vec<u8>, Vec<u8>) {
    let payload = code.to_be_bytes();
    (client_frame(8, &payload), backend_frame(8, &payload))
}

#[test]
fn what_a_backend_breaks_counts_against_it() {
    let stage = Stage::new();
    // It leaves without a word, and the client goes after it.
    let mut pair = stage.pair("/lost");
    drop(pair.backend);
    assert_ended(&mut pair.client);
    drop(pair.client);
    assert_ends(&stage, 1, 1);
    // It breaks off.
    let mut pair = stage.pair("/lost");
    support::pairs::reset(pair.backend);
    assert_reset(&mut pair.client);
    assert_ends(&stage, 2, 2);
    // It cannot go on.
    let mut pair = stage.pair("/lost");
    pair.backend.write_all(&close(1011).1).unwrap();
    assert_told(&mut pair.client, 1011);
    drop(pair);
    assert_ends(&stage, 3, 3);
    stage.all_gone();
}

#[test]
fn what_a_client_breaks_and_what_ends_well_does_not_count_against_the_backend() {
    let stage = Stage::new();
    // The client breaks off.
    let mut pair = stage.pair("/lost");
    support::pairs::reset(pair.client);
    assert_reset(&mut pair.backend);
    assert_ends(&stage, 1, 0);
    // It leaves without a word.
    let mut pair = stage.pair("/lost");
    drop(pair.client);
    assert_ended(&mut pair.backend);
    drop(pair.backend);
    assert_ends(&stage, 2, 0);
    // It says 1011 itself and is answered; then the backend closes as it should.
    let (from_client, from_backend) = close(1011);
    let mut pair = stage.pair("/lost");
    pair.client.write_all(&from_client).unwrap();
    assert_told(&mut pair.backend, 1011);
    pair.backend.write_all(&from_backend).unwrap();
    assert_told(&mut pair.client, 1011);
    drop(pair);
    assert_ends(&stage, 3, 0);
    let (from_client, from_backend) = close(1000);
    let mut pair = stage.pair("/lost");
    pair.backend.write_all(&from_backend).unwrap();
    assert_told(&mut pair.client, 1000);
    pair.client.write_all(&from_client).unwrap();
    assert_told(&mut pair.backend, 1000);
    drop(pair.backend);
    assert_ended(&mut pair.client);
    drop(pair.client);
    assert_ends(&stage, 4, 0);
    stage.all_gone();
}
