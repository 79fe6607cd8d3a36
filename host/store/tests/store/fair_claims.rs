//! Tests that accounts are served fairly.

use cartwright::durable::{RunEnd, Wake};
use cartwright::types::Outage;
use cartwright::{Failure, ShopId, durable};
use cartwright_store::{Claim, RecordOutcome, Store};

use crate::database::{Database, MINUTE, at, claim, claimed, event, job, on_each_database, record};

on_each_database!(
    a_backlog_of_one_account_delays_no_other_by_more_than_one_claim,
    one_account_alone_takes_every_run,
    accounts_take_turns_when_one_job_runs_at_a_time,
    a_backlog_that_begins_later_lets_the_others_take_turns,
    runs_of_all_workers_are_counted_together,
    whatever_else_makes_a_job_due_waits_for_the_turn_of_its_account,
    a_run_whose_worker_is_lost_is_not_in_progress,
    an_event_behind_a_sleeping_job_is_not_held_up_by_a_backlog,
    an_account_whose_jobs_wait_for_a_person_holds_up_nobody,
);

/// More jobs than a claim reads before it steps from account to account.
const BACKLOG: u64 = 60;

/// Records an event for an account, and returns the job's id.
async fn record_for(store: &Store, (shop, account): (&str, &str), id: &str, order: &str, seconds: u64) -> String {
    let shop: ShopId = shop.parse().unwrap();
    match store.orders().record_event(&shop, &event(id, order), &[job(account)], at(seconds)).await.unwrap() {
        RecordOutcome::New { jobs } => jobs.into_iter().next().unwrap(),
        RecordOutcome::AlreadyRecorded => panic!("{id} is known"),
    }
}

/// Records as many jobs of the account "expivi" as a busy shop reports at once, each of an order of its own.
async fn backlog(store: &Store) {
    for number in 0..BACKLOG {
        record(store, &format!("backlog-{number:02}"), &format!("backlog-{number:02}"), 0).await;
    }
}

/// Returns the shop and the account of a claim.
fn turn(claim: &Claim) -> (&str, &str) {
    (claim.job.shop.as_str(), claim.job.account.as_str())
}

async fn done(store: &Store, claim: &Claim, seconds: u64) {
    store.jobs().finish(&claim.lease, Ok(&RunEnd::Done), at(seconds)).await.unwrap();
}

async fn a_backlog_of_one_account_delays_no_other_by_more_than_one_claim(database: Database) {
    let store = database.open().await;
    backlog(&store).await;
    for _ in 0..4 {
        assert_eq!(turn(&claimed(&store, 1).await), ("shop", "expivi"));
    }
    let others = [("another", "expivi"), ("shop", "all"), ("shop", "twikit"), ("zoo", "expivi")];
    for (number, other) in (2..).zip(others) {
        record_for(&store, other, &format!("e{}", other.1), "1", number).await;
    }
    for other in others {
        assert_eq!(turn(&claimed(&store, 9).await), other);
    }
    // Each has one run in progress and nothing more that is due.
    assert_eq!(turn(&claimed(&store, 9).await), ("shop", "expivi"));
}

async fn one_account_alone_takes_every_run(database: Database) {
    let store = database.open().await;
    backlog(&store).await;
    let mut orders = Vec::new();
    for _ in 0..BACKLOG {
        orders.push(claimed(&store, 1).await.job.event.order.id);
    }
    assert!(claim(&store, 1).await.is_none());
    orders.sort();
    assert_eq!(orders, (0..BACKLOG).map(|number| format!("backlog-{number:02}")).collect::<Vec<_>>());
}

async fn accounts_take_turns_when_one_job_runs_at_a_time(database: Database) {
    let store = database.open().await;
    backlog(&store).await;
    for number in 1..=3 {
        record_for(&store, ("shop", "twikit"), &format!("e{number}"), &number.to_string(), number).await;
    }
    for second in [10, 20, 30] {
        for (later, account) in ["expivi", "twikit"].into_iter().enumerate() {
            let second = second + later as u64;
            let run = claimed(&store, second).await;
            assert_eq!(turn(&run), ("shop", account), "{second}");
            done(&store, &run, second).await;
        }
    }
    assert_eq!(turn(&claimed(&store, 40).await), ("shop", "expivi"));
}

async fn a_backlog_that_begins_later_lets_the_others_take_turns(database: Database) {
    let store = database.open().await;
    for number in 1..=3 {
        record_for(&store, ("shop", "twikit"), &format!("e{number}"), &number.to_string(), 0).await;
    }
    let first = claimed(&store, 0).await;
    backlog(&store).await;
    assert_eq!(turn(&claimed(&store, 1).await), ("shop", "expivi"));
    done(&store, &first, 2).await;
    assert_eq!(turn(&claimed(&store, 3).await), ("shop", "twikit"));
}

