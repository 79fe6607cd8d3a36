//! Jobs: which wait for a person, why one stands, what it asked and was answered, and what a person decides about it.

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use cartwright::ShopId;
use cartwright_store::{JobDetail, JobFilter, JobSummary, Replay};
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Done, at, page, segment, token};
use super::orders;
use super::visitor::{Sent, Visitor, done};
use super::words::{PAGE, STATES, happened, last_of_page, next, said, state, when};
use crate::desk::{shown, who_mends};
use crate::serve::access::{Backend, Integrator};
use crate::serve::api::jobs::of_shop;
use crate::serve::extract::{Path, Query};
use crate::serve::node::Node;
use crate::serve::problem::Problem;

/// The states that are shown unless one is chosen: those that need somebody, and those in trouble.
const FIRST: usize = 3;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/jobs", get(list))
        .route("/admin/shops/{shop}/jobs/{job}", get(read))
        .route("/admin/shops/{shop}/jobs/{job}/replay", post(replay))
        .route("/admin/shops/{shop}/jobs/{job}/cancel", post(cancel))
}

/// The page of a job.
pub(super) fn path(shop: &ShopId, job: &str) -> String {
    at(shop, &format!("/jobs/{}", segment(job)))
}

#[derive(Debug, Deserialize)]
struct Which {
    state: Option<String>,
    after: Option<String>,
}

async fn list(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { state: chosen, after }): Query<Which>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let chosen = chosen.as_deref();
    if let Some(unknown) = chosen.filter(|chosen| STATES.iter().all(|(name, ..)| name != chosen)) {
        return Err(Problem::not_found(format!("no job is in the state {unknown:?}")));
    }
    let wanted = STATES.iter().enumerate().filter(|(place, (name, ..))| match chosen {
        Some(chosen) => *name == chosen,
        None => *place < FIRST,
    });
    let mut found = Vec::new();
    for (_, (name, text, _)) in wanted {
        let filter = JobFilter {
            shop: Some(shop.clone()),
            state: Some((*name).to_owned()),
            after: after.clone().filter(|_| chosen.is_some()),
            ..JobFilter::default()
        };
        found.push((*name, *text, node.store().jobs(&filter, PAGE).await?));
    }
    Ok(page(
        &visitor,
        Some(&shop),
        "Jobs",
        html! {
            p { "A job tells one account of one event of an order. It runs by itself, and waits by itself for a vendor that is away." }
            nav aria-label="States" {
                a href=(at(&shop, "/jobs")) aria-current=[chosen.is_none().then_some("page")] { "In trouble" }
                @for (name, text, _) in STATES {
                    a href=(at(&shop, &format!("/jobs?state={name}"))) aria-current=[(chosen == Some(name)).then_some("page")] { (text) }
                }
            }
            @for (name, text, jobs) in &found {
                section {
                    h2 { (text) }
                    @if jobs.is_empty() { p { "None." } } @else { (table(&shop, jobs)) }
                    (next("Later ones", last_of_page(jobs).map(|last| {
                        at(&shop, &format!("/jobs?state={name}&after={}", segment(&last.id)))
                    })))
                }
            }
        },
    ))
}

/// Jobs in a list.
pub(super) fn table<'a>(shop: &ShopId, jobs: impl IntoIterator<Item = &'a JobSummary>) -> Markup {
    html! {
        table {
            thead { tr { th { "Account" } th { "Event" } th { "Order" } th { "State" } th { "Changed" } } }
            tbody {
                @for job in jobs {
                    tr {
                        th scope="row" { a href=(path(shop, &job.id)) { (job.account) } }
                        td { (happened(&job.kind)) " " span.mark { (job.event) } }
                        td { a href=(orders::path(shop, &job.order)) { (job.order) } }
                        td { (state(job)) }
                        td { (when(job.changed)) }
                    }
                }
            }
        }
    }
}

