//! From configured items to changes of the cart. Pure: the same request gives the same plan.
//!
//! Each root of the configuration becomes one line or bundle; what hangs below a root belongs to it. The amounts are the host's:
//! every line is priced by the source that the merchant chose, and this module refuses what that source would sell too cheap.

mod bundle;
mod simple;
mod tree;
mod variation;

use cartwright_plugin::exports::cart::{Planned, Request};
use cartwright_plugin::types::{
    Bundle, BundleReplacement, Context, LinePrice, LineReplacement, Message, NewLine, Operation, PriceSource, SkuQuery,
    Target,
};
use cartwright_plugin::{Error, Place, catalog, invalid_input, message, places};

use crate::settings::OrderType;
use tree::Root;

/// Asks how many variants of the catalogue each query finds. Plans that need no question never call it.
type Found<'a> = &'a dyn Fn(&[SkuQuery]) -> Result<Vec<usize>, Error>;

/// What a root of the configuration becomes.
enum Piece {
    Line(NewLine),
    Bundle(Bundle),
    /// It cannot be bought.
    Refused(Message),
}

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

fn plan_with(context: &Context, request: Request, found: Found<'_>) -> Result<Planned, Error> {
    let Some(strategy) = OrderType::named(&request.strategy) else {
        let known = OrderType::ALL.map(OrderType::name).join(", ");
        let text = format!("{:?} is no strategy; known are {known}.", request.strategy);
        return Err(invalid_input("strategy", message("strategy-unknown", text, &[("known", &known)])));
    };
    if request.quantity == 0 {
        return Err(invalid_input("quantity", message("quantity-zero", "At least one piece is bought.", &[])));
    }
    let mut warnings = Vec::new();
    let mut pieces = Vec::new();
    if request.items.is_empty() {
        // The shop sells the product unconfigured too; there is nothing to choose a variant or parts by.
        if strategy != OrderType::Simple {
            let text = "This product is bought with a configuration only.";
            return Err(invalid_input("items", message("configuration-missing", text, &[])));
        }
        pieces.push((None, Piece::Line(line(&request, Target::LinkedProduct, None, None))));
    }
    let mut spelled = variation::Spelled::default();
    for root in tree::roots(&request.items)? {
        let piece = match tree::refusal(&request, strategy, &root) {
            Some(refusal) => Piece::Refused(refusal),
            None => match strategy {
                OrderType::Simple => Piece::Line(simple::line(&request, &root)),
                OrderType::Variation => variation::line(context, &request, &root, &mut spelled, &mut warnings)?,
                OrderType::Bundle => bundle::bundle(context, &request, &root, found, &mut warnings)?,
            },
        };
        pieces.push((Some(root.index), piece));
    }
    Ok(Planned { operations: operations(&request, pieces), warnings })
}

/// A line of a root, priced as the merchant chose.
fn line(
    request: &Request,
    target: Target,
    root: Option<&Root>,
    shown: Option<Vec<cartwright_plugin::types::LinePart>>,
) -> NewLine {
    NewLine {
        target,
        quantity: request.quantity,
        title: None,
        shown,
        price: LinePrice { source: request.price_from, adjustments: Vec::new() },
        item: root.and_then(|root| u32::try_from(root.index).ok()),
    }
}

/// Brings the pieces into the cart as it was asked. One piece that cannot be bought refuses the whole.
fn operations(request: &Request, pieces: Vec<(Option<usize>, Piece)>) -> Vec<Operation> {
    if let Some((_, Piece::Refused(message))) = pieces.iter().find(|(_, piece)| matches!(piece, Piece::Refused(_))) {
        return vec![Operation::Reject(message.clone())];
    }
    // An unconfigured product has no root, and takes the edited line's place like a first one.
    let roots: Vec<usize> = pieces.iter().map(|(root, _)| root.unwrap_or_default()).collect();
    let places = places(request, &roots);
    let put =
        pieces.into_iter().zip(places.roots).filter_map(|((_, piece), Place { key, quantity })| match (piece, key) {
            (Piece::Line(line), None) => Some(Operation::AddLine(line)),
            (Piece::Bundle(bundle), None) => Some(Operation::AddBundle(bundle)),
            (Piece::Line(line), Some(key)) => {
                Some(Operation::ReplaceLine(LineReplacement { key, line: NewLine { quantity, ..line } }))
            }
            (Piece::Bundle(mut bundle), Some(key)) => {
                bundle.parent.quantity = quantity;
                Some(Operation::ReplaceBundle(BundleReplacement { key, bundle }))
            }
            (Piece::Refused(_), _) => None,
        });
    put.chain(places.gone.into_iter().map(Operation::RemoveLine)).collect()
}

/// Is the platform's price of the line's product what is paid?
fn platform_prices(request: &Request) -> bool {
    request.price_from == PriceSource::Platform
}

#[cfg(test)]
mod tests;
