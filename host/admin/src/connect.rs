//! Connecting a vendor: choosing a plugin, and creating its account after its requested permissions are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cartwright::{AccountId, AccountSetup, Digest, PluginId, PluginVersion, ShopId, World};
use cartwright_http::access::Integrator;
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::accounts;
use cartwright_store::Expected;
use maud::{Markup, html};
use serde::Deserialize;

use super::accounts::{AccountForm, input_of, plugin, settings, status};
use super::entry::Entry;
use super::grants;
use super::issues::Issues;
use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::paths::{account_path, shop_path};
use super::session::{AdminUser, FormData};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/accounts", post(add))
        .route("/admin/shops/{shop}/accounts/new", get(choose))
}

#[derive(Debug, Deserialize)]
struct ChosenPlugin {
    component: Option<Digest>,
}

async fn choose(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(ChosenPlugin { component }): Query<ChosenPlugin>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    if let Some(component) = component {
        let plugin = plugin(&node, component)?;
        let empty = AccountForm { id: plugin.id().to_string(), ..AccountForm::default() };
        return Ok(new_page(&visitor, &shop, &plugin, &empty, &Entry::default()));
    }
    // Only the newest version of each plugin is offered.
    let mut newest: BTreeMap<PluginId, Arc<PluginVersion>> = BTreeMap::new();
    for plugin in node.host().installed() {
        let version = |plugin: &PluginVersion| semver::Version::parse(&plugin.metadata().identity.version).ok();
        let newer = newest.get(plugin.id()).is_none_or(|known| version(known) < version(&plugin));
        if newer {
            newest.insert(plugin.id().clone(), plugin);
        }
    }
    let (vendors, others): (Vec<_>, Vec<_>) =
        newest.values().partition(|plugin| plugin.worlds().contains(&World::Vendor));
    Ok(page(
        &visitor,
        "Connect a vendor",
        html! {
            p { "Choose a configurator. You'll review its permissions before connecting." }
            div.cards { @for plugin in vendors { (plugin_card(&shop, plugin)) } }
            @if !others.is_empty() {
                h2 { "Add-ons" }
                p { "Cart strategies decide how items are added to the cart. Order hooks react to order events." }
                div.cards { @for plugin in others { (plugin_card(&shop, plugin)) } }
            }
        },
    ))
}

fn plugin_card(shop: &ShopId, plugin: &PluginVersion) -> Markup {
    let identity = &plugin.metadata().identity;
    html! {
        section.card {
            h2 { (identity.name) }
            p { "By " (identity.publisher) " · v" (identity.version) }
            (grants::requested(plugin))
            p { a.button href=(shop_path(shop, &format!("/accounts/new?component={}", plugin.digest()))) { "Connect " (identity.name) } }
        }
    }
}

fn new_page(
    visitor: &AdminUser,
    shop: &ShopId,
    plugin: &PluginVersion,
    entered: &AccountForm,
    entry: &Entry<'_>,
) -> Markup {
    let identity = &plugin.metadata().identity;
    page(
        visitor,
        &format!("Connect {}", identity.name),
        html! {
            (entry.summary_of(|field| input_of(plugin, field)))
            section.card { p { "By " (identity.publisher) " · v" (identity.version) } (grants::requested(plugin)) }
            form.card method="post" action=(shop_path(shop, "/accounts")) {
                (csrf_field(visitor))
                input type="hidden" name="component" value=(plugin.digest());
                (entry.field("id", "Connection ID", "", html! {
                    input #id name="id" required value=(entered.id) maxlength="64" spellcheck="false" aria-describedby="id-help"
                        aria-invalid=[entry.invalid("id")];
                }))
                (grants::draw(visitor, plugin, &entered.grants, &entered.values, entry, true))
                h2 { "Settings" }
                (settings(plugin, entered))
                button { "Connect" }
            }
        },
    )
}

async fn add(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let plugin = plugin(&node, sent.read("component")?)?;
    let mut issues = Issues::default();
    let mut entered = AccountForm::sent(&visitor, &plugin, &sent, None, &mut issues);
    let id = issues.take(sent.read::<AccountId>("id"));
    let result = match (id, issues.end()) {
        (Some(id), Ok(())) => {
            let settings = entered.values.clone();
            let setup = AccountSetup { id: id.clone(), settings, grants: entered.grants.clone() };
            let (installation, digest, actor) = (node.installation(), plugin.digest(), caller.as_actor());
            let set = accounts::set(installation, &shop, digest, setup, Expected::Absent, actor, node.now()).await;
            set.map(|_| id).map_err(Problem::from)
        }
        (_, ended) => ended.and_then(|()| sent.read("id")),
    };
    match result {
        Ok(id) => Ok(redirect_with_notice(&account_path(&shop, &id), Notice::Connected).into_response()),
        Err(problem) => {
            entered.issues = problem.issues().to_vec();
            let page = new_page(&visitor, &shop, &plugin, &entered, &Entry::refused(&sent, &problem));
            Ok((status(&problem), page).into_response())
        }
    }
}
