//! The schemas describe exactly the JSON that serde writes and reads.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
#![cfg(feature = "openapi")]
// The samples are created outside of test functions, where clippy does not recognize them as tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use cartwright::durable::{Call, DeterminismFault, ResponsibleParty, RetryCounters, StopReason, UnansweredRequest};
use cartwright::health::{Circuit, CircuitRules, RateLimitRules};
use cartwright::openapi::complete;
use cartwright::types::{
    self, EmbedData, Field, FieldIssue, Message, Order, OrderEvent, Outcome, PlanResult, VariantInfo,
};
use cartwright::webhook::Destination;
use cartwright::{
    AccountId, AccountSetup, Breach, CartChange, CartError, CartOperation, Digest, EmittedOutcomes, Failure, Form,
    Grants, Hook, HookError, InstallError, Interface, Limits, LineCheck, LineState, LogLine, PageError, Pin,
    PluginMetadata, ProductLink, ProductReadiness, Readiness, ReleasePolicy, SealError, SetupError, Shop, ShopId,
    StrategyChoice, UnverifiedLine, VersionSwitch, Visitor, World,
};
use jsonschema::Validator;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::openapi::{Components, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

fn listed<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut listed = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut listed);
    listed
}

fn validator<T: ToSchema>() -> Validator {
    let mut components = Components::new();
    components.schemas = listed::<T>().into_iter().collect();
    complete(&mut components);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{}", T::name()),
        "components": components,
    });
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Checks that everything written matches the schema.
fn writes<T: ToSchema + Serialize>(values: &[T]) {
    let validator = validator::<T>();
    for value in values {
        let json = serde_json::to_value(value).unwrap();
        let faults: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{}: {faults:#?}\n{json:#}", T::name());
    }
}

/// Checks that everything read matches the schema, and that serde refuses what the schema refuses: the sample, and the
/// sample with any one member or element removed, emptied, of another type, out of range, or with one more member.
fn reads<T: ToSchema + DeserializeOwned>(samples: &[Value]) {
    let validator = validator::<T>();
    for sample in samples {
        let read = |json: &Value| serde_json::from_value::<T>(json.clone()).map(drop);
        assert!(validator.is_valid(sample), "{}: {:?}\n{sample:#}", T::name(), validator.validate(sample));
        read(sample).unwrap();
        for changed in changes(sample) {
            let (emitted, read) = (validator.validate(&changed).map(drop), read(&changed));
            assert_eq!(emitted.is_ok(), read.is_ok(), "{}: {emitted:?}, {read:?}\n{changed:#}", T::name());
        }
    }
}

fn round<T: ToSchema + Serialize + DeserializeOwned>(samples: &[Value]) {
    reads::<T>(samples);
    let values: Vec<T> = samples.iter().map(|sample| serde_json::from_value(sample.clone()).unwrap()).collect();
    writes(&values);
}

fn changes(value: &Value) -> Vec<Value> {
    let mut changed = match value {
        Value::Null => vec![],
        Value::Bool(_) => vec![Value::Null, json!("true")],
        Value::Number(_) => vec![Value::Null, json!("1"), json!(-1), json!(300), json!(1_u64 << 40), json!(1.5)],
        Value::String(_) => vec![Value::Null, json!(1), json!({})],
        Value::Array(_) => vec![Value::Null, json!({}), json!([])],
        // Not a list: serde also accepts a list for a record, member by member, which is not documented.
        Value::Object(_) => vec![Value::Null, json!(1), json!({})],
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let mut without = members.clone();
                without.remove(name);
                changed.push(without.into());
                for inner in changes(member) {
                    let mut with = members.clone();
                    with.insert(name.clone(), inner);
                    changed.push(with.into());
                }
            }
            let mut more = members.clone();
            more.insert("one_more".to_owned(), json!("x"));
            changed.push(more.into());
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for inner in changes(item) {
                    let mut with = items.clone();
                    with[at] = inner;
                    changed.push(with.into());
                }
            }
        }
        _ => {}
    }
    changed
}

const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn money() -> Value {
    json!({ "minor": 1250, "scale": 2, "currency": "EUR" })
}

fn message() -> Value {
    json!({ "key": "sku-unknown", "parameters": [["sku", "R-L"]], "text": "No such SKU." })
}

