//! The status of an order line, from the reports of the platform and of vendors.
//!
//! A status never goes back: webhooks arrive late and more than once, and a "ready" that arrives after "shipped" does
//! not change the line. It is listed in the order's timeline, marked as late. The platform's own status is different:
//! it is the merchant's decision, applies as soon as its version of the order is newer, and later reports of vendors
//! advance from there.

use std::collections::{BTreeMap, BTreeSet};

use cartwright::types::{Order, Outcome};

use crate::stored_outcome::StoredOutcome;

/// The progress of a line, in the contract's words; later variants are further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ProductionStage {
    Ordered,
    InProduction,
    Ready,
    Shipped,
    Cancelled,
}

impl ProductionStage {
    /// Returns `None` for a status that only a plugin defines.
    fn of(status: &str) -> Option<Self> {
        Some(match status {
            "ordered" => Self::Ordered,
            "in-production" => Self::InProduction,
            "ready" => Self::Ready,
            "shipped" => Self::Shipped,
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }
}

/// The progress of a line, and its status.
struct LineProgress<'a> {
    stage: ProductionStage,
    status: &'a str,
}

impl<'a> LineProgress<'a> {
    fn new(status: &'a str) -> Self {
        Self { stage: ProductionStage::of(status).unwrap_or(ProductionStage::Ordered), status }
    }

    /// Advances to a further status. Returns false if the status is late. A plugin's own status is as far as the line
    /// is, and never follows a final one.
    fn advance(&mut self, status: &'a str) -> bool {
        match ProductionStage::of(status) {
            Some(stage) if stage < self.stage => return false,
            None if self.stage >= ProductionStage::Shipped => return false,
            stage => self.stage = stage.unwrap_or(self.stage),
        }
        self.status = status;
        true
    }
}

/// The lines of an order, each with its status.
pub(crate) struct LineStatuses {
    by_line: BTreeMap<String, String>,
    late_outcomes: BTreeSet<i64>,
}

impl LineStatuses {
    /// Computes the statuses from `outcomes`, in the sequence of their arrival. Those before the platform set a line's
    /// status no longer count for that line; a platform without statuses always reports "ordered".
    pub(crate) fn new(order: &Order, outcomes: &[StoredOutcome]) -> Self {
        let mut lines: BTreeMap<&str, LineProgress<'_>> = BTreeMap::new();
        let mut set_by_platform = BTreeSet::new();
        for line in &order.lines {
            lines.insert(&line.id, LineProgress::new(&line.status));
            if line.status != "ordered" {
                set_by_platform.insert(line.id.as_str());
            }
        }
        let mut late_outcomes = BTreeSet::new();
        for said in outcomes {
            let Outcome::LineStatus(heard) = &said.outcome else { continue };
            let Some(progress) = lines.get_mut(heard.line.as_str()) else { continue };
            if said.order_version < order.version && set_by_platform.contains(heard.line.as_str()) {
                continue;
            }
            if !progress.advance(&heard.status) {
                late_outcomes.insert(said.id);
            }
        }
        let by_line = lines.into_iter().map(|(line, progress)| (line.to_owned(), progress.status.to_owned())).collect();
        Self { by_line, late_outcomes }
    }

    /// Returns whether this outcome reported a status that the line had already passed.
    pub(crate) fn is_late(&self, outcome: i64) -> bool {
        self.late_outcomes.contains(&outcome)
    }

    /// Sets the status of each line.
    pub(crate) fn apply(&self, order: &mut Order) {
        for line in &mut order.lines {
            if let Some(status) = self.by_line.get(&line.id) {
                line.status.clone_from(status);
            }
        }
    }

    /// Returns whether every line is shipped or cancelled.
    pub(crate) fn all_ended(&self) -> bool {
        self.by_line.values().all(|status| ProductionStage::of(status) >= Some(ProductionStage::Shipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [&str; 5] = ["ordered", "in-production", "ready", "shipped", "cancelled"];

    #[test]
    fn a_status_never_goes_back() {
        for (from_at, from) in STATUSES.into_iter().enumerate() {
            for (to_at, to) in STATUSES.into_iter().enumerate() {
                let mut progress = LineProgress::new(from);
                let (is_taken, expected) = if to_at < from_at { (false, from) } else { (true, to) };
                assert_eq!((progress.advance(to), progress.status), (is_taken, expected), "{from} → {to}");
            }
        }
    }

    #[test]
    fn a_plugins_own_word_hides_neither_what_was_reached_nor_the_end() {
        for (from, is_taken) in STATUSES.into_iter().zip([true, true, true, false, false]) {
            let mut progress = LineProgress::new(from);
            assert_eq!(progress.advance("engraving"), is_taken, "{from} → engraving");
            // Then the line advances from where it was.
            for to in STATUSES {
                let expected = ProductionStage::of(to) >= ProductionStage::of(from);
                let mut later = LineProgress { stage: progress.stage, status: progress.status };
                assert_eq!(later.advance(to), expected, "{from} → engraving → {to}");
            }
        }
    }
}
