//! `http`: sends one request and returns one response. The host inserts the secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright_contract::address::host_of;
use cartwright_contract::clock::{Clock, SystemClock};
use cartwright_contract::error::{Failure, denied};
use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::ids;
use cartwright_contract::records::{
    Auth, Body, BytesSource, CallError, Digest, FieldIssue, HttpRequest, HttpResponse, Message, Outage, Repeat,
    StoredBody,
};
use cartwright_contract::settings::Secret;
use memchr::memmem;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::bindings::http::{Host, Request, Response};
use crate::bindings::{to_guest, types};
use crate::capability::Scope;
use crate::capability::secrets::secret;
use crate::egress::{OutboundRequest, QueueEntry, RequestPermit, RequestPermitError, SendError, check_url};
use crate::health::{Requester, Throttled};
use crate::observe::VendorOutcome;
use crate::state::GuestState;

/// Headers that only the host sets.
const RESERVED_HEADERS: [&str; 6] =
    ["host", "content-length", "connection", "transfer-encoding", "upgrade", "proxy-authorization"];

impl Host for GuestState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, types::CallError>> {
        Ok(to_guest(self.send_request(request.into()).await?, Response::from))
    }
}

impl GuestState {
    async fn send_request(&mut self, request: HttpRequest) -> wasmtime::Result<Result<HttpResponse, CallError>> {
        let scope = match self.permit(Capability::Http)? {
            Ok(scope) => scope,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.check_extras(&request) {
            return Ok(Err(error));
        }
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        let limits = self.meter.limits();
        let requested_timeout = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let timeout = match &self.durable {
            // The request may outlive its run.
            Some(_) => requested_timeout.unwrap_or(limits.network_deadline).min(limits.durable_request),
            None => requested_timeout.unwrap_or(time_left).min(time_left.saturating_sub(Duration::from_millis(50))),
        };
        // Half of the remaining time, so that many quick responses do not use up a run.
        let hold = limits.durable_hold.min(time_left / 2);
        let requester = match (&self.durable, self.hook) {
            (Some(_), _) => Some(Requester::Orders),
            // A person who tests a connection wants to see the server's response now.
            (None, Hook::TestConnection) => None,
            (None, _) => Some(self.client.clone().map_or(Requester::Unknown, Requester::Visitor)),
        };
        let sending = SendOptions {
            scope,
            requester,
            // The request holds an instance, and its call ends by then.
            deadline: self.durable.is_none().then(|| SystemClock.now() + timeout),
            timeout,
            bytes_in: limits.bytes_in as u64,
            // Documents of an order may be large. Shoppers' requests have the smaller limit, because a plan may still
            // be refused.
            stored_limit: match &self.durable {
                Some(_) => ("stored_bytes", limits.stored_bytes),
                None => ("bytes_in", limits.bytes_in as u64),
            },
            readable: self.readable.clone(),
            given_blob: self.given_blob.clone(),
            test_order: self.test_order(),
            may_have_arrived: AtomicBool::new(false),
        };
        let result = match &mut self.durable {
            Some(cursor) => cursor.send(sending, request, hold).await?,
            None => {
                let (repeat, url) = (request.repeat, request.url.clone());
                let result = match sending.admit(&url, &SystemClock).await {
                    Ok(admission) => sending.send(request, admission, &SystemClock).await,
                    Err(error) => Err(error),
                };
                if repeat == Repeat::Never && sending.is_response_lost(&result) {
                    return Err(Failure::UnansweredRequest(url).into());
                }
                result
            }
        };
        if let Ok(HttpResponse { body: Body::Stored(stores_body), .. }) = &result {
            self.readable.push(stores_body.digest.clone());
        }
        Ok(result)
    }
}

/// What a request may reach, and how long it may take.
pub(crate) struct SendOptions {
    pub(super) scope: Arc<Scope>,
    /// The requester that the request counts for. `None` for a request that does not queue.
    requester: Option<Requester>,
    /// When the request is given up if no permit came.
    deadline: Option<SystemTime>,
    pub(super) timeout: Duration,
    bytes_in: u64,
    stored_limit: (&'static str, u64),
    readable: Vec<Digest>,
    /// A blob that may be sent although it is not stored.
    given_blob: Option<(ids::Digest, Arc<Vec<u8>>)>,
    /// Reference of the order that the request is sent for, if it is a test order.
    test_order: Option<String>,
    may_have_arrived: AtomicBool,
}

impl SendOptions {
    /// Returns whether bytes of the request may have left the host.
    pub(crate) fn may_have_arrived(&self) -> bool {
        self.may_have_arrived.load(Ordering::Relaxed)
    }

    /// Returns whether the request may have arrived but has no conclusive response. A response that is too large
    /// counts as conclusive.
    pub(crate) fn is_response_lost(&self, sent: &Result<HttpResponse, CallError>) -> bool {
        self.may_have_arrived() && matches!(sent, Err(CallError::Unavailable(_)))
    }

