//! What is wrong with a file that TLS needs: where, what was expected, what was found, and what may help.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a listener or a pool cannot speak TLS as asked. One line, in the words of the configuration's mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The file; empty if it is none.
    pub file: PathBuf,
    /// The line, counted from 1; nothing if it concerns the file as a whole.
    pub line: Option<usize>,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What may help; may be empty.
    pub remedy: String,
}

impl LoadError {
    pub(super) fn new(
        file: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_path_buf(),
            line: None,
            expected: expected.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn at(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:", self.file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            write!(f, " ")?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}
