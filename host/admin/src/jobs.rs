//! Jobs: the list, why a job stopped, its requests with their responses, and the actions retry and cancel.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cartwright::ShopId;
use cartwright::durable::ResponsibleParty;
use cartwright_http::access::{Backend, Integrator};
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::jobs;
use cartwright_service::words::{describe_entry, responsible_text};
use cartwright_store::{JobDetail, JobFilter, JobState, JobStateKind, JobSummary, RetryMode};
use maud::{Markup, html};
use serde::Deserialize;

use super::entry::again;
use super::failed_action::{FailedAction, of_button};
use super::layout::{csrf_field, page, problem_details};
use super::nav::badge;
use super::notice::{Notice, redirect_with_notice};
use super::paths::{account_path, job_path, order_path, shop_path};
use super::session::{AdminUser, FormData};
use super::text::{PAGE, PageOf, STATES, describe_outcome, event_text, next_cursor, state, state_text, time};

/// The states that are shown by default: jobs that need a person or are failing.
const ATTENTION_STATES: [JobStateKind; 3] =
    [JobStateKind::Stopped, JobStateKind::NeedsMerchant, JobStateKind::Retrying];

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/jobs", get(list).post(restart_listed))
        .route("/admin/shops/{shop}/jobs/{job}", get(read))
        .route("/admin/shops/{shop}/jobs/{job}/replay", post(retry))
        .route("/admin/shops/{shop}/jobs/{job}/cancel", post(cancel))
}

#[derive(Debug, Deserialize)]
struct Which {
    state: Option<String>,
    #[serde(flatten)]
    page: PageOf,
}

async fn list(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { state: chosen, page: listed }): Query<Which>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let unknown = |name: &str| Problem::not_found(format!("There is no job status {name:?}."));
    let chosen = match &chosen {
        Some(name) => Some(name.parse::<JobStateKind>().map_err(|_| unknown(name))?),
        None => None,
    };
    let selected: &[JobStateKind] = match &chosen {
        Some(chosen) => std::slice::from_ref(chosen),
        None => &ATTENTION_STATES,
    };
    let mut found = Vec::new();
    for state in selected {
        let filter = JobFilter {
            shop: Some(shop.clone()),
            state: Some(*state),
            after: listed.after.clone().filter(|_| chosen.is_some()),
            ..JobFilter::default()
        };
        found.push((*state, state_text(*state).0, node.store().jobs().list(&filter, PAGE).await?));
    }
    Ok(page(
        &visitor,
        "Vendor jobs",
        html! {
            p { "Each job sends one order event to one vendor. Jobs run and retry automatically." }
            nav.filters aria-label="Statuses" {
                a href=(shop_path(&shop, "/jobs")) aria-current=[chosen.is_none().then_some("page")] { "Needs attention" }
                @for state in STATES {
                    a href=(shop_path(&shop, &format!("/jobs?state={}", state.name()))) aria-current=[(chosen == Some(state)).then_some("page")] {
                        (state_text(state).0)
                        @match state {
                            JobStateKind::Stopped => (badge(visitor.open.failed_jobs)),
                            JobStateKind::NeedsMerchant => (badge(visitor.open.jobs_for_merchant)),
                            _ => {}
                        }
                    }
                }
            }
            @for (state, text, jobs) in &found {
                section {
                    h2 { (text) }
                    @if jobs.is_empty() { p { "No jobs" } } @else { (table(&shop, text, jobs, true)) }
                    @if *state == JobStateKind::Stopped && jobs.len() > 1 && visitor.caller.is_admin() {
                        (restart_form(&visitor, &shop, jobs))
                    }
                    (listed.draw(&shop_path(&shop, "/jobs"), &[("state", state.name())], next_cursor(jobs).map(|last| last.id.as_str())))
                }
            }
        },
    ))
}

/// Draws the form that restarts the listed jobs.
fn restart_form(visitor: &AdminUser, shop: &ShopId, jobs: &[JobSummary]) -> Markup {
    html! {
        form method="post" action=(shop_path(shop, "/jobs")) {
            (csrf_field(visitor))
            @for job in jobs { input type="hidden" name="job" value=(job.id); }
            button.quiet data-ask=(format!("Restart {} jobs from the beginning?", jobs.len())) {
                "Restart these " (jobs.len()) " jobs from the beginning"
            }
        }
    }
}

