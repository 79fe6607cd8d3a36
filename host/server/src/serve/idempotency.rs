//! A write that is sent again, because its answer was lost, is answered as before and done once.
//!
//! A secret that is shown once is not kept to be shown again: whoever asks again is told that it was made, and what to do now.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cartwright::{Digest, ShopId};
use cartwright_store::{Begun, StoredAnswer};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Required};

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

/// An answer that shows a secret; what is answered when it is asked for again.
#[derive(Clone)]
struct ShownOnce(Problem);

/// An answer that holds something of an order: it is forgotten with it.
#[derive(Clone)]
struct HoldsOf(ShopId, String);

/// An answer that shows a secret, and what whoever lost it is to do.
pub(super) fn shown_once(answer: impl IntoResponse, lost: impl Into<String>) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(ShownOnce(Problem::new(StatusCode::CONFLICT, "shown-once", lost)));
    response
}

/// An answer that holds something of an order, by the platform's id.
pub(super) fn of_order(answer: impl IntoResponse, shop: ShopId, order: String) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(HoldsOf(shop, order));
    response
}

/// Says in the document that its writes take the header.
pub(super) fn describe(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let writes = [&mut path.put, &mut path.post, &mut path.delete, &mut path.patch];
        for Operation { parameters, .. } in writes.into_iter().flatten() {
            parameters.get_or_insert_default().push(parameter());
        }
    }
}

fn parameter() -> Parameter {
    let text =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(LONGEST_NAME)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The caller's own name of this request: sent again within a day, it is answered as before and done once.",
        ))
        .schema(Some(text))
        .build()
}

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
                    let answer = match parts.extensions.get::<ShownOnce>() {
                        Some(ShownOnce(lost)) => stored(lost.clone().into_response()).await?,
                        None => keep(&parts, &body),
                    };
                    let of = parts.extensions.get::<HoldsOf>().cloned();
                    let orders: Vec<_> = of.into_iter().map(|HoldsOf(shop, order)| (shop, order)).collect();
                    store.answer_request(&token, &answer, &orders, node.now()).await?;
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

async fn stored(response: Response) -> Result<StoredAnswer, Problem> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, LARGEST).await.map_err(|error| unread(&error))?;
    Ok(keep(&parts, &body))
}

fn keep(parts: &Parts, body: &[u8]) -> StoredAnswer {
    StoredAnswer { status: parts.status.as_u16(), headers: kept(&parts.headers), body: body.to_vec() }
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
