//! Operations on accounts: the settings form of a plugin, the values that the merchant entered, and the operator's
//! grants.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cartwright::types::{ChoiceList, Diagnosis, ProductList};
use cartwright::webhook::form_value;
use cartwright::{
    AccountId, AccountSetup, AccountSnapshot, Digest, Form, Grants, Interface, PluginId, ShopId, timestamp,
};
use cartwright_service::accounts::{self, SetAccountError};
use cartwright_service::actor::GrantRefused;
use cartwright_store::account_version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Integrator, Reader};
use crate::extract::{Body, Path, Precondition, Query, Tagged};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read, set))
        .routes(routes!(form))
        .routes(routes!(choices))
        .routes(routes!(test))
        .routes(routes!(products))
        .routes(routes!(feed))
        .routes(routes!(switch_version))
}

impl From<GrantRefused> for Problem {
    fn from(error: GrantRefused) -> Self {
        Self::new(StatusCode::FORBIDDEN, "grants", error.to_string())
    }
}

impl From<SetAccountError> for Problem {
    fn from(error: SetAccountError) -> Self {
        match error {
            SetAccountError::Grants(error) => error.into(),
            SetAccountError::Change(error) => error.into(),
        }
    }
}

/// An account in use. Its secrets are never returned.
#[derive(Debug, Serialize, ToSchema)]
struct AccountDocument {
    /// Id within the shop.
    id: AccountId,
    /// Plugin that the account is set up with.
    plugin: PluginId,
    /// Digest of the plugin version that the account runs.
    component: Digest,
    /// Version name that the plugin states.
    version: String,
    /// Digests of the plugin versions that lines may be pinned to, including the current one.
    versions: Vec<Digest>,
    /// Settings that the merchant entered, by field name.
    settings: Map<String, Value>,
    /// Names of the fields with a stored secret.
    secrets: Vec<String>,
    /// Permissions that the operator granted to the account.
    grants: Grants,
    /// Number of times that the account was changed or switched.
    revision: u64,
}

impl AccountDocument {
    fn of(node: &Node, account: &AccountSnapshot) -> Result<Tagged<Self>, Problem> {
        let plugin = node.host().plugin(&account.current);
        let plugin = plugin.ok_or(cartwright::SetupError::UnknownPlugin(account.current))?;
        let settings = account.versions.get(&account.current).into_iter().flatten();
        Ok(Tagged(
            account_version(account),
            Self {
                id: account.id.clone(),
                plugin: plugin.id().clone(),
                component: account.current,
                version: plugin.metadata().identity.version.clone(),
                versions: account.versions.keys().copied().collect(),
                settings: settings.filter_map(|(name, value)| Some((name.clone(), form_value(value)?))).collect(),
                secrets: account.secrets.keys().cloned().collect(),
                grants: account.grants.clone(),
                revision: account.revision,
            },
        ))
    }
}

/// Lists the accounts of a shop.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts", tag = "accounts", operation_id = "list_accounts",
    params(("shop" = ShopId, Path)), responses((status = 200, body = [AccountDocument]), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Json<Vec<AccountDocument>>, Problem> {
    let accounts = node.host().snapshot(&shop)?.accounts;
    let documents =
        accounts.iter().map(|account| AccountDocument::of(&node, account).map(|Tagged(_, document)| document));
    Ok(Json(documents.collect::<Result<_, _>>()?))
}

/// Returns an account.
///
/// Its ETag identifies the account's current settings.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}", tag = "accounts", operation_id = "read_account",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)),
    responses((status = 200, body = AccountDocument), Problems))]
async fn read(
    _: Reader,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Tagged<AccountDocument>, Problem> {
    AccountDocument::of(&node, &node.host().shop_state(&shop)?.account_snapshot(&account)?)
}

/// The desired state of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    /// Digest of the component that runs the account. For an existing account it must be the current one; use the
    /// version switch to change it.
    component: Digest,
    /// Settings and secrets that the merchant entered, by field name. All settings must be sent; secrets only if they
    /// change.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Permissions of the account. Only the role `admin` may change `networks`, `plain_http` and `requests_per_second`,
    /// turn `personal_data` on, and add `hosts` while it is on.
    #[serde(default)]
    grants: Grants,
}

/// Creates or changes an account.
///
/// The plugin's own check runs on the result before it is stored.
#[utoipa::path(put, path = "/v1/shops/{shop}/accounts/{account}", tag = "accounts", operation_id = "set_account",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the account does not exist.")),
    request_body = AccountBody, responses((status = 200, body = AccountDocument), Problems))]
async fn set(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
    precondition: Precondition,
    Body(AccountBody { component, settings, grants }): Body<AccountBody>,
) -> Result<Tagged<AccountDocument>, Problem> {
    let setup = AccountSetup { id, settings, grants };
    let (installation, expected, actor) = (node.installation(), precondition.expected(), caller.as_actor());
    let set = accounts::set(installation, &shop, component, setup, expected, actor, node.now()).await?;
    AccountDocument::of(&node, &set)
}

