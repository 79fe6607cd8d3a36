//! Decodes what the page saved: our own envelope around Twikit's `ISaveData` and its latest `IVariation` (JavaScript
//! Plugin, "Adding a product to the cart" and "Initializing the script").
//!
//! `{"configurationId": 7, "previewUrl": "https://…", "variation": {"id": "…", "sku": "…", "price": 1.5} or null}`
//!
//! All of it came through a browser. The id needs no check, because Twikit rejects an unknown one (result code 10). The
//! price is ignored: the platform's price of the SKU applies. The SKU must be one of those that the merchant allowed
//! for the product, because Twikit has no call that confirms it.

use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::json::{self, Code, Name, Problem, RawValue};
use cartwright_plugin::types::{Context, Item, Message, PriceSource, ProductLink, Thumbnail, UnverifiedData};
use cartwright_plugin::{CallError, invalid_input, message, normalize_url, not_configured, rejected};
use serde::Deserialize;

use crate::identifiers::ConfigurationId;
use crate::settings::{Settings, UnverifiedSku};
use crate::urls::page_origin;

/// The envelope that the page sends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Saved<'a> {
    configuration_id: ConfigurationId,
    /// Unparsed: an invalid preview must not prevent a sale.
    #[serde(borrow, default)]
    preview_url: Option<&'a RawValue>,
    /// Twikit reports changes of the variation; whether it also reports the first one is not documented.
    #[serde(borrow, default)]
    variation: Option<Variation<'a>>,
}

#[derive(Deserialize)]
struct Variation<'a> {
    #[serde(borrow)]
    sku: Code<'a>,
}

/// Decodes one configuration.
pub fn decode(context: &Context, product_link: &ProductLink, raw: &[u8]) -> Result<DecodeResult, CallError> {
    let saved: Saved<'_> = json::read(raw).map_err(invalid)?;
    let configuration = saved.configuration_id.0;
    let named = saved.variation.as_ref().map(|variation| variation.sku.as_str());
    let (sku, unverified) = choose_sku(Settings(context).unverified_sku(), product_link, named)?;
    let (thumbnail, warning) = preview(raw, saved.preview_url);
    let item = Item {
        sku: Some(sku),
        saved_id: Some(configuration.to_string()),
        thumbnail,
        state: format!("{{\"configurationId\":{configuration}}}"),
        unverified,
        // The envelope does not name the product: the page was started with the linked product's key. The first server
        // that names the product of a configuration is Twikit's at the completion of the order, when its product key is
        // compared.
        ..Item::new(&product_link.vendor_product)
    };
    // Twikit shows a price to the browser only, so the platform is the price source and there are no `prices`.
    Ok(DecodeResult {
        items: vec![item],
        price_from: PriceSource::Platform,
        warnings: warning.into_iter().collect(),
        extra: Vec::new(),
    })
}

/// Returns the picture, or a warning: a missing picture is no reason to lose a sale. A data URI is a picture within the
/// payload.
fn preview(raw: &[u8], url: Option<&RawValue>) -> (Option<Thumbnail>, Option<Message>) {
    let missing = || message("preview-missing", "Twikit returned no preview of this configuration.", &[]);
    let Some(url) = url.filter(|url| url.get() != "\"\"") else { return (None, Some(missing())) };
    let inner = url.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(inner) = inner.filter(|inner| inner.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"))) {
        return (json::range(raw, inner).map(Thumbnail::InPayload), None);
    }
    let text = json::read_part(url).ok().map(|Name(text)| text);
    let address = text.and_then(|text| normalize_url(&text)).filter(|address| page_origin(address).is_some());
    match address {
        Some(address) => (Some(Thumbnail::Url(address)), None),
        None => {
            let text =
                "The preview of this configuration is omitted: previewUrl is not a URL that begins with https://.";
            (None, Some(message("preview-unusable", text, &[])))
        }
    }
}

fn choose_sku(
    policy: UnverifiedSku,
    product_link: &ProductLink,
    named: Option<&str>,
) -> Result<(String, Option<UnverifiedData>), CallError> {
    let mut allowed: Vec<&str> =
        product_link.allowed_skus.iter().map(String::as_str).filter(|sku| !sku.is_empty()).collect();
    allowed.sort_unstable();
    allowed.dedup();
    let sku = match (allowed.as_slice(), named) {
        ([], _) => return Err(not_configured("allowed-skus", no_allowed_skus())),
        (_, Some(named)) if !allowed.contains(&named) => {
            let text = format!("The SKU \"{named}\" is not an allowed SKU of this product.");
            return Err(invalid_input("variation.sku", message("sku-not-allowed", text, &[("sku", named)])));
        }
        (_, Some(named)) => named,
        ([only], None) => only,
        (_, None) => {
            let text = "The configurator did not report the chosen variant.";
            return Err(invalid_input("variation", message("variation-missing", text, &[])));
        }
    };
    let unverified = if allowed.len() == 1 {
        None
    } else {
        let text =
            format!("The SKU \"{sku}\" was named by the shopper's browser; Twikit has no call that confirms it.");
        let reason = message("sku-unverified", text, &[("sku", sku)]);
        match policy {
            UnverifiedSku::Sell => Some(UnverifiedData { reason, hold: false }),
            UnverifiedSku::Hold => Some(UnverifiedData { reason, hold: true }),
            UnverifiedSku::Refuse => return Err(rejected(reason)),
        }
    };
    Ok((sku.to_owned(), unverified))
}

/// Returns the message about a link without allowed SKUs.
pub fn no_allowed_skus() -> Message {
    let text = "Enter the allowed SKUs of this product: Twikit sends the SKU to the shopper's browser only.";
    message("no-allowed-skus", text, &[])
}

fn invalid(problem: Problem) -> CallError {
    let text = format!("The saved configuration is invalid: {problem}.");
    let path = problem.path.clone();
    invalid_input(problem.path, message("configuration-unreadable", text, &[("path", &path)]))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
