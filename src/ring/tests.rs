//! The ring on real socket pairs: what is awaited, what is too late, and what there is no buffer for.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::clock::Now;
use crate::limits;
use crate::sys::eventfd::EventFd;

const SHAPES: [Shape; 3] = [Shape::Incremental, Shape::TwoSize, Shape::Bundle];

fn options(shape: Shape, count: u16) -> RingOptions {
    let buffers = BufferOptions {
        shape,
        count: Some(count),
        bytes: Some(1024),
    };
    RingOptions::new(64, buffers)
}

/// A ring of this thread, and what it rings.
fn ring(shape: Shape, count: u16) -> (Ring, OwnedFd) {
    let bell = EventFd::for_parking().unwrap();
    let features = Features::probe().unwrap();
    let ring = Ring::new(options(shape, count), features, bell.as_fd()).unwrap();
    (ring, bell)
}

/// Enters until something other than the ring's own completes, and hands it over.
fn next(ring: &mut Ring) -> Completion {
    loop {
        ring.enter(true).unwrap();
        let mut found = Vec::new();
        ring.reap(&mut found, 1);
        let of_others = |completion: &Completion| completion.token.kind() >= Token::FIRST_FREE_KIND;
        if let Some(completion) = found.into_iter().find(of_others) {
            return completion;
        }
    }
}

fn token(index: u32) -> Token {
    Token::new(Token::FIRST_FREE_KIND, 1, index)
}

/// A dispatcher with nothing of its own, for awaited operations.
struct Nobody(Rc<Cell<bool>>);

impl Dispatch for Nobody {
    fn accepted(&mut self, _: &mut Ring, _: Accepted, _: Now) {}
    fn complete(&mut self, _: &mut Ring, _: &mut Wheel, _: &Completion, _: Now) {}
    fn due(&mut self, _: &mut Ring, _: &mut Wheel, _: Token, _: Now) {}
    fn batch_done(&mut self, _: &mut Ring, _: &mut Wheel, _: Now) {}
    fn between_batches(&mut self) -> bool {
        false
    }
    fn finished(&self) -> bool {
        self.0.get()
    }
}

/// Runs a task against a driver, to the end of the task.
fn drive<F: Future<Output = ()> + 'static>(
    shape: Shape,
    task: impl FnOnce(Handle) -> F + Send + 'static,
) {
    let executor = glommio::LocalExecutorBuilder::default()
        .io_memory(limits::EXECUTOR_IO_BYTES)
        .preempt_timer(limits::EXECUTOR_PREEMPT);
    let executor = executor.make().unwrap();
    executor.run(async move {
        let (ring, bell) = ring(shape, 4);
        let handle = Handle::new(ring, Wheel::new(Now::read()));
        let over = Rc::new(Cell::new(false));
        let task = task(handle.clone());
        let done = Rc::clone(&over);
        let (near, far) = UnixStream::pair().unwrap();
        let caller = handle.caller();
        let spawned = glommio::spawn_local(async move {
            task.await;
            done.set(true);
            // The driver hears of it with the next completion.
            drop(far);
            let end = caller
                .receive(near.as_fd(), &mut Vec::new(), soon(5000))
                .await;
            assert_eq!(end.unwrap(), 0);
        });
        let dispatch = RefCell::new(Nobody(over));
        Driver::new(handle.clone(), bell)
            .run(&dispatch)
            .await
            .unwrap();
        drop(spawned);
        handle.close();
    });
}

fn soon(ms: u64) -> Now {
    Now::read().after(Duration::from_millis(ms))
}

#[test]
fn what_is_awaited_goes_out_and_comes_in() {
    for shape in SHAPES {
        drive(shape, |handle| async move {
            let (near, far) = UnixStream::pair().unwrap();
            let (caller, other) = (handle.caller(), handle.caller());
            let sent = vec![7; 200_000];
            let echo = glommio::spawn_local(async move {
                let mut got = Vec::new();
                while got.len() < 200_000 {
                    let more = other
                        .receive(far.as_fd(), &mut got, soon(5000))
                        .await
                        .unwrap();
                    assert!(more > 0 && more <= 1024, "one buffer at a time");
                }
                other.send_all(far.as_fd(), got, soon(5000)).await.unwrap();
            });
            let back = caller
                .send_all(near.as_fd(), sent.clone(), soon(5000))
                .await
                .unwrap();
            assert_eq!(back.len(), sent.len(), "the memory comes back");
            let mut got = Vec::new();
            while got.len() < sent.len() {
                caller
                    .receive(near.as_fd(), &mut got, soon(5000))
                    .await
                    .unwrap();
            }
            assert!(got == sent);
            echo.await;
            let end = caller
                .receive(near.as_fd(), &mut got, soon(5000))
                .await
                .unwrap();
            assert_eq!(end, 0, "the other end is gone");
            let (home, total) = handle.ring().buffers.home_and_total();
            assert_eq!(home, total);
        });
    }
}

