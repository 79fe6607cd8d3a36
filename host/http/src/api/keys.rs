//! Operations on access keys.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cartwright::Secret;
use cartwright::timestamp;
use cartwright_service::access_keys::{self, AccessKeyError};
use cartwright_store::{AccessKeyInfo, NewAccessKey, Role};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, next_cursor};
use crate::access::Admin;
use crate::extract::{Body, Path, Query};
use crate::idempotency::secret_response;
use crate::node::Node;
use crate::problem::{Problem, Problems};
use crate::request_time::RequestTime;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(rotate))
}

impl From<AccessKeyError> for Problem {
    fn from(error: AccessKeyError) -> Self {
        let kind = match error {
            AccessKeyError::Store(error) => return error.into(),
            AccessKeyError::Label => "label",
            AccessKeyError::Overlap => "overlap_seconds",
        };
        Self::unprocessable(kind, error.to_string())
    }
}

/// An access key without its secret.
#[derive(Debug, Serialize, ToSchema)]
struct KeyDocument {
    /// Id of the key.
    id: String,
    /// Role of the key.
    role: RoleDocument,
    /// Label that people give the key.
    label: String,
    /// Networks that the key may be used from; empty = anywhere.
    #[schema(value_type = Vec<String>)]
    networks: Vec<IpNet>,
    /// Time of creation.
    #[schema(format = DateTime)]
    created: String,
    /// Time at which the key expires.
    expires: Option<String>,
    /// Time at which the key was revoked.
    revoked: Option<String>,
    /// Time of the last use, to the minute.
    last_used: Option<String>,
    /// Time until which the secret before the last rotation is valid.
    previous_ends: Option<String>,
}

/// The role of a key, and its shop.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
enum RoleDocument {
    /// A shop's pages: they show configurators and add to the cart. Such a key is public.
    Storefront {
        /// Shop of the key.
        shop: cartwright::ShopId,
    },
    /// The platform's server: it reports orders and asks for prices.
    Backend {
        /// Shop of the key; `null` = every shop.
        #[serde(default)]
        shop: Option<cartwright::ShopId>,
    },
    /// An integrator, who sets up a shop.
    Integrator {
        /// Shop of the key.
        shop: cartwright::ShopId,
    },
    /// The operator, who runs the installation.
    // With braces: without them serde would ignore a `shop` beside the role, and the key would be valid for every shop.
    Admin {},
}

impl From<Role> for RoleDocument {
    fn from(role: Role) -> Self {
        match role {
            Role::Storefront { shop } => Self::Storefront { shop },
            Role::Backend { shop } => Self::Backend { shop },
            Role::Integrator { shop } => Self::Integrator { shop },
            Role::Admin => Self::Admin {},
        }
    }
}

impl From<RoleDocument> for Role {
    fn from(role: RoleDocument) -> Self {
        match role {
            RoleDocument::Storefront { shop } => Self::Storefront { shop },
            RoleDocument::Backend { shop } => Self::Backend { shop },
            RoleDocument::Integrator { shop } => Self::Integrator { shop },
            RoleDocument::Admin {} => Self::Admin,
        }
    }
}

impl From<AccessKeyInfo> for KeyDocument {
    fn from(key: AccessKeyInfo) -> Self {
        Self {
            id: key.id,
            role: key.role.into(),
            label: key.label,
            networks: key.networks,
            created: timestamp(key.created),
            expires: key.expires.map(timestamp),
            revoked: key.revoked.map(timestamp),
            last_used: key.last_used.map(timestamp),
            previous_ends: key.previous_ends.map(timestamp),
        }
    }
}

/// A page of access keys.
#[derive(Debug, Serialize, ToSchema)]
struct KeyPage {
    /// Keys, in the order of creation.
    keys: Vec<KeyDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists all access keys, including revoked ones.
#[utoipa::path(get, path = "/v1/access-keys", tag = "keys", operation_id = "list_access_keys", params(PageQuery),
    responses((status = 200, body = KeyPage), Problems))]
async fn list(_: Admin, State(node): State<Node>, Query(page): Query<PageQuery>) -> Result<Json<KeyPage>, Problem> {
    let limit = page.limit()?;
    let keys = node.store().access().access_keys(None, page.after.as_deref(), limit).await?;
    let after = next_cursor(&keys, limit, |key| key.id.clone());
    Ok(Json(KeyPage { keys: keys.into_iter().map(KeyDocument::from).collect(), after }))
}

/// An access key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    /// Role of the key.
    role: RoleDocument,
    /// Label for people.
    #[schema(min_length = 1, max_length = 100)]
    label: String,
    /// Networks that the key may be used from, such as "192.0.2.0/24"; empty = anywhere.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    networks: Vec<IpNet>,
    /// Time at which the key expires, RFC 3339.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<RequestTime>,
}

/// A created key. It is not shown again.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedKey {
    /// Id of the key.
    id: String,
    /// Key to send as `Authorization: Bearer`.
    key: String,
}

impl CreatedKey {
    fn of(id: String, key: &Secret) -> Self {
        Self { id, key: String::from_utf8_lossy(key.expose()).into_owned() }
    }
}

/// Creates an access key.
#[utoipa::path(post, path = "/v1/access-keys", tag = "keys", operation_id = "create_access_key", request_body = KeyBody,
    responses((status = 201, body = CreatedKey), Problems))]
async fn create(
    Admin(caller): Admin,
    State(node): State<Node>,
    Body(KeyBody { role, label, networks, expires }): Body<KeyBody>,
) -> Result<Response, Problem> {
    let key = NewAccessKey { role: role.into(), label, networks, expires: expires.map(SystemTime::from) };
    let (id, key) = access_keys::create(node.store(), &key, &caller.actor, node.now()).await?;
    let lost =
        format!("the key {id} was created and is shown once; if the response was lost, revoke it and create another");
    Ok(secret_response((StatusCode::CREATED, Json(CreatedKey::of(id, &key))), lost))
}

/// Revokes a key, and ends the sessions that were started with it.
#[utoipa::path(delete, path = "/v1/access-keys/{key}", tag = "keys", operation_id = "revoke_access_key",
    params(("key" = String, Path)), responses((status = 204), Problems))]
async fn revoke(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(key): Path<String>,
) -> Result<StatusCode, Problem> {
    node.store().access().revoke_access_key(None, &key, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How long the previous secret stays valid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// Time in seconds, at most 30 days.
    #[serde(default)]
    #[schema(maximum = 2_592_000)]
    overlap_seconds: u32,
}

/// Gives a key a new secret.
#[utoipa::path(post, path = "/v1/access-keys/{key}/rotate", tag = "keys", operation_id = "rotate_access_key",
    params(("key" = String, Path)), request_body = RotateBody, responses((status = 200, body = CreatedKey), Problems))]
async fn rotate(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(id): Path<String>,
    Body(RotateBody { overlap_seconds }): Body<RotateBody>,
) -> Result<Response, Problem> {
    let overlap = Duration::from_secs(overlap_seconds.into());
    let key = access_keys::rotate(node.store(), &id, overlap, &caller.actor, node.now()).await?;
    let lost = format!("the key {id} has a new secret, which is shown once; if the response was lost, rotate it again");
    Ok(secret_response(Json(CreatedKey::of(id, &key)), lost))
}
