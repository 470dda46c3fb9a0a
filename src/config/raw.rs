//! The file as it is written: tables and items with their places. Knows which keys are asked for, never what
//! they mean.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kind::Kind;
use super::mistake::{Lines, Mistake, Mistakes};
use super::nearest::nearest;

/// Where the mistakes of one file are gathered.
pub(super) struct Report<'t> {
    lines: &'t Lines<'t>,
    folder: Option<&'t Path>,
    mistakes: RefCell<Vec<Mistake>>,
    /// Settings that were asked for, and whether the file has them.
    #[cfg(test)]
    pub(super) asked: RefCell<Vec<(String, bool)>>,
}

/// A setting's dotted path, and the byte where it stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: String,
    offset: usize,
}

/// A value that is kept together with its place, for checks against other values.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// One value of the file.
pub(super) struct Item<'a> {
    value: &'a DeValue<'a>,
    place: Place,
    report: &'a Report<'a>,
}

/// One table of the file, or an empty one where the file has none, so that defaults need no path of their own.
pub(super) struct Table<'a> {
    entries: Option<&'a DeTable<'a>>,
    place: Place,
    report: &'a Report<'a>,
    asked: Vec<&'static str>,
}

impl<'t> Report<'t> {
    /// `folder` is where the files that this one names are looked for; without it none is read.
    pub(super) fn new(lines: &'t Lines<'t>, folder: Option<&'t Path>) -> Self {
        Self {
            lines,
            folder,
            mistakes: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// Where a file is that this one names, if it may be read.
    pub(super) fn beside(&self, file: &Path) -> Option<PathBuf> {
        self.folder.map(|folder| folder.join(file))
    }

    /// Notes one mistake. `note` says what may help, and is left out if empty.
    pub(super) fn wrong(
        &self,
        place: &Place,
        expected: impl fmt::Display,
        found: impl fmt::Display,
        note: &str,
    ) {
        let note = match note {
            "" => String::new(),
            note => format!(" ({note})"),
        };
        self.say(place, format!("expected {expected}, found {found}{note}"));
    }

    /// Notes one mistake in words that another room found for it.
    pub(super) fn say(&self, place: &Place, message: String) {
        self.mistakes.borrow_mut().push(Mistake {
            line: Some(self.lines.line(place.offset)),
            column: None,
            path: place.path.clone(),
            message,
        });
    }

    pub(super) fn line(&self, place: &Place) -> usize {
        self.lines.line(place.offset)
    }

    /// The value if nothing was wrong, else all that was.
    pub(super) fn verdict<T>(self, name: &str, value: Option<T>) -> Result<T, Mistakes> {
        let mistakes = self.mistakes.into_inner();
        match value {
            Some(value) if mistakes.is_empty() => Ok(value),
            _ => Err(Mistakes::new(name, mistakes)),
        }
    }
}

impl Place {
    /// The dotted path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The place of a setting in the table at this place, by that table's own line.
    pub(super) fn named(&self, key: &str) -> Self {
        self.key(key, self.offset)
    }

    fn key(&self, key: &str, offset: usize) -> Self {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let bare = !key.is_empty() && key.bytes().all(is_bare);
        let shown = if bare {
            key.to_owned()
        } else {
            shown_text(key)
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            path: format!("{}{dot}{shown}", self.path),
            offset,
        }
    }

    fn index(&self, index: usize, offset: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            offset,
        }
    }
}

impl<'a> Item<'a> {
    /// The value, if it is of this kind; if not, that is noted.
    pub(super) fn read<T>(&self, kind: &Kind<T>) -> Option<Given<T>> {
        match kind.read(self.value) {
            Ok(value) => Some(Given {
                value,
                place: self.place.clone(),
            }),
            Err(note) => {
                self.wrong(kind.expected(), &note.0);
                None
            }
        }
    }

