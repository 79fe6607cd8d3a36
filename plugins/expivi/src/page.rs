//! Puts the configurator on a product page.
//!
//! `new ExpiviComponent.default({ … })` starts it and `window.expivi.saveConfiguration(…)` saves. A CSS selector in the
//! settings is passed on as it is, like pages that use Expivi do; otherwise the element that the platform's template
//! chose is passed.

use cartwright_plugin::exports::page::{
    AllowedOrigin, Asset, Completion, EmbedData, Mount, OriginUse, PageAction, PageCall, Receiver,
};
use cartwright_plugin::types::{Context, ProductLink};
use cartwright_plugin::{CallError, ContextExt, invalid_input, message, not_configured};
use serde_json::value::RawValue;

use crate::raw::{self, json_string};
use crate::saved::is_catalogue_id;
use crate::settings::{self, FILES_URL, VIEWER_TOKEN};

/// The elements that the configurator fills: role, setting, option, required.
const MOUNTS: [(&str, &str, &str, bool); 3] = [
    ("viewer", "viewer-selector", "viewerContainer", true),
    ("options", "options-selector", "optionContainer", true),
    ("price", "price-selector", "priceSelectors", false),
];

/// Uses of the origins of the scripts and the style sheet. Expivi does not document what its scripts load; from their own
/// origin they may load anything but a frame.
const ASSETS: &[OriginUse] =
    &[OriginUse::Scripts, OriginUse::Styles, OriginUse::Images, OriginUse::Connections, OriginUse::Fonts];
/// Uses of the origins of the API and of files: data and pictures, never code.
const DATA: &[OriginUse] = &[OriginUse::Images, OriginUse::Connections];

/// Returns the embed data of a linked product, which continues from a raw configuration if there is one.
///
/// # Errors
/// `not-configured` without a viewer token, `invalid-input` for an invalid link or stored configuration.
pub(crate) fn embed(context: &Context, product_link: &ProductLink, raw: Option<&[u8]>) -> Result<EmbedData, CallError> {
    let asset = |name: &str| {
        let url = context.text(name).ok_or_else(|| missing(name, "The URL of one of Expivi's assets is missing."))?;
        Ok::<_, CallError>(Asset { url: url.to_owned(), integrity: None, module: false })
    };
    let scripts = vec![asset("viewer-script")?, asset("options-script")?];
    let styles = vec![asset("options-style")?];
    let mut allowed_origins: Vec<AllowedOrigin> = Vec::new();
    let api = settings::api_url(context);
    let assets = scripts.iter().chain(&styles).map(|asset| (asset.url.as_str(), ASSETS));
    let data = [api.as_str()].into_iter().chain(context.text(FILES_URL)).map(|url| (url, DATA));
    for (url, uses) in assets.chain(data) {
        let Some(origin) = origin(url) else { continue };
        match allowed_origins.iter_mut().find(|allowed| allowed.origin == origin) {
            Some(allowed) => {
                let further: Vec<OriginUse> = uses.iter().copied().filter(|one| !allowed.uses.contains(one)).collect();
                allowed.uses.extend(further);
            }
            None => allowed_origins.push(AllowedOrigin { origin, uses: uses.to_vec() }),
        }
    }
    let mounts = MOUNTS.map(|(role, setting, _, required)| Mount {
        role: role.to_owned(),
        selector: context.text(setting).map(str::to_owned),
        required,
    });
    let call = |path: &str, construct, completion, args: String| PageCall {
        receiver: Receiver::Page,
        paths: vec![path.to_owned()],
        construct,
        completion,
        // In JSON "<" occurs inside texts only. Escaped there, no part of it can become a tag of the page.
        args: args.replace('<', "\\u003c"),
    };
    let save = r#"[512,512,"ACTIVE_CAMERA","image/jpeg",{"include_keys":true}]"#.to_owned();
    let options = format!("[{}]", options(context, product_link, raw)?);
    Ok(EmbedData {
        scripts,
        styles,
        frame: None,
        mounts: mounts.into(),
        supported: None,
        start: Some(call("ExpiviComponent.default", true, Completion::ReturnValue, options)),
        events: Vec::new(),
        save: Some(call("expivi.saveConfiguration", false, Completion::Promise, save)),
        payload: r#"{"$result":""}"#.to_owned(),
        action: match context.text("action") {
            Some("request-quote") => PageAction::RequestQuote,
            _ => PageAction::AddToCart,
        },
        success_page: context.text("success-page").map(str::to_owned),
        allowed_origins,
        fallback: message(
            "configurator-unavailable",
            "The configurator cannot be shown right now. Please try again later.",
            &[],
        ),
        extra: Vec::new(),
    })
}

