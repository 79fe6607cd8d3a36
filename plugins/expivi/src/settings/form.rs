//! The settings form.

use cartwright_plugin::exports::settings::Field;
use cartwright_plugin::types::SettingValue;
use cartwright_plugin::{FieldExt, field, select};

use super::{API_URL, DEFAULT_API_URL, FILES_URL, KEY_FIELDS, MOST_KEY_FIELDS, SERVER_TOKEN, VIEWER_TOKEN};

/// The form. Texts are in English; each has a key, so that a platform can word it itself.
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
    let group = "account";
    vec![
        field(VIEWER_TOKEN, "text", "API token of the viewer")
            .help("From Expivi's back office. The page needs it, so every visitor can read it: use a token without write access.")
            .required()
            .public()
            .pattern(r"\S+")
            .in_group(group),
        field(SERVER_TOKEN, "secret", "Server token")
            .help("A token with write access, never shown. Without it nothing is uploaded to Expivi and there are no print files.")
            .sent_to("setting:api-url")
            .in_group(group),
        field(API_URL, "url", "Address of Expivi's API").required().default_text(DEFAULT_API_URL).pattern(r"[^\s?#]+").in_group(group),
        field(FILES_URL, "url", "Address of Expivi's files")
            .help("Only if finished print files or pictures are at another host than the API. The operator grants that host too.")
            .in_group(group),
    ]
}

fn page() -> Vec<Field> {
    let group = "page";
    let address = |name, label, url| field(name, "url", label).required().public().default_text(url).in_group(group);
    let place = |name, label| field(name, "css-selector", label).public().per_product().in_group(group);
    let preference = |name, label: &str| {
        field(name, "yes-no", label)
            .help("Not passed to the viewer while it has no value.")
            .public()
            .per_product()
            .in_group(group)
    };
    vec![
        address("viewer-script", "Script of the viewer", "https://assets.expivi.net/viewer/latest/viewer.js"),
        address("options-script", "Script of the options", "https://assets.expivi.net/options/latest/js/app.js"),
        address("options-style", "Style sheet of the options", "https://assets.expivi.net/options/latest/css/app.css"),
        place("viewer-selector", "Place of the viewer"),
        place("options-selector", "Place of the options"),
        place("price-selector", "Place of the price"),
        select("action", "What the shopper does", &[("add-to-cart", "Add to cart"), ("request-quotation", "Request a quotation")])
            .default_text("add-to-cart")
            .per_product()
            .in_group(group),
        field("success-page", "text", "Page after adding to the cart")
            .help("An https address, or a path of the shop such as /cart.")
            .pattern(r"https://\S+|/(?:[^/\s]\S*)?")
            .per_product()
            .in_group(group),
        preference("hover-icon", "Show the 3D hover icon"),
        preference("auto-rotate", "Rotate the product on start"),
        preference("progress-bar", "Show the progress bar"),
        field("preference-names", "pairs", "Names of the viewer preferences")
            .help("No public document names the viewer's options for the three preferences: change them here if yours are called otherwise.")
            .public()
            .default_value(SettingValue::Pairs(
                [("hover-icon", "show3DHoverIcon"), ("auto-rotate", "autoRotateProduct"), ("progress-bar", "showProgress")]
                    .map(|(name, option)| (name.to_owned(), option.to_owned()))
                    .to_vec(),
            ))
            .in_group(group),
        field("preset-option", "text", "Name of the preset's option")
            .help("No public document names it; \"preset\" and \"presetId\" have been seen.")
            .public()
            .pattern(r"[A-Za-z_$][A-Za-z0-9_$]*")
            .default_text("preset")
            .in_group(group),
        field("pass-locale", "yes-no", "Tell the viewer the shopper's language").public().default_yes_no(true).in_group(group),
        field("pass-currency", "yes-no", "Tell the viewer the cart's currency").public().default_yes_no(true).in_group(group),
        field("viewer-options", "pairs", "Further options of the viewer")
            .help("Name and value; a value that is JSON is passed as that, any other as text.")
            .public()
            .per_product()
            .range(0, 50)
            .in_group(group),
    ]
}

