//! Medians, percentiles, cells of the matrix, frames and handshakes.

use proptest::prelude::*;

use crate::case::{Load, grouped, size};
use crate::inbox::Inbox;
use crate::knock::accept_of;
use crate::matrix::{Extent, cells};
use crate::stats::{median, percentile};

#[test]
fn a_median_leaves_out_what_is_no_number() {
    assert_eq!(median([3.0, f64::NAN, 1.0, 2.0].into_iter()), Some(2.0));
    assert_eq!(
        median([1.0, 2.0, 4.0, f64::INFINITY, 8.0].into_iter()),
        Some(3.0)
    );
    assert_eq!(median([f64::NAN].into_iter()), None);
}

#[test]
fn a_percentile_is_the_smallest_that_so_many_do_not_exceed() {
    let hundred = || (1..=100).map(f64::from);
    for (percent, expected) in [
        (0.0, 1.0),
        (50.0, 50.0),
        (99.0, 99.0),
        (99.9, 100.0),
        (100.0, 100.0),
    ] {
        assert_eq!(percentile(hundred(), percent), Some(expected), "{percent}");
    }
    assert_eq!(percentile([7.0].into_iter(), 99.0), Some(7.0));
    assert_eq!(percentile(std::iter::empty(), 50.0), None);
}

#[test]
fn the_matrix_begins_with_its_axes_and_fits_into_memory() {
    let quick = cells(Extent::Quick, 9_750);
    let full = cells(Extent::Full, 9_750);
    assert!(quick.len() < 12 && full.len() > 100);
    for cells in [&quick, &full] {
        let names: Vec<&str> = cells.iter().map(|case| case.name.as_ref()).collect();
        assert!(names.contains(&"1x64") && names.contains(&"9750x64"));
        assert!(names.contains(&"64x1MiB") && names.contains(&"64x64x64"));
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "each cell stands there once");
    }
    for case in &full {
        let Load::Messages {
            tunnels,
            payload_bytes,
            in_flight,
            ..
        } = case.load
        else {
            panic!("{} has no messages", case.name);
        };
        assert!(
            tunnels * payload_bytes * in_flight <= 128 << 20,
            "{}",
            case.name
        );
    }
    // Few files: no cell asks for more tunnels than there are files for.
    for case in cells(Extent::Full, 40) {
        assert!(
            matches!(case.load, Load::Messages { tunnels, .. } if tunnels <= 40),
            "{}",
            case.name
        );
    }
}

#[test]
fn numbers_and_sizes_read_well() {
    assert_eq!(
        [16, 1024, 256 * 1024, 1 << 20].map(size),
        ["16 B", "1 KiB", "256 KiB", "1 MiB"]
    );
    assert_eq!(
        [7, 1_000, 9_750, 1_000_001].map(grouped),
        ["7", "1,000", "9,750", "1,000,001"]
    );
}

#[test]
fn the_answer_to_the_key_of_rfc_6455_is_the_one_it_gives() {
    let head = "GET / HTTP/1.1\r\nsec-websocket-KEY:  dGhlIHNhbXBsZSBub25jZQ== \r\n\r\n";
    assert_eq!(
        accept_of(head).as_deref(),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(accept_of("GET / HTTP/1.1\r\n\r\n"), None);
}

/// A short message, a message in two fragments with a Ping between them, one with a 16-bit length, one with a 64-bit
/// length, an empty one, and a goodbye.
fn stream() -> Vec<u8> {
    let mut bytes = vec![
        0x82, 2, b'h', b'i', 0x01, 1, b'a', 0x89, 1, b'p', 0x80, 1, b'b',
    ];
    bytes.extend([0x82, 126, 1, 0]);
    bytes.resize(bytes.len() + 256, 0x88);
    bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 1]);
    bytes.resize(bytes.len() + 65_537, 0x81);
    bytes.extend([0x81, 0, 0x88, 4, 0x03, 0xf3, b'x', b'y']);
    bytes
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_same_is_counted(mut cuts in prop::collection::vec(0..65_900_usize, 0..40)) {
        let stream = stream();
        cuts.retain(|cut| *cut <= stream.len());
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut inbox = Inbox::default();
        for pair in cuts.windows(2) {
            inbox.feed(&stream[pair[0]..pair[1]]);
        }
        prop_assert_eq!((inbox.messages, inbox.close), (5, Some(1011)));
    }
}

#[test]
fn every_single_byte_may_come_alone() {
    let mut inbox = Inbox::default();
    for byte in stream() {
        inbox.feed(&[byte]);
    }
    assert_eq!((inbox.messages, inbox.close), (5, Some(1011)));
    let mut silent = Inbox::default();
    silent.feed(&[0x88, 0]);
    assert_eq!(silent.close, Some(1005));
}
