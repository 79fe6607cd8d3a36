//! The journal of a durable run, and the contract that a store must meet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::outcome::production_state;
use cartwright_contract::platform::Blobs;
use cartwright_contract::records::{CallError, Context, HttpRequest, Outcome, RetrySafety, StoredBody, WakeReason};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

/// Maximum number of entries of a journal, because a run reads all of them. A hook that needs more returns
/// `continue-later`.
pub const MAX_JOURNAL_ENTRIES: usize = 500;
/// Maximum size of a result that is stored in the journal itself, in bytes. Larger ones are stored as blobs.
pub(crate) const MAX_INLINE_BYTES: usize = 64 << 10;
/// Maximum length of a call's label, in characters.
const MAX_LABEL_CHARS: usize = 300;

/// The journal of one round of a job. A store creates one for each run, and can attach its lease to it.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Returns all entries, in order.
    ///
    /// # Errors
    ///
    /// Returns an error if the store is unavailable.
    async fn load(&self) -> Result<Loaded, JournalError>;

    /// Appends an entry. The entry is durable when this returns; nothing else about a run is.
    ///
    /// `position` is the number of entries before it, so that only one of two runs of a job continues. An
    /// [`Entry::Emitted`] is applied in the same transaction, unless its key was applied before: the outcome must be
    /// visible to `order-book.find` and to webhooks when this returns.
    ///
    /// # Errors
    /// Returns [`JournalError::Superseded`] if another entry has this position, or if another worker owns the job now.
    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError>;

    /// Returns the blob store of the run, for large results, documents, and response bodies that the plugin does not
    /// read. A store that erases an order by destroying its key returns one that encrypts with that key. `None` uses
    /// the platform's.
    fn blobs(&self) -> Option<Arc<dyn Blobs>> {
        None
    }
}

/// The stored contents of a journal.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The entries, in order.
    pub records: Vec<Record>,
    /// How often each request may have reached a vendor in earlier journals of the job: the sums of
    /// [`Loaded::attempts`].
    pub earlier_attempts: BTreeMap<Digest, u32>,
}

/// A journal entry could not be read or written. The run ends; another run continues from what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another run has taken over this journal.
    #[error("another run has taken over this journal")]
    Superseded,
    /// The journal is full. The job can be restarted with a fresh one.
    #[error("the journal holds {MAX_JOURNAL_ENTRIES} entries")]
    Full,
    /// The store failed, or its contents cannot be read.
    #[error("the journal's store: {0}")]
    Store(String),
    /// A call cannot be serialized, so that no other call could be compared with it. This is a fault of the host.
    #[error("a call of the plugin cannot be serialized: {0}; report this as a fault of the host")]
    Unwritable(String),
}

/// An entry with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the entry was written. The guest's clock is not earlier than this afterwards.
    #[serde(with = "crate::durable::clock::rfc3339_milliseconds")]
    pub at: SystemTime,
    /// What was recorded.
    pub entry: Entry,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The first entry: the inputs that all runs of this journal share.
    RunStart(RunStart),
    /// A request is about to be sent. The entry is written before each attempt.
    Intent {
        /// The request.
        call: Call,
        /// Whether the request may be sent twice.
        retry_safety: RetrySafety,
        /// Number of this attempt, counted over all journals of the job.
        attempt: u32,
    },
    /// The result of the preceding request.
    Responded {
        /// The result.
        answer: Answer<JournaledResponse>,
        /// Whether the request may have reached the server.
        may_have_arrived: bool,
    },
    /// The call and result of another import.
    Returned {
        /// The call.
        call: Call,
        /// The result as JSON.
        answer: Answer<JournaledBytes>,
    },
    /// The plugin emitted an outcome.
    Emitted {
        /// Key of the outcome, equal in all runs of one round. A store applies each key once, so that a retry does not
        /// repeat an outcome.
        key: String,
        /// The outcome. A large document is stored as a blob.
        outcome: Outcome,
    },
    /// The plugin began to sleep.
    SleepStarted {
        /// The call.
        call: Call,
        /// The end of the sleep.
        #[serde(with = "crate::durable::clock::rfc3339_milliseconds")]
        until: SystemTime,
    },
    /// The preceding sleep ended.
    SleepEnded {
        /// The reason.
        reason: WakeReason,
    },
    /// A retry: all calls after the first `kept_calls` are made again.
    Retried {
        /// Number of calls that keep their results. A request that follows them directly keeps its intent.
        kept_calls: usize,
    },
}

impl Entry {
    /// Returns the name of the variant, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunStart(_) => "run-start",
            Self::Intent { .. } => "intent",
            Self::Responded { .. } => "responded",
            Self::Returned { .. } => "returned",
            Self::Emitted { .. } => "emitted",
            Self::SleepStarted { .. } => "sleep-started",
            Self::SleepEnded { .. } => "sleep-ended",
            Self::Retried { .. } => "retried",
        }
    }
}

