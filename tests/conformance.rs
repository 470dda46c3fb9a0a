//! What a client meets through Ringway is what it meets at the server behind: RFC 6455 and RFC 7692, family by
//! family, with two libraries as servers and one of our own for deflate.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "conformance/bulk.rs"]
mod bulk;
#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/closes.rs"]
mod closes;
#[path = "conformance/compressed.rs"]
mod compressed;
#[path = "conformance/controls.rs"]
mod controls;
#[path = "conformance/deflate.rs"]
mod deflate;
#[path = "conformance/fragments.rs"]
mod fragments;
#[path = "conformance/framing.rs"]
mod framing;
#[path = "conformance/proof.rs"]
mod proof;
#[path = "conformance/servers.rs"]
mod servers;
mod support;
#[path = "conformance/talk.rs"]
mod talk;
#[path = "conformance/texts.rs"]
mod texts;

use proof::prove;
use servers::{Kind, LIBRARIES};

/// Lines of the route; every family runs with each.
const LEVELS: &[&str] = &[
    "",
    "inspect = \"text\"",
    // The family of large messages is longer than a route holds back by itself.
    "inspect = \"messages\"\n[routes.client_frames]\nmax_message = \"16MiB\"\n\
     [routes.backend_frames]\nmax_message = \"16MiB\"",
];

/// A server that never sends a fragment.
const WHOLE: usize = usize::MAX;

#[test]
fn frames_of_every_length_come_back_and_malformed_lengths_do_not() {
    prove(LIBRARIES, WHOLE, &framing::cases());
}

#[test]
fn pings_are_answered_with_what_they_carry() {
    prove(LIBRARIES, WHOLE, &controls::pings());
}

#[test]
fn reserved_bits_are_refused() {
    prove(LIBRARIES, WHOLE, &controls::reserved_bits());
}

#[test]
fn reserved_opcodes_are_refused() {
    prove(LIBRARIES, WHOLE, &controls::reserved_opcodes());
}

#[test]
fn fragments_become_one_message_and_only_control_frames_stand_between_them() {
    prove(LIBRARIES, WHOLE, &fragments::cases());
}

#[test]
fn text_is_utf_8_however_it_is_cut() {
    prove(LIBRARIES, WHOLE, &texts::cases());
}

#[test]
fn a_close_is_answered_in_kind_and_ends_everything() {
    prove(LIBRARIES, WHOLE, &closes::cases());
}

#[test]
fn large_messages_and_many_fragments_come_back_whole() {
    prove(LIBRARIES, WHOLE, &bulk::cases());
}

#[test]
fn a_server_may_answer_in_fragments_of_its_own() {
    prove(LIBRARIES, 1_300, &framing::answers_in_fragments());
}

#[test]
fn compressed_messages_are_agreed_on_and_arrive_bit_for_bit() {
    let cases = compressed::cases();
    prove(&[Kind::Deflate], WHOLE, &cases);
}

#[test]
fn compressed_answers_in_fragments_arrive_bit_for_bit() {
    prove(&[Kind::Deflate], 1_000, &compressed::cases());
}

#[test]
fn a_compressed_message_is_refused_if_the_server_agreed_on_nothing() {
    prove(LIBRARIES, WHOLE, &compressed::not_agreed());
}
