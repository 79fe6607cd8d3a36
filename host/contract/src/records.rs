//! The contract's records in Rust, generated from `wit/`. All use of wasmtime's `bindgen!`, which changes with every
//! release, is in this file.

#[allow(missing_docs, clippy::all)]
pub(crate) mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "everything",
        imports: {
            "cartwright:plugin/log.write": trappable,
            default: async | trappable,
        },
        exports: { default: async },
        additional_derives: [PartialEq, cartwright_json::Json],
    });
}

pub use generated::cartwright::plugin::catalog::VariantInfo;
pub use generated::cartwright::plugin::http::{Repeat, StoredBody};
pub use generated::cartwright::plugin::timer::Woken;
pub use generated::cartwright::plugin::types::*;
pub use generated::exports::cartwright::plugin::account::{Diagnosis, PageOfChoices};
pub use generated::exports::cartwright::plugin::cart::{Planned, Request as PlanRequest};
pub use generated::exports::cartwright::plugin::configuration::Decoded;
pub use generated::exports::cartwright::plugin::feed::Fetched;
pub use generated::exports::cartwright::plugin::orders::{Event, Kind as EventKind, Later, Next};
pub use generated::exports::cartwright::plugin::page::EmbedData;
pub use generated::exports::cartwright::plugin::plugin::{Identity, Strategy};
pub use generated::exports::cartwright::plugin::products::{PageOfProducts, Product};
pub use generated::exports::cartwright::plugin::settings::{Choice, ChoiceSource, Condition, Field};
pub use generated::exports::cartwright::plugin::webhooks::{
    Authentication, Endpoint, Hmac as WebhookHmac, Purpose, Received, Request as WebhookRequest,
    Response as WebhookResponse,
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_spells_cases_as_the_contract_does() {
        let price = Price {
            amount: Money { minor: 1250, scale: 2, currency: "EUR".to_owned() },
            basis: PriceBasis::Unit,
            tax: TaxBasis::AsShop,
            state: PriceState::Unverified("no reason".to_owned()),
            valid_until: None,
        };
        let spelled = json!({
            "amount": { "minor": 1250, "scale": 2, "currency": "EUR" },
            "basis": "unit",
            "tax": "as-shop",
            "state": { "unverified": "no reason" },
            "valid_until": null,
        });
        assert_eq!(serde_json::to_value(&price).unwrap(), spelled);
        assert_eq!(serde_json::from_value::<Price>(spelled).unwrap(), price);
    }
}
