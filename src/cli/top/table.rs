//! The words and numbers of the table, the same on the screen and in plain text.

use super::view::{View, failures};
use crate::cli::columns::{Column, clean, lined_up, number, text};
use crate::control::BackendRow;

/// What a row shows, in this order.
pub(super) const COLUMNS: [Column; 10] = [
    text("POOL", 8),
    text("BACKEND", 21),
    text("STATE", 8),
    number("TUNNELS", 7),
    number("CONNECTING", 10),
    number("HANDSHAKE ms", 12),
    number("WEIGHT", 6),
    number("FAILURES", 8),
    number("EJECTED FOR", 11),
    text("PROBE", 24),
];

/// The place of the state, which is coloured.
pub(super) const STATE: usize = 2;

pub(super) fn cells(row: &BackendRow) -> [String; COLUMNS.len()] {
    let nothing = || "-".to_owned();
    let in_a_row = match row.failures_in_a_row {
        0 => String::new(),
        count => format!(" ({count} now)"),
    };
    [
        clean(&row.pool),
        clean(&row.backend),
        clean(&row.state),
        row.established.to_string(),
        row.connecting.to_string(),
        row.handshake_ms
            .map_or_else(nothing, |millis| format!("{millis:.2}")),
        row.weight.to_string(),
        format!("{}{in_a_row}", failures(row)),
        row.ejected_for
            .map_or_else(nothing, |seconds| format!("{seconds:.0} s")),
        probe(row),
    ]
}

fn probe(row: &BackendRow) -> String {
    let Some(probe) = &row.probe else {
        return "-".to_owned();
    };
    match (&probe.error, probe.took_ms) {
        (Some(error), _) => clean(error),
        (None, Some(millis)) => format!("{millis:.2} ms"),
        (None, None) => "ok".to_owned(),
    }
}

/// The line above the table.
pub(super) fn headline(view: &View) -> String {
    let Some(reading) = &view.latest else {
        return format!("ringway {}", view.control);
    };
    let totals = &reading.totals;
    let rates = view.rates.map_or_else(
        || "rates at the next look".to_owned(),
        |rates| {
            format!(
                "{} handshakes/s, {} messages/s, {}B/s",
                short(rates.handshakes),
                short(rates.messages),
                short(rates.bytes)
            )
        },
    );
    let draining = if totals.is_draining {
        ", going down"
    } else {
        ""
    };
    let plural = if totals.workers == 1 { "" } else { "s" };
    format!(
        "ringway {}: {} tunnels open, {rates}, {} worker{plural}{draining}",
        view.control, totals.tunnels, totals.workers
    )
}

/// A rate in three or four digits.
fn short(rate: f64) -> String {
    const UNITS: [&str; 4] = ["", "k", "M", "G"];
    let mut rate = rate;
    let mut unit = 0;
    while rate >= 9_999.5 && unit + 1 < UNITS.len() {
        rate /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(rate < 99.95 && rate.fract() > 0.04);
    let space = if unit == 0 { "" } else { " " };
    format!("{rate:.digits$}{space}{}", UNITS[unit])
}

/// The whole of it for a file, a pipe or a screen that scrolls.
pub(super) fn plain(view: &View) -> String {
    let rows: Vec<_> = view.rows().into_iter().map(cells).collect();
    format!("{}\n\n{}", headline(view), lined_up(&COLUMNS, &rows))
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::{row, view};
    use super::*;
    use crate::control::ProbeRow;

    #[test]
    fn a_plain_table_lines_up_and_says_everything() {
        let mut rows = vec![
            row("chat", "10.0.0.11:9000", "up"),
            row("chat", "b", "ejected"),
        ];
        rows[0].established = 12_345;
        rows[0].handshake_ms = Some(1.234);
        rows[0].probe = Some(ProbeRow {
            up: true,
            took_ms: Some(0.5),
            reason: None,
            error: None,
            ago: 1.0,
        });
        rows[1].failures.insert("refused".to_owned(), 7);
        rows[1].failures_in_a_row = 5;
        rows[1].ejected_for = Some(29.6);
        rows[1].probe = Some(ProbeRow {
            up: false,
            took_ms: None,
            reason: Some("refused".to_owned()),
            error: Some("refused\u{1b}[2J".to_owned()),
            ago: 1.0,
        });
        assert_eq!(
            plain(&view(&rows)),
            "ringway 127.0.0.1:9090: 1234 tunnels open, 40 handshakes/s, 0 messages/s, 1500 kB/s, 2 workers\n\
             \n\
             POOL  BACKEND         STATE    TUNNELS  CONNECTING  HANDSHAKE ms  WEIGHT   FAILURES  EJECTED FOR  PROBE\n\
             chat  10.0.0.11:9000  up         12345           0          1.23       1          0            -  0.50 ms\n\
             chat  b               ejected        0           0             -       1  7 (5 now)         30 s  refused?[2J\n"
        );
    }

    #[test]
    fn rates_are_short() {
        for (rate, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (40.0, "40"),
            (1_234.4, "1234"),
            (9_999.0, "9999"),
            (12_345.0, "12.3 k"),
            (123_456_789.0, "123 M"),
            (5e15, "5000000 G"),
        ] {
            assert_eq!(short(rate), text);
        }
    }
}