fn cart() -> Vec<Field> {
    let group = "cart";
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
        .in_group(group),
        field("sku-separator", "text", "Between KEYs")
            .help("R and L with \"-\" become R-L.")
            .default_text("-")
            .range(0, 10)
            .per_product()
            .in_group(group),
        field("sku-prefix", "text", "Before the first KEY").range(0, 100).per_product().in_group(group),
        field("attribute-order", "list", "Order of the attributes in the SKU")
            .help("Names or ids, one a line. Others follow in the configuration's order.")
            .range(0, 10_000)
            .per_product()
            .in_group(group),
        field("required-attributes", "list", "Attributes that must have a KEY")
            .help("Names or ids, one a line.")
            .range(0, 10_000)
            .per_product()
            .in_group(group),
        field("ignore-case", "yes-no", "Compare SKUs without regard to case").default_yes_no(false).per_product().in_group(group),
        field("key-fields", "list", "Names of the KEY's field")
            .help("Expivi does not document how saveConfiguration names the KEY. One name a line; the first that has a value counts.")
            .default_value(texts(&KEY_FIELDS))
            .range(1, MOST_KEY_FIELDS as i64)
            .in_group(group),
        select(
            "bundle-sku",
            "SKU of an article",
            &[("price-sku", "price_sku; articles without one are no part"), ("models-sku", "models_sku; every article is a part")],
        )
        .default_text("price-sku")
        .per_product()
        .in_group(group),
        select(
            "unknown-sku",
            "Articles whose SKU the shop does not have",
            &[
                ("reject", "Refuse the bundle"),
                ("text", "Keep them as text, without a price"),
                ("drop", "Leave them out, with a warning"),
            ],
        )
        .default_text("reject")
        .per_product()
        .in_group(group),
        select(
            "child-removal",
            "Taking an article out of its bundle",
            &[("refused", "Is refused"), ("repriced", "Is allowed; the bundle costs less")],
        )
        .default_text("refused")
        .per_product()
        .in_group(group),
        select(
            "unconfirmed",
            "Lines whose KEYs or articles only the browser vouches for",
            &[("hold", "Hold back from production until approved"), ("sell", "Sell")],
        )
        .help("Expivi has no call that confirms KEYs or articles. Concerns variations, bundles, and prices that are the sum of articles.")
        .default_text("hold")
        .per_product()
        .in_group(group),
    ]
}

fn prices() -> Vec<Field> {
    let group = "prices";
    vec![
        select(
            "price-authority",
            "Who says the price",
            &[
                ("platform", "The shop's price of the product"),
                ("vendor", "Expivi's price of the configuration"),
                ("components", "The sum of the shop's prices of the articles"),
            ],
        )
        .default_text("platform")
        .per_product()
        .in_group(group),
        field("price-currency", "text", "Currency of Expivi's prices")
            .help("Expivi's answer names no currency. Needed for Expivi's prices.")
            .pattern("[A-Z]{3}")
            .in_group(group),
        field("price-scale", "integer", "Decimals of Expivi's prices")
            .help("An answer with more decimals keeps them, up to 9. Needed for Expivi's prices.")
            .range(0, 9)
            .in_group(group),
        select(
            "price-tax",
            "Expivi's prices are",
            &[("net", "Without tax"), ("gross", "With tax"), ("as-shop", "As the shop enters its own")],
        )
        .help("Needed for Expivi's prices.")
        .in_group(group),
        field("send-country", "yes-no", "Tell Expivi the country")
            .help("As the header Locale-Country.")
            .default_yes_no(true)
            .in_group(group),
        field("locale-country", "text", "Always this country")
            .help("Two letters. Empty: the country that is delivered to, once it is known.")
            .pattern("[A-Za-z]{2}")
            .enabled_when("send-country", "true")
            .in_group(group),
    ]
}

fn production() -> Vec<Field> {
    let group = "production";
    let print = |draft: Field| draft.enabled_when("print-files", "true").in_group(group);
    vec![
        field("upload-bundles", "yes-no", "Upload ordered configurations to Expivi")
            .help("Needs the server token.")
            .default_yes_no(true)
            .in_group(group),
        field("print-files", "yes-no", "Fetch print files")
            .help("Needs uploads and a media id.")
            .default_yes_no(false)
            .in_group(group),
        print(
            field("media-id", "integer", "Media id")
                .help("Of products that are not listed below.")
                .range(1, i64::MAX)
                .per_product(),
        ),
        print(
            field("media-ids", "pairs", "Media ids by product")
                .help("Expivi's product id and its media id.")
                .range(0, 10_000),
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
            select("print-attributes", "Attributes in the file", &[("visible", "Visible ones"), ("all", "All")])
                .default_text("visible"),
        ),
        print(field("hide-print-marks", "yes-no", "Hide print marks").default_yes_no(false)),
        print(field("hide-placeholders", "yes-no", "Hide placeholders").default_yes_no(false)),
    ]
}
