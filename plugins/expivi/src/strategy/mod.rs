//! From configured items to lines and bundles. Pure: the same request gives the same plan.
//!
//! Each root of the configuration becomes one line or bundle; what hangs below a root belongs to it. The amounts are the host's:
//! every line is priced by the source that the merchant chose, and this module refuses what that source would sell too cheap.

mod bundle;
mod simple;
mod tree;
mod variation;

use cartwright_plugin::exports::cart::{Planned, Request};
use cartwright_plugin::types::{Context, LinePrice, NewLine, Piece, PriceSource, SkuQuery, Target, Wanted};
use cartwright_plugin::{Error, catalog, invalid_input, message, rejected};

use crate::settings::{self, OrderType};

/// Asks how many variants of the catalogue each query finds. Plans that need no question never call it.
type SkuLookup<'a> = &'a dyn Fn(&[SkuQuery]) -> Result<Vec<usize>, Error>;

/// Plans a request by one of the strategies "simple", "variation" and "bundle".
///
/// Only a bundle whose unknown SKUs are kept as text or left out asks the catalogue; every other plan reaches no import and can
/// be made natively.
///
/// # Errors
/// `invalid-input` for an unknown strategy and for items that the strategy cannot sell.
pub fn plan(context: &Context, request: Request) -> Result<Planned, Error> {
    plan_with(context, request, &|queries| Ok(catalog::resolve(queries)?.iter().map(Vec::len).collect()))
}

fn plan_with(context: &Context, request: Request, found: SkuLookup<'_>) -> Result<Planned, Error> {
    let Some(strategy) = OrderType::from_name(&request.strategy) else {
        let known = OrderType::ALL.map(OrderType::name).join(", ");
        let text = format!("{:?} is no strategy; known are {known}.", request.strategy);
        return Err(invalid_input("strategy", message("strategy-unknown", text, &[("known", &known)])));
    };
    let mut warnings = Vec::new();
    let mut pieces = Vec::with_capacity(request.wanted.len());
    // In the order of their indices.
    let roots = tree::roots(&request.items)?;
    let listed = request.association.other_vendor_products.iter().map(String::as_str).collect();
    let rules = variation::KeyRules::of(context, &request.association);
    let mut spelled = variation::SpelledSkus::default();
    for wanted in &request.wanted {
        if wanted.quantity == 0 {
            return Err(invalid_input("wanted", message("quantity-zero", "At least one piece is bought.", &[])));
        }
        let Some(item) = wanted.item else {
            // The shop sells the product unconfigured too; there is nothing to choose a variant or parts by.
            if strategy != OrderType::Simple {
                let text = "This product is bought with a configuration only.";
                return Err(invalid_input("items", message("configuration-missing", text, &[])));
            }
            pieces.push(Piece::Line(line(&request, wanted, Target::LinkedProduct, None)));
            continue;
        };
        let place = roots.binary_search_by_key(&(item as usize), |root| root.index);
        let Some(root) = place.ok().and_then(|place| roots.get(place)) else {
            let text = "Only a root of the configuration becomes a line.";
            return Err(invalid_input("wanted", message("not-a-root", text, &[])));
        };
        if let Some(refusal) = tree::refusal(&request, strategy, root, &listed) {
            return Err(rejected(refusal));
        }
        pieces.push(match strategy {
            OrderType::Simple => Piece::Line(simple::line(&request, wanted, root)),
            OrderType::Variation => {
                Piece::Line(variation::line(context, &rules, &request, wanted, root, &mut spelled, &mut warnings)?)
            }
            OrderType::Bundle => Piece::Bundle(bundle::bundle(context, &request, wanted, root, found, &mut warnings)?),
        });
    }
    let ignore_case = settings::is_enabled(context, "ignore-case");
    for piece in &mut pieces {
        match piece {
            Piece::Line(line) => line.price.ignore_case = ignore_case,
            Piece::Bundle(bundle) => bundle.parent.price.ignore_case = ignore_case,
            Piece::Other(_) => {}
        }
    }
    Ok(Planned { pieces, warnings })
}

/// A line of a root, priced as the merchant chose.
fn line(
    request: &Request,
    wanted: &Wanted,
    target: Target,
    shown: Option<Vec<cartwright_plugin::types::LinePart>>,
) -> NewLine {
    NewLine {
        target,
        quantity: wanted.quantity,
        title: None,
        shown,
        price: LinePrice { source: request.price_from, adjustments: Vec::new(), ignore_case: false },
        item: wanted.item,
        extra: Vec::new(),
    }
}

/// Is the platform's price of the line's product what is paid?
fn platform_prices(request: &Request) -> bool {
    request.price_from == PriceSource::Platform
}

#[cfg(test)]
mod tests;
