//! A write that is sent again, because its answer was lost, is answered as before and done once.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cartwright::Digest;
use cartwright_store::{Begun, StoredAnswer};

use super::access::Caller;
use super::extract::{header, unread};
use super::node::Node;
use super::problem::Problem;

/// The caller's name of a request.
const NAME: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest name.
const LONGEST_NAME: usize = 255;
/// Answers of this size are kept; a longer one comes of a longer request, which is read once.
const LARGEST: usize = 16 << 20;
/// What is kept of an answer's headers.
const KEPT: [HeaderName; 2] = [CONTENT_TYPE, ETAG];

pub(crate) async fn once(State(node): State<Node>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (Some(caller), true, Some(_)) = (caller, writes, request.headers().get(&NAME)) else {
        return next.run(request).await;
    };
    match answer(&node, &caller, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(node: &Node, caller: &Caller, request: Request, next: Next) -> Result<Response, Problem> {
    let name = header(request.headers(), NAME)?.unwrap_or_default();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Problem::bad_request(format!("Idempotency-Key has 1 to {LONGEST_NAME} characters")));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.map_err(|error| unread(&error))?;
    let conditions = ["if-match", "if-none-match"].map(|name| parts.headers.get(name).map(HeaderValue::as_bytes));
    let asked = format!("{} {} {conditions:?} {}", parts.method, parts.uri, Digest::of(&body));
    let store = node.store();
    match store.begin_request(&caller.key, &name, &Digest::of(asked.as_bytes()), node.now()).await? {
        Begun::Running => Err(Problem::new(
            StatusCode::CONFLICT,
            "running",
            "the request of this Idempotency-Key is being done; ask again",
        )),
        Begun::Other => Err(Problem::unprocessable(
            "idempotency-key",
            "another request was sent with this Idempotency-Key; use a new one",
        )),
        Begun::Answered(before) => Ok(again(before)),
        Begun::New(token) => {
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            let (parts, body) = response.into_parts();
            let read = to_bytes(body, LARGEST).await;
            match read {
                // What failed did nothing, and may go well the next time.
                Ok(body) if parts.status.is_success() => {
                    let answer = StoredAnswer {
                        status: parts.status.as_u16(),
                        headers: kept(&parts.headers),
                        body: body.to_vec(),
                    };
                    store.answer_request(&token, &answer, &[], node.now()).await?;
                    Ok(Response::from_parts(parts, Body::from(body)))
                }
                Ok(body) => {
                    store.forget_request(&token).await?;
                    Ok(Response::from_parts(parts, Body::from(body)))
                }
                Err(error) => {
                    store.forget_request(&token).await?;
                    Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "answer", error.to_string()))
                }
            }
        }
    }
}

fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: &HeaderName| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned()));
    KEPT.iter().filter_map(text).collect()
}

fn again(answer: StoredAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
