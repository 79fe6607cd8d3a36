//! The frame of every shop page, and its assets.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cartwright::types::{AllowedOrigin, OriginUse};
use maud::{DOCTYPE, Markup, html};

use super::line::{Line, families};
use super::pictures;
use super::profile::Shop;

/// Draws a page of a shop that may load from the origins which the embed data names.
pub(super) fn page_with(
    shop: &Shop,
    title: &str,
    cart: &[Line],
    content: Markup,
    configurator: &[AllowedOrigin],
) -> Response {
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
    document(&format!("{title} · {}", shop.title), body, Some(&shop.host.url), configurator)
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
    document("Two shops", body, None, &[])
}

/// Draws a page. `host` is the URL of the Cartwright host that it uses.
fn document(title: &str, body: Markup, host: Option<&str>, configurator: &[AllowedOrigin]) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/assets/shop.css";
                // Must load before the shop's own script, which uses it.
                @if let Some(host) = host { script src={ (host) "/cartwright.js" } defer {} }
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
    if let Ok(policy) = HeaderValue::try_from(policy(host, configurator)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Directives of the Content-Security-Policy, each with the use of an origin that it allows, and whether it allows the
/// host: for `cartwright.js`, embed data and thumbnails.
const DIRECTIVES: [(&str, OriginUse, bool); 7] = [
    ("script-src", OriginUse::Scripts, true),
    ("style-src", OriginUse::Styles, false),
    ("img-src", OriginUse::Images, true),
    ("media-src", OriginUse::Images, false),
    ("connect-src", OriginUse::Connections, true),
    ("frame-src", OriginUse::Frames, false),
    ("font-src", OriginUse::Fonts, false),
];

/// Returns the Content-Security-Policy: the shop's own files, the host, each origin of the embed data for its uses, and
/// nothing inline. The host has checked that no origin can end its directive.
fn policy(host: Option<&str>, configurator: &[AllowedOrigin]) -> String {
    let mut policy = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'".to_owned();
    for (directive, needed, allows_host) in DIRECTIVES {
        policy += &format!("; {directive} 'self'");
        let allowed = configurator.iter().filter(|allowed| allowed.uses.contains(&needed));
        for origin in host.filter(|_| allows_host).into_iter().chain(allowed.map(|allowed| allowed.origin.as_str())) {
            policy += &format!(" {origin}");
        }
    }
    policy
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
    fn each_origin_is_allowed_for_its_uses_alone() {
        let allowed =
            |origin: &str, uses: &[OriginUse]| AllowedOrigin { origin: origin.to_owned(), uses: uses.to_vec() };
        let origins = [
            allowed("https://a.example", &[OriginUse::Scripts, OriginUse::Connections]),
            allowed("https://b.example", &[OriginUse::Images, OriginUse::Styles]),
            allowed("https://c.example", &[OriginUse::Frames, OriginUse::Fonts]),
        ];
        assert_eq!(
            policy(Some("http://host.example"), &origins),
            "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
             script-src 'self' http://host.example https://a.example; style-src 'self' https://b.example; \
             img-src 'self' http://host.example https://b.example; media-src 'self' https://b.example; \
             connect-src 'self' http://host.example https://a.example; frame-src 'self' https://c.example; \
             font-src 'self' https://c.example"
        );
        assert!(!policy(None, &[]).contains("http"));
    }
}
