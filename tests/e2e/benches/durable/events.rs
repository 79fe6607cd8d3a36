//! Events from their report to their end. Each event's hook sends two requests to an ERP system and records two
//! outcomes: ten commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cartwright::SystemClock;
use cartwright_e2e::load::Load;
use cartwright_e2e::orders::forwarded;
use sqlx::{AnyConnection, Connection};

use super::floor::{Erp, WrittenRows, open, write};
use super::{Databases, median, micros};

const EVENTS: usize = 300;
const ROUNDS: usize = 3;
/// Events before the measurement, which load code and open connections.
const WARM_UP_EVENTS: usize = 32;
/// The maximum number of jobs that a worker runs concurrently.
const SIDE_BY_SIDE: usize = 16;

/// Two points for each commit: before and after it.
static POINTS: AtomicU64 = AtomicU64::new(0);

fn count_point() {
    POINTS.fetch_add(1, Ordering::Relaxed);
}

/// Microseconds per event.
#[derive(Default)]
struct Times {
    reported_micros: Vec<f64>,
    handled_micros: Vec<f64>,
}

impl Times {
    fn add(&mut self, reported_micros: f64, handled_micros: f64) {
        self.reported_micros.push(reported_micros / EVENTS as f64);
        self.handled_micros.push(handled_micros / EVENTS as f64);
    }
}

pub async fn print(databases: &Databases) {
    let (mut ours, mut floor, mut commits) = (Times::default(), Times::default(), 0);
    for round in 0..ROUNDS {
        let database = databases.fresh(&format!("events-{round}"));
        let load = Load::new(&database).await;
        load.store.on_commit(count_point);
        hosted(&load, EVENTS..EVENTS + WARM_UP_EVENTS).await;
        POINTS.store(0, Ordering::Relaxed);
        let (reported_micros, handled_micros) = hosted(&load, 0..EVENTS).await;
        commits = POINTS.load(Ordering::Relaxed) / 2;
        ours.add(reported_micros, handled_micros);
        let (reported_micros, handled_micros) =
            bare(&load, &database, &databases.fresh(&format!("events-floor-{round}"))).await;
        floor.add(reported_micros, handled_micros);
    }
    let [ours_in, ours_off] = [ours.reported_micros, ours.handled_micros].map(median);
    let [floor_in, floor_off] = [floor.reported_micros, floor.handled_micros].map(median);
    println!("  events, {ROUNDS} rounds of {EVENTS}, {:.2} commits each", commits as f64 / EVENTS as f64);
    let line = |what: &str, ours: f64, floor: f64| {
        println!("    {what:<29} {ours:>8.0} µs   {:.2} of the floor's {floor:.0}", ours / floor);
    };
    line("reported, one by one", ours_in, floor_in);
    line("worked off, 16 side by side", ours_off, floor_off);
    line("both", ours_in + ours_off, floor_in + floor_off);
    println!("    that is {:.0} events a second worked off, floor {:.0}", 1e6 / ours_off, 1e6 / floor_off);
}

/// Measures the host.
async fn hosted(load: &Load, numbers: std::ops::Range<usize>) -> (f64, f64) {
    let clock = Arc::new(SystemClock);
    let done = if numbers.start == 0 { EVENTS + WARM_UP_EVENTS } else { WARM_UP_EVENTS };
    let began = Instant::now();
    for number in numbers {
        load.report(number, forwarded("now", "{}"), &*clock).await;
    }
    let reported_micros = micros(began);
    let began = Instant::now();
    let worker = load.worker(clock);
    load.wait_for_state(done, "done").await;
    let handled_micros = micros(began);
    worker.drain(Duration::ZERO).await;
    (reported_micros, handled_micros)
}

/// Measures the floor: the same rows in another database, the same requests to the same ERP system.
async fn bare(load: &Load, from: &str, to: &str) -> (f64, f64) {
    let mut connection = AnyConnection::connect(from).await.expect("a connection");
    let mut written = Vec::new();
    for number in 0..EVENTS {
        let order = WrittenRows::of(&mut connection, &number.to_string()).await;
        assert_eq!((order.entries.len(), order.outcomes.len()), (7, 2), "began, and twice a request and a note");
        written.push(order);
    }
    let (pool, written) = (open(to).await, Arc::new(written));
    let began = Instant::now();
    for order in &*written {
        order.report(&pool).await;
    }
    let reported_micros = micros(began);
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..SIDE_BY_SIDE)
        .map(|_| {
            let (pool, written, next, erp) = (pool.clone(), written.clone(), next.clone(), load.erp.clone());
            tokio::spawn(async move {
                let mut erp = Erp::at(&erp).await;
                while let Some(order) = written.get(next.fetch_add(1, Ordering::Relaxed)) {
                    order.claim(&pool).await;
                    write(&pool, &order.entries[..1]).await;
                    for (entries, outcome) in order.entries[1..].chunks(3).zip(&order.outcomes) {
                        write(&pool, &entries[..1]).await;
                        erp.post().await;
                        write(&pool, &entries[1..2]).await;
                        write(&pool, [&entries[2], outcome]).await;
                    }
                    order.finish(&pool).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    (reported_micros, micros(began))
}
