//! Idempotency keys: a write that is repeated, because its response was lost, gets the first response and is done once.
//!
//! A secret that is shown once is not stored to be shown again: the response to a repeated request says that the secret
//! was created, and how to get a new one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cartwright::{Digest, ShopId};
use cartwright_store::{BeginOutcome, RequestToken, StoredResponse};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Required};

use super::caller::Caller;
use super::compute::compute;
use super::node::Node;
use super::problem::Problem;

/// Header with the idempotency key of a request.
const NAME: HeaderName = HeaderName::from_static("idempotency-key");
/// Header of a response that was stored with an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Maximum length of an idempotency key, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Maximum size of a stored response, in bytes. A longer response is to a longer request, which is read once.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Response headers that are stored.
const STORED_HEADERS: [HeaderName; 2] = [CONTENT_TYPE, ETAG];

/// Marker of a response that shows a secret, with the problem that a repeated request receives instead.
#[derive(Clone)]
struct SecretResponse(Problem);

/// Marker of a response that contains data of an order: it is erased with the order.
#[derive(Clone)]
struct OrderResponse(ShopId, String);

/// Returns a response that shows a secret, with advice for a client that lost it.
pub(super) fn secret_response(answer: impl IntoResponse, lost: impl Into<String>) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(SecretResponse(Problem::new(StatusCode::CONFLICT, "shown-once", lost)));
    response
}

/// Returns a response that contains data of an order, by the platform's id.
pub(super) fn of_order(answer: impl IntoResponse, shop: ShopId, order: String) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(OrderResponse(shop, order));
    response
}

/// Adds the header to all writes of the OpenAPI document.
pub(super) fn describe(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let writes = [&mut path.put, &mut path.post, &mut path.delete, &mut path.patch];
        for Operation { parameters, .. } in writes.into_iter().flatten() {
            parameters.get_or_insert_default().push(idempotency_header());
        }
    }
}

fn idempotency_header() -> Parameter {
    let text =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_NAME_BYTES)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The caller's own name of this request. If repeated within a day, the request is done once and \
             gets the first response.",
        ))
        .schema(Some(text))
        .build()
}

/// The operations that read a body, by method and path.
#[derive(Clone)]
pub(super) struct Bodies(Arc<HashSet<(Method, String)>>);

impl Bodies {
    pub(super) fn of(document: &OpenApi) -> Self {
        let all = document.paths.paths.iter().flat_map(|(path, item)| {
            let operations = [
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            let with_body =
                |operation: &Option<Operation>| operation.as_ref().is_some_and(|one| one.request_body.is_some());
            operations.map(|(method, operation)| with_body(operation).then(|| (method, path.clone())))
        });
        Self(Arc::new(all.flatten().collect()))
    }

    fn has(&self, request: &Request) -> bool {
        let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        path.is_some_and(|path| self.0.contains(&(request.method().clone(), path)))
    }
}

/// A request with an `Idempotency-Key`. It begins once the operation has authorized the caller and read what it reads,
/// so that a request that is refused earlier costs no more than one without the header.
#[derive(Clone)]
pub(super) struct Once(Arc<NamedRequest>);

struct NamedRequest {
    node: Node,
    caller: String,
    name: String,
    /// Method, path and preconditions.
    request: String,
    has_body: bool,
    state: Mutex<RequestProgress>,
}

#[derive(Default)]
enum RequestProgress {
    #[default]
    Waiting,
    InProgress(RequestToken),
    Answered(StoredResponse),
}

impl Once {
    /// Begins the request of an operation that reads no body, after the caller was authorized.
    pub(super) async fn begin_without_body(&self) -> Result<(), Problem> {
        if self.0.has_body { Ok(()) } else { self.begin(&Bytes::new()).await }
    }

