//! Looks into the frames of one direction: what may go on, what is held back until it is whole, what is left out.
//!
//! ```text
//!               streamed                     held back until whole
//!  headers      data                         control frames
//!  text         binary, compressed, long     text of up to 4 KiB a frame, control frames
//!  messages     nothing                      messages, control frames
//! ```
//!
//! What is held back reaches nobody if it breaks a rule, and the other side is then at a frame boundary, where it can
//! be told goodbye. Only a text frame that streams can break in its middle; it goes on up to the byte that broke it.

use super::close;
use super::control::ControlFrame;
use super::frames::{Inspect, Opcodes, Watch};
use super::header::{FrameHeader, Opcode};
use super::message::Message;
use super::passage::{Ends, Passage};
use super::rule::Rule;
use super::scanner::{Scanner, Step, Verdict};
use super::whole::WholeMessage;
use crate::limits::{HELD_SPARE_BYTES_LEAST, WHOLE_FRAME_BYTES_MAX};
use crate::simd::{Scratch, Utf8Stream};

/// Whom an inspector works for: who counts, admits and answers.
pub trait Host {
    /// A frame has opened that no limit forbids.
    fn opened(&mut self, header: &FrameHeader);
    /// Whether a message may pass; asked when its first frame opens.
    fn admit(&mut self) -> Admission;
    /// Whether a Ping or Pong may be sent at all, by its opcode's rate.
    fn admit_control(&mut self) -> Result<(), Rule>;
    /// Part of a data frame as it came, masked by `key` from byte `at` of the payload on. Its message may be one that
    /// is left out.
    fn data(&mut self, part: &[u8], key: Option<[u8; 4]>, at: u64, is_dropped: bool);
    /// A whole Ping or Pong, unmasked. Whether it goes on.
    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> bool;
    /// A message that goes on is whole: its payload in bytes, and its frames.
    fn message(&mut self, bytes: u64, frames: u32);
    /// Whether [`Self::message`] is all that it needs to hear of a message in one frame, because it admits every one.
    fn only_counts(&self) -> bool;
    /// Whether the memory of what is held back may grow by so many bytes.
    fn may_hold(&mut self, bytes: usize) -> bool;
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes on.
    Pass,
    /// It is left out, whole.
    Drop,
    /// It breaks a rule.
    Refuse(Rule),
}

/// One direction of a tunnel that somebody looks into. What the frames are is the scanner's to know.
#[derive(Debug)]
pub struct Inspector {
    watch: Watch,
    under: Under,
    /// The key of the frame under way.
    key: Option<[u8; 4]>,
    /// Bytes of its payload that have come.
    came: u64,
    text: Utf8Stream,
    message: Message,
    /// The start of a control frame that a chunk ended in.
    control: Option<Box<ControlFrame>>,
    /// Frames, or the start of one, that came with earlier chunks and may not go on yet.
    held: Vec<u8>,
    /// What is held back began in the last chunk.
    began: bool,
    /// Part of a frame has gone on, and its end has not.
    cut: bool,
}

/// What becomes of the frame under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Under {
    /// It goes on as it comes.
    Streamed,
    /// It goes on when it is whole, or its message is.
    Held,
    /// It goes nowhere.
    Dropped,
    /// It is a control frame.
    Control,
}

/// What the inspector works with while it looks at one chunk.
struct Desk<'a, H> {
    scanner: &'a mut Scanner,
    scratch: &'a mut Scratch,
    host: &'a mut H,
    out: &'a mut Passage,
    chunk: &'a [u8],
    /// How far the chunk has been read.
    at: usize,
    /// Where the data in it begins that is held back.
    held_from: Option<usize>,
    /// The control frame under way.
    control: Option<ControlFrame>,
    /// Where the control frame under way begins, if all of it is in this chunk.
    control_from: Option<usize>,
}

impl Inspector {
    /// A direction at a frame boundary, with no message open that it would have to know.
    pub fn new(watch: Watch) -> Self {
        Self {
            watch,
            under: Under::Streamed,
            key: None,
            came: 0,
            text: Utf8Stream::default(),
            message: Message::default(),
            control: None,
            held: Vec::new(),
            began: false,
            cut: false,
        }
    }

