//! The budgets that the planning of one request has used.

use std::sync::atomic::{AtomicUsize, Ordering};

use cartwright_cart::budget::{Budget, OverBudget};

/// Budgets that the planning of one request has used.
#[derive(Debug, Default)]
pub(super) struct BudgetUsage {
    items: AtomicUsize,
    bytes: AtomicUsize,
}

impl BudgetUsage {
    pub(super) fn items(&self, items: usize) -> Result<(), OverBudget> {
        Budget::PlannedItems.check(self.items.fetch_add(items, Ordering::Relaxed).saturating_add(items))
    }

    /// Counts another configuration. Fails once a budget is used up.
    pub(super) fn begin(&self, bytes: usize) -> Result<(), OverBudget> {
        self.items(0)?;
        Budget::PlannedBytes.check(self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes))
    }
}
