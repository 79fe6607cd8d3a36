//! Jobs, journals and outcomes as JSON, the same from the command line and over HTTP.

use std::time::SystemTime;

use cartwright::durable::{Answer, Call, Entry, Record, ResponsibleParty, RetryCounters};
use cartwright::types::Outcome;
use cartwright::{AccountId, Digest, ShopId};
use cartwright_store::{JobDetail, JobState, JobSummary, StoredOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::describe_entry;

/// RFC 3339 in UTC, to the second.
pub fn moment(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .and_then(|at| at.round(jiff::Unit::Second))
        .map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}

/// A plugin's job: one account's part in one event of one order.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDocument {
    /// Its id.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// The platform's id of the order.
    pub order: String,
    /// The account.
    pub account: AccountId,
    /// The event's id.
    pub event: String,
    /// What happened, as the contract spells it.
    pub kind: String,
    /// The component that handles it.
    pub plugin: Digest,
    /// How far it has come.
    #[schema(value_type = JobStateName)]
    pub state: &'static str,
    /// When it goes on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub due_at: Option<String>,
    /// How often it failed since it last got further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<RetryCounters>,
    /// Was it cancelled while it ran?
    pub is_cancelling: bool,
    /// The job that it waits for.
    pub blocked_by: Option<String>,
    /// The worker that has it, or had it last.
    pub worker: Option<String>,
    /// When its event was recorded.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it changed last.
    #[schema(format = DateTime)]
    pub changed_at: String,
}

/// How far a job has come.
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
            due_at: due_at.map(moment),
            failures,
            is_cancelling: job.is_cancelling,
            blocked_by: job.blocked_by.clone(),
            worker: job.worker.clone(),
            created_at: moment(job.created),
            changed_at: moment(job.changed),
        }
    }
}

/// Everything about a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDetailDocument {
    #[serde(flatten)]
    job: JobDocument,
    /// Why it is in its state.
    reason: Option<StateReasonDocument>,
    /// Its journals, the earliest first.
    journals: Vec<JournalDocument>,
    /// What it said, in order.
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

/// Why a job is in its state.
#[derive(Debug, Serialize, ToSchema)]
struct StateReasonDocument {
    /// For people.
    text: String,
    /// Who can mend it, when it does not go on by itself.
    responsible: Option<ResponsibleParty>,
    /// The same as JSON, where there is more to say: the limit, the call that differed, the request.
    detail: serde_json::Value,
}

/// What a job did, request by request, without bodies.
#[derive(Debug, Serialize, ToSchema)]
struct JournalDocument {
    /// Its number.
    journal: u32,
    /// Its entries.
    entries: Vec<EntryDocument>,
}

/// One entry of a journal.
#[derive(Debug, Serialize, ToSchema)]
struct EntryDocument {
    /// Its place.
    position: usize,
    /// When it was written.
    #[schema(format = DateTime)]
    at: String,
    /// What it is.
    kind: String,
    /// What is to be said about it.
    label: String,
    /// The call of the plugin that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    call: Option<Call>,
    /// Of a request: how often it has been sent with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// Of an answer: its HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Of an answer: how often its request was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Of a request without an answer: may it have arrived?
    #[serde(skip_serializing_if = "Option::is_none")]
    may_have_arrived: Option<bool>,
}

impl EntryDocument {
    fn of(position: usize, record: &Record) -> Self {
        let (kind, label) = describe_entry(&record.entry);
        let mut entry = Self {
            position,
            at: moment(record.at),
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

/// Something that a plugin said of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeDocument {
    /// Its number; grows.
    id: i64,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// The account that said it.
    account: AccountId,
    /// The job in which; none = a webhook's answer said it.
    job: Option<String>,
    /// The order's version when it was said.
    order_version: u64,
    /// Does it wait for a person?
    needs_attention: bool,
    /// Did it come too late to change anything? A status that the line had left behind, or a shipment as it was before.
    is_late: bool,
    /// What was said.
    outcome: Outcome,
}

impl From<&StoredOutcome> for OutcomeDocument {
    fn from(outcome: &StoredOutcome) -> Self {
        Self {
            id: outcome.id,
            at: moment(outcome.at),
            account: outcome.account.clone(),
            job: outcome.job.clone(),
            order_version: outcome.order_version,
            needs_attention: outcome.needs_attention,
            is_late: outcome.is_late,
            outcome: outcome.outcome.clone(),
        }
    }
}