    /// A direction in the midst of its stream, but neither in a header nor in a Close frame. What was open before is not
    /// looked into; a message that ends with the frame under way counts all the same.
    pub fn joining(watch: Watch, scanner: &Scanner) -> Self {
        let message = Message::joined(scanner.ends_message());
        Self {
            cut: !scanner.at_boundary(),
            message,
            ..Self::new(watch)
        }
    }

    /// Feeds the next bytes of the direction. Cutting the stream elsewhere changes neither the verdict nor what goes
    /// on. With `to_boundary` nothing goes on behind the first frame boundary. Returns how many bytes were read.
    pub fn feed(
        &mut self,
        (scanner, chunk, to_boundary): (&mut Scanner, &[u8], bool),
        scratch: &mut Scratch,
        host: &mut impl Host,
        out: &mut Passage,
    ) -> usize {
        out.clear();
        let held_before = self.held.capacity();
        self.began = false;
        let mut desk = Desk {
            scanner,
            scratch,
            host,
            out,
            chunk,
            at: 0,
            held_from: None,
            control: self.control.take().map(|frame| *frame),
            control_from: None,
        };
        if self.under == Under::Held && desk.scanner.remaining() > 0 {
            desk.held_from = Some(0);
        }
        let mut is_over = false;
        while !to_boundary || self.cut {
            if !to_boundary && desk.scanner.expects_message() {
                self.pass_whole_messages(&mut desk);
            }
            let done = match desk.scanner.step(&chunk[desk.at..]) {
                Step::Over => {
                    is_over = true;
                    break;
                }
                Step::Opened {
                    header,
                    prefix,
                    bytes,
                } => {
                    let from = desk.at;
                    desk.at += bytes;
                    self.open(&mut desk, &header, (from, prefix.as_bytes()))
                }
                Step::Payload(bytes) => self.pass(&mut desk, bytes),
            };
            if let Err(rule) = done {
                desk.scanner.stop(rule);
                break;
            }
        }
        self.keep(&mut desk, held_before);
        // The start of a header that ends the chunk is with the scanner.
        if is_over { chunk.len() } else { desk.at }
    }

    /// Whether the other side stands between two frames, so that one may be put in before anything else goes on.
    pub const fn at_boundary(&self) -> bool {
        !self.cut
    }

    /// What the last byte ends that has gone on, as far as it is known here.
    pub const fn last_ends(&self) -> Ends {
        if self.cut {
            Ends::Nothing
        } else {
            Ends::Message
        }
    }

    /// Whether anything is held back: a frame or message, or the start of a control frame.
    pub fn holds(&self) -> bool {
        !self.held.is_empty() || self.control.is_some()
    }

    /// Whether what is held back began with the last chunk, and not before.
    pub const fn has_begun_to_hold(&self) -> bool {
        self.began
    }

    /// The memory of what is held back, in bytes.
    pub fn held(&self) -> usize {
        self.held.capacity()
    }

    /// Whether nothing is under way that only this inspector knows.
    pub fn is_idle(&self) -> bool {
        !self.cut && self.held.is_empty() && self.message.frames == 0
    }

    /// Lets messages go on that are whole in this chunk, each in one frame, as far as nothing about them is special:
    /// what a busy tunnel is made of, and all else is for the steps to find out.
    fn pass_whole_messages<H: Host>(&mut self, desk: &mut Desk<'_, H>) {
        let has_reason = self.watch.limits.opcodes != Opcodes::ALL || desk.out.by_frame;
        if has_reason || !desk.host.only_counts() {
            return;
        }
        let limits = &self.watch.limits;
        let most = limits.frame_bytes_max.unwrap_or(u32::MAX);
        let most = most.min(limits.message_bytes_max.unwrap_or(u32::MAX));
        let checks = self.watch.inspect >= Inspect::Text;
        let sender = desk.scanner.sender();
        let (from, mut messages) = (desk.at, 0);
        while let Some(whole) = WholeMessage::at(&desk.chunk[desk.at..], sender, false) {
            let is_good =
                !(whole.is_text && checks) || desk.scratch.is_text(whole.payload, whole.key);
            if whole.payload.len() > most as usize || !is_good {
                break;
            }
            desk.host.message(whole.payload.len() as u64, 1);
            desk.at += whole.bytes;
            messages += 1;
        }
        desk.out.release_messages(from, desk.at, messages);
    }

