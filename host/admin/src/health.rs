//! Calls, errors and durations of plugins in the last hour, and the plugin log.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use cartwright::ShopId;
use cartwright_http::access::{Admin, Integrator};
use cartwright_http::extract::{Path, Query};
use cartwright_http::observability::{CallStatistics, LoggedLine, Severity};
use cartwright_http::{Node, Problem};
use maud::{Markup, html};
use serde::Deserialize;

use super::chart::{chart, span};
use super::layout::page;
use super::paths::shop_path;
use super::session::AdminUser;
use super::text::time_of_text;

/// The minimum severities to choose from.
const LEVELS: [(Severity, &str, &str); 5] = [
    (Severity::Debug, "debug", "All levels"),
    (Severity::Info, "info", "Info and above"),
    (Severity::Output, "output", "Standard output and above"),
    (Severity::Warn, "warn", "Warnings and above"),
    (Severity::Error, "error", "Errors"),
];
const NODE_ONLY_NOTE: &str = "Data from this node only, since it started.";

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/admin/health", get(all)).route("/admin/shops/{shop}/health", get(shop_page))
}

async fn all(_: Admin, visitor: AdminUser, State(node): State<Node>) -> Markup {
    let mut series = node.observability().calls().series(None, None, node.now());
    // A stable sort: most errors first, else by plugin and shop.
    series.sort_by_key(|series| std::cmp::Reverse(series.last_hour.errors));
    page(
        &visitor,
        "Node health",
        html! {
            p { "Plugin calls in the last hour, most errors first. " (NODE_ONLY_NOTE) }
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
                                    td.number { (series.last_hour.calls) }
                                    td.number { @if series.last_hour.errors > 0 { span.state.bad { (series.last_hour.errors) } } @else { "0" } }
                                    td.number { (span(series.last_hour.p50_ms)) } td.number { (span(series.last_hour.p95_ms)) }
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

async fn shop_page(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { level }): Query<Which>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let (now, level) = (node.now(), level.unwrap_or(Severity::Info));
    let series = node.observability().calls().series(None, Some(&shop), now);
    let lines = node.observability().lines().of_shop(&shop, None, level, now);
    Ok(page(
        &visitor,
        "Performance",
        html! {
            p { "Plugin calls of this shop. " (NODE_ONLY_NOTE) }
            @if series.is_empty() { p { "No plugin calls in the last hour" } }
            @for series in &series {
                section.card {
                    h2 { (series.plugin) }
                    p { (summary(&series.last_hour)) }
                    (chart(series.plugin.as_str(), &series.minutes, now))
                }
            }
            (logs(&shop, &lines, level))
        },
    ))
}

fn summary(last_hour: &CallStatistics) -> Markup {
    html! {
        "Last hour: " (last_hour.calls) @if last_hour.calls == 1 { " call, " } @else { " calls, " }
        @if last_hour.errors == 0 { span.state.good { "no errors" } }
        @else { span.state.bad { (last_hour.errors) @if last_hour.errors == 1 { " error" } @else { " errors" } } }
        " · p50 " (span(last_hour.p50_ms)) " · p95 " (span(last_hour.p95_ms))
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
                                    td { (time_of_text(&line.at)) }
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
