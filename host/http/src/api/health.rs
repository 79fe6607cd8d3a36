//! How guest calls went, for charts; what guests logged, for integrators.

use axum::Json;
use axum::extract::State;
use cartwright::{PluginId, ShopId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Integrator;
use crate::extract::{Path, Query};
use crate::node::Node;
use crate::observed::{CallSeries, LoggedLine, Severity};
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(calls)).routes(routes!(lines))
}

/// Which calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichCalls {
    /// Of this plugin.
    #[param(value_type = Option<String>)]
    plugin: Option<PluginId>,
    /// For this shop; an integrator's own unless given.
    #[param(value_type = Option<String>)]
    shop: Option<ShopId>,
}

/// How guest calls went in the last hour, by plugin and shop and by minute. It is what this node saw since it started: each node of
/// an installation tells its own.
#[utoipa::path(get, path = "/v1/plugin-calls", tag = "health", operation_id = "read_calls", params(WhichCalls),
    responses((status = 200, body = [CallSeries]), Problems))]
async fn calls(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Query(WhichCalls { plugin, shop }): Query<WhichCalls>,
) -> Result<Json<Vec<CallSeries>>, Problem> {
    let shop = match (shop, caller.shop()) {
        (Some(asked), Some(own)) if asked != *own => {
            return Err(Problem::not_found(format!("shop {asked} not found")));
        }
        (asked, own) => asked.or_else(|| own.cloned()),
    };
    Ok(Json(node.observability().calls().series(plugin.as_ref(), shop.as_ref(), node.now())))
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichLines {
    /// Of this plugin.
    #[param(value_type = Option<String>)]
    plugin: Option<PluginId>,
    /// What matters so much or more; everything unless given.
    #[param(inline)]
    level: Option<Severity>,
}

/// What plugins logged for a shop, the newest first: the last 200 lines of each plugin, for a day at most. It is what this node heard
/// since it started: each node of an installation tells its own. What a job logged is kept with the job, too.
#[utoipa::path(get, path = "/v1/shops/{shop}/plugin-logs", tag = "health", operation_id = "read_guest_logs",
    params(("shop" = ShopId, Path), WhichLines), responses((status = 200, body = [LoggedLine]), Problems))]
async fn lines(
    _: Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(WhichLines { plugin, level }): Query<WhichLines>,
) -> Result<Json<Vec<LoggedLine>>, Problem> {
    node.host().shop(&shop)?;
    let least = level.unwrap_or(Severity::Debug);
    Ok(Json(node.observability().lines().of_shop(&shop, plugin.as_ref(), least, node.now())))
}
