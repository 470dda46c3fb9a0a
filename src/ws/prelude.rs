//! Gathers what a client says before its backend is known: up to the end of its first message.

use super::frames::{FrameLimits, Inspect, Watch};
use super::header::{FrameHeader, Opcode};
use super::inspector::{Admission, Host, Inspector};
use super::mask::apply_mask;
use super::passage::Passage;
use super::rule::Rule;
use super::scanner::{Scanner, Sender, Verdict};
use crate::simd::Scratch;

/// A client's stream from its start to the end of its first message. What it is fed goes to the backend as it came,
/// and is looked at again then; here only the message counts.
#[derive(Debug)]
pub struct Prelude {
    scanner: Scanner,
    inspector: Inspector,
    passage: Passage,
    gathered: Gathered,
}

/// What has come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Not enough.
    Wait,
    /// The first message, a text.
    Text,
    /// The first message, and it is not a text.
    Binary,
    /// A Close frame with this code came first.
    Close(u16),
    /// A rule was broken first.
    Broken(Rule),
}

#[derive(Debug, Default)]
struct Gathered {
    payload: Vec<u8>,
    is_text: bool,
    is_whole: bool,
}

impl Prelude {
    /// A stream at its start. The route's limits hold, and `bytes_max` for the message.
    pub fn new(limits: FrameLimits, bytes_max: u32) -> Self {
        let watch = Watch {
            // What is held back here is a copy beside that of the greeting, so as little as may be.
            inspect: Inspect::Text,
            limits: FrameLimits {
                message_bytes_max: Some(
                    bytes_max.min(limits.message_bytes_max.unwrap_or(u32::MAX)),
                ),
                ..limits
            },
        };
        Self {
            scanner: Scanner::new(Sender::Client, false),
            inspector: Inspector::new(watch),
            passage: Passage::default(),
            gathered: Gathered::default(),
        }
    }

    /// Feeds the next bytes. Cutting the stream elsewhere never changes what is heard.
    pub fn feed(&mut self, chunk: &[u8], scratch: &mut Scratch) -> Heard {
        let input = (&mut self.scanner, chunk, false);
        let gathered = &mut self.gathered;
        self.inspector
            .feed(input, scratch, gathered, &mut self.passage);
        match (self.scanner.verdict(), gathered.is_whole, gathered.is_text) {
            (_, true, true) => Heard::Text,
            (_, true, false) => Heard::Binary,
            (Verdict::Violation(rule), ..) => Heard::Broken(rule),
            (Verdict::Closed, ..) => Heard::Close(self.scanner.close_code().unwrap_or_default()),
            (Verdict::Pass, ..) => Heard::Wait,
        }
    }

    /// The memory it takes, in bytes.
    pub fn held(&self) -> usize {
        self.inspector.held() + self.gathered.payload.capacity()
    }

    /// The payload of the message as far as it has come, unmasked. It may be spoiled: it is a copy.
    pub fn message(&mut self) -> &mut [u8] {
        &mut self.gathered.payload
    }
}

impl Host for Gathered {
    fn opened(&mut self, header: &FrameHeader) {
        if !self.is_whole && header.opcode == Opcode::Text {
            self.is_text = true;
        }
    }

    fn admit(&mut self) -> Admission {
        Admission::Pass
    }

    fn admit_control(&mut self) -> Result<(), Rule> {
        Ok(())
    }

    fn data(&mut self, part: &[u8], key: Option<[u8; 4]>, at: u64, _: bool) {
        if self.is_whole {
            return;
        }
        let from = self.payload.len();
        self.payload.extend_from_slice(part);
        if let Some(key) = key {
            apply_mask(&mut self.payload[from..], key, (at % 4) as usize);
        }
    }

    fn control(&mut self, _: Opcode, _: &[u8]) -> bool {
        true
    }

    fn message(&mut self, _: u64, _: u32) {
        self.is_whole = true;
    }

    fn only_counts(&self) -> bool {
        false
    }

    fn may_hold(&mut self, _: usize) -> bool {
        // The bound of the message holds, and there is one for each handshake under way.
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::frame;
    use super::*;
    use crate::simd::Kernels;

    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        frame(Sender::Client, first, payload)
    }

    /// Feeds a stream cut at every place in turn; all must be heard alike.
    fn heard(stream: &[u8]) -> (Heard, Vec<u8>) {
        let mut scratch = Scratch::new(Kernels::best());
        let mut all = (0..stream.len()).map(|cut| {
            let mut prelude = Prelude::new(FrameLimits::default(), 100);
            let mut heard = prelude.feed(&stream[..cut], &mut scratch);
            if heard == Heard::Wait {
                heard = prelude.feed(&stream[cut..], &mut scratch);
            }
            (heard, prelude.message().to_vec())
        });
        let first = all.next().unwrap();
        assert!(all.all(|other| other == first), "the cut changed something");
        first
    }

    #[test]
    fn the_first_message_is_heard_past_pings_and_over_fragments() {
        let stream = [
            client(0x89, b"ping"),
            client(0x01, b"{\"room\":"),
            client(0x8A, b"pong"),
            client(0x80, b" 7}"),
        ];
        assert_eq!(
            heard(&stream.concat()),
            (Heard::Text, b"{\"room\": 7}".to_vec())
        );
        assert_eq!(heard(&client(0x82, b"x")), (Heard::Binary, b"x".to_vec()));
    }

    #[test]
    fn what_follows_the_first_message_is_not_part_of_it() {
        let stream = [
            client(0x81, b"one"),
            client(0x82, b"two"),
            client(0x88, b""),
        ]
        .concat();
        let mut scratch = Scratch::new(Kernels::best());
        let mut prelude = Prelude::new(FrameLimits::default(), 100);
        assert_eq!(prelude.feed(&stream, &mut scratch), Heard::Text);
        assert_eq!(prelude.message(), b"one");
    }

    #[test]
    fn a_close_and_a_broken_rule_end_the_wait() {
        assert_eq!(heard(&client(0x88, b"\x03\xE8bye")).0, Heard::Close(1000));
        assert_eq!(
            heard(&client(0x81, b"\xFF")).0,
            Heard::Broken(Rule::InvalidUtf8)
        );
        assert_eq!(
            heard(&client(0x81, &[b'a'; 101])).0,
            Heard::Broken(Rule::MessageTooLarge)
        );
        assert_eq!(heard(&[0x81, 0x01]).0, Heard::Broken(Rule::MaskMissing));
        assert_eq!(
            heard(&client(0xC1, b"deflate")).0,
            Heard::Broken(Rule::ReservedBits)
        );
    }
}
