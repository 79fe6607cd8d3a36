//! Signing in with an access key, and signing out.

use axum::Router;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum_extra::extract::cookie::CookieJar;
use cartwright_http::body;
use cartwright_http::extract::Query;
use cartwright_http::limits::{MAX_SIGN_IN_BYTES, RateLimited};
use cartwright_http::{Node, Problem};
use cartwright_store::AccessError;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::bare_page;
use super::paths::{address, shop_path};
use super::session::{self, AdminUser, AnonymousForm, ClientIp, FormData};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin", get(home))
        .route("/admin/sign-in", get(show).post(sign_in).layer(from_fn_with_state(MAX_SIGN_IN_BYTES, body::allow)))
        .route("/admin/sign-out", axum::routing::post(sign_out))
}

/// Redirects to the visitor's first page.
async fn home(visitor: AdminUser) -> Redirect {
    match visitor.caller.shop() {
        Some(shop) => Redirect::to(&shop_path(shop, "")),
        None => Redirect::to(&address("/admin/shops")),
    }
}

#[derive(Debug, Default, Deserialize)]
struct Next {
    next: Option<String>,
}

/// Returns the path if it is on this host. "//elsewhere" is another host's.
fn local_path(next: &str) -> Option<&str> {
    Some(next).filter(|next| next.starts_with("/admin") && !next.contains(['\\', '\r', '\n']))
}

async fn show(visitor: Result<AdminUser, Problem>, Query(Next { next }): Query<Next>) -> Response {
    match visitor {
        Ok(_) => Redirect::to(&address("/admin")).into_response(),
        Err(_) => form(next.as_deref().and_then(local_path), None).into_response(),
    }
}

fn form(next: Option<&str>, refused: Option<&str>) -> Markup {
    bare_page(
        "Sign in",
        html! {
            main.alone {
                h1 { "Sign in to Cartwright" }
                @if let Some(refused) = refused { p.refused #refused role="alert" { (refused) } }
                form method="post" action=(address("/admin/sign-in")) {
                    @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                    label for="key" { "Access key" }
                    input #key name="key" type="password" required autofocus autocomplete="current-password" spellcheck="false"
                        aria-describedby=(if refused.is_some() { "refused key-help" } else { "key-help" });
                    p.help #key-help {
                        "Use an integrator or admin key (cw_admin_…). To create the first one, run " code { "cartwright keys make" } "."
                    }
                    button { "Sign in" }
                }
            }
        },
    )
}

async fn sign_in(
    State(node): State<Node>,
    ClientIp(from): ClientIp,
    jar: CookieJar,
    AnonymousForm(sent): AnonymousForm,
) -> Response {
    let next = local_path(sent.text("next"));
    let (store, now) = (node.store(), node.now());
    let key = sent.text("key");
    let limits = node.limits();
    if let Err(wait) = limits.check_attempts(key, from) {
        return rate_limited(next, wait);
    }
    let new_session = async {
        let access = store.access().access_key(key, from, now).await?;
        store.access().begin_session(&access.key, from, now).await.map(|session| (access.key, session))
    };
    let sign_in_result = match new_session.await {
        Ok((id, session)) => {
            if let Err(wait) = limits.check_key(key, &id) {
                return rate_limited(next, wait);
            }
            let session = String::from_utf8_lossy(session.expose()).into_owned();
            let jar = jar.add(session::cookie(&node, session));
            return (jar, Redirect::to(&address(next.unwrap_or("/admin")))).into_response();
        }
        Err(AccessError::Store(error)) => return Problem::from(error).into_response(),
        Err(error @ AccessError::Role { .. }) => error.to_string(),
        Err(error) => {
            limits.failed_attempts.failed(from);
            tracing::info!(%error, ?from, "a sign-in failed");
            "We couldn't sign you in. Check the access key and try again.".to_owned()
        }
    };
    (StatusCode::FORBIDDEN, form(next, Some(&sign_in_result))).into_response()
}

fn rate_limited(next: Option<&str>, wait: RateLimited) -> Response {
    let problem = Problem::from(wait);
    let after = AppendHeaders(problem.retry_after().map(|seconds| (RETRY_AFTER, seconds)));
    (problem.status(), after, form(next, Some(problem.detail()))).into_response()
}

async fn sign_out(
    State(node): State<Node>,
    _: AdminUser,
    headers: HeaderMap,
    jar: CookieJar,
    _: FormData,
) -> Result<Response, Problem> {
    if let Some(session) = session::session(&node, &headers) {
        node.store().access().end_session(&session, node.now()).await?;
    }
    let jar = jar.remove(session::cookie(&node, String::new()));
    Ok((jar, Redirect::to(&address("/admin/sign-in"))).into_response())
}
