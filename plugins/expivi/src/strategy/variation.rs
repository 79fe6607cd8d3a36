//! "variation": the KEYs of the chosen options, joined, are the SKU of a variant of the linked product. `R` and `L`
//! become `R-L`.
//!
//! Only KEYs of visible attributes count: the vendor's document joins "the customer selected attributes", and a
//! customer does not select a hidden one. Attributes without a KEY are skipped, because the document says that an
//! attribute "might" have one. Descendants of a root do not affect its SKU.

use std::collections::{BTreeMap, BTreeSet};

use cartwright_plugin::exports::cart::PlanRequest;
use cartwright_plugin::types::{
    Attribute, Context, Item, LineRequest, Message, PlannedLine, ProductLink, SkuQuery, Target,
};
use cartwright_plugin::{CallError, ContextExt, invalid_input, message, rejected};

use super::simple;
use super::tree::Root;
use crate::settings;

/// SKUs with the KEYs that they were joined from, so that two lists of KEYs with the same SKU are detected.
#[derive(Default)]
pub(super) struct SpelledSkus(BTreeMap<String, Vec<String>>);

/// The merchant's rules for KEYs.
pub(super) struct KeyRules<'a> {
    /// Names or ids of attributes, with their positions in the SKU.
    order: BTreeMap<&'a str, usize>,
    /// Names or ids of attributes that must have a KEY.
    required: Vec<&'a str>,
    /// Whether SKUs are compared without regard to case.
    ignore_case: bool,
    /// The SKUs that may be sold for the product, in lower case if case does not matter; empty for all.
    allowed: BTreeSet<String>,
}

impl<'a> KeyRules<'a> {
    /// Returns the rules of these settings and this link.
    pub(super) fn of(context: &'a Context, product_link: &ProductLink) -> Self {
        let names = settings::lines(context, "attribute-order");
        let order =
            names.into_iter().enumerate().rev().map(|(key_field_index, name)| (name, key_field_index)).collect();
        let required = settings::lines(context, "required-attributes");
        let mut rules = Self {
            order,
            required,
            ignore_case: settings::is_enabled(context, "ignore-case"),
            allowed: BTreeSet::new(),
        };
        rules.allowed = product_link.allowed_skus.iter().map(|sku| rules.normalize(sku)).collect();
        rules
    }

    fn normalize(&self, sku: &str) -> String {
        if self.ignore_case { sku.to_lowercase() } else { sku.to_owned() }
    }

    fn key_field_index(&self, attribute: &Attribute) -> usize {
        let places = [&attribute.id, &attribute.name].map(|name| self.order.get(name.as_str()).copied());
        places.into_iter().flatten().min().unwrap_or(usize::MAX)
    }
}

/// Returns the line of one root.
#[allow(clippy::indexing_slicing, reason = "roots are built from the items of the request")]
pub(super) fn line(
    context: &Context,
    rules: &KeyRules<'_>,
    request: &PlanRequest,
    line_request: &LineRequest,
    root: &Root,
    spelled: &mut SpelledSkus,
    warnings: &mut Vec<Message>,
) -> Result<PlannedLine, CallError> {
    let item = &request.items[root.index];
    let path = || format!("items[{}].attributes", root.index);
    let with_key = item.attributes.iter().filter(|attribute| counted_key(attribute).is_some());
    let named: BTreeSet<&str> = with_key.flat_map(|attribute| [attribute.id.as_str(), &attribute.name]).collect();
    for required in &rules.required {
        if !named.contains(required) {
            let text = format!("The attribute {required:?} has no KEY, and the SKU needs it.");
            return Err(invalid_input(path(), message("key-required", text, &[("attribute", required)])));
        }
    }
    let keys = keys(rules, item);
    if keys.is_empty() {
        let text = "No chosen option has a KEY, so there is no SKU. Give the options KEYs in Expivi, or name the field that holds them.";
        return Err(invalid_input(path(), message("keys-missing", text, &[])));
    }
    let separator = settings::sku_separator(context);
    if !separator.is_empty() {
        for key in keys.iter().filter(|key| key.contains(separator)) {
            let text =
                format!("The KEY {key:?} contains the separator {separator:?}: other KEYs may form the same SKU.");
            warnings.push(message("key-holds-separator", text, &[("key", key)]));
        }
    }
    let sku = spell(context, &keys);
    let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
    if let Some(other) = spelled.0.insert(sku.clone(), keys.clone())
        && other != keys
    {
        let text =
            format!("The KEYs {keys:?} and {other:?} both form the SKU {sku:?}. Change the separator or the KEYs.");
        return Err(invalid_input(path(), message("sku-ambiguous", text, &[("sku", &sku)])));
    }
    if !rules.allowed.is_empty() && !rules.allowed.contains(&rules.normalize(&sku)) {
        let text = format!("{sku} is not sold with this product.");
        return Err(rejected(message("sku-not-allowed", text, &[("sku", &sku)])));
    }
    // Another product of the same configuration is not a variant of the linked one: the query covers the whole catalog,
    // and only a single match is accepted.
    let is_linked = item.vendor_product == request.link.vendor_product;
    let within_product = is_linked.then(|| request.link.shop_product.clone());
    let target = Target::Sku(SkuQuery { sku, within_product, ignore_case: rules.ignore_case });
    Ok(super::line(request, line_request, target, simple::display_fields(request, root)))
}

fn spell(context: &Context, keys: &[&str]) -> String {
    let prefix = context.text("sku-prefix").unwrap_or_default();
    format!("{prefix}{}", keys.join(settings::sku_separator(context)))
}

/// Returns the KEYs in the merchant's order, then the others in the configuration's order.
fn keys<'a>(rules: &KeyRules<'_>, item: &'a Item) -> Vec<&'a str> {
    let with_place = |attribute: &'a Attribute| Some((rules.key_field_index(attribute), counted_key(attribute)?));
    let mut keys: Vec<(usize, &str)> = item.attributes.iter().filter_map(with_place).collect();
    keys.sort_by_key(|(key_field_index, _)| *key_field_index);
    keys.into_iter().map(|(_, key)| key).collect()
}

fn counted_key(attribute: &Attribute) -> Option<&str> {
    attribute.key.as_deref().filter(|key| !attribute.hidden && !key.is_empty())
}
