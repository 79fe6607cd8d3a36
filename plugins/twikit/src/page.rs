//! Puts Twikit's script on a product page (JavaScript Plugin).
//!
//! The document contradicts itself twice: its parameter table lists `createContext` and `parametersReady`, its example
//! `initialize` and `parameterReady`. The page calls whichever function the script has, with both callbacks.

use cartwright_plugin::exports::page::{Asset, Call, Completion, EmbedData, Mount, Receiver};
use cartwright_plugin::types::{Context, ProductLink};
use cartwright_plugin::{CallError, ContextExt, invalid_input, message, rejected};
use serde_json::json;

use crate::fields::*;
use crate::settings::Settings;

/// Returns the embed data of a linked product.
#[allow(clippy::indexing_slicing, reason = "a JSON object inserts a member that it lacks")]
pub fn embed(context: &Context, product_link: &ProductLink, reopen: bool) -> Result<EmbedData, CallError> {
    if reopen {
        // No call accepts a configuration id, so an edit starts a new configuration.
        let text = "Twikit cannot reopen a configuration. Start a new one.";
        return Err(rejected(message("cannot-reopen", text, &[])));
    }
    let settings = Settings(context);
    let (script, origin) = settings.script()?;
    if product_link.vendor_product.trim().is_empty() {
        let text = "The product is not linked to a Twikit product key.";
        return Err(invalid_input("vendor-product", message("product-key-missing", text, &[])));
    }
    let ready = json!({ "$callback": "options-ready" });
    let mut options = json!({
        "loaded": { "$callback": "loaded" },
        "parametersReady": ready,
        "parameterReady": ready,
        "statusChanged": { "$callback": "progress" },
        "variationChanged": { "$callback": "variation-changed" },
    });
    // "#ffffff by default" and "if left blank, transparent": omitted unless set, so that the script decides.
    if let Some(color) = context.text(PREVIEW_BACKGROUND) {
        options["previewBackgroundColor"] = json!(color);
    }
    let start = json!([product_link.vendor_product, settings.locale(), { "$element": "viewer" }, options]);
    // Our own envelope, which `decode` parses: Twikit's ISaveData and the latest IVariation.
    let payload = json!({
        "configurationId": { "$result": "configurationId" },
        "previewUrl": { "$result": "previewUrl" },
        "variation": { "$event": "variation-changed" },
    });
    let preview = settings.preview_origin().filter(|preview| *preview != origin);
    let csp_origins = std::iter::once(origin).chain(preview).collect();
    let fallback =
        "This product is configured in 3D, which this browser cannot show. Please try another browser, or contact us.";
    Ok(EmbedData {
        // Every publication has its own URL, and Twikit provides no integrity value.
        scripts: vec![Asset { url: script.to_owned(), integrity: None, module: false }],
        styles: Vec::new(),
        frame: None,
        mounts: vec![mount(context, "viewer", VIEWER_SELECTOR), mount(context, "options", OPTIONS_SELECTOR)],
        supported: Some(call(
            Receiver::Page,
            &["twikit.canVisualizeForBrowser"],
            Completion::Returned,
            "[]".to_owned(),
        )),
        start: call(
            Receiver::Page,
            &["twikit.createContext", "twikit.initialize"],
            Completion::Returned,
            start.to_string(),
        ),
        events: Vec::new(),
        // `twikitContext.save(function (err, saveData))`.
        save: call(
            Receiver::Configurator,
            &["save"],
            Completion::Callback,
            json!([{ "$callback": "completed" }]).to_string(),
        ),
        payload: payload.to_string(),
        action: context.text(ACTION).unwrap_or("add-to-cart").to_owned(),
        success_page: context.text(SUCCESS_PAGE).map(str::to_owned),
        csp_origins,
        fallback: message("configurator-unavailable", fallback, &[]),
        extra: Vec::new(),
    })
}

/// Returns a mount. Without the parameters' element a shopper cannot configure, so both are required.
fn mount(context: &Context, role: &str, selector: &str) -> Mount {
    Mount { role: role.to_owned(), selector: context.text(selector).map(str::to_owned), required: true }
}

