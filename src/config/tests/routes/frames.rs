//! Any rules about frames that the file can say, and how it says them.

use std::fmt::Write;
use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::config::tests::print::timeout;
use crate::config::units::{Percent, Size, Span};
use crate::fleet::{FrameRules, Heartbeats, OnMiss, Over, RateKey, RateRule, SlowConsumer};
use crate::limits;
use crate::ws::{FrameLimits, Inspect, Opcode, Opcodes, Rate, Watch};

/// Whether backends are offered to compress, and rules that fit to that.
pub(super) fn rules() -> impl Strategy<Value = (bool, Option<FrameRules>)> {
    let sight = (any::<bool>(), select(Inspect::ALL.to_vec()));
    let sides = (sides(), any::<bool>());
    let codes = vec![1000, 1001, 1008, 1011, 1014, 3000, 4999];
    let rates = prop::collection::vec(rate(), 0..=limits::RATES_MAX);
    let span = timeout(limits::MESSAGE_TIMEOUT);
    let rates = (rates, span);
    let rules = (sides, rates, select(codes), heartbeat(), slow_consumers());
    (sight, rules).prop_map(|((offers_deflate, inspect), rules)| {
        let (((client, backend), answers), (rates, span), code, heartbeat, slow) = rules;
        let watch = |limits| Watch {
            inspect,
            limits: fitting(limits, inspect),
        };
        let rules = FrameRules {
            client: watch(client),
            backend: watch(backend),
            rates,
            peer_close_code: code,
            heartbeat,
            message_timeout: span,
            answer_pings: answers && client.opcodes.allow(Opcode::Ping),
            to_client: slow.0,
            to_backend: slow.1,
            queue_bytes_max: slow.2,
        };
        let rules = fitting_rules(rules, offers_deflate);
        // Without rules, with those that only count, and with others.
        let only_counts = rules == FrameRules::default() && !offers_deflate;
        let asks = only_counts || rules != FrameRules::default();
        (offers_deflate, asks.then_some(rules))
    })
}

fn sides() -> impl Strategy<Value = (FrameLimits, FrameLimits)> {
    let size = || option::of(limits::FRAME_BYTES.0..=limits::FRAME_BYTES.1);
    let opcodes = || subsequence(Opcodes::NAMED.to_vec(), 0..=4);
    let one = move || {
        let fragments = option::of(limits::FRAGMENTS.0..=limits::FRAGMENTS.1);
        let control = option::of(limits::CONTROL_PER_SECOND.0..=limits::CONTROL_PER_SECOND.1);
        let parts = (size(), size(), fragments, opcodes(), control);
        let limited =
            parts.prop_map(
                |(frame, message, fragments_max, opcodes, control)| FrameLimits {
                    frame_bytes_max: frame,
                    message_bytes_max: message,
                    fragments_max,
                    opcodes: Opcodes::only(opcodes.into_iter().map(|(_, opcode)| opcode)),
                    control_per_second: control,
                },
            );
        prop_oneof![Just(FrameLimits::default()), limited]
    };
    (one(), one())
}

/// The same limits where each can be reached.
fn fitting(limits: FrameLimits, inspect: Inspect) -> FrameLimits {
    let held = limits::HELD_MESSAGE_BYTES;
    let message = match inspect {
        Inspect::Messages => {
            let bytes = limits.message_bytes_max.unwrap_or(held.default);
            Some(bytes.min(held.most))
        }
        Inspect::Headers | Inspect::Text => limits.message_bytes_max,
    };
    let most = message.unwrap_or(u32::MAX);
    let allows = |opcode| limits.opcodes.allow(opcode);
    let is_counted = allows(Opcode::Ping) || allows(Opcode::Pong);
    FrameLimits {
        frame_bytes_max: limits.frame_bytes_max.map(|bytes| bytes.min(most)),
        message_bytes_max: message,
        control_per_second: limits.control_per_second.filter(|_| is_counted),
        ..limits
    }
}

