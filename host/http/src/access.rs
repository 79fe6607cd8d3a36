//! Authentication and roles. A request's key is looked up once; each operation declares the roles it allows through its
//! extractor.

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cartwright_store::{AccessError, Role};

use super::body;
pub use super::caller::Caller;
use super::idempotency::Once;
use super::node::Node;
use super::problem::Problem;
use super::trace_context;

/// Looks up the request's key. Requests without a key continue anonymously; requests with an invalid key are refused.
pub(crate) async fn identify(State(node): State<Node>, mut request: Request, next: Next) -> Response {
    let text = match bearer(request.headers()) {
        Ok(None) => return next.run(request).await,
        Ok(Some(text)) => text,
        Err(problem) => return problem.into_response(),
    };
    let from = node.client_ip(&request);
    let limits = node.limits();
    if let Err(wait) = limits.check_attempts(&text, from) {
        return Problem::from(wait).into_response();
    }
    // A key that is known to be a storefront's is not looked up at all for a client that exceeds its rate limit.
    let is_counted = limits.is_storefront(&text);
    if is_counted && let Err(wait) = limits.check_client(from) {
        return Problem::from(wait).into_response();
    }
    match node.store().access().access_key(&text, from, node.now()).await {
        Ok(access) => {
            let caller = Caller::of(access).with_address(from);
            let allowed = match caller.role() {
                Role::Storefront { .. } if is_counted => limits.check_storefront_key(&text, &caller.key),
                Role::Storefront { .. } => {
                    limits.check_client(from).and_then(|()| limits.check_storefront_key(&text, &caller.key))
                }
                _ => limits.check_key(&text, &caller.key),
            };
            if let Err(wait) = allowed {
                return Problem::from(wait).into_response();
            }
            match caller.role() {
                Role::Storefront { shop } => {
                    let of_shop = node.host().shop(shop).ok().and_then(|shop| shop.max_storefront_body_bytes);
                    let max = of_shop.unwrap_or(limits.settings().max_storefront_body_bytes.get());
                    body::mark_storefront(request.extensions(), shop, usize::try_from(max).unwrap_or(usize::MAX));
                }
                _ => {
                    body::mark_trusted(request.extensions());
                    // Storefront keys are public, so any client could send a trace context with one.
                    trace_context::adopt_trace_context(request.headers());
                }
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(AccessError::Store(error)) => Problem::from(error).into_response(),
        Err(error) => {
            limits.failed_attempts.failed(from);
            tracing::info!(%error, ?from, "request refused");
            Problem::new(StatusCode::UNAUTHORIZED, "access", AccessError::UNAUTHORIZED_MESSAGE).into_response()
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    match text {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(key.trim().to_owned())),
        _ => Err(Problem::new(StatusCode::UNAUTHORIZED, "access", "send Authorization: Bearer and an access key")),
    }
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident: $($role:pat_param)|+ => $for:literal;)*) => {
        $($(#[$doc])*
        pub struct $name(#[allow(dead_code, reason = "not every operation uses the caller")] pub Caller);

        impl FromRequestParts<Node> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, node: &Node) -> Result<Self, Problem> {
                let caller = caller(parts, node).await?;
                #[allow(unreachable_patterns, reason = "some operations allow all roles")]
                match caller.role() {
                    $($role)|+ => {
                        if let Some(once) = parts.extensions.get::<Once>().cloned() {
                            once.begin_without_body().await?;
                        }
                        Ok(Self(caller))
                    }
                    _ => Err(Problem::new(StatusCode::FORBIDDEN, "role", concat!("this operation requires a key with the role ", $for))),
                }
            }
        })*
    };
}

roles! {
    /// A caller of an operation that shop pages may use; all roles may.
    Storefront: Role::Storefront { .. } | Role::Backend { .. } | Role::Integrator { .. } | Role::Admin
        => "storefront, backend, integrator or admin";
    /// A caller of an operation for the platform's server, such as orders and prices.
    Backend: Role::Backend { .. } | Role::Admin => "backend or admin";
    /// A caller that may set up a shop.
    Integrator: Role::Integrator { .. } | Role::Admin => "integrator or admin";
    /// A caller that may read the set-up of a shop.
    Reader: Role::Backend { .. } | Role::Integrator { .. } | Role::Admin => "backend, integrator or admin";
    /// A caller that may run the installation.
    Admin: Role::Admin => "admin";
}

/// Returns the caller if it may access the shop in the path. Another shop is reported as not found, so that a key does
/// not reveal which shops exist.
async fn caller(parts: &mut Parts, node: &Node) -> Result<Caller, Problem> {
    let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "access", "send Authorization: Bearer and an access key"));
    };
    let path = RawPathParams::from_request_parts(parts, node).await;
    let path = path.map_err(|rejection| Problem::not_found(rejection.body_text()))?;
    let shop = path.iter().find(|(name, _)| *name == "shop").map(|(_, shop)| shop);
    match (shop, caller.shop()) {
        (Some(requested), Some(own)) if requested != own.as_str() => {
            Err(Problem::not_found(format!("shop {requested} not found")))
        }
        _ => Ok(caller),
    }
}
