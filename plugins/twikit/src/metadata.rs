//! The plugin's metadata.

use cartwright_plugin::exports::metadata::PluginMetadata;
use cartwright_plugin::{named_strategy, plugin_metadata};

use crate::plan::VARIATION;

/// Returns the plugin's metadata.
pub fn describe() -> PluginMetadata {
    PluginMetadata {
        // The shopper's browser loads the script; this plugin itself never does.
        outbound_hosts: ["api-url", "preview-url", "script-url"].map(|name| format!("setting:{name}")).into(),
        strategies: vec![named_strategy(VARIATION, "The variant of the configuration")],
        // For delivering to the shopper, or billing the shopper.
        grants: vec!["personal-data".to_owned()],
        ..plugin_metadata("twikit", "Twikit Custom Integration", env!("CARGO_PKG_VERSION"), "Twikit")
    }
}
