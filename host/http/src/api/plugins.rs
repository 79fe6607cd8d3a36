//! Operations on plugins: the installed components, and the shops that run them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use cartwright::{AccountId, Digest, InstallError, Interface, PluginId, PluginMetadata, PluginVersion, ShopId, World};
use cartwright_service::accounts::{self, AccountSwitch};
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
    sent.routes(routes!(read)).routes(routes!(revoke)).routes(routes!(switch_version))
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        Self::unprocessable("install", error.to_string()).with_error(&error)
    }
}

/// A plugin version.
#[derive(Debug, Serialize, ToSchema)]
struct PluginVersionDocument {
    /// SHA-256 digest of the component, which identifies the version.
    digest: Digest,
    /// Size of the component in bytes.
    size: usize,
    /// Worlds of the contract that the component implements.
    worlds: Vec<World>,
    /// Interfaces of the contract that the component exports: what it can do.
    exports: Vec<Interface>,
    /// Exported interfaces of a later version of the contract, which this host does not know, such as `quoting@0.1.2`.
    unknown_exports: Vec<String>,
    /// Imports of the component.
    imports: Vec<String>,
    /// Functions of the contract that the component exports.
    hooks: Vec<&'static str>,
    /// Metadata that the plugin states: its outbound hosts, strategies, settings and webhooks.
    about: PluginMetadata,
}

impl PluginVersionDocument {
    fn of(plugin: &PluginVersion) -> Self {
        Self {
            digest: plugin.digest(),
            size: plugin.size(),
            worlds: plugin.worlds().to_vec(),
            exports: plugin.exports().collect(),
            unknown_exports: plugin.unknown_exports().to_vec(),
            imports: plugin.imports().to_vec(),
            hooks: plugin.hooks().map(|hook| hook.name()).collect(),
            about: plugin.metadata().clone(),
        }
    }
}

/// Lists all installed versions of all plugins.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins", operation_id = "list_plugins",
    responses((status = 200, body = [PluginVersionDocument]), Problems))]
async fn list(_: Reader, State(node): State<Node>) -> Json<Vec<PluginVersionDocument>> {
    Json(node.host().installed().iter().map(|plugin| PluginVersionDocument::of(plugin)).collect())
}

/// The expected digest of a component.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InstallQuery {
    /// SHA-256 digest that the bytes must have.
    digest: Option<Digest>,
}

/// Bytes of a component.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
struct Component(Vec<u8>);

/// Installs a component on every node.
///
/// It is checked against the contract, compiled, and asked for its metadata in a sandbox; it receives no grants.
/// Installing a component again changes nothing.
#[utoipa::path(post, path = "/v1/plugins", tag = "plugins", operation_id = "install_plugin", params(InstallQuery),
    request_body(content = Component, content_type = "application/wasm"),
    responses((status = 201, body = PluginVersionDocument), Problems))]
async fn install(
    Admin(caller): Admin,
    State(node): State<Node>,
    Query(InstallQuery { digest }): Query<InstallQuery>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<Response, Problem> {
    require_media_type(&headers, "application/wasm")?;
    let plugin = node.installation().install(&bytes, digest, &caller.actor, node.now()).await?;
    Ok((StatusCode::CREATED, Json(PluginVersionDocument::of(&plugin))).into_response())
}

/// Returns a plugin version.
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

/// The replacement of a revoked version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    /// Version of the same plugin that serves lines pinned to the revoked one; `null` = they must be configured again.
    #[serde(default)]
    replacement: Option<Digest>,
}

/// Revokes a plugin version on every node.
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

/// The version to switch to, and the shops concerned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchVersionsBody {
    /// Digest of the component.
    component: Digest,
    /// Shops whose accounts are switched; `null` = all.
    #[serde(default)]
    shops: Option<Vec<ShopId>>,
}

/// The result of a switch for one account.
#[derive(Debug, Serialize, ToSchema)]
struct SwitchResult {
    /// Shop of the account.
    shop: ShopId,
    /// Id of the account.
    account: AccountId,
    /// Digest of the version that the account ran before.
    from: Digest,
    /// Why the account stays on that version; `null` if it was switched.
    problem: Option<Problem>,
}

impl From<AccountSwitch> for SwitchResult {
    fn from(AccountSwitch { shop, account, from, error }: AccountSwitch) -> Self {
        Self { shop, account, from, problem: error.map(Problem::from) }
    }
}

/// Switches every account that runs this plugin to one of its versions, in some shops or in all.
///
/// Each account is switched independently of the others.
#[utoipa::path(post, path = "/v1/plugins/{plugin}/switch-version", tag = "plugins", operation_id = "switch_plugin_version",
    params(("plugin" = PluginId, Path)), request_body = SwitchVersionsBody,
    responses((status = 200, body = [SwitchResult]), Problems))]
async fn switch_version(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(plugin): Path<PluginId>,
    Body(SwitchVersionsBody { component, shops }): Body<SwitchVersionsBody>,
) -> Result<Json<Vec<SwitchResult>>, Problem> {
    let shops = shops.unwrap_or_else(|| node.host().shop_ids());
    let (installation, actor) = (node.installation(), caller.as_actor());
    let switches = accounts::switch_all_versions(installation, &plugin, component, &shops, actor, node.now()).await?;
    Ok(Json(switches.into_iter().map(SwitchResult::from).collect()))
}
