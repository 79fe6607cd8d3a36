//! Tests of a full disk, a locked database and a lost database: clear errors, no partial writes, and recovery without
//! intervention.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright::Blobs;
use cartwright::durable::{Journal, JournalError, RunEnd};
use cartwright_store::{Claim, JobFilter, RecordOutcome, Store, StoreError};
use cartwright_test_postgres::{Forwarder, Server};
use sqlx::{AnyConnection, Connection, Executor};

use crate::database::{Database, at, claimed, event, job, record, shop};
use crate::journals::{began, record_of};

const SMALL: &str = "CARTWRIGHT_TEST_SMALL_FOLDER";
const LOCK: &str = "CARTWRIGHT_TEST_LOCK";

/// Runs a test again in a process with a small file system, which an ordinary user can mount in a namespace of their
/// own. Returns its folder to that process, and `None` to the one that started it.
fn small_folder(test: &str, size: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(SMALL) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        let script = "mount -t tmpfs -o mode=777,size=\"$1\" tmpfs \"$2\" && shift 2 &&
                      exec unshare --user --map-user=\"$(id -u nobody)\" -- \"$@\"";
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", size])
            .arg(folder.path())
            .arg(program)
            .args(arguments)
            .env(SMALL, folder.path())
            .output()
    };
    if !run(Path::new("true"), &[]).is_ok_and(|probe| probe.status.success()) {
        eprintln!("not run: an ordinary user cannot mount a small file system here");
        return None;
    }
    let run = run(&std::env::current_exe().unwrap(), &["--exact", test, "--nocapture"]).unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
    None
}

async fn jobs(store: &Store) -> usize {
    store.jobs().list(&JobFilter::default(), 10_000).await.unwrap().len()
}

/// Records events until the disk is full; returns their number, and the error.
async fn fill(store: &Store) -> (usize, StoreError) {
    for number in 1..10_000 {
        let event = event(&format!("fill-{number}"), &number.to_string());
        if let Err(error) = store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await {
            return (number, error);
        }
    }
    panic!("there is room for everything");
}

/// Fills the disk of a database, on which `ballast` is a file.
async fn a_disk_fills_up(store: &Store, ballast: &Path) {
    record(store, "e0", "0", 0).await;
    let run = claimed(store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    let (events, error) = fill(store).await;
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(error.to_string().contains("free space, then try again") && !error.is_retryable(), "{error}");
    // Nothing is partially written, and stored data can be read.
    assert_eq!(jobs(store).await, events);
    assert!(matches!(store.orders().get(&shop(), &events.to_string()).await, Ok(None)));
    assert!(store.orders().get(&shop(), "1").await.unwrap().is_some());
    let large = vec![7; 300 << 10];
    assert!(store.put(&shop(), large.clone(), "image/png").await.is_err());
    std::fs::remove_file(ballast).unwrap();
    store.put(&shop(), large, "image/png").await.unwrap();
    let refused = event(&format!("fill-{events}"), &events.to_string());
    store.orders().record_event(&shop(), &refused, &[job("expivi")], at(0)).await.unwrap();
    run.journal.append(1, &record_of("on", at(1))).await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    assert_eq!((jobs(store).await, store.outcomes().list(&shop(), "0").await.unwrap().len()), (events + 1, 1));
}

#[tokio::test]
async fn sqlite_on_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let name = "faults::sqlite_on_a_full_disk_says_so_and_goes_on_when_there_is_room";
    let Some(folder) = small_folder(name, "3m") else { return };
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let database = Database::at(format!("sqlite:{}", folder.join("store.db").display()));
    a_disk_fills_up(&database.open().await, &ballast).await;
}

#[tokio::test]
async fn postgres_on_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let name = "faults::postgres_on_a_full_disk_says_so_and_goes_on_when_there_is_room";
    let Some(folder) = small_folder(name, "16m") else { return };
    let Some(server) = a_server().await else { return };
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let space = folder.join("space");
    std::fs::create_dir(&space).unwrap();
    let database = Database::at(server.create_database());
    database.tamper(&format!("create tablespace small location '{}'", space.display())).await;
    database.tamper("create database small tablespace small").await;
    let small = Database::at(database.url.replace("/test_0?", "/small?"));
    assert_ne!(small.url, database.url);
    a_disk_fills_up(&small.open().await, &ballast).await;
}

