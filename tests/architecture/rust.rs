//! Reads Rust as far as the architecture's scans need it: code without comments, tokens, and paths.

/// Blanks comments, strings and characters, and keeps every line where it was.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = blank_length(rest, code.chars().next_back());
        if length == 0 {
            code.push(letter);
            rest = &rest[letter.len_utf8()..];
        } else {
            let (blank, after) = rest.split_at(length);
            code.push(' ');
            code.extend(blank.chars().filter(|letter| *letter == '\n'));
            rest = after;
        }
    }
    code
}

/// How many bytes at the start of `rest` are a comment or a literal; 0 if it is code.
fn blank_length(rest: &str, before: Option<char>) -> usize {
    let to = |end: &str, from: usize| {
        rest[from..]
            .find(end)
            .map_or(rest.len(), |place| from + place + end.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return to("*/", 2);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    let in_word = before.is_some_and(is_word);
    if rest.starts_with('r') && (!in_word || before == Some('b')) {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            return to(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
        }
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote behind its first letter.
        let escaped = inside.starts_with('\\');
        let closed = inside.chars().nth(1) == Some('\'');
        if escaped || closed {
            return quoted_length(rest, '\'');
        }
    }
    0
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return place + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Blanks every item under `#[cfg(test)]`, up to the `;` or the brace that ends it.
pub(super) fn without_tests(code: &str) -> String {
    let mut product = String::new();
    let mut rest = code;
    while let Some(start) = ["#[cfg(test)]", "#[cfg(all(test"]
        .iter()
        .filter_map(|mark| rest.find(mark))
        .min()
    {
        let (before, item) = rest.split_at(start);
        product.push_str(before);
        let mut depth = 0;
        let end = item.char_indices().find(|(_, letter)| {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && matches!(letter, '}' | ';')
        });
        let (blank, after) = item.split_at(end.map_or(item.len(), |(place, _)| place + 1));
        product.extend(blank.chars().filter(|letter| *letter == '\n'));
        rest = after;
    }
    product + rest
}

/// Words, `::` and single signs, each with its line.
pub(super) fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line.trim_start();
        while let Some(letter) = rest.chars().next() {
            let length = if is_word(letter) {
                rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                letter.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            tokens.push((number, token));
            rest = after.trim_start();
        }
    }
    tokens
}

/// Every path in the code, with groups such as `a::{b, c::d}` written out.
pub(super) fn paths(code: &str) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = walk(&tokens, at, "", &mut found);
    }
    found
}

/// Reads one path from `at`, and says where it ends.
fn walk(
    tokens: &[(usize, &str)],
    mut at: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let sign = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
    let line = tokens[at].0;
    let start = at;
    let mut path = prefix.to_owned();
    while sign(at).starts_with(|letter: char| letter.is_alphabetic() || letter == '_') {
        if !path.is_empty() {
            path.push_str("::");
        }
        path.push_str(sign(at));
        at += 1;
        if sign(at) != "::" {
            break;
        }
        at += 1;
        if sign(at) == "{" {
            at += 1;
            while at < tokens.len() && sign(at) != "}" {
                at = walk(tokens, at, &path, found);
            }
            return at + 1;
        }
    }
    if at == start {
        return at + 1;
    }
    found.push((line, path));
    at
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        paths(&code_only(code))
            .into_iter()
            .map(|(_, path)| path)
            .collect()
    }

    #[test]
    fn comments_strings_and_characters_are_blank_and_lines_stay() {
        let text = concat!(
            "a(); // unsafe\n",
            "/* unsafe\n unsafe */ b();\n",
            "c(\"unsafe \\\" unsafe\", r#\"unsafe \" unsafe\"#, b'{', '\\'');\n",
            "fn d<'a>(e: &'a str) {}\n",
        );
        let code = code_only(text);
        assert!(!code.contains("unsafe"), "{code}");
        assert_eq!(code.lines().count(), text.lines().count());
        for kept in ["a();", "b();", "c(", "fn d<'a>(e: &'a str) {}"] {
            assert!(code.contains(kept), "{kept}: {code}");
        }
    }

    #[test]
    fn groups_of_a_use_are_written_out() {
        assert_eq!(
            found("use crate::{http::{self, Head}, ws::Rule as R, clock::*};"),
            [
                "use",
                "crate::http::self",
                "crate::http::Head",
                "crate::ws::Rule",
                "crate::as",
                "crate::R",
                "crate::clock",
            ]
        );
    }

    #[test]
    pub(super) fn paths_in_expressions_and_types_are_found_with_their_line() {
        let code = "let a = 1;\nlet b: Vec<crate::ws::Rule> = crate :: worker\n  ::start::<u8>();";
        let all = paths(code);
        assert!(all.contains(&(2, "crate::ws::Rule".to_owned())), "{all:?}");
        assert!(
            all.contains(&(2, "crate::worker::start".to_owned())),
            "{all:?}"
        );
    }

    #[test]
    fn test_items_are_blank_and_what_follows_them_is_not() {
        let code = "use a::b;\n#[cfg(test)]\nuse c::d;\n#[cfg(all(test, not(loom)))]\nmod tests {\n fn e() { {} }\n}\nfn f() {}\n";
        let product = without_tests(code);
        assert!(
            product.contains("use a::b;") && product.contains("fn f() {}"),
            "{product}"
        );
        assert!(
            !product.contains("c::d") && !product.contains("fn e"),
            "{product}"
        );
        assert_eq!(product.lines().count(), code.lines().count());
    }
}
