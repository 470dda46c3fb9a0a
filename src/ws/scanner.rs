//! Finds the frames in one direction of a tunnel by their headers alone. Never looks at a payload.

use super::close;
use super::header::{Decoded, FrameHeader, Lead, Opcode};
use super::rule::Rule;
use super::whole::WholeMessage;
use crate::limits::{CLOSE_CODE_BYTES, FRAME_HEADER_BYTES_MAX};

/// Who sends a direction. Client frames must be masked, backend frames must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The direction from the client to the backend.
    Client,
    /// The direction from the backend to the client.
    Backend,
}

/// What a direction has come to. After anything but `Pass` it stays so, and nothing more is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every header so far is legal.
    Pass,
    /// A Close frame is complete and ends at `release`. What follows it is dropped.
    Closed,
    /// A header broke a rule. Nothing of its frame was released, so the peer is at a frame boundary.
    Violation(Rule),
}

/// What one feed found. In order, `prefix` and then `chunk[..release]` go on to the peer.
///
/// ```text
///   fed before | this chunk
///     81 FE 01 | 00 k k k k  payload  81 85 k k k k  payload  82
///     ^ prefix | ^ chunk[..release]                           ^ withheld: half a header
///                                                             | release, and the last boundary
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Scan {
    /// Header bytes withheld by earlier feeds that must go before the chunk. Nearly always empty.
    pub prefix: Held,
    /// How many bytes of the chunk may go on now. The rest is withheld in the scanner or, after
    /// the verdict, dropped.
    pub release: usize,
    /// The last frame boundary, as a position in `0..=release` of the chunk.
    ///
    /// Position 0 counts when the direction stood at a boundary and nothing goes before the chunk. The
    /// boundary in front of a `prefix` has no position in the chunk and is left out.
    pub boundary: Option<usize>,
    /// Data messages whose last byte is in this chunk.
    pub messages: u32,
    /// What the direction has come to.
    pub verdict: Verdict,
}

/// Bytes of a cut frame header, kept inline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    bytes: [u8; FRAME_HEADER_BYTES_MAX],
    /// Invariant: `filled <= bytes.len()`.
    filled: u8,
}

impl Held {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; FRAME_HEADER_BYTES_MAX],
        filled: 0,
    };

    /// The bytes, in the order they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    /// How many bytes there are.
    pub const fn len(&self) -> usize {
        self.filled as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes as much of `from` as there is room for.
    pub(super) fn top_up(&mut self, from: &[u8]) {
        for (room, byte) in self.bytes[usize::from(self.filled)..].iter_mut().zip(from) {
            *room = *byte;
            self.filled += 1;
        }
    }
}

/// What comes next in a direction that somebody looks into, as [`Scanner::step`] finds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The chunk is used up, or the verdict is final. The start of a header may be withheld.
    Over,
    /// A header is whole and legal. So many bytes of it are in this chunk; `prefix` came before.
    Opened {
        header: FrameHeader,
        prefix: Held,
        bytes: usize,
    },
    /// So many bytes of the payload under way. A frame without payload has no such step.
    Payload(usize),
}

/// The start of a header, and how long it says its payload is.
type Begun = (Lead, u64);

/// Scans the frame headers of one direction; payloads are skipped by arithmetic.
///
/// A header is released only once it is whole and legal, and a Close header only with its code, so a
/// broken rule never leaves half a header at the peer.
#[derive(Debug, Clone)]
pub struct Scanner {
    /// Payload bytes of the released header that are still to come.
    remaining: u64,
    /// Invariant: empty unless `remaining` is zero and the verdict is `Pass`.
    held: Held,
    sender: Sender,
    deflate: bool,
    in_message: bool,
    /// The frame under way ends a data message.
    ends_message: bool,
    close_code: Option<u16>,
    verdict: Verdict,
}

// Two of these fit a cache line: one tunnel touches one line for both directions.
const _: () = assert!(size_of::<Scanner>() <= 32);