fn issue() -> FieldIssue {
    let message: Message = serde_json::from_value(message()).unwrap();
    FieldIssue { field: "items[0]".to_owned(), message, blocking: true }
}

fn article() -> Value {
    json!({
        "sku": "A", "title": null, "quantity": "1.5", "unit": "MTK", "price_sku": null, "price": money(),
        "material_sku": "M", "parent": null,
        "extra": [{ "name": "a", "json": "{}" }],
    })
}

fn pin() -> Value {
    json!({
        "account": "expivi", "plugin": "expivi", "digest": DIGEST, "strategy_account": "expivi", "strategy_digest": DIGEST,
        "strategy": "single-line",
    })
}

fn cart_line() -> Value {
    json!({
        "key": DIGEST, "product": "ring", "variant_id": "1", "sku": null, "title": "Ring", "quantity": 2, "parent": null,
        "per_bundle": null, "child_removal": "refused", "children": [DIGEST], "part": DIGEST, "without": [DIGEST],
        "shown": [{ "name": "Colour", "value": "Red" }],
        "price": {
            "unit": money(), "total": money(), "tax": "as-shop", "source": "platform", "state": { "unverified": "no" },
            "included_in_parent": false, "expires": "2026-03-01T09:30:00Z",
            "adjustments": [{ "label": message(), "amount": money() }], "seal": "abc",
        },
        "configuration": DIGEST, "item": 0, "item_id": "7", "fingerprint": DIGEST, "thumbnail": DIGEST,
        "bill_of_materials": [article()], "vendor_product": "1001", "reference": null,
        "unconfirmed": { "reason": message(), "hold": true }, "linked_product": "ring", "requested_quantity": 2,
        "chosen_variant": null, "pin": pin(),
    })
}

fn order() -> Value {
    let address = json!({
        "name": "A B", "first_name": "A", "last_name": "B", "email": null, "line1": "1", "line2": null, "zip": "1", "city": "C", "region": null,
        "country": "NL", "company": null, "vat": null, "phone": null, "extra": [],
    });
    json!({
        "id": "1", "number": "#1", "locale": "en", "currency": "EUR", "reference": "i:s:1", "customer": null, "test": false,
        "vendor_reference": null, "version": 3, "placed_at": "2026-03-01T09:30:00Z", "paid": money(), "refunded": money(),
        "released": true, "cancelled": false, "total": money(), "tax_amount": money(),
        "shipping": { "title": "Post", "amount": money(), "tax": "gross" }, "billing": address, "delivery": null,
        "shop_address": null,
        "lines": [{
            "id": "1", "reference": "i:s:1:1", "account": "expivi",
            "cart_line": {
                "key": DIGEST, "product": "ring", "variant_id": null, "sku": null, "quantity": 1, "parent_key": null,
                "unit_price": money(), "configuration": DIGEST,
                "item": { "index": 0, "id": null, "vendor_product": "1", "saved_id": null, "fingerprint": DIGEST },
                "extra": [],
            },
            "quantities": { "ordered": 3, "cancelled": 1, "refunded": 1, "shipped": 1 }, "title": "Ring",
            "display_fields": [], "configuration": null, "status": "ordered", "vendor_reference": null, "released": true,
            "total": money(), "tax": "net", "tax_amount": null, "extra": [],
        }],
        "extra": [],
    })
}

fn hook_error(failure: Failure) -> HookError {
    let log = vec![LogLine { level: "info".into(), text: "hello".to_owned() }];
    let outcomes: Vec<Outcome> = outcomes().into_iter().map(|o| serde_json::from_value(o).unwrap()).collect();
    let emitted = Box::new(EmittedOutcomes { outcomes, log });
    HookError { plugin: "expivi".parse().unwrap(), hook: Hook::HandleOrder, failure, emitted }
}

