//! Access keys.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cartwright_service::documents::moment;
use cartwright_store::{AccessKeyInfo, NewAccessKey, Role};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, after};
use crate::access::Admin;
use crate::extract::{Body, Path, Query};
use crate::idempotency::secret_response;
use crate::moment::Moment;
use crate::node::Node;
use crate::problem::{Problem, Problems};

/// The longest label.
pub const MAX_LABEL_CHARS: usize = 100;
/// For so long at most both secrets of an exchanged key go on.
const MAX_OVERLAP_SECONDS: u32 = 30 * 86_400;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(rotate))
}

/// An access key, without what is secret of it.
#[derive(Debug, Serialize, ToSchema)]
struct KeyDocument {
    /// What it is found by.
    id: String,
    /// What it is for.
    role: RoleDocument,
    /// What people call it.
    label: String,
    /// Where it may be used from; empty = anywhere.
    #[schema(value_type = Vec<String>)]
    networks: Vec<IpNet>,
    /// When it was made.
    #[schema(format = DateTime)]
    created: String,
    /// When it ends by itself.
    expires: Option<String>,
    /// When it was revoked.
    revoked: Option<String>,
    /// When it was used last, to the minute.
    last_used: Option<String>,
    /// Until when the secret that it had before its last exchange goes on.
    previous_ends: Option<String>,
}

/// What a key is for, and where.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
enum RoleDocument {
    /// A shop's pages: configurators and adding to the cart. Everybody may read such a key.
    Storefront {
        /// The shop.
        shop: cartwright::ShopId,
    },
    /// The platform's server: orders and prices.
    Backend {
        /// Its shop; none = every shop.
        #[serde(default)]
        shop: Option<cartwright::ShopId>,
    },
    /// Who sets a shop up.
    Integrator {
        /// The shop.
        shop: cartwright::ShopId,
    },
    /// Who runs the installation.
    // With braces: without them a shop beside it would be read over, and the key be for every shop.
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
            created: moment(key.created),
            expires: key.expires.map(moment),
            revoked: key.revoked.map(moment),
            last_used: key.last_used.map(moment),
            previous_ends: key.previous_ends.map(moment),
        }
    }
}

/// Some access keys.
#[derive(Debug, Serialize, ToSchema)]
struct KeyPage {
    /// Those that were made first.
    keys: Vec<KeyDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// All access keys, revoked ones included.
#[utoipa::path(get, path = "/v1/access-keys", tag = "keys", operation_id = "list_keys", params(PageQuery),
    responses((status = 200, body = KeyPage), Problems))]
async fn list(_: Admin, State(node): State<Node>, Query(part): Query<PageQuery>) -> Result<Json<KeyPage>, Problem> {
    let limit = part.limit()?;
    let keys = node.store().access().access_keys(None, part.after.as_deref(), limit).await?;
    let after = after(&keys, limit, |key| key.id.clone());
    Ok(Json(KeyPage { keys: keys.into_iter().map(KeyDocument::from).collect(), after }))
}

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    /// What it is for.
    role: RoleDocument,
    /// What people call it.
    #[schema(min_length = 1, max_length = 100)]
    label: String,
    /// Where it may be used from, such as "192.0.2.0/24"; empty = anywhere.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    networks: Vec<IpNet>,
    /// When it ends by itself, RFC 3339.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Moment>,
}

/// A key that was made. It is shown now and never again.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedKey {
    /// What it is found by.
    id: String,
    /// What to send as `Authorization: Bearer`.
    key: String,
}

/// Makes an access key.
#[utoipa::path(post, path = "/v1/access-keys", tag = "keys", operation_id = "make_key", request_body = KeyBody,
    responses((status = 201, body = CreatedKey), Problems))]
async fn create(
    Admin(caller): Admin,
    State(node): State<Node>,
    Body(KeyBody { role, label, networks, expires }): Body<KeyBody>,
) -> Result<Response, Problem> {
    let key = NewAccessKey { role: role.into(), label, networks, expires: expires.map(SystemTime::from) };
    let (id, key) = create_key(&node, &key, &caller.actor).await?;
    let lost = format!("the key {id} was made, and is shown once; if that answer was lost, revoke it and make another");
    Ok(secret_response((StatusCode::CREATED, Json(CreatedKey { id, key })), lost))
}

/// A new key: what it is found by, and itself.
pub async fn create_key(node: &Node, key: &NewAccessKey, actor: &str) -> Result<(String, String), Problem> {
    if key.label.trim().is_empty() || key.label.chars().count() > MAX_LABEL_CHARS {
        return Err(Problem::unprocessable("label", format!("a label has 1 to {MAX_LABEL_CHARS} characters")));
    }
    let (id, key) = node.store().access().create_access_key(key, actor, node.now()).await?;
    Ok((id, String::from_utf8_lossy(key.expose()).into_owned()))
}

/// Ends a key, and the sessions of who logged in with it.
#[utoipa::path(delete, path = "/v1/access-keys/{key}", tag = "keys", operation_id = "revoke_key",
    params(("key" = String, Path)), responses((status = 204), Problems))]
async fn revoke(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(key): Path<String>,
) -> Result<StatusCode, Problem> {
    node.store().access().revoke_access_key(None, &key, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// For how long the former secret goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// In seconds, at most 30 days.
    #[serde(default)]
    #[schema(maximum = 2_592_000)]
    overlap_seconds: u32,
}

/// Gives a key a new secret.
#[utoipa::path(post, path = "/v1/access-keys/{key}/rotate", tag = "keys", operation_id = "rotate_key",
    params(("key" = String, Path)), request_body = RotateBody, responses((status = 200, body = CreatedKey), Problems))]
async fn rotate(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(id): Path<String>,
    Body(RotateBody { overlap_seconds }): Body<RotateBody>,
) -> Result<Response, Problem> {
    if overlap_seconds > MAX_OVERLAP_SECONDS {
        return Err(Problem::unprocessable(
            "overlap_seconds",
            format!("both secrets go on for {MAX_OVERLAP_SECONDS} seconds at most"),
        ));
    }
    let both = Duration::from_secs(overlap_seconds.into());
    let key = node.store().access().rotate_access_key(None, &id, both, &caller.actor, node.now()).await?;
    let lost =
        format!("the key {id} has a new secret, which is shown once; if that answer was lost, exchange it again");
    Ok(secret_response(Json(CreatedKey { id, key: String::from_utf8_lossy(key.expose()).into_owned() }), lost))
}
