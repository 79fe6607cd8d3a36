//! The settings form.

use cartwright_plugin::exports::settings::Field;
use cartwright_plugin::{FieldExt, field, heading, select};

/// The integration's id at Twikit, "as shown in your site's configuration" (Rest API, Create Order).
pub const INTEGRATION_ID: &str = "integration-id";
/// The secret that is appended to every payload before hashing (Rest API, Create Order: hash).
pub const PAYLOAD_SECRET: &str = "payload-secret";
/// The URL of the REST API.
pub const API_URL: &str = "api-url";
/// The URL of the published script (Webhooks, Website Publication: scriptUrl).
pub const SCRIPT_URL: &str = "script-url";
/// The published products (Webhooks, Website Publication: products).
pub const PRODUCT_KEYS: &str = "product-keys";
/// Whether a link to an unpublished product is an error.
pub const STRICT_CHECK: &str = "strict-check";
/// The origin of preview pictures.
pub const PREVIEW_URL: &str = "preview-url";
/// The selector of the viewer's element.
pub const VIEWER_SELECTOR: &str = "viewer-selector";
/// The selector of the parameters' element.
pub const OPTIONS_SELECTOR: &str = "options-selector";
/// The localization for Twikit (JavaScript Plugin, Initializing the script: locale).
pub const LOCALE: &str = "locale";
/// Whether Twikit gets the page's language instead.
pub const SHOP_LOCALE: &str = "shop-locale";
/// The background of preview pictures (JavaScript Plugin: previewBackgroundColor).
pub const PREVIEW_BACKGROUND: &str = "preview-background-color";
/// The action: add to the cart, or request a quote.
pub const ACTION: &str = "action";
/// The page after the action.
pub const SUCCESS_PAGE: &str = "success-page";
/// How to handle a SKU that only the browser names.
pub const UNVERIFIED_SKU: &str = "unverified-sku";
/// Whether Twikit produces, or the shop fetches the production file.
pub const FULFILLMENT: &str = "fulfilment";
/// The recipient of the delivery.
pub const DELIVERY: &str = "delivery";
/// The recipient of the bill.
pub const BILLING: &str = "billing";

/// The API's documented base URL (Rest API).
pub const DEFAULT_API_URL: &str = "https://custom-integration-publisher.twikit.com/api/v1";

/// Returns the form. Its texts are in English in every locale, like Twikit's own names, which the merchant must
/// recognize.
pub fn fields() -> Vec<Field> {
    let mut fields = account();
    fields.extend(products());
    fields.extend(page());
    fields.extend(production());
    fields
}

fn account() -> Vec<Field> {
    vec![
        heading("heading-account", "Twikit account"),
        field(INTEGRATION_ID, "text", "Integration ID")
            .help("In the publisher, in your site's configuration.")
            .required()
            .pattern("[A-Za-z0-9._~-]+"),
        field(PAYLOAD_SECRET, "secret", "Payload secret")
            .help(
                "In the publisher, in your site's configuration. It is only hashed with what is sent, never sent itself.",
            )
            // A hash with the secret proves the sender, so the secret is bound to the API's host.
            .outbound_host("setting:api-url")
            .secret_use("md5-suffix")
            .required(),
        field(API_URL, "url", "API URL")
            .help("The documented address, unless Twikit gave you another one.")
            .default_text(DEFAULT_API_URL),
    ]
}

fn products() -> Vec<Field> {
    vec![
        heading("heading-products", "Products and script"),
        field(SCRIPT_URL, "url", "Script URL")
            .help(
                "From the publisher; every publication has a new one. Twikit's Website Publication webhook keeps it up to date.",
            )
            .required()
            .shown_on_page()
            .vendor_can_change()
            .pattern(r"https://.*|http://(127\.0\.0\.1|localhost)(:[0-9]+)?/.*"),
        field(PRODUCT_KEYS, "list", "Product keys")
            .help(
                "One on each line, from the publisher. Twikit has no call that lists them; its Website Publication webhook \
                 keeps them up to date.",
            )
            .shown_on_page()
            .vendor_can_change(),
        field(STRICT_CHECK, "boolean", "Link listed products only")
            .help("Makes a link to a product key that is not listed above an error instead of a warning.")
            .default_boolean(false),
    ]
}

