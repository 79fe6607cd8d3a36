//! The feed: a list of pages at the setting `api-url`.

use cartwright_plugin::exports::feed::{FeedPage, Guest};
use cartwright_plugin::types::Context;
use cartwright_plugin::{CallError, ContextExt, http, internal, message, not_configured};

use crate::Webhooks;
use crate::rest::token;

impl Guest for Webhooks {
    /// Returns the page after a cursor: a line with its own cursor, a line that says "more" or "end", and a line of
    /// words for each report.
    fn poll(context: Context, cursor: Option<String>) -> Result<FeedPage, CallError> {
        let missing = || not_configured("api-url", message("api-url-missing", "Enter the address.", &[]));
        let url = context.text("api-url").ok_or_else(missing)?;
        let request = match &cursor {
            Some(cursor) => http::HttpRequest::get(format!("{url}/events?after={cursor}")),
            None => http::HttpRequest::get(format!("{url}/events")),
        };
        let response = request.bearer(token()).send()?.require_success("the list of events")?;
        let text = String::from_utf8_lossy(response.bytes()).into_owned();
        let mut lines = text.lines();
        let (Some(cursor), Some(end)) = (lines.next(), lines.next()) else {
            return Err(internal("a page has a cursor and an end"));
        };
        let reports = lines.flat_map(|line| crate::reports(&line.split_whitespace().collect::<Vec<_>>()));
        Ok(FeedPage { reports: reports.collect(), cursor: cursor.to_owned(), more: end == "more", extra: Vec::new() })
    }
}
