//! The JSON form of jobs, journals and outcomes, which is the same on the command line and over HTTP.

use cartwright::durable::{Answer, Call, Entry, Record, ResponsibleParty, RetryCounters};
use cartwright::types::Outcome;
use cartwright::{AccountId, Digest, ShopId, timestamp};
use cartwright_store::{JobDetail, JobState, JobSummary, StoredOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::describe_entry;

/// A job: one order event that one account has to handle.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDocument {
    /// Id of the job.
    pub id: String,
    /// Shop of the order.
    pub shop: ShopId,
    /// Order id of the platform.
    pub order: String,
    /// Account that handles the event.
    pub account: AccountId,
    /// Id of the event.
    pub event: String,
    /// Kind of the event, as the contract spells it.
    pub kind: String,
    /// Component that handles the event.
    pub plugin: Digest,
    /// State of the job.
    #[schema(value_type = JobStateName)]
    pub state: &'static str,
    /// Time at which the job continues by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub due_at: Option<String>,
    /// Number of failures since the job last progressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<RetryCounters>,
    /// Whether cancellation was requested while it runs.
    pub is_cancelling: bool,
    /// Job that blocks its lane.
    pub blocked_by: Option<String>,
    /// Worker that runs the job, or ran it last.
    pub worker: Option<String>,
    /// Time at which the event was recorded.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time of the last change.
    #[schema(format = DateTime)]
    pub changed_at: String,
}

/// The state of a job.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum JobStateName {
    Queued,
    Running,
    Sleeping,
    Waiting,
    Retrying,
    NeedsMerchant,
    Stopped,
    Done,
    Cancelled,
}

impl From<&JobSummary> for JobDocument {
    fn from(job: &JobSummary) -> Self {
        let (due_at, failures) = match job.state {
            JobState::Queued { due: due_at } => (Some(due_at), None),
            JobState::Sleeping { until } => (Some(until), None),
            JobState::Retrying { counters: failures, until } => (Some(until), Some(failures)),
            _ => (None, None),
        };
        Self {
            id: job.id.clone(),
            shop: job.shop.clone(),
            order: job.order.clone(),
            account: job.account.clone(),
            event: job.event.clone(),
            kind: job.kind.clone(),
            plugin: job.plugin,
            state: job.state.name(),
            due_at: due_at.map(timestamp),
            failures,
            is_cancelling: job.is_cancelling,
            blocked_by: job.blocked_by.clone(),
            worker: job.worker.clone(),
            created_at: timestamp(job.created),
            changed_at: timestamp(job.changed),
        }
    }
}

/// A job with its journals and outcomes.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDetailDocument {
    #[serde(flatten)]
    job: JobDocument,
    /// Reason for the state.
    reason: Option<StateReasonDocument>,
    /// Journals, oldest first.
    journals: Vec<JournalDocument>,
    /// Outcomes that the job reported, in sequence.
    outcomes: Vec<OutcomeDocument>,
}

impl From<&JobDetail> for JobDetailDocument {
    fn from(detail: &JobDetail) -> Self {
        let journal = |(number, records): &(u32, Vec<Record>)| JournalDocument {
            journal: *number,
            entries: records.iter().enumerate().map(|(position, record)| EntryDocument::of(position, record)).collect(),
        };
        Self {
            job: (&detail.summary).into(),
            reason: detail.reason.as_ref().map(|reason| StateReasonDocument {
                text: reason.text.clone(),
                responsible: reason.responsible,
                detail: reason.detail.clone(),
            }),
            journals: detail.journals.iter().map(journal).collect(),
            outcomes: detail.outcomes.iter().map(OutcomeDocument::from).collect(),
        }
    }
}

/// The reason for a job's state.
#[derive(Debug, Serialize, ToSchema)]
struct StateReasonDocument {
    /// Text for people.
    text: String,
    /// Party that can fix the problem, if the job does not continue by itself.
    responsible: Option<ResponsibleParty>,
    /// Details as JSON, if there are any: the limit, the call that differed, the request.
    detail: serde_json::Value,
}

/// The calls of a job, request by request, without bodies.
#[derive(Debug, Serialize, ToSchema)]
struct JournalDocument {
    /// Number of the journal.
    journal: u32,
    /// Entries of the journal.
    entries: Vec<EntryDocument>,
}

/// An entry of a journal.
#[derive(Debug, Serialize, ToSchema)]
struct EntryDocument {
    /// Position in the journal.
    position: usize,
    /// Time at which it was written.
    #[schema(format = DateTime)]
    at: String,
    /// Kind of entry.
    kind: String,
    /// Description of the entry.
    label: String,
    /// Call of the plugin that the entry belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    call: Option<Call>,
    /// For a request: the number of attempts, including this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// For a response: its HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// For a response: the number of attempts of its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// For a request without a response: whether it may have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    may_have_arrived: Option<bool>,
}

impl EntryDocument {
    fn of(position: usize, record: &Record) -> Self {
        let (kind, label) = describe_entry(&record.entry);
        let mut entry = Self {
            position,
            at: timestamp(record.at),
            kind,
            label,
            call: None,
            attempt: None,
            status: None,
            attempts: None,
            may_have_arrived: None,
        };
        match &record.entry {
            Entry::Intent { call, attempt, .. } => (entry.call, entry.attempt) = (Some(call.clone()), Some(*attempt)),
            Entry::Responded { answer: Answer::Returned(response), .. } => {
                (entry.status, entry.attempts) = (Some(response.status), Some(response.attempts));
            }
            Entry::Responded { may_have_arrived, .. } => entry.may_have_arrived = Some(*may_have_arrived),
            Entry::Returned { call, .. } | Entry::SleepStarted { call, .. } => entry.call = Some(call.clone()),
            _ => {}
        }
        entry
    }
}

/// An outcome that a plugin reported for an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeDocument {
    /// Id of the outcome; later outcomes have higher ids.
    id: i64,
    /// Time of the report.
    #[schema(format = DateTime)]
    at: String,
    /// Account that reported it.
    account: AccountId,
    /// Job that reported it; `null` = a webhook.
    job: Option<String>,
    /// Version of the order at the time of the report.
    order_version: u64,
    /// Whether the outcome needs attention.
    needs_attention: bool,
    /// Whether the outcome is late, so that it changes nothing: a status that the line had already passed, or a
    /// shipment as it was before a known change.
    is_late: bool,
    /// The outcome.
    outcome: Outcome,
}

impl From<&StoredOutcome> for OutcomeDocument {
    fn from(outcome: &StoredOutcome) -> Self {
        Self {
            id: outcome.id,
            at: timestamp(outcome.at),
            account: outcome.account.clone(),
            job: outcome.job.clone(),
            order_version: outcome.order_version,
            needs_attention: outcome.needs_attention,
            is_late: outcome.is_late,
            outcome: outcome.outcome.clone(),
        }
    }
}
