//! Tables in plain text: columns that line up, and nothing in them that a terminal would obey.

use std::fmt::Write as _;

/// A column: its title, and how wide it is at least on a screen. Text stands left, numbers right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: u16,
    pub(super) is_number: bool,
}

/// A column of text.
pub(super) const fn text(title: &'static str, width: u16) -> Column {
    Column {
        title,
        width,
        is_number: false,
    }
}

/// A column of numbers.
pub(super) const fn number(title: &'static str, width: u16) -> Column {
    Column {
        title,
        width,
        is_number: true,
    }
}

/// Titles and rows, each column as wide as what stands in it.
pub(super) fn lined_up<const N: usize>(columns: &[Column; N], rows: &[[String; N]]) -> String {
    let mut widths = columns.map(|column| column.title.len());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    let titles = columns.map(|column| column.title);
    line(&mut table, titles, &widths, columns);
    for row in rows {
        let cells = row.each_ref().map(String::as_str);
        line(&mut table, cells, &widths, columns);
    }
    table
}

fn line<const N: usize>(
    table: &mut String,
    cells: [&str; N],
    widths: &[usize; N],
    columns: &[Column; N],
) {
    let start = table.len();
    for ((cell, width), column) in cells.iter().zip(widths).zip(columns) {
        // Writing to a String never fails.
        let _ = if column.is_number {
            write!(table, "{cell:>width$}  ")
        } else {
            write!(table, "{cell:<width$}  ")
        };
    }
    let end = start + table[start..].trim_end().len();
    table.truncate(end);
    table.push('\n');
}

/// Names and errors come from elsewhere; what a terminal would obey stays out.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let columns = [text("NAME", 20), number("COUNT", 3), text("NOTE", 1)];
        let row =
            |name: &str, count: u32, note: &str| [clean(name), count.to_string(), clean(note)];
        let rows = [row("a", 1, ""), row("é-long", 1_234_567, "x\u{1b}[2J")];
        assert_eq!(
            lined_up(&columns, &rows),
            "NAME      COUNT  NOTE\n\
             a             1\n\
             é-long  1234567  x?[2J\n"
        );
    }
}