fn page() -> Vec<Field> {
    let own = |field: Field| field.shown_on_page().per_product();
    vec![
        heading("heading-page", "Product page"),
        own(field(VIEWER_SELECTOR, "css-selector", "Viewer CSS selector"))
            .help("The element that shows the product. Leave empty to let the theme decide."),
        own(field(OPTIONS_SELECTOR, "css-selector", "Options CSS selector"))
            .help("The element that shows the parameters. Leave empty to let the theme decide."),
        own(field(LOCALE, "text", "Localization"))
            .help("The localization that Twikit translates with.")
            .default_text("default"),
        field(SHOP_LOCALE, "boolean", "Use the page's language")
            .help("Sends Twikit the language of the page, such as \"nl-BE\", instead of the localization above.")
            .shown_on_page()
            .default_boolean(false),
        own(field(PREVIEW_BACKGROUND, "color", "Background of previews"))
            .help("Leave empty for Twikit's default. Its document states both white and transparent."),
        field(PREVIEW_URL, "url", "Preview URL").help(
            "Any address on the host that preview pictures come from. Pictures of other hosts are not fetched. The \
             document does not name the host: look at the picture of a first configuration.",
        ),
        own(select(ACTION, "Shopper action", &[("add-to-cart", "Add to cart"), ("request-quote", "Request a quote")]))
            .default_text("add-to-cart"),
        own(field(SUCCESS_PAGE, "text", "Success page")).help("A URL or a path. Leave empty to let the theme decide."),
        select(
            UNVERIFIED_SKU,
            "SKU chosen in the browser",
            &[
                ("sell", "Sell it"),
                ("hold", "Sell it, and hold production until it is approved"),
                ("refuse", "Refuse it"),
            ],
        )
        .help(
            "Twikit names the SKU of a configuration to the shopper's browser only. Where a product allows several, \
             no server can confirm that the chosen one belongs to the configuration.",
        )
        .default_text("hold")
        .per_product(),
    ]
}

fn production() -> Vec<Field> {
    let recipient = |name: &str, label: &str| {
        select(name, label, &[("shopper", "The shopper"), ("shop", "The shop")])
            .help("The shopper's address needs the grant \"personal-data\".")
            .enabled_when(FULFILLMENT, "order")
    };
    vec![
        heading("heading-production", "Production"),
        select(
            FULFILLMENT,
            "Production",
            &[("order", "Twikit produces and delivers"), ("export", "Fetch the production files")],
        )
        .help("Fetching a file creates an order at Twikit's too.")
        .default_text("order"),
        recipient(DELIVERY, "Deliver to").default_text("shopper"),
        recipient(BILLING, "Bill to").default_text("shop"),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cartwright_plugin::exports::settings::ChoiceSource;
    use cartwright_plugin::types::SettingValue;

    use super::*;

    #[test]
    fn the_secret_belongs_to_the_address_of_the_api() {
        let fields = fields();
        let secret = fields.iter().find(|field| field.name == PAYLOAD_SECRET).unwrap();
        assert!(secret.kind == "secret" && secret.outbound_hosts == ["setting:api-url"] && !secret.shown_on_page);
    }

    #[test]
    fn the_vendor_can_change_the_script_and_the_products_and_nothing_else() {
        let pushed: Vec<_> =
            fields().into_iter().filter(|field| field.vendor_can_change).map(|field| field.name).collect();
        assert_eq!(pushed, [SCRIPT_URL, PRODUCT_KEYS]);
    }

    #[test]
    fn every_default_of_a_select_is_one_of_its_choices() {
        for field in fields() {
            if let (Some(SettingValue::Text(default)), ChoiceSource::Fixed(choices)) =
                (&field.default_value, &field.choices)
            {
                assert!(choices.iter().any(|choice| choice.value == *default), "{}", field.name);
            }
        }
    }
}
