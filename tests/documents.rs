//! What the documents promise: every setting is described as the program reads it, and every configuration shown is right.

use std::path::PathBuf;

use ringway::config::{load, parse};

const EXAMPLE: &str = include_str!("../examples/ringway.toml");
const SETTINGS: &str = include_str!("../docs/configuration.md");

/// One setting of the complete example: its section as the reference calls it, its name, its line, its value.
#[derive(Debug)]
struct Shown {
    section: String,
    name: String,
    line: usize,
    value: String,
    /// The example with the comment taken off it, if it stands in one.
    text: String,
}

/// One row of the reference.
#[derive(Debug)]
struct Row {
    section: String,
    name: String,
    default: String,
    takes: String,
}

impl Row {
    /// A heading may name several sections that have the same settings.
    fn describes(&self, shown: &Shown) -> bool {
        let mut sections = self.section.split("` and `");
        sections.any(|section| section == shown.section) && self.name == shown.name
    }
}

#[test]
fn every_setting_is_described_with_its_default_and_what_it_takes() {
    let rows = described();
    let mut wrong = Vec::new();
    for shown in shown() {
        let Shown { section, name, .. } = &shown;
        let Some(row) = rows.iter().find(|row| row.describes(&shown)) else {
            wrong.push(format!("{section} {name} is not described"));
            continue;
        };
        let takes = expected(&shown);
        if row.takes != takes {
            wrong.push(format!(
                "{section} {name}: takes {takes}\n    described as {}",
                row.takes
            ));
        }
        // What has to be given has no default, and what belongs to the reader stands there with an example.
        let owned = [
            "required",
            "one of two",
            "none",
            "any",
            "its target",
            "every origin",
        ];
        if !owned.contains(&row.default.as_str()) && row.default != shown.value {
            let (default, value) = (&row.default, &shown.value);
            wrong.push(format!(
                "{section} {name}: default {value}\n    described as {default}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/configuration.md:\n{}\n",
        wrong.join("\n")
    );
}

#[test]
fn nothing_is_described_that_is_not_a_setting() {
    let shown = shown();
    for row in described() {
        assert!(
            shown.iter().any(|shown| row.describes(shown)),
            "docs/configuration.md describes {} {}, which examples/ringway.toml does not have",
            row.section,
            row.name
        );
    }
}

#[test]
fn every_configuration_in_the_documents_is_right() {
    let mut seen = 0;
    for name in [
        "README.md",
        "docs/balancing.md",
        "docs/configuration.md",
        "docs/life-of-a-tunnel.md",
        "docs/tls.md",
    ] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let (block, _) = block.split_once("```").expect("a block has an end");
            if let Err(mistakes) = parse(name, block) {
                panic!("{mistakes}");
            }
            seen += 1;
        }
    }
    assert!(
        seen >= 3,
        "README.md, docs/balancing.md and docs/configuration.md each show one"
    );
    assert!(load(&root().join("examples/minimal.toml")).is_ok());
}

#[test]
fn every_link_into_the_tree_leads_somewhere() {
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/balancing.md",
        "docs/capacity.md",
        "docs/configuration.md",
        "docs/control.md",
        "docs/install.md",
        "docs/lexicon.md",
        "docs/life-of-a-tunnel.md",
        "docs/metrics.md",
        "docs/tls.md",
        "tuning/README.md",
    ];
    for name in documents {
        let file = root().join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        for rest in text.split("](").skip(1) {
            let (target, _) = rest.split_once(')').expect("a link has an end");
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                let there = file.parent().unwrap().join(path).exists();
                assert!(there, "{name} links to {target}, which is not there");
            }
        }
    }
}

/// The settings of the complete example, each where it comes first. The header of a section is none. One that is off
/// until it is there begins with `#` and no space.
fn shown() -> Vec<Shown> {
    let mut section = String::new();
    let mut all: Vec<Shown> = Vec::new();
    for (line, text) in EXAMPLE.lines().enumerate() {
        let bare = uncommented(text).unwrap_or(text);
        if bare.starts_with('[') {
            section = anonymous(bare);
            continue;
        }
        let Some((name, value)) = bare.split_once(" = ") else {
            continue;
        };
        let known = |one: &Shown| one.section == section && one.name == name;
        if bare.starts_with(['#', ' ']) || all.iter().any(known) {
            continue;
        }
        all.push(Shown {
            section: section.clone(),
            name: name.to_owned(),
            line,
            value: value.to_owned(),
            text: with_block(line),
        });
    }
    assert!(all.len() > 110, "the example shows every setting");
    all
}

/// A header as the reference writes it: `[pools.NAME.probe]`. A route is not named in its header.
fn anonymous(header: &str) -> String {
    let path: Vec<_> = header.trim_matches(['[', ']']).split('.').collect();
    match path[..] {
        ["routes", _] => header.to_owned(),
        [kind, _] => format!("[{kind}.NAME]"),
        [kind, _, below] => format!("[{kind}.NAME.{below}]"),
        _ => header.to_owned(),
    }
}

/// The setting or the header that this line keeps in a comment.
fn uncommented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('#')?;
    (!rest.is_empty() && !rest.starts_with([' ', '#'])).then_some(rest)
}

/// The example with the comments taken off the block of this line, which an empty one ends on either side.
fn with_block(line: usize) -> String {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    let first = lines[..line].iter().rposition(|text| text.is_empty());
    let last = lines[line..].iter().position(|text| text.is_empty());
    let first = first.unwrap_or(0);
    let last = last.map_or(lines.len(), |after| line + after);
    let text = lines.iter().enumerate().map(|(at, text)| {
        let inside = (first..last).contains(&at);
        uncommented(text).filter(|_| inside).unwrap_or(text)
    });
    text.collect::<Vec<_>>().join("\n")
}

/// The rows of the reference: a heading names the section, a table has a row for each setting.
fn described() -> Vec<Row> {
    let mut section = String::new();
    let mut rows = Vec::new();
    for text in SETTINGS.lines() {
        if let Some(heading) = text.strip_prefix("## ") {
            heading.trim_matches('`').clone_into(&mut section);
        } else if text.starts_with("| `") {
            let cells: Vec<_> = text
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect();
            rows.push(Row {
                section: section.clone(),
                name: cells[1].clone(),
                default: cells[2].clone(),
                takes: cells[3].clone(),
            });
        }
    }
    rows
}

/// What the program says that a setting takes, when it is given a date, which none does.
fn expected(shown: &Shown) -> String {
    let lines: Vec<_> = shown
        .text
        .lines()
        .enumerate()
        .map(|(line, text)| {
            if line == shown.line {
                format!("{} = 1979-05-27", shown.name)
            } else {
                text.to_owned()
            }
        })
        .collect();
    let mistakes = parse("ringway.toml", &lines.join("\n")).expect_err("a date is never right");
    let mistake = mistakes
        .iter()
        .find(|mistake| mistake.path.ends_with(&format!(".{}", shown.name)))
        .unwrap_or_else(|| panic!("no mistake for {shown:?} in\n{mistakes}"));
    let (_, rest) = mistake
        .message
        .split_once("expected ")
        .expect("it says what it expected");
    let (expected, _) = rest.split_once(", found").expect("and what it found");
    expected.to_owned()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
