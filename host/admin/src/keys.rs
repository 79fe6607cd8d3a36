//! Access keys: list, create, rotate and revoke.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cartwright::{Secret, ShopId};
use cartwright_http::access::{Admin, Caller};
use cartwright_http::extract::Path;
use cartwright_http::{Node, Problem};
use cartwright_service::access_keys::{self, MAX_LABEL_CHARS};
use cartwright_store::{AccessKeyInfo, NewAccessKey, Role};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::entry::{Entry, again};
use super::failed_action::{FailedAction, of_button};
use super::grants::networks;
use super::issues::{Issues, of_field, wrong};
use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::paths::{address, segment, shop_path};
use super::session::{AdminUser, FormData};
use super::text::time;

/// The roles and their purpose.
const ROLES: [(&str, &str, &str); 4] = [
    ("integrator", "Integrator", "Sets up one shop: vendors, product links, webhooks. Can sign in here."),
    ("backend", "Backend", "For the platform's server: carts, orders and prices of one shop or of all shops."),
    (
        "storefront",
        "Storefront",
        "For one shop's storefront pages: loads configurators and adds to carts. Visible to everyone.",
    ),
    ("admin", "Admin", "Runs the installation: everything, in all shops. Can sign in here."),
];
/// How long the old secret stays valid after a rotation, in seconds.
const OVERLAPS: [(u32, &str); 3] = [(86_400, "expire in 24 hours"), (604_800, "expire in 7 days"), (0, "expire now")];

/// The value of the choice "all shops", which is not a valid shop id.
const ALL_SHOPS: &str = "*";

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/keys", get(list).post(create))
        .route("/admin/keys/{key}/rotate", post(rotate))
        .route("/admin/keys/{key}/revoke", post(revoke))
}

fn role_text(role: &Role) -> &'static str {
    ROLES.into_iter().find(|(name, ..)| *name == role.name()).map_or("", |(_, _, text)| text)
}

async fn list(_: Admin, visitor: AdminUser, State(node): State<Node>) -> Result<Markup, Problem> {
    list_page(&visitor, &node, &Entry::default(), FailedAction::default()).await
}

async fn list_page(
    visitor: &AdminUser,
    node: &Node,
    entry: &Entry<'_>,
    failed: FailedAction<'_>,
) -> Result<Markup, Problem> {
    let mut keys = node.store().access().access_keys(None, None, u32::MAX).await?;
    let now = node.now();
    // Active keys first, the newest first among equals.
    keys.sort_by_key(|key| (!is_active(key, now), std::cmp::Reverse(key.created)));
    Ok(page(
        visitor,
        "Access keys",
        html! {
            (entry.summary())
            p { "For requests to the HTTP API and for signing in here. " a href=(node.public_url("/openapi.json")) { "API reference" } }
            div.scroll tabindex="0" role="region" aria-label="Access keys" {
                table {
                    thead { tr { th { "Name" } th { "Role" } th { "Status" } th { "Last used" } th { span.visually-hidden { "Change" } } } }
                    tbody { @for key in &keys { (key_row(visitor, key, now, failed)) } }
                }
            }
            (new_form(visitor, &node.host().shop_ids(), entry))
        },
    ))
}

fn is_active(key: &AccessKeyInfo, now: SystemTime) -> bool {
    key.revoked.is_none() && key.expires.is_none_or(|ends| ends > now)
}

