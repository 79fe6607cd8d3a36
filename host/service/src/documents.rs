//! Jobs, journals and outcomes as JSON, the same from the command line and over HTTP.

use std::time::SystemTime;

use cartwright::durable::{Answer, Call, Entry, Record, Tries, Who};
use cartwright::types::Outcome;
use cartwright::{AccountId, Digest, ShopId};
use cartwright_store::{JobDetail, JobState, JobSummary, StoredOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::shown;

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
    pub due: Option<String>,
    /// How often it failed since it last got further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<Tries>,
    /// Was it cancelled while it ran?
    pub cancelling: bool,
    /// The job that it waits for.
    pub behind: Option<String>,
    /// The worker that has it, or had it last.
    pub worker: Option<String>,
    /// When its event was recorded.
    #[schema(format = DateTime)]
    pub created: String,
    /// When it changed last.
    #[schema(format = DateTime)]
    pub changed: String,
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
        let (due, tries) = match job.state {
            JobState::Queued { due } => (Some(due), None),
            JobState::Sleeping { until } => (Some(until), None),
            JobState::Retrying { tries, until } => (Some(until), Some(tries)),
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
            due: due.map(moment),
            tries,
            cancelling: job.cancelling,
            behind: job.behind.clone(),
            worker: job.worker.clone(),
            created: moment(job.created),
            changed: moment(job.changed),
        }
    }
}

/// Everything about a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDetailDocument {
    #[serde(flatten)]
    job: JobDocument,
    /// Why it is in its state.
    why: Option<WhyDocument>,
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
            why: detail.why.as_ref().map(|why| WhyDocument {
                text: why.text.clone(),
                who: why.who,
                detail: why.detail.clone(),
            }),
            journals: detail.journals.iter().map(journal).collect(),
            outcomes: detail.outcomes.iter().map(OutcomeDocument::from).collect(),
        }
    }
}

/// Why a job is in its state.
#[derive(Debug, Serialize, ToSchema)]
struct WhyDocument {
    /// For people.
    text: String,
    /// Who can mend it, when it does not go on by itself.
    who: Option<Who>,
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
    what: String,
    /// What is to be said about it.
    about: String,
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
        let (what, about) = shown(&record.entry);
        let mut entry = Self {
            position,
            at: moment(record.at),
            what,
            about,
            call: None,
            attempt: None,
            status: None,
            attempts: None,
            may_have_arrived: None,
        };
        match &record.entry {
            Entry::Intent { call, attempt, .. } => (entry.call, entry.attempt) = (Some(call.clone()), Some(*attempt)),
            Entry::Answered { answer: Answer::Given(response), .. } => {
                (entry.status, entry.attempts) = (Some(response.status), Some(response.attempts));
            }
            Entry::Answered { may_have_arrived, .. } => entry.may_have_arrived = Some(*may_have_arrived),
            Entry::Told { call, .. } | Entry::Slept { call, .. } => entry.call = Some(call.clone()),
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
    held: bool,
    /// Did it come too late to change anything? A status that the line had left behind, or a shipment as it was before.
    late: bool,
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
            held: outcome.held,
            late: outcome.late,
            outcome: outcome.outcome.clone(),
        }
    }
}
