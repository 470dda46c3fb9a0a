//! What the settings of a route become.

pub(super) mod any;
pub(super) mod first_message;
mod frames;
pub(super) mod print;

use std::time::Duration;

use crate::config::{RouteSettings, parse};
use crate::fleet::{
    Decides, FrameRules, Heartbeats, OnMiss, Over, PoolId, RateKey, RateRule, SlowConsumer,
};
use crate::limits;
use crate::ws::{FrameLimits, Inspect, Opcode, Opcodes, Rate, Watch};

/// The only route of a file with these settings in it. It leads to the pool `chat`, which hashes, beside `lobby`.
fn route(settings: &str) -> RouteSettings {
    let text = format!(
        "listeners.public.bind = \"0.0.0.0:8080\"\n\
         pools.lobby.backends = [\"10.0.0.1:9000\"]\n\
         pools.chat = {{ backends = [\"10.0.0.2:9000\"], policy = \"hash\" }}\n\
         [[routes]]\npool = \"chat\"\n{settings}\n"
    );
    let config = parse("a.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.routes.into_iter().next().unwrap()
}

fn rules(settings: &str) -> FrameRules {
    route(settings).frames.unwrap()
}

#[test]
fn a_route_that_asks_for_nothing_pays_for_nothing() {
    let nothing = route("");
    assert!(nothing.offers_deflate);
    assert_eq!((nothing.frames, nothing.first_message), (None, None));
    let defaults = "inspect = \"headers\"\npeer_close_code = 1001\nmessage_timeout = \"30s\"\nanswer_pings = false\n\
                    frame_metrics = false\nclient_frames.max_frame = \"off\"\n\
                    backend_frames.opcodes = [\"pong\", \"ping\", \"binary\", \"text\"]\n\
                    heartbeat.client = \"off\"\nslow_consumer.client = \"backpressure\"";
    assert_eq!(route(defaults).frames, None);
    let stripped = route("compression = \"strip\"");
    assert!(!stripped.offers_deflate && stripped.frames.is_none());
}

#[test]
fn counting_alone_is_a_reason_to_look() {
    assert_eq!(rules("frame_metrics = true"), FrameRules::default());
}

#[test]
fn frames_are_bounded_on_each_side_alone() {
    let rules = rules(
        "inspect = \"text\"\npeer_close_code = 4000\nanswer_pings = true\n\
         client_frames = { max_frame = \"16KiB\", max_message = \"64KiB\", max_fragments = 16, \
         opcodes = [\"text\", \"ping\"], control_per_second = 10 }",
    );
    let expected = FrameLimits {
        frame_bytes_max: Some(16 << 10),
        message_bytes_max: Some(64 << 10),
        fragments_max: Some(16),
        opcodes: Opcodes::only([Opcode::Text, Opcode::Ping]),
        control_per_second: Some(10),
    };
    let watch = |limits| Watch {
        inspect: Inspect::Text,
        limits,
    };
    let expected = FrameRules {
        client: watch(expected),
        backend: watch(FrameLimits::default()),
        peer_close_code: 4000,
        answer_pings: true,
        ..FrameRules::default()
    };
    assert_eq!(rules, expected);
}

#[test]
fn a_message_that_is_held_back_always_has_a_bound() {
    let bounds = |settings: &str| {
        let rules = rules(&format!("inspect = \"messages\"\n{settings}"));
        [rules.client, rules.backend].map(|watch| watch.limits.message_bytes_max)
    };
    let usual = Some(limits::HELD_MESSAGE_BYTES.default);
    assert_eq!(bounds(""), [usual; 2]);
    let most = "backend_frames.max_message = \"16MiB\"";
    assert_eq!(bounds(most), [usual, Some(limits::HELD_MESSAGE_BYTES.most)]);
}

#[test]
fn a_side_may_be_left_with_nothing_but_its_close() {
    let rules = rules("client_frames.opcodes = []");
    assert_eq!(rules.client.limits.opcodes, Opcodes::only([]));
}

#[test]
fn rates_are_read_in_the_order_of_the_file() {
    let rules = rules(
        "compression = \"strip\"\n\
         [[routes.rates]]\nmessages_per_second = 20\nburst = \"3s\"\nover = \"close\"\ncounts_control = true\n\
         [[routes.rates]]\nby = { header = \"X-User\" }\nbytes_per_second = \"1MiB\"\nover = \"drop\"\n\
         [[routes.rates]]\nby = { cookie = \"User\" }\nmessages_per_second = 1\nbytes_per_second = \"1KiB\"\n\
         [[routes.rates]]\nby = \"source\"\nmessages_per_second = 1\n",
    );
    let rate = |per_second, seconds| {
        Some(Rate {
            per_second,
            burst: Duration::from_secs(seconds),
        })
    };
    let usual = RateRule {
        by: RateKey::Connection,
        messages: rate(1, 1),
        bytes: None,
        over: Over::Slow,
        counts_control: false,
    };
    let by = |by| RateRule {
        by,
        ..usual.clone()
    };
    let expected = [
        RateRule {
            messages: rate(20, 3),
            over: Over::Close,
            counts_control: true,
            ..usual.clone()
        },
        RateRule {
            messages: None,
            bytes: rate(1 << 20, 1),
            over: Over::Drop,
            ..by(RateKey::Header("x-user".into()))
        },
        RateRule {
            bytes: rate(1024, 1),
            ..by(RateKey::Cookie("User".into()))
        },
        by(RateKey::Source),
    ];
    assert_eq!(rules.rates, expected);
}

#[test]
fn one_side_may_have_a_heartbeat_alone() {
    let rules = rules("heartbeat = { client = \"30s\", misses = 3, on_miss = \"reset\" }");
    let expected = Heartbeats {
        client: Some(Duration::from_secs(30)),
        misses: 3,
        on_miss: OnMiss::Reset,
        ..Heartbeats::OFF
    };
    assert_eq!(rules.heartbeat, expected);
}

#[test]
fn the_newest_go_on_where_messages_are_whole_and_plain() {
    let rules = rules(
        "inspect = \"messages\"\ncompression = \"strip\"\n\
         slow_consumer = { client = \"newest\", queue = \"1MiB\" }",
    );
    assert_eq!(rules.to_client, SlowConsumer::Newest);
    assert_eq!(rules.to_backend, SlowConsumer::Backpressure);
    assert_eq!(rules.queue_bytes_max, 1 << 20);
}

#[test]
fn a_first_message_decides_over_backends_until_pools_are_named() {
    let first = |settings: &str| {
        let settings = format!("[routes.first_message]\npointer = \"/room\"\n{settings}");
        let route = route(&settings);
        assert!(
            !route.offers_deflate,
            "nobody is there to agree to compress"
        );
        assert_eq!(route.frames, None);
        route.first_message.unwrap()
    };
    let usual = first("");
    assert_eq!(usual.decides, Decides::Backend);
    assert!(!usual.may_be_missing);
    assert_eq!(usual.bytes_max, limits::FIRST_MESSAGE_BYTES.default);
    assert_eq!(usual.timeout, limits::FIRST_MESSAGE_TIMEOUT.default);
    assert_eq!(usual.pointer.to_string(), "/room");
    let named = first(
        "decides = \"pool\"\npools = { 7 = \"chat\", lobby = \"lobby\" }\nmissing = \"default\"",
    );
    let pools = vec![("7".into(), PoolId(1)), ("lobby".into(), PoolId(0))];
    assert_eq!(named.decides, Decides::Pool(pools));
    assert!(named.may_be_missing);
}
