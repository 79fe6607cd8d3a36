//! What was done about an order, by whom and when: its events, each plugin's runs, requests and waits, what vendors sent and what
//! came of it all, in one line of time. Bodies are not in it.

use std::time::SystemTime;

use cartwright::describe;
use cartwright::durable::{Answer, Entry, Record};
use cartwright::types::{OrderLine, Outcome, Woken};
use cartwright_store::{JobDetail, OrderNotice, RecordedEvent, StoredOutcome};
use maud::{Markup, html};

use super::words::{describe_outcome, happened, when};

/// One thing that happened.
struct Moment {
    at: SystemTime,
    /// Is it a step of a job, of interest where something went wrong?
    is_step: bool,
    /// The account that did it; `None` for an event of the order.
    who: Option<String>,
    what: Markup,
}

/// Everything that is known of an order's history.
pub(super) struct History<'a> {
    pub(super) events: &'a [RecordedEvent],
    pub(super) notices: &'a [OrderNotice],
    pub(super) jobs: &'a [JobDetail],
    pub(super) outcomes: &'a [StoredOutcome],
    /// The items of the order, for their titles.
    pub(super) lines: &'a [OrderLine],
}

impl History<'_> {
    pub(super) fn draw(&self) -> Markup {
        let mut moments = self.moments();
        // Stable: of one moment, causes stand before what came of them.
        moments.sort_by_key(|moment| moment.at);
        let (steps, events): (Vec<Moment>, Vec<Moment>) = moments.into_iter().partition(|moment| moment.is_step);
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

    fn moments(&self) -> Vec<Moment> {
        let event = |event: &RecordedEvent| Moment {
            at: event.at,
            is_step: false,
            who: None,
            what: html! { (happened(&event.kind)) " " span.mark { "version " (event.order_version) } },
        };
        let notice = |notice: &OrderNotice| Moment {
            at: notice.at,
            is_step: false,
            who: Some(notice.account.to_string()),
            what: html! {
                "Webhook received at " (notice.endpoint)
                @if let Some(status) = notice.status { ", response " (status) }
                @if notice.times > 1 { ", delivered " (notice.times) " times" }
            },
        };
        let outcome = |outcome: &StoredOutcome| Moment {
            at: outcome.at,
            is_step: false,
            who: Some(outcome.account.to_string()),
            what: html! {
                (describe_outcome(&outcome.outcome, self.lines))
                @if outcome.held { " " span.state.bad { "Needs attention" } }
                @if outcome.late { " " span.mark { "Late: changes nothing" } }
            },
        };
        let mut moments: Vec<Moment> = self.events.iter().map(event).collect();
        moments.extend(self.notices.iter().map(notice));
        for job in self.jobs {
            for (number, records) in &job.journals {
                moments.extend(of_journal(job, *number, records));
            }
        }
        // What a plugin remembers is between it and itself.
        let told = self.outcomes.iter().filter(|said| !matches!(said.outcome, Outcome::Remember(_)));
        moments.extend(told.map(outcome));
        moments.extend(self.jobs.iter().filter_map(end));
        moments
    }
}

/// What happened, the newest first.
fn list(moments: &[Moment]) -> Markup {
    html! {
        ol.timeline {
            @for Moment { at, who, what, .. } in moments.iter().rev() {
                li {
                    (when(*at))
                    strong { @match who { Some(who) => (who), None => "Order" } } " · " (what)
                }
            }
        }
    }
}

/// What a job came to, when it does not go on by itself.
fn end(job: &JobDetail) -> Option<Moment> {
    let event = happened(&job.summary.kind);
    let what = match job.summary.state.name() {
        "done" => html! { "Finished: " (event) },
        "cancelled" => html! { "Cancelled: " (event) },
        name @ ("stopped" | "needs-merchant") => html! {
            span.state.bad { @if name == "stopped" { "Failed" } @else { "Action required" } } " " (event)
            @if let Some(why) = &job.why { ": " (why.text) }
        },
        _ => return None,
    };
    Some(Moment { at: job.summary.changed, is_step: false, who: Some(job.summary.account.to_string()), what })
}

fn of_journal(job: &JobDetail, number: u32, records: &[Record]) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (position, record) in records.iter().enumerate() {
        let what = match &record.entry {
            Entry::Began(_) => html! {
                @if number == 0 { "Started: " } @else { "Restarted: " } (happened(&job.summary.kind))
            },
            Entry::Intent { call, attempt, .. } => html! {
                "Sent " code { (call.about) } ", " (answer(records.get(position + 1)))
                @if *attempt > 1 { " " span.mark { "attempt " (attempt) } }
            },
            Entry::Slept { until, .. } => html! { "Scheduled to continue at " (when(*until)) },
            Entry::Woke { why } => html! {
                "Continued: "
                @match why {
                    Woken::Elapsed => "scheduled time reached",
                    Woken::EventWaiting => "another event of the order is waiting",
                    Woken::JobCancelled => "job cancelled",
                }
            },
            Entry::Retried { .. } => html! { "Retried" },
            // What an answer belongs to is told with its request; outcomes are told as they stand; the catalogue and the like are
            // the job's page's.
            Entry::Answered { .. } | Entry::Told { .. } | Entry::Emitted { .. } => continue,
        };
        moments.push(Moment { at: record.at, is_step: true, who: Some(job.summary.account.to_string()), what });
    }
    moments
}

fn answer(next: Option<&Record>) -> Markup {
    match next.map(|record| &record.entry) {
        Some(Entry::Answered { answer: Answer::Given(response), .. }) => html! { "response " (response.status) },
        Some(Entry::Answered { answer: Answer::Failed(error), may_have_arrived }) => html! {
            "no response: " (describe(error))
            @if *may_have_arrived { "; it may have arrived" }
        },
        _ => html! { "no response yet" },
    }
}
