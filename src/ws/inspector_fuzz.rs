//! The promises of the inspector as one check, for the fuzzer and for property tests: cuts change nothing, and a naive
//! reading with the whole stream in view comes to the same.

use super::close;
use super::frames::{FrameLimits, Inspect, Opcodes, Watch};
use super::header::{FrameHeader, Opcode, RSV1};
use super::inspector::{Admission, Host, Inspector};
use super::mask::apply_mask;
use super::passage::{Ends, Passage};
use super::rule::Rule;
use super::scanner::{Scanner, Sender, Verdict};
use crate::limits::{CONTROL_FRAME_BYTES_MAX, WHOLE_FRAME_BYTES_MAX};
use crate::simd::{Kernels, Scratch};

/// Panics when cutting a stream changes anything, or when a naive reading comes to something else. The first five bytes
/// of `data` choose the direction, the rules and the cuts, the rest is the stream.
#[doc(hidden)]
pub fn fuzz_inspector(data: &[u8]) {
    let Some((&[choice, level, bounds, cut_one, cut_two], stream)) = data.split_first_chunk()
    else {
        return;
    };
    let sender = if choice & 1 == 0 {
        Sender::Client
    } else {
        Sender::Backend
    };
    let case = Case {
        sender,
        deflate: choice & 2 != 0,
        drops: choice & 4 != 0 && choice & 16 == 0,
        by_frame: choice & 8 != 0,
        only_counts: choice & 16 != 0,
        watch: watch(level, bounds),
    };
    let whole = case.run([stream].into_iter());
    let mut cuts = [cut_one, cut_two].into_iter().cycle();
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let cut = cuts
            .next()
            .map_or(1, usize::from)
            .clamp(1, rest.len().max(1));
        let (piece, after) = rest.split_at_checked(cut)?;
        rest = after;
        Some(piece)
    });
    let cut = case.run(pieces);
    assert_eq!(whole, cut, "the cuts changed something");
    let (sent, verdict, messages) = case.expect(stream);
    assert_eq!(
        (&whole.sent, whole.verdict, whole.messages),
        (&sent, verdict, messages),
        "not what a naive reading comes to"
    );
}

fn watch(level: u8, bounds: u8) -> Watch {
    let bound = |bit: u8, most: u32| (bounds & bit != 0).then_some(most);
    Watch {
        inspect: Inspect::ALL[usize::from(level) % 3],
        limits: FrameLimits {
            frame_bytes_max: bound(1, 125),
            message_bytes_max: bound(2, 300),
            fragments_max: bound(4, 3),
            opcodes: if bounds & 8 == 0 {
                Opcodes::ALL
            } else {
                Opcodes::only([Opcode::Text, Opcode::Pong])
            },
            control_per_second: bound(16, 4),
        },
    }
}

/// A direction and its rules.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one choice of the fuzzer, free of the others"
)]
struct Case {
    sender: Sender,
    deflate: bool,
    drops: bool,
    by_frame: bool,
    /// The host wants no more than a count of whole messages.
    only_counts: bool,
    watch: Watch,
}

/// Everything that may be observed of a direction.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    sent: Vec<u8>,
    verdict: Verdict,
    close_code: Option<u16>,
    messages: u32,
    told: Told,
    at_boundary: bool,
}

/// What a host was told, and how it decides.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    drops: bool,
    only_counts: bool,
    control_max: Option<u32>,
    admitted: u32,
    controls: u32,
    headers: Vec<(u8, u64)>,
    data: Vec<u8>,
    control: Vec<(Opcode, Vec<u8>)>,
    messages: Vec<(u64, u32)>,
}

impl Host for Told {
    fn opened(&mut self, header: &FrameHeader) {
        // Whole messages are not told of by their headers then; which ones are whole, the cuts decide.
        if self.only_counts {
            return;
        }
        self.headers
            .push((header.opcode as u8, header.payload_bytes));
    }

    fn admit(&mut self) -> Admission {
        if self.only_counts {
            return Admission::Pass;
        }
        self.admitted += 1;
        if is_dropped(self.drops, self.admitted) {
            Admission::Drop
        } else {
            Admission::Pass
        }
    }

    fn admit_control(&mut self) -> Result<(), Rule> {
        self.controls += 1;
        match self.control_max {
            Some(most) if self.controls > most => Err(Rule::ControlRate),
            _ => Ok(()),
        }
    }

