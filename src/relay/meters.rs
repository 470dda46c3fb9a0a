//! How much clients send in a second: the buckets of one worker, those of one tunnel and those that tunnels share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use siphasher::sip128::SipHasher13;
use slab::Slab;

use crate::clock::Now;
use crate::fleet::RateRule;
use crate::limits;
use crate::rng::Rng;
use crate::ws::Bucket;

/// Who is counted by one rule: what a handshake says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// This connection alone.
    Connection,
    /// Everybody from this address, an IPv6 /64 being one.
    Source(IpAddr),
    /// Everybody with this value.
    Value(Vec<u8>),
}

/// All buckets of a worker.
#[derive(Debug)]
pub(super) struct Meters {
    pails: Slab<Pail>,
    shared: HashMap<u128, u32>,
    /// Known to nobody, so that nobody can choose two values that meet.
    key: [u8; 16],
    /// At so many shared ones it is looked who may go.
    sweep_at: usize,
    /// When that was done last.
    swept: Now,
}

/// The buckets of one subject under one rule.
#[derive(Debug, Clone)]
pub(super) struct Pail {
    messages: Bucket,
    bytes: Bucket,
    /// Tunnels that draw from it.
    holders: u32,
    /// Under which it is found, if it is shared.
    name: Option<u128>,
    /// When nobody needs to remember it any more.
    full_at: Now,
}

impl Meters {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
        key[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
        Self {
            pails: Slab::new(),
            shared: HashMap::new(),
            key,
            sweep_at: SWEEP_LEAST,
            swept: Now::default(),
        }
    }

    /// Whether no further subject can be remembered.
    pub(super) fn are_full(&mut self, now: Now) -> bool {
        let (known, most) = (self.shared.len(), limits::RATE_KEYS_MAX);
        // A full table is walked no more than once a second, whoever asks.
        let is_due = known < most || now.since(self.swept) >= SWEEP_PAUSE;
        if known >= self.sweep_at && is_due {
            self.sweep(now);
        }
        self.shared.len() >= most
    }

    /// The buckets of a tunnel, one for each rule of its route. With no room left for one that is shared the tunnel
    /// gets its own.
    pub(super) fn open(&mut self, route: u16, subjects: &[Subject], now: Now) -> Box<[u32]> {
        let numbered = (0_u8..).zip(subjects);
        numbered
            .map(|(rule, subject)| {
                let name = self.name(route, rule, subject);
                let name =
                    name.filter(|name| self.shared.contains_key(name) || !self.are_full(now));
                self.hold(name)
            })
            .collect()
    }

    fn hold(&mut self, name: Option<u128>) -> u32 {
        let known = name.and_then(|name| self.shared.get(&name)).copied();
        let place = known.unwrap_or_else(|| {
            let place = self.pails.insert(Pail {
                messages: Bucket::full(),
                bytes: Bucket::full(),
                holders: 0,
                name,
                full_at: Now::default(),
            });
            let place = u32::try_from(place).expect("invariant: fewer pails than 2^32 tunnels");
            if let Some(name) = name {
                self.shared.insert(name, place);
            }
            place
        });
        self.pails[place as usize].holders += 1;
        place
    }

    /// A tunnel gives its buckets back. Shared ones are remembered until they are full again: who comes back in a hurry
    /// finds them as they were.
    pub(super) fn close(&mut self, pails: &[u32]) {
        for place in pails {
            let pail = &mut self.pails[*place as usize];
            pail.holders -= 1;
            if pail.holders == 0 && pail.name.is_none() {
                self.pails.remove(*place as usize);
            }
        }
    }

    /// Whether a message may pass under this rule.
    pub(super) fn has_some(&self, place: u32, rule: &RateRule, now: Now) -> bool {
        let pail = &self.pails[place as usize];
        (rule.messages.is_none() || pail.messages.has_some(now))
            && (rule.bytes.is_none() || pail.bytes.has_some(now))
    }

    /// Takes a message, or bytes, whether they are there or not.
    pub(super) fn take(
        &mut self,
        place: u32,
        rule: &RateRule,
        (messages, bytes): (u64, u64),
        now: Now,
    ) {
        let pail = &mut self.pails[place as usize];
        for (bucket, rate, tokens) in [
            (&mut pail.messages, rule.messages, messages),
            (&mut pail.bytes, rule.bytes, bytes),
        ] {
            if let Some(rate) = rate
                && tokens > 0
            {
                bucket.take(tokens, rate, now);
                let wait = bucket.wait(now).unwrap_or_default();
                pail.full_at = pail.full_at.max(now.after(wait).after(rate.burst));
            }
        }
    }

    /// How long until a message may pass under this rule.
    pub(super) fn wait(&self, place: u32, rule: &RateRule, now: Now) -> Option<Duration> {
        let pail = &self.pails[place as usize];
        let messages = rule.messages.and_then(|_| pail.messages.wait(now));
        let bytes = rule.bytes.and_then(|_| pail.bytes.wait(now));
        messages.max(bytes)
    }

