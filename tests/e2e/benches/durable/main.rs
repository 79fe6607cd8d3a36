//! The cost of durability, as ratios within one run: machines are noisy, so only ratios are quoted.
//!
//! Each figure is compared with its floor: the same rows, written with the same commits, and the same requests, without
//! host and guest. On SQLite, in a file, and on PostgreSQL if its programs are installed; both write through to the
//! disk. Then ten thousand waiting orders, in a separate process.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::process::Command;
use std::time::Instant;

use cartwright_test_postgres::Server;
use tempfile::TempDir;

mod events;
mod floor;
mod steps;
mod waiting;

/// The kind of the databases.
enum Databases {
    Sqlite(TempDir),
    Postgres(Server),
}

impl Databases {
    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Returns the URL of an empty database.
    fn fresh(&self, name: &str) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join(format!("{name}.db")).display()),
            Self::Postgres(server) => server.create_database(),
        }
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == waiting::CHILD) {
        return waiting::print().await;
    }
    let mut all = vec![Databases::Sqlite(tempfile::tempdir().expect("a folder"))];
    // The tests' servers run without fsync.
    match Server::start("fsync = on").expect("PostgreSQL starts") {
        Some(server) => all.push(Databases::Postgres(server)),
        None => println!("PostgreSQL is not installed (Debian: apt-get install postgresql): SQLite alone"),
    }
    for databases in &all {
        println!("{}, medians", databases.name());
        events::print(databases).await;
        steps::print(databases).await;
    }
    let program = std::env::current_exe().expect("this program");
    assert!(Command::new(program).arg(waiting::CHILD).status().expect("a process").success());
}
