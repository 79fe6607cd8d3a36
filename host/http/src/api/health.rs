//! Statistics of guest calls, for charts, and plugin logs, for integrators.

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
use crate::observability::{CallSeries, LoggedLine, Severity};
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(calls)).routes(routes!(lines))
}

/// Selects guest calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallQuery {
    /// Returns only calls of this plugin.
    #[param(value_type = Option<String>)]
    plugin: Option<PluginId>,
    /// Returns only calls for this shop; an integrator's own shop by default.
    #[param(value_type = Option<String>)]
    shop: Option<ShopId>,
}

/// Returns call statistics of the last hour, by plugin and shop and by minute.
///
/// Only calls that this node made since it started are counted; ask each node of an installation.
#[utoipa::path(get, path = "/v1/plugin-calls", tag = "health", operation_id = "read_calls", params(CallQuery),
    responses((status = 200, body = [CallSeries]), Problems))]
async fn calls(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Query(CallQuery { plugin, shop }): Query<CallQuery>,
) -> Result<Json<Vec<CallSeries>>, Problem> {
    let shop = match (shop, caller.shop()) {
        (Some(requested), Some(own)) if requested != *own => {
            return Err(Problem::not_found(format!("shop {requested} not found")));
        }
        (requested, own) => requested.or_else(|| own.cloned()),
    };
    Ok(Json(node.observability().calls().series(plugin.as_ref(), shop.as_ref(), node.now())))
}

/// Selects log lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PluginLogQuery {
    /// Returns only lines of this plugin.
    #[param(value_type = Option<String>)]
    plugin: Option<PluginId>,
    /// Returns only lines of this severity or higher; all by default.
    #[param(inline)]
    level: Option<Severity>,
}

/// Lists the plugin log of a shop, newest first.
///
/// It holds the last 200 lines of each plugin, for at most a day. Only lines that this node received since it started
/// are included; ask each node of an installation. The lines of a job are also stored with the job.
#[utoipa::path(get, path = "/v1/shops/{shop}/plugin-logs", tag = "health", operation_id = "read_plugin_log",
    params(("shop" = ShopId, Path), PluginLogQuery), responses((status = 200, body = [LoggedLine]), Problems))]
async fn lines(
    _: Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(PluginLogQuery { plugin, level }): Query<PluginLogQuery>,
) -> Result<Json<Vec<LoggedLine>>, Problem> {
    node.host().shop(&shop)?;
    let min_level = level.unwrap_or(Severity::Debug);
    Ok(Json(node.observability().lines().of_shop(&shop, plugin.as_ref(), min_level, node.now())))
}