#[test]
fn a_deadline_ends_the_wait_and_the_next_one_is_its_own() {
    drive(Shape::TwoSize, |handle| async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        let caller = handle.caller();
        let mut got = Vec::new();
        let start = Now::read();
        let late = caller.receive(near.as_fd(), &mut got, soon(50)).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(Now::read().since(start) >= Duration::from_millis(50));
        far.write_all(b"now").unwrap();
        assert_eq!(
            caller
                .receive(near.as_fd(), &mut got, soon(5000))
                .await
                .unwrap(),
            3
        );
        assert_eq!(got, b"now");
    });
}

#[test]
fn deadlines_of_a_busy_task_do_not_pile_up_in_the_wheel() {
    drive(Shape::TwoSize, |handle| async move {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (quiet, _kept) = UnixStream::pair().unwrap();
        let (busy, pace) = (handle.caller(), handle.caller());
        let mut got = Vec::new();
        // The busy task never waits long enough for a deadline, but has long and short ones in turn.
        for round in 0..60 {
            let patience = if round % 2 == 0 { 400 } else { 90 };
            let wait = busy.receive(near.as_fd(), &mut got, soon(patience));
            let mut nothing = Vec::new();
            let write = async {
                let paused = pace.receive(quiet.as_fd(), &mut nothing, soon(1)).await;
                assert_eq!(paused.unwrap_err().kind(), ErrorKind::TimedOut);
                far.write_all(b"x").unwrap();
            };
            let (read, ()) = futures_util::future::join(wait, write).await;
            assert_eq!(read.unwrap(), 1);
        }
        let waiting = handle.wheel().len();
        assert!(waiting <= 3, "{waiting} entries for two tasks");
    });
}

#[test]
fn a_wait_that_is_given_up_leaves_no_buffer_behind() {
    for shape in SHAPES {
        drive(shape, |handle| async move {
            let (near, mut far) = UnixStream::pair().unwrap();
            let (given_up, caller) = (handle.caller(), handle.caller());
            let mut got = Vec::new();
            for _ in 0..20 {
                let mut nothing = Vec::new();
                let mut wait = Box::pin(given_up.receive(near.as_fd(), &mut nothing, soon(5000)));
                let polled =
                    std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context)));
                assert!(polled.await.is_pending());
                drop(wait);
                // The driver has to come by with the cancellation before the bytes do.
                let pause = caller.receive(near.as_fd(), &mut got, soon(1)).await;
                assert_eq!(pause.unwrap_err().kind(), ErrorKind::TimedOut);
                far.write_all(b"x").unwrap();
                assert_eq!(
                    caller
                        .receive(near.as_fd(), &mut got, soon(5000))
                        .await
                        .unwrap(),
                    1
                );
            }
            assert_eq!(got.len(), 20);
            let (home, total) = handle.ring().buffers.home_and_total();
            assert_eq!(home, total);
        });
    }
}

#[test]
fn a_completion_from_an_earlier_life_wakes_nobody_and_keeps_no_buffer() {
    let (mut ring, _bell) = ring(Shape::TwoSize, 4);
    let late = Completion {
        token: Token::new(token::kind::AWAITED, 77, 0),
        result: 5,
        flags: 0,
    };
    ring.complete_awaited(&late);
    assert!(!ring.awaited.take_woken());
    assert_eq!(ring.expire_awaited(late.token, Now::read()), None);
}

