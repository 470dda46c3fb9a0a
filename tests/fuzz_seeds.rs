//! What the fuzzer starts from passes in the ordinary tests too, and no fuzz target lacks its seeds or its body here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

type Body = fn(&[u8]);

/// What each file of `fuzz/fuzz_targets` calls.
const BODIES: &[(&str, Body)] = &[
    ("config", ringway::config::fuzz_config),
    ("first_message", ringway::upstream::fuzz_first_message),
    ("http_head", ringway::http::fuzz_head),
    ("tls_door", ringway::tls::fuzz_door),
    ("tls_open", ringway::tls::fuzz_open),
    ("tls_thaw", ringway::tls::fuzz_thaw),
    ("utf8", ringway::simd::fuzz_text),
    ("ws_inspector", ringway::ws::fuzz_inspector),
    ("ws_scanner", ringway::ws::fuzz_scanner),
];

/// All seeds together: they are read, and copied at every run.
const SEED_BYTES_MAX: usize = 100 * 1024;

#[test]
fn every_seed_passes_its_body() {
    let mut bytes = 0;
    for (target, body) in BODIES {
        for (path, seed) in seeds(target) {
            // The last line that a failed test shows.
            println!("{}", path.display());
            body(&seed);
            bytes += seed.len();
        }
    }
    assert!(bytes <= SEED_BYTES_MAX, "{bytes} bytes of seeds");
}

#[test]
fn every_target_has_a_file_a_body_and_seeds() {
    let bodies: BTreeSet<String> = BODIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let text = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let entries = manifest["bin"].as_array().unwrap();
    let named: BTreeSet<String> = entries
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(named, bodies, "targets of Cargo.toml and bodies here");
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        let path = entry["path"].as_str().unwrap();
        assert_eq!(path, format!("fuzz_targets/{name}.rs"));
    }
    assert_eq!(names("fuzz_targets", ".rs"), bodies, "files and bodies");
    assert_eq!(names("seeds", ""), bodies, "folders of seeds and bodies");
    for (target, _) in BODIES {
        assert!(!seeds(target).is_empty(), "{target} has no seeds");
    }
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = format!("seeds/{target}");
    let names = names(&folder, "").into_iter();
    let paths = names.map(|name| fuzz(&folder).join(name));
    paths
        .map(|path| {
            let seed = fs::read(&path).expect("a seed is a file");
            (path, seed)
        })
        .collect()
}

/// What lies in a folder of `fuzz`, without its ending.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz(folder)).expect("every target has its folder");
    entries
        .map(|entry| {
            let name = entry.expect("a folder can be read to its end").file_name();
            let name = name.into_string().expect("names are UTF-8");
            name.strip_suffix(ending).unwrap_or(&name).to_owned()
        })
        .collect()
}

fn fuzz(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(inside)
}
