//! The contract's records in Rust: plain types with the comments of the WIT files, generated from `wit/` by `build.rs`.
//! In JSON, members are in `snake_case`, and cases in kebab-case as in WIT.

// The comments are not Markdown: they contain brackets that are no links.
#[allow(clippy::all, clippy::doc_markdown, rustdoc::all, reason = "the texts are those of wit/")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/records.rs"));
}

pub use generated::*;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_spells_cases_as_the_contract_does() {
        let price = Price {
            amount: Money { minor: 1250, scale: 2, currency: "EUR".to_owned() },
            basis: PriceBasis::Unit,
            role: PriceRole::Surcharge,
            tax: TaxBasis::AsShop,
            state: PriceState::Unverified("no reason".to_owned()),
            period: None,
            valid_until: None,
            extra: Vec::new(),
        };
        let expected = json!({
            "amount": { "minor": 1250, "scale": 2, "currency": "EUR" },
            "basis": "unit",
            "role": "surcharge",
            "tax": "as-shop",
            "state": { "unverified": "no reason" },
            "period": null,
            "valid_until": null,
            "extra": [],
        });
        assert_eq!(serde_json::to_value(&price).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Price>(expected).unwrap(), price);
    }
}