/// Returns a server that a test may stop.
async fn a_server() -> Option<Server> {
    let started = tokio::task::spawn_blocking(|| Server::start("")).await.unwrap().expect("PostgreSQL starts");
    if started.is_none() {
        cartwright_test_postgres::shared();
    }
    started
}

/// Locks the database from the other process of the test below.
async fn hold_lock(url: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    connection.execute("begin immediate").await.unwrap();
    println!("locked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[tokio::test]
async fn a_database_that_another_process_keeps_locked_is_worth_another_try() {
    if let Ok(url) = std::env::var(LOCK) {
        return hold_lock(&url).await;
    }
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    record(&store, "e0", "0", 0).await;
    let run = claimed(&store, 0).await;
    let name = "faults::a_database_that_another_process_keeps_locked_is_worth_another_try";
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(LOCK, &database.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output_lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(output_lines.any(|line| line.unwrap().contains("locked")));
    let began_at = Instant::now();
    let error = store.orders().record_event(&shop(), &event("e1", "1"), &[job("expivi")], at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("try again"), "{error}");
    assert!(began_at.elapsed() >= Duration::from_secs(5), "another writer is waited for");
    // Reads continue in the meantime.
    assert_eq!(store.orders().get(&shop(), "1").await.unwrap(), None);
    assert!(matches!(run.journal.append(0, &began(at(0))).await, Err(JournalError::Store(_))));
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    goes_on(&store, &run, 0).await;
}

/// Checks that the failed work is done, once.
async fn goes_on(store: &Store, run: &Claim, position: usize) {
    assert_eq!(jobs(store).await, 1);
    store.orders().record_event(&shop(), &event("e1", "1"), &[job("expivi")], at(0)).await.unwrap();
    for entry in position..2 {
        let record = if entry == 0 { began(at(0)) } else { record_of("on", at(1)) };
        run.journal.append(entry, &record).await.unwrap();
    }
    assert_eq!(run.journal.load().await.unwrap().records.len(), 2);
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(2)).await.unwrap();
    assert_eq!(claimed(store, 3).await.job.event.id, "e1");
}

#[tokio::test]
async fn a_server_that_is_gone_is_worth_another_try_and_found_again() {
    let Some(server) = a_server().await else { return };
    let database = Database::at(server.create_database());
    let store = database.open().await;
    record(&store, "e0", "0", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    let server = Arc::new(server);
    let stopped = server.clone();
    tokio::task::spawn_blocking(move || stopped.stop()).await.unwrap();
    for _ in 0..3 {
        let event = event("e1", "1");
        let recorded = store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap_err();
        let found = store.orders().get(&shop(), "0").await.unwrap_err();
        let ended = store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap_err();
        for error in [recorded, found, ended] {
            assert!(matches!(error, StoreError::Unavailable(_)) && error.is_retryable(), "{error:?}");
            assert!(error.to_string().contains("try again"), "{error}");
        }
        let written = run.journal.append(1, &record_of("on", at(1))).await;
        assert!(matches!(written, Err(JournalError::Store(_))), "{written:?}");
    }
    tokio::task::spawn_blocking({
        let server = server.clone();
        move || server.start_again()
    })
    .await
    .unwrap();
    goes_on(&store, &run, 1).await;
}

#[tokio::test]
async fn a_server_that_goes_away_under_writers_loses_and_doubles_nothing() {
    let Some(server) = a_server().await else { return };
    let database = Database::at(server.create_database());
    let store = database.open().await;
    let server = Arc::new(server);
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut tries = 0;
            for number in 0..100 {
                let event = event(&format!("e{writer}-{number}"), &format!("{writer}-{}", number % 5));
                // Recording the same event twice has no further effect, so that an uncertain caller records it again.
                while let Err(error) = store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await {
                    assert!(error.is_retryable(), "{error:?}");
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            tries
        })
    });
    let writers: Vec<_> = writers.collect();
    let crashing = server.clone();
    tokio::task::spawn_blocking(move || {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(300));
            crashing.stop();
            std::thread::sleep(Duration::from_millis(500));
            crashing.start_again();
        }
    })
    .await
    .unwrap();
    let mut tries = 0;
    for writer in writers {
        tries += writer.await.unwrap();
    }
    assert!(tries > 0, "the server was away, but nothing was written meanwhile");
    assert_eq!(jobs(&store).await, 400);
    eprintln!("400 events recorded with {tries} more tries, over two crashes of the server");
}

