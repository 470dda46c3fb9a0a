//! A reader that takes nothing costs a bounded amount of memory. Alone in its process, whose memory it measures.

mod support;

use support::pairs::{Hall, SHAPES, Stream, one_worker, read_in_pieces, whole, write_in_pieces};
use support::{metric, wait_for_metric};

/// Far more than the sockets on the way hold.
const BULK_MESSAGES: usize = 40;

#[test]
fn a_reader_that_stops_is_waited_for_in_bounded_memory_and_misses_nothing() {
    for shape in SHAPES {
        let hall = Hall::new(&one_worker(shape, ""), "");
        let mut other = hall.pair();
        let pair = hall.narrow_pair();
        let mut stream = Stream::new(false, 3);
        for _ in 0..BULK_MESSAGES {
            stream.message(1 << 20);
            stream.some(3, 200);
        }
        let (bytes, wanted) = (stream.bytes.len(), whole(&stream.bytes));
        let resident = || metric(&hall.ringway, "process_resident_memory_bytes");
        let before = resident();
        let write = write_in_pieces(&pair.backend, stream.bytes, 4);
        wait_for_metric(
            &hall.ringway,
            "ringway_backpressure_pauses_total",
            |pauses| pauses > 0.0,
        );
        // The reader has stopped; the other tunnel has not.
        for _ in 0..300 {
            other.echoes();
        }
        let row = "ringway_bytes_total{direction=\"backend_to_client\"";
        let passed = metric(&hall.ringway, row);
        #[expect(clippy::cast_precision_loss, reason = "some 40 MiB")]
        let all = bytes as f64;
        assert!(
            passed < all / 2.0,
            "{passed} of {all} bytes were read and have to be somewhere"
        );
        let grown = resident() - before;
        assert!(grown < 12e6, "{grown} bytes more are resident");
        hall.buffers_home();
        let read = read_in_pieces(&pair.client, 5);
        write.join().unwrap();
        assert_eq!(read.join().unwrap(), wanted);
        drop((pair, other));
        hall.all_home();
    }
}
