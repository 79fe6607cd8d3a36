//! `cartwright demo`: the story holds, and nothing of it is left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{cache, cartwright};

#[test]
fn every_step_of_the_demo_holds() {
    let text = cartwright(["demo", "--check"]).succeeded();
    let held = text.lines().filter(|line| line.starts_with("  held    ")).count();
    assert!(held >= 40, "{held}: {text}");
    assert!(text.contains("  held    a node is killed while both orders are out"), "{text}");
    assert!(!text.contains("FAILED"), "{text}");
    assert_eq!(text.lines().last(), Some(format!("{held} steps held, 0 did not").as_str()), "{text}");
}

/// A demo that was begun, with a folder for what it leaves behind.
struct Begun {
    demo: Child,
    folder: TempDir,
}

impl Begun {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let demo = Command::new(env!("CARGO_BIN_EXE_cartwright"))
            .args(["demo", "--check"])
            .env("CARTWRIGHT_CACHE", cache())
            .env_remove("CARTWRIGHT_LOG")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        Self { demo, folder }
    }

    /// Its first line that says something; then nobody listens any more.
    fn first_line(&mut self) -> String {
        let out = BufReader::new(self.demo.stdout.take().expect("a pipe"));
        out.lines().map(|line| line.expect("text")).find(|line| !line.is_empty()).expect("a line")
    }

    /// Waits until its node works.
    #[cfg(target_os = "linux")]
    fn works(&self) {
        let begun = Instant::now();
        while !has_node(self.folder.path()) {
            assert!(begun.elapsed() < Duration::from_secs(120), "no node was started");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.demo.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end; gives its code, when nothing of it is left.
    #[track_caller]
    fn left_nothing(mut self) -> Option<i32> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.demo.try_wait().expect("a status") {
                break status;
            }
            if begun.elapsed() > Duration::from_secs(60) {
                self.demo.kill().expect("killed");
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let left: Vec<_> = fs::read_dir(self.folder.path()).expect("the folder").collect();
        assert!(left.is_empty(), "{left:?}");
        #[cfg(target_os = "linux")]
        assert!(!has_node(self.folder.path()), "its node goes on");
        status.code()
    }
}

/// Does a process run with this folder's database?
#[cfg(target_os = "linux")]
fn has_node(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").expect("the processes").filter_map(Result::ok);
    // Of one that has just ended nothing can be read.
    let commands = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    let folder = folder.display().to_string();
    commands.into_iter().any(|command| command.contains("--node") && command.contains(&folder))
}

#[test]
fn a_reader_that_stops_early_ends_the_demo_and_nothing_is_left() {
    let mut begun = Begun::new();
    assert_eq!(begun.first_line(), "Two vendors");
    // What a shell reports of others that the closed pipe ended.
    assert_eq!(begun.left_nothing(), Some(141));
}

#[test]
fn a_demo_that_is_told_to_end_leaves_nothing() {
    let begun = Begun::new();
    while fs::read_dir(begun.folder.path()).expect("the folder").count() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.signal("TERM");
    assert_eq!(begun.left_nothing(), Some(143));
}

#[cfg(target_os = "linux")]
#[test]
fn a_demo_that_is_interrupted_ends_its_node() {
    let begun = Begun::new();
    begun.works();
    begun.signal("INT");
    assert_eq!(begun.left_nothing(), Some(130));
}
