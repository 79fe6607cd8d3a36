//! Notifications to the shop's platform: the endpoint, and what is undelivered.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cartwright::{Secret, ShopId};
use cartwright_http::access::Backend;
use cartwright_http::extract::Path;
use cartwright_http::{Node, Problem};
use cartwright_service::notifications::{SECRET_OVERLAP, set_endpoint};
use cartwright_store::{Expected, NotificationState, StoredNotification};
use maud::{Markup, html};
use serde_json::Value;

use super::entry::{Entry, again};
use super::issues::of_field;
use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::paths::shop_path;
use super::session::{AdminUser, FormData};
use super::text::{PAGE, time};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/notifications", get(read).post(set))
        .route("/admin/shops/{shop}/notifications/rotate", post(rotate))
        .route("/admin/shops/{shop}/notifications/remove", post(remove))
        .route("/admin/shops/{shop}/notifications/send-again", post(retry_notification))
}

async fn read(
    _: Backend,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    endpoint_page(&visitor, &node, &shop, &Entry::default()).await
}

async fn endpoint_page(visitor: &AdminUser, node: &Node, shop: &ShopId, entry: &Entry<'_>) -> Result<Markup, Problem> {
    let endpoint = node.store().notifications().endpoint(shop).await?;
    let undelivered = node.store().notifications().list(shop, false, None, PAGE).await?;
    let here = shop_path(shop, "/notifications");
    let url = endpoint.as_ref().map(|endpoint| endpoint.url.as_str()).unwrap_or_default();
    Ok(page(
        visitor,
        "Platform notifications",
        html! {
            (entry.summary())
            p { "Sends signed updates (Standard Webhooks) to your platform: at least once, in sequence per order." }
            form.card method="post" action=(here) {
                h2 { "Endpoint" }
                (csrf_field(visitor))
                (entry.field("url", "URL", "", html! {
                    input #url name="url" type="url" required value=(entry.text("url", url)) placeholder="https://shop.example/cartwright"
                        spellcheck="false" aria-describedby="url-help" aria-invalid=[entry.invalid("url")];
                }))
                button { "Save" }
            }
            @if endpoint.is_some() {
                section.card {
                    h2 { "Signing secret and removal" }
                    form method="post" action=(format!("{here}/rotate")) {
                        (csrf_field(visitor))
                        p { "After rotation, notifications are signed with the old and the new secret for 24 hours." }
                        button.quiet data-ask="Rotate the signing secret?" { "Rotate signing secret" }
                    }
                    form method="post" action=(format!("{here}/remove")) {
                        (csrf_field(visitor))
                        p { "The platform no longer receives notifications. Undelivered ones are dropped." }
                        button.danger data-ask="Remove this endpoint? Undelivered notifications are dropped." { "Remove endpoint" }
                    }
                }
            }
            section {
                h2 { "Undelivered" }
                @if undelivered.is_empty() { p { "All notifications delivered" } } @else { (table(visitor, &here, &undelivered)) }
            }
        },
    ))
}

fn table(visitor: &AdminUser, here: &str, undelivered: &[StoredNotification]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Undelivered notifications" {
            table {
                thead { tr { th { "Notification" } th { "Created" } th { "Status" } th { "Reason" } th { span.visually-hidden { "Send again" } } } }
                tbody {
                    @for notification in undelivered {
                        tr {
                            th scope="row" { (subject(&notification.body)) }
                            td { (time(notification.created)) }
                            td {
                                @match notification.state {
                                    NotificationState::Waiting { due } => { span.state.warn { "Retrying" } " at " (time(due)) },
                                    NotificationState::Failed => span.state.bad { "Failed" },
                                }
                                ", " (notification.attempt) @if notification.attempt == 1 { " attempt" } @else { " attempts" }
                            }
                            td.long { (notification.reason.as_deref().unwrap_or("Not attempted yet")) }
                            td {
                                @if notification.state == NotificationState::Failed {
                                    form method="post" action=(format!("{here}/send-again")) {
                                        (csrf_field(visitor))
                                        input type="hidden" name="id" value=(notification.id);
                                        button.quiet { "Send again" span.visually-hidden { ": " (notification.id) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the subject of a notification: its kind, and its order or account.
#[allow(clippy::indexing_slicing, reason = "a JSON value without the member is indexed as null")]
fn subject(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let member = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subject = match &body["data"]["order"] {
        Value::Null => member(&body["data"]["account"]),
        order => format!("order {}", member(order)),
    };
    format!("{}, {subject}", member(&body["type"]))
}

fn secret_page(visitor: &AdminUser, shop: &ShopId, secret: &Secret) -> Markup {
    let text = String::from_utf8_lossy(secret.expose());
    page(
        visitor,
        "Signing secret",
        html! {
            section.attention {
                h2 { "Copy this now. You won't see it again." }
                div.field {
                    label for="secret" { "Secret" }
                    input #secret readonly value=(text) spellcheck="false" aria-describedby="secret-help";
                    p.help #secret-help { "Enter it in your platform, which verifies each notification with it." }
                }
            }
            p { a.button href=(shop_path(shop, "/notifications")) { "Done" } }
        },
    )
}

async fn set(
    Backend(caller): Backend,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    node.host().shop(&shop)?;
    let (installation, url, actor) = (node.installation(), sent.text("url").to_owned(), caller.as_actor());
    let set = set_endpoint(installation, &shop, url, None, Expected::Any, actor, node.now()).await;
    Ok(match set.map_err(Problem::from).map_err(of_field("url")) {
        Ok((_, Some(secret))) => secret_page(&visitor, &shop, &secret).into_response(),
        Ok((_, None)) => redirect_with_notice(&shop_path(&shop, "/notifications"), Notice::Saved).into_response(),
        Err(problem) => {
            let page = endpoint_page(&visitor, &node, &shop, &Entry::refused(&sent, &problem)).await?;
            again(&problem, page)
        }
    })
}

async fn rotate(
    Backend(caller): Backend,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    _: FormData,
) -> Result<Markup, Problem> {
    let secret = node.store().notifications().rotate_secret(&shop, SECRET_OVERLAP, &caller.actor, node.now()).await?;
    Ok(secret_page(&visitor, &shop, &secret))
}

async fn remove(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    _: FormData,
) -> Result<Redirect, Problem> {
    node.store().notifications().remove_endpoint(&shop, Expected::Any, &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&shop_path(&shop, "/notifications"), Notice::EndpointRemoved))
}

async fn retry_notification(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Redirect, Problem> {
    node.store().notifications().retry(&shop, sent.text("id"), &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&shop_path(&shop, "/notifications"), Notice::NotificationQueued))
}
