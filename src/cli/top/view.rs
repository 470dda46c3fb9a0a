//! What the person at the terminal looks at: which rows, in which order, from where on. Knows keys, no terminal.

use std::cmp::Ordering;
use std::net::SocketAddr;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Rates, Reading};
use crate::control::BackendRow;

/// How far a page key goes.
const PAGE_ROWS: usize = 10;
/// More letters than any name of a pool has.
const FILTER_LETTERS_MAX: usize = crate::limits::NAME_BYTES_MAX;

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct View {
    pub(super) control: SocketAddr,
    pub(super) latest: Option<Reading>,
    pub(super) rates: Option<Rates>,
    /// Why there is nothing newer.
    pub(super) trouble: Option<String>,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    /// Only pools whose name contains it.
    pub(super) filter: String,
    /// Whether letters go to the filter.
    pub(super) is_typing: bool,
    /// Rows above the first one that is shown.
    pub(super) skipped: usize,
}

/// What the rows are sorted by; the largest first where that is the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// As the file has them.
    File,
    State,
    Tunnels,
    Connecting,
    Handshake,
    Failures,
}

impl Sort {
    const ALL: [Self; 6] = [
        Self::File,
        Self::State,
        Self::Tunnels,
        Self::Connecting,
        Self::Handshake,
        Self::Failures,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::State => "state",
            Self::Tunnels => "tunnels",
            Self::Connecting => "connecting",
            Self::Handshake => "handshake",
            Self::Failures => "failures",
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|sort| *sort == self);
        Self::ALL[place.map_or(0, |place| (place + 1) % Self::ALL.len())]
    }

    fn compare(self, a: &BackendRow, b: &BackendRow) -> Ordering {
        match self {
            Self::File => Ordering::Equal,
            Self::State => rank(&a.state).cmp(&rank(&b.state)),
            Self::Tunnels => b.established.cmp(&a.established),
            Self::Connecting => b.connecting.cmp(&a.connecting),
            Self::Handshake => {
                let millis = |row: &BackendRow| row.handshake_ms.unwrap_or(-1.0);
                millis(b).total_cmp(&millis(a))
            }
            Self::Failures => failures(b).cmp(&failures(a)),
        }
    }
}

/// What needs a person first comes first.
fn rank(state: &str) -> u8 {
    match state {
        "down" => 0,
        "ejected" => 1,
        "trial" => 2,
        "disabled" => 3,
        "draining" => 4,
        _ => 5,
    }
}

/// All failed handshakes of a backend.
pub(super) fn failures(row: &BackendRow) -> u64 {
    row.failures.values().sum()
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    Quit,
}

impl View {
    pub(super) const fn new(control: SocketAddr, filter: String) -> Self {
        Self {
            control,
            latest: None,
            rates: None,
            trouble: None,
            sort: Sort::File,
            is_reversed: false,
            filter,
            is_typing: false,
            skipped: 0,
        }
    }

    /// Takes what came of a look. After a bad one the last good reading stays, and is said to be old.
    pub(super) fn heard(&mut self, taken: anyhow::Result<Reading>) {
        match taken {
            Ok(reading) => {
                let before = self.latest.as_ref();
                self.rates = before.and_then(|before| Rates::between(before, &reading));
                self.latest = Some(reading);
                self.trouble = None;
            }
            Err(error) => {
                self.rates = None;
                self.trouble = Some(format!("{error:#}"));
            }
        }
    }

    /// The rows in question, in order.
    pub(super) fn rows(&self) -> Vec<&BackendRow> {
        let all = self.latest.iter().flat_map(|reading| &reading.rows);
        let mut rows: Vec<_> = all.filter(|row| row.pool.contains(&self.filter)).collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        if self.is_reversed {
            rows.reverse();
        }
        rows
    }

