//! `ringway check`: is this file right, and if not, everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Config};
use crate::control;

/// Prints one line about a file that is right to standard output, or each of its mistakes to standard error. A file that
/// names certificates and the like is right only if they can be loaded. The exit code is 0 or 1.
#[expect(
    clippy::print_stdout,
    reason = "the summary is what the command is asked for"
)]
#[expect(
    clippy::print_stderr,
    reason = "the mistakes are what the command is asked for"
)]
pub fn check(path: &Path) -> anyhow::Result<ExitCode> {
    match config::load(path) {
        Ok(config) => {
            let mistakes = control::check_tls(&config);
            if !mistakes.is_empty() {
                for mistake in mistakes {
                    eprintln!("{}: {mistake}", path.display());
                }
                return Ok(ExitCode::FAILURE);
            }
            println!("{}: ok, {}", path.display(), summary(&config));
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            eprintln!("{mistakes}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn summary(config: &Config) -> String {
    let backends = config.pools.iter().map(|pool| pool.backends.len()).sum();
    let names: usize = config.pools.iter().map(|pool| pool.names.len()).sum();
    let mut parts = vec![
        counted(config.listeners.len(), "listener"),
        counted(config.pools.len(), "pool"),
        counted(backends, "backend"),
        counted(config.routes.len(), "route"),
    ];
    if names > 0 {
        parts.insert(3, counted(names, "name"));
    }
    parts.join(", ")
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::papers::Papers;

    fn example(name: &str) -> String {
        format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn the_summary_counts_what_was_read() {
        let config = config::load(example("many-pools.toml").as_ref()).unwrap();
        assert_eq!(
            summary(&config),
            "2 listeners, 3 pools, 7 backends, 3 routes"
        );
        let config = config::load(example("minimal.toml").as_ref()).unwrap();
        assert_eq!(summary(&config), "1 listener, 1 pool, 2 backends, 1 route");
        let config = config::load(example("ringway.toml").as_ref()).unwrap();
        assert_eq!(
            summary(&config),
            "1 listener, 2 pools, 4 backends, 2 names, 2 routes"
        );
    }

    #[test]
    fn a_right_file_succeeds_and_a_missing_one_fails() {
        let code = |name| format!("{:?}", check(example(name).as_ref()).unwrap());
        assert_eq!(code("minimal.toml"), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(
            code("no-such-file.toml"),
            format!("{:?}", ExitCode::FAILURE)
        );
    }

    #[test]
    fn a_file_is_right_only_if_its_certificates_can_be_loaded() {
        let papers = Papers::new();
        let files = papers.certificate("chat", &["chat.example"]);
        let text = format!(
            "[listeners.public]\nbind = \"127.0.0.1:0\"\n[listeners.public.tls]\n\
             certificates = [{{ chain = \"{}\", key = \"{}\" }}]\n\
             [pools.chat]\nbackends = [\"127.0.0.1:9\"]\n[[routes]]\npool = \"chat\"\n",
            files.chain.display(),
            files.key.display()
        );
        let file = papers.file("ringway.toml", &text);
        let code = || format!("{:?}", check(&file).unwrap());
        assert_eq!(code(), format!("{:?}", ExitCode::SUCCESS));
        papers.file("chat.key", "");
        assert_eq!(code(), format!("{:?}", ExitCode::FAILURE));
    }
}
