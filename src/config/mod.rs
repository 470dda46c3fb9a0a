//! The file, read once into values that cannot be wrong. Every mistake is reported together with its place.
//!
//! ```text
//! text → toml → raw (tables and items with their places) → build (kinds, defaults, cross-checks) → model
//! ```

mod build;
mod kind;
mod mistake;
mod model;
mod nearest;
mod raw;
mod ready;
mod secret;
mod units;

pub use mistake::{Mistake, Mistakes};
pub use model::{
    AccessLog, BackendSettings, Config, ControlSettings, Cores, DrainSettings, LimitSettings,
    Listener, NameKind, NameSettings, OriginSettings, PoolSettings, ReceiveBuffers, RouteSettings,
    Steering, WorkerSettings,
};
pub use secret::Token;

use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

use crate::limits::CONFIG_BYTES_MAX;
use mistake::Lines;
use raw::Report;

/// Reads a file. An unreadable one is a mistake like any other.
pub fn load(path: &Path) -> Result<Config, Mistakes> {
    let name = path.display().to_string();
    match read(path) {
        Ok(text) => parse_in(path.parent(), &name, &text),
        Err(found) => Err(Mistakes::of_file(&name, "a readable file", &found)),
    }
}

/// Reads a text; `name` is what the mistakes call it. Files that it names are looked for in the working folder.
pub fn parse(name: &str, text: &str) -> Result<Config, Mistakes> {
    parse_in(Some(Path::new("")), name, text)
}

/// The same, with files that it names looked for in this folder.
pub fn parse_beside(folder: &Path, name: &str, text: &str) -> Result<Config, Mistakes> {
    parse_in(Some(folder), name, text)
}

/// Files that the text names are looked for in this folder; without one they are not read.
fn parse_in(folder: Option<&Path>, name: &str, text: &str) -> Result<Config, Mistakes> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::of(text);
    if !errors.is_empty() {
        // What a broken text was meant to say is a guess, so nothing is said about its meaning.
        return Err(Mistakes::of_syntax(name, &lines, &errors));
    }
    let report = Report::new(&lines, folder);
    let config = build::build(root.get_ref(), &report);
    report.verdict(name, config)
}

/// Any bytes either make a configuration or mistakes in it; for the fuzzer.
#[doc(hidden)]
pub fn fuzz_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(mistakes) = parse_in(None, "fuzz.toml", text) {
        let lines = text.lines().count() + 1;
        assert!(!mistakes.is_empty(), "refused without a reason");
        assert!(
            mistakes
                .iter()
                .all(|mistake| mistake.line.is_none_or(|line| line <= lines))
        );
        assert_eq!(mistakes.to_string().lines().count(), mistakes.len());
    }
}

fn read(path: &Path) -> Result<String, String> {
    let in_words = |error: std::io::Error| error.to_string();
    let file = std::fs::File::open(path).map_err(in_words)?;
    let mut bytes = Vec::new();
    let room = file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes);
    if room.map_err(in_words)? as u64 > CONFIG_BYTES_MAX {
        return Err(format!("more than {}", units::Size(CONFIG_BYTES_MAX)));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "bytes that are not UTF-8 at {}",
            error.utf8_error().valid_up_to()
        )
    })
}

#[cfg(test)]
mod tests;