    pub(super) fn pressed(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Stay;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Flow::Quit;
        }
        if self.is_typing {
            self.typed(key.code);
            return Flow::Stay;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Flow::Quit,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char('/') => self.is_typing = true,
            code => self.scrolled(code),
        }
        Flow::Stay
    }

    fn typed(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.is_typing = false;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) if self.filter.len() < FILTER_LETTERS_MAX => {
                self.filter.push(letter);
            }
            _ => {}
        }
        self.skipped = 0;
    }

    fn scrolled(&mut self, code: KeyCode) {
        let last = self.rows().len().saturating_sub(1);
        let skipped = match code {
            KeyCode::Up => self.skipped.saturating_sub(1),
            KeyCode::Down => self.skipped + 1,
            KeyCode::PageUp => self.skipped.saturating_sub(PAGE_ROWS),
            KeyCode::PageDown => self.skipped + PAGE_ROWS,
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => self.skipped,
        };
        self.skipped = skipped.min(last);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::reading::Totals;
    use super::*;
    use crate::clock::Now;

    pub(in crate::cli::top) fn row(pool: &str, backend: &str, state: &str) -> BackendRow {
        BackendRow {
            pool: pool.to_owned(),
            backend: backend.to_owned(),
            address: "10.0.0.11:9000".to_owned(),
            state: state.to_owned(),
            priority: 0,
            weight: 1,
            established: 0,
            connecting: 0,
            handshake_ms: None,
            failures_in_a_row: 0,
            failures: std::collections::BTreeMap::new(),
            ejected_for: None,
            ended: 0,
            ended_abnormally: 0,
            probe: None,
        }
    }

    pub(in crate::cli::top) fn view(rows: &[BackendRow]) -> View {
        let mut view = View::new(([127, 0, 0, 1], 9090).into(), String::new());
        let totals = Totals {
            workers: 2,
            tunnels: 1_234.0,
            ..Totals::default()
        };
        for seconds in [1, 2] {
            let at = Now::from_nanos(0).after(Duration::from_secs(seconds));
            let (rows, handshakes) = (rows.to_vec(), f64::from(u32::try_from(seconds).unwrap()));
            let totals = Totals {
                handshakes: handshakes * 40.0,
                bytes: handshakes * 1_500_000.0,
                ..totals
            };
            view.heard(Ok(Reading { at, rows, totals }));
        }
        view
    }

    fn three() -> View {
        let mut rows = vec![
            row("chat", "a", "up"),
            row("chat", "b", "down"),
            row("games", "c", "draining"),
        ];
        rows[0].handshake_ms = Some(1.5);
        rows[2].handshake_ms = Some(9.0);
        rows[0].established = 5;
        rows[1].failures.insert("refused".to_owned(), 3);
        view(&rows)
    }

    fn names(view: &View) -> String {
        view.rows().iter().map(|row| &*row.backend).collect()
    }

    fn press(view: &mut View, codes: &[KeyCode]) -> Flow {
        let mut flow = Flow::Stay;
        for code in codes {
            flow = view.pressed((*code).into());
        }
        flow
    }

    #[test]
    fn s_sorts_by_the_next_column_and_r_turns_it_around() {
        let mut view = three();
        for (sort, wanted) in [
            (Sort::File, "abc"),
            (Sort::State, "bca"),
            (Sort::Tunnels, "abc"),
            (Sort::Connecting, "abc"),
            (Sort::Handshake, "cab"),
            (Sort::Failures, "bac"),
            (Sort::File, "abc"),
        ] {
            assert_eq!((view.sort, &*names(&view)), (sort, wanted));
            press(&mut view, &[KeyCode::Char('s')]);
        }
        press(&mut view, &[KeyCode::Char('r')]);
        assert_eq!(names(&view), "acb", "state, what is well first");
    }

    #[test]
    fn a_filter_is_typed_kept_and_cleared() {
        let mut view = three();
        let q = KeyCode::Char('q');
        let flow = press(
            &mut view,
            &[
                KeyCode::Char('/'),
                KeyCode::Char('g'),
                q,
                KeyCode::Backspace,
            ],
        );
        assert_eq!((flow, &*names(&view)), (Flow::Stay, "c"), "q is a letter");
        assert_eq!(press(&mut view, &[KeyCode::Enter]), Flow::Stay);
        assert_eq!((names(&view), view.is_typing), ("c".to_owned(), false));
        press(&mut view, &[KeyCode::Char('/'), KeyCode::Esc]);
        assert_eq!(names(&view), "abc");
        press(&mut view, &[KeyCode::Char('/')]);
        press(&mut view, &[KeyCode::Char('é'); 500]);
        assert!(view.filter.len() <= FILTER_LETTERS_MAX + 1);
    }

    #[test]
    fn q_and_control_c_quit_even_while_typing() {
        let mut view = three();
        assert_eq!(press(&mut view, &[KeyCode::Char('q')]), Flow::Quit);
        press(&mut view, &[KeyCode::Char('/')]);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.pressed(key), Flow::Quit);
    }

    #[test]
    fn scrolling_stays_within_the_rows() {
        let mut view = three();
        press(&mut view, &[KeyCode::Up]);
        assert_eq!(view.skipped, 0);
        press(&mut view, &[KeyCode::PageDown]);
        assert_eq!(view.skipped, 2);
        press(&mut view, &[KeyCode::Home, KeyCode::Down]);
        assert_eq!(view.skipped, 1);
        let mut empty = View::new(([127, 0, 0, 1], 9090).into(), String::new());
        press(&mut empty, &[KeyCode::End, KeyCode::Down]);
        assert_eq!(empty.skipped, 0);
    }

    #[test]
    fn a_bad_look_keeps_the_last_good_reading_and_the_next_good_one_clears_it() {
        let mut view = three();
        assert!(view.rates.is_some());
        view.heard(Err(anyhow::anyhow!("no answer")));
        assert_eq!(view.trouble.as_deref(), Some("no answer"));
        assert_eq!((names(&view), view.rates), ("abc".to_owned(), None));
        let again = view.latest.clone().unwrap();
        view.heard(Ok(again));
        assert_eq!(view.trouble, None);
    }
}
