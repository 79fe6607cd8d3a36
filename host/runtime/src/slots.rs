//! Places for guest calls. The pool has so many instances, and some of them are kept free for questions: a vendor that asks while
//! its own order call is out must be answered however many notices, carts and jobs there are.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::engine::CONCURRENT_CALLS;

/// So many of [`CONCURRENT_CALLS`] are kept for questions. A question takes milliseconds, so this is thousands a second.
pub const QUESTION_SLOTS: u32 = 16;

/// Who asks for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Anything that can wait a little or be told to come again.
    Call,
    /// A vendor's question.
    Question,
}

/// The places of a host.
pub(crate) struct Slots {
    common: Semaphore,
    questions: Semaphore,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self::of(CONCURRENT_CALLS - QUESTION_SLOTS, QUESTION_SLOTS)
    }

    fn of(common: u32, questions: u32) -> Self {
        Self { common: Semaphore::new(common as usize), questions: Semaphore::new(questions as usize) }
    }

    /// A place, as long as the permit is held. None when none became free in this time.
    pub(crate) async fn take(&self, asker: Asker, patience: Duration) -> Option<SemaphorePermit<'_>> {
        let free = async {
            match asker {
                Asker::Call => self.common.acquire().await,
                // More questions than are reserved for take turns with everybody else.
                Asker::Question => tokio::select! {
                    biased;
                    permit = self.questions.acquire() => permit,
                    permit = self.common.acquire() => permit,
                },
            }
        };
        // Neither is ever closed.
        timeout(patience, free).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_question_has_a_place_when_all_others_are_taken() {
        let slots = Slots::of(2, 1);
        let taken = [slots.take(Asker::Call, PATIENCE).await, slots.take(Asker::Call, PATIENCE).await];
        assert!(taken.iter().all(Option::is_some));
        assert!(slots.take(Asker::Call, PATIENCE).await.is_none());
        let question = slots.take(Asker::Question, PATIENCE).await;
        assert!(question.is_some());
        assert!(slots.take(Asker::Question, PATIENCE).await.is_none());
        drop(question);
        assert!(slots.take(Asker::Call, PATIENCE).await.is_none(), "a call took a question's place");
    }

    #[tokio::test]
    async fn more_questions_than_were_reserved_for_use_free_places() {
        let slots = Slots::of(1, 1);
        let both = [slots.take(Asker::Question, PATIENCE).await, slots.take(Asker::Question, PATIENCE).await];
        assert!(both.iter().all(Option::is_some));
        drop(both);
        assert!(slots.take(Asker::Call, PATIENCE).await.is_some());
    }

    #[tokio::test]
    async fn who_waits_is_given_the_place_that_becomes_free() {
        let slots = Slots::of(1, 1);
        let first = slots.take(Asker::Call, PATIENCE).await;
        let second = slots.take(Asker::Call, Duration::from_secs(5));
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_some());
    }
}
