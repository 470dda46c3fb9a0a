//! What the control thread counts about itself; it is the only writer.

use super::Counter;

/// Everything the control thread counts.
#[derive(Debug, Default)]
pub struct ControlCounters {
    /// Access-log lines written.
    pub log_lines: Counter,
    /// Writes of the access log that failed; each lost its batch of lines.
    pub log_write_errors: Counter,
    /// Access-log lines that those failed writes lost.
    pub log_lines_lost: Counter,
    /// Times certificates and what goes with them were loaded again because their files had changed.
    pub tls_loads: Counter,
    /// Times that failed, and the old ones stayed.
    pub tls_load_failures: Counter,
    /// Scrapes of `/metrics` answered.
    pub scrapes: Counter,
}