fn call(receiver: Receiver, paths: &[&str], completion: Completion, arguments: String) -> Call {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Call { receiver, paths, construct: false, completion, arguments }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{context, context_with, product_link};
    use serde_json::Value;

    fn arguments(embed: &EmbedData) -> Value {
        serde_json::from_str(&embed.start.arguments).unwrap()
    }

    #[test]
    fn both_spellings_of_the_document_are_served() {
        let embed = embed(&context(), &product_link(&["RING-S"]), false).unwrap();
        assert_eq!(embed.start.paths, ["twikit.createContext", "twikit.initialize"]);
        let expected = json!(["diamond-letter-jewel", "default", { "$element": "viewer" }, {
            "loaded": { "$callback": "loaded" },
            "parametersReady": { "$callback": "options-ready" },
            "parameterReady": { "$callback": "options-ready" },
            "statusChanged": { "$callback": "progress" },
            "variationChanged": { "$callback": "variation-changed" },
        }]);
        assert_eq!(arguments(&embed), expected);
    }

    #[test]
    fn the_script_is_asked_whether_the_browser_can_show_it() {
        let embed = embed(&context(), &product_link(&["RING-S"]), false).unwrap();
        assert_eq!(embed.supported.unwrap().paths, ["twikit.canVisualizeForBrowser"]);
        assert_eq!(embed.scripts[0].url, "https://cdn.twikit.example/plugin-41.js");
        assert_eq!(embed.csp_origins, ["https://cdn.twikit.example"]);
    }

    #[test]
    fn saving_sends_the_envelope_that_decode_reads() {
        let embed = embed(&context(), &product_link(&["RING-S"]), false).unwrap();
        assert_eq!((embed.save.receiver, embed.save.completion), (Receiver::Configurator, Completion::Callback));
        assert_eq!(
            (embed.save.paths, embed.save.arguments),
            (vec!["save".to_owned()], r#"[{"$callback":"completed"}]"#.to_owned())
        );
        let expected = json!({
            "configurationId": { "$result": "configurationId" },
            "previewUrl": { "$result": "previewUrl" },
            "variation": { "$event": "variation-changed" },
        });
        assert_eq!(serde_json::from_str::<Value>(&embed.payload).unwrap(), expected);
    }

    #[test]
    fn the_background_of_previews_is_left_out_unless_set() {
        let set = context_with(&[(PREVIEW_BACKGROUND, "#eeeeee")]);
        let embed = embed(&set, &product_link(&["RING-S"]), false).unwrap();
        assert_eq!(arguments(&embed)[3]["previewBackgroundColor"], "#eeeeee");
    }

    #[test]
    fn a_script_that_is_not_https_never_reaches_a_page() {
        for url in ["http://cdn.example/a.js", "javascript:alert(1)", "//cdn.example/a.js", ""] {
            let error = embed(&context_with(&[(SCRIPT_URL, url)]), &product_link(&["RING-S"]), false);
            assert!(matches!(error, Err(CallError::NotConfigured(issue)) if issue.field == SCRIPT_URL), "{url}");
        }
    }

    #[test]
    fn a_configuration_cannot_be_reopened() {
        let refused = embed(&context(), &product_link(&["RING-S"]), true);
        assert!(matches!(refused, Err(CallError::Rejected(message)) if message.key == "cannot-reopen"));
    }

    #[test]
    fn the_merchants_choices_reach_the_page() {
        let chosen = context_with(&[
            (ACTION, "request-quotation"),
            (SUCCESS_PAGE, "/thanks"),
            (VIEWER_SELECTOR, "#viewer"),
            (PREVIEW_URL, "https://previews.twikit.example/"),
        ]);
        let embed = embed(&chosen, &product_link(&["RING-S"]), false).unwrap();
        assert_eq!((embed.action.as_str(), embed.success_page.as_deref()), ("request-quotation", Some("/thanks")));
        assert_eq!(embed.mounts[0].selector.as_deref(), Some("#viewer"));
        assert_eq!(embed.csp_origins, ["https://cdn.twikit.example", "https://previews.twikit.example"]);
    }
}
