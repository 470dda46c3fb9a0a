//! Lets an inspector look at what one side sent, and decides for it: by the rates, the hearts, the limits of the route.

use std::time::Duration;

use super::look::Look;
use super::meters::Meters;
use super::tail::Tail;
use super::tunnel::{End, Flow, Side};
use crate::clock::Now;
use crate::fleet::{FrameRules, Over, RateRule};
use crate::metrics::{Dropped, FlowCounters, FlowTraffic};
use crate::simd::Scratch;
use crate::ws::{
    Admission, Bucket, ControlFrame, FrameHeader, Heartbeat, Host, Opcode, Passage, Pong, Rate,
    Rule, Verdict,
};

/// What a look needs besides the tunnel: what a worker has once for all of them.
pub(super) struct Bench<'a> {
    pub(super) now: Now,
    pub(super) scratch: &'a mut Scratch,
    /// What goes on is in here afterwards.
    pub(super) passage: &'a mut Passage,
    pub(super) meters: &'a mut Meters,
    /// Frames that answer the sender's Pings.
    pub(super) answers: &'a mut Vec<u8>,
    /// How much more may be held back on this worker.
    pub(super) room: usize,
}

/// What came of a look at some bytes, besides what goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    /// What becomes of the bytes of the side that sent them.
    pub(super) flow: Flow,
    /// The frame is at its end that our Close frame waited for.
    pub(super) cut: bool,
    /// Whole messages, those too that go nowhere because the tunnel is ending.
    pub(super) messages: u64,
    /// What these bytes brought the direction to; `Pass` if it had come to its end before.
    pub(super) verdict: Verdict,
    /// Something is held back that has to become whole in time.
    pub(super) holds: bool,
    /// The sender is read no further for so long.
    pub(super) slow_for: Option<Duration>,
    /// Something came that is more than an answer to us.
    pub(super) is_active: bool,
}

impl Look {
    /// Looks at bytes that `sender` sent.
    pub(super) fn feed(
        &mut self,
        sender: End,
        (side, bytes): (&mut Side, &[u8]),
        flow_counters: &FlowCounters,
        bench: Bench<'_>,
    ) -> Looked {
        let way = &mut self.ways[sender as usize];
        way.heard = bench.now;
        let mut doorman = Doorman {
            rules: &self.rules,
            sender,
            now: bench.now,
            flow: flow_counters,
            meters: bench.meters,
            pails: if sender == End::Client {
                &self.meters
            } else {
                &[]
            },
            control: &mut way.control,
            heart: way.heart.as_mut(),
            tail: self.tail.as_deref_mut(),
            answers: bench.answers,
            room: bench.room,
            counts: !self.is_for_tail,
            slow_for: None,
            is_active: false,
        };
        let (flow, was) = (side.flow, side.scanner.verdict());
        let input = (&mut side.scanner, bytes, flow == Flow::Cut);
        let (scratch, passage) = (bench.scratch, bench.passage);
        let read = way.inspector.feed(input, scratch, &mut doorman, passage);
        let cut = flow == Flow::Cut && way.inspector.at_boundary();
        let mut messages = u64::from(passage.messages);
        if cut && read < bytes.len() {
            // The rest goes nowhere, but a Close frame in it is this side's goodbye.
            let mut rest = Passage::default();
            let input = (&mut side.scanner, &bytes[read..], false);
            way.inspector.feed(input, scratch, &mut doorman, &mut rest);
            messages += u64::from(rest.messages);
        }
        if flow == Flow::Discard {
            passage.clear();
        }
        let (slow_for, is_active) = (doorman.slow_for, doorman.is_active);
        way.held_since = match (way.inspector.holds(), way.held_since) {
            (false, _) => None,
            (true, Some(since)) if !way.inspector.has_begun_to_hold() => Some(since),
            (true, _) => Some(bench.now),
        };
        let holds = way.held_since.is_some();
        let verdict = side.scanner.verdict();
        Looked {
            flow,
            cut,
            messages,
            verdict: if was == Verdict::Pass {
                verdict
            } else {
                Verdict::Pass
            },
            holds,
            slow_for,
            is_active,
        }
    }
}

