//! Puts a plan's workers into a configuration that is there already, and leaves every other line as it is.

use std::fmt::Write as _;

/// The text with these two settings in its `[workers]`; a section is made where there is none. Sections end at the next
/// header, so the result is read once more before it is used: who wrote `workers.cores` or an inline table is told.
pub(super) fn with_workers(text: &str, workers: u64, tunnels_max: u64) -> String {
    let settings = format!("cores = {workers}\ntunnels_max = {tunnels_max}\n");
    let mut all = String::new();
    let (mut inside, mut is_placed) = (false, false);
    for line in text.lines() {
        if is_header(line) {
            inside = header(line) == Some("workers");
            let _ = writeln!(all, "{line}");
            if inside && !is_placed {
                all.push_str(&settings);
                is_placed = true;
            }
        } else if !(inside && is_replaced(line)) {
            let _ = writeln!(all, "{line}");
        }
    }
    if is_placed {
        all
    } else {
        format!("{all}\n[workers]\n{settings}")
    }
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// The name in `[name]`, whatever comment follows.
fn header(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    Some(name.trim())
}

fn is_replaced(line: &str) -> bool {
    let name = line.split_once('=').map(|(name, _)| name.trim());
    matches!(name, Some("cores" | "tunnels_max"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_settings_change_and_all_else_stays() {
        let text = "# mine\n[workers] # here\ncores = 4 # of eight\nsteering = \"cpu\"\n  tunnels_max=7\n\n[control]\ncores = 1\n";
        assert_eq!(
            with_workers(text, 6, 9),
            "# mine\n[workers] # here\ncores = 6\ntunnels_max = 9\nsteering = \"cpu\"\n\n[control]\ncores = 1\n"
        );
        assert_eq!(
            with_workers("[control]\na = 1\n", 6, 9),
            "[control]\na = 1\n\n[workers]\ncores = 6\ntunnels_max = 9\n"
        );
    }

    #[test]
    fn a_list_of_cores_over_several_lines_is_found_out() {
        let text = "[workers]\ncores = [\n 0,\n 2,\n]\n[listeners.a]\nbind = \"127.0.0.1:0\"\n[pools.a]\nbackends = [\"127.0.0.1:9\"]\n[[routes]]\npool = \"a\"\n";
        assert!(crate::config::parse("a", text).is_ok());
        assert!(crate::config::parse("a", &with_workers(text, 6, 9)).is_err());
    }
}
