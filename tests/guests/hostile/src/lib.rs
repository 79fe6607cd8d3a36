//! A cart strategy that misbehaves. Each of its strategies is one misdeed; the host's tests select it by name and check
//! the host's reaction. `honest` behaves, so that a test can check the plugin after a misdeed. The locale selects an
//! invalid settings form: form.rs.
//!
//! It exports `choices`, which nothing calls: the host installs no pure strategy that imports what the misdeeds do.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod exhaust;
mod lie;
mod reach;

use cartwright_plugin::exports::choices;
use cartwright_plugin::{
    CallError, FieldExt, Strategy, export_strategy, field, internal, named_strategy, strategy::*, types::*,
};

type Misdeed = fn(PlanRequest) -> Result<PlanResult, CallError>;

/// Every misdeed by the name of its strategy.
const MISDEEDS: &[(&str, Misdeed)] = &[
    ("honest", |request| plan(line(&request))),
    ("honest-with-gift-wrap", lie::gift_wrap),
    ("honest-with-engraving", lie::engraving),
    ("honest-set", lie::set),
    // Exceeds limits: exhaust.rs.
    ("endless-loop", exhaust::endless_loop),
    ("endless-recursion", exhaust::endless_recursion),
    ("memory", exhaust::memory),
    ("huge-text", exhaust::huge_text),
    ("many-operations", exhaust::many_operations),
    ("many-warnings", exhaust::many_warnings),
    ("log-flood", exhaust::log_flood),
    ("log-huge-line", exhaust::log_huge_line),
    ("standard-error-flood", exhaust::standard_error_flood),
    ("catalog-flood", exhaust::catalog_flood),
    ("catalog-huge-query", exhaust::catalog_huge_query),
    ("catalog-too-many-queries", exhaust::catalog_too_many_queries),
    ("clock-spin", exhaust::clock_spin),
    ("thread-sleep", exhaust::thread_sleep),
    ("sleep-again-and-again", exhaust::sleep_again_and_again),
    ("trap", exhaust::trap),
    ("panic", exhaust::panic),
    ("long-trace", exhaust::long_trace),
    ("loud-refusal", exhaust::loud_refusal),
    ("exit", exhaust::exit),
    // Returns forbidden plans: lie.rs.
    ("reduction", lie::reduction),
    ("wrong-currency", lie::wrong_currency),
    ("wrong-scale", lie::wrong_scale),
    ("scale-too-large", lie::scale_too_large),
    ("other-price-source", lie::other_price_source),
    ("no-item", lie::no_item),
    ("item-out-of-range", lie::item_out_of_range),
    ("text-line", lie::text_line),
    ("text-parent", lie::text_parent),
    ("unknown-variant", lie::unknown_variant),
    ("unknown-sku", lie::unknown_sku),
    ("quantity-zero", lie::quantity_zero),
    ("quantity-largest", lie::quantity_largest),
    ("child-quantity-zero", lie::child_quantity_zero),
    ("quantity-overflow", lie::quantity_overflow),
    ("one-child-by-two-names", lie::one_child_by_two_names),
    ("as-marked", lie::as_marked),
    ("more-than-asked", lie::more_than_asked),
    ("unknown-entry", lie::unknown_entry),
    ("unknown-target", lie::unknown_target),
    ("line-beside", lie::line_beside),
    ("set-of-one", lie::set_of_one),
    ("must-be-understood", lie::must_be_understood),
    ("different-every-time", lie::different_every_time),
    ("markup", lie::markup),
    // Calls forbidden imports: reach.rs.
    ("another-host", reach::another_host),
    ("this-machine", reach::this_machine),
    ("undeclared-secret", reach::undeclared_secret),
    ("order-book", reach::order_book),
    ("blob", reach::blob),
    ("emit", reach::emit),
    ("sleep", reach::sleep),
    ("files", reach::files),
    ("environment", reach::environment),
    ("socket", reach::socket),
];

/// The strategy that fails with the context that it was given.
const TELL_CONTEXT: &str = "tell-context";

struct Hostile;

impl Strategy for Hostile {
    fn metadata() -> PluginMetadata {
        let strategies = MISDEEDS.iter().map(|(name, _)| *name).chain([TELL_CONTEXT]);
        let strategies = strategies.map(|name| named_strategy(name, name)).collect();
        PluginMetadata {
            strategies,
            grants: ["personal-data", "adjust-prices", "choose-price-source"].map(str::to_owned).to_vec(),
            ..cartwright_plugin::strategy_metadata(
                "hostile",
                "Hostile",
                env!("CARGO_PKG_VERSION"),
                "Cartwright's tests",
            )
        }
    }

    fn fields(_locale: String) -> Vec<Field> {
        vec![field("surcharge", "money", "Surcharge").per_product()]
    }

    fn plan(context: Context, request: PlanRequest) -> Result<PlanResult, CallError> {
        if request.strategy == TELL_CONTEXT {
            return Err(internal(format!("{:?} {:?} {:?}", context.shop, context.visitor, context.extra)));
        }
        match MISDEEDS.iter().find(|(name, _)| *name == request.strategy) {
            Some((_, misdeed)) => misdeed(request),
            None => Err(internal(format!("no misdeed is called {}", request.strategy))),
        }
    }
}

/// Returns the line that an honest strategy would plan.
fn line(request: &PlanRequest) -> PlannedLine {
    PlannedLine {
        target: Target::LinkedProduct,
        quantity: request.line_requests[0].quantity,
        title: None,
        display_fields: None,
        price: LinePrice { source: request.price_from, adjustments: Vec::new(), ignore_case: false },
        item: Some(0),
        extra: Vec::new(),
    }
}

/// Returns a plan with this line only.
fn plan(line: PlannedLine) -> Result<PlanResult, CallError> {
    entries(vec![PlanEntry::Line(line)])
}

fn entries(entries: Vec<PlanEntry>) -> Result<PlanResult, CallError> {
    Ok(PlanResult { entries, warnings: Vec::new(), extra: Vec::new() })
}

impl choices::Guest for Hostile {
    fn search(
        _context: Context,
        _field: String,
        _text: String,
        _cursor: Option<String>,
    ) -> Result<choices::ChoiceList, CallError> {
        Err(internal("no field has dynamic choices"))
    }
}

export_strategy!(Hostile, choices);
