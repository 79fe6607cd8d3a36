//! Wasmtime's bindings of the contract, which change with every release: all use of `bindgen!`, the conversions between
//! its types and the contract's records, and the links of the contract's imports to their implementations in the host.

use cartwright_contract::records;
use wasmtime::component::{HasSelf, Linker};

pub(crate) use self::generated::cartwright::plugin::{
    blobs, catalog, http, log, order_book, outcomes, secrets, timer, types,
};
pub(crate) use self::generated::exports::cartwright::plugin as exports;
use crate::state::GuestState;

#[allow(
    dead_code,
    missing_docs,
    clippy::all,
    clippy::doc_markdown,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic
)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "everything",
        imports: {
            "cartwright:plugin/log.write": trappable,
            default: async | trappable,
        },
        exports: { default: async },
    });
}

#[allow(clippy::all)]
mod conversions {
    use cartwright_contract::records;

    use super::generated;

    include!(concat!(env!("OUT_DIR"), "/conversions.rs"));
}

/// Converts the elements of a list.
pub(crate) fn convert_list<T: Into<U>, U>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(Into::into).collect()
}

/// Converts the result of an exported function. `convert` converts its value.
pub(crate) fn from_guest<T, U>(
    result: Result<T, types::Error>,
    convert: impl FnOnce(T) -> U,
) -> Result<U, records::Error> {
    result.map(convert).map_err(Into::into)
}

/// Converts the result of an imported function. `convert` converts its value.
pub(crate) fn to_guest<T, U>(
    result: Result<T, records::Error>,
    convert: impl FnOnce(T) -> U,
) -> Result<U, types::Error> {
    result.map(convert).map_err(Into::into)
}

