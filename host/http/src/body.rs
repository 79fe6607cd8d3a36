//! Limits on request bodies: the size of each, and the memory of all together.
//!
//! Every body passes through [`meter`], which counts the bytes as they arrive, and fails a body that is larger than its
//! operation allows or that exceeds the node's budget. The bytes count until the response is ready, because the values
//! that were read from them live as long. A large response to a sender without a secret key counts in their place until
//! it is sent, because a client that reads it slowly makes the node keep it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cartwright::ShopId;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Semaphore;

use super::access::client_ip;
use super::limits::{MAX_BODY_BYTES, MAX_INLINE_BYTES, network_of};
use super::node::Node;
use super::problem::Problem;

/// Time after which to retry a request that exceeded the budget, in seconds: other requests are finished by then.
const RETRY_SECONDS: u32 = 1;

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The body is larger than its operation allows; contains the limit in bytes.
    #[error("the body is larger than the {0} bytes that this operation accepts")]
    TooLarge(usize),
    /// The body exceeds the budget of its sender for now.
    #[error("the request bodies of {owner} use all {max} bytes that are allowed at a time; try again")]
    NoRoom {
        /// Owner of the exhausted share.
        owner: &'static str,
        /// Size of the share, in bytes.
        max: usize,
    },
}

/// The sender that a body is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sender {
    /// A sender with a secret key: the platform's server, an integrator, an admin.
    Trusted,
    /// A sender with the public key of a shop's storefront.
    Storefront(ShopId),
    /// A sender without a key: of a webhook, or of the sign-in form.
    Anonymous,
}

/// A share of the budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum BodyShare {
    Public,
    Shop(ShopId),
    Address(Option<IpAddr>),
}

/// Memory budget for the bodies of all requests in progress, in bytes. Senders without a secret key share half of it,
/// one shop's storefronts a quarter, and one client address has an eighth.
pub(crate) struct BodyBudget {
    max: usize,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    bytes: usize,
    /// Bytes in use by share. No entry is zero, so that there are never more entries than bodies.
    shares: HashMap<BodyShare, usize>,
}

