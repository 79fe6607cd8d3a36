//! Charts of the calls of the last hour. A table beside each chart has the same data, for screen readers.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use cartwright_http::observability::{CallMinute, CallStatistics};
use maud::{Markup, html};

use super::text::time_of_text;

/// Number of minutes in a chart, the current minute last.
const MINUTES: i64 = 60;
/// Height of a chart, and width of a minute, in units of the drawing.
const HEIGHT: u32 = 100;
const WIDTH: i64 = 10;
/// Minimum height of a bar, so that a minute with few calls stays visible.
const MIN_BAR_HEIGHT: u32 = 2;

/// Draws a chart of these minutes: bars for the calls with the errors at the bottom, and a line for their duration.
pub(super) fn chart(name: &str, minutes: &[CallMinute], now: SystemTime) -> Markup {
    let max_calls = minutes.iter().map(|minute| minute.count.calls).max().unwrap_or_default();
    let max_p95_ms = minutes.iter().map(|minute| minute.count.p95_ms).max().unwrap_or_default();
    let rendered: Vec<(i64, &CallStatistics)> =
        minutes.iter().filter_map(|minute| Some((place(&minute.at, now)?, &minute.count))).collect();
    let mut latency = String::new();
    for (place, count) in &rendered {
        let from_top = HEIGHT - height(count.p95_ms, max_p95_ms);
        // Writing to a string does not fail.
        let _ = write!(latency, "M{} {from_top}h{WIDTH}", place * WIDTH);
    }
    html! {
        figure {
            svg.chart viewBox=(format!("0 0 {} {HEIGHT}", MINUTES * WIDTH)) preserveAspectRatio="none" role="img"
                aria-label=(format!("Calls of {name} in the last hour by minute; the same data is in the table below")) {
                @for (place, count) in &rendered {
                    @let (calls, errors) = (height(count.calls, max_calls), height(count.errors, max_calls));
                    rect.calls x=(place * WIDTH + 1) y=(HEIGHT - calls) width=(WIDTH - 2) height=(calls) {}
                    @if errors > 0 { rect.errors x=(place * WIDTH + 1) y=(HEIGHT - errors) width=(WIDTH - 2) height=(errors) {} }
                }
                path.latency d=(latency) {}
            }
            figcaption.help {
                "Last hour, now at the right. Bars: calls per minute, at most " (max_calls) "; errors at the bottom. Line: p95, at most " (span(max_p95_ms)) "."
            }
        }
        details {
            summary { "Show as table" }
            div.scroll tabindex="0" role="region" aria-label=(format!("Calls of {name} by minute")) {
                table {
                    thead {
                        tr {
                            th { "Minute" } th.number { "Calls" } th.number { "Errors" } th.number { "Median (p50)" }
                            th.number { "p95" }
                        }
                    }
                    tbody {
                        @for CallMinute { at, count } in minutes.iter().rev() {
                            tr {
                                th scope="row" { (time_of_text(at)) }
                                td.number { (count.calls) } td.number { (count.errors) }
                                td.number { (span(count.p50_ms)) } td.number { (span(count.p95_ms)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the position of a minute from the left, or `None` outside of the hour.
fn place(at: &str, now: SystemTime) -> Option<i64> {
    let minute = |at: jiff::Timestamp| at.as_second().div_euclid(60);
    let ago = minute(jiff::Timestamp::try_from(now).ok()?) - minute(at.parse().ok()?);
    (0..MINUTES).contains(&ago).then_some(MINUTES - 1 - ago)
}

fn height(part: u32, whole: u32) -> u32 {
    match (u64::from(part) * u64::from(HEIGHT)).checked_div(u64::from(whole)) {
        Some(height) if part > 0 => u32::try_from(height).unwrap_or(HEIGHT).clamp(MIN_BAR_HEIGHT, HEIGHT),
        _ => 0,
    }
}

/// Formats a duration for people.
pub(super) fn span(milliseconds: u32) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        _ => format!("{:?}", Duration::from_millis(milliseconds.into())).replacen('s', " s", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(at: &str, calls: u32, errors: u32, p95_ms: u32) -> CallMinute {
        CallMinute { at: at.to_owned(), count: CallStatistics { calls, errors, p50_ms: 1, p95_ms } }
    }

    #[test]
    fn each_minute_stands_in_its_place_as_high_as_it_was() {
        let now = SystemTime::from("2026-01-01T12:59:30Z".parse::<jiff::Timestamp>().expect("a time"));
        let minutes = [
            minute("2026-01-01T11:59:00Z", 7, 0, 1),
            minute("2026-01-01T12:00:00Z", 10, 5, 200),
            minute("2026-01-01T12:59:00Z", 1000, 1, 2000),
        ];
        let rendered = chart("expivi", &minutes, now).into_string();
        // An hour ago is outside of the chart.
        assert_eq!(rendered.matches("class=\"calls\"").count(), 2);
        for part in [
            // The bar of the first minute is a hundredth of the last one's height, so it gets the minimum height.
            "<rect class=\"calls\" x=\"1\" y=\"98\" width=\"8\" height=\"2\"></rect>",
            "<rect class=\"errors\" x=\"1\" y=\"98\" width=\"8\" height=\"2\"></rect>",
            "<rect class=\"calls\" x=\"591\" y=\"0\" width=\"8\" height=\"100\"></rect>",
            "d=\"M0 90h10M590 0h10\"",
            "at most 1000",
            "at most 2 s",
            "<td class=\"number\">200 ms</td>",
        ] {
            assert!(rendered.contains(part), "{part}: {rendered}");
        }
    }

    #[test]
    fn an_hour_without_calls_is_empty() {
        let rendered = chart("expivi", &[], SystemTime::UNIX_EPOCH).into_string();
        assert!(!rendered.contains("<rect") && rendered.contains("at most 0;"), "{rendered}");
    }
}