async fn runs_of_all_workers_are_counted_together(database: Database) {
    let (one, two) = (database.open().await, database.open().await);
    backlog(&one).await;
    let next = async |store: &Store, worker: &str, seconds| {
        let run = store.jobs().claim(worker, at(seconds), MINUTE).await.unwrap().unwrap();
        run.job.account.to_string()
    };
    for (store, worker) in [(&one, "one"), (&two, "two"), (&one, "one")] {
        assert_eq!(next(store, worker, 1).await, "expivi");
    }
    for number in 0..4 {
        record_for(&one, ("shop", "twikit"), &format!("e{number}"), &number.to_string(), 2).await;
    }
    for (store, worker) in [(&two, "two"), (&one, "one"), (&two, "two")] {
        assert_eq!(next(store, worker, 3).await, "twikit");
    }
    // Three runs each: the account whose last claim is older.
    assert_eq!(next(&two, "two", 4).await, "expivi");
    assert_eq!(next(&two, "two", 5).await, "twikit");
}

async fn whatever_else_makes_a_job_due_waits_for_the_turn_of_its_account(database: Database) {
    let store = database.open().await;
    for (second, name) in (0..).zip(["slept", "cancelled", "retried", "lost", "running"]) {
        record(&store, name, name, second).await;
    }
    let outage = Outage { retry_after_seconds: Some(1), detail: "the vendor is away".into() };
    let ends = [RunEnd::Sleep { until: at(10) }, RunEnd::Sleep { until: at(100_000) }, RunEnd::Retry { outage }];
    for end in &ends {
        let run = claimed(&store, 5).await;
        store.jobs().finish(&run.lease, Ok(end), at(5)).await.unwrap();
    }
    assert_eq!(claimed(&store, 5).await.job.event.id, "lost");
    let running = store.jobs().claim("worker", at(5), 100 * MINUTE).await.unwrap().unwrap();
    assert_eq!(running.job.event.id, "running");
    store.jobs().cancel("shop:expivi:cancelled", "ann", at(6)).await.unwrap();
    record_for(&store, ("shop", "twikit"), "e1", "1", 3599).await;
    assert_eq!(turn(&claimed(&store, 3600).await), ("shop", "twikit"));
    let mut left = 0;
    while let Some(run) = claim(&store, 3601).await {
        assert_eq!(turn(&run), ("shop", "expivi"));
        left += 1;
    }
    assert_eq!(left, 4);
}

async fn a_run_whose_worker_is_lost_is_not_in_progress(database: Database) {
    let store = database.open().await;
    for number in ["1", "2"] {
        record(&store, number, number, 0).await;
        claimed(&store, 0).await;
    }
    for number in ["3", "4"] {
        record_for(&store, ("shop", "twikit"), number, number, 1).await;
    }
    assert_eq!(turn(&claimed(&store, 30).await), ("shop", "twikit"));
    // The leases of "expivi" expire now: it has no run in progress, "twikit" has one.
    assert_eq!(turn(&claimed(&store, 60).await), ("shop", "expivi"));
}

async fn an_event_behind_a_sleeping_job_is_not_held_up_by_a_backlog(database: Database) {
    let store = database.open().await;
    let sleeping = record_for(&store, ("shop", "twikit"), "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(100_000) }), at(1)).await.unwrap();
    backlog(&store).await;
    assert_eq!(turn(&claimed(&store, 2).await), ("shop", "expivi"));
    record_for(&store, ("shop", "twikit"), "e2", "1", 3).await;
    let woken = claimed(&store, 4).await;
    assert_eq!((woken.job.id.as_str(), woken.wake), (sleeping.as_str(), Wake::EventWaiting));
}

async fn an_account_whose_jobs_wait_for_a_person_holds_up_nobody(database: Database) {
    let store = database.open().await;
    for number in 0..BACKLOG {
        record(&store, &format!("e{number:02}"), "1", 0).await;
    }
    let run = claimed(&store, 0).await;
    let trapped = RunEnd::Stopped { reason: durable::StopReason::Failed(Failure::Trap("unreachable".into())) };
    store.jobs().finish(&run.lease, Ok(&trapped), at(1)).await.unwrap();
    assert!(claim(&store, 2).await.is_none());
    record_for(&store, ("shop", "twikit"), "other", "2", 3).await;
    assert_eq!(turn(&claimed(&store, 4).await), ("shop", "twikit"));
    assert!(claim(&store, 5).await.is_none());
}
