//! What a tunnel carries with it whose frames somebody looks at: rules, inspectors, hearts, buckets, a tail.

use std::time::Duration;

use super::meters::{Meters, Subject};
use super::tail::Tail;
use super::tunnel::End;
use crate::clock::Now;
use crate::fleet::{FrameRules, Over, RateRule, SlowConsumer};
use crate::metrics::{Dropped, FlowCounters, FlowTraffic};
use crate::rng::Rng;
use crate::sync::Arc;
use crate::ws::{
    Admission, Bucket, ControlFrame, FrameHeader, Heartbeat, Host, Inspector, Opcode, Pace, Pong,
    Rate, Rule, Scanner, Watch,
};

/// The rules of a route for the frames of one tunnel, and who is counted by its rates.
#[derive(Debug)]
pub struct Framing {
    /// The rules.
    pub rules: Arc<FrameRules>,
    /// One for each of their rates.
    pub subjects: Vec<Subject>,
}

/// A tunnel that is looked into.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) rules: Arc<FrameRules>,
    /// Both directions, by who sends them.
    pub(super) ways: [Way; 2],
    /// Buckets of the client, one for each rate of the rules.
    pub(super) meters: Box<[u32]>,
    /// The latest headers, while somebody asks for them.
    pub(super) tail: Option<Box<Tail>>,
    /// Nothing but the tail wants it.
    pub(super) is_for_tail: bool,
}

/// One direction, by who sends it.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) inspector: Inspector,
    /// Whether the sender lives.
    pub(super) heart: Option<Heartbeat>,
    /// When the sender was last heard.
    pub(super) heard: Now,
    /// Control frames of the sender.
    pub(super) control: Bucket,
    /// The sender is read no further until then.
    pub(super) slowed_until: Option<Now>,
}

impl Look {
    /// At the start of a tunnel.
    pub(super) fn new(framing: Framing, meters: Box<[u32]>, rng: &mut Rng, now: Now) -> Self {
        let rules = framing.rules;
        let mut heart = |end| pace(&rules, end).map(|pace| Heartbeat::new(pace, rng));
        let (client, backend) = (heart(End::Client), heart(End::Backend));
        Self {
            ways: [
                Way::new(Inspector::new(rules.client), client, now),
                Way::new(Inspector::new(rules.backend), backend, now),
            ],
            meters,
            tail: None,
            is_for_tail: false,
            rules,
        }
    }

    /// In the midst of a tunnel that nobody looked into, for whoever wants its tail.
    pub(super) fn joining(rules: Arc<FrameRules>, scanners: [&Scanner; 2], now: Now) -> Self {
        let way = |scanner| Way::new(Inspector::joining(Watch::default(), scanner), None, now);
        Self {
            ways: scanners.map(way),
            meters: Box::default(),
            tail: None,
            is_for_tail: true,
            rules,
        }
    }

    pub(super) const fn way(&mut self, sender: End) -> &mut Way {
        &mut self.ways[sender as usize]
    }

    pub(super) const fn way_ref(&self, sender: End) -> &Way {
        &self.ways[sender as usize]
    }

    /// What happens to what `receiver` does not take fast enough.
    pub(super) fn slow_rule(&self, receiver: End) -> SlowConsumer {
        match receiver {
            End::Client => self.rules.to_client,
            End::Backend => self.rules.to_backend,
        }
    }

    /// When somebody should look at its hearts and at who is slowed.
    pub(super) fn next_due(&self) -> Option<Now> {
        let beats = self
            .ways
            .iter()
            .map(|way| way.heart.as_ref().map(|heart| heart.due(way.heard)));
        let ends = self.ways.iter().map(|way| way.slowed_until);
        beats.chain(ends).flatten().min()
    }

    /// Bytes that are held back.
    pub(super) fn held(&self) -> usize {
        self.ways.iter().map(|way| way.inspector.held()).sum()
    }

    /// Whether it can be taken away without anybody noticing.
    pub(super) fn is_idle(&self) -> bool {
        self.ways.iter().all(|way| way.inspector.is_idle())
    }
}

impl Way {
    fn new(inspector: Inspector, heart: Option<Heartbeat>, now: Now) -> Self {
        Self {
            inspector,
            heart,
            heard: now,
            control: Bucket::full(),
            slowed_until: None,
        }
    }
}

/// When one side is asked whether it lives, if ever.
pub(super) fn pace(rules: &FrameRules, end: End) -> Option<Pace> {
    let heartbeat = &rules.heartbeat;
    let every = match end {
        End::Client => heartbeat.client,
        End::Backend => heartbeat.backend,
    };
    every.map(|every| Pace {
        every,
        jitter_percent: heartbeat.jitter_percent,
        misses: heartbeat.misses,
    })
}

/// Whom the inspector of one direction works for while it looks at one chunk.
pub(super) struct Doorman<'a> {
    pub(super) rules: &'a FrameRules,
    pub(super) sender: End,
    pub(super) now: Now,
    pub(super) flow: &'a FlowCounters,
    pub(super) meters: &'a mut Meters,
    pub(super) places: &'a [u32],
    pub(super) control: &'a mut Bucket,
    pub(super) heart: Option<&'a mut Heartbeat>,
    pub(super) tail: Option<&'a mut Tail>,
    /// Frames that answer the sender's Pings.
    pub(super) answers: &'a mut Vec<u8>,
    /// How much more may be held back on this worker.
    pub(super) room: usize,
    /// The sender is over a rate that slows it.
    pub(super) slow_for: Option<Duration>,
    /// Something came that is more than an answer to us.
    pub(super) is_active: bool,
}

impl<'a> Doorman<'a> {
    /// The sender's rates; only clients have any.
    fn rates(&self) -> impl Iterator<Item = (u32, &'a RateRule)> + use<'a> {
        self.places.iter().copied().zip(&self.rules.rates)
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

    fn data(&mut self, part: &[u8], key: Option<[u8; 4]>, at: u64) {
        self.is_active = true;
        if !self.places.is_empty() {
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

    fn message(&mut self, bytes: u64, frames: u32) {
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
