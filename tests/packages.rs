//! What the packages say they are made of, and that what they install fits together.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[test]
fn the_configuration_of_the_packages_is_right() {
    if let Err(mistakes) = ringway::config::load(&root().join("packaging/ringway.toml")) {
        panic!("{mistakes}");
    }
}

/// Every crate whose source the debugger's tables of our own binary name is in the list, with licence and checksum. The
/// tables come from the compiler, the list from Cargo's graph.
#[test]
fn the_list_of_parts_names_every_crate_that_the_binary_was_compiled_from() {
    let parts = parts();
    let compiled = crates_named_in(env!("CARGO_BIN_EXE_ringway"));
    assert!(compiled.len() > 60, "{compiled:?}");
    let missing: Vec<_> = compiled
        .iter()
        .filter(|one| !parts.contains_key(*one))
        .collect();
    assert!(missing.is_empty(), "packaging/sbom leaves out {missing:?}");
    for (name, part) in &parts {
        let licence = part["licenses"][0]["expression"].as_str();
        assert!(
            licence.is_some_and(|licence| !licence.is_empty()),
            "{name} has no licence"
        );
        let checksum = part["hashes"][0]["content"].as_str();
        assert_eq!(checksum.map(str::len), Some(64), "{name} has no checksum");
    }
}

#[test]
fn the_list_of_parts_is_that_of_the_lock_file_without_what_only_tests_use() {
    let parts = parts();
    let lock: toml::Table = std::fs::read_to_string(root().join("Cargo.lock"))
        .unwrap()
        .parse()
        .unwrap();
    let locked: BTreeMap<String, &str> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| {
            let name = format!("{}-{}", one["name"].as_str()?, one["version"].as_str()?);
            Some((name, one.get("checksum")?.as_str()?))
        })
        .collect();
    for (name, part) in &parts {
        let checksum = part["hashes"][0]["content"].as_str().unwrap();
        assert_eq!(locked.get(name), Some(&checksum), "{name}");
    }
    let names: BTreeSet<&str> = parts
        .values()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    for direct in manifest["dependencies"].as_table().unwrap().keys() {
        assert!(names.contains(direct.as_str()), "{direct} is missing");
    }
    for test_only in ["criterion", "proptest", "rcgen", "tokio-tungstenite"] {
        assert!(!names.contains(test_only), "{test_only} is in no package");
    }
}

/// The folder of a crate's source is called `NAME-VERSION`. `grep` is through a binary of 90 MB in no time.
fn crates_named_in(binary: &str) -> BTreeSet<String> {
    let found = Command::new("grep")
        .args([
            "-aoE",
            "/registry/src/[^/[:cntrl:]]+/[^/[:cntrl:]]+",
            binary,
        ])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let paths = String::from_utf8(found.stdout).unwrap();
    let names = paths.lines().filter_map(|path| path.rsplit('/').next());
    names.map(str::to_owned).collect()
}

/// By name and version.
fn parts() -> BTreeMap<String, Value> {
    let made = Command::new(root().join("packaging/sbom"))
        .output()
        .expect("python3 runs packaging/sbom");
    let words = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{words}");
    let list: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(list["bomFormat"], "CycloneDX");
    assert_eq!(list["metadata"]["component"]["name"], "ringway");
    let components = list["components"].as_array().unwrap();
    components
        .iter()
        .map(|one| {
            let (name, version) = (one["name"].as_str(), one["version"].as_str());
            (
                format!("{}-{}", name.unwrap(), version.unwrap()),
                one.clone(),
            )
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
