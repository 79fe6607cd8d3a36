//! Tests of events, lanes, leases, and operations on jobs.

use std::time::Duration;

use cartwright::durable::{
    self, Entry, Journal, JournalError, ResponsibleParty, RunEnd, RunError, UnansweredRequest, Wake,
};
use cartwright::types::OrderEventKind;
use cartwright::{Failure, SetupError, ShopId};
use cartwright_store::{JobFilter, JobState, JobStateKind, RecordOutcome, RetryMode, Store, StoreError};

use crate::database::{
    Database, MINUTE, account, at, claim, claimed, event, event_of, job, on_each_database, order, record, shop,
};
use crate::journals::{began, record_of};

on_each_database!(
    the_same_event_twice_does_nothing_twice,
    one_event_is_told_to_each_account_side_by_side,
    events_of_one_order_run_in_order_and_orders_side_by_side,
    a_stopped_job_holds_its_lane_until_somebody_decides,
    a_lease_that_ran_out_passes_the_job_on_and_fences_the_old_worker,
    a_heartbeat_keeps_the_job,
    many_workers_never_share_a_job_or_a_lane,
    a_sleeping_job_wakes_at_its_time,
    a_sleeping_job_wakes_early_when_another_event_of_its_order_waits,
    a_job_that_makes_way_comes_back_behind_the_others,
    an_unanswered_request_waits_for_the_merchant_and_can_be_gone_on_with,
    a_cancelled_job_is_told_when_it_waits_and_ends_at_once_when_it_does_not,
    a_running_job_learns_from_its_heartbeat_that_it_is_cancelled,
    a_job_that_is_done_can_be_restarted_and_keeps_its_journals,
    a_run_that_could_not_be_made_is_shown_to_the_operator,
    a_job_that_is_given_back_is_another_workers_at_once,
    a_cancelled_job_that_is_not_sure_waits_for_the_merchant,
    jobs_are_listed_by_what_they_are,
    jobs_are_counted_while_they_are_not_over,
    one_job_that_cannot_be_read_does_not_hold_up_the_others,
    an_old_worker_that_ends_in_time_is_not_overtaken,
    a_job_that_loses_worker_after_worker_is_stopped_and_explained,
);

async fn state(store: &Store, id: &str) -> JobState {
    store.jobs().get(id).await.unwrap().summary.state
}

fn trapped() -> RunEnd {
    RunEnd::Stopped { reason: durable::StopReason::Failed(Failure::Trap("unreachable".into())) }
}

async fn jobs_are_counted_while_they_are_not_over(database: Database) {
    let store = database.open().await;
    for number in ["1", "2", "3"] {
        store.orders().record_event(&shop(), &event(number, number), &[job("expivi")], at(0)).await.unwrap();
    }
    let done = claimed(&store, 0).await;
    store.jobs().finish(&done.lease, Ok(&RunEnd::Done), at(0)).await.unwrap();
    let _running = claimed(&store, 0).await;
    let counted = store.jobs().count_by_state().await.unwrap();
    let some: Vec<_> = counted.iter().filter(|(_, jobs)| *jobs > 0).copied().collect();
    assert_eq!(some, [(JobStateKind::Queued, 1), (JobStateKind::Running, 1)]);
    assert_eq!(counted.len(), 7, "each state is told, also when there is none: {counted:?}");
}

async fn the_same_event_twice_does_nothing_twice(database: Database) {
    let store = database.open().await;
    let jobs = [job("expivi")];
    let first = store.orders().record_event(&shop(), &event("e1", "1"), &jobs, at(0)).await.unwrap();
    assert_eq!(first, RecordOutcome::New { jobs: vec!["shop:expivi:e1".into()] });
    assert_eq!(
        store.orders().record_event(&shop(), &event("e1", "1"), &jobs, at(1)).await.unwrap(),
        RecordOutcome::AlreadyRecorded
    );
    assert_eq!(store.jobs().list(&JobFilter::default(), 10).await.unwrap().len(), 1);
    // An event of another shop is another event.
    let other: ShopId = "other".parse().unwrap();
    assert_ne!(
        store.orders().record_event(&other, &event("e1", "1"), &jobs, at(1)).await.unwrap(),
        RecordOutcome::AlreadyRecorded
    );
}

