//! The calls of a journal, assembled from its entries: which have results, which are open, and how often each request
//! was sent.

use std::collections::BTreeMap;
use std::time::SystemTime;

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Outcome, RetrySafety, WakeReason};

use crate::durable::clock::truncate_to_millis;
use crate::durable::journal::{
    Answer, Call, Entry, Journal, JournalError, JournaledBytes, JournaledResponse, Loaded, Record, RunStart, write,
};

/// Name of the import that looks up an order.
const ORDER_BOOK_FIND: &str = "order-book.find";

/// The contents of a journal.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Number of entries.
    pub(crate) entries: usize,
    pub(crate) began: Option<RunStart>,
    /// The calls, without those that a retry revoked.
    pub(crate) steps: Vec<JournalStep>,
    /// When the journal began.
    pub(crate) at: Option<SystemTime>,
    attempts: BTreeMap<Digest, u32>,
}

/// One call of the guest.
#[derive(Debug)]
pub(crate) struct JournalStep {
    /// When the latest of its entries was written.
    pub(crate) at: SystemTime,
    pub(crate) call: Call,
    pub(crate) result: CallResult,
}

/// The result of a call.
#[derive(Debug)]
pub(crate) enum CallResult {
    Http {
        /// Whether the request was sent and its result is unknown. `false` if a retry revoked its response.
        open: bool,
        answer: Option<Answer<JournaledResponse>>,
        retry_safety: RetrySafety,
        /// Whether the request may have reached the vendor in an attempt without a response.
        response_lost: bool,
    },
    Returned(Answer<JournaledBytes>),
    Emitted,
    Sleep {
        until: SystemTime,
        woken: Option<WakeReason>,
    },
}

/// The risk of restarting a job with a fresh journal instead of continuing this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestartRisk {
    /// No risk: each request has a response and may be sent again.
    None,
    /// A request may have reached its vendor without a response. The vendor recognizes that request when it is
    /// repeated exactly, but no other.
    LostResponse,
    /// A request that must not be sent twice has a response, or a request is in flight.
    Repeated,
}

impl History {
    pub(crate) fn of(loaded: Loaded) -> Result<Self, JournalError> {
        let mut history = Self { attempts: loaded.earlier_attempts, ..Self::default() };
        for record in loaded.records {
            history.apply(record)?;
        }
        Ok(history)
    }

    /// Returns how often a request may have reached the vendor.
    pub(crate) fn attempts(&self, call: &Call) -> u32 {
        self.attempts.get(&call.digest).copied().unwrap_or(0)
    }

    pub(crate) fn into_attempts(self) -> BTreeMap<Digest, u32> {
        self.attempts
    }

    /// Returns the number of calls that keep their results when the job is retried: all before the last call that sent
    /// a request to a vendor, or that returned an error. A server may be available again, a setting may be set, and a
    /// permission may be granted by then. An order that was looked up directly before that request is looked up again,
    /// because it may have been refunded while the vendor was unavailable.
    pub(crate) fn calls_kept_by_retry(&self) -> usize {
        let may_change = |step: &JournalStep| match &step.result {
            CallResult::Http { .. } => true,
            CallResult::Returned(answer) => matches!(answer, Answer::Failed(_)),
            CallResult::Emitted | CallResult::Sleep { .. } => false,
        };
        let last = self.steps.iter().rposition(may_change).unwrap_or(0);
        let mut before = self.steps.iter().take(last);
        before.rposition(|step| step.call.import != ORDER_BOOK_FIND).map_or(0, |place| place + 1)
    }

    /// Returns what a fresh journal in place of this one could repeat.
    pub(crate) fn restart_risk(&self) -> RestartRisk {
        let risk = |step: &JournalStep| match &step.result {
            CallResult::Http { open: true, .. }
            | CallResult::Http { answer: Some(_), retry_safety: RetrySafety::NonIdempotent, .. } => {
                RestartRisk::Repeated
            }
            CallResult::Http { response_lost: true, .. } => RestartRisk::LostResponse,
            _ => RestartRisk::None,
        };
        self.steps.iter().map(risk).max().unwrap_or(RestartRisk::None)
    }

