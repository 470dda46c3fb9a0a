//! The client: it says a case by hand and keeps every byte that comes back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use crate::case::{Case, Cut, LAST, Message};
use crate::deflate::{Inflater, Terms};
use crate::support::{ACCEPT, connect, read_head};

/// What one conversation came to.
#[derive(PartialEq, Eq)]
pub(crate) struct Seen {
    /// The first byte and the payload of each frame.
    pub frames: Vec<Message>,
    /// What came after the last whole frame.
    pub rest: Vec<u8>,
    /// How the stream ended: `None` is a clean end.
    pub broke_off: Option<ErrorKind>,
}

/// Opens a tunnel, sends what the case sends, and listens to the end of the stream.
pub(crate) fn talk(address: SocketAddr, case: &Case, cut: Cut) -> Result<Seen, String> {
    let mut stream = connect(address);
    open(&mut stream, case)?;
    let mut writer = stream.try_clone().unwrap();
    let [first, second] = case.writes(cut);
    let mut ears = Ears::default();
    std::thread::scope(|scope| {
        // Who only writes may wait for a server that waits to be read; so somebody else writes.
        let (say, said) = mpsc::channel::<Vec<Vec<u8>>>();
        scope.spawn(move || {
            for bytes in said.iter().flatten() {
                // Who was refused may find nobody to write to. What is missing will be missing in the replies.
                if writer.write_all(&bytes).is_err() {
                    break;
                }
            }
        });
        say.send(first).unwrap();
        if !second.is_empty() {
            ears.hear(&mut stream, |ears| {
                ears.messages >= case.wanted.replies.len()
            });
            // The writer may be gone already, having found nobody.
            let _ = say.send(second);
        }
        drop(say);
        ears.hear(&mut stream, |_| false);
    });
    Ok(Seen {
        frames: ears.frames,
        rest: ears.bytes[ears.parsed..].to_vec(),
        broke_off: ears.broke_off,
    })
}

fn open(stream: &mut TcpStream, case: &Case) -> Result<(), String> {
    let [offer, agreed] = case.extensions;
    let offer = match offer {
        "" => String::new(),
        offer => format!("Sec-WebSocket-Extensions: {offer}\r\n"),
    };
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_head(stream);
    let told = field(&answer, "sec-websocket-extensions").unwrap_or_default();
    if answer.starts_with("HTTP/1.1 101 ") && answer.contains(ACCEPT) && told == agreed {
        Ok(())
    } else {
        Err(format!("no tunnel with {agreed:?} but {answer:?}"))
    }
}

/// The value of a field in a head.
pub(crate) fn field<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    Some(found.1.trim())
}

/// Everything heard so far.
#[derive(Default)]
struct Ears {
    bytes: Vec<u8>,
    /// How many of the bytes are whole frames.
    parsed: usize,
    frames: Vec<Message>,
    /// Frames that end a message or are no part of one.
    messages: usize,
    broke_off: Option<ErrorKind>,
}

impl Ears {
    /// Listens until it is enough or the stream ends.
    fn hear(&mut self, stream: &mut TcpStream, enough: impl Fn(&Self) -> bool) {
        let mut room = vec![0; 256 * 1024];
        while !enough(self) {
            match stream.read(&mut room) {
                Ok(0) => return,
                Ok(count) => self.bytes.extend_from_slice(&room[..count]),
                Err(error) => {
                    self.broke_off = Some(error.kind());
                    return;
                }
            }
            while let Some((first, start, end)) = next_frame(&self.bytes, self.parsed) {
                self.frames.push((first, self.bytes[start..end].to_vec()));
                self.messages += usize::from(first >= LAST);
                self.parsed = end;
            }
        }
    }
}

/// The first byte of the frame at `at`, and where its payload begins and ends. A masked frame is none: a
/// client has no business with it.
fn next_frame(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let head = bytes.get(at..at + 2)?;
    let (start, length) = match head[1] {
        126 => {
            let length = bytes.get(at + 2..at + 4)?.try_into().unwrap();
            (at + 4, usize::from(u16::from_be_bytes(length)))
        }
        127 => {
            let length = bytes.get(at + 2..at + 10)?.try_into().unwrap();
            (
                at + 10,
                usize::try_from(u64::from_be_bytes(length)).unwrap(),
            )
        }
        short @ 0..=125 => (at + 2, usize::from(short)),
        _ => return None,
    };
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some((head[0], start, end))
}

/// Whole replies, and the payload of the Close frame if there was one.
type Understood<'a> = (Vec<Message>, Option<&'a [u8]>);

impl Seen {
    /// The replies with their fragments put together and inflated, and the payload of the Close frame; or what
    /// is wrong with the frames.
    pub(crate) fn understood(&self, agreed: &str) -> Result<Understood<'_>, String> {
        let mut inflater = Terms::told(agreed).map(Inflater::of_server);
        let (mut replies, mut open) = (Vec::new(), None::<Message>);
        for (place, (first, payload)) in self.frames.iter().enumerate() {
            match (first & 0x0F, &mut open) {
                (8, _) if place + 1 == self.frames.len() => return Ok((replies, Some(payload))),
                (8, _) => return Err("frames follow a Close".into()),
                (9 | 10, _) => replies.push((*first, payload.clone())),
                (0, Some(message)) => message.1.extend_from_slice(payload),
                (1 | 2, None) => open = Some((first & 0x7F | LAST, payload.clone())),
                _ => return Err(format!("frame {place} is out of order")),
            }
            if first & 0x88 == LAST
                && let Some(message) = open.take()
            {
                replies.push(inflated(message, inflater.as_mut())?);
            }
        }
        Ok((replies, None))
    }
}

fn inflated((first, payload): Message, inflater: Option<&mut Inflater>) -> Result<Message, String> {
    match inflater {
        Some(inflater) if first & 0x40 != 0 => Ok((first & !0x40, inflater.inflate(&payload)?)),
        _ => Ok((first, payload)),
    }
}