fn outcomes() -> Vec<Value> {
    let document = |content: Value| {
        json!({ "document": {
            "line": null, "kind": "invoice", "name": "a.pdf", "media_type": "application/pdf", "content": content,
            "audience": "merchant", "extra": [],
        } })
    };
    vec![
        json!({ "note": message() }),
        json!({ "vendor-reference": { "line": null, "reference": "x" } }),
        json!({ "line-status": { "line": "1", "status": "shipped" } }),
        json!({ "production": {
            "line": "1", "state": "done", "detail": null, "expected": "2026-03-01T09:30:00Z", "extra": [],
        } }),
        json!({ "shipment": {
            "id": null, "lines": [{ "line": "1", "quantity": 1 }], "carrier": null, "at": null, "tracking_url": null,
            "tracking_id": "1Z", "extra": [],
        } }),
        document(json!({ "bytes": [0, 255] })),
        document(json!({ "stored": DIGEST })),
        json!({ "bill-of-materials": { "line": "1", "articles": [article()] } }),
        json!({ "needs-merchant": message() }),
        json!({ "set-memo": { "name": "a", "value": "b" } }),
        json!({ "push-settings": [
            { "name": "a", "value": { "text": "b" } }, { "name": "b", "value": { "pairs": [["a", "b"]] } },
            { "name": "c", "value": "secret-is-set" }, { "name": "d", "value": { "decimal": "-0.5" } },
            { "name": "e", "value": { "boolean": true } }, { "name": "f", "value": { "money": money() } },
            { "name": "g", "value": { "integer": -3 } }, { "name": "h", "value": { "texts": ["a"] } },
            { "name": "i", "value": { "other": { "name": "a", "json": "1" } } },
        ] }),
        json!({ "forward": { "name": "a", "json": "1" } }),
    ]
}

fn embed_data() -> Value {
    let call = json!({
        "receiver": "page", "paths": ["x.y"], "construct": true, "completion": "promise", "args": "[]",
    });
    json!({
        "scripts": [{ "url": "https://a/b.js", "integrity": null, "module": true }], "styles": [],
        "frame": {
            "url": "https://a", "title": message(), "allow": ["fullscreen"], "sandbox": ["allow-scripts"],
            "origin": "https://a",
        },
        "mounts": [{ "role": "viewer", "selector": null, "required": true }], "supported": null, "start": call,
        "events": [{ "name": "change", "name_in": ["action"], "value_in": null, "meaning": "changed" }], "save": null,
        "payload": "json", "action": "add-to-cart", "success_page": null,
        "allowed_origins": [{ "origin": "https://a", "uses": ["scripts", "frames"] }], "fallback": message(),
        "extra": [],
    })
}

fn field() -> Value {
    json!({
        "name": "colour", "kind": "select", "label": message(), "help": null, "group": message(), "required": true,
        "placeholder": message(), "advanced": true, "shown_on_page": false,
        "pattern": null, "minimum": "0.5", "maximum": null, "default_value": { "text": "red" },
        "choices": { "fixed": [{ "value": "red", "label": message(), "extra": [] }] },
        "enabled_when": { "field": "other", "one_of": ["on"] }, "per_product": true, "vendor_can_change": false, "outbound_hosts": [],
        "uses": [], "extra": [],
    })
}

fn identity() -> Value {
    json!({
        "id": "expivi", "name": "Expivi", "version": "1.0.0", "publisher": "Expivi", "outbound_hosts": ["expivi.net"],
        "strategies": [{ "name": "single-line", "title": message(), "extra": [] }], "grants": [], "extra": [],
    })
}

fn endpoint() -> Value {
    json!({
        "name": "orders", "title": message(), "mode": "delivery",
        "authentication": { "hmac-sha256": {
            "secret": "s", "header": "x", "encoding": "hex", "prefix": "", "parts": ["method", { "text": "." }, "body"],
            "timestamp_header": null, "tolerance_seconds": 300,
        } },
        "delivery_id_header": null, "networks": ["192.0.2.0/24"], "extra": [],
    })
}

#[test]
fn carts_lines_and_their_checks() {
    let change = json!({
        "operations": [
            { "operation": "add", "lines": [cart_line()] },
            { "operation": "replace", "key": DIGEST, "lines": [cart_line()] },
            { "operation": "update", "lines": [] },
            { "operation": "remove", "keys": [DIGEST] },
            { "operation": "request-quotation", "lines": [] },
        ],
        "warnings": [message()],
        "stages": [{ "stage": "plan", "duration_micros": 12, "result": "one line", "log": [{ "level": "info", "text": "x" }] }],
    });
    let mut quiet = change.clone();
    quiet["operations"] = json!([]);
    quiet["stages"] = json!([{ "stage": "plan", "duration_micros": 12, "result": "one line" }]);
    round::<CartChange>(&[change, quiet]);
    let state = |state: Value| json!({ "key": DIGEST, "state": state, "lines": [] });
    round::<LineCheck>(&[
        state(json!({ "state": "ok" })),
        state(json!({ "state": "price-changed", "old": money(), "new": money() })),
        state(json!({ "state": "unavailable", "reason": "sold out" })),
        state(json!({ "state": "must-reconfigure", "reason": "gone" })),
    ]);
}

