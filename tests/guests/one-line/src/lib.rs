//! The smallest cart strategy: sells every configuration as one line of the linked product.

use cartwright_plugin::{Error, Strategy, export_strategy, strategy::*, types::*};

struct OneLine;

impl Strategy for OneLine {
    fn identity() -> Identity {
        cartwright_plugin::strategy_identity("one-line", "One line", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
    }

    fn plan(_context: Context, request: Request) -> Result<Planned, Error> {
        let line = |wanted: &Wanted| NewLine {
            target: Target::LinkedProduct,
            quantity: wanted.quantity,
            title: None,
            shown: None,
            price: LinePrice { source: request.price_from, adjustments: vec![], ignore_case: false },
            item: wanted.item,
            extra: Vec::new(),
        };
        let pieces = request.wanted.iter().map(|wanted| Piece::Line(line(wanted))).collect();
        Ok(Planned { pieces, warnings: vec![] })
    }
}

export_strategy!(OneLine);