/// Returns a server, a network in front of it, and a store that reaches it over the network on several connections.
async fn over_a_network() -> Option<(Arc<Server>, Forwarder, Store)> {
    let server = Arc::new(a_server().await?);
    let network = Forwarder::start(&server).unwrap();
    let store = Database::at(network.address(&server.create_database())).open().await;
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { record(&store, &format!("w{number}"), &format!("w{number}"), 0).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    Some((server, network, store))
}

async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(what).await.unwrap()
}

#[tokio::test]
async fn after_a_failover_no_connection_stays_on_the_server_that_only_reads() {
    let Some((primary, network, store)) = over_a_network().await else { return };
    let following = primary.clone();
    let standby = blocking(move || following.start_standby().unwrap()).await;
    store.check().await.unwrap();
    // The primary is taken out of service. Connections to it stay open, and can be read from.
    let replaced = primary.clone();
    blocking(move || replaced.set_read_only(true)).await;
    let unready = loop {
        match store.check().await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    assert!(matches!(unready, StoreError::Unavailable(_)) && unready.to_string().contains("is read-only"), "{unready}");
    assert!(unready.to_string().contains("primary"), "{unready}");
    // A writer now waits for a server that accepts the write.
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.orders().record_event(&shop(), &event("e1", "1"), &[job("expivi")], at(0)).await }
    });
    let standby = blocking(move || {
        standby.promote();
        standby
    })
    .await;
    network.set_target(&standby);
    let failover_at = Instant::now();
    writing.await.unwrap().unwrap();
    store.check().await.unwrap();
    assert!(failover_at.elapsed() < Duration::from_secs(5), "{:?}", failover_at.elapsed());
    // Every connection is to the new primary, which has the data of the old one.
    for number in 0..20 {
        record(&store, &format!("after-{number}"), &format!("after-{number}"), 0).await;
    }
    assert_eq!(jobs(&store).await, 27);
}

#[tokio::test]
async fn connections_that_fall_silent_are_replaced_within_seconds() {
    let Some((_server, network, store)) = over_a_network().await else { return };
    network.drop_traffic();
    let silent = Instant::now();
    record(&store, "e1", "1", 0).await;
    assert!(silent.elapsed() < Duration::from_secs(4), "{:?}", silent.elapsed());
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_garbled_answer_is_an_error_of_the_connection_and_of_nothing_else() {
    let Some((_server, network, store)) = over_a_network().await else { return };
    let mut failed = 0;
    // Whichever response is lost: of the check of a connection, of a statement, of a transaction's beginning or its
    // end.
    for answers in 0..12 {
        network.garble_after(answers);
        let (event, order) = (format!("g{answers}"), format!("g{answers}"));
        while !network.has_garbled() {
            match recorded(&store, &event, &order).await {
                Err(error) => {
                    assert!(
                        matches!(error, StoreError::Unavailable(_)) && error.is_retryable(),
                        "{answers}: {error:?}"
                    );
                    failed += 1;
                }
                Ok(_) => drop(store.orders().get(&shop(), &order).await),
            }
        }
        recorded(&store, &event, &order).await.unwrap();
    }
    assert!(failed > 3, "{failed}");
    assert_eq!(jobs(&store).await, 18);
}

/// Records an event, unless it is already recorded.
async fn recorded(store: &Store, id: &str, order: &str) -> Result<RecordOutcome, StoreError> {
    store.orders().record_event(&shop(), &event(id, order), &[job("expivi")], at(0)).await
}