#[test]
fn orders_events_and_outcomes() {
    round::<Order>(&[order()]);
    round::<Outcome>(&outcomes());
    let event = |kind: Value| {
        json!({
            "id": "e", "at": "2026-03-01T09:30:00Z", "kind": kind, "order": order(), "previous_outcomes": outcomes(),
            "memos": [{ "name": "a", "value": "b" }], "extra": [],
        })
    };
    round::<OrderEvent>(&[event(json!("placed")), event(json!({ "forwarded": { "name": "a", "json": "1" } }))]);
}

#[test]
fn embed_data_and_page_events() {
    round::<EmbedData>(&[embed_data()]);
}

#[test]
fn shops_accounts_and_product_links() {
    reads::<Shop>(&[
        json!({ "id": "rings", "currencies": [{ "code": "EUR", "scale": 2 }], "seal_key": "32 random bytes, kept by the platform" }),
        json!({
            "id": "rings", "currencies": [{ "code": "EUR", "scale": 2 }], "seal_key": "32 random bytes, kept by the platform", "locale": "nl",
            "prices_include_tax": true, "rounding": "half-even", "seal_seconds": 60, "pin_seconds": 60,
            "sell_unconfigured": true, "release": "by-hand",
        }),
    ]);
    let grants = json!({
        "hosts": ["expivi.net"], "plain_http": [], "networks": ["10.0.0.0/8", "fd00::/8"], "webhook_source_networks": [],
        "personal_data": true, "adjust_prices": false, "choose_price_source": false, "feed_interval_seconds": 60,
    });
    round::<Grants>(&[grants.clone(), json!({})]);
    reads::<AccountSetup>(&[
        json!({ "id": "expivi" }),
        json!({ "id": "expivi", "settings": { "token": "x" }, "grants": grants }),
    ]);
    round::<ProductLink>(&[
        json!({ "shop_product": "ring", "account": "expivi", "vendor_product": "1001" }),
        json!({
            "shop_product": "ring", "account": "expivi", "vendor_product": "1001", "additional_vendor_products": ["1"],
            "preset": "p", "allowed_skus": ["a"], "settings": { "a": 1 }, "strategy": { "account": "x", "name": "y" },
            "strategy_settings": {},
        }),
    ]);
    round::<StrategyChoice>(&[json!({})]);
    round::<Visitor>(&[json!({
        "locale": "nl", "currency": "EUR", "country": "NL", "region": null, "customer_groups": ["b2b", "vip"],
    })]);
    round::<Limits>(&[json!({}), json!({ "guest_cpu": { "secs": 1, "nanos": 5 }, "memory": 1, "host_calls": 7 })]);
    round::<CircuitRules>(&[json!({ "failures": 3, "open_duration": { "secs": 1, "nanos": 0 } })]);
    round::<RateLimitRules>(&[json!({ "burst": 3 })]);
    round::<RetryCounters>(&[json!({ "outages": 1 })]);
    round::<VariantInfo>(&[json!({
        "id": "v", "product": "p", "sku": "s", "title": "t", "price": money(), "tax_class": null, "purchasable": true,
        "in_stock": false, "weight_grams": "0.5", "minimum": 1, "maximum": null, "extra": [],
    })]);
}

#[test]
fn ids_digests_and_networks_are_refused_where_they_are_refused_when_read() {
    let ids = ["a", "A.b_c-d", ".", "..", "...", "..a", ".a", "", "a b", "ä", "a/b", &"x".repeat(64), &"x".repeat(65)];
    agree::<ShopId>(&ids);
    agree::<AccountId>(&ids);
    agree::<cartwright::PluginId>(&ids);
    let (upper, long) = (DIGEST.to_uppercase(), format!("{DIGEST}0"));
    agree::<Digest>(&[DIGEST, &upper, &long, &DIGEST[1..], ""]);
    let networks = [
        "10.0.0.0/8",
        "10.0.0.0",
        "10.0.0.0/33",
        "256.0.0.0/8",
        "01.0.0.0/8",
        "::1/128",
        "fd00::/8",
        "::1/129",
        "::",
        "x",
    ];
    let (grants, wrap) = (validator::<Grants>(), |text: &str| json!({ "networks": [text] }));
    for text in networks {
        let read = serde_json::from_value::<Grants>(wrap(text)).is_ok();
        assert_eq!(grants.is_valid(&wrap(text)), read, "{text}");
    }
}

