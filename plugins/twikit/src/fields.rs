//! The settings form.

use cartwright_plugin::exports::settings::{Choice, Choices, Condition, Field};
use cartwright_plugin::message;
use cartwright_plugin::types::SettingValue;

/// The integration's id at Twikit, "as shown in your site's configuration" (Rest API, Create Order).
pub const INTEGRATION_ID: &str = "integration-id";
/// The secret that is hashed behind every payload (Rest API, Create Order: hash).
pub const PAYLOAD_SECRET: &str = "payload-secret";
/// The address of the REST API.
pub const API_URL: &str = "api-url";
/// The address of the published script (Webhooks, Website Publication: scriptUrl).
pub const SCRIPT_URL: &str = "script-url";
/// The published products (Webhooks, Website Publication: products).
pub const PRODUCT_KEYS: &str = "product-keys";
/// Is a link to a product that is not published an error?
pub const STRICT_CHECK: &str = "strict-check";
/// Where preview pictures come from.
pub const PREVIEW_URL: &str = "preview-url";
/// Selector of the viewer's element.
pub const VIEWER_SELECTOR: &str = "viewer-selector";
/// Selector of the parameters' element.
pub const OPTIONS_SELECTOR: &str = "options-selector";
/// The localization handed to Twikit (JavaScript Plugin, Initializing the script: locale).
pub const LOCALE: &str = "locale";
/// Hand Twikit the page's language instead.
pub const SHOP_LOCALE: &str = "shop-locale";
/// The background of preview pictures (JavaScript Plugin: previewBackgroundColor).
pub const PREVIEW_BACKGROUND: &str = "preview-background-color";
/// Add to the cart, or ask for a quotation.
pub const ACTION: &str = "action";
/// Where the shopper goes afterwards.
pub const SUCCESS_PAGE: &str = "success-page";
/// What becomes of a SKU that only the browser names.
pub const UNVERIFIED_SKU: &str = "unverified-sku";
/// Have Twikit produce, or fetch the production file.
pub const FULFILMENT: &str = "fulfilment";
/// Whom Twikit delivers to.
pub const DELIVERY: &str = "delivery";
/// Whom Twikit bills.
pub const BILLING: &str = "billing";

/// The API's documented base address (Rest API).
pub const DEFAULT_API_URL: &str = "https://custom-integration-publisher.twikit.com/api/v1";

