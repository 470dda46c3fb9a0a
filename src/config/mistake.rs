//! What is wrong in a file, and where: one line for each mistake, all of them at once.

use std::fmt;

/// One thing to correct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1; nothing if it concerns the file as a whole.
    pub line: Option<usize>,
    /// The column in characters, counted from 1; given for a text that is not TOML.
    pub column: Option<usize>,
    /// The setting, dotted: `pools.chat.backends[2].weight`. Empty for the file as a whole.
    pub path: String,
    /// What was expected, what was found, and what may help.
    pub message: String,
}

/// Everything that is wrong with one file, in the order of its lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    name: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(name: &str, mut list: Vec<Mistake>) -> Self {
        list.sort_by_key(|mistake| mistake.line);
        Self {
            name: name.to_owned(),
            list,
        }
    }

    pub(super) fn of_file(name: &str, expected: &str, found: &str) -> Self {
        let mistake = Mistake {
            line: None,
            column: None,
            path: String::new(),
            message: format!("expected {expected}, found: {found}"),
        };
        Self::new(name, vec![mistake])
    }

    pub(super) fn of_syntax(name: &str, lines: &Lines<'_>, errors: &[toml::de::Error]) -> Self {
        let mistake = |error: &toml::de::Error| {
            let (line, column) = lines.place(error.span().map_or(0, |span| span.start));
            Mistake {
                line: Some(line),
                column: Some(column),
                path: String::new(),
                message: error.message().replace('\n', " "),
            }
        };
        Self::new(name, errors.iter().map(mistake).collect())
    }

    /// Each mistake.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none, which never happens.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(column) = self.column {
            write!(f, "{column}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.list.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{mistake}", self.name)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Where the lines of a text begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }

    /// The line of a byte, and its column in characters; both from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_by_line_and_column() {
        let lines = Lines::of("ab\n\nüx");
        let places: Vec<_> = [0, 1, 2, 3, 4, 6, 99]
            .map(|offset| lines.place(offset))
            .into();
        assert_eq!(
            places,
            [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 1)]
        );
    }
}