fn agree<T: ToSchema + DeserializeOwned>(texts: &[&str]) {
    let validator = validator::<T>();
    for text in texts {
        let read = serde_json::from_value::<T>(json!(text)).is_ok();
        assert_eq!(validator.is_valid(&json!(text)), read, "{}: {text:?}", T::name());
    }
}

#[test]
fn why_a_cart_was_not_changed() {
    let text = || "x".to_owned();
    writes(&[
        CartError::Setup(SetupError::Invalid(vec![issue()])),
        CartError::Hook(hook_error(Failure::Trap(text()))),
        CartError::Page(PageError::Malformed { plugin: "expivi".parse().unwrap(), member: text(), reason: text() }),
        CartError::Page(PageError::NotGranted { plugin: "expivi".parse().unwrap(), member: text(), reason: text() }),
        CartError::Quantity { quantity: 0, what: text(), minimum: 1, maximum: 5 },
        CartError::NeedsConfiguration(text()),
        CartError::Configuration(issue()),
        CartError::NotLinked { found: text(), shop_product: text(), linked: text() },
        CartError::OtherProduct { key: text(), current: text(), given: text() },
        CartError::Sku { sku: text(), product: None, found: 2 },
        CartError::Sku { sku: text(), product: Some(text()), found: 0 },
        CartError::Product { product: text(), found: 2 },
        CartError::Variant { variant: text(), product: text() },
        CartError::NotPurchasable(text()),
        CartError::Price { what: text(), reason: text() },
        CartError::RecurringPrice { product: text(), period: text() },
        CartError::ConfigurationExpired { product: text(), until: text() },
        CartError::OfferMoney { title: text(), offered: text(), expected: text() },
        CartError::QuoteMoney { title: text(), requested: text(), expected: text() },
        CartError::Platform(text()),
        CartError::UnknownStrategy { plugin: "expivi".parse().unwrap(), wanted: text(), known: vec![text()] },
        CartError::Plan(text()),
        CartError::Rejected(serde_json::from_value(message()).unwrap()),
        CartError::UnknownLine(text()),
        CartError::Seal { key: text(), fault: SealError::Forged },
        CartError::BundleChild(text()),
        CartError::SetLine { key: text(), top: text() },
        CartError::MustReconfigure { key: text(), reason: text() },
    ]);
}

#[test]
fn errors_of_shops_plugins_and_jobs() {
    let (shop, account, digest): (ShopId, AccountId, _) =
        ("rings".parse().unwrap(), "expivi".parse().unwrap(), Digest::of(b""));
    let plugin = || "expivi".parse().unwrap();
    writes(&[
        SetupError::UnknownShop(shop),
        SetupError::UnknownAccount(account),
        SetupError::NotLinked("ring".to_owned()),
        SetupError::UnknownPlugin(digest),
        SetupError::AlreadyExists("ring".to_owned()),
        SetupError::PluginMismatch { current: plugin(), offered: plugin() },
        SetupError::Invalid(vec![issue()]),
        SetupError::Hook(hook_error(Failure::Busy { waited_ms: 5 })),
        SetupError::Revoked(digest),
    ]);
    writes(&[
        InstallError::Empty,
        InstallError::TooLarge { bytes: 2, allowed: 1 },
        InstallError::NotPinned { found: digest, pinned: digest },
        InstallError::StrategyImports(vec!["http".to_owned()]),
        InstallError::Describe(hook_error(Failure::NotExported("feed".to_owned()))),
    ]);
    let outage = types::Outage { retry_after_seconds: Some(3), detail: "away".to_owned() };
    let refusal = types::Refusal { what: "capability:http".to_owned(), text: "not here".to_owned() };
    let mut silent = hook_error(Failure::PluginError(types::CallError::Denied(refusal)));
    silent.emitted = Box::default();
    writes(&[
        silent,
        hook_error(Failure::PluginError(types::CallError::InvalidInput(issue()))),
        hook_error(Failure::PluginError(types::CallError::Unavailable(outage))),
        hook_error(Failure::Limit(Breach::Memory { requested: 2, allowed: 1 })),
        hook_error(Failure::Limit(Breach::GuestCpu { allowed_ms: 250 })),
        hook_error(Failure::UnansweredRequest("POST".to_owned())),
        hook_error(Failure::ContractViolation("x".to_owned())),
    ]);
    let call = Call { import: "http.send".to_owned(), label: "GET /".to_owned(), digest };
    writes(&[
        StopReason::Failed(Failure::Trap("x".to_owned())),
        StopReason::DeterminismFault(DeterminismFault { number: 1, journal: None, actual: Some(call) }),
        StopReason::JournalFull,
    ]);
    writes(&[UnansweredRequest { request: "POST /".to_owned(), attempts: 2 }]);
    writes(&[ResponsibleParty::Merchant, ResponsibleParty::Operator, ResponsibleParty::PluginAuthor]);
    let (until, open_duration) = (std::time::SystemTime::now(), std::time::Duration::from_millis(1500));
    writes(&[Circuit::Closed { failures: 0 }, Circuit::HalfOpen { failures: 3, until, open_duration }]);
}

