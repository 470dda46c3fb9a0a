//! A case as data: what a client sends and how the bytes are cut, and what it must get.

use crate::servers::Kind;
use crate::support::frame;

/// One conversation.
pub(crate) struct Case {
    /// Its family, its number there, and what it is about.
    pub name: String,
    /// What the client says of extensions in its handshake, and what it must be told.
    pub extensions: [&'static str; 2],
    /// Frames, mostly, in the order of the wire.
    pub sent: Vec<Vec<u8>>,
    /// How many of them come before the first that breaks a rule.
    pub legal: usize,
    pub wanted: Answer,
    pub judge: Judge,
    /// What a library does instead when it is asked directly: laxer or stricter than the RFC.
    pub otherwise: Vec<(Kind, Answer)>,
    pub cuts: Vec<Cut>,
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Echoes and pongs, in order.
    pub replies: Vec<Message>,
    pub end: End,
}

/// The first byte of a whole message or control frame, and its payload.
pub(crate) type Message = (u8, Vec<u8>);

/// The Close frame before the end of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With exactly this payload.
    Close(Vec<u8>),
    /// With one of these codes, and any reason.
    Refused(&'static [u16]),
}

/// Who refuses the case. Whoever sits behind a Ringway that refuses it never sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Ringway has no part in it, whether it is legal or not.
    Server,
    /// Ringway, by the frame headers and close codes.
    Headers,
    /// Ringway, where the route has it look at text.
    Text,
}

/// How the bytes are divided into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    /// A write for each frame.
    Frames,
    /// Writes of so many bytes.
    Bytes(usize),
    /// What is legal first, and the rest once every reply is there.
    Answered,
}

impl Case {
    /// Frames that break no rule, and then a Close that is answered in kind.
    pub(crate) fn legal(
        name: impl Into<String>,
        mut sent: Vec<Vec<u8>>,
        replies: Vec<Message>,
    ) -> Self {
        sent.push(client(CLOSE, &NORMAL));
        Self::closing(name, sent, replies, &NORMAL)
    }

    /// Frames with a Close among them, which is answered with this payload.
    pub(crate) fn closing(
        name: impl Into<String>,
        sent: Vec<Vec<u8>>,
        replies: Vec<Message>,
        payload: &[u8],
    ) -> Self {
        let wanted = Answer {
            replies,
            end: End::Close(payload.to_vec()),
        };
        Self::new(name.into(), sent, wanted, Judge::Server)
    }

    /// Frames with one among them that is refused. A normal Close follows, for whoever takes it after all.
    pub(crate) fn refused(name: impl Into<String>, mut sent: Vec<Vec<u8>>, judge: Judge) -> Self {
        sent.push(client(CLOSE, &NORMAL));
        Self::refused_at_once(name, sent, judge)
    }

    /// Like [`refused`](Self::refused), but nothing follows: it must be refused by what is there.
    pub(crate) fn refused_at_once(
        name: impl Into<String>,
        sent: Vec<Vec<u8>>,
        judge: Judge,
    ) -> Self {
        let codes: &[u16] = match judge {
            Judge::Text => &[1007],
            _ => &[1002],
        };
        let wanted = Answer {
            replies: Vec::new(),
            end: End::Refused(codes),
        };
        Self::new(name.into(), sent, wanted, judge)
    }

    fn new(name: String, sent: Vec<Vec<u8>>, wanted: Answer, judge: Judge) -> Self {
        let bytes: usize = sent.iter().map(Vec::len).sum();
        let cuts = match bytes {
            0..=SMALL => vec![Cut::Whole, Cut::Frames, Cut::Bytes(1)],
            _ => vec![Cut::Whole, Cut::Bytes(1_447)],
        };
        Self {
            name,
            extensions: [""; 2],
            sent,
            legal: 0,
            wanted,
            judge,
            otherwise: Vec::new(),
            cuts,
        }
    }

    /// So many frames come before the broken one, and earn these replies.
    pub(crate) fn after(mut self, legal: usize, replies: Vec<Message>) -> Self {
        self.legal = legal;
        self.wanted.replies = replies;
        self.cuts.push(Cut::Answered);
        self
    }

    /// This library, asked directly, does something else.
    pub(crate) fn but(mut self, kind: Kind, replies: Vec<Message>, end: End) -> Self {
        self.otherwise.push((kind, Answer { replies, end }));
        self
    }

    /// In these cuts only.
    pub(crate) fn cut(mut self, cuts: &[Cut]) -> Self {
        self.cuts = cuts.to_vec();
        self
    }

    /// The client offers an extension, and is told this about it.
    pub(crate) const fn offering(mut self, offer: &'static str, agreed: &'static str) -> Self {
        self.extensions = [offer, agreed];
        self
    }

    /// What this server says when nobody is between.
    pub(crate) fn of(&self, kind: Kind) -> &Answer {
        let own = self.otherwise.iter().find(|(who, _)| *who == kind);
        own.map_or(&self.wanted, |(_, answer)| answer)
    }

    /// The writes: the first part at once, the second after every reply. And the bytes of each write.
    pub(crate) fn writes(&self, cut: Cut) -> [Vec<Vec<u8>>; 2] {
        match cut {
            Cut::Whole => [vec![self.sent.concat()], Vec::new()],
            Cut::Frames => [self.sent.clone(), Vec::new()],
            Cut::Bytes(bytes) => {
                let wire = self.sent.concat();
                [wire.chunks(bytes).map(<[u8]>::to_vec).collect(), Vec::new()]
            }
            Cut::Answered => {
                let (legal, rest) = self.sent.split_at(self.legal);
                [legal.to_vec(), vec![rest.concat()]]
            }
        }
    }
}

impl Judge {
    /// Whether Ringway itself refuses the case on a route with these lines.
    pub(crate) fn is_ringway(self, level: &str) -> bool {
        match self {
            Self::Server => false,
            Self::Headers => true,
            Self::Text => ["\"text\"", "\"messages\""]
                .iter()
                .any(|word| level.contains(word)),
        }
    }
}

/// A frame as a client sends it, with a first byte of any kind.
pub(crate) fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, Some(KEY))
}

/// Frames of a table, as a client sends them.
pub(crate) fn client_frames(frames: &[Frame]) -> Vec<Vec<u8>> {
    let frames = frames.iter();
    frames
        .map(|(first, payload)| client(*first, payload))
        .collect()
}

/// Replies of a table.
pub(crate) fn messages(frames: &[Frame]) -> Vec<Message> {
    let frames = frames.iter();
    frames
        .map(|(first, payload)| (*first, payload.to_vec()))
        .collect()
}

/// A frame or a reply in a table.
pub(crate) type Frame = (u8, &'static [u8]);

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;
/// The first fragment of a text, and of a binary message.
pub(crate) const TEXT_BEGINS: u8 = 0x01;
pub(crate) const BINARY_BEGINS: u8 = 0x02;
/// A fragment in the middle, and the last one.
pub(crate) const MIDDLE: u8 = 0x00;
pub(crate) const LAST: u8 = 0x80;

/// The payload of a Close with 1000.
pub(crate) const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// Up to so many bytes a case is also sent byte by byte.
const SMALL: usize = 320;
/// No two bytes of it are the same, and none is zero.
const KEY: [u8; 4] = [0x5B, 0xE7, 0x12, 0xA9];