    fn data(&mut self, part: &[u8], key: Option<[u8; 4]>, at: u64, _: bool) {
        if self.only_counts {
            return;
        }
        let from = self.data.len();
        self.data.extend_from_slice(part);
        if let Some(key) = key {
            apply_mask(&mut self.data[from..], key, (at % 4) as usize);
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        self.control.push((opcode, payload.to_vec()));
        !is_ours(payload)
    }

    fn message(&mut self, bytes: u64, frames: u32) {
        self.messages.push((bytes, frames));
    }

    fn only_counts(&self) -> bool {
        self.only_counts
    }

    fn may_hold(&mut self, _: usize) -> bool {
        true
    }
}

/// Every third message, where any is.
const fn is_dropped(drops: bool, number: u32) -> bool {
    drops && number.is_multiple_of(3)
}

fn is_ours(payload: &[u8]) -> bool {
    payload.first() == Some(&b'!')
}

impl Case {
    fn run<'a>(&self, chunks: impl Iterator<Item = &'a [u8]>) -> Seen {
        let mut scanner = Scanner::new(self.sender, self.deflate);
        let mut inspector = Inspector::new(self.watch);
        let mut scratch = Scratch::new(Kernels::best());
        let mut told = Told {
            drops: self.drops,
            only_counts: self.only_counts,
            control_max: self.watch.limits.control_per_second,
            ..Told::default()
        };
        let mut passage = Passage::default();
        passage.by_frame = self.by_frame;
        let (mut sent, mut messages) = (Vec::new(), 0);
        for chunk in chunks {
            let input = (&mut scanner, chunk, false);
            inspector.feed(input, &mut scratch, &mut told, &mut passage);
            for piece in &passage.pieces {
                assert!(piece.from <= piece.to, "{piece:?}");
                let is_long = piece.to - piece.from > CONTROL_FRAME_BYTES_MAX;
                assert!(piece.ends != Ends::Control || !is_long, "{piece:?}");
                sent.extend_from_slice(passage.bytes(piece, chunk));
            }
            let last = passage.pieces.last();
            let open = last.is_some_and(|piece| piece.ends == Ends::Nothing);
            assert!(last.is_none() || open != inspector.at_boundary());
            messages += passage.messages;
        }
        Seen {
            sent,
            verdict: scanner.verdict(),
            close_code: scanner.close_code(),
            messages,
            told,
            at_boundary: inspector.at_boundary(),
        }
    }

    /// What goes on of a whole stream, what it comes to, and how many messages are in it.
    fn expect(&self, stream: &[u8]) -> (Vec<u8>, Verdict, u32) {
        let mut reader = Reader {
            case: self,
            scanner: Scanner::new(self.sender, self.deflate),
            sent: Vec::new(),
            message: None,
            admitted: 0,
            controls: 0,
            messages: 0,
        };
        let mut rest = stream;
        loop {
            match reader.frame(&mut rest) {
                Ok(true) => {}
                Ok(false) => return (reader.sent, Verdict::Pass, reader.messages),
                Err(verdict) => return (reader.sent, verdict, reader.messages),
            }
        }
    }
}

/// The naive reading, frame by frame.
struct Reader<'a> {
    case: &'a Case,
    /// Knows which header is legal where.
    scanner: Scanner,
    sent: Vec<u8>,
    message: Option<Open>,
    admitted: u32,
    controls: u32,
    messages: u32,
}

/// A message that is not whole.
struct Open {
    is_text: bool,
    is_dropped: bool,
    bytes: u64,
    frames: u32,
    text: Vec<u8>,
    wire: Vec<u8>,
}

