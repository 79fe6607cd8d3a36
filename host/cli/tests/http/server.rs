//! A running `cartwright serve`, and somebody who asks it.

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

use crate::Answer as _;

/// How long a request may take here: longer than the server gives itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// The command, without what the environment of the tests says to it.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartwright"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARTWRIGHT_")) {
            command.env_remove(name);
        }
    }
    command
}

/// The folder of an installation: its database and the key that opens it.
pub struct Folder(TempDir, Option<String>);

impl Folder {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = folder.path().join("key");
        std::fs::write(&key, "07".repeat(32)).expect("a key");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).expect("rights");
        Self(folder, None)
    }

    /// One whose database is on a server.
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

    /// The arguments that name the database and its key.
    pub fn named(&self) -> [String; 4] {
        let key = self.path().join("key").display().to_string();
        ["--database".to_owned(), self.database(), "--key-file".to_owned(), key]
    }

    /// What its nodes logged.
    pub fn log(&self) -> String {
        let files = std::fs::read_dir(self.path()).expect("a folder").map(|file| file.expect("a file").path());
        let logs =
            files.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"log-")));
        logs.map(|path| std::fs::read_to_string(path).expect("UTF-8")).collect()
    }

    /// An admin's key, made on the command line.
    pub fn admin_key(&self) -> String {
        let made = command().args(["keys", "make", "--role", "admin", "--label", "test"]).args(self.named()).output();
        let made = made.expect("the command starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).expect("UTF-8").trim().to_owned()
    }
}

/// Compiled components are shared by all servers.
fn cache() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("http-cache");
    std::fs::create_dir_all(&cache).expect("a folder");
    cache
}

/// A node. Dropped, it is killed.
pub struct Node {
    child: Child,
    /// Kept open: a server whose reader is gone could not say anything more.
    said: BufReader<ChildStdout>,
    pub base: String,
}

impl Node {
    /// Starts it, and waits until it listens.
    pub fn start(folder: &Folder, further: &[&str]) -> Self {
        Self::start_with(folder, further, &[])
    }

    /// The same with variables.
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
        let mut said = BufReader::new(child.stdout.take().expect("standard output"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        let base = line.trim().strip_prefix("listening at ").map(|url| url.trim_end_matches('/').to_owned());
        let base = base.unwrap_or_else(|| panic!("it does not listen: {line:?}, {:?}", child.wait()));
        Self { child, said, base }
    }

    /// The next line that it says.
    pub fn says(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    pub fn client(&self, key: &str) -> Client {
        Client { base: self.base.clone(), key: Some(key.to_owned()) }
    }

    /// Somebody without a key.
    pub fn nobody(&self) -> Client {
        Client { base: self.base.clone(), key: None }
    }

    /// The address to connect to.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Tells it to stop, as a container's runtime does.
    pub fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        assert!(told.success());
    }

    /// The most memory that it ever took, in bytes. Only Linux says.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    /// Kills it: nothing of it is ended in order.
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
        // It may have ended by itself.
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
    /// One with a database of its own.
    pub fn new(further: &[&str]) -> Self {
        Self::on(Folder::new(), further)
    }

    /// One with this database.
    pub fn on(folder: Folder, further: &[&str]) -> Self {
        let key = folder.admin_key();
        let node = Node::start(&folder, further);
        Self { admin: node.client(&key), node, folder }
    }

    /// The one that most tests share. It lives as long as one of them asks it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            // Its tests guess keys, and ask as shoppers, all from one address.
            let further = ["--failed-keys-per-minute", "1000000", "--client-requests-per-second", "1000000"];
            let server = Arc::new(Self::new(&further));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Somebody with a new key of this role.
    pub async fn somebody(&self, role: Value) -> Client {
        let made = self.admin.post("/v1/access-keys", &json!({ "role": role, "label": "test" })).await.with(201);
        self.node.client(made["key"].as_str().expect("a key"))
    }
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub key: Option<String>,
}

impl Client {
    /// Asks for just this.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
        self.try_ask(method, path, headers, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// The same of a server that may be gone.
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

    /// The same with a body in JSON.
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
