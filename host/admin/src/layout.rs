//! The frame around the content of every page.

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cartwright_http::{LATE_PROBLEM, PANIC_PROBLEM, Problem};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::nav;
use super::notice::Notice;
use super::paths::{address, segment, with_prefix};
use super::session::{AdminUser, ORIGIN_PROBLEM};

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
    let query = visitor.at.query().unwrap_or_default();
    let done = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "done");
    let notice = done.and_then(|(_, name)| Notice::text(&name));
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
                    @if let Some(notice) = notice { p.done role="status" { (notice) } }
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
    with_prefix(prefix, async move { render_problem(&method, &at, next.run(request).await) }).await
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