    fn name(&self, route: u16, rule: u8, subject: &Subject) -> Option<u128> {
        let mut text = Vec::with_capacity(32);
        text.extend(route.to_le_bytes());
        text.push(rule);
        match subject {
            Subject::Connection => return None,
            Subject::Source(address) => {
                text.push(1);
                match address.to_canonical() {
                    IpAddr::V4(address) => text.extend(address.octets()),
                    IpAddr::V6(address) => text.extend(&address.octets()[..8]),
                }
            }
            Subject::Value(value) => {
                text.push(0);
                text.extend(value);
            }
        }
        let hash = SipHasher13::new_with_key(&self.key).hash(&text);
        Some(hash.as_u128())
    }

    fn sweep(&mut self, now: Now) {
        let pails = &mut self.pails;
        self.shared.retain(|_, place| {
            let pail = &pails[*place as usize];
            let stays = pail.holders > 0 || pail.full_at > now;
            if !stays {
                pails.remove(*place as usize);
            }
            stays
        });
        self.sweep_at = (2 * self.shared.len()).clamp(SWEEP_LEAST, limits::RATE_KEYS_MAX);
        self.swept = now;
    }
}

/// So few are not looked through.
const SWEEP_LEAST: usize = 1024;
/// Between two walks through a full table.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Over, RateKey};
    use crate::ws::Rate;

    const RULE: RateRule = RateRule {
        by: RateKey::Source,
        messages: Some(Rate {
            per_second: 10,
            burst: Duration::from_secs(1),
        }),
        bytes: None,
        over: Over::Slow,
        counts_control: false,
    };

    fn at(ms: u64) -> Now {
        Now::from_nanos((100_000 + ms) * 1_000_000)
    }

    fn from(address: &str) -> Subject {
        Subject::Source(address.parse().unwrap())
    }

    fn drained(meters: &mut Meters, places: &[u32], now: Now) -> u32 {
        let mut count = 0;
        while meters.has_some(places[0], &RULE, now) {
            meters.take(places[0], &RULE, (1, 0), now);
            count += 1;
        }
        count
    }

    #[test]
    fn who_is_the_same_draws_from_the_same_bucket() {
        let mut meters = Meters::new(&mut Rng::seeded(1));
        let one = meters.open(0, &[from("2001:db8::1")], at(0));
        let neighbour = meters.open(0, &[from("2001:db8::2")], at(0));
        let other = meters.open(0, &[from("2001:db8:0:1::1")], at(0));
        let elsewhere = meters.open(1, &[from("2001:db8::1")], at(0));
        assert_eq!(drained(&mut meters, &one, at(0)), 10);
        assert_eq!(drained(&mut meters, &neighbour, at(0)), 0);
        assert_eq!(drained(&mut meters, &other, at(0)), 10);
        assert_eq!(drained(&mut meters, &elsewhere, at(0)), 10);
    }

    #[test]
    fn a_connection_alone_shares_with_nobody_and_leaves_nothing() {
        let mut meters = Meters::new(&mut Rng::seeded(1));
        let one = meters.open(0, &[Subject::Connection], at(0));
        let other = meters.open(0, &[Subject::Connection], at(0));
        assert_eq!(drained(&mut meters, &one, at(0)), 10);
        assert_eq!(drained(&mut meters, &other, at(0)), 10);
        meters.close(&one);
        meters.close(&other);
        assert!(meters.pails.is_empty());
    }

    #[test]
    fn who_comes_back_in_a_hurry_finds_the_bucket_as_it_was() {
        let mut meters = Meters::new(&mut Rng::seeded(1));
        let value = [Subject::Value(b"ann".to_vec())];
        let first = meters.open(0, &value, at(0));
        drained(&mut meters, &first, at(0));
        meters.close(&first);
        meters.sweep(at(900));
        let second = meters.open(0, &value, at(900));
        assert_eq!(drained(&mut meters, &second, at(900)), 9);
        meters.close(&second);
        meters.sweep(at(10_000));
        assert!(meters.shared.is_empty() && meters.pails.is_empty());
    }

    #[test]
    fn a_full_table_has_room_again_when_its_subjects_are_gone() {
        let mut meters = Meters::new(&mut Rng::seeded(1));
        let subject = |number: usize| [Subject::Value(number.to_le_bytes().to_vec())];
        let mut held: Vec<_> = (0..limits::RATE_KEYS_MAX)
            .map(|number| meters.open(0, &subject(number), at(0)))
            .collect();
        assert!(meters.are_full(at(0)) && meters.are_full(at(5_000)));
        // A newcomer is counted alone, and who is known is found.
        let alone = meters.open(0, &subject(limits::RATE_KEYS_MAX), at(5_000));
        assert_eq!(meters.pails[alone[0] as usize].name, None);
        assert_eq!(meters.open(0, &subject(7), at(5_000)), held[7]);
        meters.close(&held[7]);
        for pails in held.drain(..) {
            meters.close(&pails);
        }
        assert!(meters.are_full(at(5_500)), "it was walked a moment ago");
        assert!(!meters.are_full(at(6_100)));
    }

    #[test]
    fn what_is_owed_is_waited_for() {
        let mut meters = Meters::new(&mut Rng::seeded(1));
        let places = meters.open(0, &[from("192.0.2.1")], at(0));
        meters.take(places[0], &RULE, (30, 0), at(0));
        let wait = meters.wait(places[0], &RULE, at(0)).unwrap();
        assert_eq!(wait.as_millis(), 2_000);
    }
}