/// Returns the settings form of the version that the account runs.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/form", tag = "accounts", operation_id = "read_form",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)), responses((status = 200, body = Form), Problems))]
async fn form(
    _: Reader,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Json<Form>, Problem> {
    Ok(Json(node.host().current_version(&shop, &account)?.metadata().form.clone()))
}

/// Selects a page of a search.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Text to search for.
    #[serde(default)]
    search: String,
    /// Cursor that the previous page returned.
    cursor: Option<String>,
}

/// Lists the choices of a field that the vendor provides.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/choices/{field}", tag = "accounts", operation_id = "list_choices",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path), ("field" = String, Path), Search),
    responses((status = 200, body = ChoiceList), Problems))]
async fn choices(
    _: Integrator,
    State(node): State<Node>,
    Path((shop, account, field)): Path<(ShopId, AccountId, String)>,
    Query(Search { search, cursor }): Query<Search>,
) -> Result<Json<ChoiceList>, Problem> {
    Ok(Json(node.host().choices(&shop, &account, &field, &search, cursor.as_deref()).await?))
}

/// Tests the account's connection to the vendor, without changing anything there.
#[utoipa::path(post, path = "/v1/shops/{shop}/accounts/{account}/test-connection", tag = "accounts",
    operation_id = "test_connection", params(("shop" = ShopId, Path), ("account" = AccountId, Path)),
    responses((status = 200, body = [Diagnosis]), Problems))]
async fn test(
    _: Integrator,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Json<Vec<Diagnosis>>, Problem> {
    Ok(Json(node.host().test_connection(&shop, &account).await?))
}

/// Searches the vendor's products, to link them.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/products", tag = "accounts", operation_id = "search_products",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path), Search),
    responses((status = 200, body = ProductList), Problems))]
async fn products(
    _: Integrator,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
    Query(Search { search, cursor }): Query<Search>,
) -> Result<Json<ProductList>, Problem> {
    Ok(Json(node.host().search_products(&shop, &account, &search, cursor.as_deref()).await?))
}

/// The feed of an account whose vendor is polled.
#[derive(Debug, Serialize, ToSchema)]
struct FeedDocument {
    /// Interval in seconds at which it is polled.
    interval_seconds: u64,
    /// Time at which a page was last applied; `null` before the first one.
    #[schema(format = DateTime)]
    last_polled_at: Option<String>,
    /// Time of the next poll; `null` if it is about to be polled for the first time.
    #[schema(format = DateTime)]
    next_poll_at: Option<String>,
    /// Number of failures since a page was last applied.
    failures: u32,
    /// Why the last poll failed.
    last_error: Option<String>,
}

/// Returns the state of the account's feed.
///
/// A feed that fails is polled again on the schedule of retries, and at once when the account is changed.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/feed", tag = "accounts", operation_id = "read_feed",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)), responses((status = 200, body = FeedDocument), Problems))]
async fn feed(
    _: Reader,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Json<FeedDocument>, Problem> {
    let plugin = node.host().current_version(&shop, &account)?;
    if !plugin.has(Interface::Feed) {
        return Err(Problem::not_found(format!("{} has no feed", plugin.id())));
    }
    let grants = node.host().shop_state(&shop)?.account_snapshot(&account)?.grants;
    let status = node.store().feeds().status(&shop, &account).await?;
    Ok(Json(FeedDocument {
        interval_seconds: grants.feed_interval().as_secs(),
        last_polled_at: status.as_ref().and_then(|status| status.last_polled_at).map(timestamp),
        next_poll_at: status.as_ref().map(|status| timestamp(status.next_poll_at)),
        failures: status.as_ref().map_or(0, |status| status.failures),
        last_error: status.and_then(|status| status.last_error),
    }))
}

/// The version to switch to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchVersionBody {
    /// Digest of the component.
    component: Digest,
}

/// Switches the account to another version of its plugin.
///
/// To roll back, switch to the previous version. Calls in progress finish on the version they began with, and cart
/// lines stay pinned to the version that made them. The switch changes nothing if the version rejects the settings, or
/// if it would send a stored secret to a host that the secret was not entered for; an admin may allow the latter.
#[utoipa::path(post, path = "/v1/shops/{shop}/accounts/{account}/switch-version", tag = "accounts", operation_id = "switch_account_version",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)), request_body = SwitchVersionBody,
    responses((status = 200, body = AccountDocument), Problems))]
async fn switch_version(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
    Body(SwitchVersionBody { component }): Body<SwitchVersionBody>,
) -> Result<Tagged<AccountDocument>, Problem> {
    let (installation, actor) = (node.installation(), caller.as_actor());
    let switched = accounts::switch_version(installation, &shop, &account, component, actor, node.now()).await?;
    AccountDocument::of(&node, &switched)
}