async fn one_event_is_told_to_each_account_side_by_side(database: Database) {
    let store = database.open().await;
    store.orders().record_event(&shop(), &event("e1", "1"), &[job("expivi"), job("twikit")], at(0)).await.unwrap();
    let (one, two) = (claimed(&store, 0).await, claimed(&store, 0).await);
    assert_ne!(one.job.account, two.job.account);
    for claim in [one, two] {
        let lines: Vec<_> = claim.job.event.order.lines.iter().map(|line| line.account.clone().unwrap()).collect();
        assert_eq!(lines, [claim.job.account.to_string()]);
    }
}

async fn events_of_one_order_run_in_order_and_orders_side_by_side(database: Database) {
    let store = database.open().await;
    for (event, order) in [("e1", "1"), ("e2", "1"), ("e3", "2"), ("e4", "1")] {
        record(&store, event, order, 0).await;
    }
    let first = claimed(&store, 0).await;
    let beside = claimed(&store, 0).await;
    assert_eq!((first.job.event.id.as_str(), beside.job.event.id.as_str()), ("e1", "e3"));
    assert!(claim(&store, 0).await.is_none());
    assert_eq!(store.jobs().finish(&first.lease, Ok(&RunEnd::Done), at(1)).await.unwrap(), JobState::Done);
    let second = claimed(&store, 1).await;
    assert_eq!(second.job.event.id, "e2");
    store.jobs().finish(&second.lease, Ok(&RunEnd::Done), at(2)).await.unwrap();
    assert_eq!(claimed(&store, 2).await.job.event.id, "e4");
}

async fn a_stopped_job_holds_its_lane_until_somebody_decides(database: Database) {
    let store = database.open().await;
    let first = record(&store, "e1", "1", 0).await;
    let second = record(&store, "e2", "1", 0).await;
    let run = claimed(&store, 0).await;
    assert_eq!(store.jobs().finish(&run.lease, Ok(&trapped()), at(1)).await.unwrap(), JobState::Stopped);
    assert!(claim(&store, 1000).await.is_none());
    let detail = store.jobs().get(&first).await.unwrap();
    assert_eq!(detail.reason.unwrap().text, "the guest trapped: unreachable");
    assert_eq!(store.jobs().get(&second).await.unwrap().summary.blocked_by, Some(first.clone()));
    store.jobs().cancel(&first, "ann", at(1001)).await.unwrap();
    assert_eq!(state(&store, &first).await, JobState::Cancelled);
    assert_eq!(claimed(&store, 1001).await.job.id, second);
}

async fn a_lease_that_ran_out_passes_the_job_on_and_fences_the_old_worker(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let old = store.jobs().claim("old", at(0), MINUTE).await.unwrap().unwrap();
    old.journal.append(0, &began(at(0))).await.unwrap();
    assert!(claim(&store, 59).await.is_none());
    let new = store.jobs().claim("new", at(60), MINUTE).await.unwrap().unwrap();
    assert_eq!((new.job.id.as_str(), new.lease.fencing_token), (old.job.id.as_str(), old.lease.fencing_token + 1));
    let late = old.journal.append(1, &record_of("late", at(61))).await;
    assert_eq!(late, Err(JournalError::Superseded));
    assert!(matches!(store.jobs().heartbeat(&old.lease, at(61), MINUTE).await, Err(StoreError::LeaseLost(_))));
    assert!(matches!(store.jobs().finish(&old.lease, Ok(&RunEnd::Done), at(61)).await, Err(StoreError::LeaseLost(_))));
    assert!(matches!(store.jobs().release(&old.lease, at(61)).await, Err(StoreError::LeaseLost(_))));
    new.journal.append(1, &record_of("in time", at(62))).await.unwrap();
    store.jobs().finish(&new.lease, Ok(&RunEnd::Done), at(63)).await.unwrap();
    // The lease has ended, for the new worker too.
    assert_eq!(new.journal.append(2, &record_of("after", at(64))).await, Err(JournalError::Superseded));
    assert!(store.outcomes().list(&shop(), "1").await.unwrap().iter().all(|said| said.at == at(62)));
}

