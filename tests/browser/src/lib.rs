//! A headless Chromium for tests, driven through chromedriver (Debian: `apt-get install chromium chromium-driver`).
//!
//! Each [`Browser`] has its own temporary profile. Screenshots are stored in the folder that `CARTWRIGHT_SCREENSHOTS`
//! names.
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

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod axe;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};

pub use self::axe::Axe;

/// Timeout for a condition in a page. Long, for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// The viewport of the page, in CSS pixels.
const WINDOW: (u32, u32) = (1280, 860);

/// Arguments that keep Chromium from using a screen, a privileged sandbox, or its maker's servers.
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

/// Runs chromedriver and its children in one process group, and kills the group when its own input ends, so that no
/// browser outlives a test's process.
const PROCESS_GROUP_SCRIPT: &str = r#""$0" --port=0 & read -r _; kill -KILL 0"#;

/// An open browser with one page. An operation that is not possible fails the test.
#[derive(Debug)]
pub struct Browser {
    page: WebDriver,
    process_group: Child,
    /// Removed on drop.
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser. Returns `None`, with a line on standard error, if Chromium or its driver is not installed.
    ///
    /// # Panics
    /// If it does not start; or if it is not installed and `CI` is "true".
    pub async fn open() -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (program("chromium"), program("chromedriver")) else {
            let missing =
                "Chromium or chromedriver is not installed (Debian: apt-get install chromium chromium-driver)";
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
            eprintln!("not run: {missing}");
            return None;
        };
        // The client creates a TLS configuration for any URL, and this workspace sets no default provider. Another test
        // may have installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let (process_group, port) = drive(chromedriver).await;
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(&chromium.to_string_lossy()).expect("a path");
        for argument in ARGUMENTS {
            capabilities.add_arg(argument).expect("an argument");
        }
        capabilities.add_arg(&format!("--window-size={},{}", WINDOW.0, WINDOW.1)).expect("an argument");
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display())).expect("an argument");
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
        let page = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.expect("Chromium starts");
        Some(Self { page, process_group, _profile: profile })
    }

    /// Opens a URL.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub async fn visit(&self, url: &str) {
        self.page.goto(url).await.expect(url);
    }

    /// Returns the value of a JavaScript expression in the page, after awaiting a promise.
    ///
    /// # Panics
    /// If it throws.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let value = self.page.execute(script, Vec::new()).await.expect(expression);
        value.json().clone()
    }

    /// Waits until a JavaScript expression is true.
    ///
    /// # Panics
    /// On a timeout, with the page's text and its console.
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

    /// Clicks the element of a CSS selector like a mouse, so it must be visible.
    ///
    /// # Panics
    /// If there is no such element, or another element covers it.
    pub async fn click(&self, selector: &str) {
        let element = self.page.find(By::Css(selector)).await.expect(selector);
        element.scroll_into_view().await.expect(selector);
        element.click().await.expect(selector);
    }

    /// Clicks the label with this text.
    ///
    /// # Panics
    /// If there is no such label, or another element covers it.
    pub async fn choose(&self, label: &str) {
        let path = format!("//label[.//*[normalize-space()='{label}']]");
        let element = self.page.find(By::XPath(&path)).await.expect(label);
        element.scroll_into_view().await.expect(label);
        element.click().await.expect(label);
    }

    /// Types into the element of a CSS selector.
    ///
    /// # Panics
    /// If there is no such element.
    pub async fn write(&self, selector: &str, text: &str) {
        let element = self.page.find(By::Css(selector)).await.expect(selector);
        element.send_keys(text).await.expect(selector);
    }

    /// Returns the visible text of the element of a CSS selector.
    ///
    /// # Panics
    /// If there is no such element.
    pub async fn text(&self, selector: &str) -> String {
        self.page.find(By::Css(selector)).await.expect(selector).text().await.expect(selector)
    }

    /// Returns the warnings and errors on the page's console since the last call.
    ///
    /// # Panics
    /// If the browser has ended.
    pub async fn console(&self) -> Vec<String> {
        let written = self.page.get_log("browser").await.expect("the console");
        let bad = written.into_iter().filter(|entry| matches!(entry.level.as_str(), "WARNING" | "SEVERE"));
        bad.map(|entry| entry.message).collect()
    }

    /// Returns the violations of impact "serious" or "critical" that axe-core finds in the page, each after the page's
    /// name and its presentation: the rule, axe-core's help text, the element, and how to fix it. The page is checked
    /// on a wide and on a narrow screen, in a light and in a dark color scheme, without being loaded again.
    ///
    /// The driver runs axe-core rather than a script element, so that the page's Content-Security-Policy is unchanged.
    ///
    /// # Panics
    /// If axe-core does not end.
    pub async fn violations(&self, axe: Axe, page: &str) -> Vec<String> {
        let mut all = Vec::new();
        for (number, presentation) in axe::PRESENTATIONS.into_iter().enumerate() {
            let axe::Presentation { width, color_scheme } = presentation;
            let features = json!([{ "name": "prefers-color-scheme", "value": color_scheme }]);
            self.emulate("setEmulatedMedia", json!({ "features": features })).await;
            // A scale of 0 leaves the device's own.
            let metrics = json!({ "width": width, "height": WINDOW.1, "deviceScaleFactor": 0, "mobile": false });
            self.emulate("setDeviceMetricsOverride", metrics).await;
            let found = self.page.execute(axe.check(number, presentation), Vec::new()).await.expect("axe-core ends");
            let found: Vec<String> = found.convert().expect("a list of texts");
            all.extend(found.into_iter().map(|violation| format!("{page} ({width} px, {color_scheme}): {violation}")));
        }
        self.emulate("setEmulatedMedia", json!({ "features": [] })).await;
        self.emulate("clearDeviceMetricsOverride", json!({})).await;
        all
    }

    /// Sends a command of the browser's debugging domain `Emulation`.
    async fn emulate(&self, command: &str, parameters: Value) {
        self.page.cdp().send_raw(&format!("Emulation.{command}"), parameters).await.expect(command);
    }

    /// Stores a screenshot in the folder that `CARTWRIGHT_SCREENSHOTS` names, if it is set.
    ///
    /// # Panics
    /// If it cannot be written.
    pub async fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("CARTWRIGHT_SCREENSHOTS") else { return };
        let path = Path::new(&folder).join(format!("{name}.png"));
        std::fs::create_dir_all(&folder).expect("a folder for screenshots");
        self.page.screenshot(&path).await.expect("a screenshot");
    }

    /// Returns the session, for operations that this type lacks.
    pub fn page(&self) -> &WebDriver {
        &self.page
    }

    /// Closes the browser. A dropped browser, as in a failing test, is killed instead.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn close(self) {
        self.page.clone().quit().await.expect("Chromium ends");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Otherwise dropping the client would end the session once more, and fail.
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
    let stdout = BufReader::new(process_group.stdout.take().expect("its output"));
    let port = tokio::task::spawn_blocking(|| port(stdout));
    let port = tokio::time::timeout(TIMEOUT, port).await.expect("chromedriver listens").expect("a port");
    (process_group, port)
}

/// Waits until chromedriver prints its port.
fn port(mut stdout: BufReader<ChildStdout>) -> u16 {
    loop {
        let mut line = String::new();
        assert_ne!(stdout.read_line(&mut line).expect("its output"), 0, "chromedriver ended before it listened");
        // "ChromeDriver was started successfully on port 36001."
        if let Some((_, port)) = line.trim_end().split_once("successfully on port ") {
            let port = port.trim_end_matches('.').parse().expect("a port");
            // Drains the output, which would otherwise fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
            return port;
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
