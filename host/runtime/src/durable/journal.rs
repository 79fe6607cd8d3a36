//! What a durable run leaves behind, and what a store must do with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::interfaces::http::Request;
use cartwright_contract::platform::Blobs;
use cartwright_contract::records::{BytesSource, Context, Error, Outcome, Repeat, StoredBody, Woken};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;

/// So many entries a journal holds at most: a run reads all of them. A hook that needs more returns `again`.
pub const MOST_ENTRIES: usize = 500;
/// Larger answers are kept among the blobs, and stand in the journal by digest.
pub(crate) const MOST_INLINE: usize = 64 << 10;
/// The longest that a call's readable text may be, in characters.
const LONGEST_TEXT: usize = 300;

/// The journal of one job between two `again`s. A store makes one for each run, and can put its lease into it.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Everything that was appended, in order.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn load(&self) -> Result<Loaded, JournalError>;

    /// Adds an entry; it stands when this returns. Nothing else about a run is durable.
    ///
    /// `position` is how many entries stand before it, so that of two runs of one job only one goes on. An
    /// [`Entry::Emitted`] is applied in the same transaction, unless its key was applied before: the outcome must be visible
    /// when this returns, to `order-book.find` and to webhooks.
    ///
    /// # Errors
    /// [`JournalError::Moved`] when another entry stands there, or the job is somebody else's by now.
    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError>;

    /// Where the run's bytes are kept: long answers, documents, bodies that go to the store unseen. A store that forgets an order
    /// by destroying its key gives a place that seals with that key. None = among the platform's.
    fn blobs(&self) -> Option<Arc<dyn Blobs>> {
        None
    }
}

/// What a store gives back.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The entries, in order.
    pub records: Vec<Record>,
    /// How often each request may have reached a vendor in earlier journals of the job: the sums of [`Loaded::attempts`].
    pub earlier_attempts: BTreeMap<Digest, u32>,
}

/// An entry could not be read or written. The run ends where it is; another run goes on from what stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another run writes this journal.
    #[error("another run goes on with this journal")]
    Moved,
    /// It holds as many entries as it may. The job can be restarted in a new one.
    #[error("the journal holds {MOST_ENTRIES} entries")]
    Full,
    /// The store failed, or what it holds cannot be read.
    #[error("the journal's store: {0}")]
    Store(String),
    /// A call cannot be written down, so nobody could tell it from another one. A fault of the host.
    #[error("a call of the plugin cannot be written down: {0}; report this as a fault of the host")]
    Unwritable(String),
}

/// An entry with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was written. The guest's clock is at least there afterwards.
    #[serde(with = "crate::durable::clock::moment")]
    pub at: SystemTime,
    /// What happened.
    pub entry: Entry,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The first entry: what all runs of this journal are given.
    Began(Began),
    /// A request is about to be sent. Written each time before it is.
    Intent {
        /// The request.
        call: Call,
        /// May it be sent twice?
        repeat: Repeat,
        /// The how-manieth time this may reach the vendor, over all journals of the job.
        attempt: u32,
    },
    /// What came of the request before it.
    Answered {
        /// The answer.
        answer: Answer<KeptResponse>,
        /// False when nothing of it can have left this host.
        may_have_arrived: bool,
    },
    /// Another import was asked and answered.
    Told {
        /// What was asked.
        call: Call,
        /// JSON of the answer.
        answer: Answer<Kept>,
    },
    /// The plugin said what came of something.
    Emitted {
        /// The same for the same outcome in every run of the job that stands between the same two `again`s. A store applies
        /// each key once, so that what is said again after a retry is not said twice.
        key: String,
        /// What it said. A long document stands among the blobs.
        outcome: Outcome,
    },
    /// The plugin waits.
    Slept {
        /// The wait.
        call: Call,
        /// Until when.
        #[serde(with = "crate::durable::clock::moment")]
        until: SystemTime,
    },
    /// The wait before it ended.
    Woke {
        /// Why.
        why: Woken,
    },
    /// The run ended with `unavailable`, or a person had it tried again: the calls from here on are asked anew.
    Retried {
        /// So many calls keep their answers. Where a request follows them directly, it keeps its intent.
        keep: usize,
    },
}

impl Entry {
    /// What kind it is, as its JSON form says.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Began(_) => "began",
            Self::Intent { .. } => "intent",
            Self::Answered { .. } => "answered",
            Self::Told { .. } => "told",
            Self::Emitted { .. } => "emitted",
            Self::Slept { .. } => "slept",
            Self::Woke { .. } => "woke",
            Self::Retried { .. } => "retried",
        }
    }
}