/// Whom the inspector of one direction works for while it looks at one chunk.
struct Doorman<'a> {
    rules: &'a FrameRules,
    sender: End,
    now: Now,
    flow: &'a FlowCounters,
    meters: &'a mut Meters,
    pails: &'a [u32],
    control: &'a mut Bucket,
    heart: Option<&'a mut Heartbeat>,
    tail: Option<&'a mut Tail>,
    /// Frames that answer the sender's Pings.
    answers: &'a mut Vec<u8>,
    /// How much more may be held back on this worker.
    room: usize,
    /// Lengths and fragments are counted: the route asks for something, not only whoever reads the tail.
    counts: bool,
    /// The sender is over a rate that slows it.
    slow_for: Option<Duration>,
    /// Something came that is more than an answer to us.
    is_active: bool,
}

impl<'a> Doorman<'a> {
    /// The sender's rates; only clients have any.
    fn rates(&self) -> impl Iterator<Item = (u32, &'a RateRule)> + use<'a> {
        self.pails.iter().copied().zip(&self.rules.rates)
    }

    fn traffic(&self) -> &FlowTraffic {
        match self.sender {
            End::Client => &self.flow.client_to_backend,
            End::Backend => &self.flow.backend_to_client,
        }
    }

    /// Counts a message, or bytes of one, and notes how long a sender that is over has to wait.
    fn charge(&mut self, amount: (u64, u64), counts: impl Fn(&RateRule) -> bool) {
        for (place, rule) in self.rates().filter(|(_, rule)| counts(rule)) {
            self.meters.take(place, rule, amount, self.now);
            if rule.over == Over::Slow {
                self.slow_for = self.slow_for.max(self.meters.wait(place, rule, self.now));
            }
        }
    }
}

impl Host for Doorman<'_> {
    fn opened(&mut self, header: &FrameHeader) {
        if let Some(tail) = &mut self.tail {
            tail.opened(self.sender, header, self.now);
        }
    }

    fn admit(&mut self) -> Admission {
        self.is_active = true;
        for (place, rule) in self.rates() {
            if rule.over == Over::Slow || self.meters.has_some(place, rule, self.now) {
                continue;
            }
            if rule.over == Over::Close {
                return Admission::Refuse(Rule::MessageRate);
            }
            self.traffic().dropped(Dropped::Rate);
            return Admission::Drop;
        }
        self.charge((1, 0), |_| true);
        Admission::Pass
    }

    fn admit_control(&mut self) -> Result<(), Rule> {
        let watch = match self.sender {
            End::Client => &self.rules.client,
            End::Backend => &self.rules.backend,
        };
        if let Some(per_second) = watch.limits.control_per_second {
            if !self.control.has_some(self.now) {
                return Err(Rule::ControlRate);
            }
            let burst = Duration::from_secs(1);
            self.control.take(1, Rate { per_second, burst }, self.now);
        }
        for (place, rule) in self.rates().filter(|(_, rule)| rule.counts_control) {
            if rule.over == Over::Close && !self.meters.has_some(place, rule, self.now) {
                return Err(Rule::MessageRate);
            }
        }
        self.charge((1, 0), |rule| rule.counts_control);
        Ok(())
    }

    fn data(&mut self, part: &[u8], key: Option<[u8; 4]>, at: u64, is_dropped: bool) {
        self.is_active = true;
        // What is left out is not paid for, or one flood would silence its sender for hours.
        if !self.pails.is_empty() && !is_dropped {
            self.charge((0, part.len() as u64), |_| true);
        }
        if let Some(tail) = &mut self.tail {
            tail.payload(self.sender, part, key, at);
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let side = match self.sender {
            End::Client => &self.flow.client,
            End::Backend => &self.flow.backend,
        };
        if opcode == Opcode::Ping && self.rules.answer_pings && self.sender == End::Client {
            let answer = ControlFrame::new(Opcode::Pong, payload, None);
            self.answers.extend_from_slice(answer.render().as_bytes());
            side.pings_answered.add(1);
            self.is_active = true;
            return false;
        }
        let pong = match (&mut self.heart, opcode) {
            (Some(heart), Opcode::Pong) => heart.recognise(payload, self.now),
            _ => None,
        };
        if let Some(Pong::Answer(round_trip)) = pong {
            side.round_trips.observe(round_trip);
        }
        self.is_active |= pong.is_none();
        pong.is_none()
    }

    fn only_counts(&self) -> bool {
        self.tail.is_none() && self.pails.is_empty()
    }

    fn message(&mut self, bytes: u64, frames: u32) {
        self.is_active = true;
        if !self.counts {
            return;
        }
        let traffic = self.traffic();
        traffic.sizes.observe(bytes);
        if frames > 1 {
            traffic.fragments.add(frames.into());
        }
    }

    fn may_hold(&mut self, bytes: usize) -> bool {
        bytes <= self.room
    }
}
