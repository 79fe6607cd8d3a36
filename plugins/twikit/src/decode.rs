//! Understanding what the page saved: our own envelope around Twikit's `ISaveData` and its latest `IVariation`
//! (JavaScript Plugin, "Adding a product to the cart" and "Initializing the script").
//!
//! `{"configurationId": 7, "previewUrl": "https://…", "variation": {"id": "…", "sku": "…", "price": 1.5} or null}`
//!
//! Everything in it came through a browser. The id is taken as it is, because Twikit refuses one that it does not know
//! (result code 10). The price is not looked at: the price is the platform's price of the SKU. The SKU is only ever one of
//! those that the merchant allowed for the product; Twikit has no call that would confirm it.

use cartwright_plugin::exports::configuration::Decoded;
use cartwright_plugin::types::{Association, Context, Item, Message, PriceSource, Thumbnail, Unverified};
use cartwright_plugin::{Error, invalid_input, message, not_configured, rejected};

use crate::json::{self, At, Problem};
use crate::settings::{Settings, UnverifiedSku};
use crate::urls::page_origin;

/// Decodes one configuration.
pub fn decode(context: &Context, association: &Association, raw: &[u8]) -> Result<Decoded, Error> {
    let json = json::parse(raw).map_err(wrong)?;
    let saved = read(&json).map_err(wrong)?;
    let (sku, unverified) = choose_sku(Settings(context).unverified_sku(), association, saved.sku)?;
    let mut warnings = Vec::new();
    if saved.preview.is_none() {
        // A missing picture is no reason to lose a sale.
        warnings.push(message("preview-missing", "Twikit gave no preview of this configuration.", &[]));
    }
    let item = Item {
        id: None,
        parent: None,
        // The envelope does not name the product: the page was started with the linked one's key, and no server says which
        // product a configuration is of before the order is completed, when its product key is compared.
        vendor_product: association.vendor_product.clone(),
        attributes: Vec::new(),
        articles: Vec::new(),
        sku: Some(sku),
        reference: Some(saved.configuration_id.to_string()),
        thumbnail: saved.preview.map(|url| Thumbnail::Url(url.to_owned())),
        state: format!("{{\"configurationId\":{}}}", saved.configuration_id),
        unverified,
        extra: Vec::new(),
    };
    Ok(Decoded { items: vec![item], price_from: PriceSource::Platform, warnings })
}

struct Saved<'a> {
    configuration_id: u64,
    preview: Option<&'a str>,
    sku: Option<&'a str>,
}

fn read(json: &json::Json) -> Result<Saved<'_>, Problem> {
    let root = At::root(json);
    root.only(&["configurationId", "previewUrl", "variation"])?;
    // ISaveData types it as a number; a text of digits would be another script than the documented one.
    let configuration_id = root.member("configurationId")?.id()?;
    let preview_at = root.member("previewUrl")?;
    let preview = preview_at.optional_text()?;
    if preview.is_some_and(|url| page_origin(url).is_none()) {
        return Err(preview_at.problem("must be an address that begins with https://"));
    }
    let variation = root.member("variation")?;
    // Twikit reports changes of the variation; whether it also reports the first one is not documented.
    let sku = if variation.is_null() { None } else { Some(variation.member("sku")?.text()?) };
    Ok(Saved { configuration_id, preview, sku })
}

fn choose_sku(
    policy: UnverifiedSku,
    association: &Association,
    named: Option<&str>,
) -> Result<(String, Option<Unverified>), Error> {
    let mut allowed: Vec<&str> =
        association.allowed_skus.iter().map(String::as_str).filter(|sku| !sku.is_empty()).collect();
    allowed.sort_unstable();
    allowed.dedup();
    let sku = match (allowed.as_slice(), named) {
        ([], _) => return Err(not_configured("allowed-skus", no_allowed_skus())),
        (_, Some(named)) if !allowed.contains(&named) => {
            let text = format!("The SKU \"{named}\" is not among those that this product may be sold as.");
            return Err(invalid_input("variation.sku", message("sku-not-allowed", text, &[("sku", named)])));
        }
        (_, Some(named)) => named,
        ([only], None) => only,
        (_, None) => {
            let text = "The configurator did not say which variant was chosen.";
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
            UnverifiedSku::Sell => Some(Unverified { reason, hold: false }),
            UnverifiedSku::Hold => Some(Unverified { reason, hold: true }),
            UnverifiedSku::Refuse => return Err(rejected(reason)),
        }
    };
    Ok((sku.to_owned(), unverified))
}

/// What a link without SKUs is told.
pub fn no_allowed_skus() -> Message {
    let text = "Name the SKUs that this product may be sold as: Twikit tells the SKU to the shopper's browser only.";
    message("no-allowed-skus", text, &[])
}

fn wrong(problem: Problem) -> Error {
    let text = format!("The saved configuration cannot be read: {problem}.");
    let path = problem.path.clone();
    invalid_input(problem.path, message("configuration-unreadable", text, &[("path", &path)]))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
