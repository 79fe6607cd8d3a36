//! The settings form.

use cartwright_plugin::exports::settings::Field;
use cartwright_plugin::types::SettingValue;
use cartwright_plugin::{FieldExt, field, select};

use super::{API_URL, DEFAULT_API_URL, FILES_URL, KEY_FIELDS, MAX_KEY_FIELDS, SERVER_TOKEN, VIEWER_TOKEN};

/// Returns the form. Texts are in English; each has a key, so that a platform can use its own wording.
pub(crate) fn fields() -> Vec<Field> {
    let mut fields = account();
    fields.extend(page());
    fields.extend(cart());
    fields.extend(prices());
    fields.extend(production());
    fields
}

fn texts(texts: &[&str]) -> SettingValue {
    SettingValue::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn account() -> Vec<Field> {
    let group = "Account";
    vec![
        field(VIEWER_TOKEN, "text", "Viewer API token")
            .help("From Expivi's back office. Every visitor can read it: use a token without write access.")
            .required()
            .shown_on_page()
            .pattern(r"\S+")
            .group(group),
        field(SERVER_TOKEN, "secret", "Server token")
            .help("A token with write access. Required for uploads to Expivi and for print files.")
            .outbound_host("setting:api-url")
            .secret_use("bearer")
            .group(group),
        field(API_URL, "url", "API URL").required().default_text(DEFAULT_API_URL).pattern(r"[^\s?#]+").group(group),
        field(FILES_URL, "url", "Files URL")
            .help("Only if finished print files or pictures are on another host than the API. An admin must allow that host too.")
            .group(group),
    ]
}

fn page() -> Vec<Field> {
    let group = "Product page";
    let address =
        |name, label, url| field(name, "url", label).required().shown_on_page().default_text(url).group(group);
    let place = |name, label| field(name, "css-selector", label).shown_on_page().per_product().group(group);
    let preference = |name, label: &str| {
        field(name, "boolean", label)
            .help("Leave empty for the viewer's own default.")
            .shown_on_page()
            .per_product()
            .group(group)
    };
    vec![
        address("viewer-script", "Viewer script URL", "https://assets.expivi.net/viewer/latest/viewer.js"),
        address("options-script", "Options script URL", "https://assets.expivi.net/options/latest/js/app.js"),
        address("options-style", "Options stylesheet URL", "https://assets.expivi.net/options/latest/css/app.css"),
        place("viewer-selector", "Viewer CSS selector"),
        place("options-selector", "Options CSS selector"),
        place("price-selector", "Price CSS selector"),
        select("action", "Shopper action", &[("add-to-cart", "Add to cart"), ("request-quote", "Request a quote")])
            .default_text("add-to-cart")
            .per_product()
            .group(group),
        field("success-page", "text", "Page after adding to the cart")
            .help("An https address, or a path of the shop such as /cart.")
            .pattern(r"https://\S+|/(?:[^/\s]\S*)?")
            .per_product()
            .group(group),
        preference("hover-icon", "Show the 3D hover icon"),
        preference("auto-rotate", "Rotate the product on start"),
        preference("progress-bar", "Show the progress bar"),
        field("preference-names", "pairs", "Names of the viewer preferences")
            .help("Expivi does not document the viewer's names for these three preferences. Change them here if yours differ.")
            .shown_on_page()
            .default_value(SettingValue::Pairs(
                [("hover-icon", "show3DHoverIcon"), ("auto-rotate", "autoRotateProduct"), ("progress-bar", "showProgress")]
                    .map(|(name, option)| (name.to_owned(), option.to_owned()))
                    .to_vec(),
            ))
            .group(group),
        field("preset-option", "text", "Preset option name")
            .help("Expivi does not document it; \"preset\" and \"presetId\" are in use.")
            .shown_on_page()
            .pattern(r"[A-Za-z_$][A-Za-z0-9_$]*")
            .default_text("preset")
            .group(group),
        field("pass-locale", "boolean", "Send the shopper's language to the viewer").shown_on_page().default_boolean(true).group(group),
        field("pass-currency", "boolean", "Send the cart's currency to the viewer").shown_on_page().default_boolean(true).group(group),
        field("viewer-options", "pairs", "Additional viewer options")
            .help("Names and values. A JSON value is passed as JSON, any other as text.")
            .shown_on_page()
            .per_product()
            .range(0, 50)
            .group(group),
    ]
}

fn cart() -> Vec<Field> {
    let group = "Cart";
    vec![
        select(
            "order-type",
            "Order type",
            &[
                ("simple", "Custom product: the linked product with the shopper's choices"),
                ("variation", "Variation: the variant whose SKU the KEYs spell"),
                ("bundle", "Bundle: the articles of the bill of materials"),
            ],
        )
        .default_text("simple")
        .per_product()
        .group(group),
        field("sku-separator", "text", "SKU separator")
            .help("Between KEYs: R and L with \"-\" become R-L.")
            .default_text("-")
            .range(0, 10)
            .per_product()
            .group(group),
        field("sku-prefix", "text", "SKU prefix").range(0, 100).per_product().group(group),
        field("attribute-order", "list", "Order of the attributes in the SKU")
            .help("Names or IDs, one per line. Others follow in the configuration's order.")
            .range(0, 10_000)
            .per_product()
            .group(group),
        field("required-attributes", "list", "Attributes that must have a KEY")
            .help("Names or IDs, one per line.")
            .range(0, 10_000)
            .per_product()
            .group(group),
        field("ignore-case", "boolean", "Ignore upper and lower case in SKUs").default_boolean(false).per_product().group(group),
        field("key-fields", "list", "KEY field names")
            .help("Expivi does not document how saveConfiguration names the KEY. One name per line; the first with a value is used.")
            .default_value(texts(&KEY_FIELDS))
            .range(1, MAX_KEY_FIELDS as i64)
            .group(group),
        select(
            "bundle-sku",
            "Article SKU",
            &[("price-sku", "price_sku; articles without one are ignored"), ("models-sku", "models_sku; every article is included")],
        )
        .default_text("price-sku")
        .per_product()
        .group(group),
        select(
            "unknown-sku",
            "Articles with a SKU unknown to the shop",
            &[
                ("reject", "Reject the bundle"),
                ("text", "Keep them as text, without a price"),
                ("drop", "Leave them out, with a warning"),
            ],
        )
        .default_text("reject")
        .per_product()
        .group(group),
        select(
            "child-removal",
            "Removing items from a bundle",
            &[("refused", "Not allowed"), ("repriced", "Allowed; the bundle price is reduced")],
        )
        .default_text("refused")
        .per_product()
        .group(group),
        select(
            "unconfirmed",
            "Items not verified by Expivi",
            &[("hold", "Hold until approved"), ("sell", "Sell")],
        )
        .help("Expivi cannot confirm KEYs or articles that the shopper's browser sends. Applies to variations, bundles, and prices that are the sum of articles.")
        .default_text("hold")
        .per_product()
        .group(group),
    ]
}

fn prices() -> Vec<Field> {
    let group = "Prices";
    vec![
        select(
            "price-authority",
            "Price source",
            &[
                ("platform", "The shop's price of the product"),
                ("vendor", "Expivi's price of the configuration"),
                ("components", "The sum of the shop's prices of the articles"),
            ],
        )
        .default_text("platform")
        .per_product()
        .group(group),
        field("price-currency", "text", "Expivi price currency")
            .help("Expivi's response names no currency. Required for Expivi's prices.")
            .pattern("[A-Z]{3}")
            .group(group),
        field("price-scale", "integer", "Expivi price decimals")
            .help("A response with more decimals keeps them, up to 9. Required for Expivi's prices.")
            .range(0, 9)
            .group(group),
        select(
            "price-tax",
            "Expivi's prices are",
            &[("net", "Without tax"), ("gross", "With tax"), ("as-shop", "As the shop enters its own")],
        )
        .help("Required for Expivi's prices.")
        .group(group),
        field("send-country", "boolean", "Send country to Expivi")
            .help("In the header Locale-Country.")
            .default_boolean(true)
            .group(group),
        field("locale-country", "text", "Fixed country")
            .help("Two letters. Leave empty for the delivery country, once it is known.")
            .pattern("[A-Za-z]{2}")
            .enabled_when("send-country", "true")
            .group(group),
    ]
}

fn production() -> Vec<Field> {
    let group = "Production";
    let print = |draft: Field| draft.enabled_when("print-files", "true").group(group);
    vec![
        field("upload-bundles", "boolean", "Upload ordered configurations to Expivi")
            .help("Requires the server token.")
            .default_boolean(true)
            .group(group),
        field("print-files", "boolean", "Fetch print files")
            .help("Requires uploads and a media ID.")
            .default_boolean(false)
            .group(group),
        print(
            field("media-id", "integer", "Media ID")
                .help("For products not listed below.")
                .range(1, i64::MAX)
                .per_product(),
        ),
        print(
            field("media-ids", "pairs", "Media IDs by product").help("Expivi product ID = media ID.").range(0, 10_000),
        ),
        print(
            select(
                "print-format",
                "Format",
                &[("pdf", "PDF"), ("png", "PNG"), ("jpg", "JPEG"), ("webp", "WebP"), ("tiff", "TIFF"), ("svg", "SVG")],
            )
            .default_text("pdf"),
        ),
        print(field("print-dpi", "integer", "Dots per inch").range(1, 10_000)),
        print(field("print-resolution", "integer", "Resolution").help("Instead of dots per inch.").range(1, 100_000)),
        print(
            select(
                "print-attributes",
                "Attributes in the file",
                &[("visible", "Visible attributes"), ("all", "All attributes")],
            )
            .default_text("visible"),
        ),
        print(field("hide-print-marks", "boolean", "Hide print marks").default_boolean(false)),
        print(field("hide-placeholders", "boolean", "Hide placeholders").default_boolean(false)),
    ]
}