fn key_row(visitor: &AdminUser, key: &AccessKeyInfo, now: SystemTime, failed: FailedAction<'_>) -> Markup {
    let here = address(&format!("/admin/keys/{}", segment(&key.id)));
    html! {
        tr {
            th scope="row" {
                (key.label) " " span.mark { (key.id) }
                @if visitor.caller.key == key.id { " " span.mark { "This session" } }
            }
            td {
                (key.role.name())
                @match key.role.shop() {
                    Some(shop) => { " of " a href=(shop_path(shop, "")) { (shop) } },
                    None => " of all shops",
                }
                @if !key.networks.is_empty() {
                    div.mark { "from " (key.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) " only" }
                }
            }
            td {
                @match (key.revoked, key.expires) {
                    (Some(revoked), _) => { span.state { "Revoked" } " " (time(revoked)) },
                    (None, Some(ends)) if ends <= now => { span.state { "Expired" } " " (time(ends)) },
                    (None, ends) => {
                        span.state.good { "Active" }
                        @if let Some(ends) = ends { " until " (time(ends)) }
                        @if let Some(ends) = key.previous_ends.filter(|ends| *ends > now) { div.mark { "old secret until " (time(ends)) } }
                    },
                }
            }
            td { @match key.last_used { Some(used) => (time(used)), None => "Never" } }
            td {
                (failed.beside(&key.id))
                @if key.revoked.is_none() {
                    form method="post" action=(format!("{here}/rotate")) {
                        (csrf_field(visitor))
                        label.visually-hidden for=(format!("both-{}", key.id)) { "Old secret of " (key.label) }
                        select id=(format!("both-{}", key.id)) name="overlap_seconds" {
                            @for (seconds, text) in OVERLAPS { option value=(seconds) { "Old secret: " (text) } }
                        }
                        " "
                        button.quiet data-ask=(format!("Rotate the secret of “{}”?", key.label)) {
                            "Rotate" span.visually-hidden { " " (key.label) }
                        }
                    }
                    " "
                    form method="post" action=(format!("{here}/revoke")) {
                        (csrf_field(visitor))
                        button.danger data-ask=(format!("Revoke “{}”? Requests with it will be rejected.", key.label)) {
                            "Revoke" span.visually-hidden { " " (key.label) }
                        }
                    }
                }
            }
        }
    }
}

fn new_form(visitor: &AdminUser, shops: &[ShopId], entry: &Entry<'_>) -> Markup {
    let networks_help = "CIDR ranges such as 192.0.2.0/24, one per line. Leave empty to allow any.";
    html! {
        form.card method="post" action=(address("/admin/keys")) {
            h2 { "Create key" }
            (csrf_field(visitor))
            (entry.field("label", "Name", "", html! {
                input #label name="label" required maxlength=(MAX_LABEL_CHARS) value=(entry.text("label", "")) aria-describedby="label-help"
                    aria-invalid=[entry.invalid("label")];
            }))
            fieldset #role {
                legend { "Role" }
                (entry.beside("role"))
                @for (number, (name, text, about)) in ROLES.into_iter().enumerate() {
                    label.inline {
                        input type="radio" name="role" value=(name) required checked[entry.is_chosen("role", name, number == 0)];
                        " " strong { (text) } ": " (about)
                    }
                }
            }
            (entry.field("shop", "Shop", "Integrator and storefront keys need a shop. An admin key is for all shops.", html! {
                select #shop name="shop" aria-describedby="shop-help" aria-invalid=[entry.invalid("shop")] {
                    option value="" { "Choose a shop" }
                    option value=(ALL_SHOPS) selected[entry.is_chosen("shop", ALL_SHOPS, false)] { "All shops" }
                    @for shop in shops { option value=(shop) selected[entry.is_chosen("shop", shop.as_str(), false)] { (shop) } }
                }
            }))
            (entry.field("networks", "Allowed networks", networks_help, html! {
                textarea #networks name="networks" rows="2" spellcheck="false" aria-describedby="networks-help"
                    aria-invalid=[entry.invalid("networks")] { "\n" (entry.text("networks", "")) }
            }))
            (entry.field("expires", "Expires on", "At 00:00 UTC on this day. Leave empty for a key that does not expire.", html! {
                input #expires name="expires" type="date" size="12" value=(entry.text("expires", "")) aria-describedby="expires-help"
                    aria-invalid=[entry.invalid("expires")];
            }))
            button { "Create key" }
        }
    }
}