async fn a_heartbeat_keeps_the_job(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let heartbeat = store.jobs().heartbeat(&run.lease, at(50), MINUTE).await.unwrap();
    assert_eq!((heartbeat.lease.until, heartbeat.cancelled), (at(110), false));
    assert!(claim(&store, 100).await.is_none());
    assert!(claim(&store, 110).await.is_some());
}

async fn many_workers_never_share_a_job_or_a_lane(database: Database) {
    let store = database.open().await;
    for number in 0..24 {
        record(&store, &format!("e{number:02}"), &(number % 4).to_string(), 0).await;
    }
    let workers = (0..6).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut ran = Vec::new();
            loop {
                match store.jobs().claim(&format!("worker-{worker}"), at(1), MINUTE).await {
                    Ok(Some(run)) => {
                        tokio::time::sleep(Duration::from_millis(3)).await;
                        store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
                        ran.push(run.job.event.id);
                    }
                    Ok(None)
                        if store
                            .jobs()
                            .list(&JobFilter { state: Some(JobStateKind::Done), ..JobFilter::default() }, 100)
                            .await
                            .unwrap()
                            .len()
                            == 24 =>
                    {
                        return ran;
                    }
                    Ok(None) => tokio::time::sleep(Duration::from_millis(3)).await,
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        })
    });
    let mut ran = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        ran.extend(worker.await.unwrap());
    }
    ran.sort();
    assert_eq!(ran, (0..24).map(|number| format!("e{number:02}")).collect::<Vec<_>>());
}

async fn a_sleeping_job_wakes_at_its_time(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let days = 90 * 24 * 3600;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(days) }), at(1)).await.unwrap();
    assert_eq!(state(&store, &id).await, JobState::Sleeping { until: at(days) });
    assert!(claim(&store, days - 1).await.is_none());
    assert_eq!(claimed(&store, days).await.wake, Wake::Due);
}

async fn a_sleeping_job_wakes_early_when_another_event_of_its_order_waits(database: Database) {
    let store = database.open().await;
    let first = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(1000) }), at(1)).await.unwrap();
    record(&store, "e2", "2", 2).await;
    let other = claimed(&store, 2).await;
    assert_eq!(other.job.event.order.id, "2");
    assert!(claim(&store, 2).await.is_none());
    record(&store, "e3", "1", 3).await;
    let woken = claimed(&store, 3).await;
    assert_eq!((woken.job.id.as_str(), woken.wake), (first.as_str(), Wake::EventWaiting));
}

async fn a_job_that_makes_way_comes_back_behind_the_others(database: Database) {
    let store = database.open().await;
    let first = record(&store, "e1", "1", 0).await;
    record(&store, "e2", "1", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    let again = RunEnd::ContinueLater { seconds: 60, state: "so far".into() };
    assert_eq!(store.jobs().finish(&run.lease, Ok(&again), at(1)).await.unwrap(), JobState::Queued { due: at(61) });
    let second = claimed(&store, 2).await;
    assert_eq!(second.job.event.id, "e2");
    // It is due, and the other has not ended.
    assert!(claim(&store, 61).await.is_none());
    store.jobs().finish(&second.lease, Ok(&RunEnd::Done), at(62)).await.unwrap();
    let back = claimed(&store, 62).await;
    assert_eq!((back.job.id.as_str(), back.job.round, back.job.state.as_deref()), (first.as_str(), 1, Some("so far")));
    assert!(back.journal.load().await.unwrap().records.is_empty());
    assert_eq!(store.jobs().get(&first).await.unwrap().journals[0].1.len(), 1);
}

async fn an_unanswered_request_waits_for_the_merchant_and_can_be_gone_on_with(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    let unanswered = UnansweredRequest { request: "POST https://vendor.example/orders".into(), attempts: 1 };
    store.jobs().finish(&run.lease, Ok(&RunEnd::NeedsMerchant { unanswered }), at(1)).await.unwrap();
    assert_eq!(state(&store, &id).await, JobState::NeedsMerchant);
    assert!(store.jobs().get(&id).await.unwrap().reason.unwrap().text.contains("POST https://vendor.example/orders"));
    assert!(claim(&store, 100_000).await.is_none());
    store.jobs().retry(&id, RetryMode::Resume, "ann", at(100_000)).await.unwrap();
    let run = claimed(&store, 100_000).await;
    let records = run.journal.load().await.unwrap().records;
    assert!(matches!(records.last().unwrap().entry, Entry::Retried { .. }), "{records:?}");
    let entry = store.audit().entries(Some(&shop()), None, 1).await.unwrap().pop().unwrap();
    assert_eq!(
        (entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str()),
        ("ann", "retry-job", id.as_str())
    );
}

async fn a_cancelled_job_is_told_when_it_waits_and_ends_at_once_when_it_does_not(database: Database) {
    let store = database.open().await;
    let sleeping = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(1000) }), at(1)).await.unwrap();
    let queued = record(&store, "e2", "2", 2).await;
    store.jobs().cancel(&queued, "ann", at(3)).await.unwrap();
    assert_eq!(state(&store, &queued).await, JobState::Cancelled);
    store.jobs().cancel(&sleeping, "ann", at(3)).await.unwrap();
    assert!(store.jobs().get(&sleeping).await.unwrap().summary.is_cancelling);
    let run = claimed(&store, 4).await;
    assert_eq!((run.job.id.as_str(), run.wake), (sleeping.as_str(), Wake::Cancelled));
    store.jobs().finish(&run.lease, Ok(&RunEnd::Cancelled { unanswered: None }), at(5)).await.unwrap();
    assert_eq!(state(&store, &sleeping).await, JobState::Cancelled);
    assert!(claim(&store, 10_000).await.is_none());
}

