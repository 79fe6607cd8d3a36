//! A request in flight that holds no instance.

use std::pin::Pin;
use std::task::{Context, Poll};

use cartwright_contract::records::{self, HttpResponse};
use tokio::task::JoinHandle;

use crate::durable::journal::{JournalError, Record};

/// A request in flight whose run has ended. Await it, then run the job again. Dropping it abandons the request.
#[derive(Debug)]
pub struct PendingRequest {
    pub(super) request: String,
    pub(super) out: InFlightRequest,
}

impl PendingRequest {
    /// Returns the request: method and URL.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Waits until the result is in the journal.
    ///
    /// # Errors
    /// Returns an error if the result cannot be recorded. Run the job again then.
    pub async fn wait(self) -> Result<(), JournalError> {
        self.out.await.map(drop)
    }
}

/// The result of a request, after it is recorded.
#[derive(Debug)]
pub(super) struct SendOutcome {
    pub(super) intent: Record,
    /// `None` if the request must not be sent twice and may or may not have arrived; it then stays an intent without a
    /// response.
    pub(super) record: Option<Record>,
    pub(super) answer: Result<HttpResponse, records::CallError>,
}

/// A request in flight. It is aborted when it is dropped, as in a crash.
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
