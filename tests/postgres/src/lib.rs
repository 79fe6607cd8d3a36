//! A PostgreSQL server for a test run, with a standby, PgBouncer in front of it, and a network between.
//!
//! The server runs as an ordinary user (PostgreSQL rejects the superuser, so root becomes `nobody`), listens on a
//! socket in its own folder, and is stopped and removed when the test's process ends in any way.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod forwarder;

pub use forwarder::Forwarder;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The required programs. Debian's package `postgresql` installs them outside the path.
const PROGRAMS: [&str; 6] = ["initdb", "pg_basebackup", "pg_ctl", "postgres", "createdb", "psql"];

/// PostgreSQL's default port, which only names the socket here.
const SOCKET: u16 = 5432;

/// The first port of a pooler, in the name of its socket.
const POOLERS: u16 = 6432;

/// A running server.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    tls_port: Option<u16>,
    databases: AtomicUsize,
    poolers: AtomicU16,
    supervisor: Mutex<Supervisor>,
}

/// The shell that supervises the server.
#[derive(Debug)]
struct Supervisor {
    child: Child,
    /// Open while the server runs.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Supervisor {
    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(0) => Err("the shell that keeps the server has ended".to_owned()),
            Ok(_) => Ok(line.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn expect_reply(&mut self) -> Result<(), String> {
        match self.line()?.as_str() {
            "ok" => Ok(()),
            said => Err(said.to_owned()),
        }
    }

    fn send(&mut self, word: &str) -> Result<(), String> {
        let stdin = self.stdin.as_mut().ok_or("it is being stopped")?;
        writeln!(stdin, "{word}").map_err(|error| error.to_string())?;
        self.expect_reply()
    }
}

impl Server {
    /// Starts a server with additional lines in its `postgresql.conf`. Returns `None` if PostgreSQL is not installed.
    ///
    /// # Errors
    /// The output of a server that does not start.
    pub fn start(settings: &str) -> Result<Option<Self>, String> {
        Self::start_on(settings, None, None)
    }

    /// Starts a standby, which follows this server until it is promoted.
    ///
    /// # Errors
    /// The output of a server that does not start.
    pub fn start_standby(&self) -> Result<Self, String> {
        Self::start_on("", None, Some(&self.folder))?.ok_or_else(|| "PostgreSQL is not installed any more".to_owned())
    }

    /// Starts a server that also accepts TLS connections, and no other connections over the network. `openssl` makes
    /// its certificates.
    ///
    /// # Errors
    /// The output of a server that does not start.
    pub fn start_with_tls() -> Result<Option<Self>, String> {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
        Self::start_on("", Some(free.map_err(|error| error.to_string())?.port()), None)
    }

    fn start_on(settings: &str, tls_port: Option<u16>, primary: Option<&Path>) -> Result<Option<Self>, String> {
        let Some(programs) = programs() else { return Ok(None) };
        let mut command = if is_root() { Command::new("runuser") } else { Command::new("sh") };
        if is_root() {
            command.args(["-u", "nobody", "--", "sh"]);
        }
        let mut child = command
            .args(["-c", include_str!("keeper.sh"), "keeper"])
            .arg(&programs)
            .arg(settings)
            .arg(tls_port.map(|port| port.to_string()).unwrap_or_default())
            .arg(primary.unwrap_or(Path::new("")))
            // The other user may have no access to the tests' folder.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        let mut supervisor = Supervisor { child, stdin: Some(stdin), stdout: BufReader::new(stdout) };
        let folder = PathBuf::from(supervisor.line()?);
        supervisor.expect_reply()?;
        supervisor.send("start")?;
        let (databases, poolers) = (AtomicUsize::new(0), AtomicU16::new(POOLERS));
        Ok(Some(Self { programs, folder, tls_port, databases, poolers, supervisor: Mutex::new(supervisor) }))
    }

    /// Creates an empty database, and returns its URL.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let created = Command::new(self.programs.join("createdb"))
            .arg("--host")
            .arg(&self.folder)
            .args(["--port", &self.tls_port.unwrap_or(SOCKET).to_string()])
            .args(["--username", "tester", &name])
            .output()
            .expect("createdb runs");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        // The port is part of the socket's name.
        let port = self.tls_port.unwrap_or(SOCKET);
        format!("postgres://tester@localhost:{port}/{name}?host={}", self.folder.display())
    }

