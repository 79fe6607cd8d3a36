//! Middleware that counts every body, and refuses compressed ones.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::budget::{BodyAccount, BodyError};
use super::guard::GuardedBody;
use crate::limits::MAX_INLINE_BYTES;
use crate::node::Node;
use crate::problem::Problem;

/// Time after which to retry a request that exceeded the budget, in seconds: other requests are finished by then.
const RETRY_SECONDS: u32 = 1;

/// Marker of a response that is not counted: its bytes are the same for everybody, or only the owner of a document URL
/// receives it.
#[derive(Clone, Copy)]
pub(crate) struct UncountedBody;

/// Middleware that sets an operation's limit, in bytes, for `axum::middleware::from_fn_with_state`.
pub async fn allow(State(max): State<usize>, request: Request, next: Next) -> Response {
    if let Some(account) = BodyAccount::of(request.extensions()) {
        account.set_operation_max(max);
    }
    next.run(request).await
}

/// Middleware that counts every body that is read, and refuses compressed ones.
pub async fn meter(State(node): State<Node>, request: Request, next: Next) -> Response {
    if let Some(coding) = compressed(request.headers()) {
        return unsupported(&coding);
    }
    let account = Arc::new(BodyAccount::new(node.bodies().clone(), node.client_ip(&request)));
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
    if account.is_trusted() || bytes <= MAX_INLINE_BYTES || response.extensions().get::<UncountedBody>().is_some() {
        return response;
    }
    match account.take_response(bytes) {
        Ok(()) => response.map(|body| Body::new(GuardedBody::new(body, account))),
        Err(error) => no_room(&error).into_response(),
    }
}

/// Returns the problem of a request or a response that exceeds the budget.
pub(crate) fn no_room(error: &BodyError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()).with_retry_after(RETRY_SECONDS)
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
pub(crate) async fn read(mut body: Body) -> Result<Bytes, axum::Error> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(expected.min(MAX_INLINE_BYTES));
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::super::budget::BodyBudget;
    use super::*;

    #[test]
    fn a_large_response_is_counted_until_it_is_sent_unless_its_bytes_are_the_same_for_all() {
        let large = || vec![b'x'; MAX_INLINE_BYTES + 1].into_response();
        let budget = Arc::new(BodyBudget::new(MAX_INLINE_BYTES * 12));
        let account = || Arc::new(BodyAccount::new(budget.clone(), "192.0.2.1".parse().ok()));
        let shopper = || {
            let shopper = account();
            shopper.mark_storefront(&"rings".parse().expect("an id"), usize::MAX);
            shopper
        };
        let first = count_response(shopper(), large());
        assert_eq!((first.status(), budget.used()), (StatusCode::OK, MAX_INLINE_BYTES + 1));
        assert_eq!(count_response(shopper(), large()).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(count_response(shopper(), "small".into_response()).status(), StatusCode::OK);
        let mut shared = large();
        shared.extensions_mut().insert(UncountedBody);
        assert_eq!(count_response(shopper(), shared).status(), StatusCode::OK);
        let server = account();
        server.mark_trusted();
        assert_eq!(count_response(server, large()).status(), StatusCode::OK);
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_body_that_declares_too_many_bytes_is_not_read() {
        let budget = Arc::new(BodyBudget::new(1 << 30));
        let account = Arc::new(BodyAccount::new(budget.clone(), None));
        account.set_operation_max(3);
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