    /// A header is whole. Its first bytes may have come with earlier chunks.
    fn open<H: Host>(
        &mut self,
        desk: &mut Desk<'_, H>,
        header: &FrameHeader,
        (from, prefix): (usize, &[u8]),
    ) -> Result<(), Rule> {
        if !self.watch.limits.opcodes.allow(header.opcode) {
            return Err(Rule::OpcodeNotAllowed);
        }
        self.key = header.mask;
        self.came = 0;
        if header.opcode.is_control() {
            if header.opcode != Opcode::Close {
                desk.host.admit_control()?;
            }
            desk.host.opened(header);
            self.set_aside(desk, from);
            self.under = Under::Control;
            self.began |= self.held.is_empty();
            desk.control = Some(ControlFrame::opened(header));
            desk.control_from = prefix.is_empty().then_some(from);
        } else {
            let header_bytes = prefix.len() + desk.at - from;
            self.open_data(desk, header, header_bytes as u64)?;
            match self.under {
                Under::Streamed => {
                    if !prefix.is_empty() {
                        desk.out.release_copy(prefix, Ends::Nothing);
                    }
                    desk.out.release(from, desk.at, Ends::Nothing);
                    self.cut = true;
                }
                Under::Held => {
                    if !prefix.is_empty() {
                        self.hold(desk, prefix);
                    }
                    desk.held_from.get_or_insert(from);
                }
                Under::Dropped | Under::Control => {}
            }
        }
        if header.payload_bytes == 0 {
            return self.end_frame(desk);
        }
        Ok(())
    }

    /// Judges a data frame by its header, and decides how it goes on.
    fn open_data<H: Host>(
        &mut self,
        desk: &mut Desk<'_, H>,
        header: &FrameHeader,
        header_bytes: u64,
    ) -> Result<(), Rule> {
        let inspect = self.watch.inspect;
        self.message = self.message.continued(header, header_bytes, &self.watch)?;
        if self.message.frames == 1 {
            self.text = Utf8Stream::default();
            self.message.is_dropped = match desk.host.admit() {
                Admission::Pass => false,
                Admission::Drop => true,
                Admission::Refuse(rule) => return Err(rule),
            };
        }
        desk.host.opened(header);
        let is_short = header.payload_bytes <= WHOLE_FRAME_BYTES_MAX as u64;
        self.under = if self.message.is_dropped {
            Under::Dropped
        } else if inspect == Inspect::Messages || self.message.is_text && is_short {
            Under::Held
        } else {
            Under::Streamed
        };
        Ok(())
    }

    /// Takes so many bytes of the payload under way.
    fn pass<H: Host>(&mut self, desk: &mut Desk<'_, H>, bytes: usize) -> Result<(), Rule> {
        let from = desk.at;
        let part = &desk.chunk[from..from + bytes];
        desk.at += bytes;
        let ends = desk.scanner.remaining() == 0;
        if self.under == Under::Control {
            if let Some(frame) = &mut desk.control {
                frame.take(part);
            }
        } else {
            let checked = self.check_text(desk.scratch, part, ends);
            let good = checked.err().unwrap_or(bytes);
            let is_dropped = self.message.is_dropped;
            desk.host
                .data(&part[..good], self.key, self.came, is_dropped);
            if checked.is_err() {
                if self.under == Under::Streamed && good > 0 {
                    desk.out.release(from, from + good, Ends::Nothing);
                }
                return Err(Rule::InvalidUtf8);
            }
            if self.under == Under::Streamed && !ends {
                desk.out.release(from, desk.at, Ends::Nothing);
            }
        }
        self.came += bytes as u64;
        if ends {
            if self.under == Under::Streamed {
                self.release_last(desk, from);
                return Ok(());
            }
            return self.end_frame(desk);
        }
        Ok(())
    }

    /// Checks part of a text, and with its last byte that it is whole. Fails with the place of the byte that breaks it.
    fn check_text(&mut self, scratch: &mut Scratch, part: &[u8], ends: bool) -> Result<(), usize> {
        if !self.message.is_text {
            return Ok(());
        }
        scratch.check(part, self.key, self.came, &mut self.text)?;
        if ends && self.message.is_last {
            self.text.finish().map_err(|_| part.len() - 1)?;
        }
        Ok(())
    }

