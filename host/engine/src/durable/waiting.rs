//! A request that is out while no instance waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use cartwright_contract::interfaces::http::Response;
use cartwright_contract::records;
use tokio::task::JoinHandle;

use crate::durable::journal::{JournalError, Record};

/// A request that is out while its run has ended. Await it, then run the job again; dropped, the request is given up.
#[derive(Debug)]
pub struct PendingRequest {
    pub(super) request: String,
    pub(super) out: InFlightRequest,
}

impl PendingRequest {
    /// The request: method and address.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Until what came of it stands in the journal.
    ///
    /// # Errors
    /// When it cannot be written there; another run does what can be done.
    pub async fn answered(self) -> Result<(), JournalError> {
        self.out.await.map(drop)
    }
}

/// What came of a request, when its answer is written.
#[derive(Debug)]
pub(super) struct SendOutcome {
    pub(super) intent: Record,
    /// None when it must not be sent twice and nobody knows whether it arrived: then it stays an intent without an answer.
    pub(super) record: Option<Record>,
    pub(super) answer: Result<Response, records::Error>,
}

/// A request on its way. It ends with whoever waits for it, as it would in a crash.
#[derive(Debug)]
pub(super) struct InFlightRequest(pub(super) JoinHandle<Result<SendOutcome, JournalError>>);

impl Future for InFlightRequest {
    type Output = Result<SendOutcome, JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|ended| {
            ended.unwrap_or_else(|error| Err(JournalError::Store(format!("the request's task ended: {error}"))))
        })
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.abort();
    }
}