    /// Waits for permission to send to the server. Nothing has left the host at this point.
    ///
    /// # Errors
    /// Returns an error if the URL is refused, the circuit of the server is open, or its rate limit is used up.
    pub(crate) async fn admit<'a>(&'a self, url: &str, clock: &'a dyn Clock) -> Result<RequestPermit<'a>, CallError> {
        let url = self.check(url)?;
        let Scope { platform, shop, grants, .. } = &*self.scope;
        let (egress, host) = (&platform.egress, host_of(&url).unwrap_or_default());
        let admitted = match &self.requester {
            None => {
                egress.admit_unqueued(url, grants).map(|admission| admission.report_to(&egress.health, shop, clock))
            }
            Some(requester) => {
                let rate_limit = egress.health.rate_limit(grants.requests_per_second);
                let queued = QueueEntry { shop, requester, rate_limit, deadline: self.deadline };
                egress.admit(url, grants, queued, clock).await
            }
        };
        admitted.map_err(|error| {
            if let RequestPermitError::Throttled(Throttled::CircuitOpen { .. }) = error {
                self.report(&host, VendorOutcome::CircuitOpen, Duration::ZERO);
            }
            CallError::Unavailable(error.outage(clock.now()))
        })
    }

    /// Sends the request and reads the response.
    pub(super) async fn exchange(
        &self,
        request: HttpRequest,
        mut admission: RequestPermit<'_>,
        clock: &dyn Clock,
    ) -> Result<HttpResponse, CallError> {
        if let Some(order) = self.test_order.as_ref().filter(|_| request.repeat != Repeat::Safe) {
            return Err(denied(
                "test-order",
                format!(
                    "http: the order {order} is a test order, so nothing may be produced or sent for it; the plugin must check \
                     order.test before a request that is not `safe` to repeat"
                ),
            ));
        }
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid("method", format!("{:?} is not an HTTP method.", request.method)))?;
        let mut headers = self.headers(&request.headers)?;
        let mut secrets = Vec::with_capacity(request.auth.len());
        for auth in &request.auth {
            secrets.extend(self.authenticate(auth, &mut admission, &mut headers, clock).await?);
        }
        let body = match request.body {
            BytesSource::Inline(bytes) => bytes,
            BytesSource::Stored(digest) => self.read_stored(&digest).await?,
        };
        let outgoing = OutboundRequest { method, headers, body, timeout: self.timeout };
        let answer = admission.send(outgoing).await.map_err(|error| self.unanswered(error))?;
        self.may_have_arrived.store(true, Ordering::Relaxed);
        let status = answer.status;
        let headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .map(|(name, value)| {
                let value = redact(value.as_bytes().to_vec(), &secrets);
                (name.as_str().to_owned(), String::from_utf8_lossy(&value).into_owned())
            })
            .collect();
        let media_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let stores_body = request.store_body && status.is_success();
        let limit = if stores_body { self.stored_limit } else { ("bytes_in", self.bytes_in) };
        let bytes = answer.body(limit).await.map_err(|error| self.unanswered(error))?;
        let bytes = redact(bytes, &secrets);
        let body = if stores_body {
            let length = bytes.len() as u64;
            let stored_type = media_type.as_deref().unwrap_or("application/octet-stream");
            let digest = self.scope.blobs.put(&self.scope.shop, bytes, stored_type).await.map_err(|error| {
                CallError::Unavailable(Outage { retry_after_seconds: None, detail: format!("the blob store: {error}") })
            })?;
            Body::Stored(StoredBody { digest: digest.to_string(), length, media_type })
        } else {
            Body::Inline(bytes)
        };
        Ok(HttpResponse { status: status.as_u16(), headers, body, attempts: 1 })
    }

    fn unanswered(&self, SendError { error, may_have_arrived }: SendError) -> CallError {
        if may_have_arrived {
            self.may_have_arrived.store(true, Ordering::Relaxed);
        }
        error
    }

    pub(super) fn check(&self, url: &str) -> Result<Url, CallError> {
        check_url(url, &self.scope.declared_hosts, &self.scope.grants).map_err(|refusal| {
            let text = format!("http, account {} of shop {}: {refusal}", self.scope.account, self.scope.shop);
            denied(refusal.what(), text)
        })
    }

    fn headers(&self, requested: &[(String, String)]) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::new();
        for (name, value) in requested {
            let parsed: HeaderName =
                name.parse().map_err(|_| invalid("headers", format!("{name:?} is not a header name.")))?;
            if RESERVED_HEADERS.contains(&parsed.as_str()) {
                return Err(invalid("headers", format!("The header {name:?} is set by the host.")));
            }
            headers.append(parsed, header_value(name, value)?);
        }
        Ok(headers)
    }

    async fn read_stored(&self, digest: &str) -> Result<Vec<u8>, CallError> {
        let is_readable = self.readable.iter().any(|readable| readable == digest);
        let parsed = digest.parse::<ids::Digest>().ok().filter(|_| is_readable);
        let unknown = || invalid("body", "This call did not receive a blob with this digest.".to_owned());
        if let Some((given, bytes)) = &self.given_blob
            && parsed == Some(*given)
        {
            return Ok(bytes.to_vec());
        }
        let blobs = &self.scope.blobs;
        match blobs.get(&self.scope.shop, &parsed.ok_or_else(unknown)?).await {
            Ok(bytes) => bytes.ok_or_else(unknown),
            Err(error) => Err(CallError::Unavailable(Outage {
                retry_after_seconds: None,
                detail: format!("the blob store: {error}"),
            })),
        }
    }

