//! Plugins: installed versions and the shops that use them, installing, switching and retiring a version.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cartwright::{AccountId, Digest, PluginId, PluginVersion, ShopId};
use cartwright_http::access::Admin;
use cartwright_http::body;
use cartwright_http::extract::Path;
use cartwright_http::limits::MAX_COMPONENT_BYTES;
use cartwright_http::{Node, Problem};
use cartwright_service::accounts::switch_all_versions;
use maud::{Markup, html};

use super::accounts::plugin;
use super::entry::{Entry, again};
use super::failed_action::{FailedAction, of_button};
use super::grants::requested;
use super::issues::{of_field, wrong};
use super::layout::{csrf_field, page, problem_details};
use super::notice::{Notice, redirect_with_notice};
use super::paths::{address, segment, shop_path};
use super::session::{AdminUser, FormData, Uploaded};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/plugins", get(list).post(install).layer(from_fn_with_state(MAX_COMPONENT_BYTES, body::allow)))
        .route("/admin/plugins/{plugin}", get(versions))
        .route("/admin/plugins/{plugin}/swap", post(swap))
        .route("/admin/plugins/{plugin}/revoke", post(revoke))
}

fn path(plugin: &PluginId) -> String {
    address(&format!("/admin/plugins/{}", segment(plugin.as_str())))
}

/// Returns the first digits of a digest, enough for people to distinguish versions.
fn short(digest: &Digest) -> String {
    digest.to_string().chars().take(12).collect()
}

/// Returns a size in kilobytes, rounded up.
fn kilobytes(bytes: usize) -> String {
    format!("{} KB", bytes.div_ceil(1024))
}

/// Returns all versions of each plugin, the newest first.
fn installed(node: &Node) -> BTreeMap<PluginId, Vec<Arc<PluginVersion>>> {
    let mut plugins: BTreeMap<PluginId, Vec<Arc<PluginVersion>>> = BTreeMap::new();
    for plugin in node.host().installed() {
        plugins.entry(plugin.id().clone()).or_default().push(plugin);
    }
    for versions in plugins.values_mut() {
        versions.sort_by_key(|plugin| semver::Version::parse(&plugin.metadata().identity.version).ok());
        versions.reverse();
    }
    plugins
}

/// Returns the accounts that run each version.
fn running(node: &Node) -> BTreeMap<Digest, Vec<(ShopId, AccountId)>> {
    let mut running: BTreeMap<Digest, Vec<(ShopId, AccountId)>> = BTreeMap::new();
    for shop in node.host().shop_ids() {
        for account in node.host().snapshot(&shop).map(|of| of.accounts).unwrap_or_default() {
            running.entry(account.current).or_default().push((shop.clone(), account.id));
        }
    }
    running
}

async fn list(_: Admin, visitor: AdminUser, State(node): State<Node>) -> Markup {
    list_page(&visitor, &node, &Entry::default())
}

#[allow(clippy::indexing_slicing, reason = "an installed plugin has at least one version")]
fn list_page(visitor: &AdminUser, node: &Node, entry: &Entry<'_>) -> Markup {
    let (plugins, running) = (installed(node), running(node));
    page(
        visitor,
        "Plugins",
        html! {
            (entry.summary())
            div.scroll tabindex="0" role="region" aria-label="Plugins" {
                table {
                    thead { tr { th { "Plugin" } th { "Developer" } th { "Versions" } th.number { "Connections" } } }
                    tbody {
                        @for (id, versions) in &plugins {
                            @let identity = &versions[0].metadata().identity;
                            tr {
                                th scope="row" { a href=(path(id)) { (identity.name) } " " span.mark { (id) } }
                                td { (identity.publisher) }
                                td { (versions.iter().map(|plugin| plugin.metadata().identity.version.as_str()).collect::<Vec<_>>().join(", ")) }
                                td.number { (versions.iter().filter_map(|plugin| running.get(&plugin.digest())).map(Vec::len).sum::<usize>()) }
                            }
                        }
                    }
                }
            }
            form.card method="post" action=(address("/admin/plugins")) enctype="multipart/form-data" {
                h2 { "Install plugin" }
                (csrf_field(visitor))
                (entry.field(
                    "component",
                    "Plugin file (.wasm)",
                    "The file is verified and compiled. No shop uses it until you switch one to it.",
                    html! {
                        input #component name="component" type="file" accept=".wasm,application/wasm" required aria-describedby="component-help"
                            aria-invalid=[entry.invalid("component")];
                    },
                ))
                button { "Install" }
            }
        },
    )
}

