//! The house rules that the compiler does not check: the line of rooms, file length, where unsafe code,
//! atomics and tokio may live, banned calls, leftovers, and (in `metrics`) that every metric is documented.

use std::fs;
use std::path::{Path, PathBuf};

use rust::{code_only, paths, tokens, without_tests};

#[path = "architecture/metrics.rs"]
mod metrics;
#[path = "architecture/rust.rs"]
mod rust;

/// A room imports only from rooms to its left; the bars only group them for the eye.
const LINE: &str = "limits sync clock rng | sys ring simd | metrics | http ws tls | \
    fleet balance health access_log | upstream relay worker | config control admin | cli";

const FILE_LINES_MAX: usize = 500;

/// Folders whose Rust files must keep to length and first line. Only `src` has rooms.
const FOLDERS: &[&str] = &["src", "tests", "benches", "examples", "fuzz/fuzz_targets"];

/// What may not be named outside of some rooms; tests may name it.
const BANNED: &[Ban] = &[
    ban(
        "std::sync::atomic",
        &["sync"],
        "take atomics from `crate::sync`, for loom to walk them",
    ),
    ban(
        "core::sync::atomic",
        &["sync"],
        "take atomics from `crate::sync`, for loom to walk them",
    ),
    ban(
        "std::sync::Arc",
        &["sync"],
        "take `Arc` from `crate::sync`, for loom to walk it",
    ),
    ban(
        "sync::Mutex",
        &[],
        "share an atomic or hand over a whole snapshot: nothing here waits",
    ),
    ban(
        "sync::RwLock",
        &[],
        "share an atomic or hand over a whole snapshot: nothing here waits",
    ),
    ban(
        "tokio",
        &["control", "admin"],
        "hand the work to the control thread",
    ),
    ban("axum", &["admin"], "HTTP for people is served by `admin`"),
    ban(
        "glommio::net",
        &[],
        "every proxied socket lives in our own ring: see `ring`",
    ),
    ban("Instant::now", &["clock"], "take `now: Now` as an argument"),
    ban(
        "SystemTime::now",
        &["clock"],
        "take the time as an argument",
    ),
    ban("thread::sleep", &[], "wait for an event or a deadline"),
    ban(
        "mem::forget",
        &[],
        "give the value an owner, or take its descriptor with `into_raw_fd`",
    ),
];

/// A name that only some rooms may use, and what the others do instead. A path matches if it contains the
/// name's segments in a row; the name of a crate matches only at the start of a path.
struct Ban {
    name: &'static str,
    rooms: &'static [&'static str],
    instead: &'static str,
}

