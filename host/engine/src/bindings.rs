//! Wasmtime's bindings of the contract, which change with every release: all use of `bindgen!`, the conversions between
//! its types and the contract's records, and the links of the contract's imports to their implementations in the host.

use cartwright_contract::error::Failure;
use cartwright_contract::extras::Extras;
use cartwright_contract::records;
use wasmtime::component::{HasSelf, Linker};

pub(crate) use self::generated::cartwright::plugin::{
    blobs, catalog, http, log, order_book, outcomes, secrets, timer, types,
};
pub(crate) use self::generated::exports::cartwright::plugin as exports;
use crate::plugin::PluginVersion;
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
        // All that a plugin may export. No plugin targets this world, so it is not in the contract.
        inline: "
            package cartwright:host;

            world everything {
                include cartwright:plugin/vendor@0.1.0;
                include cartwright:plugin/has-choices@0.1.0;
                include cartwright:plugin/has-account@0.1.0;
                include cartwright:plugin/has-products@0.1.0;
                include cartwright:plugin/has-product-links@0.1.0;
                include cartwright:plugin/has-reopening@0.1.0;
                include cartwright:plugin/has-resolving@0.1.0;
                include cartwright:plugin/has-prices@0.1.0;
                include cartwright:plugin/has-cart@0.1.0;
                include cartwright:plugin/has-orders@0.1.0;
                include cartwright:plugin/has-webhooks@0.1.0;
                include cartwright:plugin/has-feed@0.1.0;
            }
        ",
        world: "cartwright:host/everything",
        imports: {
            "cartwright:plugin/log.write": trappable,
            default: async | trappable,
        },
        exports: { default: async },
    });
}

// `HOST_IMPORTS`: the imports of the contract, each with its functions.
include!(concat!(env!("OUT_DIR"), "/imports.rs"));

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

/// Converts the result of an exported function, and checks its lists `extra`. `convert` converts its value.
///
/// # Errors
/// [`Failure::ContractViolation`] if a list is refused.
pub(crate) fn from_guest<T, U: Extras>(
    plugin: &PluginVersion,
    result: Result<T, types::CallError>,
    convert: impl FnOnce(T) -> U,
) -> wasmtime::Result<Result<U, records::CallError>> {
    let result = result.map(convert).map_err(records::CallError::from);
    if let Ok(value) = &result {
        value.check_extras(plugin.id()).map_err(|fault| Failure::ContractViolation(fault.to_string()))?;
    }
    Ok(result)
}

