//! The frame of every shop page, and its assets.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::line::{Line, families};
use super::pictures;
use super::profile::Shop;

/// Draws a page of a shop that may load from the configurator servers which the embed data names.
pub(super) fn page_with(shop: &Shop, title: &str, cart: &[Line], content: Markup, configurator: &[String]) -> Response {
    let count: u32 = families(cart).map(|(line, _)| line.view.quantity).sum();
    let links = [("", "Products"), ("offers", "Quotes"), ("orders", "Orders")];
    let body = html! {
        a.skip href="#content" { "Skip to content" }
        header.top {
            div.inside {
                a.name href=(shop.path("")) { (shop.title) }
                nav aria-label="Shop" {
                    @for (path, text) in links { a href=(shop.path(path)) { (text) } }
                    a.cart href=(shop.path("cart")) { "Cart" @if count > 0 { " " span.count { (count) } } }
                }
            }
        }
        main #content.inside { (content) }
        footer {
            p.inside {
                strong { "This is a sample shop." } " Its configurators are drawn by a stand-in of Cartwright's for " (shop.vendor)
                ", not by " (shop.vendor) "'s own viewer. Nothing is sold, and nothing leaves this machine. "
                a href="/" { "Both shops" } " · " a href={ (shop.host.url) "/admin" } { "Cartwright admin" }
            }
        }
    };
    document(&format!("{title} · {}", shop.title), body, &[std::slice::from_ref(&shop.host.url), configurator].concat())
}

/// Draws a page without a configurator.
pub(super) fn page(shop: &Shop, title: &str, cart: &[Line], content: Markup) -> Response {
    page_with(shop, title, cart, content, &[])
}

/// Draws the list of both shops.
pub(super) fn index(shops: &[Shop]) -> Response {
    let body = html! {
        main.inside {
            h1 { "Two shops" }
            p.about { "Each shop is its own platform. Both use the same Cartwright host over HTTP." }
            ul.products {
                @for shop in shops {
                    li { a.card href=(shop.path("")) {
                        (pictures::of(shop.products.first().map_or("", |product| product.id)))
                        span.title { (shop.title) }
                        span.about { (shop.about) " Configured with " (shop.vendor) "." }
                    } }
                }
            }
        }
    };
    document("Two shops", body, &[])
}

fn document(title: &str, body: Markup, others: &[String]) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/assets/shop.css";
                // Must load before the shop's own script, which uses it.
                @if let Some(host) = others.first() { script src={ (host) "/cartwright.js" } defer {} }
                script src="/assets/shop.js" defer {}
            }
            body { (body) }
        }
    };
    let mut response = page.into_response();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::try_from(policy(others)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Returns the content security policy: the shop's own files and those of `others`, nothing inline. Texts that are not
/// origins are omitted, because they would end the directive.
fn policy(others: &[String]) -> String {
    let is_origin = |text: &&String| text.contains("://") && !text.contains([' ', ';', ',', '\'', '"']);
    let others: Vec<&str> = others.iter().filter(is_origin).map(String::as_str).collect();
    let others = others.join(" ");
    let kinds = ["script-src", "style-src", "img-src", "connect-src", "frame-src", "font-src"];
    let rules: Vec<String> = kinds.iter().map(|kind| format!("{kind} 'self' {others}")).collect();
    format!("default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; {}", rules.join("; "))
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "shop.css" => ("text/css; charset=utf-8", include_str!("../../assets/shop.css")),
        "shop.js" => ("text/javascript; charset=utf-8", include_str!("../../assets/shop.js")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_calls_an_origin_cannot_widen_the_policy() {
        let policy = policy(&["https://a.example".to_owned(), "https://b.example; script-src *".to_owned()]);
        assert!(policy.contains("script-src 'self' https://a.example;"), "{policy}");
        assert!(!policy.contains("b.example"), "{policy}");
    }
}
