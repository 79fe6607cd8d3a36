//! The timeline of an order: its events, each plugin's runs, requests and waits, webhooks and outcomes, in order of
//! time. Bodies are not shown.

use std::time::SystemTime;

use cartwright::describe;
use cartwright::durable::{Answer, Entry, Record};
use cartwright::types::{OrderLine, Outcome, WakeReason};
use cartwright_store::{JobDetail, JobState, OrderWebhook, RecordedEvent, StoredOutcome};
use maud::{Markup, html};

use super::text::{describe_outcome, event_text, time};

/// An entry of the timeline.
struct TimelineEntry {
    at: SystemTime,
    /// Whether it is a technical step of a job, which matters only for finding an error.
    is_step: bool,
    /// The account that acted; `None` for an event of the order.
    account: Option<String>,
    text: Markup,
}

/// The records of an order's history.
pub(super) struct OrderHistory<'a> {
    pub(super) events: &'a [RecordedEvent],
    pub(super) deliveries: &'a [OrderWebhook],
    pub(super) jobs: &'a [JobDetail],
    pub(super) outcomes: &'a [StoredOutcome],
    /// The items of the order, for their titles.
    pub(super) lines: &'a [OrderLine],
}

impl OrderHistory<'_> {
    pub(super) fn render(&self) -> Markup {
        let mut entries = self.entries();
        // A stable sort: causes stay before their effects at the same time.
        entries.sort_by_key(|entry| entry.at);
        let (steps, events): (Vec<TimelineEntry>, Vec<TimelineEntry>) =
            entries.into_iter().partition(|entry| entry.is_step);
        html! {
            (list(&events))
            @if !steps.is_empty() {
                details {
                    summary { "Technical steps (" (steps.len()) ")" }
                    (list(&steps))
                }
            }
        }
    }

    fn entries(&self) -> Vec<TimelineEntry> {
        let event = |event: &RecordedEvent| TimelineEntry {
            at: event.at,
            is_step: false,
            account: None,
            text: html! { (event_text(&event.kind)) " " span.mark { "version " (event.order_version) } },
        };
        let delivery = |delivery: &OrderWebhook| TimelineEntry {
            at: delivery.at,
            is_step: false,
            account: Some(delivery.account.to_string()),
            text: html! {
                "Webhook received at " (delivery.endpoint)
                @if let Some(status) = delivery.status { ", response " (status) }
                @if delivery.attempts > 1 { ", delivered " (delivery.attempts) " times" }
            },
        };
        let outcome = |outcome: &StoredOutcome| TimelineEntry {
            at: outcome.at,
            is_step: false,
            account: Some(outcome.account.to_string()),
            text: html! {
                (describe_outcome(&outcome.outcome, self.lines))
                @if outcome.needs_attention { " " span.state.bad { "Needs attention" } }
                @if outcome.is_late { " " span.mark { "Late: changes nothing" } }
            },
        };
        let mut entries: Vec<TimelineEntry> = self.events.iter().map(event).collect();
        entries.extend(self.deliveries.iter().map(delivery));
        for job in self.jobs {
            for (number, records) in &job.journals {
                entries.extend(of_journal(job, *number, records));
            }
        }
        // Memos are between a plugin and itself.
        let visible = self.outcomes.iter().filter(|stored| !matches!(stored.outcome, Outcome::SetMemo(_)));
        entries.extend(visible.map(outcome));
        entries.extend(self.jobs.iter().filter_map(end));
        entries
    }
}

/// Draws the entries, the newest first.
fn list(entries: &[TimelineEntry]) -> Markup {
    html! {
        ol.timeline {
            @for TimelineEntry { at, account, text, .. } in entries.iter().rev() {
                li {
                    (time(*at))
                    strong { @match account { Some(account) => (account), None => "Order" } } " · " (text)
                }
            }
        }
    }
}

/// Returns the end of a job that does not continue without a person.
fn end(job: &JobDetail) -> Option<TimelineEntry> {
    let event = event_text(&job.summary.kind);
    let text = match job.summary.state {
        JobState::Done => html! { "Finished: " (event) },
        JobState::Cancelled => html! { "Cancelled: " (event) },
        state @ (JobState::Stopped | JobState::NeedsMerchant) => html! {
            span.state.bad { @if state == JobState::Stopped { "Failed" } @else { "Action required" } } " " (event)
            @if let Some(reason) = &job.reason { ": " (reason.text) }
        },
        _ => return None,
    };
    Some(TimelineEntry {
        at: job.summary.changed,
        is_step: false,
        account: Some(job.summary.account.to_string()),
        text,
    })
}

fn of_journal(job: &JobDetail, number: u32, records: &[Record]) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for (position, record) in records.iter().enumerate() {
        let text = match &record.entry {
            Entry::RunStart(_) => html! {
                @if number == 0 { "Started: " } @else { "Restarted: " } (event_text(&job.summary.kind))
            },
            Entry::Intent { call, attempt, .. } => html! {
                "Sent " code { (call.label) } ", " (answer(records.get(position + 1)))
                @if *attempt > 1 { " " span.mark { "attempt " (attempt) } }
            },
            Entry::SleepStarted { until, .. } => html! { "Scheduled to continue at " (time(*until)) },
            Entry::SleepEnded { reason } => html! {
                "Continued: "
                @match reason {
                    WakeReason::Elapsed => "scheduled time reached",
                    WakeReason::EventWaiting => "another event of the order is waiting",
                    WakeReason::JobCancelled => "job cancelled",
                }
            },
            Entry::Retried { .. } => html! { "Retried" },
            // A response is shown with its request, an outcome in its own entry; catalog queries and the like are on
            // the job's page.
            Entry::Responded { .. } | Entry::Returned { .. } | Entry::Emitted { .. } => continue,
        };
        entries.push(TimelineEntry {
            at: record.at,
            is_step: true,
            account: Some(job.summary.account.to_string()),
            text,
        });
    }
    entries
}

fn answer(next: Option<&Record>) -> Markup {
    match next.map(|record| &record.entry) {
        Some(Entry::Responded { answer: Answer::Returned(response), .. }) => html! { "response " (response.status) },
        Some(Entry::Responded { answer: Answer::Failed(error), may_have_arrived }) => html! {
            "no response: " (describe(error))
            @if *may_have_arrived { "; it may have arrived" }
        },
        _ => html! { "no response yet" },
    }
}