/// What all runs of a journal are given. Settings that change do not reach a job that has begun; grants that are taken away do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// The context, settings included.
    pub context: Context,
    /// Were addresses granted?
    pub personal_data: bool,
}

/// A call of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Call {
    /// Which import: "http.send".
    pub import: String,
    /// What was asked, for people, cut short.
    pub about: String,
    /// Of everything that was asked. Two calls are the same when this is.
    pub digest: Digest,
}

impl Call {
    /// # Errors
    /// [`JournalError::Unwritable`].
    pub(crate) fn new(import: &str, about: &str, asked: &impl Serialize) -> Result<Self, JournalError> {
        let asked = serde_json::to_vec(asked).map_err(|error| JournalError::Unwritable(error.to_string()))?;
        let about: String = about.chars().take(LONGEST_TEXT).collect();
        let digest = Digest::of(&[import.as_bytes(), b"\0", about.as_bytes(), b"\0", &asked].concat());
        Ok(Self { import: import.to_owned(), about, digest })
    }

    pub(crate) fn http(request: &Request) -> Result<Self, JournalError> {
        // The body by its digest: as JSON it would be four times as long.
        let body = match &request.body {
            BytesSource::Inline(bytes) => hex::encode(Sha256::digest(bytes)),
            BytesSource::Stored(digest) => digest.clone(),
        };
        let asked = (&request.headers, &request.auth, request.timeout_ms, request.repeat, request.store_body, body);
        let mut call = Self::new("http.send", &format!("{} {}", request.method, request.url), &asked)?;
        // The text was cut short.
        call.digest = Digest::of(&[call.digest.as_bytes(), request.url.as_bytes()].concat());
        Ok(call)
    }

    pub(crate) fn emit(outcome: &Outcome) -> Result<Self, JournalError> {
        let kind = match outcome {
            Outcome::Note(message) => format!("note {}", message.key),
            Outcome::VendorReference(named) => format!("vendor-reference {}", named.reference),
            Outcome::LineStatus(line) => format!("line-status {} {}", line.line, line.status),
            Outcome::Production(production) => format!("production {}", production.state),
            Outcome::Shipment(_) => "shipment".to_owned(),
            Outcome::Document(document) => format!("document {}", document.name),
            Outcome::BillOfMaterials(_) => "bill-of-materials".to_owned(),
            Outcome::NeedsMerchant(message) => format!("needs-merchant {}", message.key),
            Outcome::Remember(memory) => format!("remember {}", memory.name),
            Outcome::PushSettings(_) => "push-settings".to_owned(),
            Outcome::HandOn(named) => format!("hand-on {}", named.name),
            Outcome::Other(named) => format!("other {}", named.name),
        };
        Self::new("outcomes.emit", &kind, outcome)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.import, self.about)
    }
}

/// What an import answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer<T> {
    /// This.
    Given(T),
    /// One of the contract's errors.
    Failed(Error),
}

/// A response, kept. Never holds a secret: what a server echoes was taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptResponse {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What came.
    pub body: KeptBody,
    /// What the plugin was told of how often the request may have arrived.
    pub attempts: u32,
}

/// A response's body, kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptBody {
    /// The plugin was given the bytes.
    Inline(Kept),
    /// The plugin was given their digest.
    Stored(StoredBody),
}

/// Bytes beside an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// They are text.
    Text(String),
    /// They are not.
    Bytes(#[serde(with = "in_base64")] Vec<u8>),
    /// They are long, and stand among the shop's blobs.
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

/// Writes an entry, in a span that names what kind it is.
pub(super) async fn write(journal: &dyn Journal, position: usize, record: &Record) -> Result<(), JournalError> {
    let span = tracing::info_span!("journal_step", entry = record.entry.name(), position);
    journal.append(position, record).instrument(span).await
}

/// Bytes as they stand in a journal.
pub(super) async fn keep(blobs: &Arc<dyn Blobs>, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Kept {
    // An answer that cannot be kept beside the journal stands in it: too long is better than lost.
    if bytes.len() > MOST_INLINE
        && let Ok(digest) = blobs.put(shop, bytes.clone(), media_type).await
    {
        return Kept::Blob(digest);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Kept::Text(text),
        Err(error) => Kept::Bytes(error.into_bytes()),
    }
}
