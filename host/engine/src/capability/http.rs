//! `http`: sends one request and returns one response. The host inserts the secrets.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use cartwright_contract::address::host_of;
use cartwright_contract::clock::{Clock, SystemClock};
use cartwright_contract::error::{Failure, denied};
use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::ids;
use cartwright_contract::records::{
    Auth, Body, CallError, Digest, FieldIssue, HttpRequest, HttpResponse, Message, Outage, RetrySafety, StoredBody,
};
use cartwright_contract::settings::SecretUse;
use cartwright_contract::text::header_text;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::bindings::{http, to_guest, types};
use crate::capability::Scope;
use crate::capability::body::JoinedRequest;
use crate::capability::redaction::Redaction;
use crate::capability::secrets::secret;
use crate::egress::{OutboundRequest, QueueEntry, RequestPermit, RequestPermitError, SendError, check_url};
use crate::health::{Requester, Throttled};
use crate::observe::VendorOutcome;
use crate::state::GuestState;

/// Headers that only the host sets. It sends no `Accept-Encoding`, because it finds no secret in a compressed response.
const RESERVED_HEADERS: [&str; 7] =
    ["host", "content-length", "connection", "transfer-encoding", "upgrade", "proxy-authorization", "accept-encoding"];

impl http::Host for GuestState {
    async fn send(
        &mut self,
        request: http::HttpRequest,
    ) -> wasmtime::Result<Result<http::HttpResponse, types::CallError>> {
        Ok(to_guest(self.send_request(request.into()).await?, http::HttpResponse::from))
    }
}

