//! Who the hook is and what the merchant sets.

use cartwright_plugin::exports::plugin::Identity;
use cartwright_plugin::exports::settings::{Choices, Field};
use cartwright_plugin::message;

/// Where orders are sent to.
pub const URL: &str = "url";
/// What the hook proves with that it is the shop's.
pub const TOKEN: &str = "token";

/// The host of the URL that the merchant sets.
const HOST: &str = "setting:url";

pub fn identity() -> Identity {
    Identity {
        id: "erp".to_owned(),
        name: "ERP".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        vendor: "Cartwright's tests".to_owned(),
        hosts: vec![HOST.to_owned()],
        strategies: Vec::new(),
        capabilities: Vec::new(),
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

pub fn fields() -> Vec<Field> {
    vec![
        field(URL, "url", "Address", "Orders are posted to it."),
        Field {
            hosts: vec![HOST.to_owned()],
            ..field(TOKEN, "secret", "Token", "Sent with every request as a bearer token.")
        },
    ]
}

fn field(name: &str, kind: &str, label: &str, help: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        label: message(&format!("{name}-label"), label, &[]),
        help: Some(message(&format!("{name}-help"), help, &[])),
        group: None,
        required: true,
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
