//! Plans lines and bundles from configured items. Pure: equal requests yield equal plans.
//!
//! Each root of the configuration becomes one line or bundle, which includes its descendants. The host calculates the
//! amounts: every line is priced by the source that the merchant chose, and this module rejects what that source would
//! sell too cheaply.

mod bundle;
mod simple;
mod tree;
mod variation;

use cartwright_plugin::exports::cart::{PlanRequest, PlanResult};
use cartwright_plugin::types::{
    Context, LinePrice, LineRequest, PlanEntry, PlannedLine, PriceSource, SkuQuery, Target,
};
use cartwright_plugin::{CallError, catalog, invalid_input, message, rejected};

use crate::settings::{self, OrderType};

/// Returns the number of variants that each query finds. Only called by plans that need it.
type SkuLookup<'a> = &'a dyn Fn(&[SkuQuery]) -> Result<Vec<usize>, CallError>;

/// Plans a request with one of the strategies "simple", "variation" and "bundle".
///
/// Only a bundle whose unknown SKUs become text or are omitted queries the catalog; every other plan uses no import and
/// also runs natively.
///
/// # Errors
/// `invalid-input` for an unknown strategy and for items that the strategy cannot sell.
pub fn plan(context: &Context, request: PlanRequest) -> Result<PlanResult, CallError> {
    plan_with(context, request, &|queries| Ok(catalog::resolve(queries)?.iter().map(Vec::len).collect()))
}

fn plan_with(context: &Context, request: PlanRequest, found: SkuLookup<'_>) -> Result<PlanResult, CallError> {
    let Some(strategy) = OrderType::from_name(&request.strategy) else {
        let known = OrderType::ALL.map(OrderType::name).join(", ");
        let text = format!("unknown strategy {:?}; known strategies: {known}.", request.strategy);
        return Err(invalid_input("strategy", message("strategy-unknown", text, &[("known", &known)])));
    };
    let mut warnings = Vec::new();
    let mut entries = Vec::with_capacity(request.line_requests.len());
    // In the order of their indices.
    let roots = tree::roots(&request.items)?;
    let listed = request.link.additional_vendor_products.iter().map(String::as_str).collect();
    let rules = variation::KeyRules::of(context, &request.link);
    let mut spelled = variation::SpelledSkus::default();
    for line_request in &request.line_requests {
        if line_request.quantity == 0 {
            return Err(invalid_input(
                "line-requests",
                message("quantity-zero", "The quantity must be at least one.", &[]),
            ));
        }
        let Some(item) = line_request.item else {
            // The shop sells the product unconfigured too, without choices for a variant or parts.
            if strategy != OrderType::Simple {
                let text = "This product is only sold with a configuration.";
                return Err(invalid_input("items", message("configuration-missing", text, &[])));
            }
            entries.push(PlanEntry::Line(line(&request, line_request, Target::LinkedProduct, None)));
            continue;
        };
        let place = roots.binary_search_by_key(&(item as usize), |root| root.index);
        let Some(root) = place.ok().and_then(|place| roots.get(place)) else {
            let text = "Only a root of the configuration can become a line.";
            return Err(invalid_input("line-requests", message("not-a-root", text, &[])));
        };
        if let Some(refusal) = tree::refusal(&request, strategy, root, &listed) {
            return Err(rejected(refusal));
        }
        entries.push(match strategy {
            OrderType::Simple => PlanEntry::Line(simple::line(&request, line_request, root)),
            OrderType::Variation => PlanEntry::Line(variation::line(
                context,
                &rules,
                &request,
                line_request,
                root,
                &mut spelled,
                &mut warnings,
            )?),
            OrderType::Bundle => {
                PlanEntry::Bundle(bundle::bundle(context, &request, line_request, root, found, &mut warnings)?)
            }
        });
    }
    let ignore_case = settings::is_enabled(context, "ignore-case");
    for entry in &mut entries {
        match entry {
            PlanEntry::Line(line) => line.price.ignore_case = ignore_case,
            PlanEntry::Bundle(bundle) => bundle.parent.price.ignore_case = ignore_case,
            PlanEntry::Set(_) | PlanEntry::Other(_) => {}
        }
    }
    Ok(PlanResult { entries, warnings, extra: Vec::new() })
}

/// Returns a line of a root with the merchant's price source.
fn line(
    request: &PlanRequest,
    line_request: &LineRequest,
    target: Target,
    display_fields: Option<Vec<cartwright_plugin::types::DisplayField>>,
) -> PlannedLine {
    PlannedLine {
        target,
        quantity: line_request.quantity,
        title: None,
        display_fields,
        price: LinePrice { source: request.price_from, adjustments: Vec::new(), ignore_case: false },
        item: line_request.item,
        extra: Vec::new(),
    }
}

/// Returns whether the line is sold at the platform's price of its product.
fn platform_prices(request: &PlanRequest) -> bool {
    request.price_from == PriceSource::Platform
}

#[cfg(test)]
mod tests;