    /// Like [`read`](Self::read), for a value that a message must not show.
    pub(super) fn read_hidden<T>(&self, kind: &Kind<T>) -> Option<Given<T>> {
        let value = kind.read(self.value).ok();
        if value.is_none() {
            let found = match self.value.as_str() {
                Some(text) => format!("a text of {} bytes", text.len()),
                None => format!("a value of type {}", self.value.type_str()),
            };
            self.report.wrong(&self.place, kind.expected(), found, "");
        }
        value.map(|value| Given {
            value,
            place: self.place.clone(),
        })
    }

    /// Every item of a list; another value is noted.
    pub(super) fn list(&self, expected: &str) -> Option<Vec<Item<'a>>> {
        let Some(list) = self.value.as_array() else {
            self.wrong(expected, "");
            return None;
        };
        Some(
            list.iter()
                .enumerate()
                .map(|(index, value)| self.part(index, value))
                .collect(),
        )
    }

    /// Builds from each table of a list; another value is noted.
    pub(super) fn rows<T>(
        &self,
        expected: &str,
        mut build: impl FnMut(&mut Table<'a>) -> T,
    ) -> Option<Vec<T>> {
        let items = self.list(expected)?.into_iter();
        let rows = items.filter_map(|item| {
            let table = item.as_table();
            if table.is_none() {
                item.wrong("a table", "");
            }
            table.map(|table| table.open(&mut build))
        });
        Some(rows.collect())
    }

    /// Every entry of a table whose keys are up to the reader, in the order of the file; another value is noted.
    pub(super) fn entries(&self, expected: &str) -> Option<Vec<(&'a str, Item<'a>)>> {
        let Some(table) = self.value.as_table() else {
            self.wrong(expected, "");
            return None;
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let items = entries.into_iter().map(|(key, value)| {
            let key = key.get_ref().as_ref();
            let item = Item {
                value: value.get_ref(),
                place: self.place.key(key, value.span().start),
                report: self.report,
            };
            (key, item)
        });
        Some(items.collect())
    }

    /// Every item of a list, or this one item if it is none.
    pub(super) fn one_or_more(self) -> Vec<Item<'a>> {
        match self.value.as_array() {
            Some(list) => list
                .iter()
                .enumerate()
                .map(|(index, value)| self.part(index, value))
                .collect(),
            None => vec![self],
        }
    }

    /// The same item as a table, if it is one.
    pub(super) fn as_table(&self) -> Option<Table<'a>> {
        self.value.as_table().map(|entries| Table {
            entries: Some(entries),
            place: self.place.clone(),
            report: self.report,
            asked: Vec::new(),
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    fn wrong(&self, expected: &str, note: &str) {
        self.report
            .wrong(&self.place, expected, shown(self.value), note);
    }

    fn part(&self, index: usize, value: &'a Spanned<DeValue<'a>>) -> Item<'a> {
        Item {
            value: value.get_ref(),
            place: self.place.index(index, value.span().start),
            report: self.report,
        }
    }
}

impl<'a> Table<'a> {
    pub(super) fn root(entries: &'a DeTable<'a>, report: &'a Report<'a>) -> Self {
        let place = Place {
            path: String::new(),
            offset: 0,
        };
        Self {
            entries: Some(entries),
            place,
            report,
            asked: Vec::new(),
        }
    }

    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Lets `build` ask for what it knows, then notes every key that it did not ask for.
    pub(super) fn open<T>(mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let value = build(&mut self);
        for (key, item) in self.entries.into_iter().flatten() {
            let key_text = key.get_ref().as_ref();
            if !self.asked.contains(&key_text) {
                let place = self.place.key(key_text, key.span().start);
                let note = match nearest(key_text, self.asked.iter().copied()) {
                    Some(known) => format!("did you mean {known}?"),
                    None => format!("known here: {}", self.asked.join(", ")),
                };
                let found = match item.get_ref() {
                    DeValue::Table(_) => "an unknown table",
                    _ => "an unknown one",
                };
                self.report.wrong(&place, "a known setting", found, &note);
            }
        }
        value
    }

    /// The item of this key, if the file has it.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'a>> {
        let (_, value) = self.entry(key)?;
        Some(Item {
            value: value.get_ref(),
            place: self.place.key(key, value.span().start),
            report: self.report,
        })
    }

    /// The value of this key, if the file has it and it is of this kind.
    pub(super) fn given<T>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<Given<T>> {
        self.item(key)?.read(kind)
    }

    /// The value of this key, or what holds without it.
    pub(super) fn value<T>(&mut self, key: &'static str, kind: &Kind<T>, default: T) -> T {
        self.given(key, kind).map_or(default, |given| given.value)
    }

    /// The value of this key, or what holds without it. Nothing if it is wrong, which has then been noted: whoever
    /// depends on it has nothing more to say.
    pub(super) fn given_or<T>(
        &mut self,
        key: &'static str,
        kind: &Kind<T>,
        default: T,
    ) -> Option<Given<T>> {
        match self.item(key) {
            Some(item) => item.read(kind),
            None => Some(Given {
                value: default,
                place: self.place.named(key),
            }),
        }
    }

    /// The item of this key; its absence is noted.
    pub(super) fn required(&mut self, key: &'static str, expected: &str) -> Option<Item<'a>> {
        let item = self.item(key);
        if item.is_none() {
            let place = self.place.named(key);
            self.report.wrong(&place, expected, "nothing", "");
        }
        item
    }

    /// Builds from the table of this key, or from an empty one.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        build: impl FnOnce(&mut Table<'a>) -> T,
    ) -> T {
        let table = match self.entry(key) {
            Some((at, value)) => self.inner(key, at, value),
            None => Table {
                entries: None,
                place: self.place.named(key),
                report: self.report,
                asked: Vec::new(),
            },
        };
        table.open(build)
    }

    /// Builds from the table of this key, if the file has it. Another value is noted.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        build: impl FnOnce(&mut Table<'a>) -> T,
    ) -> Option<T> {
        let (at, value) = self.entry(key)?;
        let table = self.inner(key, at, value);
        table.entries.is_some().then(|| table.open(build))
    }