fn rate() -> impl Strategy<Value = RateRule> {
    let by = prop_oneof![
        Just(RateKey::Connection),
        Just(RateKey::Source),
        "[a-z-]{1,20}".prop_map(|name| RateKey::Header(name.into())),
        "[a-zA-Z_.-]{1,20}".prop_map(|name| RateKey::Cookie(name.into())),
    ];
    let (messages, bytes) = (limits::MESSAGES_PER_SECOND, limits::BYTES_PER_SECOND);
    let messages = option::of(messages.0..=messages.1);
    let bytes = option::of(bytes.0..=bytes.1);
    let burst = timeout(limits::RATE_BURST);
    let over = (select(Over::ALL.to_vec()), any::<bool>());
    let rate = (by, messages, bytes, burst, over);
    rate.prop_map(|(by, messages, bytes, burst, (over, counts_control))| {
        let neither = messages.is_none() && bytes.is_none();
        let rate = |per_second| Rate { per_second, burst };
        let messages = messages.or(neither.then_some(1)).map(rate);
        RateRule {
            by,
            messages,
            bytes: bytes.map(rate),
            over,
            counts_control: counts_control && messages.is_some(),
        }
    })
}

fn heartbeat() -> impl Strategy<Value = Heartbeats> {
    let side = || option::of(timeout(limits::HEARTBEAT));
    let jitter = 0..=limits::HEARTBEAT_JITTER_PERCENT.most;
    let misses = 1..=limits::HEARTBEAT_MISSES.most;
    let parts = (side(), side(), jitter, misses, select(OnMiss::ALL.to_vec()));
    parts.prop_map(
        |(client, backend, jitter_percent, misses, on_miss)| Heartbeats {
            client,
            backend,
            jitter_percent,
            misses,
            on_miss,
        },
    )
}

fn slow_consumers() -> impl Strategy<Value = (SlowConsumer, SlowConsumer, u32)> {
    let way = || select(SlowConsumer::ALL.to_vec());
    let queue = limits::SLOW_QUEUE_BYTES;
    (way(), way(), queue.least..=queue.most)
}

/// The same rules where each does something, and none breaks another.
fn fitting_rules(mut rules: FrameRules, offers_deflate: bool) -> FrameRules {
    for rate in &mut rules.rates {
        if offers_deflate && rate.over == Over::Drop {
            rate.over = Over::Close;
        }
    }
    let may_leave_out = !offers_deflate && rules.client.inspect == Inspect::Messages;
    for way in [&mut rules.to_client, &mut rules.to_backend] {
        if *way == SlowConsumer::Newest && !may_leave_out {
            *way = SlowConsumer::Backpressure;
        }
    }
    if [rules.to_client, rules.to_backend] == [SlowConsumer::Backpressure; 2] {
        rules.queue_bytes_max = limits::SLOW_QUEUE_BYTES.default;
    }
    let answers = |watch: Watch| watch.limits.opcodes.allow(Opcode::Pong);
    let heartbeat = &mut rules.heartbeat;
    heartbeat.client = heartbeat.client.filter(|_| answers(rules.client));
    heartbeat.backend = heartbeat.backend.filter(|_| answers(rules.backend));
    if heartbeat.client.or(heartbeat.backend).is_none() {
        *heartbeat = Heartbeats::OFF;
    }
    rules
}

