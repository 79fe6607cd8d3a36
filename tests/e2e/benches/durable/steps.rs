//! The steps of a journal, executed and replayed. Each step queries the catalog, which responds at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright::durable::{Cancel, Journal, RunEnd, RunInput};
use cartwright::types::{NamedJson, OrderEventKind};
use cartwright::{AccountId, AccountSetup, Clock, Grants, SystemClock};
use cartwright_e2e::load::Load;
use cartwright_e2e::{WEBHOOKS, members};
use cartwright_store::{Claim, Lines, NewJob, RecordOutcome};
use serde_json::json;
use sqlx::{AnyConnection, Connection};

use super::floor::{WrittenRows, open, write};
use super::{Databases, median, micros};

const STEPS: usize = 100;
const RUNS: usize = 21;

struct Asking {
    load: Load,
    job: NewJob,
}

impl Asking {
    async fn on(database: &str) -> Self {
        let load = Load::new(database).await;
        let plugin = load.host.install(WEBHOOKS, None).await.expect("the plugin").digest();
        let account: AccountId = "asking".parse().expect("an id");
        let settings = members(json!({ "signing-secret": "secret" }));
        let setup = AccountSetup { id: account.clone(), settings, grants: Grants::default() };
        load.host.set_account(&load.shop, plugin, setup).await.expect("an account");
        Self { load, job: NewJob { account, plugin, lines: Lines::All } }
    }

    /// Claims the job of an order whose hook makes this number of queries.
    async fn claim(&self, order: usize, steps: usize) -> Claim {
        let message = NamedJson { name: "ask".to_owned(), json: format!("resolve {steps}") };
        let event = self.load.event(order, OrderEventKind::Forwarded(message));
        let now = SystemClock.now();
        let recorded =
            self.load.store.orders().record_event(&self.load.shop, &event, std::slice::from_ref(&self.job), now).await;
        assert!(matches!(recorded, Ok(RecordOutcome::New { .. })), "{recorded:?}");
        self.load.store.jobs().claim("node", now, Duration::from_secs(3600)).await.expect("an answer").expect("the job")
    }

    /// Runs the job, for the first time or again.
    async fn run(&self, claim: &Claim) -> f64 {
        let (journal, clock) = (claim.journal.clone(), Arc::new(SystemClock));
        let start = RunInput { journal, clock, wake: claim.wake, cancel: Cancel::default() };
        let began = Instant::now();
        let run = self.load.host.run_job(&claim.job, start).await.expect("a run");
        let time = micros(began);
        assert!(matches!(run.end, RunEnd::Done), "{:?}", run.end);
        time
    }

    async fn finish(&self, claim: Claim) {
        let finished = self.load.store.jobs().finish(&claim.lease, Ok(&RunEnd::Done), SystemClock.now()).await;
        finished.expect("finished");
    }
}

pub async fn print(databases: &Databases) {
    let database = databases.fresh("steps");
    let asking = Asking::on(&database).await;
    let mut reader = AnyConnection::connect(&database).await.expect("a connection");
    let pool = open(&databases.fresh("steps-floor")).await;
    let mut times: [Vec<f64>; 6] = Default::default();
    let [step, bare_step, replay, empty_replay, opened, bare_rows] = &mut times;
    for number in 0..RUNS {
        // In turn, so that a change of the machine's speed affects all of them.
        let without = asking.claim(2 * number, 0).await;
        let none = asking.run(&without).await;
        empty_replay.push(asking.run(&without).await);
        asking.finish(without).await;

        let claim = asking.claim(2 * number + 1, STEPS).await;
        step.push((asking.run(&claim).await - none) / STEPS as f64);
        replay.push(asking.run(&claim).await);

        let began = Instant::now();
        let records = claim.journal.load().await.expect("a journal").records;
        opened.push(micros(began));
        assert_eq!(records.len(), STEPS + 1);

        let began = Instant::now();
        let rows = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "select position, record from journal_entries where job = $1 and journal = $2 order by position",
        );
        let rows = rows.bind(&claim.job.id).bind(0_i64).fetch_all(&mut reader).await.expect("rows");
        bare_rows.push(micros(began));
        assert_eq!(rows.len(), STEPS + 1);

        let written = WrittenRows::of(&mut reader, &(2 * number + 1).to_string()).await;
        written.report(&pool).await;
        write(&pool, &written.entries[..1]).await;
        let began = Instant::now();
        for entry in &written.entries[1..] {
            write(&pool, [entry]).await;
        }
        bare_step.push(micros(began) / STEPS as f64);
        asking.finish(claim).await;
    }
    let [step, bare_step, replay, empty_replay, opened, bare_rows] = times.map(median);
    println!("  a journal's step, answered and committed, {RUNS} runs of {STEPS}");
    println!(
        "    one step                      {step:>8.1} µs   {:.2} of the bare row's {bare_step:.1}",
        step / bare_step
    );
    println!("  replay of {STEPS} steps, a run of its own");
    println!(
        "    replayed                      {replay:>8.0} µs   {:.2} of reading and opening its rows",
        replay / opened
    );
    println!("    its rows read and opened      {opened:>8.0} µs   {:.2} of reading the same rows", opened / bare_rows);
    println!("    its rows read                 {bare_rows:>8.0} µs");
    println!("    a run that replays no step    {empty_replay:>8.0} µs");
}
