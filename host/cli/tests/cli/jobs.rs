//! `cartwright jobs` and `cartwright orders`: the content of a host's database.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::durable::{
    Answer, Call, Entry, Journal, JournaledBody, JournaledBytes, JournaledResponse, Record, RunEnd, RunStart,
    UnansweredRequest,
};
use cartwright::types::{
    Address, CallError, Context, Currency, Message, Order, OrderEvent, OrderEventKind, Outage, Outcome, RetrySafety,
    Rounding, Setting, SettingValue, VendorReference,
};
use cartwright::{AccountSnapshot, Digest, Grants, Secrets, Settings, Shop};
use cartwright_store::{Claim, Keyring, Lines, NewJob, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{CommandResult, cartwright, cartwright_with};

const KEY: [u8; 32] = [7; 32];
const JOB: &str = "rings:expivi:e1";
const CITY: &str = "Ghent-on-Lys";
const BODY: &str = "the body of an answer";

/// Returns the time of the tests' start, and some seconds.
fn after_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_268_800 + seconds)
}

fn order() -> Order {
    let order: Order = serde_json::from_value(json!({
        "id": "1001", "locale": "en", "number": "#1001", "currency": "EUR", "reference": "test:rings:1001",
        "customer": null, "test": false, "vendor_reference": null, "version": 3, "placed_at": "2026-01-01T12:00:00Z",
        "paid": { "minor": 9800, "scale": 2, "currency": "EUR" },
        "refunded": { "minor": 1000, "scale": 2, "currency": "EUR" }, "released": true, "cancelled": false,
        "total": { "minor": 9800, "scale": 2, "currency": "EUR" }, "tax_amount": null, "shipping": null, "billing": null, "delivery": null, "shop_address": null, "extra": [],
        "lines": [{
            "id": "1", "reference": "test:rings:1001:1", "account": "expivi",
            "cart_line": {
                "key": "key-1", "product": "ring", "variant_id": null, "sku": "RING", "quantity": 2,
                "parent_key": null, "unit_price": null, "configuration": null, "item": null, "extra": [],
            },
            "quantities": { "ordered": 2, "cancelled": 0, "refunded": 0, "shipped": 0 },
            "title": "A ring", "display_fields": [], "configuration": null, "status": "ordered", "vendor_reference": null,
            "released": false, "total": null, "tax": "as-shop", "tax_amount": null, "extra": [],
        }],
    }))
    .expect("an order");
    let address = Address {
        name: Some("Zoë Sample".into()),
        first_name: None,
        last_name: None,
        email: None,
        region: None,
        line1: "Sample Street 1".into(),
        line2: None,
        zip: "9000".into(),
        city: CITY.into(),
        country: "BE".into(),
        company: None,
        vat: None,
        phone: None,
        extra: Vec::new(),
    };
    Order { billing: Some(address), ..order }
}