fn role(sent: &FormData) -> Result<Role, Problem> {
    let needed = || wrong("shop", "Choose a shop: integrator and storefront keys are for one shop.");
    let is_all = sent.text("shop") == ALL_SHOPS;
    let shop: Option<ShopId> = if is_all { None } else { sent.optional("shop")? };
    Ok(match (sent.text("role"), shop) {
        ("storefront", shop) => Role::Storefront { shop: shop.ok_or_else(needed)? },
        ("integrator", shop) => Role::Integrator { shop: shop.ok_or_else(needed)? },
        // A key for all shops needs an explicit choice.
        ("backend", None) if !is_all => return Err(wrong("shop", "Choose a shop, or “All shops”.")),
        ("backend", shop) => Role::Backend { shop },
        ("admin", None) => Role::Admin,
        // A form that names a shop does not request a key for all shops.
        ("admin", Some(_)) => return Err(wrong("shop", "An admin key is for all shops: choose “All shops”.")),
        _ => return Err(wrong("role", "Choose a role.")),
    })
}

async fn create(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    sent: FormData,
) -> Result<Response, Problem> {
    match make_key(&node, &caller, &sent).await {
        Ok((role, text)) => Ok(secret_response(&visitor, &text, Some(&role)).into_response()),
        Err(problem) => {
            let entry = Entry::refused(&sent, &problem);
            Ok(again(&problem, list_page(&visitor, &node, &entry, FailedAction::default()).await?))
        }
    }
}

async fn make_key(node: &Node, caller: &Caller, sent: &FormData) -> Result<(Role, Secret), Problem> {
    let mut issues = Issues::default();
    let (role, networks) = (issues.take(role(sent)), issues.take(networks(sent, "networks")));
    let expires = issues.take(sent.day("expires").and_then(|day| day.map(midnight).transpose()));
    let (Some(role), Some(networks), Some(expires)) = (role, networks, expires) else {
        return Err(issues.into_problem());
    };
    let key = NewAccessKey { role, label: sent.text("label").to_owned(), networks, expires };
    let created = access_keys::create(node.store(), &key, &caller.actor, node.now()).await;
    let (_, text) = created.map_err(Problem::from).map_err(of_field("label"))?;
    Ok((key.role, text))
}

/// Returns the beginning of a day in UTC.
fn midnight(day: Date) -> Result<SystemTime, Problem> {
    let at = day.to_zoned(TimeZone::UTC).map_err(|_| wrong("expires", "Enter a date that is not so far away."))?;
    Ok(SystemTime::from(at.timestamp()))
}

fn secret_response(visitor: &AdminUser, key: &Secret, role: Option<&Role>) -> Markup {
    let key = String::from_utf8_lossy(key.expose());
    page(
        visitor,
        "Access key",
        html! {
            section.attention {
                h2 { "Copy this now. You won't see it again." }
                div.field {
                    label for="key" { "Access key" }
                    input #key readonly value=(key) spellcheck="false" aria-describedby="key-help";
                    p.help #key-help {
                        "Use it as " code { "Authorization: Bearer" } " in requests, or on the sign-in page."
                        @if let Some(role) = role { "\n" (role.name()) ": " (role_text(role)) }
                    }
                }
            }
            p { a.button href=(address("/admin/keys")) { "Done" } }
        },
    )
}

async fn rotate(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(key): Path<String>,
    sent: FormData,
) -> Result<Response, Problem> {
    let overlap: u32 = sent.read("overlap_seconds")?;
    if OVERLAPS.iter().all(|(seconds, _)| *seconds != overlap) {
        return Err(Problem::unprocessable("body", "Choose when the old secret expires."));
    }
    let overlap = Duration::from_secs(overlap.into());
    match access_keys::rotate(node.store(), &key, overlap, &caller.actor, node.now()).await {
        Ok(secret) => Ok(secret_response(&visitor, &secret, None).into_response()),
        Err(error) => {
            let problem = of_button(error)?;
            let failed = FailedAction::new(&key, &problem);
            Ok(again(&problem, list_page(&visitor, &node, &Entry::default(), failed).await?))
        }
    }
}

async fn revoke(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(key): Path<String>,
    _: FormData,
) -> Result<Redirect, Problem> {
    node.store().access().revoke_access_key(None, &key, &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&address("/admin/keys"), Notice::Revoked))
}