async fn a_running_job_learns_from_its_heartbeat_that_it_is_cancelled(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.jobs().cancel(&id, "ann", at(1)).await.unwrap();
    let heartbeat = store.jobs().heartbeat(&run.lease, at(2), MINUTE).await.unwrap();
    assert!(heartbeat.cancelled);
    // It stopped before it could be notified.
    store.jobs().finish(&heartbeat.lease, Ok(&trapped()), at(3)).await.unwrap();
    assert_eq!(state(&store, &id).await, JobState::Cancelled);
}

async fn a_job_that_is_done_can_be_restarted_and_keeps_its_journals(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    run.journal.append(1, &record_of("made", at(0))).await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    assert!(matches!(store.jobs().retry(&id, RetryMode::Resume, "ann", at(2)).await, Err(StoreError::Conflict(_))));
    store.jobs().retry(&id, RetryMode::Restart, "ann", at(2)).await.unwrap();
    let run = claimed(&store, 2).await;
    assert!(matches!(store.jobs().retry(&id, RetryMode::Restart, "ann", at(2)).await, Err(StoreError::Conflict(_))));
    assert!(run.journal.load().await.unwrap().records.is_empty());
    run.journal.append(0, &began(at(2))).await.unwrap();
    run.journal.append(1, &record_of("made", at(2))).await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(3)).await.unwrap();
    let detail = store.jobs().get(&id).await.unwrap();
    assert_eq!(
        detail.journals.iter().map(|(number, records)| (*number, records.len())).collect::<Vec<_>>(),
        [(0, 2), (1, 2)]
    );
    // Reported twice, applied once.
    assert_eq!(detail.outcomes.len(), 1);
}

async fn a_run_that_could_not_be_made_is_shown_to_the_operator(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let error = RunError::Setup(SetupError::UnknownShop(shop()));
    assert_eq!(store.jobs().finish(&run.lease, Err(&error), at(0)).await.unwrap(), JobState::Stopped);
    let reason = store.jobs().get(&id).await.unwrap().reason.unwrap();
    assert_eq!((reason.text.as_str(), reason.responsible), ("shop shop not found", Some(ResponsibleParty::Operator)));
}

async fn a_job_that_is_given_back_is_another_workers_at_once(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    record(&store, "e2", "1", 0).await;
    for round in 0..7 {
        let run = claimed(&store, round).await;
        assert_eq!(run.job.id, id);
        store.jobs().release(&run.lease, at(round)).await.unwrap();
        assert!(matches!(
            store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(round)).await,
            Err(StoreError::LeaseLost(_))
        ));
        assert_eq!(run.journal.append(0, &began(at(round))).await, Err(JournalError::Superseded));
    }
    // No worker was lost.
    assert_eq!(claimed(&store, 8).await.job.id, id);
}

