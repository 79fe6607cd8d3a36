//! `cartwright keys`, and the files that every command opens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{CommandResult, cartwright, cartwright_with};

/// A folder with a key of this mode, and no database yet.
struct Folder(TempDir);

impl Folder {
    fn new(key_mode: u32) -> Self {
        let folder = Self(TempDir::new().expect("a folder"));
        fs::write(folder.path("key"), "07".repeat(32)).expect("a key");
        set_mode(&folder.path("key"), key_mode);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn arguments(&self, command: &[&str]) -> Vec<String> {
        let database = format!("sqlite:{}", self.path("host.db").display());
        let key = self.path("key").display().to_string();
        let named = ["--database", &database, "--key-file", &key];
        command.iter().chain(&named).map(|&argument| argument.to_owned()).collect()
    }

    fn run(&self, command: &[&str]) -> CommandResult {
        cartwright(self.arguments(command))
    }

    /// Returns the modes of the database's files.
    fn modes(&self) -> Vec<(String, u32)> {
        let files = fs::read_dir(self.0.path()).expect("a folder").map(|file| file.expect("a file").path());
        let named = files.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)));
        named.filter(|(name, _)| name.starts_with("host.db")).map(|(name, path)| (name, mode(&path))).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("rights");
}

const MAKE: [&str; 6] = ["keys", "make", "--role", "admin", "--label", "test"];

#[test]
fn a_new_database_is_its_owners_alone_whatever_the_umask() {
    let folder = Folder::new(0o600);
    let made = Command::new("sh")
        .args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_cartwright")])
        .args(folder.arguments(&MAKE))
        .output()
        .expect("the command starts");
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let modes = folder.modes();
    assert!(!modes.is_empty() && modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
}

#[test]
fn a_database_that_others_can_read_is_complained_of_and_opened() {
    let folder = Folder::new(0o600);
    folder.run(&MAKE).succeeded();
    set_mode(&folder.path("host.db"), 0o644);
    let listed = folder.run(&["keys", "list"]);
    assert!(listed.err.contains("host.db") && listed.err.contains("0644"), "{listed:?}");
    assert!(listed.err.contains("chmod 600"), "{listed:?}");
    assert!(listed.succeeded().contains("admin"));
}

#[test]
fn a_key_file_that_others_can_read_is_complained_of_by_every_command() {
    let folder = Folder::new(0o640);
    for command in [&MAKE[..], &["keys", "list"], &["jobs", "list"]] {
        let output = folder.run(command);
        assert!(
            output.err.contains("key file") && output.err.contains("0640") && output.err.contains("chmod 600"),
            "{output:?}"
        );
        output.succeeded();
    }
    set_mode(&folder.path("key"), 0o400);
    assert_eq!(folder.run(&["keys", "list"]).err, "");
}

#[test]
fn a_cache_folder_that_others_can_write_is_complained_of() {
    let folder = Folder::new(0o600);
    let cache = folder.path("cache");
    fs::create_dir(&cache).expect("a folder");
    for (mode, complaint) in [(0o775, true), (0o755, false)] {
        set_mode(&cache, mode);
        // The command fails because the file does not exist.
        let output = cartwright_with(["inspect", "none.wasm"], &[("CARTWRIGHT_CACHE", &cache.display().to_string())]);
        assert_eq!(output.err.contains("cache folder") && output.err.contains("chmod go-w"), complaint, "{output:?}");
    }
}

#[test]
fn a_key_for_a_shop_that_there_is_not_is_refused_in_plain_words() {
    let folder = Folder::new(0o600);
    for role in ["storefront", "backend", "integrator"] {
        let error = folder.run(&["keys", "make", "--role", role, "--label", "test", "--shop", "nowhere"]).failed();
        assert!(error.contains("shop nowhere not found") && error.contains("create it first"), "{error}");
        assert!(!error.contains("FOREIGN KEY"), "{error}");
    }
    assert_eq!(folder.run(&["keys", "list"]).succeeded(), "");
}

#[test]
fn a_database_that_cannot_be_opened_is_reported_as_such() {
    let folder = Folder::new(0o600);
    let error = folder.run(&["keys", "list"]).failed();
    assert!(error.contains("cannot be opened") && error.contains("folder"), "{error}");
    fs::write(folder.path("host.db"), "no database, but a text that is long enough ".repeat(40)).expect("a file");
    let error = folder.run(&["keys", "list"]).failed();
    assert!(error.contains("damaged"), "{error}");
}
