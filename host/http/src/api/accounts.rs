//! Vendor accounts: what a plugin asks for, what the merchant entered, what the operator grants.

use axum::Json;
use axum::extract::State;
use cartwright::types::{Diagnosis, PageOfChoices, PageOfProducts};
use cartwright::webhook::form_value;
use cartwright::{AccountId, AccountSetup, AccountSnapshot, Digest, Form, Grants, PluginId, ShopId};
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
        .routes(routes!(swap))
}

/// A vendor account as it runs. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
struct AccountDocument {
    /// Its id within the shop.
    id: AccountId,
    /// The plugin.
    plugin: PluginId,
    /// The version that it runs, by its digest.
    component: Digest,
    /// That version's own name.
    version: String,
    /// The versions that lines may be pinned to, the current one among them.
    versions: Vec<Digest>,
    /// What the merchant entered, by field name.
    settings: Map<String, Value>,
    /// The secrets that are set, by field name.
    secrets: Vec<String>,
    /// What the operator grants it.
    grants: Grants,
    /// How often it was set or swapped.
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

fn snapshot(node: &Node, shop: &ShopId, account: &AccountId) -> Result<AccountSnapshot, Problem> {
    let accounts = node.host().snapshot(shop)?.accounts;
    let found = accounts.into_iter().find(|found| found.id == *account);
    Ok(found.ok_or_else(|| cartwright::SetupError::UnknownAccount(account.clone()))?)
}

/// A shop's vendor accounts.
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

/// A vendor account. Its ETag names what it is set to.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}", tag = "accounts", operation_id = "read_account",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)),
    responses((status = 200, body = AccountDocument), Problems))]
async fn read(
    _: Reader,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Tagged<AccountDocument>, Problem> {
    AccountDocument::of(&node, &snapshot(&node, &shop, &account)?)
}

/// What an account is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    /// The component that runs it, by its digest. Of an account that exists, the one that it runs; another version is a swap.
    component: Digest,
    /// The settings and secrets that the merchant entered, by field name: the settings whole, of the secrets only those that change.
    #[serde(default)]
    settings: Map<String, Value>,
    /// What the operator grants it. An admin alone changes `networks`, `plain_http` and `requests_per_second`, turns `personal_data` on, and adds `hosts`
    /// while it is on.
    #[serde(default)]
    grants: Grants,
}

/// Sets an account up, or changes it; the plugin's own check runs on the result before it is taken.
#[utoipa::path(put, path = "/v1/shops/{shop}/accounts/{account}", tag = "accounts", operation_id = "set_account",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it does not exist.")),
    request_body = AccountBody, responses((status = 200, body = AccountDocument), Problems))]
async fn set(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
    precondition: Precondition,
    Body(AccountBody { component, settings, grants }): Body<AccountBody>,
) -> Result<Tagged<AccountDocument>, Problem> {
    let old = node.host().snapshot(&shop)?.accounts.into_iter().find(|old| old.id == id);
    caller.check_grant(&old.map(|old| old.grants).unwrap_or_default(), &grants)?;
    let setup = AccountSetup { id, settings, grants };
    let installation = node.installation();
    let expected = precondition.expected();
    let set = installation.set_account(&shop, component, setup, expected, &caller.actor, node.now()).await?;
    AccountDocument::of(&node, &set)
}

/// The settings form of the version that the account runs.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/form", tag = "accounts", operation_id = "read_form",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)), responses((status = 200, body = Form), Problems))]
async fn form(
    _: Reader,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Json<Form>, Problem> {
    Ok(Json(node.host().current_version(&shop, &account)?.metadata().form.clone()))
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Search {
    /// A part of what is looked for.
    #[serde(default)]
    search: String,
    /// Where the page begins, as the page before said.
    cursor: Option<String>,
}

/// The choices of a field that the vendor knows.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/choices/{field}", tag = "accounts", operation_id = "list_choices",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path), ("field" = String, Path), Search),
    responses((status = 200, body = PageOfChoices), Problems))]
async fn choices(
    _: Integrator,
    State(node): State<Node>,
    Path((shop, account, field)): Path<(ShopId, AccountId, String)>,
    Query(Search { search, cursor }): Query<Search>,
) -> Result<Json<PageOfChoices>, Problem> {
    Ok(Json(node.host().choices(&shop, &account, &field, &search, cursor.as_deref()).await?))
}

/// Tries the account out at the vendor's, without changing anything there.
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

/// Finds products of the vendor, for linking them.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/products", tag = "accounts", operation_id = "search_products",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path), Search),
    responses((status = 200, body = PageOfProducts), Problems))]
async fn products(
    _: Integrator,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
    Query(Search { search, cursor }): Query<Search>,
) -> Result<Json<PageOfProducts>, Problem> {
    Ok(Json(node.host().search_products(&shop, &account, &search, cursor.as_deref()).await?))
}

/// Which version to go to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchVersionBody {
    /// The component, by its digest.
    component: Digest,
}

/// Moves the account to another version of its plugin; rolling back is moving to the version before. Calls in flight end on what they
/// began with, and lines keep going to the version that made them. A version that does not accept the settings changes nothing; nor does
/// one that sends a kept secret to a host which it was not entered for, unless an admin swaps.
#[utoipa::path(post, path = "/v1/shops/{shop}/accounts/{account}/switch-version", tag = "accounts", operation_id = "swap_version",
    params(("shop" = ShopId, Path), ("account" = AccountId, Path)), request_body = SwitchVersionBody,
    responses((status = 200, body = AccountDocument), Problems))]
async fn swap(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
    Body(SwitchVersionBody { component }): Body<SwitchVersionBody>,
) -> Result<Tagged<AccountDocument>, Problem> {
    let (installation, hosts) = (node.installation(), caller.new_hosts());
    let swapped = installation.switch_version(&shop, &account, component, hosts, &caller.actor, node.now()).await?;
    AccountDocument::of(&node, &swapped)
}
