//! What plugins said, in a line.

use cartwright_service::documents::moment;
use cartwright_service::words::describe_outcome;
use cartwright_store::StoredOutcome;

pub(super) fn print(outcomes: &[StoredOutcome]) {
    for outcome in outcomes {
        let held = if outcome.needs_attention { ", waits for a person" } else { "" };
        print_line!("  {} {} {}{held}", moment(outcome.at), outcome.account, describe_outcome(&outcome.outcome));
    }
}
