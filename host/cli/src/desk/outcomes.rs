//! Formats an outcome as one line.

use cartwright_service::documents::rfc3339;
use cartwright_service::words::describe_outcome;
use cartwright_store::StoredOutcome;

pub(super) fn print(outcomes: &[StoredOutcome]) {
    for outcome in outcomes {
        let held = if outcome.needs_attention { ", needs attention" } else { "" };
        print_line!("  {} {} {}{held}", rfc3339(outcome.at), outcome.account, describe_outcome(&outcome.outcome));
    }
}
