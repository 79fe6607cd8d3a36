//! `http.send` in a durable run: an intent is recorded before the request leaves and the response after it, and a slow
//! vendor holds no instance.

use std::time::Duration;

use cartwright_contract::records::{self, Body, HttpRequest, HttpResponse, RetrySafety};
use tracing::Instrument as _;

use crate::capability::body::JoinedRequest;
use crate::capability::http::SendOptions;
use crate::durable::clock::truncate_to_millis;
use crate::durable::end::UnansweredRequest;
use crate::durable::history::CallResult;
use crate::durable::journal::{
    Answer, Call, Entry, JournalError, JournaledBody, JournaledResponse, Record, journaled_bytes, write,
};
use crate::durable::replay::{Cursor, Interruption};
use crate::durable::waiting::{InFlightRequest, PendingRequest, SendOutcome};

impl Cursor {
    /// Answers a request from the journal, or sends it. Interrupts the run if the response takes longer than `hold`.
    pub(crate) async fn send(
        &mut self,
        sending: SendOptions,
        request: HttpRequest,
        hold: Duration,
    ) -> wasmtime::Result<Result<HttpResponse, records::CallError>> {
        // Without the whole body it is not known which request this is.
        let joined = match sending.join(request).await {
            Ok(joined) => joined,
            Err(error) => return Err(self.stop(Interruption::Journal(JournalError::Store(error)))),
        };
        let request = &joined.request;
        let call = Call::http(request, &joined.body_digest)?;
        let unanswered = UnansweredRequest {
            request: format!("{} {}", request.method, request.url),
            attempts: self.history.attempts(&call),
        };
        let mut open = false;
        match self.replayed(&call)? {
            None => {}
            Some(CallResult::Http { answer: Some(answer), .. }) => {
                let answer = answer.clone();
                let answer = self.response(answer).await?;
                self.advance();
                return Ok(answer);
            }
            Some(CallResult::Http { open: known, answer: None, .. }) => open = *known,
            Some(_) => return Err(self.fault(Some(call))),
        }
        let (retry_safety, attempt) = (request.retry_safety, unanswered.attempts + 1);
        self.check_step(2, open.then(|| unanswered.clone()))?;
        if open && retry_safety == RetrySafety::NonIdempotent {
            return Err(self.stop(Interruption::NeedsMerchant(unanswered)));
        }
        let text = unanswered.request.clone();
        let unanswered = UnansweredRequest { attempts: attempt, ..unanswered };
        let mut in_flight = self.start(sending, joined, Entry::Intent { call, retry_safety, attempt }, attempt);
        match tokio::time::timeout(hold, &mut in_flight).await {
            Err(_) => Err(self.stop(Interruption::PendingRequest(PendingRequest { request: text, out: in_flight }))),
            Ok(Err(error)) => Err(self.stop(Interruption::Journal(error))),
            Ok(Ok(SendOutcome { record: None, .. })) => Err(self.stop(Interruption::NeedsMerchant(unanswered))),
            Ok(Ok(SendOutcome { intent, record: Some(record), answer })) => {
                if let Err(error) = self.history.apply(intent).and_then(|()| self.history.apply(record)) {
                    return Err(self.stop(Interruption::Journal(error)));
                }
                self.advance();
                Ok(answer)
            }
        }
    }

    /// Sends the request in a task of the host, which outlives the guest.
    fn start(&self, sending: SendOptions, joined: JoinedRequest, intent: Entry, attempt: u32) -> InFlightRequest {
        let (journal, clock) = (self.journal.clone(), self.clock.clone());
        let (blobs, shop) = (self.blobs.clone(), self.shop.clone());
        let position = self.history.entries;
        let sending = async move {
            let JoinedRequest { request, refused, .. } = joined;
            let (retry_safety, url) = (request.retry_safety, request.url.clone());
            // Queueing precedes the intent: a waiting request has not been sent, so a crash at this point costs
            // nothing.
            let admitted = match refused {
                Some(refused) => Err(refused),
                None => sending.admit(&url, &*clock).await,
            };
            let intent = Record { at: truncate_to_millis(clock.now()), entry: intent };
            write(&*journal, position, &intent).await?;
            let mut answer = match admitted {
                Ok(admission) => sending.send(request, admission, &*clock).await,
                Err(error) => Err(error),
            };
            let may_have_arrived = sending.may_have_arrived();
            if retry_safety == RetrySafety::NonIdempotent && sending.is_response_lost(&answer) {
                return Ok(SendOutcome { intent, record: None, answer });
            }
            let recorded = match &mut answer {
                Err(error) => Answer::Failed(error.clone()),
                Ok(response) => {
                    response.attempts = attempt;
                    let body = match &response.body {
                        Body::Stored(stored) => JournaledBody::Stored(stored.clone()),
                        Body::Bytes(bytes) => JournaledBody::Inline(
                            journaled_bytes(&blobs, &shop, bytes.clone(), "application/octet-stream").await,
                        ),
                    };
                    let (status, headers) = (response.status, response.headers.clone());
                    Answer::Returned(JournaledResponse { status, headers, body, attempts: attempt })
                }
            };
            let entry = Entry::Responded { answer: recorded, may_have_arrived };
            let record = Record { at: truncate_to_millis(clock.now()), entry };
            write(&*journal, position + 1, &record).await?;
            Ok(SendOutcome { intent, record: Some(record), answer })
        };
        // The span lasts as long as the request, which may outlive the call; its measured duration is the call's.
        InFlightRequest(tokio::spawn(sending.in_current_span()))
    }

    async fn response(
        &mut self,
        answer: Answer<JournaledResponse>,
    ) -> wasmtime::Result<Result<HttpResponse, records::CallError>> {
        let JournaledResponse { status, headers, body, attempts } = match answer {
            Answer::Returned(response) => response,
            Answer::Failed(error) => return Ok(Err(error)),
        };
        let body = match body {
            JournaledBody::Stored(stored) => Body::Stored(stored),
            JournaledBody::Inline(stored) => Body::Bytes(self.bytes(&stored).await?),
        };
        Ok(Ok(HttpResponse { status, headers, body, attempts, extra: Vec::new() }))
    }
}