    /// Begins the request.
    ///
    /// # Errors
    /// If another request with this key is in progress, or was done. In the latter case the stored response is sent.
    pub(super) async fn begin(&self, body: &Bytes) -> Result<(), Problem> {
        let NamedRequest { node, caller, name, request, state, .. } = &*self.0;
        let (body, request) = (body.clone(), request.clone());
        let digest = compute(body.len(), move || Digest::of(format!("{request} {}", Digest::of(&body)).as_bytes()));
        let problem = match node.store().idempotency().begin_request(caller, name, &digest.await, node.now()).await? {
            BeginOutcome::New(token) => {
                *lock(state) = RequestProgress::InProgress(token);
                return Ok(());
            }
            BeginOutcome::Answered(before) => {
                *lock(state) = RequestProgress::Answered(before);
                // The stored response replaces this problem.
                Problem::new(StatusCode::CONFLICT, "answered", "this request was done before")
            }
            BeginOutcome::Running => {
                let detail = "the request with this Idempotency-Key is in progress; retry later";
                Problem::new(StatusCode::CONFLICT, "running", detail)
            }
            BeginOutcome::Conflict => {
                let detail = "this Idempotency-Key was used for another request; use a new one";
                Problem::unprocessable("idempotency-key", detail)
            }
        };
        Err(problem)
    }
}

fn lock(state: &Mutex<RequestProgress>) -> MutexGuard<'_, RequestProgress> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) async fn idempotent(State((node, bodies)): State<(Node, Bodies)>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (Some(caller), true, Some(_)) = (caller, writes, request.headers().get(&NAME)) else {
        return next.run(request).await;
    };
    match answer(node, caller, &bodies, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(
    node: Node,
    caller: Caller,
    bodies: &Bodies,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let name = idempotency_key(request.headers())?;
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Problem::bad_request(format!("an Idempotency-Key has 1 to {MAX_NAME_BYTES} characters")));
    }
    let conditions = ["if-match", "if-none-match"].map(|name| request.headers().get(name).map(HeaderValue::as_bytes));
    let text = format!("{} {} {conditions:?}", request.method(), request.uri());
    let has_body = bodies.has(&request);
    let named_request =
        NamedRequest { node: node.clone(), caller: caller.key, name, request: text, has_body, state: Mutex::default() };
    let idempotent = Once(Arc::new(named_request));
    request.extensions_mut().insert(idempotent.clone());
    let response = next.run(request).await;
    let state = std::mem::take(&mut *lock(&idempotent.0.state));
    match state {
        RequestProgress::Answered(before) => Ok(replay(before)),
        RequestProgress::InProgress(token) => store_response(&node, &token, response).await,
        RequestProgress::Waiting => {
            if response.status().is_success() {
                tracing::error!(
                    "a write ignored its Idempotency-Key: its handler declares no role, or reads its body in another way"
                );
            }
            Ok(response)
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get(&NAME) else { return Ok(String::new()) };
    match value.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Problem::bad_request(format!("the header {NAME} is not text"))),
    }
}

/// Stores the response of a request that succeeded, and removes the record of one that failed.
async fn store_response(node: &Node, token: &RequestToken, response: Response) -> Result<Response, Problem> {
    let store = node.store();
    let (parts, body) = response.into_parts();
    match to_bytes(body, MAX_ANSWER_BYTES).await {
        // A failed request changed nothing, and may succeed the next time.
        Ok(body) if parts.status.is_success() => {
            let answer = match parts.extensions.get::<SecretResponse>() {
                Some(SecretResponse(lost)) => stored(lost.clone().into_response()).await?,
                None => to_stored(&parts, &body),
            };
            let of = parts.extensions.get::<OrderResponse>().cloned();
            let orders: Vec<_> = of.into_iter().map(|OrderResponse(shop, order)| (shop, order)).collect();
            store.idempotency().answer_request(token, &answer, &orders, node.now()).await?;
            Ok(Response::from_parts(parts, Body::from(body)))
        }
        Ok(body) => {
            store.idempotency().forget_request(token).await?;
            Ok(Response::from_parts(parts, Body::from(body)))
        }
        Err(error) => {
            store.idempotency().forget_request(token).await?;
            Err(read_error(&error))
        }
    }
}

fn read_error(error: &axum::Error) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "answer", error.to_string())
}

async fn stored(response: Response) -> Result<StoredResponse, Problem> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| read_error(&error))?;
    Ok(to_stored(&parts, &body))
}

fn to_stored(parts: &Parts, body: &[u8]) -> StoredResponse {
    StoredResponse { status: parts.status.as_u16(), headers: stored_headers(&parts.headers), body: body.to_vec() }
}

fn stored_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: &HeaderName| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned()));
    STORED_HEADERS.iter().filter_map(text).collect()
}

fn replay(answer: StoredResponse) -> Response {
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
