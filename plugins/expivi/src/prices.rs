//! Expivi's price of a configured product.
//!
//! Sends `POST price_manager/price/{catalogue_id}` with the product as it was saved, without its picture and the
//! browser's price. The response's `price` has neither currency nor tax basis; both are settings and never assumed.
//! Each configured product is priced separately, a replica like its original, and equal products are requested once.

use std::collections::BTreeMap;

use cartwright_plugin::json::RawValue;
use cartwright_plugin::types::{Context, Item, Money, Price, ProductLink};
use cartwright_plugin::{CallError, ContextExt, invalid_input, message, not_configured, rejected};
use serde::Deserialize;

use crate::api::{Api, Call, parse_response, reading_token};
use crate::decimal::Decimal;
use crate::host::Host;
use crate::product_tree;
use crate::raw;
use crate::saved::{self, whole};
use crate::settings;

/// Maximum number of decimals of an amount of money in the contract.
const MAX_SCALE: u8 = 9;
/// Minimum number of digits of an inexact number that was printed from a float.
const FLOAT_DIGITS: u32 = 15;

/// Returns Expivi's price of each item. `raw` is the digest of the saved configuration.
#[allow(clippy::indexing_slicing, reason = "the tree and both lists of products are of the same payload")]
pub(crate) fn price_items<H: Host>(
    host: &mut H,
    context: &Context,
    product_link: &ProductLink,
    raw: &str,
    items: &[Item],
) -> Result<Vec<Option<Price>>, CallError> {
    let terms = Terms::of(context)?;
    let key_fields = settings::key_fields(context);
    // Expivi prices a product by all that was saved of it, which the items do not have.
    let raw = host.read(raw)?;
    let saved = saved::read(&raw, &key_fields)?;
    let family = product_tree::link(&saved, whole(&product_link.vendor_product))?;
    let products = raw::raw_products(&raw)?;
    let same = items.len() == family.order.len()
        && items
            .iter()
            .zip(&family.order)
            .all(|(item, place)| item.vendor_product == saved.products[*place].catalogue_id.to_string());
    if !same {
        let text = "The items differ from those that the configuration decodes to.";
        return Err(invalid_input("items", message("items-differ", text, &[])));
    }
    // A replica has its original's content, which is stored once; each content is requested once.
    let mut known: BTreeMap<usize, Money> = BTreeMap::new();
    let mut prices_by_request: BTreeMap<(u64, String), Money> = BTreeMap::new();
    let mut prices = Vec::with_capacity(items.len());
    for place in &family.order {
        let content_source = family.content_source[*place];
        let amount = match known.get(&content_source) {
            Some(amount) => amount.clone(),
            None => {
                let product = raw::without(products[content_source], &["thumbnail", "thumbnail_url", "price"])?;
                let question =
                    (saved.products[content_source].catalogue_id.0, format!("{{\"configured_product\":{product}}}"));
                let amount = match prices_by_request.get(&question) {
                    Some(amount) => amount.clone(),
                    None => {
                        let amount = terms.amount(&ask(host, context, question.0, question.1.clone())?, context)?;
                        prices_by_request.insert(question, amount.clone());
                        amount
                    }
                };
                known.insert(content_source, amount.clone());
                amount
            }
        };
        prices.push(Some(Price::new(amount, terms.tax)));
    }
    Ok(prices)
}

fn ask<H: Host>(host: &mut H, context: &Context, catalogue_id: u64, body: String) -> Result<Vec<u8>, CallError> {
    let mut call = Call::post(format!("price_manager/price/{catalogue_id}"), body, reading_token(context));
    if let Some(country) = country(context) {
        call = call.header("Locale-Country", country);
    }
    Api { host, context }.call(call)
}

/// Returns the country in lower case, as Expivi expects it: the merchant's setting, else the delivery country.
fn country(context: &Context) -> Option<String> {
    if !settings::is_enabled(context, "send-country") {
        return None;
    }
    let country = context.text("locale-country").or(context.country())?;
    (country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic())).then(|| country.to_ascii_lowercase())
}

/// The merchant's settings for what Expivi's responses do not state.
struct Terms {
    currency: String,
    scale: u8,
    tax: cartwright_plugin::types::TaxBasis,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    price: Option<&'a RawValue>,
}

impl Terms {
    fn of(context: &Context) -> Result<Self, CallError> {
        let missing = |name: &str| {
            let text =
                "Expivi's response does not state this, and it is never assumed. Set it to sell at Expivi's prices.";
            not_configured(name, message("price-needs", text, &[("setting", name)]))
        };
        let scale = context
            .integer("price-scale")
            .and_then(|scale| u8::try_from(scale).ok())
            .filter(|scale| *scale <= MAX_SCALE);
        Ok(Self {
            currency: context.text("price-currency").ok_or_else(|| missing("price-currency"))?.to_owned(),
            scale: scale.ok_or_else(|| missing("price-scale"))?,
            tax: settings::price_tax(context).ok_or_else(|| missing("price-tax"))?,
        })
    }

    /// Returns the amount of a response with all its decimals, because the host multiplies it and rounds each line
    /// once. Float noise as in 12.340000000000001 is rounded off; other amounts with too many digits are rejected.
    fn amount(&self, reply: &[u8], context: &Context) -> Result<Money, CallError> {
        let unusable = || rejected(message("price-unusable", "Expivi's response has no usable price.", &[]));
        let reply: Reply<'_> = parse_response(reply).map_err(|_| unusable())?;
        // A number with or without quotes.
        let text = reply.price.ok_or_else(unusable)?.get().trim_matches('"');
        let price = Decimal::parse(text).filter(|price| !price.is_negative()).ok_or_else(unusable)?;
        let exact = price.decimals().max(self.scale.into());
        let scale = match u8::try_from(exact) {
            Ok(scale) if scale <= MAX_SCALE => scale,
            _ if price.digits() >= FLOAT_DIGITS => MAX_SCALE,
            _ => return Err(unusable()),
        };
        let minor = price.minor(scale, context.shop.rounding).ok_or_else(unusable)?;
        Ok(money(minor, scale, self))
    }
}

/// Returns the amount without trailing zeros beyond the decimals that the merchant configured.
fn money(mut minor: i64, mut scale: u8, terms: &Terms) -> Money {
    while scale > terms.scale && minor % 10 == 0 {
        (minor, scale) = (minor / 10, scale - 1);
    }
    Money { minor, scale, currency: terms.currency.clone() }
}

#[cfg(test)]
mod tests;
