//! The smallest cart strategy: sells every configuration as one line of the linked product.

use cartwright_plugin::{CallError, Strategy, export_strategy, strategy::*, types::*};

struct OneLine;

impl Strategy for OneLine {
    fn identity() -> Identity {
        cartwright_plugin::strategy_identity("one-line", "One line", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
    }

    fn plan(_context: Context, request: Request) -> Result<Planned, CallError> {
        let line = |line_request: &Wanted| NewLine {
            target: Target::LinkedProduct,
            quantity: line_request.quantity,
            title: None,
            shown: None,
            price: LinePrice { source: request.price_from, adjustments: vec![], ignore_case: false },
            item: line_request.item,
            extra: Vec::new(),
        };
        let pieces = request.wanted.iter().map(|line_request| Piece::Line(line(line_request))).collect();
        Ok(Planned { pieces, warnings: vec![] })
    }
}

export_strategy!(OneLine);
