//! The map of the code, `host/ARCHITECTURE.md`, and the recipes of `CONTRIBUTING.md` name files and items that exist.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of the names of files that the pages name.
const FILE_ENDINGS: [&str; 7] = [".rs", ".wit", ".sql", ".css", ".js", ".md", ".toml"];
/// Folders that contain what other programs create.
const GENERATED_FOLDERS: [&str; 3] = ["target", "node_modules", "venv"];
/// Keywords that precede the name of an item where it is defined.
const DEFINING_KEYWORDS: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules"];

/// Collects all files below a folder.
fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            files.push(path);
        } else if !GENERATED_FOLDERS.iter().any(|name| path.ends_with(name)) {
            files_below(&path, files);
        }
    }
}

/// The identifiers of Rust sources, without those of comments.
#[derive(Default)]
struct Names {
    used: HashSet<String>,
    defined: HashSet<String>,
}

impl Names {
    fn add(&mut self, source: &str) {
        for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let mut previous = "";
            let is_separator = |char: char| !char.is_ascii_alphanumeric() && char != '_';
            for word in line.split(is_separator).filter(|word| !word.is_empty()) {
                if DEFINING_KEYWORDS.contains(&previous) {
                    self.defined.insert(word.to_owned());
                }
                self.used.insert(word.to_owned());
                previous = word;
            }
        }
    }
}

/// The files below some folders, and the names in the Rust sources among them.
struct Tree {
    files: Vec<PathBuf>,
    names: Names,
}

impl Tree {
    fn of(folders: &[PathBuf]) -> Self {
        let (mut files, mut names) = (Vec::new(), Names::default());
        for folder in folders {
            files_below(folder, &mut files);
        }
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            names.add(&fs::read_to_string(file).expect("a source"));
        }
        Self { files, names }
    }

    /// Returns whether a file or folder has this name, or a path that ends with it.
    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.ancestors().any(|part| part.ends_with(path)))
    }
}

/// Returns the texts between backticks in a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns whether a text is the path of a file or folder. Capitals make it a placeholder, except in a few names.
fn is_path(text: &str) -> bool {
    let is_file = FILE_ENDINGS.iter().any(|ending| text.ends_with(ending));
    let may_have_capitals = text.ends_with(".md") || text.ends_with("Cargo.toml");
    (is_file || text.ends_with('/'))
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char))
        && (may_have_capitals || !text.contains(|char: char| char.is_ascii_uppercase()))
}

/// Returns whether a text is an identifier, or several joined by `::`.
fn is_name(text: &str) -> bool {
    let is_identifier = |part: &str| {
        part.starts_with(|char: char| char.is_ascii_alphabetic())
            && part.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    text.split("::").all(is_identifier)
}

/// Returns whether a name looks like one of Rust: a lower-case word may be a program, a crate, or a member.
fn is_distinctive(name: &str) -> bool {
    name.contains(|char: char| char == '_' || char == ':' || char.is_ascii_uppercase())
}

/// Returns what a page names and the tree does not have. Paths are relative to `folder` or to the repository.
fn missing(page: &Path, folder: &Path, tree: &Tree) -> Vec<String> {
    let text = fs::read_to_string(page).expect("a page");
    let mut missing = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        // A row of a walk has three columns, and names functions in the last.
        let is_step = line.starts_with('|') && line.matches('|').count() == 4;
        // A file after the first of a line may be in the folder of the one before it.
        let mut before = folder.to_owned();
        for word in code(line) {
            let name = word.trim_end_matches(['!', '(', ')']);
            if is_path(word) {
                let candidates = [folder.join(word), before.join(word), root().join(word)];
                let known = candidates.into_iter().find(|path| path.exists());
                match known {
                    Some(path) if path.is_dir() => before = path,
                    Some(path) => before = path.parent().expect("a folder").to_owned(),
                    // One that is named alone is in the crate that the text is about.
                    None if word.trim_end_matches('/').contains('/') || !tree.has(word) => {
                        missing.push(format!("line {number}: no file {word}"));
                    }
                    None => {}
                }
            } else if is_name(name) && (is_step || is_distinctive(name)) {
                let item = name.rsplit("::").next().expect("a name");
                let is_known = if is_step { tree.names.defined.contains(item) } else { tree.names.used.contains(item) };
                if !is_known || !name.split("::").all(|part| tree.names.used.contains(part)) {
                    missing.push(format!("line {number}: nothing is called {word}"));
                }
            }
        }
    }
    missing
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_map_names_files_and_items_that_exist() {
    let host = root().join("host");
    let tree = Tree::of(std::slice::from_ref(&host));
    let missing = missing(&host.join("ARCHITECTURE.md"), &host, &tree);
    assert!(missing.is_empty(), "host/ARCHITECTURE.md:\n{}", missing.join("\n"));
}

#[test]
fn the_recipes_name_files_and_items_that_exist() {
    let root = root();
    let tree = Tree::of(&["host", "plugins", "tests", "wit"].map(|folder| root.join(folder)));
    let missing = missing(&root.join("CONTRIBUTING.md"), &root, &tree);
    assert!(missing.is_empty(), "CONTRIBUTING.md:\n{}", missing.join("\n"));
}

#[test]
fn only_a_whole_name_is_known() {
    let mut names = Names::default();
    names.add("pub(crate) async fn plan_lines(&self) -> Vec<Line> {\n    // fn plan\n    mod_of(self.lines)");
    let Names { used, defined } = names;
    assert!(defined.contains("plan_lines") && !defined.contains("plan") && !defined.contains("of"));
    assert!(used.contains("lines") && used.contains("Line") && !used.contains("plan"));
}