    /// Returns the secret, if it may be sent to this host.
    pub(super) fn secret_for(&self, name: &str, host: &str) -> Result<&str, CallError> {
        let granted = secret(&self.scope, name)?;
        if !granted.hosts.iter().any(|allowed| allowed == host) {
            return Err(denied(
                format!("secret-use:{name}/{host}"),
                format!(
                    "the secret {name:?} may not be sent to {host}: its field in settings.fields names its hosts, and of these it \
                     is authorized for those it was entered for"
                ),
            ));
        }
        std::str::from_utf8(granted.value.expose())
            .map_err(|_| invalid("auth", format!("The secret {name:?} is not text.")))
    }

    /// Inserts the secret. Returns it in each form that was sent, so that a response that echoes it can be redacted.
    async fn authenticate(
        &self,
        auth: &Auth,
        admission: &mut RequestPermit<'_>,
        headers: &mut HeaderMap,
        clock: &dyn Clock,
    ) -> Result<Vec<Secret>, CallError> {
        let host = admission.host().to_owned();
        let mut set = |name: HeaderName, text: &str| -> Result<(), CallError> {
            let mut value = header_value(name.as_str(), text)?;
            value.set_sensitive(true);
            match headers.insert(name.clone(), value) {
                None => Ok(()),
                Some(_) => Err(invalid("auth", format!("Two parts set the header {name}."))),
            }
        };
        Ok(match auth {
            Auth::Bearer(name) => {
                let secret = self.secret_for(name, &host)?;
                set(AUTHORIZATION, &format!("Bearer {secret}"))?;
                vec![Secret::new(secret)]
            }
            Auth::Basic(login) => {
                let secret = self.secret_for(&login.secret, &host)?;
                let encoded = STANDARD.encode(format!("{}:{secret}", login.user));
                set(AUTHORIZATION, &format!("Basic {encoded}"))?;
                vec![Secret::new(secret), Secret::new(encoded)]
            }
            Auth::Header(header) => {
                let name = header
                    .name
                    .parse()
                    .map_err(|_| invalid("auth", format!("{:?} is not a header name.", header.name)))?;
                let secret = self.secret_for(&header.secret, &host)?;
                set(name, secret)?;
                vec![Secret::new(secret)]
            }
            Auth::Query(query) => {
                let secret = self.secret_for(&query.secret, &host)?;
                admission.append_query(&query.name, secret);
                let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                vec![Secret::new(secret), Secret::new(encoded)]
            }
            Auth::ClientCredentials(credentials) => {
                // A token gives access to everything that its secret allows, so the secret must be authorized for the
                // host.
                self.secret_for(&credentials.secret, &host)?;
                let token = self.token(credentials, clock).await?;
                set(AUTHORIZATION, &format!("Bearer {}", String::from_utf8_lossy(token.expose())))?;
                vec![token]
            }
        })
    }
}

/// Redacts secrets in a response, so that a server that echoes a request does not reveal them to the guest.
fn redact(bytes: Vec<u8>, secrets: &[Secret]) -> Vec<u8> {
    secrets.iter().fold(bytes, |bytes, secret| redact_one(bytes, secret.expose()))
}

#[allow(clippy::indexing_slicing, reason = "matches lie within the text, in order and without overlap")]
fn redact_one(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    // The search takes time linear in the response, whatever the secret looks like.
    let finder = memmem::Finder::new(secret);
    // A secret this short would be found everywhere.
    if secret.len() < 6 || finder.find(&bytes).is_none() {
        return bytes;
    }
    let (mut clean, mut after) = (Vec::with_capacity(bytes.len()), 0);
    for at in finder.find_iter(&bytes) {
        clean.extend_from_slice(&bytes[after..at]);
        clean.extend_from_slice(b"(secret)");
        after = at + secret.len();
    }
    clean.extend_from_slice(&bytes[after..]);
    clean
}

pub(super) fn header_value(name: &str, value: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(value).map_err(|_| {
        invalid("headers", format!("The value of the header {name:?} has characters that are not allowed in headers."))
    })
}

fn invalid(field: &str, text: String) -> CallError {
    CallError::InvalidInput(FieldIssue {
        field: field.to_owned(),
        message: Message { key: "request-invalid".into(), parameters: vec![], text },
        blocking: true,
    })
}

#[cfg(test)]
mod tests {
    use cartwright_contract::settings::Secret;

    use super::redact;

    #[test]
    fn a_secret_that_a_server_echoes_is_taken_out() {
        let echoed = b"token=s3cr3t-1, again s3cr3t-1".to_vec();
        assert_eq!(redact(echoed, &[Secret::new("s3cr3t-1")]), b"token=(secret), again (secret)");
        assert_eq!(redact(b"abc".to_vec(), &[Secret::new("s3cr3t-1")]), b"abc");
        assert_eq!(redact(b"".to_vec(), &[Secret::new("s3cr3t-1")]), b"");
    }
}