const fn ban(name: &'static str, rooms: &'static [&'static str], instead: &'static str) -> Ban {
    Ban {
        name,
        rooms,
        instead,
    }
}

impl Ban {
    fn matches(&self, path: &str) -> bool {
        let (name, path) = (format!("::{}::", self.name), format!("::{path}::"));
        if self.name.contains("::") {
            path.contains(&name)
        } else {
            path.starts_with(&name)
        }
    }
}

const UNSAFE_ROOMS: &[&str] = &["sys", "ring", "simd"];

// --- The promises ---

#[test]
fn a_room_imports_only_from_rooms_to_its_left() {
    report(&room_sources(), imports);
}

#[test]
fn banned_names_stay_where_they_belong() {
    report(&room_sources(), banned);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    report(&room_sources(), unsafe_code);
}

#[test]
fn files_are_short_and_say_what_they_hold() {
    report(&all_sources(), shape);
}

#[test]
fn nothing_is_left_half_done() {
    report(&all_sources(), leftovers);
}

// --- The scans: one source in, complaints out ---

/// One Rust file. `path` is relative to the package, with forward slashes.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The room a file belongs to; `lib.rs` and `main.rs` hold the rooms together and belong to none.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?;
        let room = room.strip_suffix(".rs").unwrap_or(room);
        (!["lib", "main"].contains(&room)).then_some(room)
    }

    fn is_test_file(&self) -> bool {
        !self.path.starts_with("src/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// How many `super`s lead from this file to the root of the crate.
    fn depth(&self) -> usize {
        let folders = self.path.matches('/').count();
        if self.path.ends_with("/mod.rs") {
            folders - 1
        } else {
            folders
        }
    }

    /// The code that ships, without comments, strings and test items.
    fn product(&self) -> String {
        if self.is_test_file() {
            String::new()
        } else {
            without_tests(&code_only(&self.text))
        }
    }
}

fn imports(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else {
        return Vec::new();
    };
    let Some(own) = place(room) else {
        return vec![format!(
            "{}: `{room}` has no place in the line of rooms",
            source.path
        )];
    };
    // A test that needs a room to the right belongs in tests/, so the line holds for tests too.
    let mut found = Vec::new();
    for (line, path) in paths(&code_only(&source.text)) {
        let Some(other) = room_named(&path, source.depth()) else {
            continue;
        };
        if place(other).is_some_and(|other| other > own) {
            let place = format!("{}:{line}", source.path);
            found.push(format!(
                "{place}: `{room}` imports `{other}`, which stands to its right"
            ));
        }
    }
    found
}

fn banned(source: &Source) -> Vec<String> {
    let room = source.room().unwrap_or("");
    let mut found = Vec::new();
    for (line, path) in paths(&source.product()) {
        let broken = |ban: &&Ban| ban.matches(&path) && !ban.rooms.contains(&room);
        if let Some(ban) = BANNED.iter().find(broken) {
            let place = format!("{}:{line}", source.path);
            found.push(format!(
                "{place}: `{path}` is not for this room: {}",
                ban.instead
            ));
        }
    }
    found
}

fn unsafe_code(source: &Source) -> Vec<String> {
    if source
        .room()
        .is_some_and(|room| UNSAFE_ROOMS.contains(&room))
    {
        return Vec::new();
    }
    tokens(&code_only(&source.text))
        .into_iter()
        .filter(|(_, token)| *token == "unsafe")
        .map(|(line, _)| {
            format!(
                "{}:{line}: unsafe code lives in {UNSAFE_ROOMS:?}",
                source.path
            )
        })
        .collect()
}

fn shape(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(format!(
            "{}: {lines} lines, {FILE_LINES_MAX} allowed: give its second idea a file and a name",
            source.path
        ));
    }
    if !source.text.starts_with("//! ") {
        found.push(format!(
            "{}:1: open the file with `//!` and the sentence you would say to a new colleague",
            source.path
        ));
    }
    found
}

fn leftovers(source: &Source) -> Vec<String> {
    // Spelled in halves, so that this file may be scanned as well.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let macros = [concat!("to", "do!"), concat!("unimple", "mented!")];
    let mut found = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let marked = line
            .split(|letter| !is_word(letter))
            .any(|word| words.contains(&word));
        if marked || macros.iter().any(|unfinished| line.contains(unfinished)) {
            found.push(format!(
                "{}:{number}: finish it, or move the question to the tracker: {}",
                source.path,
                line.trim()
            ));
        }
    }
    found
}

fn place(room: &str) -> Option<usize> {
    LINE.split([' ', '|'])
        .filter(|name| !name.is_empty())
        .position(|name| name == room)
}

/// The room that a path leads into from a file at this depth, whether it starts at `crate` or climbs to it.
fn room_named(path: &str, depth: usize) -> Option<&str> {
    let mut segments = path.split("::").peekable();
    match *segments.peek()? {
        "crate" => segments.nth(1),
        "super" => {
            let mut climbed = 0;
            while segments.next_if_eq(&"super").is_some() {
                climbed += 1;
            }
            (climbed >= depth).then(|| segments.next()).flatten()
        }
        _ => None,
    }
}

// --- Reading files ---

fn report(sources: &[Source], scan: fn(&Source) -> Vec<String>) {
    let complaints: Vec<String> = sources.iter().flat_map(scan).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn room_sources() -> Vec<Source> {
    let mut sources = all_sources();
    sources.retain(|source| source.path.starts_with("src/"));
    assert!(sources.len() > 20, "the scan looks in the wrong folder");
    sources
}

fn all_sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        gather(&root().join(folder), &mut sources);
    }
    sources
}

