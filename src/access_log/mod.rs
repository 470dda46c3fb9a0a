//! What one tunnel did, as a record, as a line, and as a bounded ring between two threads.

mod line;
mod record;
mod ring;

pub use line::{Names, Timestamp, write_line};
pub use record::{OneWay, Record, RefusalRecord, TunnelRecord};
pub use ring::{Drain, Recorder, channel};
