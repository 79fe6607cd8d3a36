//! The frame around the content of every page.

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cartwright::ShopId;
use cartwright_http::{LATE_PROBLEM, PANIC_PROBLEM, Problem};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::nav;
use super::session::{AdminUser, ORIGIN_PROBLEM};

macro_rules! done {
    ($($variant:ident = $name:literal: $text:literal,)*) => {
        /// The notices of completed actions. A closed list, so that a link cannot put words into a page.
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
    Saved = "saved": "Changes saved",
    Created = "created": "Shop created. Next, connect a vendor.",
    Connected = "connected": "Vendor connected. Test the connection, then link products.",
    LinkedProducts = "linked": "Product linked",
    Imported = "imported": "Links imported",
    Unlinked = "unlinked": "Link removed. Existing carts and orders are not affected.",
    VendorSwapped = "vendor-swapped": "Vendor switched. New configurations use the new vendor; existing items stay with the old one.",
    Installed = "installed": "Version installed. Move shops to it when you're ready.",
    AlreadyInstalled = "already-installed": "This version was already installed.",
    Retired = "retired": "Version retired",
    Offered = "offered": "Offer sent to the shop",
    Declined = "declined": "Quote declined",
    Withdrawn = "withdrawn": "Offer withdrawn",
    VersionSwitch = "swapped": "Version switched",
    Resolved = "resolved": "Marked as done",
    Closed = "closed": "Order closed",
    Replayed = "replayed": "Retry queued",
    Cancelled = "cancelled": "Job cancelled. A step in progress will finish first.",
    Ended = "ended": "Webhook URL deactivated",
    Approved = "approved": "Changes approved and applied",
    Refused = "refused": "Changes rejected",
    RemovedVariants = "removed": "Endpoint removed. The platform no longer receives notifications.",
    Sent = "sent": "Notification queued for delivery",
    Revoked = "revoked": "Key revoked. Sessions using it were signed out.",
}

tokio::task_local! {
    /// The prefix of the host's own paths while a request for a page is handled.
    static PATH_PREFIX: String;
}

/// Returns the address of one of the host's own paths as browsers request it: below the path of the host's public URL.
/// Every address in a page, a redirect or a cookie of the pages is made here.
pub(super) fn address(path: &str) -> String {
    // Outside of a request, as in a unit test, there is no prefix.
    PATH_PREFIX.try_with(|prefix| format!("{prefix}{path}")).unwrap_or_else(|_| path.to_owned())
}

/// Returns the address of a page of a shop.
pub(super) fn shop_path(shop: &ShopId, path: &str) -> String {
    address(&of_shop(shop, path))
}

/// Returns the path of a page of a shop, within the host.
pub(super) fn of_shop(shop: &ShopId, path: &str) -> String {
    format!("/admin/shops/{shop}{path}")
}

/// Encodes a name as a path segment.
pub(super) fn segment(name: &str) -> String {
    // In a path, a space is `%20` and not the form encoding's `+`.
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Draws the hidden field with the session's token, which every form has.
pub(super) fn csrf_field(visitor: &AdminUser) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf()); }
}

/// Draws a page.
pub(super) fn page(visitor: &AdminUser, title: &str, content: Markup) -> Markup {
    page_with_action(visitor, title, html! {}, content)
}

/// Draws a page with its main action beside the title.
pub(super) fn page_with_action(visitor: &AdminUser, title: &str, action: Markup, content: Markup) -> Markup {
    let done = visitor.at.query().unwrap_or_default();
    let done = form_urlencoded::parse(done.as_bytes()).find(|(name, _)| name == "done");
    let done = done.and_then(|(_, what)| Done::text(&what));
    bare_page(
        &nav::title(visitor, title),
        html! {
            a.skip href="#content" { "Skip to content" }
            header {
                a.brand href=(address("/admin")) { "Cartwright" }
                (nav::switcher(visitor))
                form.who method="post" action=(address("/admin/sign-out")) {
                    (csrf_field(visitor))
                    span { (visitor.caller.actor) }
                    button.quiet { "Sign out" }
                }
            }
            div.layout {
                (nav::sidebar(visitor))
                main #content tabindex="-1" {
                    div.page-head { h1 { (title) } (action) }
                    (nav::tabs(visitor))
                    @if let Some(done) = done { p.done role="status" { (done) } }
                    (content)
                }
            }
        },
    )
}

/// Draws a page without the frame.
pub(super) fn bare_page(title: &str, body: Markup) -> Markup {
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

/// Draws problems as pages, and redirects visitors without a session to the sign-in page.
pub(super) async fn render_problems(State(prefix): State<String>, request: Request, next: Next) -> Response {
    let (method, at) = (request.method().clone(), request.uri().clone());
    PATH_PREFIX.scope(prefix, async move { render_problem(&method, &at, next.run(request).await) }).await
}

fn render_problem(method: &Method, at: &Uri, response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    if problem.status() == StatusCode::UNAUTHORIZED {
        return Redirect::to(&sign_in(method, at)).into_response();
    }
    let is_origin = problem.kind() == ORIGIN_PROBLEM;
    let is_read = method.is_safe();
    let title = match problem.status() {
        _ if is_origin => "This form was rejected",
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::FORBIDDEN => "You don't have access",
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => "This was changed by someone else",
        status if status.is_server_error() => "Something went wrong on our side",
        _ => "Check what you entered",
    };
    let visitor = response.extensions().get::<AdminUser>();
    // A rejected request can be repeated from its page; a missing or forbidden page leads Home.
    let is_closed = matches!(problem.status(), StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) || is_read;
    let (back, name) = match visitor.filter(|_| !is_closed) {
        Some(visitor) => nav::way_back(visitor),
        None => (address("/admin"), "Home"),
    };
    let body = html! {
        // Only admins and integrators have a session.
        @if problem.kind() == "role" {
            p.refused role="alert" { "Only admins can open this page. You are signed in with an integrator key." }
        } @else {
            (problem_details(problem))
        }
        @if is_origin { p { "Nothing was saved, and nothing is wrong with what you entered." } }
        @else if matches!(problem.kind(), LATE_PROBLEM | PANIC_PROBLEM) {
            p { "It is not known whether anything was changed. Check before you try again." }
        }
        @else if !is_read { p { "Nothing was saved." } }
        p { a href=(back) { "Go to " (name) } }
    };
    let mut rendered = match visitor {
        Some(visitor) => (problem.status(), page(visitor, title, body)).into_response(),
        None => (problem.status(), bare_page(title, html! { main.alone { h1 { (title) } (body) } })).into_response(),
    };
    if let Some(seconds) = response.headers().get(RETRY_AFTER).cloned() {
        rendered.headers_mut().insert(RETRY_AFTER, HeaderValue::clone(&seconds));
    }
    rendered
}

/// Draws the details of a problem.
pub(super) fn problem_details(problem: &Problem) -> Markup {
    html! {
        div.refused role="alert" {
            p { (problem.detail()) }
            @if !problem.issues().is_empty() {
                ul { @for issue in problem.issues() { li { code { (issue.field) } ": " (issue.message.text) } } }
            }
        }
    }
}

/// Returns the address of the sign-in page, which leads back to `at`. After a form the way leads to its page, and the
/// input is lost.
fn sign_in(method: &Method, at: &Uri) -> String {
    match at.path_and_query().filter(|_| *method == Method::GET) {
        Some(next) => address(&format!("/admin/sign-in?next={}", segment(next.as_str()))),
        None => address("/admin/sign-in"),
    }
}