async fn install(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Uploaded(file): Uploaded,
) -> Result<Response, Problem> {
    let installed = match &file {
        Some(bytes) => {
            let was_installed = node.host().plugin(&Digest::of(bytes)).is_some();
            let plugin = node.installation().install(bytes, None, &caller.actor, node.now()).await;
            plugin.map(|plugin| (plugin, was_installed)).map_err(Problem::from).map_err(of_field("component"))
        }
        None => Err(wrong("component", "Choose a plugin file (.wasm) to install.")),
    };
    Ok(match installed {
        Ok((plugin, true)) => redirect_with_notice(&path(plugin.id()), Notice::AlreadyInstalled).into_response(),
        Ok((plugin, false)) => redirect_with_notice(&path(plugin.id()), Notice::Installed).into_response(),
        Err(problem) => again(&problem, list_page(&visitor, &node, &Entry::refused_without(&problem))),
    })
}

fn of_plugin(node: &Node, id: &PluginId) -> Result<Vec<Arc<PluginVersion>>, Problem> {
    installed(node).remove(id).ok_or_else(|| Problem::not_found(format!("There is no plugin {id}.")))
}

async fn versions(
    _: Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<PluginId>,
) -> Result<Markup, Problem> {
    versions_page(&visitor, &node, &id, &Entry::default(), FailedAction::default())
}

