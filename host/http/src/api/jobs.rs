//! Operations on jobs: their events, their progress, and the decisions of a person.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cartwright::{AccountId, ShopId};
use cartwright_service::jobs;
use cartwright_service::json::{JobDetailDocument, JobDocument};
use cartwright_store::{JobFilter, JobStateKind, RetryMode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{next_cursor, page_limit};
use crate::access::Backend;
use crate::extract::{Body, Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read)).routes(routes!(retry)).routes(routes!(cancel))
}

/// Selects jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JobQuery {
    /// Returns only jobs of the order with this id of the platform.
    order: Option<String>,
    /// Returns only jobs of this account.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Returns only jobs in this state; those in "stopped" and "needs-merchant" need attention.
    state: Option<String>,
    /// Returns only jobs created after the one with this id.
    after: Option<String>,
    /// Maximum number of jobs; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
struct JobPage {
    /// Jobs, oldest first.
    jobs: Vec<JobDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the jobs of a shop.
#[utoipa::path(get, path = "/v1/shops/{shop}/jobs", tag = "jobs", operation_id = "list_jobs",
    params(("shop" = ShopId, Path), JobQuery), responses((status = 200, body = JobPage), Problems))]
async fn list(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(JobQuery { order, account, state, after, limit }): Query<JobQuery>,
) -> Result<Json<JobPage>, Problem> {
    let state = state.map(|state| state.parse::<JobStateKind>()).transpose();
    let state = state.map_err(|error| Problem::unprocessable("state", error.to_string()))?;
    let limit = page_limit(limit)?;
    let filter = JobFilter { shop: Some(shop), order, account, state, after };
    let jobs = node.store().jobs().list(&filter, limit).await?;
    let after = next_cursor(&jobs, limit, |job| job.id.clone());
    Ok(Json(JobPage { jobs: jobs.iter().map(JobDocument::from).collect(), after }))
}

/// Returns a job with its journals and outcomes.
///
/// The journals list each request without its body.
#[utoipa::path(get, path = "/v1/shops/{shop}/jobs/{job}", tag = "jobs", operation_id = "read_job",
    params(("shop" = ShopId, Path), ("job" = String, Path)),
    responses((status = 200, body = JobDetailDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path((shop, job)): Path<(ShopId, String)>,
) -> Result<Json<JobDetailDocument>, Problem> {
    Ok(Json((&jobs::get(node.store(), &shop, &job).await?).into()))
}

/// How to retry a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryBody {
    /// Whether to continue from the failed step or to restart with the current settings.
    from: RetryFrom,
}

/// Where a retried job begins.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum RetryFrom {
    /// At the failed step: its last request is sent again, even if it must not be sent twice.
    FailedStep,
    /// At the start, with a new journal: outcomes of earlier runs are not applied again, and the count of attempts of
    /// each request is kept.
    Start,
}

/// Retries a job as soon as its lane is free.
#[utoipa::path(post, path = "/v1/shops/{shop}/jobs/{job}/retry", tag = "jobs", operation_id = "retry_job",
    params(("shop" = ShopId, Path), ("job" = String, Path)), request_body = RetryBody,
    responses((status = 204), Problems))]
async fn retry(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, job)): Path<(ShopId, String)>,
    Body(RetryBody { from }): Body<RetryBody>,
) -> Result<StatusCode, Problem> {
    let mode = match from {
        RetryFrom::FailedStep => RetryMode::Resume,
        RetryFrom::Start => RetryMode::Restart,
    };
    jobs::retry(node.store(), &shop, &job, mode, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels a job.
///
/// It is cancelled at once if it does not run, otherwise between two of its steps.
#[utoipa::path(post, path = "/v1/shops/{shop}/jobs/{job}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("shop" = ShopId, Path), ("job" = String, Path)), responses((status = 204), Problems))]
async fn cancel(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, job)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    jobs::cancel(node.store(), &shop, &job, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