impl Scanner {
    /// A direction at its start. `deflate` says that permessage-deflate was negotiated, which makes
    /// RSV1 legal on the first frame of a message.
    pub const fn new(sender: Sender, deflate: bool) -> Self {
        Self {
            remaining: 0,
            held: Held::EMPTY,
            sender,
            deflate,
            in_message: false,
            ends_message: false,
            close_code: None,
            verdict: Verdict::Pass,
        }
    }

    /// Feeds the next bytes of one direction. Cutting the stream elsewhere never changes the verdict.
    pub fn feed(&mut self, chunk: &[u8]) -> Scan {
        let mut scan = self.feed_to_boundary(chunk);
        if !self.held.is_empty() {
            self.open_held_frame(chunk, &mut scan);
        }
        while self.expects_header() && scan.release < chunk.len() {
            self.skip_whole_messages(chunk, &mut scan);
            self.open_frame(chunk, &mut scan);
        }
        scan
    }

    /// Feeds bytes up to the first boundary and no further: a direction that stands at one releases nothing.
    ///
    /// What lies after the boundary was not read. Drop it, or feed `chunk[release..]` later: both
    /// feeds together are then the same as one [`Self::feed`].
    pub fn feed_to_boundary(&mut self, chunk: &[u8]) -> Scan {
        let mut scan = Scan {
            prefix: Held::EMPTY,
            release: 0,
            boundary: None,
            messages: 0,
            verdict: self.verdict,
        };
        if self.at_boundary() {
            scan.boundary = Some(0);
        } else {
            self.pass_payload(chunk, &mut scan);
        }
        scan
    }

    /// Takes the next step into `rest`, for whoever looks at each frame. Cutting the stream elsewhere gives the same
    /// headers and the same bytes between them. What a Close frame carries is payload here as any other; its code is
    /// for the caller to judge, who says so with [`Self::closed`].
    pub(super) fn step(&mut self, rest: &[u8]) -> Step {
        if rest.is_empty() || self.verdict != Verdict::Pass {
            return Step::Over;
        }
        if self.remaining > 0 {
            let bytes =
                usize::try_from(self.remaining).map_or(rest.len(), |left| left.min(rest.len()));
            self.remaining -= bytes as u64;
            return Step::Payload(bytes);
        }
        let mut header = self.held;
        header.top_up(rest);
        match self.open_alone(header.as_bytes()) {
            Ok(Some((found, header_bytes))) => {
                let prefix = std::mem::replace(&mut self.held, Held::EMPTY);
                Step::Opened {
                    header: found,
                    bytes: header_bytes - prefix.len(),
                    prefix,
                }
            }
            Ok(None) => {
                self.held = header;
                Step::Over
            }
            Err(rule) => {
                self.stop(rule);
                Step::Over
            }
        }
    }

    /// Opens the frame whose header stands at the start of `bytes`, by the header alone.
    fn open_alone(&mut self, bytes: &[u8]) -> Result<Option<Decoded>, Rule> {
        let Some((lead, payload_bytes)) = self.legal_lead(bytes)? else {
            return Ok(None);
        };
        let Some(header) = bytes.get(..lead.header_bytes()) else {
            return Ok(None);
        };
        if !lead.opcode.is_control() {
            self.in_message = !lead.fin;
        }
        self.remaining = payload_bytes;
        let header = FrameHeader {
            fin: lead.fin,
            rsv: lead.rsv,
            opcode: lead.opcode,
            mask: header.last_chunk().copied().filter(|_| lead.masked),
            payload_bytes,
        };
        Ok(Some((header, lead.header_bytes())))
    }

    /// How much of the payload under way is still to come.
    pub(super) const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// A Close frame with this code is whole and legal.
    pub(super) fn closed(&mut self, code: u16) {
        self.close_code = Some(code);
        self.verdict = Verdict::Closed;
    }

