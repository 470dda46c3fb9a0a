//! The chunk rule of the scanner as one check, for the fuzzer and for property tests.

use super::scanner::{Scan, Scanner, Sender, Verdict};

/// Panics when cutting a stream changes anything. The first three bytes of `data` choose the direction
/// and the cuts, the rest is the stream.
#[doc(hidden)]
pub fn fuzz_scanner(data: &[u8]) {
    let Some((&[choice, cut_one, cut_two], stream)) = data.split_first_chunk() else {
        return;
    };
    let sender = if choice & 1 == 0 {
        Sender::Client
    } else {
        Sender::Backend
    };
    let deflate = choice & 2 != 0;
    let to_boundaries = choice & 4 != 0;
    let scanner = Scanner::new(sender, deflate);

    let mut whole = Direction::new(scanner.clone());
    whole.feed(stream);
    let mut pieces = Direction::new(scanner);
    let mut cuts = [cut_one, cut_two].into_iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let cut = cuts.next().map_or(1, usize::from).clamp(1, rest.len());
        let (chunk, after) = rest.split_at(cut);
        if to_boundaries {
            pieces.feed_by_boundary(chunk);
        } else {
            pieces.feed(chunk);
        }
        rest = after;
    }
    whole.check_against(stream);
    pieces.check_against(stream);
    assert_eq!(
        whole.sent, pieces.sent,
        "the cuts changed what was released"
    );
    assert_eq!(
        whole.messages, pieces.messages,
        "the cuts changed the count"
    );
    assert_eq!(
        whole.verdict, pieces.verdict,
        "the cuts changed the verdict"
    );
    assert_eq!(whole.scanner.held(), pieces.scanner.held());
    assert_eq!(whole.scanner.close_code(), pieces.scanner.close_code());
    assert_eq!(whole.scanner.in_message(), pieces.scanner.in_message());
    assert_eq!(whole.scanner.at_boundary(), pieces.scanner.at_boundary());
}

/// One direction as a relay would drive it, with every promise of a [`Scan`] checked on the way.
pub(super) struct Direction {
    pub(super) scanner: Scanner,
    pub(super) sent: Vec<u8>,
    pub(super) messages: u32,
    pub(super) verdict: Verdict,
    /// Where in the stream boundaries were reported.
    pub(super) boundaries: Vec<usize>,
}

impl Direction {
    pub(super) fn new(scanner: Scanner) -> Self {
        Self {
            scanner,
            sent: Vec::new(),
            messages: 0,
            verdict: Verdict::Pass,
            boundaries: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        let scan = self.scanner.feed(chunk);
        self.take(chunk, &scan);
    }

    /// Feeds the chunk in two parts that meet at its first boundary.
    pub(super) fn feed_by_boundary(&mut self, chunk: &[u8]) {
        let stood_at_boundary = self.scanner.at_boundary();
        let scan = self.scanner.feed_to_boundary(chunk);
        assert!(scan.prefix.is_empty());
        if stood_at_boundary {
            assert_eq!((scan.release, scan.boundary), (0, Some(0)));
        } else {
            assert!(
                scan.boundary
                    .is_none_or(|boundary| boundary == scan.release)
            );
            assert!(scan.boundary.is_some() || scan.release == chunk.len());
        }
        self.take(chunk, &scan);
        self.feed(&chunk[scan.release..]);
    }

    fn take(&mut self, chunk: &[u8], scan: &Scan) {
        let was_final = self.verdict != Verdict::Pass;
        assert!(scan.release <= chunk.len());
        assert!(!was_final || scan.verdict == self.verdict && scan.release == 0);
        assert!(scan.prefix.is_empty() || scan.release > 0);
        self.sent.extend_from_slice(scan.prefix.as_bytes());
        if let Some(boundary) = scan.boundary {
            assert!(boundary <= scan.release);
            self.boundaries.push(self.sent.len() + boundary);
        }
        self.sent.extend_from_slice(&chunk[..scan.release]);
        assert_eq!(
            scan.boundary == Some(scan.release),
            self.scanner.at_boundary()
        );
        self.messages += scan.messages;
        self.verdict = scan.verdict;
    }

    /// What was sent and what is withheld are the stream from its start; after the verdict the rest is dropped.
    pub(super) fn check_against(&self, stream: &[u8]) {
        let (sent, rest) = stream.split_at(self.sent.len());
        assert_eq!(self.sent, sent, "bytes were changed or went missing");
        if self.verdict == Verdict::Pass {
            assert_eq!(self.scanner.held(), rest, "bytes are neither sent nor held");
        } else {
            assert!(self.scanner.held().is_empty() && self.scanner.at_boundary());
        }
    }
}