/// Inputs that all runs of a journal share. Changed settings do not affect a job that has begun; revoked grants do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// The context, settings included.
    pub context: Context,
    /// Whether personal data was granted.
    pub personal_data: bool,
}

/// A call of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Call {
    /// Name of the import, such as "http.send".
    pub import: String,
    /// Label for people, truncated.
    pub label: String,
    /// Digest of all arguments. Calls with equal digests are equal.
    pub digest: Digest,
}

impl Call {
    /// Creates the record of a call.
    ///
    /// # Errors
    /// Returns [`JournalError::Unwritable`].
    pub(crate) fn new(import: &str, label: &str, arguments: &impl Serialize) -> Result<Self, JournalError> {
        let arguments = serde_json::to_vec(arguments).map_err(|error| JournalError::Unwritable(error.to_string()))?;
        let label: String = label.chars().take(MAX_LABEL_CHARS).collect();
        let digest = Digest::of(&[import.as_bytes(), b"\0", label.as_bytes(), b"\0", &arguments].concat());
        Ok(Self { import: import.to_owned(), label, digest })
    }

    /// Creates the record of a request. Its body is represented by the digest of the whole: it would be four times as
    /// long in JSON, and equal bytes from other sources are the same request.
    ///
    /// # Errors
    /// Returns [`JournalError::Unwritable`].
    pub(crate) fn http(request: &HttpRequest, body_digest: &str) -> Result<Self, JournalError> {
        let HttpRequest { method, url, headers, body: _, auth, timeout_ms, retry_safety, store_body, extra } = request;
        let arguments = (headers, auth, timeout_ms, retry_safety, store_body, extra, body_digest);
        let mut call = Self::new("http.send", &format!("{method} {url}"), &arguments)?;
        // The label is truncated, so the digest must cover the full URL.
        call.digest = Digest::of(&[call.digest.as_bytes(), url.as_bytes()].concat());
        Ok(call)
    }

    pub(crate) fn emit(outcome: &Outcome) -> Result<Self, JournalError> {
        let kind = match outcome {
            Outcome::Note(message) => format!("note {}", message.key),
            Outcome::VendorReference(named) => format!("vendor-reference {}", named.reference),
            Outcome::LineStatus(line) => format!("line-status {} {}", line.line, line.status),
            Outcome::Production(production) => format!("production {}", production_state(production.state)),
            Outcome::Shipment(_) => "shipment".to_owned(),
            Outcome::Document(document) => format!("document {}", document.name),
            Outcome::BillOfMaterials(_) => "bill-of-materials".to_owned(),
            Outcome::NeedsMerchant(message) => format!("needs-merchant {}", message.key),
            Outcome::SetMemo(memory) => format!("set-memo {}", memory.name),
            Outcome::PushSettings(_) => "push-settings".to_owned(),
            Outcome::Forward(named) => format!("forward {}", named.name),
            Outcome::Other(named) => format!("other {}", named.name),
        };
        Self::new("outcomes.emit", &kind, outcome)
    }

    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.import, self.label)
    }
}

/// Result of an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer<T> {
    /// The import returned a value.
    Returned(T),
    /// The import returned an error of the contract.
    Failed(CallError),
}

/// A recorded response. It contains no secret: what a server echoes was redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournaledResponse {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: JournaledBody,
    /// The number of attempts, as reported to the plugin.
    pub attempts: u32,
}

/// The body of a recorded response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournaledBody {
    /// The plugin received the bytes.
    Inline(JournaledBytes),
    /// The plugin received the digest of stored bytes.
    Stored(StoredBody),
}

/// Bytes of a journal entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournaledBytes {
    /// UTF-8 text.
    Text(String),
    /// Other bytes.
    Bytes(#[serde(with = "in_base64")] Vec<u8>),
    /// Bytes that are stored as a blob.
    Blob(Digest),
}

mod in_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Writes an entry, in a span with the kind of the entry.
pub(super) async fn write(journal: &dyn Journal, position: usize, record: &Record) -> Result<(), JournalError> {
    let span = tracing::info_span!("journal_step", entry = record.entry.name(), position);
    journal.append(position, record).instrument(span).await
}

/// Returns bytes in the form in which a journal stores them.
pub(super) async fn journaled_bytes(
    blobs: &Arc<dyn Blobs>,
    shop: &ShopId,
    bytes: Vec<u8>,
    media_type: &str,
) -> JournaledBytes {
    // A result that cannot be stored as a blob is stored inline: too long is better than lost.
    if bytes.len() > MAX_INLINE_BYTES
        && let Ok(digest) = blobs.put(shop, bytes.clone(), media_type).await
    {
        return JournaledBytes::Blob(digest);
    }
    match String::from_utf8(bytes) {
        Ok(text) => JournaledBytes::Text(text),
        Err(error) => JournaledBytes::Bytes(error.into_bytes()),
    }
}
