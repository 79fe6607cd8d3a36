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
    held: Mutex<Held>,
    apply: Option<Apply>,
}

type Apply = Arc<dyn Fn(&Outcome) + Send + Sync>;

#[derive(Debug, Clone, Default)]
struct Held {
    records: Vec<Record>,
    earlier_attempts: BTreeMap<Digest, u32>,
    /// What the whole job said, by key.
    outcomes: Vec<(String, Outcome)>,
}

impl Held {
    /// Returns whether this key was applied before.
    fn knows(&self, key: &str) -> bool {
        self.outcomes.iter().any(|(known, _)| known == key)
    }
}

impl MemoryJournal {
    /// A journal that holds these entries already.
    pub fn of(records: Vec<Record>) -> Self {
        let mut held = Held::default();
        for record in &records {
            if let Entry::Emitted { key, outcome } = &record.entry
                && !held.knows(key)
            {
                held.outcomes.push((key.clone(), outcome.clone()));
            }
        }
        held.records = records;
        Self { held: Mutex::new(held), apply: None }
    }

    /// Calls this once for each outcome, before the entry stands.
    pub fn applying(mut self, apply: impl Fn(&Outcome) + Send + Sync + 'static) -> Self {
        self.apply = Some(Arc::new(apply));
        self
    }

    /// The entries.
    pub fn records(&self) -> Vec<Record> {
        self.held().records.clone()
    }

    /// What the job said, in order, earlier journals included.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.held().outcomes.iter().map(|(_, outcome)| outcome.clone()).collect()
    }

    /// The job's next journal, after `again` or a restart: empty, and knows what was sent and said before.
    ///
    /// # Errors
    /// When this journal's entries do not follow from each other.
    pub fn next(&self) -> Result<Self, JournalError> {
        let held = self.held().clone();
        let loaded = Loaded { records: held.records, earlier_attempts: held.earlier_attempts };
        let next = Held { records: Vec::new(), earlier_attempts: loaded.attempts()?, outcomes: held.outcomes };
        Ok(Self { held: Mutex::new(next), apply: self.apply.clone() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whatever panicked while it was held had only read it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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
        let held = self.held();
        Ok(Loaded { records: held.records.clone(), earlier_attempts: held.earlier_attempts.clone() })
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        let mut held = self.held();
        if held.records.len() != position {
            return Err(JournalError::Moved);
        }
        if let Entry::Emitted { key, outcome } = &record.entry
            && !held.knows(key)
        {
            if let Some(apply) = &self.apply {
                apply(outcome);
            }
            held.outcomes.push((key.clone(), outcome.clone()));
        }
        held.records.push(record.clone());
        Ok(())
    }
}