    /// Makes this the verdict: a header, or somebody who looks closer, has found a rule broken.
    pub(super) fn stop(&mut self, rule: Rule) {
        self.held = Held::EMPTY;
        self.verdict = Verdict::Violation(rule);
    }

    /// Bytes of a cut frame header that are withheld so far; none once the verdict is final.
    pub fn held(&self) -> &[u8] {
        self.held.as_bytes()
    }

    /// Whether nothing of a frame is released without its end, so that a control frame may be injected
    /// here, before [`Self::held`].
    ///
    /// It stays true after the verdict. Behind a Close frame nothing may be sent: see [`Self::close_code`].
    pub const fn at_boundary(&self) -> bool {
        self.remaining == 0
    }

    /// What the direction has come to so far.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the frame under way ends a data message, where [`Self::feed`] has opened it.
    pub(super) const fn ends_message(&self) -> bool {
        self.remaining > 0 && self.ends_message
    }

    /// Whether its Close frame has been opened, and the end of it has not come.
    pub fn is_closing(&self) -> bool {
        self.close_code.is_some() && self.verdict == Verdict::Pass
    }

    /// Whether a fragmented message is open.
    pub const fn in_message(&self) -> bool {
        self.in_message
    }

    /// The code of this side's Close frame, from the moment its header is released; 1005 when it
    /// carried none.
    pub const fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Who sends this direction.
    pub(super) const fn sender(&self) -> Sender {
        self.sender
    }

    /// Whether a message may begin with the next byte.
    pub(super) fn expects_message(&self) -> bool {
        self.expects_header() && !self.in_message
    }

    /// Whether permessage-deflate was negotiated.
    pub const fn takes_deflate(&self) -> bool {
        self.deflate
    }

    fn expects_header(&self) -> bool {
        self.remaining == 0 && self.held.is_empty() && self.verdict == Verdict::Pass
    }

    /// Skips messages in one frame that lie wholly in the chunk.
    ///
    /// They are what a busy tunnel is made of: some 3 ns a frame here, 12 to 17 ns in `open_frame`, which takes
    /// everything else (`cargo bench --bench scanner` on a shared 2-core VM).
    fn skip_whole_messages(&self, chunk: &[u8], scan: &mut Scan) {
        if self.in_message {
            return;
        }
        let mut rest = &chunk[scan.release..];
        while let Some(whole) = WholeMessage::at(rest, self.sender, self.deflate) {
            rest = &rest[whole.bytes..];
            scan.messages += 1;
        }
        scan.release = chunk.len() - rest.len();
        scan.boundary = Some(scan.release);
    }

    /// Opens the frame at `release`, or withholds the start of its header.
    fn open_frame(&mut self, chunk: &[u8], scan: &mut Scan) {
        let rest = &chunk[scan.release..];
        match self.read_header(rest) {
            Ok(Some(header_bytes)) => {
                scan.release += header_bytes;
                self.pass_payload(chunk, scan);
            }
            Ok(None) => self.held.top_up(rest),
            Err(rule) => self.refuse(rule, scan),
        }
    }

    /// Opens the frame whose header began in an earlier feed, or withholds more of it.
    fn open_held_frame(&mut self, chunk: &[u8], scan: &mut Scan) {
        let mut header = self.held;
        header.top_up(chunk);
        match self.read_header(header.as_bytes()) {
            Ok(Some(header_bytes)) => {
                scan.prefix = self.held;
                scan.boundary = None;
                scan.release = header_bytes - scan.prefix.len();
                self.held = Held::EMPTY;
                self.pass_payload(chunk, scan);
            }
            Ok(None) => self.held = header,
            Err(rule) => self.refuse(rule, scan),
        }
    }