fn began() -> Entry {
    let context = Context {
        shop: cartwright::types::Shop {
            id: "rings".into(),
            currencies: vec![Currency { code: "EUR".into(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: Rounding::HalfUp,
            time_zone: None,
        },
        account: "expivi".into(),
        visitor: None,
        locale: "en".into(),
        now: "2026-01-01T12:00:00Z".into(),
        settings: vec![Setting { name: "server-token".into(), value: SettingValue::SecretIsSet }],
        grants: Vec::new(),
        extra: vec![],
    };
    Entry::RunStart(RunStart { context, personal_data: false })
}

fn intent(attempt: u32, retry_safety: RetrySafety) -> Entry {
    let about = "POST https://vendor.example/orders".to_owned();
    let call = Call { import: "http.send".into(), label: about, digest: Digest::of(b"call") };
    Entry::Intent { call, retry_safety, attempt }
}

/// A host's folder: its database and its key.
struct Host {
    folder: TempDir,
    store: Store,
}

impl Host {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("key"), format!("{}\n", hex::encode(KEY))).expect("a file");
        let url = format!("sqlite:{}", folder.path().join("host.db").display());
        let store = Store::open(&url, Keyring::new(KEY)).await.expect("a store");
        let host = Self { folder, store };
        host.record("e1").await;
        host
    }

    async fn record(&self, id: &str) {
        let event = OrderEvent {
            id: id.to_owned(),
            at: "2026-01-01T12:00:00Z".to_owned(),
            kind: OrderEventKind::Released,
            order: order(),
            previous_outcomes: Vec::new(),
            memos: Vec::new(),
            extra: Vec::new(),
        };
        let account = "expivi".parse().expect("an id");
        let job = NewJob { account, plugin: Digest::of(b"expivi"), lines: Lines::Own };
        self.store
            .orders()
            .record_event(&"rings".parse().expect("an id"), &event, &[job], after_seconds(0))
            .await
            .expect("recorded");
    }

    async fn claim(&self) -> Claim {
        self.store
            .jobs()
            .claim("node-1", after_seconds(0), Duration::from_secs(60))
            .await
            .expect("an answer")
            .expect("a job")
    }

    /// Adds a job that was interrupted, and whose last request may have arrived.
    async fn uncertainty(&self) {
        let claim = self.claim().await;
        let away =
            CallError::Unavailable(Outage { retry_after_seconds: None, detail: "vendor.example is away".into() });
        let response = JournaledResponse {
            status: 201,
            headers: vec![],
            body: JournaledBody::Inline(JournaledBytes::Text(BODY.into())),
            attempts: 1,
        };
        let named = Outcome::VendorReference(VendorReference { line: None, reference: "V-7".into() });
        let text = "Look at the drawing.".to_owned();
        let look = Outcome::NeedsMerchant(Message { key: "look".into(), parameters: vec![], text });
        let entries = [
            began(),
            intent(1, RetrySafety::Idempotent),
            Entry::Responded { answer: Answer::Failed(away), may_have_arrived: false },
            Entry::Retried { kept_calls: 0 },
            intent(1, RetrySafety::Idempotent),
            Entry::Responded { answer: Answer::Returned(response), may_have_arrived: true },
            Entry::Emitted { key: "0:a:0".into(), outcome: named },
            Entry::Emitted { key: "0:b:0".into(), outcome: look },
            intent(1, RetrySafety::NonIdempotent),
        ];
        for (position, entry) in entries.into_iter().enumerate() {
            let record = Record { at: after_seconds(position as u64), entry };
            claim.journal.append(position, &record).await.expect("written");
        }
        let unanswered = UnansweredRequest { request: "POST https://vendor.example/orders".into(), attempts: 1 };
        let end = RunEnd::NeedsMerchant { unanswered };
        self.store.jobs().finish(&claim.lease, Ok(&end), after_seconds(9)).await.expect("finished");
    }

    /// Moves the account to another version of the plugin, and returns its digest.
    async fn moved_to(&self) -> Digest {
        let shop: Shop = serde_json::from_value(json!({
            "id": "rings", "currencies": [{ "code": "EUR", "scale": 2 }], "seal_key": "a key of the tests, 32 bytes long"
        }))
        .expect("a shop");
        self.store.shops().save_shop(&shop, after_seconds(0)).await.expect("kept");
        let plugin = "expivi".parse().expect("an id");
        let mut versions = BTreeMap::new();
        for bytes in [&b"expivi"[..], b"expivi, mended"] {
            let digest = self.store.components().save(&plugin, "1.0.0", bytes, after_seconds(0)).await.expect("kept");
            versions.insert(digest, Settings::new());
        }
        let current = Digest::of(b"expivi, mended");
        let (secrets, grants) = (Secrets::new(), Grants::default());
        let id = "expivi".parse().expect("an id");
        let account = AccountSnapshot { id, current, versions, secrets, grants, revision: 1 };
        self.store.shops().save_account(&shop.id, &account, after_seconds(0)).await.expect("kept");
        current
    }

    fn run(&self, arguments: &[&str]) -> CommandResult {
        let database = format!("sqlite:{}", self.folder.path().join("host.db").display());
        let key = self.folder.path().join("key").display().to_string();
        cartwright(arguments.iter().copied().chain(["--database", &database, "--key-file", &key]))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }
}

#[tokio::test]
async fn a_journal_is_read_request_by_request() {
    let host = Host::new().await;
    host.uncertainty().await;
    let text = host.run(&["jobs", "show", JOB]).succeeded();
    let expected = [
        "rings:expivi:e1",
        "  state    needs-merchant since 2026-01-01T12:00:09Z",
        "  why      it is unknown whether this request arrived: POST https://vendor.example/orders",
        "  fix      the merchant: the order, a setting, or the account at the vendor; then: cartwright jobs retry rings:expivi:e1",
        "  event    released e1, of 2026-01-01T12:00:00Z",
        "  order    1001 of the shop rings",
        &format!("  account  expivi, component {}", Digest::of(b"expivi")),
        "  worker   node-1",
        "journal 0",
        "    0 2026-01-01T12:00:00Z began: personal data not granted",
        "    1 2026-01-01T12:00:01Z http.send POST https://vendor.example/orders: attempt 1, idempotent",
        "    2 2026-01-01T12:00:02Z not answered: unavailable: vendor.example is away; was not sent",
        "    3 2026-01-01T12:00:03Z retried: from call 1 on",
        "    4 2026-01-01T12:00:04Z http.send POST https://vendor.example/orders: attempt 1, idempotent",
        "    5 2026-01-01T12:00:05Z answered 201: 21 bytes, attempts 1",
        "    6 2026-01-01T12:00:06Z outcomes.emit: vendor-reference: the order is V-7",
        "    7 2026-01-01T12:00:07Z outcomes.emit: needs-merchant: Look at the drawing.",
        "    8 2026-01-01T12:00:08Z http.send POST https://vendor.example/orders: attempt 1, must not be sent twice",
        "outcomes",
        "  2026-01-01T12:00:06Z expivi vendor-reference: the order is V-7",
        "  2026-01-01T12:00:07Z expivi needs-merchant: Look at the drawing., needs attention",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_job_as_json_says_the_same_and_shows_no_body() {
    let host = Host::new().await;
    host.uncertainty().await;
    let job = host.json(&["jobs", "show", JOB]);
    assert_eq!((&job["state"], &job["reason"]["responsible"]), (&json!("needs-merchant"), &json!("merchant")));
    let entries = &job["journals"][0]["entries"];
    assert_eq!((&entries[5]["status"], &entries[5]["attempts"]), (&json!(201), &json!(1)));
    assert_eq!(entries[8]["call"]["label"], "POST https://vendor.example/orders");
    assert_eq!((&entries[2]["may_have_arrived"], entries.as_array().map(Vec::len)), (&json!(false), Some(9)));
    assert_eq!(job["outcomes"][0]["outcome"], json!({ "vendor-reference": { "line": null, "reference": "V-7" } }));
    for shown in [job.to_string(), host.json(&["orders", "show", "1001", "--shop", "rings"]).to_string()] {
        assert!(!shown.contains(BODY) && !shown.contains(CITY), "{shown}");
    }
}

#[tokio::test]
async fn jobs_are_listed_by_their_state_and_in_pages() {
    let host = Host::new().await;
    host.record("e2").await;
    host.uncertainty().await;
    let text = host.run(&["jobs", "list"]).succeeded();
    let expected = [
        "rings:expivi:e1  released             order 1001  needs-merchant since 2026-01-01T12:00:09Z",
        "rings:expivi:e2  released             order 1001  queued since 2026-01-01T12:00:00Z, behind rings:expivi:e1",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let waiting = host.json(&["jobs", "list", "--state", "needs-merchant"]);
    assert_eq!(waiting.as_array().map(Vec::len), Some(1));
    assert_eq!((&waiting[0]["id"], &waiting[0]["order"]), (&json!(JOB), &json!("1001")));
    assert!(host.run(&["jobs", "list", "--limit", "1"]).succeeded().ends_with(&format!("--after {JOB}\n")));
    assert_eq!(host.json(&["jobs", "list", "--after", JOB])[0]["id"], "rings:expivi:e2");
    assert_eq!(host.run(&["jobs", "list", "--shop", "other"]).succeeded(), "no job\n");
    let wrong = host.run(&["jobs", "list", "--state", "dead"]);
    assert!(wrong.err.contains("[possible values: queued, running,"), "{wrong:#?}");
}

#[tokio::test]
async fn a_job_is_retried_or_cancelled_and_the_audit_log_names_the_actor() {
    let host = Host::new().await;
    host.uncertainty().await;
    let text = host.run(&["jobs", "retry", JOB, "--actor", "ann"]).succeeded();
    assert!(text.starts_with("rings:expivi:e1 runs as soon as a worker is free"), "{text}");
    assert_eq!(host.json(&["jobs", "show", JOB])["state"], "queued");
    let again = host.run(&["jobs", "retry", JOB]).failed();
    assert!(again.contains("the job rings:expivi:e1 is queued: there is nothing to retry"), "{again}");
    host.run(&["jobs", "retry", JOB, "--restart"]).succeeded();
    assert_eq!(host.json(&["jobs", "show", JOB])["journals"].as_array().map(Vec::len), Some(2));
    assert_eq!(host.run(&["jobs", "cancel", JOB, "--actor", "bob"]).succeeded(), "rings:expivi:e1 is cancelled\n");
    let log = host.store.audit().entries(None, None, 10).await.expect("the log");
    let log: Vec<_> = log.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    assert_eq!((log[0], log[2]), (("bob", "cancel-job"), ("ann", "retry-job")));
}

#[tokio::test]
async fn a_person_moves_a_job_to_another_version() {
    let host = Host::new().await;
    host.uncertainty().await;
    let to = host.moved_to().await.to_string();
    let unknown = Digest::of(b"never installed").to_string();
    let refused = host.run(&["jobs", "retry", JOB, "--on", &unknown]).failed();
    assert!(refused.contains(&format!("component {unknown} not found")), "{refused}");
    let both = host.run(&["jobs", "retry", JOB, "--on", &to, "--restart"]);
    assert!(both.err.contains("cannot be used with"), "{both:#?}");
    let text = host.run(&["jobs", "retry", JOB, "--on", &to, "--actor", "ann"]).succeeded();
    assert!(text.starts_with("rings:expivi:e1 runs as soon as a worker is free"), "{text}");
    let job = host.json(&["jobs", "show", JOB]);
    assert_eq!((&job["plugin"], &job["state"]), (&json!(to), &json!("queued")));
    assert_eq!(job["journals"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_order_is_shown_with_its_lines_jobs_and_outcomes() {
    let host = Host::new().await;
    host.uncertainty().await;
    let text = host.run(&["orders", "show", "1001", "--shop", "rings"]).succeeded();
    for line in [
        "#1001 (test:rings:1001)",
        "  paid      98.00 EUR of 98.00 EUR",
        "  refunded  10.00 EUR",
        "  released  yes",
        "  1 2 × A ring: expivi, ordered, on hold for the merchant's approval",
        "rings:expivi:e1  released             order 1001  needs-merchant since 2026-01-01T12:00:09Z",
        "  2026-01-01T12:00:06Z expivi vendor-reference: the order is V-7",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
    }
    assert!(!text.contains(CITY), "{text}");
    let missing = host.run(&["orders", "show", "77", "--shop", "rings"]).failed();
    assert!(missing.contains("order 77 of the shop rings not found"), "{missing}");
    let missing = host.run(&["jobs", "show", "rings:expivi:e77"]).failed();
    assert!(missing.contains("job rings:expivi:e77 not found"), "{missing}");
}

#[tokio::test]
async fn without_the_right_key_nothing_is_opened() {
    let host = Host::new().await;
    let database = format!("sqlite:{}", host.folder.path().join("host.db").display());
    let list = ["jobs", "list", "--database", &database];
    let none = cartwright(list).failed();
    assert!(none.contains("there is no key") && none.contains("openssl rand -hex 32 > cartwright.key"), "{none}");
    let slip = cartwright_with(list, &[("CARTWRIGHT_KEY", "0707secret")]).failed();
    assert!(slip.contains("a key is not 64 hexadecimal digits") && !slip.contains("0707secret"), "{slip}");
    let empty = cartwright_with(list, &[("CARTWRIGHT_KEY", "")]).failed();
    assert!(empty.contains("the key is empty"), "{empty}");
    let other = cartwright_with(list, &[("CARTWRIGHT_KEY", &hex::encode([8; 32]))]).failed();
    assert!(other.contains("was written with the key"), "{other}");
    cartwright_with(list, &[("CARTWRIGHT_KEY", &hex::encode(KEY))]).succeeded();
    // During a key rotation, the new key is first.
    let both = format!("{}\n{}", hex::encode([8; 32]), hex::encode(KEY));
    cartwright_with(list, &[("CARTWRIGHT_KEY", &both)]).succeeded();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let host = Host::new().await;
    let file = host.folder.path().join("slip.db");
    let database = format!("sqlite:{}", file.display());
    let list = ["jobs", "list", "--database", &database];
    let error = cartwright_with(list, &[("CARTWRIGHT_KEY", &hex::encode(KEY))]).failed();
    assert!(error.contains("cannot open the database"), "{error}");
    assert!(!file.exists());
}
