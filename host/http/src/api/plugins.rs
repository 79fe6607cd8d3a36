//! Plugins: the components that are installed, and which shops run them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use cartwright::{AccountId, Digest, NewHostPolicy, PluginId, PluginMetadata, PluginVersion, ShopId, World};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Admin, Reader};
use crate::body;
use crate::extract::{Body, Path, Query, Raw, require_media_type};
use crate::limits::MAX_COMPONENT_BYTES;
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    let sent =
        OpenApiRouter::new().routes(routes!(list, install)).layer(from_fn_with_state(MAX_COMPONENT_BYTES, body::allow));
    sent.routes(routes!(read)).routes(routes!(revoke)).routes(routes!(swap))
}

/// One version of a plugin.
#[derive(Debug, Serialize, ToSchema)]
struct PluginVersionDocument {
    /// The SHA-256 of the component: names this version.
    digest: Digest,
    /// Its size in bytes.
    size: usize,
    /// The worlds of the contract that it fits.
    worlds: Vec<World>,
    /// Everything that it imports.
    imports: Vec<String>,
    /// The functions of the contract that it has.
    hooks: Vec<&'static str>,
    /// What it says about itself: its hosts, strategies, settings and webhooks.
    about: PluginMetadata,
}

impl PluginVersionDocument {
    fn of(plugin: &PluginVersion) -> Self {
        Self {
            digest: plugin.digest(),
            size: plugin.size(),
            worlds: plugin.worlds().to_vec(),
            imports: plugin.imports().to_vec(),
            hooks: plugin.hooks().map(|hook| hook.name()).collect(),
            about: plugin.metadata().clone(),
        }
    }
}

/// All installed versions of all plugins.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins", operation_id = "list_plugins",
    responses((status = 200, body = [PluginVersionDocument]), Problems))]
async fn list(_: Reader, State(node): State<Node>) -> Json<Vec<PluginVersionDocument>> {
    Json(node.host().installed().iter().map(|plugin| PluginVersionDocument::of(plugin)).collect())
}

/// Which component it must be.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Pinned {
    /// The SHA-256 that the bytes must have.
    digest: Option<Digest>,
}

/// A component's bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
struct Component(Vec<u8>);

/// Installs a component on every node. It is checked against the contract, compiled, and asked about itself in a sandbox; nothing is
/// granted. Installing it again changes nothing.
#[utoipa::path(post, path = "/v1/plugins", tag = "plugins", operation_id = "install_plugin", params(Pinned),
    request_body(content = Component, content_type = "application/wasm"),
    responses((status = 201, body = PluginVersionDocument), Problems))]
async fn install(
    Admin(caller): Admin,
    State(node): State<Node>,
    Query(Pinned { digest }): Query<Pinned>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<Response, Problem> {
    require_media_type(&headers, "application/wasm")?;
    let plugin = node.installation().install(&bytes, digest, &caller.actor, node.now()).await?;
    Ok((StatusCode::CREATED, Json(PluginVersionDocument::of(&plugin))).into_response())
}

/// One version.
#[utoipa::path(get, path = "/v1/plugins/{digest}", tag = "plugins", operation_id = "read_plugin",
    params(("digest" = Digest, Path)), responses((status = 200, body = PluginVersionDocument), Problems))]
async fn read(
    _: Reader,
    State(node): State<Node>,
    Path(digest): Path<Digest>,
) -> Result<Json<PluginVersionDocument>, Problem> {
    let plugin = node.host().plugin(&digest).ok_or(cartwright::SetupError::UnknownPlugin(digest))?;
    Ok(Json(PluginVersionDocument::of(&plugin)))
}

/// What serves lines that are pinned to a revoked version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    /// A version of the same plugin; none = its lines must be configured again.
    #[serde(default)]
    replacement: Option<Digest>,
}

/// Takes a version out of use on every node.
#[utoipa::path(post, path = "/v1/plugins/{digest}/revoke", tag = "plugins", operation_id = "revoke_plugin",
    params(("digest" = Digest, Path)), request_body = RevokeBody, responses((status = 204), Problems))]
async fn revoke(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(digest): Path<Digest>,
    Body(RevokeBody { replacement }): Body<RevokeBody>,
) -> Result<StatusCode, Problem> {
    node.installation().revoke(digest, replacement, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which accounts go to which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchVersionsBody {
    /// The component, by its digest.
    component: Digest,
    /// The shops whose accounts are moved; none = all.
    #[serde(default)]
    shops: Option<Vec<ShopId>>,
}

/// What came of one account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SwitchResult {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The version that it ran.
    from: Digest,
    /// Why it goes on with that; none = it runs the new one.
    pub problem: Option<Problem>,
}

/// Moves every account that runs this plugin to one of its versions, in some shops or in all. Each account is moved or stays by itself.
#[utoipa::path(post, path = "/v1/plugins/{plugin}/switch-version", tag = "plugins", operation_id = "swap_plugin",
    params(("plugin" = PluginId, Path)), request_body = SwitchVersionsBody,
    responses((status = 200, body = [SwitchResult]), Problems))]
async fn swap(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(plugin): Path<PluginId>,
    Body(SwitchVersionsBody { component, shops }): Body<SwitchVersionsBody>,
) -> Result<Json<Vec<SwitchResult>>, Problem> {
    let meant = shops.unwrap_or_else(|| node.host().shop_ids());
    Ok(Json(switch_accounts(&node, &plugin, component, &meant, &caller.actor).await?))
}

/// Moves every account of these shops that runs a plugin to one of its versions, one after the other. An admin's: who may install a
/// version vouches for it.
pub async fn switch_accounts(
    node: &Node,
    plugin: &PluginId,
    component: Digest,
    shops: &[ShopId],
    actor: &str,
) -> Result<Vec<SwitchResult>, Problem> {
    let host = node.host();
    let mut results = Vec::new();
    for shop in shops {
        for account in host.snapshot(shop)?.accounts {
            let is_current = host.plugin(&account.current).is_some_and(|version| version.id() == plugin);
            if !is_current || account.current == component {
                continue;
            }
            let (installation, hosts) = (node.installation(), NewHostPolicy::Approved);
            let swapped = installation.switch_version(shop, &account.id, component, hosts, actor, node.now()).await;
            results.push(SwitchResult {
                shop: shop.clone(),
                account: account.id,
                from: account.current,
                problem: swapped.err().map(Problem::from),
            });
        }
    }
    Ok(results)
}