impl Reader<'_> {
    /// Reads the next frame; false when the stream ends before it does.
    fn frame(&mut self, rest: &mut &[u8]) -> Result<bool, Verdict> {
        let broken = Verdict::Violation;
        // Headers alone are the scanner's, which has an oracle of its own.
        let mut legal = self.scanner.clone();
        let header_bytes = match FrameHeader::decode(rest) {
            Ok(Some((_, bytes))) => bytes,
            Ok(None) | Err(_) => rest.len(),
        };
        legal.step(&rest[..header_bytes]);
        if let Verdict::Violation(rule) = legal.verdict() {
            return Err(broken(rule));
        }
        let Ok(Some((header, header_bytes))) = FrameHeader::decode(rest) else {
            return Ok(false);
        };
        let limits = &self.case.watch.limits;
        if !limits.opcodes.allow(header.opcode) {
            return Err(broken(Rule::OpcodeNotAllowed));
        }
        let length = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        let whole = header_bytes.saturating_add(length);
        let is_whole = rest.len() >= whole;
        let wire = &rest[..whole.min(rest.len())];
        let mut payload = wire[header_bytes..].to_vec();
        if let Some(key) = header.mask {
            apply_mask(&mut payload, key, 0);
        }
        let goes_on = if header.opcode.is_control() {
            self.control(&header, &payload, (wire, is_whole))
        } else {
            self.data(&header, &payload, (wire, is_whole))
        };
        goes_on.map_err(|end| end.map_or(Verdict::Closed, broken))?;
        self.scanner = legal;
        // A fresh scanner that knows only whether a message is open.
        self.scanner = Scanner::new(self.case.sender, self.case.deflate);
        if self.message.is_some() {
            self.scanner.step(&starter(self.case.sender));
        }
        *rest = &rest[wire.len()..];
        Ok(is_whole)
    }

    fn control(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        (wire, is_whole): (&[u8], bool),
    ) -> Result<(), Option<Rule>> {
        if header.opcode != Opcode::Close {
            self.controls += 1;
            let most = self.case.watch.limits.control_per_second;
            if most.is_some_and(|most| self.controls > most) {
                return Err(Some(Rule::ControlRate));
            }
        }
        if !is_whole {
            return Ok(());
        }
        if header.opcode == Opcode::Close {
            if let [high, low, reason @ ..] = payload {
                if !close::may_travel(u16::from_be_bytes([*high, *low])) {
                    return Err(Some(Rule::CloseCode));
                }
                let looks = self.case.watch.inspect != Inspect::Headers;
                if looks && std::str::from_utf8(reason).is_err() {
                    return Err(Some(Rule::InvalidUtf8));
                }
            }
            self.sent.extend_from_slice(wire);
            return Err(None);
        }
        if !is_ours(payload) {
            self.sent.extend_from_slice(wire);
        }
        Ok(())
    }

    fn data(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        (wire, is_whole): (&[u8], bool),
    ) -> Result<(), Option<Rule>> {
        let watch = &self.case.watch;
        let over = |most: Option<u32>, found: u64| most.is_some_and(|most| found > most.into());
        let mut message = self.message.take().unwrap_or_else(|| Open {
            is_text: header.opcode == Opcode::Text
                && header.rsv & RSV1 == 0
                && watch.inspect != Inspect::Headers,
            is_dropped: false,
            bytes: 0,
            frames: 0,
            text: Vec::new(),
            wire: Vec::new(),
        });
        if over(watch.limits.frame_bytes_max, header.payload_bytes) {
            return Err(Some(Rule::FrameTooLarge));
        }
        message.bytes = message.bytes.saturating_add(header.payload_bytes);
        if over(watch.limits.message_bytes_max, message.bytes) {
            return Err(Some(Rule::MessageTooLarge));
        }
        message.frames += 1;
        if over(watch.limits.fragments_max, message.frames.into()) {
            return Err(Some(Rule::TooManyFragments));
        }
        if message.frames == 1 {
            self.admitted += 1;
            message.is_dropped = is_dropped(self.case.drops, self.admitted);
        }
        let before = message.text.len();
        message.text.extend_from_slice(payload);
        let is_last = header.fin && is_whole;
        let good = if message.is_text {
            good_bytes(&message.text, is_last).saturating_sub(before)
        } else {
            payload.len()
        };
        let header_bytes = wire.len() - payload.len();
        let streams = watch.inspect != Inspect::Messages
            && !(message.is_text && header.payload_bytes <= WHOLE_FRAME_BYTES_MAX as u64);
        if streams && !message.is_dropped {
            self.sent.extend_from_slice(&wire[..header_bytes + good]);
        }
        if good < payload.len() || message.is_text && is_last && !is_good(&message.text) {
            return Err(Some(Rule::InvalidUtf8));
        }
        if !is_whole {
            return Ok(());
        }
        message.wire.extend_from_slice(wire);
        if !streams && !message.is_dropped && (header.fin || watch.inspect != Inspect::Messages) {
            self.sent.append(&mut message.wire);
        }
        if streams {
            message.wire.clear();
        }
        if header.fin {
            self.messages += u32::from(!message.is_dropped);
        } else {
            self.message = Some(message);
        }
        Ok(())
    }
}

fn is_good(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
}

/// How many bytes stand before the first after which no text is left; with `is_last` none may be missing at its end.
fn good_bytes(text: &[u8], is_last: bool) -> usize {
    match std::str::from_utf8(text) {
        Ok(_) => text.len(),
        Err(error) => match error.error_len() {
            None if is_last => text.len() - 1,
            None => text.len(),
            // The bytes that could begin a character are good, the one after them is not.
            Some(length) => {
                let start = error.valid_up_to();
                let begins = (1..=length).take_while(|bytes| {
                    let begun = std::str::from_utf8(&text[start..start + bytes]);
                    begun.is_err_and(|error| error.error_len().is_none())
                });
                start + begins.count()
            }
        },
    }
}

/// The first frame of a message that is not whole.
fn starter(sender: Sender) -> Vec<u8> {
    if sender.masks() {
        vec![Opcode::Binary as u8, 0x80, 0, 0, 0, 0]
    } else {
        vec![Opcode::Binary as u8, 0]
    }
}
