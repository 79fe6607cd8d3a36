//! Words for the states and events of orders and jobs, the same on every page. Names and addresses never appear in
//! them.

use cartwright::timestamp;
use std::time::SystemTime;

use cartwright::money;
use cartwright::production_state;
use cartwright::types::{Audience, Money, OrderLine, Outcome};
use cartwright_store::{JobState, JobStateKind, JobSummary};
use maud::{Markup, html};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::paths::segment;

/// Draws a time, to the second.
pub(super) fn time(at: SystemTime) -> Markup {
    time_of_text(&timestamp(at))
}

/// Draws a time that is given in RFC 3339.
pub(super) fn time_of_text(text: &str) -> Markup {
    let Ok(at) = text.parse::<jiff::Timestamp>() else { return html! { (text) } };
    let shown = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at) { (shown) } }
}

/// Draws an amount of money; the script formats it in the browser's language.
pub(super) fn amount(money: &Money) -> Markup {
    match money::exact(money) {
        Ok(exact) => html! { data.money value=(exact) data-currency=(money.currency) { (exact) " " (money.currency) } },
        Err(_) => html! { "Unreadable amount" },
    }
}

/// Draws a link to another site. An address that is not of the web is shown without a link.
pub(super) fn external_link(address: &str, text: &str) -> Markup {
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => {
            html! { a href=(url) rel="noopener noreferrer" { (text) } }
        }
        _ => html! { (text) " (" (address) ")" },
    }
}

/// The states of jobs, those that need a person first.
pub(super) const STATES: [JobStateKind; 9] = [
    JobStateKind::Stopped,
    JobStateKind::NeedsMerchant,
    JobStateKind::Retrying,
    JobStateKind::Sleeping,
    JobStateKind::Waiting,
    JobStateKind::Running,
    JobStateKind::Queued,
    JobStateKind::Done,
    JobStateKind::Cancelled,
];

/// Returns the words for a job's state, and its severity.
pub(super) fn state_text(state: JobStateKind) -> (&'static str, &'static str) {
    match state {
        JobStateKind::Stopped => ("Failed", "bad"),
        JobStateKind::NeedsMerchant => ("Action required", "bad"),
        JobStateKind::Retrying => ("Retrying", "warn"),
        JobStateKind::Sleeping => ("Scheduled", ""),
        JobStateKind::Waiting => ("Waiting for vendor", ""),
        JobStateKind::Running => ("Running", ""),
        JobStateKind::Queued => ("Queued", ""),
        JobStateKind::Done => ("Done", "good"),
        JobStateKind::Cancelled => ("Cancelled", ""),
    }
}

/// Draws a job's state, and when the job continues without a person.
pub(super) fn state(job: &JobSummary) -> Markup {
    let (text, class) = state_text(job.state.kind());
    html! {
        span.state.(class) { (text) }
        @match job.state {
            JobState::Sleeping { until } => { " until " (time(until)) },
            JobState::Retrying { counters, until } => {
                @let failed = counters.outages + counters.limit_breaches;
                " at " (time(until)) ", " (failed) @if failed == 1 { " failed attempt" } @else { " failed attempts" }
            },
            _ => {}
        }
        @if job.is_cancelling { ", cancelling" }
        @if let Some(holder) = &job.blocked_by { ", waiting for job " (holder) }
    }
}

/// Returns the words for an order event.
pub(super) fn event_text(kind: &str) -> &str {
    match kind {
        "placed" => "Order placed",
        "partly-paid" => "Partially paid",
        "paid" => "Paid",
        "released" => "Released to production",
        "changed" => "Order changed",
        "cancelled" => "Order cancelled",
        "refunded" => "Refunded",
        "fulfilled" => "Order fulfilled",
        "quote-requested" => "Quote requested",
        "forwarded" => "Forwarded by a webhook",
        "erase" => "Erasure requested",
        other => other,
    }
}

/// Returns the title of an order's item, or its id if the order is not at hand.
pub(super) fn item(lines: &[OrderLine], id: &str) -> String {
    let title = lines.iter().find(|line| line.id == id).map(|line| line.title.trim());
    title.filter(|title| !title.is_empty()).map_or_else(|| format!("Item {id}"), str::to_owned)
}

/// Returns the words for a part of an order: an item, or the whole order.
pub(super) fn part(lines: &[OrderLine], id: Option<&String>) -> String {
    id.map_or_else(|| "the order".to_owned(), |id| item(lines, id))
}

/// Returns the status of an item in words. A plugin's own word is shown unchanged.
pub(super) fn status(name: &str) -> &str {
    match name {
        "ordered" => "Ordered",
        "in-production" => "In production",
        "ready" => "Ready",
        "shipped" => "Shipped",
        "cancelled" => "Cancelled",
        other => other,
    }
}

