//! A running `cartwright serve`, and its clients.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::http::Method;
use cartwright_fake_vendors::client::{Reply, SendError, send};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ReplyAssertions as _;

/// Request timeout, longer than the server's own.
const PATIENCE: Duration = Duration::from_secs(90);

/// Returns the command without the settings in the environment of the tests.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartwright"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARTWRIGHT_")) {
            command.env_remove(name);
        }
    }
    command
}

/// The folder of an installation: its database and its key.
pub struct Folder(TempDir, Option<String>);

impl Folder {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = folder.path().join("key");
        std::fs::write(&key, "07".repeat(32)).expect("a key");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).expect("rights");
        Self(folder, None)
    }

    /// Returns a folder whose database is on a server.
    pub fn of(database: String) -> Self {
        let Self(folder, _) = Self::new();
        Self(folder, Some(database))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn database(&self) -> String {
        let file = || format!("sqlite:{}", self.path().join("host.db").display());
        self.1.clone().unwrap_or_else(file)
    }

    /// Returns the arguments for the database and its key.
    pub fn named(&self) -> [String; 4] {
        let key = self.path().join("key").display().to_string();
        ["--database".to_owned(), self.database(), "--key-file".to_owned(), key]
    }

    /// Returns the log of its nodes.
    pub fn log(&self) -> String {
        let files = std::fs::read_dir(self.path()).expect("a folder").map(|file| file.expect("a file").path());
        let logs =
            files.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"log-")));
        logs.map(|path| std::fs::read_to_string(path).expect("UTF-8")).collect()
    }

    /// Creates an admin key on the command line.
    pub fn admin_key(&self) -> String {
        let made = command().args(["keys", "make", "--role", "admin", "--label", "test"]).args(self.named()).output();
        let made = made.expect("the command starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).expect("UTF-8").trim().to_owned()
    }
}

/// Returns the folder of compiled components, which all servers share.
fn cache() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("http-cache");
    std::fs::create_dir_all(&cache).expect("a folder");
    cache
}

/// A node, which is killed on drop.
pub struct Node {
    child: Child,
    /// Kept open, because a server whose standard output is closed cannot print.
    stdout: BufReader<ChildStdout>,
    pub base: String,
}

impl Node {
    /// Starts the node, and waits until it listens.
    pub fn start(folder: &Folder, further: &[&str]) -> Self {
        Self::start_with(folder, further, &[])
    }

    /// Starts the node with environment variables.
    pub fn start_with(folder: &Folder, further: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = File::create(folder.path().join(format!("log-{:?}", Instant::now()))).expect("a log");
        let mut child = command()
            .arg("serve")
            .args(folder.named())
            .args(["--listen", "127.0.0.1:0", "--cache"])
            .arg(cache())
            .args(further)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the command starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let base = line.trim().strip_prefix("listening at ").map(|url| url.trim_end_matches('/').to_owned());
        let base = base.unwrap_or_else(|| panic!("it does not listen: {line:?}, {:?}", child.wait()));
        Self { child, stdout, base }
    }

    /// Returns the next line of its output.
    pub fn says(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    pub fn client(&self, key: &str) -> Client {
        Client { base: self.base.clone(), key: Some(key.to_owned()) }
    }

    /// Returns a client without a key.
    pub fn anonymous(&self) -> Client {
        Client { base: self.base.clone(), key: None }
    }

    /// Returns the socket address.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Sends a stop signal, like a container runtime.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Returns the peak memory in bytes. Only known on Linux.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    /// Kills the node without a shutdown.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    /// Waits for its end.
    pub fn ended(mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(began.elapsed() < within, "it runs on after {within:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A node with an admin.
pub struct Server {
    pub node: Node,
    pub admin: Client,
    pub folder: Folder,
}

impl Server {
    /// Starts a server on its own database.
    pub fn new(further: &[&str]) -> Self {
        Self::on(Folder::new(), further)
    }

    /// Starts a server on this database.
    pub fn on(folder: Folder, further: &[&str]) -> Self {
        let key = folder.admin_key();
        let node = Node::start(&folder, further);
        Self { admin: node.client(&key), node, folder }
    }

    /// Returns the server that most tests share. It runs while a test uses it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            // Its tests guess keys and act as shoppers, all from one address.
            let further = ["--failed-keys-per-minute", "1000000", "--client-requests-per-second", "1000000"];
            let server = Arc::new(Self::new(&further));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Returns a client with a new key of this role.
    pub async fn somebody(&self, role: Value) -> Client {
        let made = self.admin.post("/v1/access-keys", &json!({ "role": role, "label": "test" })).await.with(201);
        self.node.client(made["key"].as_str().expect("a key"))
    }
}

/// A client.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub key: Option<String>,
}

impl Client {
    /// Sends exactly this request.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
        self.try_ask(method, path, headers, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// Sends a request to a server that may not run.
    pub async fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Reply, SendError> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let authorization = self.key.as_ref().map(|key| format!("Bearer {key}"));
        let mut all: Vec<(&str, &str)> = authorization.iter().map(|text| ("authorization", text.as_str())).collect();
        all.extend_from_slice(headers);
        let url = format!("{}{path}", self.base);
        let body = body.into();
        send(method, &url, &all, body.into(), PATIENCE).await
    }

    /// Sends a request with a JSON body.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.ask(method, path, &all, body.to_string()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, &[], body).await
    }
}
