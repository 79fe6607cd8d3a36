//! A headless Chromium for the length of a test, driven through chromedriver (Debian: `apt-get install chromium chromium-driver`).
//!
//! Each [`Browser`] has a profile of its own, which is gone afterwards. Pictures of what it shows are kept in the folder that
//! `CARTWRIGHT_SCREENSHOTS` names.
//!
//! ```no_run
//! # async fn test() {
//! let Some(browser) = cartwright_test_browser::Browser::open().await else { return };
//! browser.visit("http://127.0.0.1:8080/").await;
//! browser.until("document.title === 'Shop'").await;
//! browser.screenshot("shop").await;
//! browser.close().await;
//! # }
//! ```

mod axe;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};

pub use self::axe::Axe;

/// How long a page may take to come to what a test waits for. Long, for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// The shown part of the page, in CSS pixels.
const WINDOW: (u32, u32) = (1280, 860);

/// What keeps Chromium from looking for a screen, a sandbox that needs privileges, or servers of its maker's.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// Keeps chromedriver and what it starts in one group of processes, and ends them all when its own input ends: however a test's
/// process ends, no browser is left.
const PROCESS_GROUP_SCRIPT: &str = r#""$0" --port=0 & read -r _; kill -KILL 0"#;

/// An open browser with one page. What a test asks of it and cannot be done fails the test.
#[derive(Debug)]
pub struct Browser {
    page: WebDriver,
    process_group: Child,
    /// Removed with it.
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser. `None`, with a line that says so, when Chromium or its driver is not installed.
    ///
    /// # Panics
    /// When it does not start; and where `CI` is "true", when it is not installed.
    pub async fn open() -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (program("chromium"), program("chromedriver")) else {
            let missing =
                "Chromium or chromedriver is not installed (Debian: apt-get install chromium chromium-driver)";
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
            eprintln!("not run: {missing}");
            return None;
        };
        // The client builds TLS for any address, and this workspace gives it no provider. Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let (process_group, port) = drive(chromedriver).await;
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(&chromium.to_string_lossy()).expect("a path");
        for argument in ARGUMENTS {
            wanted.add_arg(argument).expect("an argument");
        }
        wanted.add_arg(&format!("--window-size={},{}", WINDOW.0, WINDOW.1)).expect("an argument");
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).expect("an argument");
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
        let page = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await.expect("Chromium starts");
        Some(Self { page, process_group, _profile: profile })
    }

    /// Goes to an address.
    ///
    /// # Panics
    /// When nothing answers there.
    pub async fn visit(&self, url: &str) {
        self.page.goto(url).await.expect(url);
    }

    /// What an expression of JavaScript is in the page; a promise is waited for.
    ///
    /// # Panics
    /// When it throws.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let value = self.page.execute(script, Vec::new()).await.expect(expression);
        value.json().clone()
    }

    /// Waits until an expression of JavaScript is true.
    ///
    /// # Panics
    /// When it takes too long: with what the page says and what it wrote to its console.
    pub async fn until(&self, expression: &str) {
        let end = Instant::now() + TIMEOUT;
        while !self.value(&format!("Boolean({expression})")).await.as_bool().unwrap_or_default() {
            if Instant::now() > end {
                let page = self.value("document.body.innerText").await;
                panic!("not true after {TIMEOUT:?}: {expression}\n{page}\n{:#?}", self.console().await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Clicks what a CSS selector finds, as a mouse does: it must be in sight.
    ///
    /// # Panics
    /// When there is no such element, or something lies above it.
    pub async fn click(&self, selector: &str) {
        let element = self.page.find(By::Css(selector)).await.expect(selector);
        element.scroll_into_view().await.expect(selector);
        element.click().await.expect(selector);
    }

    /// Clicks the label that shows this text.
    ///
    /// # Panics
    /// When there is no such label, or something lies above it.
    pub async fn choose(&self, label: &str) {
        let path = format!("//label[.//*[normalize-space()='{label}']]");
        let element = self.page.find(By::XPath(&path)).await.expect(label);
        element.scroll_into_view().await.expect(label);
        element.click().await.expect(label);
    }

    /// Types into what a CSS selector finds.
    ///
    /// # Panics
    /// When there is no such element.
    pub async fn write(&self, selector: &str, text: &str) {
        let element = self.page.find(By::Css(selector)).await.expect(selector);
        element.send_keys(text).await.expect(selector);
    }

    /// The text that is in sight of what a CSS selector finds.
    ///
    /// # Panics
    /// When there is no such element.
    pub async fn text(&self, selector: &str) -> String {
        self.page.find(By::Css(selector)).await.expect(selector).text().await.expect(selector)
    }

    /// The warnings and errors that were written to the page's console since this was asked last.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn console(&self) -> Vec<String> {
        let written = self.page.get_log("browser").await.expect("the console");
        let bad = written.into_iter().filter(|entry| matches!(entry.level.as_str(), "WARNING" | "SEVERE"));
        bad.map(|entry| entry.message).collect()
    }

    /// Returns the violations of impact "serious" or "critical" that axe-core finds in the page, each after the page's name: the
    /// rule, axe-core's help text, the element, and how to fix it.
    ///
    /// The driver runs axe-core, not a script element: the page's Content-Security-Policy stays as it is.
    ///
    /// # Panics
    /// When axe-core does not end.
    pub async fn violations(&self, axe: Axe, page: &str) -> Vec<String> {
        let found = self.page.execute(axe.check(), Vec::new()).await.expect("axe-core ends");
        let found: Vec<String> = found.convert().expect("a list of texts");
        found.into_iter().map(|violation| format!("{page}: {violation}")).collect()
    }

    /// Keeps a picture of what is in sight, where `CARTWRIGHT_SCREENSHOTS` names a folder.
    ///
    /// # Panics
    /// When it cannot be written there.
    pub async fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("CARTWRIGHT_SCREENSHOTS") else { return };
        let path = Path::new(&folder).join(format!("{name}.png"));
        std::fs::create_dir_all(&folder).expect("a folder for screenshots");
        self.page.screenshot(&path).await.expect("a screenshot");
    }

    /// The session, for what has no word here.
    pub fn page(&self) -> &WebDriver {
        &self.page
    }

    /// Ends it. A browser that is dropped, as by a test that fails, ends less gently.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn close(self) {
        self.page.clone().quit().await.expect("Chromium ends");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Else the client asks for the session's end and waits for the answer. Fails where that was done.
        drop(self.page.clone().leak());
        drop(self.process_group.stdin.take());
        drop(self.process_group.wait());
    }
}

/// Starts chromedriver on a free port.
async fn drive(chromedriver: PathBuf) -> (Child, u16) {
    let mut command = Command::new("sh");
    command.args(["-c", PROCESS_GROUP_SCRIPT]).arg(chromedriver).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process_group = command.spawn().expect("a shell starts");
    let said = BufReader::new(process_group.stdout.take().expect("its output"));
    let port = tokio::task::spawn_blocking(|| port(said));
    let port = tokio::time::timeout(TIMEOUT, port).await.expect("chromedriver listens").expect("a port");
    (process_group, port)
}

/// Waits until chromedriver says where it listens.
fn port(mut said: BufReader<ChildStdout>) -> u16 {
    loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).expect("its output"), 0, "chromedriver ended before it listened");
        // "ChromeDriver was started successfully on port 36001."
        if let Some((_, port)) = line.trim_end().split_once("successfully on port ") {
            let port = port.trim_end_matches('.').parse().expect("a port");
            // Read on, lest its output fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return port;
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