/// Describes an update that a plugin recorded. `lines` gives items their titles.
pub(super) fn describe_outcome(outcome: &Outcome, lines: &[OrderLine]) -> Markup {
    html! {
        @match outcome {
            Outcome::Note(message) => (message.text),
            Outcome::VendorReference(named) => { "Vendor reference for " (part(lines, named.line.as_ref())) ": " code { (named.reference) } },
            Outcome::LineStatus(new) => { (item(lines, &new.line)) ": " strong { (status(&new.status)) } },
            Outcome::Production(production) => {
                "Production of " (part(lines, production.line.as_ref())) ": " (production_state(production.state))
                @if let Some(detail) = &production.detail { ", " (detail) }
                @if let Some(expected) = &production.expected { ", expected by " (time_of_text(expected)) }
            },
            Outcome::Shipment(shipment) => {
                "Shipped"
                @if let Some(carrier) = &shipment.carrier { " with " (carrier) }
                @if let Some(id) = &shipment.tracking_id { ", " (id) }
            },
            Outcome::Document(document) => {
                "File for " (part(lines, document.line.as_ref())) ": " (document.name) " (" (document.kind) ")"
                @if document.audience == Audience::Merchant { ", for the merchant only" }
            },
            Outcome::BillOfMaterials(bill) => { "Bill of materials confirmed for " (item(lines, &bill.line)) },
            Outcome::NeedsMerchant(message) => { strong { "Action required: " } (message.text) },
            Outcome::SetMemo(memo) => { "Memo " (memo.name) },
            Outcome::PushSettings(settings) => {
                "Settings pushed: " (settings.iter().map(|setting| setting.name.as_str()).collect::<Vec<_>>().join(", "))
            },
            Outcome::Forward(named) => { "Forwarded " (named.name) },
            Outcome::Other(named) => { "Update " (named.name) },
        }
    }
}

/// Number of rows on a page.
pub(super) const PAGE: u32 = 50;

/// Maximum number of earlier pages that the address of a page keeps, to go back to.
const MAX_EARLIER: usize = 20;

/// The page of a list that the address selects.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageOf {
    /// The last row of the previous page; `None` on the first page.
    pub(super) after: Option<String>,
    /// The values of `after` on the earlier pages, each behind a "/".
    #[serde(default)]
    back: String,
}

impl PageOf {
    /// Draws the links to the previous page and to the next one, which begins after `last`. `query` has the other
    /// parameters of the list's address, `here`.
    pub(super) fn draw(&self, here: &str, query: &[(&str, &str)], last: Option<&str>) -> Markup {
        let address = |after: &str, back: &str| {
            let mut pairs = form_urlencoded::Serializer::new(String::new());
            pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
            pairs.extend_pairs([("after", after), ("back", back)].iter().filter(|(_, value)| !value.is_empty()));
            format!("{here}?{}", pairs.finish())
        };
        let previous = self.after.as_ref().map(|_| {
            let (back, after) = self.back.rsplit_once('/').unwrap_or_default();
            address(&unescaped(after), back)
        });
        let next = last.map(|last| {
            let this = segment(self.after.as_deref().unwrap_or_default());
            let mut earlier: Vec<&str> = self.back.split('/').skip(1).collect();
            earlier.push(&this);
            let dropped = earlier.len().saturating_sub(MAX_EARLIER);
            let back: String = earlier.iter().skip(dropped).flat_map(|page| ["/", *page]).collect();
            address(last, &back)
        });
        html! {
            @if previous.is_some() || next.is_some() {
                nav.pages aria-label="Pages" {
                    @if let Some(previous) = previous { a.button.quiet rel="prev" href=(previous) { "Previous page" } }
                    @if let Some(next) = next { a.button.quiet rel="next" href=(next) { "Next page" } }
                }
            }
        }
    }
}

/// Parses the result of [`segment`].
fn unescaped(text: &str) -> String {
    form_urlencoded::parse(format!("x={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Returns the last row of a full page, which the next page continues after.
pub(super) fn next_cursor<T>(found: &[T]) -> Option<&T> {
    found.last().filter(|_| u32::try_from(found.len()) == Ok(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_somewhere_only_when_it_is_a_pages() {
        assert_eq!(
            external_link("https://track.example/1?a=\"b\"", "T-1").into_string(),
            "<a href=\"https://track.example/1?a=%22b%22\" rel=\"noopener noreferrer\">T-1</a>"
        );
        for bad in ["javascript:alert(1)", "data:text/html,x", "//track.example", "<script>"] {
            assert!(!external_link(bad, "T-1").into_string().contains("href"), "{bad}");
        }
    }

    #[test]
    fn a_list_leads_to_the_page_before_and_the_page_after() {
        let hrefs = |page: &PageOf, last: Option<&str>| -> Vec<String> {
            let rendered =
                page.draw("/orders", &[("search", "a&b"), ("none", "")], last).into_string().replace("&amp;", "&");
            rendered.split("href=\"").skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())).collect()
        };
        let first = PageOf::default();
        assert_eq!(hrefs(&first, None), Vec::<String>::new());
        assert_eq!(hrefs(&first, Some("A/1")), ["/orders?search=a%26b&after=A%2F1&back=%2F"]);
        let second = PageOf { after: Some("A/1".to_owned()), back: "/".to_owned() };
        assert_eq!(
            hrefs(&second, Some("B")),
            ["/orders?search=a%26b", "/orders?search=a%26b&after=B&back=%2F%2FA%252F1"]
        );
        let third = PageOf { after: Some("B".to_owned()), back: "//A%2F1".to_owned() };
        assert_eq!(hrefs(&third, None), ["/orders?search=a%26b&after=A%2F1&back=%2F"]);
    }

    #[test]
    fn a_time_is_readable_for_people_and_machines() {
        let shown = time_of_text("2026-01-01T12:00:00+02:00").into_string();
        assert_eq!(shown, "<time datetime=\"2026-01-01T10:00:00Z\">2026-01-01 10:00:00 UTC</time>");
        assert_eq!(time_of_text("<soon>").into_string(), "&lt;soon&gt;");
    }
}
