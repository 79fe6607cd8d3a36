//! The map of the code, `host/ARCHITECTURE.md`, names files and functions that exist.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What stands between backticks in a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_path(text: &str) -> bool {
    text.ends_with(".rs") && text.chars().all(|char| char.is_ascii_lowercase() || "/._".contains(char))
}

/// An identifier, or several joined by `::`.
fn is_name(text: &str) -> bool {
    let is_identifier = |part: &str| {
        part.starts_with(|char: char| char.is_ascii_alphabetic())
            && part.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    text.split("::").all(is_identifier)
}

#[test]
fn the_map_names_files_and_functions_that_exist() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host");
    let map = fs::read_to_string(host.join("ARCHITECTURE.md")).expect("the map");
    let mut files = Vec::new();
    sources(&host, &mut files);
    let text: String = files.iter().map(|file| fs::read_to_string(file).expect("a source")).collect();
    let is_defined = |name: &str| {
        ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules!"]
            .iter()
            .any(|kind| text.contains(&format!("{kind} {name}")))
    };
    let mut missing = Vec::new();
    for (index, line) in map.lines().enumerate() {
        // A file after the first of a row may be in the folder of the one before it.
        let mut folder = PathBuf::new();
        for word in code(line) {
            if is_path(word) {
                let known = [host.join(word), host.join(word.trim_start_matches("host/")), folder.join(word)];
                match known.into_iter().find(|path| path.is_file()) {
                    Some(path) => folder = path.parent().expect("a folder").to_owned(),
                    // One that is named alone is in the crate that the text is about.
                    None if !word.contains('/') && files.iter().any(|file| file.ends_with(word)) => {}
                    None => missing.push(format!("line {}: no file {word}", index + 1)),
                }
            } else if line.starts_with('|') && line.matches('|').count() == 4 && is_name(word) {
                let name = word.rsplit("::").next().expect("a name");
                if !is_defined(name) {
                    missing.push(format!("line {}: nothing is called {word}", index + 1));
                }
            }
        }
    }
    assert!(missing.is_empty(), "host/ARCHITECTURE.md:\n{}", missing.join("\n"));
}