    /// Builds from each table below this key, in the order of the file, each with its name.
    pub(super) fn named<T>(
        &mut self,
        key: &'static str,
        mut build: impl FnMut(&str, &mut Table<'a>) -> T,
    ) -> Vec<T> {
        let Some((at, value)) = self.entry(key) else {
            return Vec::new();
        };
        let parent = self.inner(key, at, value);
        let mut entries: Vec<_> = parent.entries.into_iter().flatten().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let tables = entries.into_iter().map(|(name, value)| {
            let text = name.get_ref().as_ref();
            parent
                .inner(text, name.span().start, value)
                .open(|table| build(text, table))
        });
        tables.collect()
    }

    /// Builds from each table of the list at this key.
    pub(super) fn rows<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        build: impl FnMut(&mut Table<'a>) -> T,
    ) -> Vec<T> {
        let rows = self.item(key).and_then(|item| item.rows(expected, build));
        rows.unwrap_or_default()
    }

    fn entry(&mut self, key: &'static str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        self.asked.push(key);
        let entry = self.entries.and_then(|entries| entries.get_key_value(key));
        #[cfg(test)]
        {
            let path = self.place.key(key, 0).path;
            let mut asked = self.report.asked.borrow_mut();
            asked.push((path, entry.is_some()));
        }
        entry.map(|(key, value)| (key.span().start, value))
    }

    fn inner(&self, key: &str, at: usize, value: &'a Spanned<DeValue<'a>>) -> Table<'a> {
        let place = self.place.key(key, at);
        let entries = value.get_ref().as_table();
        if entries.is_none() {
            self.report
                .wrong(&place, "a table", shown(value.get_ref()), "");
        }
        Table {
            entries,
            place,
            report: self.report,
            asked: Vec::new(),
        }
    }
}

/// A value as a message shows it: short, and on one line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shown_text(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A text in quotes, cut if it is long.
pub(super) fn shown_text(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