#[test]
fn without_a_buffer_a_receive_ends_and_goes_on_when_one_is_back() {
    for shape in SHAPES {
        let (mut ring, _bell) = ring(shape, 4);
        let (near, mut far) = UnixStream::pair().unwrap();
        let sent: Vec<u8> = (0..9000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        far.write_all(&sent).unwrap();
        let (mut chunks, mut got) = (Vec::new(), Vec::new());
        ring.receive(near.as_fd(), Lane::Small, token(1));
        while got.len() < sent.len() {
            let completion = next(&mut ring);
            if completion.result > 0 {
                ring.take(&completion, &mut chunks);
            } else {
                assert_eq!(completion.result, -libc::ENOBUFS, "{shape:?}");
                assert!(
                    !chunks.is_empty(),
                    "{shape:?}: out of buffers that nobody has"
                );
                assert_eq!(ring.buffers.available(Lane::Small), 0, "{shape:?}");
            }
            if completion.result < 0
                || chunks.iter().map(Chunk::len).sum::<usize>() + got.len() == sent.len()
            {
                for chunk in chunks.drain(..) {
                    got.extend_from_slice(ring.buffers.bytes(&chunk));
                    ring.buffers.release(chunk);
                }
            }
            if !completion.more() {
                ring.receive(near.as_fd(), Lane::Small, token(1));
            }
        }
        assert!(got == sent, "{shape:?}");
        let (home, total) = ring.buffers.home_and_total();
        assert_eq!(home, total, "{shape:?}");
    }
}

#[test]
fn ends_of_streams_take_no_buffer_from_the_account() {
    for shape in SHAPES {
        let (mut ring, _bell) = ring(shape, 4);
        let (mut chunks, mut last) = (Vec::new(), Vec::new());
        for round in 0..40_u32 {
            let (near, mut far) = UnixStream::pair().unwrap();
            far.write_all(&[1; 700]).unwrap();
            drop(far);
            ring.receive(near.as_fd(), Lane::Small, token(round));
            loop {
                let completion = next(&mut ring);
                ring.take(&completion, &mut chunks);
                last.push(completion.result);
                for chunk in chunks.drain(..) {
                    assert!(ring.buffers.bytes(&chunk).iter().all(|byte| *byte == 1));
                    ring.buffers.release(chunk);
                }
                if completion.result == 0 {
                    break;
                }
                if !completion.more() {
                    ring.receive(near.as_fd(), Lane::Small, token(round));
                }
            }
            let (home, total) = ring.buffers.home_and_total();
            assert_eq!(home, total, "{shape:?}");
        }
        assert_eq!(
            last.iter().filter(|result| **result == 0).count(),
            40,
            "{shape:?}"
        );
    }
}

#[test]
fn a_socket_whose_close_was_still_in_line_is_closed_with_the_ring() {
    let (mut ring, _bell) = ring(Shape::TwoSize, 4);
    let (near, mut far) = UnixStream::pair().unwrap();
    ring.close(OwnedFd::from(near));
    drop(ring);
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_is_left_of_one_sockets_turn_shortens_no_buffer_for_the_next() {
    let (mut ring, _bell) = ring(Shape::Bundle, 128);
    let mut chunks = Vec::new();
    // The first socket's turn ends up a few bytes short, and it waits for more.
    let (near, mut far) = UnixStream::pair().unwrap();
    ring.receive(near.as_fd(), Lane::Small, token(1));
    let mut left = limits::RECEIVE_TURN_BYTES - 100;
    while left > 0 {
        let part = left.min(600);
        far.write_all(&vec![1; part as usize]).unwrap();
        left -= part;
        let completion = next(&mut ring);
        assert!(completion.more() && completion.result == i32::try_from(part).unwrap());
        ring.take(&completion, &mut chunks);
        chunks
            .drain(..)
            .for_each(|chunk| ring.buffers.release(chunk));
    }
    // Another socket then fills several buffers at once.
    let (other, mut far) = UnixStream::pair().unwrap();
    let sent: Vec<u8> = (0..9000_u32).map(|number| (number % 251) as u8).collect();
    far.write_all(&sent).unwrap();
    ring.receive(other.as_fd(), Lane::Small, token(2));
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let completion = next(&mut ring);
        ring.take(&completion, &mut chunks);
        for chunk in chunks.drain(..) {
            got.extend_from_slice(ring.buffers.bytes(&chunk));
            ring.buffers.release(chunk);
        }
        if !completion.more() {
            ring.receive(other.as_fd(), Lane::Small, token(2));
        }
    }
    assert!(got == sent, "the bytes came from the wrong places");
}

/// The flags of a completion that names `buffer`.
fn naming(buffer: u16) -> u32 {
    1 | u32::from(buffer) << 16
}

#[test]
fn an_empty_bundle_that_names_a_buffer_gives_none_back() {
    let (mut ring, _bell) = ring(Shape::Bundle, 4);
    let (mut chunks, mut got) = (Vec::new(), Vec::new());
    for result in [0, -libc::ECANCELED, 0] {
        ring.buffers.take(result, naming(0), &mut chunks);
    }
    assert!(chunks.is_empty());
    assert_eq!(ring.buffers.home_and_total(), (4, 4));
    // The kernel still has each of them once: it fills no more than four, and the right ones.
    let (near, mut far) = UnixStream::pair().unwrap();
    let sent: Vec<u8> = (0..6000_u32).map(|number| (number % 251) as u8).collect();
    far.write_all(&sent).unwrap();
    ring.receive(near.as_fd(), Lane::Small, token(1));
    while chunks.iter().map(Chunk::len).sum::<usize>() < 4096 {
        let completion = next(&mut ring);
        assert!(completion.result > 0, "{completion:?}");
        ring.take(&completion, &mut chunks);
    }
    assert_eq!(ring.buffers.home_and_total(), (0, 4));
    for chunk in chunks.drain(..) {
        got.extend_from_slice(ring.buffers.bytes(&chunk));
        ring.buffers.release(chunk);
    }
    assert!(got == sent[..4096], "a buffer was filled twice");
    assert_eq!(ring.buffers.home_and_total(), (4, 4));
}

#[test]
fn a_buffer_that_a_bundle_went_past_comes_home() {
    let (mut ring, _bell) = ring(Shape::Bundle, 4);
    let mut chunks = Vec::new();
    // Buffers 0 and 1 were taken for nothing; then 700 bytes came in buffer 2.
    ring.buffers.take(0, naming(0), &mut chunks);
    ring.buffers.take(0, naming(1), &mut chunks);
    ring.buffers.take(700, naming(2), &mut chunks);
    assert_eq!(ring.buffers.home_and_total(), (3, 4));
    chunks
        .drain(..)
        .for_each(|chunk| ring.buffers.release(chunk));
    assert_eq!(ring.buffers.home_and_total(), (4, 4));
}

#[test]
fn a_wait_ends_with_the_peer_it_is_for_and_leaves_nothing_in_flight() {
    let endings: [fn(UnixStream); 2] = [drop, |far| {
        far.shutdown(std::net::Shutdown::Write).unwrap();
        // The other half goes on, until the near end is gone.
        std::thread::spawn(move || (&far).read(&mut [0]));
    }];
    for shape in SHAPES {
        for ending in endings {
            drive(shape, move |handle| async move {
                let (near, far) = UnixStream::pair().unwrap();
                let (asked, _silent) = UnixStream::pair().unwrap();
                let (caller, pace) = (handle.caller(), handle.caller());
                let mut answer = Vec::new();
                let work = caller.receive(asked.as_fd(), &mut answer, soon(60_000));
                let call_off = || crate::sys::end_both(&asked);
                let client = (near.as_fd(), Leaving::AtItsEnd);
                let waiting = handle.unless_left(client, work, call_off);
                let leave = async {
                    let (quiet, _kept) = UnixStream::pair().unwrap();
                    // What it says before it leaves takes nothing from the wait.
                    (&far).write_all(b"early").unwrap();
                    let paused = pace.receive(quiet.as_fd(), &mut Vec::new(), soon(50)).await;
                    assert_eq!(paused.unwrap_err().kind(), ErrorKind::TimedOut);
                    ending(far);
                };
                let (left, ()) = futures_util::future::join(waiting, leave).await;
                assert!(left.is_none(), "the peer has left");
                assert_eq!(handle.ring().awaited.len(), 0, "something is in flight");
                let mut early = Vec::new();
                let read = pace.receive(near.as_fd(), &mut early, soon(5000)).await;
                assert_eq!((read.unwrap(), &early[..]), (5, &b"early"[..]));
                let (home, total) = handle.ring().buffers.home_and_total();
                assert_eq!(home, total);
            });
        }
    }
}

#[test]
fn a_wait_whose_work_is_done_stops_watching_and_one_for_resets_outlives_an_end() {
    drive(Shape::TwoSize, |handle| async move {
        let (near, far) = UnixStream::pair().unwrap();
        let (asked, mut answers) = UnixStream::pair().unwrap();
        let (caller, pace) = (handle.caller(), handle.caller());
        let (quiet, _kept) = UnixStream::pair().unwrap();
        for leaving in [Leaving::AtItsEnd, Leaving::ByReset] {
            if leaving == Leaving::ByReset {
                far.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let mut answer = Vec::new();
            let work = caller.receive(asked.as_fd(), &mut answer, soon(5000));
            let call_off = || panic!("nobody has left");
            let waiting = handle.unless_left((near.as_fd(), leaving), work, call_off);
            let say = async {
                let paused = pace.receive(quiet.as_fd(), &mut Vec::new(), soon(50)).await;
                assert_eq!(paused.unwrap_err().kind(), ErrorKind::TimedOut);
                answers.write_all(b"yes").unwrap();
            };
            let (done, ()) = futures_util::future::join(waiting, say).await;
            assert_eq!(done.unwrap().unwrap(), 3);
        }
        // The watch that is over completes as cancelled, and frees its place.
        let paused = pace.receive(quiet.as_fd(), &mut Vec::new(), soon(50)).await;
        assert_eq!(paused.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(handle.ring().awaited.len(), 0);
    });
}
