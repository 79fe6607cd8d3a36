//! "variation": the KEYs of the chosen options, joined, are the SKU of a variant of the linked product. `R` and `L` are `R-L`.
//!
//! Only KEYs of shown attributes count. The vendor's document joins "the customer selected attributes", and a hidden attribute
//! is none that a customer selects. Attributes without a KEY are skipped, because the document says that an attribute "might"
//! have one. A part below a root has no say in the root's SKU.

use std::collections::BTreeMap;

use cartwright_plugin::exports::cart::Request;
use cartwright_plugin::types::{Attribute, Context, Item, Message, NewLine, SkuQuery, Target, Wanted};
use cartwright_plugin::{ContextExt, Error, invalid_input, message, rejected};

use super::simple;
use super::tree::Root;
use crate::settings;

/// SKUs and the KEYs that spelled them, so that two lists of KEYs with one SKU do not pass for each other.
#[derive(Default)]
pub(super) struct Spelled(BTreeMap<String, Vec<String>>);

/// The line of one root.
pub(super) fn line(
    context: &Context,
    request: &Request,
    wanted: &Wanted,
    root: &Root,
    spelled: &mut Spelled,
    warnings: &mut Vec<Message>,
) -> Result<NewLine, Error> {
    let item = &request.items[root.index];
    let path = || format!("items[{}].attributes", root.index);
    for required in settings::lines(context, "required-attributes") {
        if !item.attributes.iter().any(|attribute| is_named(attribute, required) && counted(attribute).is_some()) {
            let text = format!("The attribute {required:?} has no KEY, and the SKU needs it.");
            return Err(invalid_input(path(), message("key-required", text, &[("attribute", required)])));
        }
    }
    let keys = keys(context, item);
    if keys.is_empty() {
        let text = "No chosen option has a KEY, so there is no SKU. Give the options KEYs in Expivi, or name the field that holds them.";
        return Err(invalid_input(path(), message("keys-missing", text, &[])));
    }
    let separator = settings::sku_separator(context);
    if !separator.is_empty() {
        for key in keys.iter().filter(|key| key.contains(separator)) {
            let text =
                format!("The KEY {key:?} contains the separator {separator:?}: other KEYs may spell the same SKU.");
            warnings.push(message("key-holds-separator", text, &[("key", key)]));
        }
    }
    let sku = spell(context, &keys);
    let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
    if let Some(other) = spelled.0.insert(sku.clone(), keys.clone())
        && other != keys
    {
        let text =
            format!("The KEYs {keys:?} and {other:?} both spell the SKU {sku:?}. Change the separator or the KEYs.");
        return Err(invalid_input(path(), message("sku-ambiguous", text, &[("sku", &sku)])));
    }
    let ignore_case = settings::is_on(context, "ignore-case");
    let allowed = &request.association.allowed_skus;
    let is_same = |other: &String| if ignore_case { other.to_lowercase() == sku.to_lowercase() } else { *other == sku };
    if !allowed.is_empty() && !allowed.iter().any(is_same) {
        let text = format!("{sku} is not sold with this product.");
        return Err(rejected(message("sku-not-allowed", text, &[("sku", &sku)])));
    }
    // Another product of the same configuration is no variant of the linked one: the whole catalogue is looked through, and
    // only a single match is taken.
    let is_linked = item.vendor_product == request.association.vendor_product;
    let within_product = is_linked.then(|| request.association.shop_product.clone());
    let target = Target::Sku(SkuQuery { sku, within_product, ignore_case });
    Ok(super::line(request, wanted, target, simple::shown(request, root)))
}

fn spell(context: &Context, keys: &[&str]) -> String {
    let prefix = context.text("sku-prefix").unwrap_or_default();
    format!("{prefix}{}", keys.join(settings::sku_separator(context)))
}

/// The KEYs in the merchant's order, then those that it does not name in the configuration's order.
fn keys<'a>(context: &Context, item: &'a Item) -> Vec<&'a str> {
    let order = settings::lines(context, "attribute-order");
    let mut keys: Vec<(usize, &str)> = item
        .attributes
        .iter()
        .filter_map(|attribute| {
            let place = order.iter().position(|name| is_named(attribute, name)).unwrap_or(order.len());
            Some((place, counted(attribute)?))
        })
        .collect();
    keys.sort_by_key(|(place, _)| *place);
    keys.into_iter().map(|(_, key)| key).collect()
}

fn counted(attribute: &Attribute) -> Option<&str> {
    attribute.key.as_deref().filter(|key| !attribute.hidden && !key.is_empty())
}

fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute.id == name || attribute.name == name
}