impl BodyBudget {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, used: Mutex::default() }
    }

    /// Returns the number of bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.lock().bytes
    }

    fn address_max(&self) -> usize {
        self.max / 8
    }

    fn take(&self, shares: &[BodyShare], bytes: usize) -> Result<(), BodyError> {
        let mut used = self.lock();
        if used.bytes.saturating_add(bytes) > self.max {
            return Err(BodyError::NoRoom { owner: "this node", max: self.max });
        }
        for share in shares {
            let (owner, max) = match share {
                BodyShare::Public => ("storefronts and webhooks together", self.max / 2),
                BodyShare::Shop(_) => ("this shop's storefronts", self.max / 4),
                BodyShare::Address(_) => ("one client address", self.address_max()),
            };
            if used.shares.get(share).copied().unwrap_or_default().saturating_add(bytes) > max {
                return Err(BodyError::NoRoom { owner, max });
            }
        }
        used.bytes += bytes;
        for share in shares {
            *used.shares.entry(share.clone()).or_default() += bytes;
        }
        Ok(())
    }

    fn release(&self, shares: &[BodyShare], bytes: usize) {
        let mut used = self.lock();
        used.bytes = used.bytes.saturating_sub(bytes);
        for share in shares {
            if let Some(of_share) = used.shares.get_mut(share) {
                *of_share = of_share.saturating_sub(bytes);
                if *of_share == 0 {
                    used.shares.remove(share);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account of one request's body: its limits, and the bytes that count for it until the last handle is dropped.
pub(super) struct BodyAccount {
    budget: Arc<BodyBudget>,
    address: Option<IpAddr>,
    sender: OnceLock<Sender>,
    /// Limit of the operation, in bytes.
    operation: AtomicUsize,
    /// Limit of the sender, in bytes.
    sender_max: AtomicUsize,
    reserved: Mutex<(Vec<BodyShare>, usize)>,
}

impl BodyAccount {
    fn new(budget: Arc<BodyBudget>, address: Option<IpAddr>) -> Self {
        Self {
            budget,
            address: address.map(network_of),
            sender: OnceLock::new(),
            operation: AtomicUsize::new(MAX_BODY_BYTES),
            sender_max: AtomicUsize::new(usize::MAX),
            reserved: Mutex::default(),
        }
    }

    fn max(&self) -> usize {
        self.operation.load(Ordering::Relaxed).min(self.sender_max.load(Ordering::Relaxed))
    }

    fn shares(&self) -> Vec<BodyShare> {
        match self.sender.get().unwrap_or(&Sender::Anonymous) {
            Sender::Trusted => Vec::new(),
            Sender::Anonymous => vec![BodyShare::Public, BodyShare::Address(self.address)],
            Sender::Storefront(shop) => {
                vec![BodyShare::Public, BodyShare::Shop(shop.clone()), BodyShare::Address(self.address)]
            }
        }
    }

    /// Counts bytes that arrived.
    fn take(&self, bytes: usize) -> Result<(), BodyError> {
        let (max, reserved) = (self.max(), self.reserved().1);
        if reserved.saturating_add(bytes) > max {
            return Err(BodyError::TooLarge(max));
        }
        self.take_any(bytes)
    }

    /// Counts bytes without checking the limits of the request.
    fn take_any(&self, bytes: usize) -> Result<(), BodyError> {
        let mut reserved = self.reserved();
        let (shares, sum) = &mut *reserved;
        if *sum == 0 {
            // The sender is always identified before its body is read.
            *shares = self.shares();
        }
        self.budget.take(shares, bytes)?;
        *sum += bytes;
        Ok(())
    }

    fn release(&self) {
        let (shares, bytes) = std::mem::take(&mut *self.reserved());
        self.budget.release(&shares, bytes);
    }

    fn reserved(&self) -> MutexGuard<'_, (Vec<BodyShare>, usize)> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BodyAccount {
    fn drop(&mut self) {
        self.release();
    }
}

/// Marker of a response that is not counted: its bytes are the same for everybody, or only the owner of a document URL
/// receives it.
#[derive(Clone, Copy)]
pub(super) struct UncountedBody;

/// Marks the sender as one with a secret key.
pub fn mark_trusted(extensions: &Extensions) {
    if let Some(account) = extensions.get::<Arc<BodyAccount>>() {
        account.sender.get_or_init(|| Sender::Trusted);
    }
}

/// Marks the sender as the storefront of a shop, which may send at most `max` bytes.
pub(super) fn mark_storefront(extensions: &Extensions, shop: &ShopId, max: usize) {
    if let Some(account) = extensions.get::<Arc<BodyAccount>>() {
        account.sender.get_or_init(|| Sender::Storefront(shop.clone()));
        account.sender_max.store(max, Ordering::Relaxed);
    }
}

/// Middleware that sets an operation's limit, in bytes, for `axum::middleware::from_fn_with_state`.
pub async fn allow(State(max): State<usize>, request: Request, next: Next) -> Response {
    if let Some(account) = request.extensions().get::<Arc<BodyAccount>>() {
        account.operation.store(max, Ordering::Relaxed);
    }
    next.run(request).await
}

/// Middleware that counts every body that is read, and refuses compressed ones.
pub async fn meter(State(node): State<Node>, request: Request, next: Next) -> Response {
    if let Some(coding) = compressed(request.headers()) {
        return unsupported(&coding);
    }
    let account = Arc::new(BodyAccount::new(node.limits().bodies.clone(), client_ip(&node, &request)));
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(account.clone());
    let body = Body::new(MeteredBody { body, account: account.clone(), is_checked: false });
    let response = next.run(Request::from_parts(parts, body)).await;
    account.release();
    count_response(account, response)
}

/// Counts a large response for its recipient until it is sent.
fn count_response(account: Arc<BodyAccount>, response: Response) -> Response {
    let bytes = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
    let is_trusted = matches!(account.sender.get(), Some(Sender::Trusted));
    if is_trusted || bytes <= MAX_INLINE_BYTES || response.extensions().get::<UncountedBody>().is_some() {
        return response;
    }
    // A single response may be larger than its share.
    match account.take_any(bytes.min(account.budget.address_max())) {
        Ok(()) => response.map(|body| Body::new(GuardedBody::new(body, account))),
        Err(error) => no_room(&error).into_response(),
    }
}

/// Returns the problem of a request or a response that exceeds the budget.
pub(super) fn no_room(error: &BodyError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()).with_retry_after(RETRY_SECONDS)
}

/// A response body that holds a guard until it is dropped, which is when it is sent or its connection ends.
pub(super) struct GuardedBody<G> {
    body: Body,
    _guard: G,
}

impl<G> GuardedBody<G> {
    pub(super) fn new(body: Body, guard: G) -> Self {
        Self { body, _guard: guard }
    }
}

impl<G: Unpin> HttpBody for GuardedBody<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the coding of a body that is encoded.
fn compressed(headers: &HeaderMap) -> Option<String> {
    let codings = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let applied = |codings: std::borrow::Cow<'_, str>| {
        let mut codings = codings.split(',').map(str::trim).filter(|coding| !coding.is_empty());
        codings.find(|coding| !coding.eq_ignore_ascii_case("identity")).map(str::to_owned)
    };
    codings.filter_map(applied).next()
}

fn unsupported(coding: &str) -> Response {
    let coding: String = coding.chars().take(40).filter(|letter| !letter.is_control()).collect();
    let detail = format!("the body has Content-Encoding {coding:?}; send it uncompressed, without Content-Encoding");
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding", detail);
    // RFC 9110, section 15.5.16: the header tells the sender which codings are accepted.
    ([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))], problem).into_response()
}

