//! The promises of the configuration file.

mod examples;
mod mistakes;
mod pools;
mod print;
mod ready;
mod routes;
mod secrets;
mod tls;

use super::{Config, parse};

/// The shortest file without a mistake; tests put their own lines in front of it or behind it.
const LEAST: &str = "\
listeners.public.bind = \"0.0.0.0:8080\"
pools.chat.backends = [\"10.0.0.1:9000\"]
routes = [{ pool = \"chat\" }]
";

fn least() -> Config {
    parse("least.toml", LEAST).unwrap()
}

/// The mistakes of the shortest file with `text` in place of its line that starts with `replaced`.
fn mistakes(replaced: &str, text: &str) -> String {
    let line = |line: &&str| line.starts_with(replaced);
    let kept: Vec<_> = LEAST.lines().filter(|kept| !line(kept)).collect();
    assert_eq!(kept.len(), 2, "a line is replaced");
    // The text comes first, so that it starts in line 1; it may end in a table of its own.
    let (head, tables) = text.split_at(text.find("\n[").map_or(text.len(), |at| at + 1));
    let text = format!("{head}\n{}\n{tables}", kept.join("\n"));
    match parse("a.toml", &text) {
        Ok(_) => String::new(),
        Err(mistakes) => mistakes.to_string(),
    }
}
