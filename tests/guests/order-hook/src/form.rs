//! The metadata of the hook, and the merchant's settings.

use cartwright_plugin::exports::metadata::PluginMetadata;
use cartwright_plugin::exports::settings::Field;
use cartwright_plugin::{FieldExt, field, plugin_metadata};

/// The URL that receives orders.
pub const URL: &str = "url";
/// The token that authenticates the shop.
pub const TOKEN: &str = "token";

/// The host of the URL that the merchant sets.
const HOST: &str = "setting:url";

pub fn metadata() -> PluginMetadata {
    PluginMetadata {
        outbound_hosts: vec![HOST.to_owned()],
        // To deliver to the shopper.
        grants: vec!["personal-data".to_owned()],
        ..plugin_metadata("erp", "ERP", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
    }
}

pub fn fields() -> Vec<Field> {
    vec![
        field(URL, "url", "Address").help("Orders are posted to it.").required(),
        field(TOKEN, "secret", "Token")
            .help("Sent with every request as a bearer token.")
            .required()
            .outbound_host(HOST)
            .secret_use("bearer"),
    ]
}