async fn a_cancelled_job_that_is_not_sure_waits_for_the_merchant(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.jobs().cancel(&id, "ann", at(1)).await.unwrap();
    let unanswered = Some(UnansweredRequest { request: "POST https://vendor.example/orders".into(), attempts: 1 });
    let end = RunEnd::Cancelled { unanswered };
    assert_eq!(store.jobs().finish(&run.lease, Ok(&end), at(2)).await.unwrap(), JobState::NeedsMerchant);
    store.jobs().cancel(&id, "ann", at(3)).await.unwrap();
    assert_eq!(state(&store, &id).await, JobState::Cancelled);
}

async fn jobs_are_listed_by_what_they_are(database: Database) {
    let store = database.open().await;
    for (number, order_id) in ["1", "1", "2"].into_iter().enumerate() {
        let event = event_of(&format!("e{number}"), OrderEventKind::Paid, order(order_id, number as u64));
        let at = at(number as u64);
        store.orders().record_event(&shop(), &event, &[job("expivi"), job("twikit")], at).await.unwrap();
    }
    claimed(&store, 9).await;
    let list = async |filter: JobFilter| {
        let jobs = store.jobs().list(&filter, 100).await.unwrap();
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(list(JobFilter::default()).await.len(), 6);
    assert_eq!(
        list(JobFilter { order: Some("2".into()), ..JobFilter::default() }).await,
        ["shop:expivi:e2", "shop:twikit:e2"]
    );
    assert_eq!(list(JobFilter { account: Some(account("twikit")), ..JobFilter::default() }).await.len(), 3);
    assert_eq!(
        list(JobFilter { state: Some(JobStateKind::Running), ..JobFilter::default() }).await,
        ["shop:expivi:e0"]
    );
    assert_eq!(list(JobFilter { shop: Some("other".parse().unwrap()), ..JobFilter::default() }).await.len(), 0);
    let first = store.jobs().list(&JobFilter::default(), 4).await.unwrap();
    let after = first.last().map(|job| job.id.clone());
    assert_eq!(list(JobFilter { after, ..JobFilter::default() }).await, ["shop:expivi:e2", "shop:twikit:e2"]);
    assert_eq!(first[0].kind, "paid");
    assert!(matches!(store.jobs().get("nobody").await, Err(StoreError::NotFound { .. })));
}

async fn one_job_that_cannot_be_read_does_not_hold_up_the_others(database: Database) {
    let store = database.open().await;
    let forgotten = record(&store, "e1", "1", 0).await;
    let good = record(&store, "e2", "2", 1).await;
    database.tamper("update orders set order_key = null where id = '1'").await;
    assert_eq!(claimed(&store, 2).await.job.id, good);
    let stopped = JobFilter { state: Some(JobStateKind::Stopped), ..JobFilter::default() };
    assert_eq!(store.jobs().list(&stopped, 10).await.unwrap()[0].id, forgotten);
    let entry = store.audit().entries(None, None, 1).await.unwrap().pop().unwrap();
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("job-unreadable", forgotten.as_str()));
    assert!(matches!(store.orders().get(&shop(), "1").await, Err(StoreError::Erased(_))));
}

async fn an_old_worker_that_ends_in_time_is_not_overtaken(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let slow = claimed(&store, 0).await;
    // Its lease has expired, but no other worker claimed the job.
    assert_eq!(store.jobs().finish(&slow.lease, Ok(&RunEnd::Done), at(100)).await.unwrap(), JobState::Done);
    assert!(claim(&store, 101).await.is_none());
}

async fn a_job_that_loses_worker_after_worker_is_stopped_and_explained(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    for hour in 0..5 {
        assert_eq!(claimed(&store, hour * 3600).await.job.id, id);
    }
    assert!(claim(&store, 5 * 3600).await.is_none());
    assert_eq!(state(&store, &id).await, JobState::Stopped);
    assert!(store.jobs().get(&id).await.unwrap().reason.unwrap().text.contains("lost 5 times"));
    store.jobs().retry(&id, RetryMode::Resume, "ann", at(6 * 3600)).await.unwrap();
    assert_eq!(claimed(&store, 6 * 3600).await.job.id, id);
    assert_eq!(claimed(&store, 7 * 3600).await.job.id, id);
}
