//! What the file's reader is told, word for word.

use super::{LEAST, mistakes};
use crate::config::{Mistakes, load, parse};
use crate::limits;

/// What stands before a `[[routes]]` of the cases, which then is the only one.
const NO_ROUTE: &str = "\
listeners.public.bind = \"0.0.0.0:8080\"
pools.chat.backends = [\"10.0.0.1:9000\"]
";

#[test]
fn every_case_is_answered_word_for_word() {
    let cases = include_str!("mistakes.txt").split("\n\n").skip(1);
    let mut seen = 0;
    for case in cases {
        let (table, said) = case.trim().split_once("\n> ").unwrap();
        let before = if table.starts_with("[[") {
            NO_ROUTE
        } else {
            LEAST
        };
        let header = before.lines().count() + 2;
        let answer = parse("a.toml", &format!("{before}\n{table}\n")).unwrap_err();
        let answer = answer.iter().map(|mistake| {
            let line = mistake.line.unwrap() - header;
            format!("{line}: {}: {}", mistake.path, mistake.message)
        });
        assert_eq!(
            answer.collect::<Vec<_>>(),
            said.split("\n> ").collect::<Vec<_>>(),
            "{table}"
        );
        seen += 1;
    }
    assert!(seen > 190, "{seen} cases");
}

#[test]
fn a_listener_without_an_address_is_told() {
    assert_eq!(
        mistakes("listeners", "listeners.public = {}"),
        r#"a.toml:1: listeners.public.bind: expected a list of addresses such as ["0.0.0.0:8080"], found nothing"#
    );
    let lost = mistakes("listeners", "listeners = 3");
    assert!(
        lost.starts_with("a.toml:1: listeners: expected a table, found 3\n"),
        "{lost}"
    );
}

#[test]
fn a_name_that_could_not_be_a_label_is_told() {
    let pools =
        "pools.\"my chat\".backends = [\"10.0.0.1:1\"]\npools.chat.backends = [\"10.0.0.1:1\"]";
    assert_eq!(
        mistakes("pools", pools),
        r#"a.toml:1: pools."my chat": expected a name of 1 to 64 letters, digits, dots, dashes or underscores, found "my chat""#
    );
}

#[test]
fn two_routes_are_told_apart_by_target_and_by_name() {
    assert_eq!(
        mistakes(
            "routes",
            "routes = [{ pool = \"chat\" }, { pool = \"chat\", path = \"/\" }]"
        ),
        "a.toml:1: routes[1]: expected a host and path of its own, found / again (first in line 1, routes[0])"
    );
    assert_eq!(
        mistakes(
            "routes",
            "routes = [{ pool = \"chat\" }, { pool = \"chat\", path = \"/a\", name = \"/\" }]"
        ),
        "a.toml:1: routes[1].name: expected a name of its own, found / again (first in line 1, routes[0])"
    );
    let lost = mistakes("routes", "routes = [3]");
    assert!(
        lost.starts_with("a.toml:1: routes[0]: expected a table, found 3\n"),
        "{lost}"
    );
}

#[test]
fn an_origin_that_the_rules_refuse_is_placed() {
    let text =
        "routes = [{ pool = \"chat\", allowed_origins = [\"https://a.com\", \"not an origin\"] }]";
    let said = mistakes("routes", text);
    let (place, found) = said.split_once("expected an origin ").unwrap();
    assert_eq!(place, "a.toml:1: routes[0].allowed_origins[1]: ");
    assert!(found.ends_with(", found \"not an origin\""), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn an_empty_file_lacks_three_things() {
    let said = parse("a.toml", "").unwrap_err().to_string();
    let expected = "\
a.toml:1: listeners: expected at least one listener, found none ([listeners.public] with bind = [\"0.0.0.0:8080\"])
a.toml:1: pools: expected at least one pool, found none ([pools.chat] with backends = [\"10.0.0.11:9000\"])
a.toml:1: routes: expected at least one route, found none ([[routes]] with path = \"/\" and the name of a pool)";
    assert_eq!(said, expected);
}

#[test]
fn all_mistakes_are_reported_together_in_the_order_of_lines() {
    let text = "\
[lisseners.a]
[listeners.public]
bind = 8080
[pools.chat]
backends = [\"10.0.0.1:9000\", { address = \"10.0.0.2:9000\", weight = 0, wieght = 2 }]
[[routes]]
pool = \"chat\"
path = \"chat\"
[[routes]]
pool = \"chat\"
";
    let expected = "\
a.toml:1: lisseners: expected a known setting, found an unknown table (did you mean listeners?)
a.toml:3: listeners.public.bind: expected an IP address and port such as \"0.0.0.0:8080\" or \"[::]:8080\", found 8080
a.toml:5: pools.chat.backends[1].weight: expected 1 to 1000, found 0 (to keep new tunnels away, drain it)
a.toml:5: pools.chat.backends[1].wieght: expected a known setting, found an unknown one (did you mean weight?)
a.toml:8: routes[0].path: expected a path such as \"/\" or \"/chat\", without a final slash or a query, found \"chat\"";
    assert_eq!(parse("a.toml", text).unwrap_err().to_string(), expected);
}

#[test]
fn a_text_that_is_not_toml_is_placed_by_line_and_column() {
    let said = parse(
        "a.toml",
        "[workers\ncores = 1\n[listeners.a]\nbind = 1\nbind = 2\n",
    );
    assert_eq!(
        said.unwrap_err().to_string(),
        "a.toml:1:9: unclosed table, expected `]`\na.toml:5:1: duplicate key"
    );
}

#[test]
fn an_unreadable_file_is_a_mistake_too() {
    let of = |path: &str| load(path.as_ref()).unwrap_err().to_string();
    assert_eq!(
        of("/no/such.toml"),
        "/no/such.toml: expected a readable file, found: No such file or directory (os error 2)"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let shown = file.display();
    std::fs::write(&file, b"name = \"\xff\"").unwrap();
    assert_eq!(
        of(file.to_str().unwrap()),
        format!("{shown}: expected a readable file, found: bytes that are not UTF-8 at 8")
    );
    let long = "#".repeat(usize::try_from(limits::CONFIG_BYTES_MAX).unwrap() + 1);
    std::fs::write(&file, long).unwrap();
    assert_eq!(
        of(file.to_str().unwrap()),
        format!("{shown}: expected a readable file, found: more than 4MiB")
    );
}

#[test]
fn bounds_over_the_whole_file_hold() {
    let counted = |count: usize, entry: fn(usize) -> String| {
        (0..count).map(entry).collect::<Vec<_>>().join(", ")
    };
    let backends = counted(limits::BACKENDS_MAX + 1, |index| {
        format!("\"10.0.{}.{}:9000\"", index / 250, index % 250 + 1)
    });
    assert_eq!(
        mistakes("pools", &format!("pools.chat.backends = [{backends}]")),
        "a.toml:1: pools: expected at most 16384 backends in all pools, found 16385"
    );
    let names = counted(limits::DNS_NAMES_MAX + 1, |index| {
        format!("{{ srv = \"a{index}.internal\" }}")
    });
    assert_eq!(
        mistakes("pools", &format!("pools.chat.discover = [{names}]")),
        "a.toml:1: pools: expected at most 1024 names in all pools, found 1025"
    );
    let routes = counted(limits::ROUTES_MAX + 1, |index| {
        format!("{{ pool = \"chat\", path = \"/{index}\" }}")
    });
    assert_eq!(
        mistakes("routes", &format!("routes = [{routes}]")),
        "a.toml:1: routes: expected at most 4096 routes, found 4097"
    );
    let addresses = counted(65, |index| format!("\"127.0.0.1:{}\"", index + 1));
    assert_eq!(
        mistakes("listeners", &format!("listeners.a.bind = [{addresses}]")),
        "a.toml:1: listeners: expected 1 to 64 of them, found 65"
    );
}

#[test]
fn mistakes_are_never_empty_and_can_be_walked() {
    let mistakes: Mistakes = parse("a.toml", "x = 1").unwrap_err();
    assert_eq!(mistakes.len(), 4);
    assert!(!mistakes.is_empty());
    assert!(mistakes.iter().all(|mistake| mistake.line == Some(1)));
}
