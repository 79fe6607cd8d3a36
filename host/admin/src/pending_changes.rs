//! Vendor changes that wait for approval: pushed settings that affect the storefront, and outcomes that need the
//! merchant.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cartwright::types::{Outcome, Setting};
use cartwright::webhook::form_value;
use cartwright::{AccountId, AccountSnapshot, PluginVersion, ShopId};
use cartwright_http::access::Integrator;
use cartwright_http::extract::Path;
use cartwright_http::{Node, Problem};
use cartwright_service::webhooks;
use cartwright_store::{AccountOutcome, AccountOutcomeState};
use maud::{Markup, html};

use super::entry::again;
use super::failed_action::{FailedAction, of_button};
use super::form::text_of;
use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::paths::shop_path;
use super::session::{AdminUser, FormData};
use super::text::{PAGE, describe_outcome, time};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/approvals", get(list))
        .route("/admin/shops/{shop}/approvals/approve", post(approve))
        .route("/admin/shops/{shop}/approvals/refuse", post(refuse))
        .route("/admin/shops/{shop}/approvals/seen", post(resolve))
}

async fn list(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Markup, Problem> {
    list_page(&visitor, &node, &shop, FailedAction::default()).await
}

async fn list_page(
    visitor: &AdminUser,
    node: &Node,
    shop: &ShopId,
    failed: FailedAction<'_>,
) -> Result<Markup, Problem> {
    let accounts = node.host().snapshot(shop)?.accounts;
    let pending =
        node.store().webhooks().account_outcomes(shop, Some(AccountOutcomeState::PendingApproval), None, PAGE).await?;
    Ok(page(
        visitor,
        "Pending changes",
        html! {
            p { "Vendor changes apply automatically, except those that affect your storefront. Review those here." }
            @if pending.is_empty() { p { "Nothing to review" } }
            @for pushed in &pending {
                @let account = accounts.iter().find(|account| account.id == pushed.account);
                @let plugin = account.and_then(|account| node.host().plugin(&account.current));
                section.card {
                    h2 { (pushed.account) ", " (time(pushed.at)) }
                    @if let Some(reason) = &pushed.reason { p { (reason) } }
                    @match &pushed.outcome {
                        Outcome::PushSettings(settings) => {
                            (changes(&pushed.account, account, plugin.as_deref(), settings))
                            (failed.beside(&pushed.id))
                            div.row {
                                (decision(visitor, shop, pushed, "approve", "Approve"))
                                (decision(visitor, shop, pushed, "refuse", "Reject"))
                            }
                        },
                        other => {
                            p { (describe_outcome(other, &[])) }
                            (decision(visitor, shop, pushed, "seen", "Mark as done"))
                        },
                    }
                }
            }
        },
    ))
}

/// Draws each field with its current and its proposed value.
fn changes(
    account: &AccountId,
    snapshot: Option<&AccountSnapshot>,
    plugin: Option<&PluginVersion>,
    settings: &[Setting],
) -> Markup {
    let current = snapshot.and_then(|account| account.versions.get(&account.current));
    let shown = |value| form_value(value).map_or_else(|| "Hidden value".to_owned(), |value| text_of(&value));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(format!("Proposed changes of {account}")) {
            table {
                thead { tr { th { "Setting" } th { "Current" } th { "Proposed" } } }
                tbody {
                    @for Setting { name, value } in settings {
                        @let field = plugin.and_then(|plugin| plugin.metadata().form.field(name));
                        tr {
                            th scope="row" {
                                @match field {
                                    Some(field) => { (field.label.text) @if field.shown_on_page { " " span.mark { "Public: visible to shoppers" } } },
                                    None => (name),
                                }
                            }
                            td.long {
                                @match current.and_then(|current| current.get(name)) {
                                    Some(old) => pre { (shown(old)) },
                                    None => span.mark { "empty" },
                                }
                            }
                            td.long { pre { (shown(value)) } }
                        }
                    }
                }
            }
        }
    }
}

fn decision(visitor: &AdminUser, shop: &ShopId, pushed: &AccountOutcome, what: &str, text: &str) -> Markup {
    html! {
        form method="post" action=(shop_path(shop, &format!("/approvals/{what}"))) {
            (csrf_field(visitor))
            input type="hidden" name="id" value=(pushed.id);
            button.quiet[what != "approve"] { (text) span.visually-hidden { ": change of " (pushed.account) } }
        }
    }
}

async fn approve(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let id = sent.text("id");
    match webhooks::approve_settings(node.installation(), &shop, id, &caller.actor, node.now()).await {
        Ok(()) => Ok(redirect_with_notice(&shop_path(&shop, "/approvals"), Notice::Approved).into_response()),
        Err(error) => {
            let problem = of_button(error)?;
            let page = list_page(&visitor, &node, &shop, FailedAction::new(id, &problem)).await?;
            Ok(again(&problem, page))
        }
    }
}

async fn refuse(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Redirect, Problem> {
    webhooks::reject_settings(node.installation(), &shop, sent.text("id"), &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&shop_path(&shop, "/approvals"), Notice::Rejected))
}

async fn resolve(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Redirect, Problem> {
    node.store().webhooks().resolve_account_outcome(&shop, sent.text("id"), &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&shop_path(&shop, "/approvals"), Notice::Resolved))
}