/// Returns the constructor's argument as JSON.
fn options(context: &Context, product_link: &ProductLink, raw: Option<&[u8]>) -> Result<String, CallError> {
    let token = context.text(VIEWER_TOKEN).ok_or_else(|| missing(VIEWER_TOKEN, "Enter the viewer API token."))?;
    let product = &product_link.vendor_product;
    if !is_catalogue_id(product) {
        let text = format!("{product:?} is not an Expivi product id; link the product again.");
        return Err(invalid_input("vendor-product", message("product-id-wrong", text, &[("product", product)])));
    }
    let mut members: Vec<(&str, String)> = vec![("catalogueId", product.clone()), ("token", json_string(token))];
    for (role, setting, option, _) in MOUNTS {
        let place = match context.text(setting) {
            Some(selector) => json_string(selector),
            None => format!("{{\"$element\":{}}}", json_string(role)),
        };
        members.push((option, place));
    }
    if settings::is_enabled(context, "pass-currency") {
        members.extend(context.currency().map(|currency| ("currency", json_string(&currency.code))));
    }
    if settings::is_enabled(context, "pass-locale") {
        // Pages that use Expivi pass the language without the region.
        let language = context.locale.split(['-', '_']).next().unwrap_or_default();
        members.push(("locale", json_string(language)));
    }
    if let Some(preset) = product_link.preset.as_deref().filter(|preset| !preset.is_empty()) {
        let value = if is_catalogue_id(preset) { preset.to_owned() } else { json_string(preset) };
        members.push((context.text("preset-option").unwrap_or("preset"), value));
    }
    for (preference, option) in context.pairs("preference-names") {
        if let Some(on) = context.boolean(preference) {
            members.push((option, on.to_string()));
        }
    }
    for (name, value) in context.pairs("viewer-options") {
        let json = match serde_json::from_str::<&RawValue>(value) {
            Ok(json) => json.get().to_owned(),
            Err(_) => json_string(value),
        };
        members.push((name, literal(&json)));
    }
    let (mut configuration, mut bundle_uuid) = (None, "null".to_owned());
    if let Some(raw) = raw {
        let reopened = raw::reopened(raw)?;
        configuration = Some(literal(&reopened.json));
        // Null rather than "": the viewer does not accept an empty text here.
        if let Some(uuid) = &reopened.bundle_uuid {
            bundle_uuid = literal(&json_string(uuid));
        }
    }
    members.push(("bundle_uuid", bundle_uuid));
    members.extend(configuration.map(|json| ("configuration", json)));
    // As in JavaScript, a later member replaces an earlier one of the same name.
    let mut unique: Vec<(&str, String)> = Vec::with_capacity(members.len());
    for (name, json) in members {
        match unique.iter_mut().find(|(other, _)| *other == name) {
            Some(place) => place.1 = json,
            None => unique.push((name, json)),
        }
    }
    let unique: Vec<String> = unique.into_iter().map(|(name, json)| format!("{}:{json}", json_string(name))).collect();
    Ok(format!("{{{}}}", unique.join(",")))
}

/// Returns a value that the page passes without interpretation.
fn literal(json: &str) -> String {
    format!("{{\"$literal\":{json}}}")
}

fn missing(name: &str, text: &str) -> CallError {
    not_configured(name, message("setting-missing", text, &[("setting", name)]))
}

/// Returns scheme, host and port of a URL.
pub(crate) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    Some(format!("{}://{}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
