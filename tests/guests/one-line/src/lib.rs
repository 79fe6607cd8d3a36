//! The smallest cart strategy: sells every configuration as one line of the linked product.

use cartwright_plugin::{CallError, Strategy, export_strategy, strategy::*, types::*};

struct OneLine;

impl Strategy for OneLine {
    fn metadata() -> PluginMetadata {
        cartwright_plugin::strategy_metadata("one-line", "One line", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
    }

    fn plan(_context: Context, request: PlanRequest) -> Result<PlanResult, CallError> {
        let line = |line_request: &LineRequest| PlannedLine {
            target: Target::LinkedProduct,
            quantity: line_request.quantity,
            title: None,
            display_fields: None,
            price: LinePrice { source: request.price_from, adjustments: vec![], ignore_case: false },
            item: line_request.item,
            extra: Vec::new(),
        };
        let entries = request.line_requests.iter().map(|line_request| PlanEntry::Line(line(line_request))).collect();
        Ok(PlanResult { entries, warnings: vec![], extra: vec![] })
    }
}

export_strategy!(OneLine);
