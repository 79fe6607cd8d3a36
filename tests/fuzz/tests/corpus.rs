//! Replays the corpus of every fuzz target, so that what a fuzzer once found stays fixed.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::path::Path;

#[test]
fn every_target_holds_on_its_corpus() {
    for (name, target) in cartwright_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no files", folder.display());
        for file in files {
            println!("{}", file.display());
            target(&std::fs::read(&file).expect("a readable file"));
        }
    }
}
