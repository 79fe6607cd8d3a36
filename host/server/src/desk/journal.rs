//! A journal, entry by entry: the requests and what came of them. Bodies are counted and not shown: they may hold what is personal.

use cartwright::describe;
use cartwright::durable::{Answer, Entry, Kept, KeptBody, Record};
use cartwright::types::{Repeat, Woken};

use super::said::said;
use crate::documents::moment;

/// What an entry is, and what is to be said about it.
pub(crate) fn shown(entry: &Entry) -> (String, String) {
    match entry {
        Entry::Began(began) => {
            let personal = if began.personal_data { "granted" } else { "not granted" };
            let revision = began.context.settings_revision;
            ("began".to_owned(), format!("with revision {revision} of the settings, personal data {personal}"))
        }
        Entry::Intent { call, repeat, attempt } => {
            let repeat = match repeat {
                Repeat::Never => "must not be sent twice",
                Repeat::Keyed => "the vendor knows it again",
                Repeat::Safe => "may be sent again",
            };
            (call.to_string(), format!("attempt {attempt}, {repeat}"))
        }
        Entry::Answered { answer: Answer::Given(response), .. } => {
            let body = match &response.body {
                KeptBody::Inline(kept) => size(kept),
                KeptBody::Stored(stored) => format!("{} bytes as {}", stored.length, stored.digest),
            };
            (format!("answered {}", response.status), format!("{body}, attempts {}", response.attempts))
        }
        Entry::Answered { answer: Answer::Failed(error), may_have_arrived } => {
            let arrived = if *may_have_arrived { "it may have arrived" } else { "it did not leave" };
            ("not answered".to_owned(), format!("{}; {arrived}", describe(error)))
        }
        Entry::Told { call, answer: Answer::Given(kept) } => (call.to_string(), size(kept)),
        Entry::Told { call, answer: Answer::Failed(error) } => (call.to_string(), describe(error)),
        Entry::Emitted { outcome, .. } => ("outcomes.emit".to_owned(), said(outcome)),
        Entry::Slept { call, until } => (call.to_string(), format!("until {}", moment(*until))),
        Entry::Woke { why } => {
            let why = match why {
                Woken::Elapsed => "its time had come",
                Woken::EventWaiting => "another event of the order waited",
                Woken::JobCancelled => "the job was cancelled",
            };
            ("woke".to_owned(), why.to_owned())
        }
        Entry::Retried { keep } => ("tried again".to_owned(), format!("from call {} on", keep + 1)),
    }
}

fn size(kept: &Kept) -> String {
    match kept {
        Kept::Text(text) => format!("{} bytes", text.len()),
        Kept::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Kept::Blob(digest) => digest.to_string(),
    }
}

pub(super) fn print(number: u32, records: &[Record]) {
    say!("journal {number}");
    for (position, record) in records.iter().enumerate() {
        let (what, about) = shown(&record.entry);
        say!("  {position:>3} {} {what}: {about}", moment(record.at));
    }
}
