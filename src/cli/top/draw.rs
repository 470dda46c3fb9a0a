//! Draws the view on a terminal of any size.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::table::{COLUMNS, STATE, cells, headline};
use super::view::View;
use crate::control::BackendRow;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [head, second, body, foot] = areas.areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(headline(view)).style(bold), head);
    frame.render_widget(state_of_things(view), second);
    let rows = view.rows();
    // Rows that no terminal shows are not made: a fleet may have thousands.
    let shown = rows.iter().skip(view.skipped);
    let shown = shown.take(usize::from(body.height)).map(|row| line(row));
    frame.render_widget(table(shown.collect()), body);
    frame.render_widget(Paragraph::new(keys(view, rows.len())), foot);
}

fn state_of_things(view: &View) -> Paragraph<'_> {
    match (&view.trouble, &view.latest) {
        (Some(trouble), latest) => {
            let old = if latest.is_some() {
                "the table is old; "
            } else {
                ""
            };
            let words = format!("trying again, {old}{trouble}");
            Paragraph::new(words).style(Style::new().fg(Color::Red))
        }
        (None, None) => Paragraph::new("looking"),
        (None, Some(_)) => Paragraph::new(""),
    }
}

fn table(rows: Vec<Row<'_>>) -> Table<'_> {
    let last = COLUMNS.len() - 1;
    let widths = COLUMNS.iter().enumerate().map(|(place, column)| {
        if place == last || place == 1 {
            Constraint::Min(column.width)
        } else {
            Constraint::Length(column.width)
        }
    });
    let titles = COLUMNS
        .iter()
        .map(|column| aligned(column.title.to_owned(), column.is_number));
    let titles = Row::new(titles).style(Style::new().add_modifier(Modifier::UNDERLINED));
    Table::new(rows, widths).header(titles).column_spacing(1)
}

fn line(row: &BackendRow) -> Row<'static> {
    let colour = colour(&row.state);
    let cells = cells(row).into_iter().zip(COLUMNS).enumerate();
    Row::new(cells.map(|(place, (cell, column))| {
        let cell = aligned(cell, column.is_number);
        if place == STATE {
            cell.style(Style::new().fg(colour))
        } else {
            cell
        }
    }))
}

fn aligned(text: String, is_number: bool) -> Cell<'static> {
    let alignment = if is_number {
        Alignment::Right
    } else {
        Alignment::Left
    };
    Cell::from(Text::from(text).alignment(alignment))
}

fn colour(state: &str) -> Color {
    match state {
        "up" => Color::Green,
        "down" | "ejected" => Color::Red,
        "draining" | "trial" => Color::Yellow,
        _ => Color::DarkGray,
    }
}

fn keys(view: &View, rows: usize) -> Line<'_> {
    if view.is_typing {
        return Line::from(format!("pool: {}_   Enter keeps, Esc clears", view.filter));
    }
    let filter = if view.filter.is_empty() {
        String::new()
    } else {
        format!(" in pools with \"{}\"", view.filter)
    };
    let reversed = if view.is_reversed { ", reversed" } else { "" };
    Line::from(format!(
        "{rows} backends{filter}, by {}{reversed}   q quit  s sort  r reverse  / pool",
        view.sort.label()
    ))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::super::view::tests::{row, view};
    use super::*;

    fn drawn(view: &View, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width.max(1));
        rows.map(|row| {
            let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned()
        })
        .collect()
    }

    fn fleet() -> View {
        let states = ["up", "down", "draining", "ejected", "disabled", "trial"];
        let rows = states.iter().enumerate();
        let rows = rows.map(|(place, state)| {
            let backend = format!("10.0.0.1{place}:9000");
            row("chat", &backend, state)
        });
        view(&rows.collect::<Vec<_>>())
    }

    #[test]
    fn the_screen_has_a_headline_rows_and_keys() {
        let buffer = drawn(&fleet(), 130, 12);
        let lines = lines(&buffer);
        assert!(
            lines[0].starts_with("ringway 127.0.0.1:9090: 1234 tunnels open, 40 handshakes/s"),
            "{lines:#?}"
        );
        assert!(lines[2].starts_with("POOL     BACKEND"), "{lines:#?}");
        assert!(lines[2].ends_with("PROBE"), "{lines:#?}");
        assert!(
            lines[3].starts_with("chat     10.0.0.10:9000"),
            "{lines:#?}"
        );
        assert!(
            lines[11].starts_with("6 backends, by file   q quit"),
            "{lines:#?}"
        );
    }

    #[test]
    fn the_state_has_its_colour_and_the_rest_has_none() {
        let buffer = drawn(&fleet(), 130, 12);
        let lines = lines(&buffer);
        for (line, state, wanted) in [
            (3, "up", Color::Green),
            (4, "down", Color::Red),
            (5, "draining", Color::Yellow),
            (6, "ejected", Color::Red),
            (7, "disabled", Color::DarkGray),
            (8, "trial", Color::Yellow),
        ] {
            let place = lines[line].find(state).unwrap();
            let place = (u16::try_from(place).unwrap(), u16::try_from(line).unwrap());
            assert_eq!(buffer[place].fg, wanted, "{state}");
            assert_eq!(buffer[(0, place.1)].fg, Color::Reset, "the pool's name");
        }
    }

    #[test]
    fn a_server_that_is_gone_is_said_over_the_old_table() {
        let mut view = fleet();
        view.heard(Err(anyhow::anyhow!("no answer from 127.0.0.1:9090")));
        let lines = lines(&drawn(&view, 130, 12));
        assert_eq!(
            lines[1],
            "trying again, the table is old; no answer from 127.0.0.1:9090"
        );
        assert!(lines[3].contains("10.0.0.10:9000"), "{lines:#?}");
        let mut never = View::new(view.control, String::new());
        assert_eq!(tests::lines(&drawn(&never, 80, 5))[1], "looking");
        never.heard(Err(anyhow::anyhow!("refused")));
        assert_eq!(
            tests::lines(&drawn(&never, 80, 5))[1],
            "trying again, refused"
        );
    }

    #[test]
    fn scrolling_leaves_the_first_rows_out_and_the_titles_in() {
        let mut view = fleet();
        view.skipped = 4;
        let lines = lines(&drawn(&view, 130, 12));
        assert!(lines[2].starts_with("POOL"), "{lines:#?}");
        assert!(lines[3].contains("10.0.0.14:9000"), "{lines:#?}");
        assert!(!lines[5].contains("chat"), "{lines:#?}");
    }

    #[test]
    fn no_size_of_terminal_is_too_small() {
        let mut view = fleet();
        for typing in [false, true] {
            view.is_typing = typing;
            for width in [0, 1, 2, 7, 20, 79, 400] {
                for height in [0, 1, 2, 3, 4, 5, 100] {
                    drawn(&view, width, height);
                }
            }
        }
    }
}