    /// Returns the URL of the same database over the network, on `host`, with additional parameters. `None` without
    /// TLS.
    pub fn over_network(&self, address: &str, host: &str, parameters: &str) -> Option<String> {
        let (_, name) = address.split_once('?')?.0.rsplit_once('/')?;
        Some(format!("postgres://tester@{host}:{}/{name}?{parameters}", self.tls_port?))
    }

    /// Returns the path of the CA certificate that signed the server's, in PEM. Only with TLS.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Returns the folder of its socket and its data, which only its own user can read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops the server like a crash, without closing connections properly.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&self) {
        self.supervisor().send("stop").expect("the server stops");
    }

    /// Starts the server again with its data.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&self) {
        self.supervisor().send("start").expect("the server starts");
    }

    /// Promotes a standby, which accepts writes from now on.
    ///
    /// # Panics
    /// If it is not a standby.
    pub fn promote(&self) {
        self.supervisor().send("promote").expect("the standby is promoted");
    }

    /// Makes the server reject or accept writes, like a server that is being replaced. Connections stay open.
    ///
    /// # Panics
    /// If it fails.
    pub fn set_read_only(&self, read_only: bool) {
        let set = format!("alter system set default_transaction_read_only = {read_only}");
        let run = Command::new(self.programs.join("psql"))
            .arg("--host")
            .arg(&self.folder)
            .args(["--username", "tester", "--dbname", "postgres", "--quiet", "--no-psqlrc"])
            // Overrides an earlier setting, which would reject this command.
            .args(["--command", "set default_transaction_read_only = off", "--command", &set])
            .args(["--command", "select pg_reload_conf()"])
            .output()
            .expect("psql runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }

    /// Starts PgBouncer in front of the server, with a `pool_mode` and the unsupported parameters that it accepts from
    /// connections, and returns the URL of this database there. Returns `None`, with a line on standard error, if
    /// PgBouncer is not installed.
    ///
    /// # Panics
    /// If it does not start; or if it is not installed and `CI` is "true".
    pub fn pool(&self, address: &str, mode: &str, ignored_parameters: &str) -> Option<String> {
        const INSTALL: &str = "PgBouncer is not installed (Debian: apt-get install pgbouncer)";
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        if !folders.any(|folder| folder.join("pgbouncer").is_file()) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{INSTALL}");
            eprintln!("not run: {INSTALL}");
            return None;
        }
        let port = self.poolers.fetch_add(1, Ordering::Relaxed);
        self.supervisor().send(&format!("pool {port} {mode} {ignored_parameters}")).expect("PgBouncer starts");
        Some(address.replacen(&format!(":{SOCKET}/"), &format!(":{port}/"), 1))
    }

    /// Returns its socket.
    fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{SOCKET}"))
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(supervisor.stdin.take());
        drop(supervisor.child.wait());
    }
}

/// Returns the server that all tests of a process share, or `None`, with a line on standard error, if PostgreSQL is not
/// installed.
///
/// # Panics
/// If it does not start; or if it is not installed and `CI` is "true".
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Server::start("").expect("PostgreSQL starts"));
    if shared.is_none() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        );
        eprintln!("not run: PostgreSQL is not installed (Debian: apt-get install postgresql)");
    }
    shared.as_ref()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Returns the folder of PostgreSQL's programs: one in the path, else the newest of Debian's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // The path may contain links to a few of the programs.
    let on_path = std::env::split_paths(&path)
        .filter_map(|folder| folder.join("initdb").canonicalize().ok()?.parent().map(Path::to_owned));
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path()))
        .collect();
    versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let of_debian = versions.into_iter().rev().map(|version| version.join("bin"));
    on_path.chain(of_debian).find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_gone_with_its_folder_when_it_is_needed_no_more() {
        let Some(server) = Server::start("").unwrap() else {
            shared();
            return;
        };
        let address = server.create_database();
        let folder = server.folder().to_owned();
        assert!(address.contains(&folder.display().to_string()) && folder.exists());
        server.stop();
        server.start_again();
        assert_ne!(server.create_database(), address);
        drop(server);
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        if programs().is_some() {
            let error = Server::start("no_such_setting = 1").unwrap_err();
            assert!(error.contains("could not start server"), "{error}");
        }
    }
}
