//! An in-memory journal, for tests and for callers that need no durability.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::Outcome;

use crate::durable::history::{History, RestartRisk};
use crate::durable::journal::{Entry, Journal, JournalError, Loaded, Record};

/// An in-memory journal.
#[derive(Default)]
pub struct MemoryJournal {
    contents: Mutex<Contents>,
    apply: Option<Apply>,
}

type Apply = Arc<dyn Fn(&Outcome) + Send + Sync>;

#[derive(Debug, Clone, Default)]
struct Contents {
    records: Vec<Record>,
    earlier_attempts: BTreeMap<Digest, u32>,
    /// What the whole job said, by key.
    outcomes: Vec<(String, Outcome)>,
}

impl Contents {
    /// Returns whether this key was applied before.
    fn has_emitted(&self, key: &str) -> bool {
        self.outcomes.iter().any(|(known, _)| known == key)
    }
}

impl MemoryJournal {
    /// A journal that holds these entries already.
    pub fn of(records: Vec<Record>) -> Self {
        let mut contents = Contents::default();
        for record in &records {
            if let Entry::Emitted { key, outcome } = &record.entry
                && !contents.has_emitted(key)
            {
                contents.outcomes.push((key.clone(), outcome.clone()));
            }
        }
        contents.records = records;
        Self { contents: Mutex::new(contents), apply: None }
    }

    /// Calls this once for each outcome, before the entry stands.
    pub fn on_emit(mut self, apply: impl Fn(&Outcome) + Send + Sync + 'static) -> Self {
        self.apply = Some(Arc::new(apply));
        self
    }

    /// The entries.
    pub fn records(&self) -> Vec<Record> {
        self.contents().records.clone()
    }

    /// What the job said, in order, earlier journals included.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.contents().outcomes.iter().map(|(_, outcome)| outcome.clone()).collect()
    }

    /// The job's next journal, after `again` or a restart: empty, and knows what was sent and said before.
    ///
    /// # Errors
    /// When this journal's entries do not follow from each other.
    pub fn next(&self) -> Result<Self, JournalError> {
        let contents = self.contents().clone();
        let loaded = Loaded { records: contents.records, earlier_attempts: contents.earlier_attempts };
        let next = Contents { records: Vec::new(), earlier_attempts: loaded.attempts()?, outcomes: contents.outcomes };
        Ok(Self { contents: Mutex::new(next), apply: self.apply.clone() })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Whatever panicked while it was held had only read it.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// How often each request may have reached a vendor, this journal included.
    ///
    /// # Errors
    /// When the entries do not follow from each other.
    pub fn attempts(&self) -> Result<BTreeMap<Digest, u32>, JournalError> {
        Ok(History::of(self.clone())?.into_attempts())
    }

    /// What the job would risk if it began a fresh journal now instead of going on with this one.
    ///
    /// # Errors
    /// When the entries do not follow from each other.
    pub fn restart_risk(&self) -> Result<RestartRisk, JournalError> {
        Ok(History::of(self.clone())?.restart_risk())
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(&self) -> Result<Loaded, JournalError> {
        let contents = self.contents();
        Ok(Loaded { records: contents.records.clone(), earlier_attempts: contents.earlier_attempts.clone() })
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        let mut contents = self.contents();
        if contents.records.len() != position {
            return Err(JournalError::Superseded);
        }
        if let Entry::Emitted { key, outcome } = &record.entry
            && !contents.has_emitted(key)
        {
            if let Some(apply) = &self.apply {
                apply(outcome);
            }
            contents.outcomes.push((key.clone(), outcome.clone()));
        }
        contents.records.push(record.clone());
        Ok(())
    }
}
