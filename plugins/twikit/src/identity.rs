//! The plugin's metadata.

use cartwright_plugin::exports::plugin::{Identity, Strategy};
use cartwright_plugin::message;

use crate::plan::VARIATION;

/// Returns the plugin's metadata.
pub fn describe() -> Identity {
    Identity {
        id: "twikit".to_owned(),
        name: "Twikit Custom Integration".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        vendor: "Twikit".to_owned(),
        // The shopper's browser loads the script; this plugin itself never does.
        hosts: ["api-url", "preview-url", "script-url"].map(|name| format!("setting:{name}")).into(),
        strategies: vec![Strategy {
            name: VARIATION.to_owned(),
            title: message("strategy-variation", "The variant of the configuration", &[]),
        }],
        // Without "reopen" and "vendor-price": Twikit documents neither.
        capabilities: ["product-search", "documents"].map(str::to_owned).to_vec(),
        // For delivering to the shopper, or billing the shopper.
        grants: vec!["personal-data".to_owned()],
        extra: Vec::new(),
    }
}