/// Links all imports of the contract.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type State = HasSelf<GuestState>;
    log::add_to_linker::<_, State>(linker, |state| state)?;
    http::add_to_linker::<_, State>(linker, |state| state)?;
    secrets::add_to_linker::<_, State>(linker, |state| state)?;
    catalog::add_to_linker::<_, State>(linker, |state| state)?;
    order_book::add_to_linker::<_, State>(linker, |state| state)?;
    blobs::add_to_linker::<_, State>(linker, |state| state)?;
    outcomes::add_to_linker::<_, State>(linker, |state| state)?;
    timer::add_to_linker::<_, State>(linker, |state| state)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    /// Reads a record from JSON, and converts it into wasmtime's type and back.
    fn converts<Record, Binding>(json: Value)
    where
        Record: Clone + Debug + DeserializeOwned + From<Binding> + PartialEq,
        Binding: From<Record>,
    {
        let record: Record = serde_json::from_value(json).unwrap();
        assert_eq!(Record::from(Binding::from(record.clone())), record);
    }

    fn money() -> Value {
        json!({ "minor": 1250, "scale": 2, "currency": "EUR" })
    }

    fn message() -> Value {
        json!({ "key": "sku-unknown", "parameters": [["sku", "R-L"]], "text": "No such SKU." })
    }

    fn named_json() -> Value {
        json!({ "name": "a", "json": "{}" })
    }

    fn article() -> Value {
        json!({
            "sku": "A", "quantity": "1.5", "price_sku": "P", "price": money(), "material_sku": null, "extra": [named_json()],
        })
    }

    fn item(thumbnail: Value) -> Value {
        json!({
            "id": "7", "parent": null, "vendor_product": "1001",
            "attributes": [{
                "id": "1", "name": "Colour", "value": "Red", "value_id": "2", "key": null, "hidden": true, "kind": "option",
            }],
            "articles": [article()], "sku": null, "reference": "r", "thumbnail": thumbnail, "state": "{}",
            "unverified": { "reason": message(), "hold": true }, "extra": [named_json()],
        })
    }

    fn items() -> Vec<Value> {
        vec![
            item(Value::Null),
            item(json!({ "in-payload": { "offset": 3, "length": 9 } })),
            item(json!({ "url": "https://a/b.png" })),
        ]
    }

    fn price(state: Value) -> Value {
        json!({
            "amount": money(), "basis": "total", "tax": "gross", "state": state, "valid_until": "2026-03-01T09:30:00Z",
        })
    }

    fn association() -> Value {
        json!({
            "shop_product": "ring", "vendor_product": "1001", "other_vendor_products": ["1002"], "preset": "p",
            "allowed_skus": ["A"],
        })
    }

    fn line() -> Value {
        json!({
            "key": "k", "product": "ring", "variant_id": "1", "sku": "A", "quantity": 2, "parent_key": null,
            "unit_price": money(), "configuration": DIGEST,
            "item": { "index": 1, "id": "7", "vendor_product": "1001", "reference": null, "fingerprint": DIGEST },
        })
    }

    fn new_line(target: Value) -> Value {
        let adjustment = json!({ "label": message(), "amount": money() });
        json!({
            "target": target, "quantity": 2, "title": "Ring", "shown": [{ "name": "Colour", "value": "Red" }],
            "price": { "source": "components", "adjustments": [adjustment], "ignore_case": true },
            "extra": [named_json()], "item": 0,
        })
    }

    fn settings() -> Vec<Value> {
        let values = [
            json!({ "text": "b" }),
            json!({ "integer": -3 }),
            json!({ "decimal": "-0.5" }),
            json!({ "yes-no": true }),
            json!({ "money": money() }),
            json!({ "texts": ["a", "b"] }),
            json!({ "pairs": [["a", "b"]] }),
            json!("secret-is-set"),
        ];
        values.into_iter().map(|value| json!({ "name": "a", "value": value })).collect()
    }

    fn outcomes() -> Vec<Value> {
        let document = |content: Value| {
            json!({ "document": {
                "line": null, "kind": "invoice", "name": "a.pdf", "media_type": "application/pdf", "content": content,
            } })
        };
        vec![
            json!({ "note": message() }),
            json!({ "vendor-reference": { "line": "1", "reference": "x" } }),
            json!({ "line-status": { "line": "1", "status": "shipped" } }),
            json!({ "production": { "line": "1", "state": "done", "detail": "d", "expected": "2026-03-01T09:30:00Z" } }),
            json!({ "shipment": shipment() }),
            document(json!({ "inline": [0, 255] })),
            document(json!({ "stored": DIGEST })),
            json!({ "bill-of-materials": { "line": "1", "articles": [article()] } }),
            json!({ "needs-merchant": message() }),
            json!({ "remember": { "name": "a", "value": "b" } }),
            json!({ "push-settings": settings() }),
            json!({ "hand-on": named_json() }),
            json!({ "other": named_json() }),
        ]
    }

    fn shipment() -> Value {
        json!({
            "id": "1", "lines": [{ "line": "1", "quantity": 1 }], "carrier": "c", "at": "2026-03-01T09:30:00Z",
            "tracking_url": null, "tracking_id": "1Z",
        })
    }

    fn order() -> Value {
        let address = json!({
            "name": "A B", "first_name": "A", "last_name": null, "email": "a@example.com", "line1": "1", "line2": null,
            "zip": "1", "city": "C", "region": "R", "country": "NL", "company": null, "vat": "V", "phone": null,
            "extra": [named_json()],
        });
        json!({
            "id": "1", "number": "#1", "locale": "en", "currency": "EUR", "reference": "i:s:1", "customer": "c", "test": true,
            "vendor_reference": "v", "version": 3, "placed_at": "2026-03-01T09:30:00Z", "paid": money(),
            "refunded": money(), "released": true, "cancelled": false, "total": money(), "tax_amount": money(),
            "shipping": { "title": "Post", "amount": money(), "tax": "gross" }, "billing": address, "delivery": null, "shop_address": address,
            "lines": [{
                "id": "1", "reference": "i:s:1:1", "account": "expivi", "cart_line": line(),
                "quantities": { "ordered": 4, "cancelled": 1, "refunded": 1, "shipped": 2 }, "title": "Ring",
                "display_fields": [{ "name": "Colour", "value": "Red" }], "configuration": DIGEST, "status": "ordered",
                "vendor_reference": null, "released": true, "bill_of_materials": [article()], "total": money(),
                "tax": "net", "tax_amount": money(), "extra": [named_json()],
            }],
            "extra": [named_json()],
        })
    }

    #[test]
    fn items_and_decode_results_convert_there_and_back() {
        for item in items() {
            converts::<records::Item, types::Item>(item);
        }
        for source in ["platform", "vendor", "components"] {
            let decoded = json!({ "items": items(), "price_from": source, "warnings": [message()] });
            converts::<records::Decoded, exports::configuration::Decoded>(decoded);
        }
    }

    #[test]
    fn requests_and_plans_of_a_strategy_convert_there_and_back() {
        let prices = [
            Value::Null,
            price(json!("verified")),
            price(json!({ "unverified": "no reason" })),
            price(json!({ "mismatch": money() })),
        ];
        converts::<records::PlanRequest, exports::cart::Request>(json!({
            "strategy": "simple", "association": association(), "items": items(),
            "wanted": [{ "item": 0, "quantity": 2 }, { "item": null, "quantity": 1 }], "prices": prices,
            "price_from": "vendor", "chosen_variant": "1", "lines": [line()], "extra": [named_json()],
        }));
        let targets = [
            json!("linked-product"),
            json!({ "variant-id": "1" }),
            json!({ "sku": { "sku": "A", "within_product": "ring", "ignore_case": true } }),
            json!({ "text": "Engraving: Anna" }),
        ];
        let child = |target: &Value| {
            json!({
                "target": target, "quantity": 3, "title": null, "shown": null, "on_top": true, "removal": "repriced",
                "extra": [],
            })
        };
        let children: Vec<Value> = targets.iter().map(child).collect();
        let bundle = json!({ "bundle": { "parent": new_line(json!("linked-product")), "children": children } });
        let mut pieces: Vec<Value> = targets.into_iter().map(|target| json!({ "line": new_line(target) })).collect();
        pieces.extend([bundle, json!({ "other": named_json() })]);
        let planned = json!({ "pieces": pieces, "warnings": [message()] });
        converts::<records::Planned, exports::cart::Planned>(planned);
    }

    #[test]
    fn orders_events_and_outcomes_convert_there_and_back() {
        converts::<records::Order, types::Order>(order());
        for outcome in outcomes() {
            converts::<records::Outcome, types::Outcome>(outcome);
        }
        let refund = json!({ "lines": [{ "line": "1", "quantity": 1 }], "amount": money() });
        let mut kinds = vec![
            json!({ "refunded": refund }),
            json!({ "fulfilled": shipment() }),
            json!({ "scheduled": "daily" }),
            json!({ "message": named_json() }),
            json!({ "other": named_json() }),
        ];
        let plain = ["placed", "partly-paid", "paid", "released", "changed", "cancelled", "quotation-requested"];
        kinds.extend(plain.into_iter().chain(["configuration-saved", "erase"]).map(Value::from));
        for kind in kinds {
            converts::<records::Event, exports::orders::Event>(json!({
                "id": "e", "at": "2026-03-01T09:30:00Z", "kind": kind, "order": order(), "earlier": outcomes(),
                "remembered": [{ "name": "a", "value": "b" }], "extra": [named_json()],
            }));
        }
        let attributed: Vec<Value> = outcomes().into_iter().map(|outcome| json!(["i:s:1", outcome])).collect();
        converts::<records::Fetched, exports::feed::Fetched>(
            json!({ "outcomes": attributed, "cursor": "c", "more": true }),
        );
        converts::<records::Received, exports::webhooks::Received>(json!({
            "response": { "status": 200, "headers": [["content-type", "text/plain"]], "body": [1, 2] },
            "outcomes": [[null, { "note": message() }]],
        }));
    }

    #[test]
    fn contexts_and_errors_convert_there_and_back() {
        for rounding in ["half-up", "half-even"] {
            converts::<records::Context, types::Context>(json!({
                "shop": "s", "account": "a", "locale": "en", "currency": "EUR", "scale": 2, "country": "NL",
                "customer_group": null, "prices_include_tax": true, "rounding": rounding, "at": "2026-03-01T09:30:00Z",
                "settings": settings(), "settings_revision": 7, "grants": ["personal-data"], "extra": [named_json()],
            }));
        }
        let issue = json!({ "field": "items[0]", "message": message(), "blocking": true });
        let errors = [
            json!({ "invalid-input": issue }),
            json!({ "not-configured": issue }),
            json!({ "unavailable": { "retry_after_seconds": 3, "detail": "away" } }),
            json!({ "rejected": message() }),
            json!({ "denied": "d" }),
            json!({ "limit-exceeded": "l" }),
            json!("unsupported"),
            json!({ "internal": "i" }),
        ];
        for error in errors {
            converts::<records::Error, types::Error>(error);
        }
    }
}