    /// Applies the next entry.
    pub(crate) fn apply(&mut self, Record { at, entry }: Record) -> Result<(), JournalError> {
        let number = self.entries;
        let misplaced = |what: &str| {
            Err(JournalError::Store(format!("entry {number} is {what}, which is invalid at this position")))
        };
        if self.began.is_none() != matches!(entry, Entry::RunStart(_)) {
            return misplaced("not the run start, or is a second one");
        }
        match entry {
            Entry::RunStart(began) => {
                self.began = Some(began);
                self.at = Some(at);
            }
            Entry::Intent { call, retry_safety, .. } => {
                *self.attempts.entry(call.digest).or_default() += 1;
                match self.steps.last_mut() {
                    Some(JournalStep {
                        at: when,
                        call: known,
                        result: CallResult::Http { open, answer: None, .. },
                    }) if known.matches(&call) => {
                        (*open, *when) = (true, at);
                    }
                    _ => {
                        let result = CallResult::Http { open: true, answer: None, retry_safety, response_lost: false };
                        self.steps.push(JournalStep { at, call, result });
                    }
                }
            }
            Entry::Responded { answer: result, may_have_arrived } => {
                let Some(JournalStep {
                    at: when,
                    call,
                    result: CallResult::Http { open: open @ true, answer, response_lost, .. },
                }) = self.steps.last_mut()
                else {
                    return misplaced("a response without a request");
                };
                if !may_have_arrived && let Some(attempts) = self.attempts.get_mut(&call.digest) {
                    *attempts = attempts.saturating_sub(1);
                }
                *response_lost |= may_have_arrived && matches!(result, Answer::Failed(_));
                (*open, *answer, *when) = (false, Some(result), at);
            }
            Entry::Returned { call, answer } => {
                self.steps.push(JournalStep { at, call, result: CallResult::Returned(answer) })
            }
            Entry::Emitted { outcome, .. } => {
                self.steps.push(JournalStep { at, call: Call::emit(&outcome)?, result: CallResult::Emitted });
            }
            Entry::SleepStarted { call, until } => {
                self.steps.push(JournalStep { at, call, result: CallResult::Sleep { until, woken: None } });
            }
            Entry::SleepEnded { reason } => {
                let Some(JournalStep { at: when, result: CallResult::Sleep { woken: woken @ None, .. }, .. }) =
                    self.steps.last_mut()
                else {
                    return misplaced("the end of a sleep that did not start");
                };
                (*woken, *when) = (Some(reason), at);
            }
            Entry::Retried { kept_calls } => match self.steps.get_mut(kept_calls).map(|step| &mut step.result) {
                Some(CallResult::Http { open, answer, .. }) => {
                    (*open, *answer) = (false, None);
                    self.steps.truncate(kept_calls + 1);
                }
                _ => self.steps.truncate(kept_calls),
            },
        }
        self.entries += 1;
        Ok(())
    }

    /// Counts how often the plugin emitted this outcome among the first `before` calls, this time included.
    pub(crate) fn count_emitted(&self, before: usize, outcome: &Outcome) -> Result<usize, JournalError> {
        let call = Call::emit(outcome)?;
        Ok(self.steps.iter().take(before).filter(|step| step.call.matches(&call)).count())
    }
}

