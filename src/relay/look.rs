//! What a tunnel carries with it whose frames somebody looks at: rules, inspectors, hearts, buckets, a tail.

use super::meters::Subject;
use super::tail::Tail;
use super::tunnel::End;
use crate::clock::Now;
use crate::fleet::{FrameRules, SlowConsumer};
use crate::rng::Rng;
use crate::sync::Arc;
use crate::ws::{Bucket, Heartbeat, Inspector, Pace, Scanner, Watch};

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
    /// Nothing but the tail wants it: what is seen goes on in the order it came, as if nobody looked.
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
    /// Since when something of the sender is held back.
    pub(super) held_since: Option<Now>,
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

    /// When somebody should look at its hearts, at who is slowed and at what is held back.
    pub(super) fn next_due(&self) -> Option<Now> {
        let beats = self
            .ways
            .iter()
            .map(|way| way.heart.as_ref().map(|heart| heart.due(way.heard)));
        let ends = self.ways.iter().map(|way| way.slowed_until);
        let wholes = self.ways.iter().map(|way| self.whole_by(way));
        beats.chain(ends).chain(wholes).flatten().min()
    }

    /// When what is held back of a way has to be whole.
    fn whole_by(&self, way: &Way) -> Option<Now> {
        let since = way.held_since?;
        Some(since.after(self.rules.message_timeout))
    }

    /// Whether what is held back of this sender has not become whole in its time.
    pub(super) fn is_overdue(&self, sender: End, now: Now) -> bool {
        let by = self.whole_by(self.way_ref(sender));
        by.is_some_and(|by| by <= now)
    }

    /// The memory of what is held back, in bytes.
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
            held_since: None,
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