#[test]
fn plugins_swaps_and_readiness() {
    let fields: Vec<Field> = vec![serde_json::from_value(field()).unwrap()];
    writes(&[PluginMetadata {
        id: "expivi".parse().unwrap(),
        identity: serde_json::from_value(identity()).unwrap(),
        form: Form(fields),
    }]);
    writes(&[serde_json::from_value::<types::WebhookEndpoint>(endpoint()).unwrap()]);
    writes(&World::ALL);
    writes(Interface::ALL);
    writes(Hook::ALL);
    writes(&[ReleasePolicy::Paid, ReleasePolicy::ByHand]);
    let product = ProductReadiness { shop_product: "ring".to_owned(), ready: false, issues: vec![issue()] };
    writes(&[Readiness { products: vec![product], unmapped: vec!["x".to_owned()] }]);
    let held = std::time::Duration::from_millis(1);
    let (from, to) = (Digest::of(b"a"), Digest::of(b"b"));
    writes(&[VersionSwitch {
        shop: "s".parse().unwrap(),
        account: "a".parse().unwrap(),
        from,
        to,
        lock_duration: held,
    }]);
}

#[test]
fn no_two_types_have_one_name() {
    let all = [
        listed::<PluginMetadata>(),
        listed::<AccountSetup>(),
        listed::<CartChange>(),
        listed::<CartError>(),
        listed::<CartOperation>(),
        listed::<Circuit>(),
        listed::<CircuitRules>(),
        listed::<Destination>(),
        listed::<EmbedData>(),
        listed::<OrderEvent>(),
        listed::<InstallError>(),
        listed::<Limits>(),
        listed::<LineCheck>(),
        listed::<LineState>(),
        listed::<ProductLink>(),
        listed::<Pin>(),
        listed::<PlanResult>(),
        listed::<RateLimitRules>(),
        listed::<Readiness>(),
        listed::<Shop>(),
        listed::<VersionSwitch>(),
        listed::<UnverifiedLine>(),
        listed::<Visitor>(),
        listed::<StopReason>(),
        listed::<types::Context>(),
        listed::<types::DecodeResult>(),
        listed::<types::Diagnosis>(),
        listed::<types::FeedPage>(),
        listed::<types::Next>(),
        listed::<types::ChoiceList>(),
        listed::<types::ProductList>(),
        listed::<types::PlanRequest>(),
        listed::<types::WebhookEndpoint>(),
        listed::<types::WebhookRequest>(),
        listed::<types::WebhookResponse>(),
        listed::<types::WebhookResult>(),
    ];
    let mut known = BTreeMap::new();
    for (name, schema) in all.into_iter().flatten() {
        let json = serde_json::to_value(&schema).unwrap();
        let first = known.entry(name.clone()).or_insert_with(|| json.clone());
        assert_eq!(*first, json, "{name}");
    }
}

#[test]
fn descriptions_of_types_are_those_of_the_contract() {
    let schema = serde_json::to_value(types::Money::schema()).unwrap();
    assert!(schema["description"].as_str().unwrap().starts_with("An amount of money in minor units"), "{schema}");
    assert!(schema["properties"]["scale"]["description"].as_str().unwrap().contains("decimals"), "{schema}");
    assert_eq!(schema["properties"]["scale"]["maximum"], 9);
}