async fn read(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<Markup, Problem> {
    let detail = of_shop(&node, &shop, &id).await?;
    let job = &detail.summary;
    let runs = node.host().plugin(&job.plugin);
    Ok(page(
        &visitor,
        Some(&shop),
        &format!("Job of {}", job.account),
        html! {
            dl {
                dt { "State" } dd { (state(job)) ", since " (when(job.changed)) }
                dt { "Order" } dd { a href=(orders::path(&shop, &job.order)) { (job.order) } }
                dt { "Event" } dd { (happened(&job.kind)) ", " (job.event) ", reported " (when(job.created)) }
                dt { "Plugin" } dd {
                    @match &runs {
                        Some(plugin) => { (plugin.about().identity.name) " " (plugin.about().identity.version) },
                        None => { "a component that is not here: " code { (job.plugin) } },
                    }
                }
                dt { "Id" } dd { code { (job.id) } }
            }
            (why(&detail))
            @if visitor.caller.is_admin() { (decide(&visitor, &shop, &detail)) }
            @for (number, records) in &detail.journals {
                section {
                    h2 { @if *number == 0 { "What it did" } @else { "What it did from the beginning again (" (number) ")" } }
                    p.help { "Each request with its answer. Bodies and secrets are not shown." }
                    div.scroll tabindex="0" role="region" aria-label=(format!("Journal {number}")) {
                        table {
                            thead { tr { th.number { "Step" } th { "When" } th { "What" } th { "About" } } }
                            tbody {
                                @for (position, record) in records.iter().enumerate() {
                                    @let (what, about) = shown(&record.entry);
                                    tr {
                                        td.number { (position) } td { (when(record.at)) } td { (what) } td { (about) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if !detail.outcomes.is_empty() {
                section {
                    h2 { "What it said" }
                    ol.timeline {
                        @for outcome in &detail.outcomes {
                            li { (when(outcome.at)) (said(&outcome.outcome)) @if outcome.held { ", waits for a person" } }
                        }
                    }
                }
            }
        },
    ))
}

fn why(detail: &JobDetail) -> Markup {
    html! {
        @if let Some(why) = &detail.why {
            section.attention aria-labelledby="why" {
                h2 #why { "Why" }
                p { (why.text) }
                @if let Some(who) = why.who { p { "Who can mend it: " (who_mends(who)) "." } }
            }
        }
    }
}

fn decide(visitor: &Visitor, shop: &ShopId, detail: &JobDetail) -> Markup {
    let here = path(shop, &detail.summary.id);
    let (over, state) = (detail.summary.state.is_over(), detail.summary.state.name());
    let goes_on = matches!(state, "stopped" | "needs-merchant" | "retrying" | "cancelled");
    html! {
        @if matches!(state, "running" | "waiting") { p { "A worker has it: it can be run once more when that is over." } }
        @else { form.card method="post" action=(format!("{here}/replay")) {
            h2 { "Run it once more" }
            (token(visitor))
            dl {
                @if goes_on { dt { "From here" } dd {
                    "What it asked last is asked anew, everything before stands. A request that must not be sent twice is sent again: "
                    "look at the vendor's first whether it arrived."
                } }
                dt { "From the beginning" }
                dd { "It does everything anew on the present settings. What it said before is not said twice, and vendors that know a request "
                    "again make nothing twice." }
            }
            @if goes_on {
                button name="from" value="here" data-ask="Run this job on from here? What it asked last is sent again." { "From here" } " "
            }
            button.quiet name="from" value="beginning" data-ask="Run this job from the beginning?" { "From the beginning" }
        } }
        @if !over {
            form.card method="post" action=(format!("{here}/cancel")) {
                h2 { "Cancel it" }
                (token(visitor))
                p { "It ends after the step that it is in, and the order's later events go on. What the vendor has made already stays there." }
                button.danger data-ask="Cancel this job? The vendor may never be told of this event." { "Cancel the job" }
            }
        }
    }
}

async fn replay(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
    sent: Sent,
) -> Result<Redirect, Problem> {
    of_shop(&node, &shop, &id).await?;
    let how = match sent.text("from") {
        "here" => Replay::GoOn,
        "beginning" => Replay::Restart,
        _ => return Err(Problem::unprocessable("body", "from: choose \"here\" or \"beginning\"")),
    };
    node.store().replay(&id, how, &caller.who, node.now()).await?;
    Ok(done(&path(&shop, &id), Done::Replayed))
}

async fn cancel(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
    _: Sent,
) -> Result<Redirect, Problem> {
    of_shop(&node, &shop, &id).await?;
    node.store().cancel(&id, &caller.who, node.now()).await?;
    Ok(done(&path(&shop, &id), Done::Cancelled))
}