impl GuestState {
    async fn send_request(&mut self, request: HttpRequest) -> wasmtime::Result<Result<HttpResponse, CallError>> {
        let scope = match self.permit(Capability::Http)? {
            Ok(scope) => scope,
            Err(error) => return Ok(Err(error)),
        };
        self.requests += 1;
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
            // be refused. What `resolve` stores stays in memory until then, so its limit is for all of it together.
            stored_limit: match (&self.durable, self.hook) {
                (Some(_), _) => ("stored_bytes", limits.stored_bytes),
                (None, Hook::Resolve) => ("bytes_in", (limits.bytes_in as u64).saturating_sub(self.stored_bytes)),
                (None, _) => ("bytes_in", limits.bytes_in as u64),
            },
            body_limit: match &self.durable {
                Some(_) => ("stored_bytes", limits.stored_bytes),
                None => ("bytes_out", self.meter.bytes_out() as u64),
            },
            readable: self.readable.clone(),
            given_blob: self.given_blob.clone(),
            test_order: self.test_order(),
            may_have_arrived: AtomicBool::new(false),
        };
        let result = match &mut self.durable {
            Some(cursor) => cursor.send(sending, request, hold).await?,
            None => {
                let (retry_safety, url) = (request.retry_safety, request.url.clone());
                let result = sending.send_once(request).await;
                if retry_safety == RetrySafety::NonIdempotent && sending.is_response_lost(&result) {
                    return Err(Failure::UnansweredRequest(url).into());
                }
                result
            }
        };
        if let Ok(HttpResponse { body: Body::Stored(stored), .. }) = &result {
            self.readable.push(stored.digest.clone());
            self.stored_bytes += stored.size;
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
    /// Name and value of the limit on the body of the request.
    pub(super) body_limit: (&'static str, u64),
    /// Blobs that the body of the request may contain.
    pub(super) readable: Vec<Digest>,
    /// A blob that may be sent although it is not stored.
    pub(super) given_blob: Option<(ids::Digest, Arc<Vec<u8>>)>,
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

    /// Waits for permission, then sends the request.
    async fn send_once(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let JoinedRequest { request, refused, .. } = self.join(request).await.map_err(store_outage)?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        let admission = self.admit(&request.url, &SystemClock).await?;
        self.send(request, admission, &SystemClock).await
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

    /// Sends a joined request and reads the response.
    pub(super) async fn exchange(
        &self,
        request: HttpRequest,
        mut admission: RequestPermit<'_>,
        clock: &dyn Clock,
    ) -> Result<HttpResponse, CallError> {
        if let Some(order) = self.test_order.as_ref().filter(|_| request.retry_safety != RetrySafety::Safe) {
            return Err(denied(
                "test-order",
                format!(
                    "http: the order {order} is a test order, so nothing may be produced or sent for it; the plugin must check \
                     order.test before a request whose retry-safety is not `safe`"
                ),
            ));
        }
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid("method", format!("{:?} is not an HTTP method.", request.method)))?;
        let mut headers = self.headers(&request.headers)?;
        let mut redaction = Redaction::default();
        for auth in &request.auth {
            self.authenticate(auth, &mut admission, &mut headers, &mut redaction, clock).await?;
        }
        let body = self.read_body(request.body).await?;
        let host = admission.host().to_owned();
        let outgoing = OutboundRequest { method, headers, body, timeout: self.timeout };
        let answer = admission.send(outgoing).await.map_err(|error| self.unanswered(error))?;
        self.may_have_arrived.store(true, Ordering::Relaxed);
        let status = answer.status;
        let is_encoded = answer.headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity");
        if is_encoded && !redaction.is_empty() {
            let text = format!("http: {host} responded with a Content-Encoding, in which no secret can be found");
            return Err(denied("content-encoding", text));
        }
        let headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .map(|(name, value)| {
                let value = redaction.apply(value.as_bytes().to_vec());
                (name.as_str().to_owned(), header_text(&value))
            })
            .collect();
        let media_type = headers.iter().find(|(name, _)| name == CONTENT_TYPE.as_str()).map(|(_, value)| value.clone());
        let stores_body = request.store_body && status.is_success();
        let limit = if stores_body { self.stored_limit } else { ("bytes_in", self.bytes_in) };
        let bytes = answer.body(limit).await.map_err(|error| self.unanswered(error))?;
        let bytes = redaction.apply(bytes);
        let body = if stores_body {
            let size = bytes.len() as u64;
            let stored_type = media_type.as_deref().unwrap_or("application/octet-stream");
            let stored = self.scope.blobs.put(&self.scope.shop, bytes, stored_type).await;
            let digest = stored.map_err(store_outage)?.to_string();
            Body::Stored(StoredBody { digest, size, media_type })
        } else {
            Body::Bytes(bytes)
        };
        Ok(HttpResponse { status: status.as_u16(), headers, body, attempts: 1, extra: Vec::new() })
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
            headers.append(header_name("headers", name)?, header_value(name, value)?);
        }
        Ok(headers)
    }

    /// Returns the secret, if its field declares this use and it may be sent to this host.
    pub(super) fn secret_for(&self, name: &str, wanted: SecretUse, host: &str) -> Result<&str, CallError> {
        let granted = secret(&self.scope, name, wanted)?;
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

    /// Inserts the secret, and adds it to those that are removed from the response.
    async fn authenticate(
        &self,
        auth: &Auth,
        admission: &mut RequestPermit<'_>,
        headers: &mut HeaderMap,
        redaction: &mut Redaction,
        clock: &dyn Clock,
    ) -> Result<(), CallError> {
        let host = admission.host().to_owned();
        match auth {
            Auth::Bearer(name) => {
                let secret = self.secret_for(name, SecretUse::Bearer, &host)?;
                redaction.add(secret);
                set_header(headers, AUTHORIZATION, &format!("Bearer {secret}"))
            }
            Auth::Basic(login) => {
                let secret = self.secret_for(&login.secret, SecretUse::Basic, &host)?;
                if login.user.contains(':') {
                    return Err(invalid("auth", format!("The user name {:?} contains a colon.", login.user)));
                }
                let encoded = redaction.add_login(&login.user, secret);
                set_header(headers, AUTHORIZATION, &format!("Basic {encoded}"))
            }
            Auth::Header(header) => {
                let name = header_name("auth", &header.name)?;
                let secret = self.secret_for(&header.secret, SecretUse::Header, &host)?;
                redaction.add(secret);
                set_header(headers, name, &format!("{}{secret}", header.prefix))
            }
            Auth::Query(query) => {
                let secret = self.secret_for(&query.secret, SecretUse::Query, &host)?;
                redaction.add(secret);
                admission.append_query(&query.name, secret);
                Ok(())
            }
            Auth::ClientCredentials(credentials) => {
                // A token gives access to everything that its secret allows, so the secret must be authorized for the
                // host.
                let secret = self.secret_for(&credentials.secret, SecretUse::ClientCredentials, &host)?;
                redaction.add(secret);
                let token = self.token(credentials, clock).await?;
                let token = String::from_utf8_lossy(token.expose());
                redaction.add(&token);
                set_header(headers, AUTHORIZATION, &format!("Bearer {token}"))
            }
            Auth::Other(named) => Err(denied(
                format!("http-auth:{}", named.name),
                format!(
                    "http: this host does not know the authentication {:?}; the plugin needs a later host",
                    named.name
                ),
            )),
        }
    }
}

/// Parses the name of a header that is not reserved for the host.
fn header_name(field: &str, name: &str) -> Result<HeaderName, CallError> {
    let parsed: HeaderName = name.parse().map_err(|_| invalid(field, format!("{name:?} is not a header name.")))?;
    if RESERVED_HEADERS.contains(&parsed.as_str()) {
        return Err(invalid(field, format!("The header {name:?} is set by the host.")));
    }
    Ok(parsed)
}

/// Sets a header that contains a secret. Names of headers are equal in any case.
pub(super) fn set_header(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<(), CallError> {
    let mut value = header_value(name.as_str(), text)?;
    value.set_sensitive(true);
    match headers.insert(name.clone(), value) {
        None => Ok(()),
        Some(_) => Err(invalid("auth", format!("Two parts set the header {name}."))),
    }
}

/// Returns the error of a blob store that is unavailable.
pub(super) fn store_outage(reason: impl Display) -> CallError {
    CallError::Unavailable(Outage { retry_after_seconds: None, detail: format!("the blob store: {reason}") })
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(value).map_err(|_| {
        invalid("headers", format!("The value of the header {name:?} has characters that are not allowed in headers."))
    })
}

pub(super) fn invalid(field: &str, text: String) -> CallError {
    CallError::InvalidInput(FieldIssue {
        field: field.to_owned(),
        message: Message { key: "request-invalid".into(), parameters: vec![], text },
        blocking: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_that_set_one_header_are_refused_in_whatever_case_they_spell_it() {
        let mut headers = HeaderMap::new();
        headers.append(header_name("headers", "X-Session").unwrap(), HeaderValue::from_static("the plugin's"));
        let twice = set_header(&mut headers, header_name("auth", "x-SESSION").unwrap(), "Session secret");
        assert!(matches!(twice, Err(CallError::InvalidInput(issue)) if issue.message.text.contains("x-session")));
        assert!(set_header(&mut headers, header_name("auth", "Authorization").unwrap(), "Session secret").is_ok());
        assert!(set_header(&mut headers, AUTHORIZATION, "Bearer secret").is_err());
    }

    #[test]
    fn a_secret_is_put_into_no_header_that_is_the_hosts() {
        for name in ["Host", "content-length", "Transfer-Encoding", "Accept-Encoding", "no name"] {
            assert!(header_name("auth", name).is_err(), "{name}");
        }
    }
}
