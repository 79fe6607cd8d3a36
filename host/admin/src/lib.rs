//! The admin pages: shops, vendors, product links, plugins, orders and jobs in a browser. Pages are rendered on the
//! server and work without scripts. [`routes`] contains all of them.
//!
//! Signing in with an integrator or admin key starts a session. The role extractors of the HTTP API guard the pages as
//! well, and every failure is a [`Problem`] that is drawn as a page instead of written as JSON. Every form contains its
//! session's token, see `session`.

mod accounts;
mod chart;
mod connect;
mod entry;
mod failed_action;
mod form;
mod grants;
mod health;
mod issues;
mod jobs;
mod keys;
mod layout;
mod link;
mod links;
mod log;
mod nav;
mod notice;
mod notifications;
mod open_items;
mod orders;
mod paths;
mod pending_changes;
mod plugins;
mod preview;
mod quotes;
mod session;
mod shops;
mod sign_in;
mod switch_vendor;
mod text;
mod timeline;
mod webhooks;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
};
use axum::routing::get;
use axum::{Router, middleware};
use cartwright_http::{Node, Problem, panicked, with_timeout, wrong_method};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// Loads and runs only what this host serves, and forbids framing. Vendors' pictures are loaded from their own servers.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Returns the admin pages of a node.
pub fn routes(node: &Node) -> Router<Node> {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    let style = ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../assets/admin.css"));
    let script = ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../assets/admin.js"));
    let pages = Router::new()
        .merge(sign_in::routes())
        .merge(shops::routes())
        .merge(accounts::routes())
        .merge(connect::routes())
        .merge(link::routes())
        .merge(links::routes())
        .merge(preview::routes())
        .merge(switch_vendor::routes())
        .merge(plugins::routes())
        .merge(quotes::routes())
        .merge(pending_changes::routes())
        .merge(webhooks::routes())
        .merge(orders::routes())
        .merge(jobs::routes())
        .merge(notifications::routes())
        .merge(log::routes())
        .merge(health::routes())
        .merge(keys::routes())
        .route("/admin/style.css", get(style))
        .route("/admin/script.js", get(script))
        .route("/admin/{*rest}", get(|| async { Problem::not_found("This page doesn't exist or was moved.") }))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(node.clone(), session::identify));
    render_problems(pages, node.admin_url().prefix().to_owned())
        .layer(set(CONTENT_SECURITY_POLICY, POLICY))
        .layer(set(REFERRER_POLICY, "same-origin"))
        .layer(set(CACHE_CONTROL, "no-store"))
}

/// Draws problems as pages, including those of requests that time out or panic. `prefix` is the path of the pages' URL.
fn render_problems<S: Clone + Send + Sync + 'static>(pages: Router<S>, prefix: String) -> Router<S> {
    pages
        .layer(middleware::from_fn(with_timeout))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(prefix, layout::render_problems))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    #[tokio::test]
    async fn a_page_that_panics_is_a_page_that_says_so() {
        async fn panics() -> &'static str {
            panic!("a test")
        }
        let pages = render_problems(Router::new().route("/admin/shops", get(panics)), "/cartwright".to_owned());
        let request = Request::get("/admin/shops").body(Body::empty()).expect("a request");
        let response = TowerToHyperService::new(pages).call(request).await.expect("a response");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers()[CONTENT_TYPE].to_str().is_ok_and(|kind| kind.starts_with("text/html")));
        let page = to_bytes(response.into_body(), 1 << 20).await.expect("a page");
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("the host failed") && page.contains("/cartwright/admin/style.css"), "{page}");
        assert!(page.contains("not known whether anything was changed"), "{page}");
    }
}
