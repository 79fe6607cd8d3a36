//! `cartwright demo`: every step of the story holds, and nothing is left behind.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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

/// A running demo, with a temporary folder for its files.
struct DemoProcess {
    demo: Child,
    folder: TempDir,
}

impl DemoProcess {
    fn new() -> Self {
        Self::with(&["--check"])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let demo = Command::new(env!("CARGO_BIN_EXE_cartwright"))
            .arg("demo")
            .args(arguments)
            .env("CARTWRIGHT_CACHE", cache())
            .env_remove("CARTWRIGHT_LOG")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        Self { demo, folder }
    }

    /// Reads the first line with text, and closes the output.
    fn first_line(&mut self) -> String {
        let out = BufReader::new(self.demo.stdout.take().expect("a pipe"));
        out.lines().map(|line| line.expect("text")).find(|line| !line.is_empty()).expect("a line")
    }

    /// Waits until its node works.
    #[cfg(target_os = "linux")]
    fn works(&self) {
        let started = Instant::now();
        while !has_node(self.folder.path()) {
            assert!(started.elapsed() < Duration::from_secs(120), "no node was started");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.demo.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end of the demo and its files, and returns its exit code.
    #[track_caller]
    fn left_nothing(mut self) -> Option<i32> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.demo.try_wait().expect("a status") {
                break status;
            }
            if started.elapsed() > Duration::from_secs(60) {
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

/// Returns whether a node runs with a database in this folder.
#[cfg(target_os = "linux")]
fn has_node(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").expect("the processes").filter_map(Result::ok);
    // A process that has just ended cannot be read.
    let commands = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    let folder = folder.display().to_string();
    commands.into_iter().any(|command| command.contains("--node") && command.contains(&folder))
}

#[test]
fn a_reader_that_stops_early_ends_the_demo_and_nothing_is_left() {
    let mut demo = DemoProcess::new();
    assert_eq!(demo.first_line(), "Two vendors");
    // The code that a shell reports for a command ended by a closed pipe.
    assert_eq!(demo.left_nothing(), Some(141));
}

#[test]
fn a_terminated_demo_leaves_nothing() {
    let demo = DemoProcess::new();
    while fs::read_dir(demo.folder.path()).expect("the folder").count() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    demo.signal("TERM");
    assert_eq!(demo.left_nothing(), Some(143));
}

#[cfg(target_os = "linux")]
#[test]
fn a_demo_that_is_interrupted_ends_its_node() {
    let demo = DemoProcess::new();
    demo.works();
    demo.signal("INT");
    assert_eq!(demo.left_nothing(), Some(130));
}

/// Returns the response of a URL: status line, headers and body.
fn raw_request(method: &str, url: &str, headers: &str) -> String {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http address");
    let mut to = TcpStream::connect(host).expect("a listener");
    write!(to, "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n").expect("written");
    let mut answer = String::new();
    to.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Starts a demo to browse, and waits until it has printed its URLs.
fn opened() -> (DemoProcess, impl Fn(&str) -> String) {
    let mut demo = DemoProcess::with(&["--listen", "127.0.0.1:0", "--shops", "127.0.0.1:0"]);
    let out = BufReader::new(demo.demo.stdout.take().expect("a pipe"));
    let output: Vec<String> =
        out.lines().map(|line| line.expect("text")).take_while(|line| !line.contains("Ctrl-C")).collect();
    let url = move |of: &str| {
        let line = output.iter().find(|line| line.starts_with(of)).unwrap_or_else(|| panic!("no {of}: {output:#?}"));
        line.split_whitespace().last().expect("an address").to_owned()
    };
    (demo, url)
}

#[test]
fn a_demo_to_browse_says_where_everything_is_and_leaves_nothing() {
    let (demo, url) = opened();
    for (of, shows) in [("Lumen", "Engraved ring"), ("Gems", "Letter jewel"), ("HTTP API", "\"openapi\":\"3.1.0\"")] {
        let answer = raw_request("GET", &url(of), "");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(shows), "{of}: {answer}");
    }
    demo.signal("INT");
    assert_eq!(demo.left_nothing(), Some(130));
}

#[test]
fn a_page_of_another_site_does_nothing_in_the_demos_shops() {
    let (demo, url) = opened();
    for site in ["cross-site", "same-site"] {
        let headers = format!("sec-fetch-site: {site}\r\ncontent-length: 0\r\n");
        let answer = raw_request("POST", &format!("{}cart/remove", url("Lumen")), &headers);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    demo.signal("TERM");
    assert_eq!(demo.left_nothing(), Some(143));
}

#[test]
fn a_demo_whose_place_is_taken_says_how_to_name_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (flag, other) in [("--listen", "--shops"), ("--shops", "--listen")] {
        let error = cartwright(["demo", flag, &address, other, "127.0.0.1:0"]).failed();
        assert!(error.contains(&format!("cannot listen at {address}")) && error.contains(flag), "{error}");
    }
}
