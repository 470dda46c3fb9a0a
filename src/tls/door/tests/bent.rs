//! Real handshakes with bytes bent on the way: no panic, no session, and never more than a failure.

use proptest::prelude::*;

use super::backends::config_for;
use super::pair::{BOTH, client, config_of, hear, load, said, server};
use super::papers::Papers;
use crate::sync::Arc;
use crate::tls::door::{Connector, Handshake, Progress};
use crate::tls::{ClientAuth, Tickets};

/// What is bent: a byte, counted over all that the peer sends, and how.
type Bent = (usize, u8);

/// Whether our side ended well although the peer's bytes were bent.
fn play<D>(
    mut ours: Handshake,
    theirs: &mut rustls::ConnectionCommon<D>,
    bends: &[Bent],
    piece: usize,
) -> bool {
    let mut out = Vec::new();
    let mut seen = 0;
    for _ in 0..6 {
        let mut bytes = said(theirs);
        for &(at, by) in bends {
            if let Some(byte) = at.checked_sub(seen).and_then(|at| bytes.get_mut(at)) {
                *byte ^= by;
            }
        }
        seen += bytes.len();
        if bytes.is_empty() {
            ours.feed(&[], &mut out).expect("nothing is no mistake");
        }
        for piece in bytes.chunks(piece) {
            match ours.feed(piece, &mut out) {
                Ok(Progress::More) => {}
                Ok(Progress::Done(_)) => return true,
                Err(_) => return false,
            }
        }
        if hear(theirs, &std::mem::take(&mut out)).is_err() {
            return false;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_bent_handshake_never_panics(
        bends in prop::collection::vec((0usize..3000, 1u8..), 0..3),
        piece in prop_oneof![Just(1usize), 2usize..600, Just(usize::MAX)],
        version in 0usize..2,
    ) {
        thread_local! {
            static PAPERS: Papers = Papers::new();
        }
        PAPERS.with(|papers| {
            let files = papers.certificate(&["example.com"]);
            let mut listener = super::papers::listener(vec![files.clone()]);
            listener.clients = Some(papers.clients(ClientAuth::Required));
            listener.tickets = Tickets::Own { rotate_after: std::time::Duration::from_hours(1) };
            let acceptor = load(&listener).acceptor;
            let config = config_of(papers.roots(), &[BOTH[version]], None, Some(&files));
            let ours = Handshake::accept(&acceptor).unwrap();
            let good = play(ours, &mut client(&config, "example.com"), &bends, piece);
            // The minor version of a header may be anything, and some bytes of a first hello mean nothing.
            prop_assert!(good || !bends.is_empty());

            let config = Arc::new(config_for(papers, &files, &BOTH[version..=version]));
            let connector = Connector::load(&papers.backend()).unwrap();
            let ours = Handshake::connect(&connector, "example.com").unwrap();
            let good = play(ours, &mut server(&config), &bends, piece);
            prop_assert!(good || !bends.is_empty());
            Ok(())
        })?;
    }
}
