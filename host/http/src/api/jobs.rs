//! Jobs: who is told of which event, how far that has come, and what a person decides.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cartwright::{AccountId, ShopId};
use cartwright_service::documents::{JobDetailDocument, JobDocument};
use cartwright_store::{JobFilter, JobStateKind, RetryMode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Backend;
use crate::extract::{Body, Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read)).routes(routes!(replay)).routes(routes!(cancel))
}

/// Which jobs are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of the order with this platform's id.
    order: Option<String>,
    /// Of this account.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// In this state; "stopped" and "needs-merchant" are those that wait for a person.
    state: Option<String>,
    /// Created after the job with this id.
    after: Option<String>,
    /// How many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Some jobs.
#[derive(Debug, Serialize, ToSchema)]
struct JobPage {
    /// The oldest first.
    jobs: Vec<JobDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's jobs.
#[utoipa::path(get, path = "/v1/shops/{shop}/jobs", tag = "jobs", operation_id = "list_jobs",
    params(("shop" = ShopId, Path), Which), responses((status = 200, body = JobPage), Problems))]
async fn list(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { order, account, state, after, limit }): Query<Which>,
) -> Result<Json<JobPage>, Problem> {
    let state = state.map(|state| state.parse::<JobStateKind>()).transpose();
    let state = state.map_err(|error| Problem::unprocessable("state", error.to_string()))?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::unprocessable("limit", format!("a page has 1 to {MAX_LIMIT} jobs")));
    }
    let filter = JobFilter { shop: Some(shop), order, account, state, after };
    let jobs = node.store().jobs().list(&filter, limit).await?;
    let full = u32::try_from(jobs.len()) == Ok(limit);
    let after = jobs.last().filter(|_| full).map(|last| last.id.clone());
    Ok(Json(JobPage { jobs: jobs.iter().map(JobDocument::from).collect(), after }))
}

/// A job with its journals, request by request without bodies, and what it said.
#[utoipa::path(get, path = "/v1/shops/{shop}/jobs/{job}", tag = "jobs", operation_id = "read_job",
    params(("shop" = ShopId, Path), ("job" = String, Path)),
    responses((status = 200, body = JobDetailDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path((shop, job)): Path<(ShopId, String)>,
) -> Result<Json<JobDetailDocument>, Problem> {
    let detail = of_shop(&node, &shop, &job).await?;
    Ok(Json((&detail).into()))
}

/// A job of another shop is none.
pub async fn of_shop(node: &Node, shop: &ShopId, job: &str) -> Result<cartwright_store::JobDetail, Problem> {
    let missing = || Problem::not_found(format!("job {job} not found"));
    let detail = node.store().jobs().get(job).await.map_err(|error| match error {
        cartwright_store::StoreError::NotFound { .. } => missing(),
        error => error.into(),
    })?;
    if detail.summary.shop == *shop { Ok(detail) } else { Err(missing()) }
}

/// How a job is run once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryBody {
    /// From where it is, or from the beginning on the present settings.
    from: RetryFrom,
}

/// From where.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum RetryFrom {
    /// What it asked last is asked anew; a request that must not be sent twice is sent again.
    FailedStep,
    /// A new journal: what it said before is not applied again, and how often each request was sent stays counted.
    Start,
}

/// Has a job run once more, as soon as its lane is free.
#[utoipa::path(post, path = "/v1/shops/{shop}/jobs/{job}/retry", tag = "jobs", operation_id = "replay_job",
    params(("shop" = ShopId, Path), ("job" = String, Path)), request_body = RetryBody,
    responses((status = 204), Problems))]
async fn replay(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, job)): Path<(ShopId, String)>,
    Body(RetryBody { from }): Body<RetryBody>,
) -> Result<StatusCode, Problem> {
    of_shop(&node, &shop, &job).await?;
    let how = match from {
        RetryFrom::FailedStep => RetryMode::Resume,
        RetryFrom::Start => RetryMode::Restart,
    };
    node.store().jobs().retry(&job, how, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels a job: at once when nothing runs, else between two of its steps.
#[utoipa::path(post, path = "/v1/shops/{shop}/jobs/{job}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("shop" = ShopId, Path), ("job" = String, Path)), responses((status = 204), Problems))]
async fn cancel(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, job)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    of_shop(&node, &shop, &job).await?;
    node.store().jobs().cancel(&job, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