/// The form. Texts are in English whatever the locale: Twikit's own names, which the merchant must recognise, are.
pub fn fields() -> Vec<Field> {
    vec![
        heading("heading-account", "Twikit account"),
        Field {
            required: true,
            pattern: Some("[A-Za-z0-9._~-]+".to_owned()),
            ..field(INTEGRATION_ID, "text", "Integration id", "In the publisher, in your site's configuration.")
        },
        Field {
            required: true,
            ..field(
                PAYLOAD_SECRET,
                "secret",
                "Payload secret",
                "In the publisher, in your site's configuration. It is only hashed with what is sent, never sent itself.",
            )
        },
        Field {
            default: Some(text(DEFAULT_API_URL)),
            ..field(API_URL, "url", "API address", "The documented address, unless Twikit gave you another one.")
        },
        heading("heading-products", "Products and script"),
        Field {
            required: true,
            public: true,
            vendor_may_push: true,
            pattern: Some("https://.*".to_owned()),
            ..field(
                SCRIPT_URL,
                "url",
                "Script address",
                "From the publisher; every publication has a new one. Twikit's Website Publication webhook keeps it up to date.",
            )
        },
        Field {
            public: true,
            vendor_may_push: true,
            ..field(
                PRODUCT_KEYS,
                "text-area",
                "Product keys",
                "One on each line, from the publisher. Twikit has no call that lists them; its Website Publication webhook \
                 keeps them up to date.",
            )
        },
        Field {
            default: Some(SettingValue::YesNo(false)),
            ..field(
                STRICT_CHECK,
                "yes-no",
                "Link listed products only",
                "Makes a link to a product key that is not listed above an error instead of a warning.",
            )
        },
        heading("heading-page", "Product page"),
        Field {
            per_product: true,
            public: true,
            ..field(VIEWER_SELECTOR, "css-selector", "Viewer", "Where the product is shown; empty: the theme decides.")
        },
        Field {
            per_product: true,
            public: true,
            ..field(
                OPTIONS_SELECTOR,
                "css-selector",
                "Options",
                "Where the parameters are shown; empty: the theme decides.",
            )
        },
        Field {
            default: Some(text("default")),
            per_product: true,
            public: true,
            ..field(LOCALE, "text", "Localization", "The localization that Twikit translates with.")
        },
        Field {
            default: Some(SettingValue::YesNo(false)),
            public: true,
            ..field(
                SHOP_LOCALE,
                "yes-no",
                "Use the page's language",
                "Hands Twikit the language of the page, such as \"nl-BE\", instead of the localization above.",
            )
        },
        Field {
            per_product: true,
            public: true,
            ..field(
                PREVIEW_BACKGROUND,
                "color",
                "Background of previews",
                "Empty: Twikit's own. Its document says both white and transparent.",
            )
        },
        field(
            PREVIEW_URL,
            "url",
            "Address of previews",
            "Any address on the host that preview pictures come from. Pictures of other hosts are not fetched. The \
                 document does not name the host: look at the picture of a first configuration.",
        ),
        Field {
            default: Some(text("add-to-cart")),
            choices: choices(&[("add-to-cart", "Add to the cart"), ("request-quotation", "Ask for a quotation")]),
            per_product: true,
            public: true,
            ..field(ACTION, "select", "What the button does", "")
        },
        Field {
            per_product: true,
            public: true,
            ..field(SUCCESS_PAGE, "text", "Page afterwards", "An address or a path; empty: the theme decides.")
        },
        Field {
            default: Some(text("hold")),
            choices: choices(&[
                ("sell", "Sell it"),
                ("hold", "Sell it, and hold production until it is approved"),
                ("refuse", "Refuse it"),
            ]),
            per_product: true,
            ..field(
                UNVERIFIED_SKU,
                "select",
                "SKU chosen in the browser",
                "Twikit names the SKU of a configuration to the shopper's browser only. Where a product allows several, \
                 nobody can confirm that the cheaper one was not picked for the dearer configuration.",
            )
        },
        heading("heading-production", "Production"),
        Field {
            default: Some(text("order")),
            choices: choices(&[("order", "Twikit produces and delivers"), ("export", "Fetch the production files")]),
            ..field(FULFILMENT, "select", "Production", "Fetching a file creates an order at Twikit's too.")
        },
        Field {
            default: Some(text("shopper")),
            ..recipient(DELIVERY, "Deliver to", "The shopper's address needs the grant \"personal-data\".")
        },
        Field {
            default: Some(text("shop")),
            ..recipient(BILLING, "Bill to", "The shopper's address needs the grant \"personal-data\".")
        },
    ]
}

fn field(name: &str, kind: &str, label: &str, help: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        label: message(&format!("field-{name}"), label, &[]),
        help: (!help.is_empty()).then(|| message(&format!("help-{name}"), help, &[])),
        group: None,
        required: false,
        public: false,
        pattern: None,
        minimum: None,
        maximum: None,
        default: None,
        choices: Choices::None,
        enabled_when: None,
        per_product: false,
        vendor_may_push: false,
        hosts: Vec::new(),
    }
}

fn heading(name: &str, label: &str) -> Field {
    field(name, "heading", label, "")
}

fn recipient(name: &str, label: &str, help: &str) -> Field {
    Field {
        choices: choices(&[("shopper", "The shopper"), ("shop", "The shop")]),
        enabled_when: Some(Condition { field: FULFILMENT.to_owned(), equals: "order".to_owned() }),
        ..field(name, "select", label, help)
    }
}

fn choices(values: &[(&str, &str)]) -> Choices {
    Choices::Fixed(
        values
            .iter()
            .map(|(value, label)| Choice {
                value: (*value).to_owned(),
                label: message(&format!("choice-{value}"), *label, &[]),
            })
            .collect(),
    )
}

fn text(value: &str) -> SettingValue {
    SettingValue::Text(value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_secret_may_be_sent_nowhere() {
        let fields = fields();
        let secret = fields.iter().find(|field| field.name == PAYLOAD_SECRET).unwrap();
        assert!(secret.kind == "secret" && secret.hosts.is_empty() && !secret.public);
    }

    #[test]
    fn the_vendor_may_push_the_script_and_the_products_and_nothing_else() {
        let pushed: Vec<_> =
            fields().into_iter().filter(|field| field.vendor_may_push).map(|field| field.name).collect();
        assert_eq!(pushed, [SCRIPT_URL, PRODUCT_KEYS]);
    }

    #[test]
    fn every_default_of_a_select_is_one_of_its_choices() {
        for field in fields() {
            if let (Some(SettingValue::Text(default)), Choices::Fixed(choices)) = (&field.default, &field.choices) {
                assert!(choices.iter().any(|choice| choice.value == *default), "{}", field.name);
            }
        }
    }
}