/// The settings of the route itself, then its tables.
pub(super) fn print(out: &mut String, rules: Option<&FrameRules>) {
    let usual = FrameRules::default();
    let counts = rules == Some(&usual);
    let rules = rules.unwrap_or(&usual);
    writeln!(out, "inspect = {:?}", rules.client.inspect.label()).unwrap();
    writeln!(out, "peer_close_code = {}", rules.peer_close_code).unwrap();
    let span = Span(rules.message_timeout);
    writeln!(out, "message_timeout = \"{span}\"").unwrap();
    writeln!(out, "answer_pings = {}", rules.answer_pings).unwrap();
    // Where something else looks at frames, it says the same either way.
    writeln!(out, "frame_metrics = {}", counts || rules.answer_pings).unwrap();
    side(out, "client_frames", &rules.client.limits);
    side(out, "backend_frames", &rules.backend.limits);
    rules.rates.iter().for_each(|one| print_rate(out, one));
    print_heartbeat(out, &rules.heartbeat);
    let (client, backend) = (rules.to_client.label(), rules.to_backend.label());
    writeln!(out, "[routes.slow_consumer]").unwrap();
    writeln!(out, "client = {client:?}\nbackend = {backend:?}").unwrap();
    if [rules.to_client, rules.to_backend] != [SlowConsumer::Backpressure; 2] {
        writeln!(out, "queue = {}", size(rules.queue_bytes_max)).unwrap();
    }
}

fn side(out: &mut String, name: &str, limits: &FrameLimits) {
    let named = Opcodes::NAMED.iter();
    let allowed = named.filter(|(_, opcode)| limits.opcodes.allow(*opcode));
    let words: Vec<_> = allowed.map(|(word, _)| word).collect();
    let number = |number: Option<u32>| or_off(number.map(|number| number.to_string()));
    writeln!(out, "[routes.{name}]\nopcodes = {words:?}").unwrap();
    writeln!(
        out,
        "max_frame = {}",
        or_off(limits.frame_bytes_max.map(size))
    )
    .unwrap();
    writeln!(
        out,
        "max_message = {}",
        or_off(limits.message_bytes_max.map(size))
    )
    .unwrap();
    writeln!(out, "max_fragments = {}", number(limits.fragments_max)).unwrap();
    if words.contains(&&"ping") || words.contains(&&"pong") {
        let control = number(limits.control_per_second);
        writeln!(out, "control_per_second = {control}").unwrap();
    }
}

fn print_rate(out: &mut String, rate: &RateRule) {
    let by = match &rate.by {
        RateKey::Connection => "\"connection\"".to_owned(),
        RateKey::Source => "\"source\"".to_owned(),
        RateKey::Header(name) => format!("{{ header = \"{name}\" }}"),
        RateKey::Cookie(name) => format!("{{ cookie = \"{name}\" }}"),
    };
    let messages = rate.messages.map(|rate| rate.per_second.to_string());
    let bytes = rate.bytes.map(|rate| size(rate.per_second));
    let burst = rate.messages.or(rate.bytes).unwrap().burst;
    writeln!(out, "[[routes.rates]]\nby = {by}").unwrap();
    if rate.messages.is_some() {
        writeln!(out, "counts_control = {}", rate.counts_control).unwrap();
    }
    writeln!(out, "messages_per_second = {}", or_off(messages)).unwrap();
    writeln!(out, "bytes_per_second = {}", or_off(bytes)).unwrap();
    writeln!(
        out,
        "burst = {}\nover = {:?}",
        span(burst),
        rate.over.label()
    )
    .unwrap();
}

fn print_heartbeat(out: &mut String, heartbeat: &Heartbeats) {
    let (client, backend) = (heartbeat.client.map(span), heartbeat.backend.map(span));
    writeln!(out, "[routes.heartbeat]").unwrap();
    if client.is_some() || backend.is_some() {
        let jitter = Percent(heartbeat.jitter_percent);
        writeln!(out, "jitter = \"{jitter}\"\nmisses = {}", heartbeat.misses).unwrap();
        writeln!(out, "on_miss = {:?}", heartbeat.on_miss.label()).unwrap();
    }
    writeln!(out, "client = {}", or_off(client)).unwrap();
    writeln!(out, "backend = {}", or_off(backend)).unwrap();
}

fn or_off(value: Option<String>) -> String {
    value.unwrap_or_else(|| "\"off\"".to_owned())
}

pub(super) fn size(bytes: u32) -> String {
    format!("\"{}\"", Size(bytes.into()))
}

pub(super) fn span(duration: Duration) -> String {
    format!("\"{}\"", Span(duration))
}
