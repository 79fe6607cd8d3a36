//! The smallest cart strategy: sells every configuration as one line of the product that it is linked to.

use cartwright_plugin::{Error, Strategy, export_strategy, strategy::*, types::*};

struct OneLine;

impl Strategy for OneLine {
    fn identity() -> Identity {
        cartwright_plugin::strategy_identity("one-line", "One line", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
    }

    fn plan(_context: Context, request: Request) -> Result<Planned, Error> {
        let line = NewLine {
            target: Target::LinkedProduct,
            quantity: request.quantity,
            title: None,
            shown: None,
            price: LinePrice { source: request.price_from, adjustments: vec![] },
            item: Some(0),
        };
        let operation = match request.intent {
            Intent::Add | Intent::Quotation => Operation::AddLine(line),
            Intent::Replace(key) => Operation::ReplaceLine(LineReplacement { key, line }),
        };
        Ok(Planned { operations: vec![operation], warnings: vec![] })
    }
}

export_strategy!(OneLine);
