//! What every page has around what it is about.

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cartwright::ShopId;
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::visitor::{ORIGIN_PROBLEM, Visitor};
use crate::serve::problem::Problem;
use crate::serve::{LATE_PROBLEM, PANIC_PROBLEM};

/// The pages of a shop: its address behind the shop's, its name, and whether it is an admin's.
const OF_SHOP: &[(&str, &str, bool)] = &[
    ("", "Overview", false),
    ("/accounts", "Vendors", false),
    ("/links", "Products", false),
    ("/preview", "Preview", false),
    ("/vendor-swap", "Vendor swap", false),
    ("/approvals", "Approvals", false),
    ("/webhooks", "Webhooks", false),
    ("/quotations", "Quotations", true),
    ("/orders", "Orders", false),
    ("/jobs", "Jobs", false),
    ("/notifications", "Notifications", true),
    ("/log", "Log", false),
    ("/health", "Health", false),
];
/// The pages of the installation, for admins.
const OF_ALL: &[(&str, &str)] = &[
    ("/admin/shops", "Shops"),
    ("/admin/plugins", "Plugins"),
    ("/admin/keys", "Access keys"),
    ("/admin/health", "Health"),
    ("/admin/log", "Log"),
];

macro_rules! done {
    ($($variant:ident = $name:literal: $text:literal,)*) => {
        /// What a page may say was done. A closed list: an address does not put words into a page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Done {
            $($variant,)*
        }

        impl Done {
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn text(name: &str) -> Option<&'static str> {
                match name { $($name => Some($text),)* _ => None }
            }
        }
    };
}

done! {
    Saved = "saved": "Saved. Every node serves it within a second.",
    Connected = "connected": "Connected. Test the connection, then link products.",
    Linked = "linked": "Linked. New pages show it within a second.",
    Unlinked = "unlinked": "Taken away. Lines that were made with it are still served.",
    VendorSwapped = "vendor-swapped": "Switched. New pages show the new vendor within a second; old lines stay where they were.",
    Installed = "installed": "Installed on every node. No shop runs it yet.",
    OutOfUse = "out-of-use": "Out of use on every node.",
    Offered = "offered": "Offered. The shop can show it to its customer.",
    Withdrawn = "withdrawn": "Nothing comes of it.",
    Swapped = "swapped": "Moved. Every node serves that version within a second.",
    Settled = "settled": "Noted. It waits for nobody any more.",
    Closed = "closed": "The order is closed.",
    Replayed = "replayed": "The job runs as soon as a worker is free. Load the page again to see what comes of it.",
    Cancelled = "cancelled": "The job is cancelled, or ends after the step that it is in.",
    Ended = "ended": "The address has ended. Whoever sends something there is refused.",
    Approved = "approved": "Approved. The account has what was pushed.",
    Refused = "refused": "Refused. The account keeps what it has.",
    Removed = "removed": "Removed. The platform is told nothing more.",
    Sent = "sent": "It is sent again.",
    Revoked = "revoked": "The key is revoked, and who signed in with it is signed out.",
}

tokio::task_local! {
    /// What stands before the host's own paths while a request for a page is answered.
    static PREFIX: String;
}

/// Returns the address of one of the host's own paths as browsers ask for it: below the path of the host's public URL. Every address in
/// a page, a redirect or a cookie of the pages is made here.
pub(super) fn address(path: &str) -> String {
    // Outside of a request, as in a unit test, there is no prefix.
    PREFIX.try_with(|prefix| format!("{prefix}{path}")).unwrap_or_else(|_| path.to_owned())
}

/// Returns the address of a page of a shop.
pub(super) fn at(shop: &ShopId, path: &str) -> String {
    address(&of_shop(shop, path))
}

fn of_shop(shop: &ShopId, path: &str) -> String {
    format!("/admin/shops/{shop}{path}")
}

/// A name that stands in an address.
pub(super) fn segment(name: &str) -> String {
    // A form's encoding of a space is none in a path.
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The field that every form holds.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf()); }
}

