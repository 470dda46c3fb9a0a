//! `[routes.client_frames]` and `[routes.backend_frames]`: what one side may send.

use super::{Distinct, unused};
use crate::config::kind;
use crate::config::raw::{Given, Table};
use crate::config::units::Size;
use crate::limits;
use crate::ws::{FrameLimits, Inspect, Opcode, Opcodes, Watch};

/// Nothing is held against `inspect` if it is wrong itself.
pub(super) fn watch(table: &mut Table<'_>, inspect: Option<Inspect>) -> Watch {
    let size = kind::size(limits::FRAME_BYTES).or_word("off");
    let fragments = whole(limits::FRAGMENTS).or_word("off");
    let per_second = whole(limits::CONTROL_PER_SECOND).or_word("off");
    let frame = table.given("max_frame", &size);
    let message = message_bytes_max(table, inspect);
    check_frame(table, frame.as_ref(), message);
    let fragments_max = table.value("max_fragments", &fragments, None);
    let opcodes = opcodes(table);
    let control = table.given("control_per_second", &per_second);
    if !opcodes.allow(Opcode::Ping) && !opcodes.allow(Opcode::Pong) {
        let expected = "\"ping\" or \"pong\" in opcodes";
        unused(table.report(), control.as_ref(), expected, "neither");
    }
    Watch {
        inspect: inspect.unwrap_or_default(),
        limits: FrameLimits {
            frame_bytes_max: frame.and_then(|given| given.value),
            message_bytes_max: message,
            fragments_max,
            opcodes,
            control_per_second: control.and_then(|given| given.value),
        },
    }
}

/// The bound of a message, which is always there where messages are held back.
fn message_bytes_max(table: &mut Table<'_>, inspect: Option<Inspect>) -> Option<u32> {
    let held = limits::HELD_MESSAGE_BYTES;
    let are_held = inspect == Some(Inspect::Messages);
    let size = kind::size(limits::FRAME_BYTES).or_word("off");
    let usual = are_held.then_some(held.default);
    let given = table.given_or("max_message", &size, usual)?;
    if are_held && given.value.is_none_or(|bytes| bytes > held.most) {
        let expected = format!("at most {} with inspect = \"messages\"", quoted(held.most));
        let found = given.value.map_or_else(|| "\"off\"".to_owned(), quoted);
        let note = "a message is held back until it is whole";
        table.report().wrong(&given.place, expected, found, note);
    }
    given.value
}

/// Notes a bound of frames that no message within its own bound could reach.
fn check_frame(table: &Table<'_>, frame: Option<&Given<Option<u32>>>, message: Option<u32>) {
    if let (Some(frame), Some(most)) = (frame, message)
        && let Some(found) = frame.value.filter(|found| *found > most)
    {
        let expected = format!("at most max_message, {}", quoted(most));
        table
            .report()
            .wrong(&frame.place, expected, quoted(found), "");
    }
}

/// Every kind if one of the words is wrong: who depends on them then has nothing more to say.
fn opcodes(table: &mut Table<'_>) -> Opcodes {
    let expected = "a list of kinds such as [\"text\", \"binary\", \"ping\", \"pong\"]";
    let items = table.item("opcodes").and_then(|item| item.list(expected));
    let word = kind::word(Opcodes::NAMED.map(|(word, _)| (word, word)));
    let words = items.map(|items| items.iter().map(|item| item.read(&word)).collect());
    let words: Option<Vec<Given<_>>> = words.flatten();
    let Some(words) = words else {
        return Opcodes::ALL;
    };
    let mut distinct = Distinct::new("a kind of its own");
    for word in &words {
        distinct.admit(word, table.report());
    }
    let is_there = |name: &str| words.iter().any(|word| word.value == name);
    let allowed = Opcodes::NAMED.iter().filter(|(name, _)| is_there(name));
    Opcodes::only(allowed.map(|(_, opcode)| *opcode))
}

fn whole((least, most): (u32, u32)) -> kind::Kind<u32> {
    kind::whole(least..=most)
}

fn quoted(bytes: u32) -> String {
    format!("\"{}\"", Size(bytes.into()))
}
