//! `http.send` in a durable run: an intent before the request leaves, its answer after, and no instance held for a slow vendor.

use std::time::Duration;

use cartwright_contract::interfaces::http::{Body, Request, Response};
use cartwright_contract::records::{self, Repeat};
use tracing::Instrument as _;

use crate::capability::http::Sending;
use crate::durable::clock::whole;
use crate::durable::end::Unanswered;
use crate::durable::history::Came;
use crate::durable::journal::{Answer, Call, Entry, KeptBody, KeptResponse, Record, keep, write};
use crate::durable::replay::{Cursor, Stop};
use crate::durable::waiting::{Landed, Out, Waiting};

impl Cursor {
    /// Answers a request from the journal, or sends it. Interrupts the run if the response takes longer than `hold`.
    pub(crate) async fn send(
        &mut self,
        sending: Sending,
        request: Request,
        hold: Duration,
    ) -> wasmtime::Result<Result<Response, records::Error>> {
        let call = Call::http(&request)?;
        let unanswered = Unanswered {
            request: format!("{} {}", request.method, request.url),
            attempts: self.history.attempts(&call),
        };
        let mut open = false;
        match self.repeated(&call)? {
            None => {}
            Some(Came::Http { answer: Some(answer), .. }) => {
                let answer = answer.clone();
                let answer = self.response(answer).await?;
                self.pass();
                return Ok(answer);
            }
            Some(Came::Http { open: known, answer: None, .. }) => open = *known,
            Some(_) => return Err(self.fault(Some(call))),
        }
        let (repeat, attempt) = (request.repeat, unanswered.attempts + 1);
        self.go_on(2, open.then(|| unanswered.clone()))?;
        if open && repeat == Repeat::Never {
            return Err(self.stop(Stop::NeedsMerchant(unanswered)));
        }
        let text = unanswered.request.clone();
        let unanswered = Unanswered { attempts: attempt, ..unanswered };
        let mut out = self.start(sending, request, Entry::Intent { call, repeat, attempt }, attempt);
        match tokio::time::timeout(hold, &mut out).await {
            Err(_) => Err(self.stop(Stop::Waiting(Waiting { request: text, out }))),
            Ok(Err(error)) => Err(self.stop(Stop::Journal(error))),
            Ok(Ok(Landed { record: None, .. })) => Err(self.stop(Stop::NeedsMerchant(unanswered))),
            Ok(Ok(Landed { intent, record: Some(record), answer })) => {
                if let Err(error) = self.history.apply(intent).and_then(|()| self.history.apply(record)) {
                    return Err(self.stop(Stop::Journal(error)));
                }
                self.pass();
                Ok(answer)
            }
        }
    }

    /// Sends in a task of the host's, which outlives the guest.
    fn start(&self, sending: Sending, request: Request, intent: Entry, attempt: u32) -> Out {
        let (journal, clock) = (self.journal.clone(), self.clock.clone());
        let (blobs, shop) = (self.blobs.clone(), self.shop.clone());
        let position = self.history.entries;
        let sending = async move {
            let (repeat, url) = (request.repeat, request.url.clone());
            // Before the intent: what waits for its turn has not been sent, and a crash then costs nothing.
            let admitted = sending.admit(&url, &*clock).await;
            let intent = Record { at: whole(clock.now()), entry: intent };
            write(&*journal, position, &intent).await?;
            let mut answer = match admitted {
                Ok(admission) => sending.send(request, admission, &*clock).await,
                Err(error) => Err(error),
            };
            let may_have_arrived = sending.may_have_arrived();
            if repeat == Repeat::Never && sending.is_lost(&answer) {
                return Ok(Landed { intent, record: None, answer });
            }
            let kept = match &mut answer {
                Err(error) => Answer::Failed(error.clone()),
                Ok(response) => {
                    response.attempts = attempt;
                    let body = match &response.body {
                        Body::Stored(stored) => KeptBody::Stored(stored.clone()),
                        Body::Inline(bytes) => {
                            KeptBody::Inline(keep(&blobs, &shop, bytes.clone(), "application/octet-stream").await)
                        }
                    };
                    let (status, headers) = (response.status, response.headers.clone());
                    Answer::Given(KeptResponse { status, headers, body, attempts: attempt })
                }
            };
            let entry = Entry::Answered { answer: kept, may_have_arrived };
            let record = Record { at: whole(clock.now()), entry };
            write(&*journal, position + 1, &record).await?;
            Ok(Landed { intent, record: Some(record), answer })
        };
        // The call's span lasts as long as the request, which may outlive the call; what it says of its time is the call's.
        Out(tokio::spawn(sending.in_current_span()))
    }

    async fn response(&mut self, answer: Answer<KeptResponse>) -> wasmtime::Result<Result<Response, records::Error>> {
        let KeptResponse { status, headers, body, attempts } = match answer {
            Answer::Given(response) => response,
            Answer::Failed(error) => return Ok(Err(error)),
        };
        let body = match body {
            KeptBody::Stored(stored) => Body::Stored(stored),
            KeptBody::Inline(kept) => Body::Inline(self.bytes(&kept).await?),
        };
        Ok(Ok(Response { status, headers, body, attempts }))
    }
}