fn gather(folder: &Path, sources: &mut Vec<Source>) {
    // A folder that is not there yet holds no files.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder of the package can be listed").path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let inside = path
                .strip_prefix(root())
                .expect("the walk started at the root");
            sources.push(Source {
                path: inside.display().to_string(),
                text,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_import_from_the_right_is_named_with_its_place() {
        for (path, text) in [
            ("src/http/head.rs", "//! A.\nuse crate::worker::Worker;"),
            (
                "src/http/head.rs",
                "//! A.\nuse crate::{clock::Now, worker::Worker};",
            ),
            (
                "src/http/head.rs",
                "//! A.\nfn a(b: &super::super::worker::Worker) {}",
            ),
            ("src/http/mod.rs", "//! A.\nuse super::worker;"),
            (
                "src/http/head.rs",
                "//! A.\n#[cfg(test)] mod tests { use crate::worker::Worker; }",
            ),
        ] {
            let at = format!("{path}:2: `http` imports `worker`, which stands to its right");
            assert_eq!(imports(&source(path, text)), [at], "{text}");
        }
    }

    #[test]
    fn the_order_counts_within_a_group_too() {
        assert_eq!(
            imports(&source("src/sys/cpu.rs", "use crate::ring::Ring;")).len(),
            1
        );
        assert_eq!(
            imports(&source("src/config/build.rs", "use crate::admin::serve;")).len(),
            1
        );
        assert_eq!(
            imports(&source("src/limits.rs", "use crate::clock::Now;")).len(),
            1
        );
    }

    #[test]
    fn imports_from_the_left_from_the_own_room_and_in_words_are_fine() {
        let text = "//! Unlike `crate::worker`.\nuse super::body;\nuse crate::{clock, http::Head};\nlet a = \"crate::cli\";";
        assert!(imports(&source("src/http/head.rs", text)).is_empty());
        assert!(imports(&source("src/lib.rs", "use crate::cli::run;")).is_empty());
    }

    #[test]
    fn a_room_outside_the_line_is_named() {
        let found = imports(&source("src/attic/mod.rs", ""));
        assert_eq!(
            found,
            ["src/attic/mod.rs: `attic` has no place in the line of rooms"]
        );
    }

    #[test]
    fn banned_names_are_found_in_every_spelling_but_in_their_rooms_and_tests() {
        for text in [
            "use std::sync::atomic::AtomicU64;",
            "use std::{io, sync::{Arc, OnceLock}};",
            "use std::sync::atomic;",
            "fn a() -> tokio::net::TcpStream {}",
            "let now = std::time::Instant::now();",
            "let lock = std::sync::Mutex::new(());",
        ] {
            assert_eq!(
                banned(&source("src/relay/tunnel.rs", text)).len(),
                1,
                "{text}"
            );
            let test = format!("#[cfg(test)]\nmod tests {{ {text} }}");
            assert!(
                banned(&source("src/relay/tunnel.rs", &test)).is_empty(),
                "{test}"
            );
        }
        assert!(banned(&source("src/control/run.rs", "use tokio::net::TcpStream;")).is_empty());
        assert!(banned(&source("src/sync.rs", "pub use std::sync::Arc;")).is_empty());
        assert!(banned(&source("src/relay/tunnel.rs", "use crate::sync::Arc;")).is_empty());
    }

    #[test]
    fn unsafe_code_is_found_outside_its_rooms_only() {
        let text = "//! A.\n// unsafe\n#![expect(unsafe_code)]\nlet a = unsafe { b() };";
        assert_eq!(unsafe_code(&source("src/ws/scan.rs", text)).len(), 1);
        assert!(unsafe_code(&source("src/sys/cpu.rs", text)).is_empty());
    }

    #[test]
    fn long_files_and_files_without_a_sentence_are_named() {
        let lines = |count| format!("//! A.\n{}", "\n".repeat(count - 1));
        assert!(shape(&source("src/ws/scan.rs", &lines(FILE_LINES_MAX))).is_empty());
        assert_eq!(
            shape(&source("src/ws/scan.rs", &lines(FILE_LINES_MAX + 1))).len(),
            1
        );
        assert_eq!(shape(&source("src/ws/scan.rs", "use std::io;")).len(), 1);
    }

    #[test]
    fn what_is_left_half_done_is_found_as_a_word() {
        for text in [
            concat!("// TO", "DO: later"),
            concat!("// FIX", "ME"),
            concat!("    to", "do!()"),
        ] {
            assert_eq!(
                leftovers(&source("src/ws/scan.rs", text)).len(),
                1,
                "{text}"
            );
        }
        assert!(leftovers(&source("src/ws/scan.rs", "let mastodon = 1; // XXXL")).is_empty());
    }
}
