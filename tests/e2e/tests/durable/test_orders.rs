//! A test order: even a hook that does not check `order.test` sends nothing.

use std::sync::Arc;

use cartwright::Failure;
use cartwright::durable::{Job, MemoryJournal, RunEnd, StopReason, retry};
use cartwright::types::{CallError, OrderEventKind, Outcome, Refusal};
use cartwright_e2e::orders::forwarded;

use crate::erp::Erp;

fn trying_out(erp: &Erp, kind: OrderEventKind) -> Job {
    let mut event = erp.event("1", kind);
    event.order.test = true;
    erp.job_of(event)
}

#[tokio::test]
async fn what_would_change_something_at_the_vendors_is_denied_and_says_why_in_every_run() {
    let erp = Erp::new().await;
    // Sends the ERP system the time for any order.
    let job = trying_out(&erp, forwarded("now", "{}"));
    let journal = Arc::new(MemoryJournal::default());
    for _ in 0..2 {
        let end = erp.run(&job, &journal).await;
        let RunEnd::Stopped { reason: StopReason::Failed(Failure::PluginError(CallError::Denied(refusal))) } = end
        else {
            panic!("{end:?}")
        };
        let Refusal { what, text } = refusal;
        assert!(what == "test-order" && text.contains("test:shop:1") && text.contains("is a test order"), "{text}");
        retry(&*journal, &*erp.clock).await.expect("written");
    }
    assert!(erp.state().posted.is_empty());
}

#[tokio::test]
async fn what_changes_nothing_is_asked() {
    let erp = Erp::new().await;
    let (job, journal) = (trying_out(&erp, OrderEventKind::Released), Arc::new(MemoryJournal::default()));
    let end = erp.run(&job, &journal).await;
    assert!(matches!(end, RunEnd::Done), "{end:?}");
    let outcomes = journal.outcomes();
    assert!(
        matches!(&outcomes[..], [Outcome::Note(note)] if note.text.contains("The ERP system answers")),
        "{outcomes:?}"
    );
    assert!(erp.state().posted.is_empty());
}
