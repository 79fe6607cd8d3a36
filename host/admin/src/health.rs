//! How plugins do: calls, errors and how long they took in the last hour, and what guests logged.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use cartwright::ShopId;
use cartwright_http::access::{Admin, Integrator};
use cartwright_http::extract::{Path, Query};
use cartwright_http::observed::{CallCount, LoggedLine, Severity};
use cartwright_http::{Node, Problem};
use maud::{Markup, html};
use serde::Deserialize;

use super::chart::{chart, span};
use super::frame::{page, shop_path};
use super::visitor::Visitor;
use super::words::written;

/// From which level on lines are shown.
const LEVELS: [(Severity, &str, &str); 5] = [
    (Severity::Debug, "debug", "All levels"),
    (Severity::Info, "info", "Info and above"),
    (Severity::Output, "output", "Standard output and above"),
    (Severity::Warn, "warn", "Warnings and above"),
    (Severity::Error, "error", "Errors"),
];
const OF_THIS_NODE: &str = "Data from this node only, since it started.";

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/admin/health", get(all)).route("/admin/shops/{shop}/health", get(of_shop))
}

async fn all(_: Admin, visitor: Visitor, State(node): State<Node>) -> Markup {
    let mut series = node.observed().calls().series(None, None, node.now());
    // Stable: where most failed first, else by plugin and shop.
    series.sort_by_key(|series| std::cmp::Reverse(series.hour.errors));
    page(
        &visitor,
        "Node health",
        html! {
            p { "Plugin calls in the last hour, most errors first. " (OF_THIS_NODE) }
            @if series.is_empty() { p { "No plugin calls in the last hour" } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Plugin calls" {
                    table {
                        thead {
                            tr {
                                th { "Plugin" } th { "Shop" } th.number { "Calls" } th.number { "Errors" } th.number { "Median (p50)" }
                                th.number { "p95" }
                            }
                        }
                        tbody {
                            @for series in &series {
                                tr {
                                    th scope="row" { (series.plugin) }
                                    td { a href=(shop_path(&series.shop, "/health")) { (series.shop) } }
                                    td.number { (series.hour.calls) }
                                    td.number { @if series.hour.errors > 0 { span.state.bad { (series.hour.errors) } } @else { "0" } }
                                    td.number { (span(series.hour.p50_ms)) } td.number { (span(series.hour.p95_ms)) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

#[derive(Debug, Deserialize)]
struct Which {
    level: Option<Severity>,
}

async fn of_shop(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { level }): Query<Which>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let (now, level) = (node.now(), level.unwrap_or(Severity::Info));
    let series = node.observed().calls().series(None, Some(&shop), now);
    let lines = node.observed().lines().of_shop(&shop, None, level, now);
    Ok(page(
        &visitor,
        "Performance",
        html! {
            p { "Plugin calls of this shop. " (OF_THIS_NODE) }
            @if series.is_empty() { p { "No plugin calls in the last hour" } }
            @for series in &series {
                section.card {
                    h2 { (series.plugin) }
                    p { (summary(&series.hour)) }
                    (chart(series.plugin.as_str(), &series.minutes, now))
                }
            }
            (logs(&shop, &lines, level))
        },
    ))
}

fn summary(hour: &CallCount) -> Markup {
    html! {
        "Last hour: " (hour.calls) @if hour.calls == 1 { " call, " } @else { " calls, " }
        @if hour.errors == 0 { span.state.good { "no errors" } }
        @else { span.state.bad { (hour.errors) @if hour.errors == 1 { " error" } @else { " errors" } } }
        " · p50 " (span(hour.p50_ms)) " · p95 " (span(hour.p95_ms))
    }
}

fn logs(shop: &ShopId, lines: &[LoggedLine], level: Severity) -> Markup {
    html! {
        section {
            h2 #logs { "Plugin logs" }
            form.row method="get" action=(shop_path(shop, "/health")) {
                div.field {
                    label for="level" { "Level" }
                    select #level name="level" {
                        @for (known, name, text) in LEVELS { option value=(name) selected[known == level] { (text) } }
                    }
                }
                button.quiet { "Show" }
            }
            @if lines.is_empty() { p { "No entries in the last 24 hours" } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Plugin logs" {
                    table {
                        thead { tr { th { "Time" } th { "Plugin" } th { "Level" } th { "Hook" } th { "Message" } } }
                        tbody {
                            @for line in lines {
                                tr {
                                    td { (written(&line.at)) }
                                    td { (line.plugin) @if let Some(account) = &line.account { " " span.mark { (account) } } }
                                    td { (name(line.level)) }
                                    td { (line.hook) }
                                    td.long { pre { (line.text) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn name(level: Severity) -> &'static str {
    LEVELS.into_iter().find(|(known, ..)| *known == level).map_or("", |(_, name, _)| name)
}
