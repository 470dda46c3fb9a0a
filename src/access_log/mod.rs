//! What one tunnel did, as a record, as a line, and as a bounded ring between two threads.
