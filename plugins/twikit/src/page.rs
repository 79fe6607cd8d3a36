//! Puts Twikit's script on a product page (JavaScript Plugin).
//!
//! The document contradicts itself twice: its parameter table lists `createContext` and `parametersReady`, its example
//! `initialize` and `parameterReady`. The page calls whichever function the script has, with both callbacks.

use cartwright_plugin::exports::page::{
    AllowedOrigin, Asset, Completion, EmbedData, Mount, OriginUse, PageAction, PageCall, Receiver,
};
use cartwright_plugin::types::{Context, ProductLink};
use cartwright_plugin::{CallError, ContextExt, invalid_input, message};
use serde_json::json;

use crate::fields::*;
use crate::settings::Settings;

/// Uses of the script's origin. Twikit does not document what the script loads; from its own origin it may load anything but a
/// frame.
const SCRIPT: &[OriginUse] =
    &[OriginUse::Scripts, OriginUse::Styles, OriginUse::Images, OriginUse::Connections, OriginUse::Fonts];

/// Returns the embed data of a linked product. A stored configuration cannot be reopened, because no call of the script
/// accepts a configuration id.
#[allow(clippy::indexing_slicing, reason = "a JSON object inserts a member that it lacks")]
pub fn embed(context: &Context, product_link: &ProductLink) -> Result<EmbedData, CallError> {
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
    // The script's origin has the use already.
    let preview = settings.preview_origin().filter(|preview| *preview != origin);
    let mut allowed_origins = vec![AllowedOrigin { origin, uses: SCRIPT.to_vec() }];
    allowed_origins.extend(preview.map(|origin| AllowedOrigin { origin, uses: vec![OriginUse::Images] }));
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
            Completion::ReturnValue,
            "[]".to_owned(),
        )),
        start: Some(call(
            Receiver::Page,
            &["twikit.createContext", "twikit.initialize"],
            Completion::ReturnValue,
            start.to_string(),
        )),
        events: Vec::new(),
        // `twikitContext.save(function (err, saveData))`.
        save: Some(call(
            Receiver::Configurator,
            &["save"],
            Completion::Callback,
            json!([{ "$callback": "completed" }]).to_string(),
        )),
        payload: payload.to_string(),
        action: match context.text(ACTION) {
            Some("request-quote") => PageAction::RequestQuote,
            _ => PageAction::AddToCart,
        },
        success_page: context.text(SUCCESS_PAGE).map(str::to_owned),
        allowed_origins,
        fallback: message("configurator-unavailable", fallback, &[]),
        extra: Vec::new(),
    })
}

/// Returns a mount. Without the parameters' element a shopper cannot configure, so both are required.
fn mount(context: &Context, role: &str, selector: &str) -> Mount {
    Mount { role: role.to_owned(), selector: context.text(selector).map(str::to_owned), required: true }
}

fn call(receiver: Receiver, paths: &[&str], completion: Completion, args: String) -> PageCall {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    PageCall { receiver, paths, construct: false, completion, args }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{context, context_with, product_link};
    use serde_json::Value;

    fn origins(embed: &EmbedData) -> Vec<(&str, &[OriginUse])> {
        embed.allowed_origins.iter().map(|allowed| (allowed.origin.as_str(), allowed.uses.as_slice())).collect()
    }

    fn arguments(embed: &EmbedData) -> Value {
        serde_json::from_str(&embed.start.as_ref().unwrap().args).unwrap()
    }

    #[test]
    fn both_spellings_of_the_document_are_served() {
        let embed = embed(&context(), &product_link(&["RING-S"])).unwrap();
        assert_eq!(embed.start.as_ref().unwrap().paths, ["twikit.createContext", "twikit.initialize"]);
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
        let embed = embed(&context(), &product_link(&["RING-S"])).unwrap();
        assert_eq!(embed.supported.as_ref().unwrap().paths, ["twikit.canVisualizeForBrowser"]);
        assert_eq!(embed.scripts[0].url, "https://cdn.twikit.example/plugin-41.js");
        assert_eq!(origins(&embed), [("https://cdn.twikit.example", SCRIPT)]);
    }

    #[test]
    fn saving_sends_the_envelope_that_decode_reads() {
        let embed = embed(&context(), &product_link(&["RING-S"])).unwrap();
        let save = embed.save.unwrap();
        assert_eq!((save.receiver, save.completion), (Receiver::Configurator, Completion::Callback));
        assert_eq!((save.paths, save.args), (vec!["save".to_owned()], r#"[{"$callback":"completed"}]"#.to_owned()));
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
        let embed = embed(&set, &product_link(&["RING-S"])).unwrap();
        assert_eq!(arguments(&embed)[3]["previewBackgroundColor"], "#eeeeee");
    }

    #[test]
    fn a_script_that_is_not_https_never_reaches_a_page() {
        for url in ["http://cdn.example/a.js", "javascript:alert(1)", "//cdn.example/a.js", ""] {
            let error = embed(&context_with(&[(SCRIPT_URL, url)]), &product_link(&["RING-S"]));
            assert!(matches!(error, Err(CallError::NotConfigured(issue)) if issue.field == SCRIPT_URL), "{url}");
        }
    }

    #[test]
    fn the_merchants_choices_reach_the_page() {
        let chosen = context_with(&[
            (ACTION, "request-quote"),
            (SUCCESS_PAGE, "/thanks"),
            (VIEWER_SELECTOR, "#viewer"),
            (PREVIEW_URL, "https://previews.twikit.example/"),
        ]);
        let embed = embed(&chosen, &product_link(&["RING-S"])).unwrap();
        assert_eq!((embed.action, embed.success_page.as_deref()), (PageAction::RequestQuote, Some("/thanks")));
        assert_eq!(embed.mounts[0].selector.as_deref(), Some("#viewer"));
        let images = [OriginUse::Images];
        let expected = [("https://cdn.twikit.example", SCRIPT), ("https://previews.twikit.example", images.as_slice())];
        assert_eq!(origins(&embed), expected);
    }
}
