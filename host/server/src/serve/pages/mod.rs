//! The admin pages: shops, vendors, links, plugins and what they do, in a browser. Drawn here; a script only makes them quicker.
//!
//! Whoever signs in with an integrator's or an admin's access key holds a session. The extractors that say who may use an operation
//! of the HTTP API say it of pages too, and what goes wrong is a [`Problem`](super::problem::Problem) that is drawn instead of
//! written as JSON. Every form holds its session's token, see [`visitor`].

mod accounts;
mod approvals;
mod chart;
mod consent;
mod form;
mod frame;
mod health;
mod jobs;
mod keys;
mod link;
mod links;
mod log;
mod notifications;
mod orders;
mod plugins;
mod preview;
mod quotations;
mod shops;
mod sign_in;
mod timeline;
mod vendor_swap;
mod visitor;
mod webhooks;
mod words;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
};
use axum::routing::get;
use axum::{Router, middleware};
use tower_http::set_header::SetResponseHeaderLayer;

use super::node::Node;
use super::problem::Problem;
use super::wrong_method;

/// Nothing but what this host serves is loaded or run, and nobody frames it. A vendor's pictures are shown from where they are.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn routes(node: &Node) -> Router<Node> {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    let style = ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../../assets/admin.css"));
    let script = ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../../assets/admin.js"));
    Router::new()
        .merge(sign_in::routes())
        .merge(shops::routes())
        .merge(accounts::routes())
        .merge(link::routes())
        .merge(links::routes())
        .merge(preview::routes())
        .merge(vendor_swap::routes())
        .merge(plugins::routes())
        .merge(quotations::routes())
        .merge(approvals::routes())
        .merge(webhooks::routes())
        .merge(orders::routes())
        .merge(jobs::routes())
        .merge(notifications::routes())
        .merge(log::routes())
        .merge(health::routes())
        .merge(keys::routes())
        .route("/admin/style.css", get(style))
        .route("/admin/script.js", get(script))
        .route("/admin/{*rest}", get(|| async { Problem::not_found("there is no such page") }))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(node.clone(), visitor::identify))
        // Outside of everything that may refuse: whoever looks at a page reads a page.
        .layer(middleware::from_fn_with_state(node.clone(), frame::drawn))
        .layer(set(CONTENT_SECURITY_POLICY, POLICY))
        .layer(set(REFERRER_POLICY, "same-origin"))
        .layer(set(CACHE_CONTROL, "no-store"))
}