/// Converts the result of an imported function. `convert` converts its value.
pub(crate) fn to_guest<T, U>(
    result: Result<T, records::CallError>,
    convert: impl FnOnce(T) -> U,
) -> Result<U, types::CallError> {
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
            "sku": "A", "title": "Panel", "quantity": "1.5", "unit": "MTK", "price_sku": "P", "price": money(),
            "material_sku": null, "parent": 0, "extra": [named_json()],
        })
    }

    fn attribute(kind: &str) -> Value {
        json!({
            "id": "1", "name": "Colour", "value": "Red", "value_id": "2", "key": null, "hidden": true, "kind": kind,
            "group": "Wood", "file": { "bytes": [0, 255] }, "extra": [named_json()],
        })
    }

    fn item(thumbnail: Value) -> Value {
        let attributes = ["chosen", "text", "number", "file", "other"].map(attribute);
        json!({
            "id": "7", "parent": null, "vendor_product": "1001", "title": "Ring", "quantity": 2,
            "attributes": attributes,
            "articles": [article()], "sku": null, "saved_id": "r", "thumbnail": thumbnail, "state": "{}",
            "unverified": { "reason": message(), "hold": true }, "valid_until": "2026-03-01T09:30:00Z",
            "extra": [named_json()],
        })
    }

    fn items() -> Vec<Value> {
        vec![
            item(Value::Null),
            item(json!({ "in-payload": { "offset": 3, "length": 9 } })),
            item(json!({ "url": "https://a/b.png" })),
            item(json!({ "stored": DIGEST })),
        ]
    }

    fn price(state: Value) -> Value {
        json!({
            "amount": money(), "basis": "total", "role": "surcharge", "tax": "gross", "state": state, "period": "P1M",
            "valid_until": "2026-03-01T09:30:00Z", "extra": [named_json()],
        })
    }

    fn product_link() -> Value {
        json!({
            "shop_product": "ring", "vendor_product": "1001", "additional_vendor_products": ["1002"], "preset": "p",
            "allowed_skus": ["A"], "extra": [named_json()],
        })
    }

    fn line() -> Value {
        json!({
            "key": "k", "product": "ring", "variant_id": "1", "sku": "A", "quantity": 2, "parent_key": null,
            "unit_price": money(), "configuration": DIGEST,
            "item": { "index": 1, "id": "7", "vendor_product": "1001", "saved_id": null, "fingerprint": DIGEST },
            "extra": [named_json()],
        })
    }

    fn line_request(item: Value) -> Value {
        json!({ "item": item, "quantity": 2, "extra": [named_json()] })
    }

    fn planned_line(target: Value) -> Value {
        let adjustment = json!({ "label": message(), "amount": money() });
        json!({
            "target": target, "quantity": 2, "title": "Ring", "display_fields": [{ "name": "Colour", "value": "Red" }],
            "price": { "source": "components", "adjustments": [adjustment], "ignore_case": true },
            "extra": [named_json()], "item": 0,
        })
    }

    fn settings() -> Vec<Value> {
        let values = [
            json!({ "text": "b" }),
            json!({ "integer": -3 }),
            json!({ "decimal": "-0.5" }),
            json!({ "boolean": true }),
            json!({ "money": money() }),
            json!({ "texts": ["a", "b"] }),
            json!({ "pairs": [["a", "b"]] }),
            json!("secret-is-set"),
            json!({ "other": named_json() }),
        ];
        values.into_iter().map(|value| json!({ "name": "a", "value": value })).collect()
    }

    fn outcomes() -> Vec<Value> {
        let document = |content: Value| {
            json!({ "document": {
                "line": null, "kind": "invoice", "name": "a.pdf", "media_type": "application/pdf", "content": content,
                "audience": "merchant", "extra": [named_json()],
            } })
        };
        vec![
            json!({ "note": message() }),
            json!({ "vendor-reference": { "line": "1", "reference": "x" } }),
            json!({ "line-status": { "line": "1", "status": "shipped" } }),
            json!({ "production": {
                "line": "1", "state": "done", "detail": "d", "expected": "2026-03-01T09:30:00Z", "extra": [],
            } }),
            json!({ "shipment": shipment() }),
            document(json!({ "bytes": [0, 255] })),
            document(json!({ "stored": DIGEST })),
            json!({ "bill-of-materials": { "line": "1", "articles": [article()] } }),
            json!({ "needs-merchant": message() }),
            json!({ "set-memo": { "name": "a", "value": "b" } }),
            json!({ "push-settings": settings() }),
            json!({ "forward": named_json() }),
            json!({ "other": named_json() }),
        ]
    }

    fn shipment() -> Value {
        json!({
            "id": "1", "lines": [{ "line": "1", "quantity": 1 }], "carrier": "c", "at": "2026-03-01T09:30:00Z",
            "tracking_url": null, "tracking_id": "1Z", "extra": [],
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
                "vendor_reference": null, "released": true, "total": money(),
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
            let decoded = json!({
                "items": items(), "price_from": source, "warnings": [message()], "extra": [named_json()],
            });
            converts::<records::DecodeResult, exports::configuration::DecodeResult>(decoded);
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
        converts::<records::PlanRequest, exports::cart::PlanRequest>(json!({
            "strategy": "simple", "link": product_link(), "items": items(),
            "line_requests": [line_request(json!(0)), line_request(Value::Null)], "prices": prices,
            "price_from": "vendor", "chosen_variant": "1", "cart_lines": [line()], "extra": [named_json()],
        }));
        let targets = [
            json!("linked-product"),
            json!({ "variant-id": "1" }),
            json!({ "sku": { "sku": "A", "within_product": "ring", "ignore_case": true } }),
            json!({ "text": "Engraving: Anna" }),
            json!({ "other": named_json() }),
        ];
        let child = |target: &Value| {
            json!({
                "target": target, "quantity": 3, "title": null, "display_fields": null, "priced_separately": true,
                "removal": "repriced", "extra": [],
            })
        };
        let children: Vec<Value> = targets.iter().map(child).collect();
        let bundle = json!({ "bundle": {
            "parent": planned_line(json!("linked-product")), "children": children, "extra": [named_json()],
        } });
        let set: Vec<Value> = targets.iter().cloned().map(planned_line).collect();
        let set = json!({ "set": { "lines": set, "extra": [named_json()] } });
        let mut entries: Vec<Value> =
            targets.into_iter().map(|target| json!({ "line": planned_line(target) })).collect();
        entries.extend([bundle, set, json!({ "other": named_json() })]);
        let planned = json!({ "entries": entries, "warnings": [message()], "extra": [named_json()] });
        converts::<records::PlanResult, exports::cart::PlanResult>(planned);
    }

    #[test]
    fn orders_events_and_outcomes_convert_there_and_back() {
        converts::<records::Order, types::Order>(order());
        for outcome in outcomes() {
            converts::<records::Outcome, types::Outcome>(outcome);
        }
        let refund = json!({ "lines": [{ "line": "1", "quantity": 1 }], "amount": money(), "extra": [] });
        let mut kinds = vec![
            json!({ "refunded": refund }),
            json!({ "fulfilled": shipment() }),
            json!({ "forwarded": named_json() }),
            json!({ "other": named_json() }),
        ];
        let plain = ["placed", "partly-paid", "paid", "released", "changed", "cancelled", "quote-requested"];
        kinds.extend(plain.into_iter().chain(["erase"]).map(Value::from));
        for kind in kinds {
            converts::<records::OrderEvent, exports::orders::OrderEvent>(json!({
                "id": "e", "at": "2026-03-01T09:30:00Z", "kind": kind, "order": order(), "previous_outcomes": outcomes(),
                "memos": [{ "name": "a", "value": "b" }], "extra": [named_json()],
            }));
        }
    }

    #[test]
    fn webhooks_and_feeds_convert_there_and_back() {
        let subjects = [json!("account"), json!({ "reference": "i:s:1" }), json!({ "vendor-reference": "v" })];
        let reports: Vec<Value> = outcomes()
            .into_iter()
            .zip(subjects.into_iter().cycle())
            .map(|(outcome, about)| json!({ "about": about, "outcome": outcome, "extra": [named_json()] }))
            .collect();
        converts::<records::FeedPage, exports::feed::FeedPage>(
            json!({ "reports": reports, "cursor": "c", "more": true, "extra": [named_json()] }),
        );
        converts::<records::WebhookResult, exports::webhooks::WebhookResult>(json!({
            "response": { "status": 200, "headers": [["content-type", "text/plain"]], "body": [1, 2] },
            "reports": reports, "extra": [named_json()],
        }));
        converts::<records::WebhookRequest, exports::webhooks::WebhookRequest>(json!({
            "id": "d", "received_at": "2026-03-01T09:30:00Z", "method": "POST", "headers": [["x-a", "é"]],
            "query": "a=b", "body": [0, 255], "extra": [named_json()],
        }));
        let parts = json!([{ "text": "." }, { "header": "x-time" }, "url", "method", "body"]);
        let hmac = |encoding: &str| {
            json!({ "hmac-sha256": {
                "secret": "s", "header": "x-signature", "encoding": encoding, "prefix": "sha256=", "parts": parts,
                "timestamp_header": "x-time", "tolerance_seconds": 300,
            } })
        };
        let authentications = [
            json!("address-only"),
            json!({ "secret-header": { "secret": "s", "header": "authorization", "prefix": "Bearer " } }),
            hmac("hex"),
            hmac("base64"),
            hmac("base64url"),
            json!({ "standard-webhooks": "s" }),
            json!({ "other": named_json() }),
        ];
        for (authentication, mode) in authentications.into_iter().zip(["query", "delivery"].into_iter().cycle()) {
            converts::<records::WebhookEndpoint, exports::webhooks::WebhookEndpoint>(json!({
                "name": "done", "title": message(), "mode": mode, "authentication": authentication,
                "delivery_id_header": "x-id", "networks": ["192.0.2.0/24"], "extra": [named_json()],
            }));
        }
    }

    #[test]
    fn embed_data_converts_there_and_back() {
        let call = |receiver: &str, completion: &str| {
            json!({
                "receiver": receiver, "paths": ["a.b"], "construct": true, "completion": completion, "args": "[]",
            })
        };
        for action in ["add-to-cart", "request-quote"] {
            converts::<records::EmbedData, exports::page::EmbedData>(json!({
                "scripts": [{ "url": "https://a.example/a.js", "integrity": "sha384-AAAA", "module": true }], "styles": [],
                "frame": {
                    "url": "https://a.example", "title": message(), "allow": ["fullscreen"],
                    "sandbox": ["allow-scripts"], "origin": "https://a.example",
                },
                "mounts": [{ "role": "viewer", "selector": "#viewer", "required": true }],
                "supported": call("page", "return-value"), "start": call("page", "promise"), "save": call("configurator", "callback"),
                "events": [{ "name": "saved", "name_in": ["action"], "value_in": "argument", "meaning": "completed" }],
                "payload": "{}", "action": action, "success_page": "/cart",
                "allowed_origins": [{
                    "origin": "https://a.example",
                    "uses": ["scripts", "styles", "images", "connections", "frames", "fonts"],
                }],
                "fallback": message(), "extra": [named_json()],
            }));
        }
    }

    #[test]
    fn contexts_and_errors_convert_there_and_back() {
        let euro = json!({ "code": "EUR", "scale": 2 });
        let visitor = json!({ "currency": euro, "country": "NL", "region": "NB", "customer_groups": ["b2b", "vip"] });
        for (rounding, visitor) in [("half-up", visitor), ("half-even", Value::Null)] {
            let shop = json!({
                "id": "s", "currencies": [euro, { "code": "JPY", "scale": 0 }], "base_country": "NL",
                "prices_include_tax": true, "rounding": rounding, "time_zone": "Europe/Amsterdam",
            });
            converts::<records::Context, types::Context>(json!({
                "shop": shop, "account": "a", "visitor": visitor, "locale": "en", "now": "2026-03-01T09:30:00Z",
                "settings": settings(), "grants": ["personal-data"], "extra": [named_json()],
            }));
        }
        let issue = json!({ "field": "items[0]", "message": message(), "blocking": true });
        let errors = [
            json!({ "invalid-input": issue }),
            json!({ "not-configured": issue }),
            json!({ "unavailable": { "retry_after_seconds": 3, "detail": "away" } }),
            json!({ "rejected": message() }),
            json!({ "denied": { "what": "grant:personal-data", "text": "d" } }),
            json!({ "limit-exceeded": { "what": "limit:bytes-in", "text": "l" } }),
            json!({ "internal": "i" }),
            json!({ "other": named_json() }),
        ];
        for error in errors {
            converts::<records::CallError, types::CallError>(error);
        }
    }
}