/// A page.
pub(super) fn page(visitor: &Visitor, shop: Option<&ShopId>, title: &str, content: Markup) -> Markup {
    let said = visitor.at.query().unwrap_or_default();
    let said = form_urlencoded::parse(said.as_bytes()).find(|(name, _)| name == "done");
    let said = said.and_then(|(_, what)| Done::text(&what));
    let shop = shop.or_else(|| visitor.caller.shop());
    whole(
        title,
        html! {
            a.skip href="#content" { "Skip to the content" }
            header {
                a.brand href=(address("/admin")) { "Cartwright" }
                @if visitor.caller.is_admin() {
                    nav aria-label="Installation" {
                        @for (path, name) in OF_ALL { (link(visitor, path, name, false)) }
                    }
                }
                form.who method="post" action=(address("/admin/sign-out")) {
                    (token(visitor))
                    span { (visitor.caller.who) }
                    button.quiet { "Sign out" }
                }
            }
            @if let Some(shop) = shop {
                nav.shop aria-label=(format!("Shop {shop}")) {
                    strong { (shop) }
                    @for (path, name, admins) in OF_SHOP {
                        @if !*admins || visitor.caller.is_admin() { (link(visitor, &of_shop(shop, path), name, !path.is_empty())) }
                    }
                }
            }
            main #content tabindex="-1" {
                h1 { (title) }
                @if let Some(said) = said { p.done role="status" { (said) } }
                (content)
            }
        },
    )
}

fn link(visitor: &Visitor, path: &str, name: &str, with_inner: bool) -> Markup {
    let here = visitor.at.path();
    let inner = with_inner && here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    html! { a href=(address(path)) aria-current=[(here == path || inner).then_some("page")] { (name) } }
}

/// A page without anything around it.
pub(super) fn whole(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Cartwright" }
                link rel="stylesheet" href=(address("/admin/style.css"));
                link rel="icon" href="data:,";
                script src=(address("/admin/script.js")) defer {}
            }
            body { (body) }
        }
    }
}

/// Draws the problems of pages, and sends whoever must sign in there.
pub(super) async fn drawn(State(prefix): State<String>, request: Request, next: Next) -> Response {
    let (method, at) = (request.method().clone(), request.uri().clone());
    PREFIX.scope(prefix, async move { draw(&method, &at, next.run(request).await) }).await
}

fn draw(method: &Method, at: &Uri, response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    if problem.status() == StatusCode::UNAUTHORIZED {
        return Redirect::to(&sign_in(method, at)).into_response();
    }
    let is_origin = problem.kind() == ORIGIN_PROBLEM;
    let title = match problem.status() {
        _ if is_origin => "This form was not taken",
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "This is not for you",
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => "Somebody else was quicker",
        status if status.is_server_error() => "This cannot be done now",
        _ => "This cannot be done so",
    };
    let body = html! {
        (refusal(problem))
        @if is_origin { p { "Nothing was changed, and nothing is wrong with what you entered." } }
        @else if matches!(problem.kind(), LATE_PROBLEM | PANIC_PROBLEM) {
            p { "It is not known whether anything was changed. Look at what is there before you try again." }
        }
        @else { p { "Nothing was changed. Go back in your browser to mend what you entered." } }
    };
    let mut drawn = match response.extensions().get::<Visitor>() {
        Some(visitor) => (problem.status(), page(visitor, None, title, body)).into_response(),
        None => (problem.status(), whole(title, html! { main.alone { h1 { (title) } (body) } })).into_response(),
    };
    if let Some(seconds) = response.headers().get(RETRY_AFTER).cloned() {
        drawn.headers_mut().insert(RETRY_AFTER, HeaderValue::clone(&seconds));
    }
    drawn
}

/// Why something was not done.
pub(super) fn refusal(problem: &Problem) -> Markup {
    html! {
        div.refused role="alert" {
            p { (problem.detail()) }
            @if !problem.issues().is_empty() {
                ul { @for issue in problem.issues() { li { code { (issue.field) } ": " (issue.message.text) } } }
            }
        }
    }
}

/// Where to sign in, and to come back from there. What a form sent is lost then: its page is shown again.
fn sign_in(method: &Method, at: &Uri) -> String {
    match at.path_and_query().filter(|_| *method == Method::GET) {
        Some(next) => address(&format!("/admin/sign-in?next={}", segment(next.as_str()))),
        None => address("/admin/sign-in"),
    }
}