/// Draws a list of jobs, labelled `label`; `of_many` says whether they are of several orders.
pub(super) fn table<'a>(
    shop: &ShopId,
    label: &str,
    jobs: impl IntoIterator<Item = &'a JobSummary>,
    of_many: bool,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { th { "Event" } th { "Vendor" } @if of_many { th { "Order" } } th { "Status" } th { "Updated" } } }
                tbody {
                    @for job in jobs {
                        tr {
                            th scope="row" { a href=(job_path(shop, &job.id)) { (event_text(&job.kind)) } " " span.mark { (job.event) } }
                            td { (job.account) }
                            @if of_many { td { a href=(order_path(shop, &job.order)) { (job.order) } } }
                            td { (state(job)) }
                            td { (time(job.changed)) }
                        }
                    }
                }
            }
        }
    }
}

async fn read(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<Markup, Problem> {
    job_page(&visitor, &node, &shop, &id, FailedAction::default()).await
}

async fn job_page(
    visitor: &AdminUser,
    node: &Node,
    shop: &ShopId,
    id: &str,
    failed: FailedAction<'_>,
) -> Result<Markup, Problem> {
    let detail = jobs::get(node.store(), shop, id).await?;
    let job = &detail.summary;
    let plugin = node.host().plugin(&job.plugin);
    Ok(page(
        visitor,
        &format!("{} → {}, order {}", event_text(&job.kind), job.account, job.order),
        html! {
            dl {
                dt { "Status" } dd { (state(job)) ", since " (time(job.changed)) }
                dt { "Order" } dd { a href=(order_path(shop, &job.order)) { (job.order) } }
                dt { "Event" } dd { (event_text(&job.kind)) ", " (job.event) ", reported " (time(job.created)) }
                dt { "Plugin" } dd {
                    @match &plugin {
                        Some(plugin) => { (plugin.metadata().identity.name) " " (plugin.metadata().identity.version) },
                        None => { "Build not installed on this node: " code { (job.plugin) } },
                    }
                }
                dt { "ID" } dd { code { (job.id) } }
            }
            (state_reason(shop, &detail))
            @if visitor.caller.is_admin() { (actions(visitor, shop, &detail, failed)) }
            @else { p.help { "You need an admin key to retry or cancel this job." } }
            @for (number, records) in &detail.journals {
                section {
                    h2 { @if *number == 0 { "Steps" } @else { "Steps after restart " (number) } }
                    p.help { "Each request with its response. Bodies and secrets are not shown." }
                    div.scroll tabindex="0" role="region" aria-label=(format!("Steps {number}")) {
                        table {
                            thead { tr { th.number { "Step" } th { "Time" } th { "Action" } th { "Details" } } }
                            tbody {
                                @for (position, record) in records.iter().enumerate() {
                                    @let (what, about) = describe_entry(&record.entry);
                                    tr {
                                        td.number { (position) } td { (time(record.at)) } td { (what) } td.long { (about) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if !detail.outcomes.is_empty() {
                section {
                    h2 { "Updates" }
                    ol.timeline {
                        @for outcome in &detail.outcomes {
                            li { (time(outcome.at)) (describe_outcome(&outcome.outcome, &[])) @if outcome.needs_attention { " " span.state.bad { "Needs attention" } } }
                        }
                    }
                }
            }
        },
    ))
}

fn state_reason(shop: &ShopId, detail: &JobDetail) -> Markup {
    html! {
        @if let Some(reason) = &detail.reason {
            section.attention aria-labelledby="reason" {
                h2 #reason { "What went wrong" }
                p { (reason.text) }
                @if let Some(responsible) = reason.responsible { p { "Who can fix this: " (responsible_text(responsible)) "." } }
                @if matches!(reason.responsible, Some(ResponsibleParty::Merchant | ResponsibleParty::Operator)) {
                    p { a.button.quiet href=(account_path(shop, &detail.summary.account)) { "Open settings of " (detail.summary.account) } }
                }
            }
        }
    }
}

fn actions(visitor: &AdminUser, shop: &ShopId, detail: &JobDetail, failed: FailedAction<'_>) -> Markup {
    let here = job_path(shop, &detail.summary.id);
    let state = detail.summary.state;
    let is_resumable =
        matches!(state, JobState::Stopped | JobState::NeedsMerchant | JobState::Retrying { .. } | JobState::Cancelled);
    html! {
        (failed.beside("retry"))
        @if matches!(state, JobState::Running | JobState::Waiting) { p { "This job is running. You can retry it when it has stopped." } }
        @else { form.card method="post" action=(format!("{here}/replay")) {
            h2 { "Retry job" }
            (csrf_field(visitor))
            dl {
                @if is_resumable { dt { "Retry from failed step" } dd {
                    "Repeats only the last request. If it may already have reached the vendor, check there first to avoid a duplicate."
                } }
                dt { "Restart from the beginning" }
                dd { "Runs every step with the current settings. Updates already recorded are not repeated. Vendors that detect repeats won't create "
                    "duplicates." }
            }
            @if is_resumable {
                button name="from" value="here" data-ask="Retry from the failed step? The last request is sent again." { "Retry from failed step" } " "
            }
            button.quiet name="from" value="beginning" data-ask="Restart this job from the beginning?" { "Restart from the beginning" }
        } }
        (failed.beside("cancel"))
        @if !state.is_over() {
            form.card method="post" action=(format!("{here}/cancel")) {
                h2 { "Cancel job" }
                (csrf_field(visitor))
                p { "The current step finishes, later events continue. Anything already created at the vendor stays." }
                button.danger data-ask="Cancel this job? The vendor may never receive this event." { "Cancel job" }
            }
        }
    }
}

async fn retry(
    Backend(caller): Backend,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
    sent: FormData,
) -> Result<Response, Problem> {
    let mode = match sent.text("from") {
        "here" => RetryMode::Resume,
        "beginning" => RetryMode::Restart,
        _ => return Err(Problem::unprocessable("body", "from: choose \"here\" or \"beginning\"")),
    };
    match jobs::retry(node.store(), &shop, &id, mode, &caller.actor, node.now()).await {
        Ok(()) => Ok(redirect_with_notice(&job_path(&shop, &id), Notice::RetryQueued).into_response()),
        Err(error) => {
            let problem = of_button(error)?;
            let failed = FailedAction::new("retry", &problem);
            Ok(again(&problem, job_page(&visitor, &node, &shop, &id, failed).await?))
        }
    }
}

/// Restarts the listed jobs with the current settings. A job that cannot be restarted does not prevent the others.
async fn restart_listed(
    Backend(caller): Backend,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let mut failed: Vec<(&str, Problem)> = Vec::new();
    for id in sent.texts("job") {
        let queued = jobs::retry(node.store(), &shop, id, RetryMode::Restart, &caller.actor, node.now()).await;
        failed.extend(queued.err().map(|error| (id, error.into())));
    }
    if failed.is_empty() {
        return Ok(redirect_with_notice(&shop_path(&shop, "/jobs"), Notice::RetryQueued).into_response());
    }
    let content = html! {
        p { "The other jobs are queued. These were not restarted:" }
        @for (id, problem) in &failed {
            section.card { h2 { a href=(job_path(&shop, id)) { (id) } } (problem_details(problem)) }
        }
        p { a href=(shop_path(&shop, "/jobs")) { "Back to vendor jobs" } }
    };
    Ok(page(&visitor, "Some jobs could not be restarted", content).into_response())
}

async fn cancel(
    Backend(caller): Backend,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
    _: FormData,
) -> Result<Response, Problem> {
    match jobs::cancel(node.store(), &shop, &id, &caller.actor, node.now()).await {
        Ok(()) => Ok(redirect_with_notice(&job_path(&shop, &id), Notice::Cancelled).into_response()),
        Err(error) => {
            let problem = of_button(error)?;
            let failed = FailedAction::new("cancel", &problem);
            Ok(again(&problem, job_page(&visitor, &node, &shop, &id, failed).await?))
        }
    }
}
