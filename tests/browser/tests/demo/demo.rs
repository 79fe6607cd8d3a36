//! A running `cartwright demo`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cartwright_test_browser::Axe;

/// The demo, on free ports. Dropping it stops the demo and waits for its end.
pub struct Demo {
    child: Child,
    /// Kept open, because the demo ends when its standard output is closed.
    _stdout: BufReader<ChildStdout>,
    /// The URL of the shop with Expivi, with a slash at its end.
    pub lumen: String,
    /// The URL of the shop with Twikit, with a slash at its end.
    pub gems: String,
    /// The address of the admin pages.
    pub admin: String,
    /// The access key of an admin.
    pub key: String,
}

impl Demo {
    /// Starts a demo.
    pub fn start() -> Self {
        let mut command = Command::new(program());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARTWRIGHT_")) {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["demo", "--listen", "127.0.0.1:0", "--shops", "127.0.0.1:0"])
            .env("CARTWRIGHT_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output"));
        let mut lines = Vec::new();
        // The last line explains how to stop it.
        while !lines.last().is_some_and(|line: &String| line.contains("Ctrl-C")) {
            let mut line = String::new();
            assert_ne!(stdout.read_line(&mut line).expect("a line"), 0, "the demo ended: {lines:#?}");
            lines.push(line);
        }
        let last = |begins: &str| -> String {
            let line = lines.iter().find(|line| line.trim_start().starts_with(begins));
            let line = line.unwrap_or_else(|| panic!("no {begins:?}: {lines:#?}"));
            line.split_whitespace().last().expect("a word").to_owned()
        };
        let [lumen, gems, admin, key] = ["Lumen", "Gems", "admin pages", "sign in there"].map(last);
        Self { child, _stdout: stdout, lumen, gems, admin, key }
    }

    /// Returns the demo that most tests share. It runs while a test uses it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Demo>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let demo = Arc::new(Self::start());
            *shared = Arc::downgrade(&demo);
            demo
        })
    }
}

/// Returns axe-core, if it can be installed.
pub fn axe() -> Option<Axe> {
    Axe::install(env!("CARGO_TARGET_TMPDIR"))
}

/// Returns the path of the command, which Cargo builds for another package.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let folder = test.parent().and_then(Path::parent).expect("the folder of this build");
    let program = folder.join("cartwright");
    assert!(program.is_file(), "{} is not there; `cargo build -p cartwright-cli` makes it", program.display());
    program
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A demo that gets a signal removes its files.
        let kill_result = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !kill_result.is_ok_and(|status| status.success()) {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}