#[allow(clippy::indexing_slicing, reason = "an installed plugin has at least one version")]
fn versions_page(
    visitor: &AdminUser,
    node: &Node,
    id: &PluginId,
    entry: &Entry<'_>,
    failed: FailedAction<'_>,
) -> Result<Markup, Problem> {
    let (versions, running) = (of_plugin(node, id)?, running(node));
    let name = &versions[0].metadata().identity.name;
    let is_revoked = |plugin: &PluginVersion| node.host().is_revoked(&plugin.digest());
    let usable: Vec<&Arc<PluginVersion>> = versions.iter().filter(|plugin| !is_revoked(plugin)).collect();
    let accounts: Vec<(&Arc<PluginVersion>, &(ShopId, AccountId))> = versions
        .iter()
        .flat_map(|plugin| running.get(&plugin.digest()).into_iter().flatten().map(move |account| (plugin, account)))
        .collect();
    let choices = html! {
        @for plugin in &usable { option value=(plugin.digest()) { (plugin.metadata().identity.version) " – " (short(&plugin.digest())) } }
    };
    Ok(page(
        visitor,
        name,
        html! {
            (entry.summary())
            section.card { (requested(&versions[0])) }
            h2 { "Versions" }
            div.scroll tabindex="0" role="region" aria-label="Versions" {
                table {
                    thead { tr { th { "Version" } th { "Build" } th.number { "Size" } th { "Type" } th.number { "Connections" } th { span.visually-hidden { "Retire" } } } }
                    tbody {
                        @for plugin in &versions {
                            @let digest = plugin.digest();
                            tr {
                                th scope="row" { (plugin.metadata().identity.version) }
                                td { code title=(digest) { (short(&digest)) } }
                                td.number { (kilobytes(plugin.size())) }
                                td { (plugin.worlds().iter().map(|world| world.name()).collect::<Vec<_>>().join(", ")) }
                                td.number { (running.get(&digest).map_or(0, Vec::len)) }
                                td {
                                    (failed.beside(&digest.to_string()))
                                    @if is_revoked(plugin) { span.state.bad { "Retired" } }
                                    @else {
                                        details {
                                            summary { "Retire version" span.visually-hidden { " " (plugin.metadata().identity.version) } }
                                            form method="post" action=(format!("{}/revoke", path(id))) {
                                                (csrf_field(visitor))
                                                input type="hidden" name="component" value=(digest);
                                                label for=(format!("replacement-{digest}")) { "Move existing items to" }
                                                select id=(format!("replacement-{digest}")) name="replacement" {
                                                    option value="" { "None (shoppers must reconfigure)" }
                                                    @for other in usable.iter().filter(|other| other.digest() != digest) {
                                                        option value=(other.digest()) { (other.metadata().identity.version) " – " (short(&other.digest())) }
                                                    }
                                                }
                                                button.danger data-ask="Retire this version on every node? This can't be undone." { "Retire version" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            h2 #shop { "Usage" }
            @if accounts.is_empty() { p { "Not in use" } }
            @else {
                form.card method="post" action=(format!("{}/swap", path(id))) {
                    (csrf_field(visitor))
                    p { "Calls in progress finish on their version. Existing carts and orders keep their version. A shop whose settings the new version rejects is not switched." }
                    div.scroll tabindex="0" role="region" aria-label="Usage" {
                        table {
                            thead { tr { th { "Switch" } th { "Shop" } th { "Connection" } th { "Version" } } }
                            tbody {
                                @for (plugin, (shop, account)) in &accounts {
                                    tr {
                                        td { input type="checkbox" name="shop" value=(shop) aria-label=(format!("Switch {shop}"))
                                                checked[entry.is_chosen("shop", shop.as_str(), false)]; }
                                        th scope="row" { a href=(shop_path(shop, "")) { (shop) } }
                                        td { (account) }
                                        td { (plugin.metadata().identity.version) " " code { (short(&plugin.digest())) } }
                                    }
                                }
                            }
                        }
                    }
                    div.row {
                        div.field { label for="to" { "New version" } select #to name="component" { (choices) } }
                        button data-ask="Switch the selected shops to this version?" { "Switch selected shops" }
                    }
                }
            }
        },
    ))
}

async fn swap(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<PluginId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let to = plugin(&node, sent.read("component")?)?;
    let mut shops: Vec<ShopId> = Vec::new();
    for shop in sent.texts("shop") {
        let shop = shop.parse().map_err(|error| Problem::unprocessable("body", format!("shop: {error}")))?;
        if !shops.contains(&shop) {
            shops.push(shop);
        }
    }
    if shops.is_empty() {
        let problem = wrong("shop", "Select the shops to switch.");
        return Ok(again(
            &problem,
            versions_page(&visitor, &node, &id, &Entry::refused(&sent, &problem), FailedAction::default())?,
        ));
    }
    let (installation, actor) = (node.installation(), caller.as_actor());
    let switches = switch_all_versions(installation, &id, to.digest(), &shops, actor, node.now()).await?;
    let accounts = switches.len();
    let failed: Vec<_> =
        switches.into_iter().filter_map(|switch| Some((switch.shop, switch.account, switch.error?))).collect();
    if failed.is_empty() {
        return Ok(redirect_with_notice(&path(&id), Notice::VersionSwitched).into_response());
    }
    Ok(page(&visitor, "Some shops could not be switched", html! {
        p { (accounts - failed.len()) " of " (accounts) " connections now use version " (to.metadata().identity.version) ". The others keep their version:" }
        @for (shop, account, error) in failed {
            section.card { h2 { (shop) ", " (account) } (problem_details(&error.into())) }
        }
        p { a href=(path(&id)) { "Back to versions" } }
    })
    .into_response())
}

async fn revoke(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<PluginId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let (digest, replacement): (Digest, Option<Digest>) = (sent.read("component")?, sent.optional("replacement")?);
    match node.installation().revoke(digest, replacement, &caller.actor, node.now()).await {
        Ok(()) => Ok(redirect_with_notice(&path(&id), Notice::Retired).into_response()),
        Err(error) => {
            let (problem, version) = (of_button(error)?, digest.to_string());
            let failed = FailedAction::new(&version, &problem);
            Ok(again(&problem, versions_page(&visitor, &node, &id, &Entry::default(), failed)?))
        }
    }
}