/// A body whose bytes are counted.
struct MeteredBody {
    body: Body,
    account: Arc<BodyAccount>,
    is_checked: bool,
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.is_checked {
            self.is_checked = true;
            let (max, declared) = (self.account.max(), self.body.size_hint().lower());
            // A body whose declared length is too large is not read at all.
            if usize::try_from(declared).is_ok_and(|declared| declared > max) {
                return Poll::Ready(Some(Err(BodyError::TooLarge(max).into())));
            }
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.data_ref().map_or(Ok(()), |data| self.account.take(data.len())) {
                Ok(()) => Some(Ok(frame)),
                Err(error) => Some(Err(error.into())),
            },
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a whole body. Frames are copied together as they arrive, so that a body of one-byte frames takes no more
/// memory than another.
pub async fn read(mut body: Body) -> Result<Bytes, axum::Error> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(expected.min(MAX_INLINE_BYTES));
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

/// Runs work that grows with untrusted input of `bytes` bytes. Large input is processed on a thread of its own, on as
/// many threads as there are processors, so that it does not block the async workers.
pub(super) async fn compute<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    static PROCESSORS: LazyLock<Semaphore> =
        LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
    if bytes <= MAX_INLINE_BYTES {
        return work();
    }
    // The semaphore is never closed; unlimited work would be better than none.
    let permit = PROCESSORS.acquire().await.ok();
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    match working.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a shutdown of the runtime cancels the task, and then no caller waits for the result.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 800;

    fn account(budget: &Arc<BodyBudget>, address: &str, sender: Sender) -> BodyAccount {
        let account = BodyAccount::new(budget.clone(), address.parse().ok());
        account.sender.get_or_init(|| sender);
        account
    }

    fn storefront(shop: &str) -> Sender {
        Sender::Storefront(shop.parse().expect("an id"))
    }

    fn no_room(account: &BodyAccount, bytes: usize) -> &'static str {
        match account.take(bytes) {
            Err(BodyError::NoRoom { owner, .. }) => owner,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_address_one_shop_and_all_storefronts_each_have_a_share_of_the_budget() {
        let budget = Arc::new(BodyBudget::new(BUDGET));
        let first = account(&budget, "192.0.2.1", storefront("rings"));
        assert_eq!(first.take(100), Ok(()));
        assert_eq!(no_room(&first, 1), "one client address");
        let same_network = account(&budget, "::ffff:192.0.2.1", Sender::Anonymous);
        assert_eq!(no_room(&same_network, 1), "one client address");
        let second = account(&budget, "192.0.2.2", storefront("rings"));
        assert_eq!(second.take(100), Ok(()));
        assert_eq!(no_room(&account(&budget, "192.0.2.3", storefront("rings")), 1), "this shop's storefronts");
        let others: Vec<BodyAccount> = [("192.0.2.4", "doors"), ("192.0.2.5", "doors")]
            .map(|(address, shop)| account(&budget, address, storefront(shop)))
            .into();
        assert!(others.iter().all(|other| other.take(100) == Ok(())));
        assert_eq!(no_room(&account(&budget, "192.0.2.6", Sender::Anonymous), 1), "storefronts and webhooks together");
        // The other half is reserved for senders with secret keys.
        let server = account(&budget, "192.0.2.1", Sender::Trusted);
        assert_eq!(server.take(400), Ok(()));
        assert_eq!(no_room(&server, 1), "this node");
    }

    #[test]
    fn the_bytes_of_a_request_that_is_over_are_free_again_and_nothing_is_remembered_of_it() {
        let budget = Arc::new(BodyBudget::new(BUDGET));
        let body = account(&budget, "192.0.2.1", storefront("rings"));
        assert_eq!((body.take(60), body.take(40)), (Ok(()), Ok(())));
        assert_eq!(budget.used(), 100);
        drop(body);
        assert_eq!(budget.used(), 0);
        assert!(budget.lock().shares.is_empty());
        assert_eq!(account(&budget, "192.0.2.1", storefront("rings")).take(100), Ok(()));
    }

    #[test]
    fn a_large_response_is_counted_until_it_is_sent_unless_its_bytes_are_the_same_for_all() {
        let large = || vec![b'x'; MAX_INLINE_BYTES + 1].into_response();
        let budget = Arc::new(BodyBudget::new(MAX_INLINE_BYTES * 12));
        let shopper = || Arc::new(account(&budget, "192.0.2.1", storefront("rings")));
        let first = count_response(shopper(), large());
        assert_eq!((first.status(), budget.used()), (StatusCode::OK, MAX_INLINE_BYTES + 1));
        assert_eq!(count_response(shopper(), large()).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(count_response(shopper(), "small".into_response()).status(), StatusCode::OK);
        let mut shared = large();
        shared.extensions_mut().insert(UncountedBody);
        assert_eq!(count_response(shopper(), shared).status(), StatusCode::OK);
        let server = Arc::new(account(&budget, "192.0.2.1", Sender::Trusted));
        assert_eq!(count_response(server, large()).status(), StatusCode::OK);
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_lower_of_the_operations_and_the_senders_limits_holds() {
        let budget = Arc::new(BodyBudget::new(1 << 30));
        let body = account(&budget, "192.0.2.1", Sender::Trusted);
        body.operation.store(100, Ordering::Relaxed);
        assert_eq!(body.take(101), Err(BodyError::TooLarge(100)));
        body.sender_max.store(50, Ordering::Relaxed);
        assert_eq!(body.take(51), Err(BodyError::TooLarge(50)));
        assert_eq!((body.take(30), body.take(21)), (Ok(()), Err(BodyError::TooLarge(50))));
    }

    #[tokio::test]
    async fn a_body_that_declares_too_many_bytes_is_not_read() {
        let budget = Arc::new(BodyBudget::new(1 << 30));
        let account = Arc::new(account(&budget, "192.0.2.1", Sender::Trusted));
        account.operation.store(3, Ordering::Relaxed);
        let metered =
            |text: &'static str| MeteredBody { body: text.into(), account: account.clone(), is_checked: false };
        let error = read(Body::new(metered("four"))).await.expect_err("too large");
        assert!(format!("{error:?}").contains("TooLarge(3)"), "{error:?}");
        assert_eq!(budget.used(), 0);
        assert_eq!(read(Body::new(metered("two"))).await.expect("a body"), "two");
    }

    #[test]
    fn every_coding_but_identity_is_compressed() {
        let coding = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().expect("a header"));
            }
            compressed(&headers)
        };
        for sent_as_it_is in [&[][..], &["identity"], &["", "Identity , identity"]] {
            assert_eq!(coding(sent_as_it_is), None);
        }
        for (values, found) in [(&["gzip"][..], "gzip"), (&["identity", "br"], "br"), (&["identity,zstd"], "zstd")] {
            assert_eq!(coding(values).as_deref(), Some(found));
        }
    }
}
