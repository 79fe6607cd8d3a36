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
    /// Outcomes of the whole job, by key.
    outcomes: Vec<(String, Outcome)>,
}

impl Contents {
    /// Returns whether this key was applied before.
    fn has_emitted(&self, key: &str) -> bool {
        self.outcomes.iter().any(|(known, _)| known == key)
    }
}

impl MemoryJournal {
    /// Creates a journal with these entries.
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

    /// Sets a function that is called once for each outcome, before its entry is stored.
    pub fn on_emit(mut self, apply: impl Fn(&Outcome) + Send + Sync + 'static) -> Self {
        self.apply = Some(Arc::new(apply));
        self
    }

    /// Returns the entries.
    pub fn records(&self) -> Vec<Record> {
        self.contents().records.clone()
    }

    /// Returns the outcomes of the job in order, those of earlier journals included.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.contents().outcomes.iter().map(|(_, outcome)| outcome.clone()).collect()
    }

    /// Returns the job's next journal, after `continue-later` or a restart. It is empty, but knows the earlier attempts
    /// and outcomes.
    ///
    /// # Errors
    /// Returns an error if the entries of this journal are inconsistent.
    pub fn next(&self) -> Result<Self, JournalError> {
        let contents = self.contents().clone();
        let loaded = Loaded { records: contents.records, earlier_attempts: contents.earlier_attempts };
        let next = Contents { records: Vec::new(), earlier_attempts: loaded.attempts()?, outcomes: contents.outcomes };
        Ok(Self { contents: Mutex::new(next), apply: self.apply.clone() })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Code that panicked while it held the lock had only read the contents.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// Returns how often each request may have reached a vendor, this journal included.
    ///
    /// # Errors
    /// Returns an error if the entries are inconsistent.
    pub fn attempts(&self) -> Result<BTreeMap<Digest, u32>, JournalError> {
        Ok(History::of(self.clone())?.into_attempts())
    }

    /// Returns the risk of restarting the job with a fresh journal instead of continuing this one.
    ///
    /// # Errors
    /// Returns an error if the entries are inconsistent.
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