    /// The frame under way is whole, and has nothing that was not looked at.
    fn end_frame<H: Host>(&mut self, desk: &mut Desk<'_, H>) -> Result<(), Rule> {
        if self.under == Under::Control {
            return self.end_control(desk);
        }
        if self.came == 0 && self.message.is_text && self.message.is_last {
            self.text.finish().map_err(|_| Rule::InvalidUtf8)?;
        }
        match self.under {
            Under::Streamed => self.release_last(desk, desk.at),
            Under::Held if self.message.is_last || self.watch.inspect != Inspect::Messages => {
                self.release_held(desk);
                self.message_ended(desk);
            }
            _ => self.message_ended(desk),
        }
        Ok(())
    }

    /// Lets the last bytes of a streamed frame go on, those from `from`.
    fn release_last<H: Host>(&mut self, desk: &mut Desk<'_, H>, from: usize) {
        let ends = self.ends();
        desk.out.release(from, desk.at, ends);
        self.cut = false;
        self.message_ended(desk);
    }

    /// Lets what was held back go on: what came before, then what stands in this chunk.
    fn release_held<H: Host>(&mut self, desk: &mut Desk<'_, H>) {
        let from = desk.held_from.take().unwrap_or(desk.at);
        let ends = self.ends();
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let last = if from == desk.at { ends } else { Ends::Nothing };
            desk.out.release_held(held, last);
        }
        if from < desk.at {
            desk.out.release(from, desk.at, ends);
        }
    }

    const fn ends(&self) -> Ends {
        if self.message.is_last {
            Ends::Message
        } else {
            Ends::Frame
        }
    }

    /// Tells of the message, if the frame that just ended was its last.
    fn message_ended<H: Host>(&mut self, desk: &mut Desk<'_, H>) {
        if !self.message.is_last {
            return;
        }
        if !self.message.is_dropped && self.message.frames > 0 {
            desk.host.message(self.message.bytes, self.message.frames);
        }
        self.message = Message::default();
    }

    /// Judges a control frame that is whole.
    fn end_control<H: Host>(&mut self, desk: &mut Desk<'_, H>) -> Result<(), Rule> {
        let Some(frame) = desk.control.take() else {
            return Ok(());
        };
        let ends = if frame.opcode() == Opcode::Close {
            let code = close::code_of(frame.payload(), self.watch.inspect >= Inspect::Text)?;
            // A message that is not whole by now never will be.
            self.held = Vec::new();
            desk.scanner.closed(code);
            Ends::Close
        } else if desk.host.control(frame.opcode(), frame.payload()) {
            Ends::Control
        } else {
            return Ok(());
        };
        match desk.control_from.take() {
            Some(from) => desk.out.release(from, desk.at, ends),
            None => desk.out.release_copy(frame.render().as_bytes(), ends),
        }
        Ok(())
    }

    /// Puts what is held back in this chunk with what came before, up to `to`: something else goes on first.
    fn set_aside<H: Host>(&mut self, desk: &mut Desk<'_, H>, to: usize) {
        if let Some(from) = desk.held_from.take() {
            let chunk = desk.chunk;
            self.hold(desk, &chunk[from..to]);
        }
    }

    /// Holds these bytes back, in memory that was used before if none is at hand.
    fn hold<H: Host>(&mut self, desk: &mut Desk<'_, H>, bytes: &[u8]) {
        self.began |= self.held.is_empty();
        if self.held.capacity() == 0 {
            self.held = desk.out.borrow();
        }
        self.held.extend_from_slice(bytes);
    }

    /// Keeps what the chunk has of frames that may not go on yet, or nothing if nothing more will.
    fn keep<H: Host>(&mut self, desk: &mut Desk<'_, H>, held_before: usize) {
        if desk.scanner.verdict() != Verdict::Pass {
            self.held = Vec::new();
            return;
        }
        self.control = desk.control.take().map(Box::new);
        self.set_aside(desk, desk.at);
        // A short frame always may: whoever fills the room with long messages harms no others.
        let grown = self.held.capacity().saturating_sub(held_before);
        let is_short = self.held.len() <= HELD_SPARE_BYTES_LEAST;
        if grown > 0 && !is_short && !desk.host.may_hold(grown) {
            self.held = Vec::new();
            desk.scanner.stop(Rule::AssemblyFull);
        }
    }
}
