//! The files of /proc and /sys below a root, and the few shapes their text has.

use std::fs;
use std::path::Path;

/// Where the files are looked for.
pub(super) struct Tree<'a> {
    root: &'a Path,
}

impl<'a> Tree<'a> {
    pub(super) const fn at(root: &'a Path) -> Self {
        Self { root }
    }

    /// A file's text without the white space around it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path))
            .ok()
            .map(|text| text.trim().to_owned())
    }

    /// A file that holds one number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A file that holds three numbers: least, ordinary and most.
    pub(super) fn three(&self, path: &str) -> Option<[u64; 3]> {
        let text = self.text(path)?;
        let numbers: Vec<u64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        numbers.try_into().ok()
    }

    /// The names in a folder, in order; none if there is no such folder.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// `0-3,8,10-11`; what is not a number is left out.
pub(super) fn cpu_list(text: &str) -> Vec<u16> {
    text.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
        })
        .flatten()
        .collect()
}

/// The word in brackets of `always [madvise] never`.
pub(super) fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_choices_parse() {
        assert_eq!(cpu_list("0-2,5,8-9\n"), [0, 1, 2, 5, 8, 9]);
        assert_eq!(cpu_list(""), [0; 0]);
        assert_eq!(chosen("always [madvise] never"), Some("madvise"));
        assert_eq!(chosen("none"), None);
    }

    #[test]
    fn three_numbers_are_three() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::at(folder.path());
        fs::write(folder.path().join("three"), "4096\t131072\t6291456\n").unwrap();
        fs::write(folder.path().join("two"), "4096 131072\n").unwrap();
        assert_eq!(tree.three("three"), Some([4096, 131_072, 6_291_456]));
        assert_eq!(tree.three("two"), None);
        assert_eq!(tree.names("."), ["three", "two"]);
        assert!(tree.exists("two") && !tree.exists("four"));
    }
}