/// Writes an entry, and applies it once it is stored.
pub(super) async fn append(
    journal: &dyn Journal,
    history: &mut History,
    at: SystemTime,
    entry: Entry,
) -> Result<(), JournalError> {
    let record = Record { at: truncate_to_millis(at), entry };
    write(journal, history.entries, &record).await?;
    history.apply(record)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use cartwright_contract::error::denied;
    use cartwright_contract::records::{CallError, Context, Currency, Message, Outage, Rounding, Shop};

    use super::*;
    use crate::durable::journal::JournaledBody;

    fn began() -> Entry {
        let context = Context {
            shop: Shop {
                id: "shop".into(),
                currencies: vec![Currency { code: "EUR".into(), scale: 2 }],
                base_country: None,
                prices_include_tax: true,
                rounding: Rounding::HalfUp,
                time_zone: None,
            },
            account: "erp".into(),
            visitor: None,
            locale: "en".into(),
            now: "2026-01-01T12:00:00Z".into(),
            settings: vec![],
            grants: Vec::new(),
            extra: vec![],
        };
        Entry::RunStart(RunStart { context, personal_data: false })
    }

    fn intent(url: &str) -> Entry {
        Entry::Intent {
            call: Call::new("http.send", url, &()).unwrap(),
            retry_safety: RetrySafety::Idempotent,
            attempt: 1,
        }
    }

    fn away(may_have_arrived: bool) -> Entry {
        let outage = Outage { retry_after_seconds: None, detail: "away".into() };
        Entry::Responded { answer: Answer::Failed(CallError::Unavailable(outage)), may_have_arrived }
    }

    fn note(key: &str) -> Entry {
        let message = Message { key: key.into(), parameters: vec![], text: String::new() };
        Entry::Emitted { key: key.into(), outcome: Outcome::Note(message) }
    }

    fn history(entries: impl IntoIterator<Item = Entry>) -> Result<History, JournalError> {
        let at = UNIX_EPOCH + Duration::from_secs(1_767_268_800);
        let records = entries.into_iter().map(|entry| Record { at, entry }).collect();
        History::of(Loaded { records, earlier_attempts: BTreeMap::new() })
    }

    fn attempts(entries: impl IntoIterator<Item = Entry>) -> u32 {
        history(entries).unwrap().attempts(&Call::new("http.send", "a", &()).unwrap())
    }

    #[test]
    fn only_sends_whose_bytes_may_have_left_are_counted() {
        assert_eq!(attempts([began(), intent("a")]), 1);
        assert_eq!(attempts([began(), intent("b")]), 0);
        assert_eq!(attempts([began(), intent("a"), intent("a")]), 2);
        assert_eq!(attempts([began(), intent("a"), away(false)]), 0);
        let retried = Entry::Retried { kept_calls: 0 };
        assert_eq!(attempts([began(), intent("a"), away(true), retried.clone(), intent("a")]), 2);
        assert_eq!(attempts([began(), intent("a"), away(false), retried, intent("a")]), 1);
    }

    #[test]
    fn a_retry_revokes_the_last_http_response_and_all_later_calls() {
        let entries = [began(), intent("a"), away(true), note("1"), intent("b"), away(true), note("2")];
        let before = history(entries.clone()).unwrap();
        assert_eq!((before.steps.len(), before.calls_kept_by_retry()), (4, 2));
        let after = history(entries.into_iter().chain([Entry::Retried { kept_calls: 2 }])).unwrap();
        assert_eq!((after.steps.len(), after.entries), (3, 8));
        assert!(matches!(after.steps[2].result, CallResult::Http { open: false, answer: None, .. }));
        // A second retry before the calls are repeated changes nothing.
        assert_eq!(after.calls_kept_by_retry(), 2);
    }

    #[test]
    fn a_fresh_journal_risks_lost_responses_and_repeated_requests() {
        let answered = || Entry::Responded {
            answer: Answer::Returned(JournaledResponse {
                status: 503,
                headers: vec![],
                body: JournaledBody::Inline(JournaledBytes::Bytes(vec![])),
                attempts: 1,
            }),
            may_have_arrived: true,
        };
        let never = || Entry::Intent {
            call: Call::new("http.send", "n", &()).unwrap(),
            retry_safety: RetrySafety::NonIdempotent,
            attempt: 1,
        };
        let risk = |entries: Vec<Entry>| history([began()].into_iter().chain(entries)).unwrap().restart_risk();
        let retried = |kept_calls| Entry::Retried { kept_calls };
        assert_eq!(risk(vec![note("1")]), RestartRisk::None);
        assert_eq!(
            risk(vec![intent("a"), answered(), note("1"), intent("b"), answered(), retried(2)]),
            RestartRisk::None
        );
        assert_eq!(risk(vec![intent("a"), away(false), retried(0)]), RestartRisk::None);
        assert_eq!(risk(vec![never(), answered(), retried(0)]), RestartRisk::None);
        // A later response does not tell whether the unanswered request was accepted.
        for later in [away(true), away(false), answered()] {
            let response_lost = vec![intent("a"), away(true), retried(0), intent("a"), later, retried(0)];
            assert_eq!(risk(response_lost), RestartRisk::LostResponse);
        }
        assert_eq!(risk(vec![intent("a")]), RestartRisk::Repeated);
        assert_eq!(risk(vec![never(), answered(), intent("b"), answered(), retried(1)]), RestartRisk::Repeated);
    }

    #[test]
    fn an_order_that_was_looked_up_directly_before_the_request_is_looked_up_again() {
        let returned = |import: &str| Entry::Returned {
            call: Call::new(import, "1", &()).unwrap(),
            answer: Answer::Returned(JournaledBytes::Text("null".into())),
        };
        let (find, digest) = (returned(ORDER_BOOK_FIND), returned("secrets.digest"));
        let kept = |entries: Vec<Entry>| history([began()].into_iter().chain(entries)).unwrap().calls_kept_by_retry();
        assert_eq!(kept(vec![find.clone(), digest.clone(), note("1"), find.clone(), intent("a"), away(true)]), 3);
        assert_eq!(kept(vec![find.clone(), find.clone(), intent("a"), away(true), note("1")]), 0);
        assert_eq!(kept(vec![find.clone(), digest, intent("a"), away(true)]), 2);
        // The request is sent again, and its earlier attempts still count.
        let entries =
            [began(), find.clone(), intent("a"), away(true), Entry::Retried { kept_calls: 0 }, find, intent("a")];
        assert_eq!(attempts(entries), 2);
    }

    #[test]
    fn an_error_of_another_import_is_taken_back() {
        let lookup = |answer| Entry::Returned { call: Call::new("order-book.find", "1", &()).unwrap(), answer };
        let denied = Answer::Failed(denied("grant:personal-data", "not granted"));
        let entries = [
            began(),
            note("1"),
            lookup(denied),
            lookup(Answer::Returned(JournaledBytes::Text("null".into()))),
            note("2"),
        ];
        assert_eq!(history(entries).unwrap().calls_kept_by_retry(), 1);
        assert_eq!(history([began(), note("1")]).unwrap().calls_kept_by_retry(), 0);
    }

    #[test]
    fn entries_that_do_not_follow_from_each_other_are_refused() {
        let woken = || Entry::SleepEnded { reason: WakeReason::Elapsed };
        for wrong in [vec![note("1")], vec![began(), began()], vec![began(), away(true)], vec![began(), woken()]] {
            assert!(history(wrong.clone()).is_err(), "{wrong:?}");
        }
        assert!(history([began(), intent("a"), away(true), away(true)]).is_err());
    }

    #[test]
    fn a_record_is_the_same_after_it_was_json() {
        let answer = Entry::Returned {
            call: Call::new("secrets.digest", "md5-suffix with token", &1).unwrap(),
            answer: Answer::Returned(JournaledBytes::Bytes(vec![0, 255])),
        };
        for entry in [
            began(),
            intent("a"),
            away(true),
            note("1"),
            answer,
            Entry::SleepEnded { reason: WakeReason::EventWaiting },
        ] {
            let record = Record { at: UNIX_EPOCH + Duration::from_millis(1_767_268_800_123), entry };
            let json = serde_json::to_string(&record).unwrap();
            assert!(json.starts_with("{\"at\":\"2026-01-01T12:00:00.123Z\""), "{json}");
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        }
    }
}