    /// Reads and checks the header at the start of `bytes`, and makes its frame the one under way.
    ///
    /// Returns how many bytes are released with it, which for a Close are its code too; `None` waits
    /// for more and has changed nothing. The checks run in the order of the bytes, so that a header
    /// refused from a few of them is refused for the same rule from all of them.
    fn read_header(&mut self, bytes: &[u8]) -> Result<Option<usize>, Rule> {
        let Some((lead, payload_bytes)) = self.legal_lead(bytes)? else {
            return Ok(None);
        };
        let header_bytes = lead.header_bytes();
        let has_code = lead.opcode == Opcode::Close && payload_bytes > 0;
        let code_bytes = if has_code { CLOSE_CODE_BYTES } else { 0 };
        let Some(header) = bytes.get(..header_bytes + code_bytes) else {
            return Ok(None);
        };

        if lead.opcode == Opcode::Close {
            self.close_code = Some(read_close_code(header, lead.masked)?);
        }
        if !lead.opcode.is_control() {
            self.in_message = !lead.fin;
        }
        self.ends_message = lead.fin && !lead.opcode.is_control();
        self.remaining = payload_bytes - code_bytes as u64;
        Ok(Some(header.len()))
    }

    /// The first two bytes of a header and the length behind them, if they are there and break no rule.
    #[inline]
    fn legal_lead(&self, bytes: &[u8]) -> Result<Option<Begun>, Rule> {
        let Some(&[first, second]) = bytes.first_chunk() else {
            return Ok(None);
        };
        let lead = Lead::read(first, second)?;
        self.check_lead(lead)?;
        let payload_bytes = lead.payload_bytes(bytes)?;
        Ok(payload_bytes.map(|payload_bytes| (lead, payload_bytes)))
    }

    /// Checks what depends on the direction, its history and what was negotiated.
    fn check_lead(&self, lead: Lead) -> Result<(), Rule> {
        if lead.rsv != 0 && !self.deflate {
            return Err(Rule::ReservedBits);
        }
        match (self.sender.masks(), lead.masked) {
            (true, false) => return Err(Rule::MaskMissing),
            (false, true) => return Err(Rule::MaskPresent),
            _ => {}
        }
        match lead.opcode {
            Opcode::Continuation if !self.in_message => Err(Rule::ContinuationWithoutStart),
            Opcode::Text | Opcode::Binary if self.in_message => Err(Rule::DataInsideFragments),
            _ => Ok(()),
        }
    }

    /// Releases what the chunk has of the payload under way, and ends the frame with its last byte.
    fn pass_payload(&mut self, chunk: &[u8], scan: &mut Scan) {
        let here = chunk.len() - scan.release;
        let passed = usize::try_from(self.remaining).map_or(here, |remaining| remaining.min(here));
        self.remaining -= passed as u64;
        scan.release += passed;
        if self.remaining > 0 {
            return;
        }
        scan.boundary = Some(scan.release);
        scan.messages += u32::from(self.ends_message);
        if self.close_code.is_some() {
            self.verdict = Verdict::Closed;
            scan.verdict = Verdict::Closed;
        }
    }

    fn refuse(&mut self, rule: Rule, scan: &mut Scan) {
        self.stop(rule);
        scan.verdict = self.verdict;
    }
}

impl Sender {
    /// Whether this side masks its frames (RFC 6455 section 5.1).
    pub const fn masks(self) -> bool {
        matches!(self, Self::Client)
    }
}

/// The code of a Close header: its last two bytes, unmasked by the key before them. Without a payload it is 1005.
fn read_close_code(header: &[u8], masked: bool) -> Result<u16, Rule> {
    let code = match *header {
        [_, _] => return Ok(close::NO_CODE),
        [_, _, _, _, _, _] if masked => return Ok(close::NO_CODE),
        [_, _, high, low] => [high, low],
        [_, _, key_0, key_1, _, _, high, low] => [high ^ key_0, low ^ key_1],
        _ => return Err(Rule::CloseLength),
    };
    let code = u16::from_be_bytes(code);
    if close::may_travel(code) {
        Ok(code)
    } else {
        Err(Rule::CloseCode)
    }
}
