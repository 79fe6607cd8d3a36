//! Formats an outcome as one line.

use cartwright::timestamp;
use cartwright_service::words::describe_outcome;
use cartwright_store::StoredOutcome;

pub(super) fn print(outcomes: &[StoredOutcome]) {
    for outcome in outcomes {
        let held = if outcome.needs_attention { ", needs attention" } else { "" };
        print_line!("  {} {} {}{held}", timestamp(outcome.at), outcome.account, describe_outcome(&outcome.outcome));
    }
}
