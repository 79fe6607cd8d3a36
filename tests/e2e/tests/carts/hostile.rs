//! A plugin that misbehaves causes a typed error that names its misdeed, and works afterwards.
//! `serial/hostile_in_time.rs` tests the duration, because other tests would disturb it.

use std::time::Duration;

use cartwright::types::CallError;
use cartwright::{
    AccountId, AddToCart, Breach, CartChange, CartError, Failure, InstallError, Interface, Limits, StrategyChoice,
};
use cartwright_e2e::{HOSTILE, WEBHOOKS, World, added_lines, replaced};
use cartwright_fake_vendors::samples;
use serde_json::json;

async fn world() -> (World, AccountId) {
    let limits = Limits {
        // Enough for touching all the memory that is allowed; `hostile_in_time` tests how soon each guest is stopped.
        guest_cpu: Duration::from_millis(400),
        guest_cpu_per_line: Duration::ZERO,
        deadline: Duration::from_millis(1500),
        ..Limits::default()
    };
    let world = World::with(|builder| builder.limits(limits), json!({})).await;
    let account = world.strategy(HOSTILE).await;
    (world, account)
}

fn request(world: &World, account: &AccountId, misdeed: &str) -> AddToCart {
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account.clone()), name: Some(misdeed.to_owned()) });
    request
}

async fn misdeed(world: &World, account: &AccountId, name: &str) -> Result<CartChange, CartError> {
    world.host.add_to_cart(&world.shop, request(world, account, name)).await
}

fn failure(result: Result<CartChange, CartError>, name: &str) -> Failure {
    match result {
        Err(CartError::Hook(error)) => error.failure,
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_more_than_its_share_is_stopped_at_the_limit_that_is_named() {
    let (world, account) = world().await;
    misdeed(&world, &account, "honest").await.expect("the honest strategy");
    let cpu = |failure: &Failure| matches!(failure, Failure::Limit(Breach::GuestCpu { allowed_ms: 400 }));
    let bytes_out = |failure: &Failure| matches!(failure, Failure::Limit(Breach::BytesOut { .. }));
    let log = |failure: &Failure| matches!(failure, Failure::Limit(Breach::LogBytes { .. }));
    type IsMeant<'a> = &'a dyn Fn(&Failure) -> bool;
    let cases: [(&str, IsMeant<'_>); 12] = [
        ("endless-loop", &cpu),
        ("clock-spin", &cpu),
        ("endless-recursion", &|failure| matches!(failure, Failure::Limit(Breach::Stack { .. }))),
        ("memory", &|failure| matches!(failure, Failure::Limit(Breach::Memory { .. }))),
        ("huge-text", &bytes_out),
        ("many-operations", &|failure| {
            matches!(failure, Failure::Limit(Breach::BytesOut { .. } | Breach::Memory { .. } | Breach::GuestCpu { .. }))
        }),
        ("log-flood", &|failure| matches!(failure, Failure::Limit(Breach::LogBytes { .. } | Breach::HostCalls { .. }))),
        ("log-huge-line", &|failure| {
            matches!(failure, Failure::Limit(Breach::LogBytes { .. } | Breach::BytesOut { .. }))
        }),
        ("standard-error-flood", &log),
        ("catalog-flood", &|failure| matches!(failure, Failure::Limit(Breach::HostCalls { .. }))),
        ("trap", &|failure| matches!(failure, Failure::Trap(_))),
        ("panic", &|failure| matches!(failure, Failure::Trap(text) if text.contains("as it was asked to"))),
    ];
    for (name, is_meant) in cases {
        let failure = failure(misdeed(&world, &account, name).await, name);
        assert!(is_meant(&failure), "{name}: {failure}");
        misdeed(&world, &account, "honest").await.unwrap_or_else(|error| panic!("after {name}: {error}"));
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_for_an_hour_is_back_at_once_and_finds_the_hour_gone() {
    let (world, account) = world().await;
    misdeed(&world, &account, "thread-sleep").await.expect("a line");
}

#[tokio::test]
async fn whoever_plans_what_it_may_not_is_refused_before_the_cart_changes() {
    let (world, account) = world().await;
    for (name, says) in [
        ("reduction", "grants.adjust_prices"),
        ("wrong-currency", "grants.adjust_prices"),
        ("wrong-scale", "grants.adjust_prices"),
        ("scale-too-large", "grants.adjust_prices"),
        ("other-price-source", "grants.choose_price_source"),
        ("no-item", "entry 1 (RING) names no item"),
        ("item-out-of-range", "the item 4294967295, which was not requested"),
        ("line-beside", "entry 2 (HINGE) names no item: a configured product becomes one entry"),
        ("set-of-one", "entry 1 is a set of fewer than two lines"),
        ("text-line", "must buy a product"),
        ("text-parent", "bundle without children"),
        ("unknown-variant", "was not returned by the catalog"),
        ("unknown-sku", "NO-SUCH-SKU"),
        ("quantity-zero", "the quantity 0 of"),
        ("quantity-largest", "the quantity 4294967295 of"),
        ("child-quantity-zero", "the quantity 0 of"),
        ("quantity-overflow", "the quantity 4294967295 of"),
        ("more-than-asked", "entry 2 (RING) is the second entry for the item 0"),
        ("unknown-entry", "hostile.give-away"),
        ("unknown-target", "hostile.by-weight"),
    ] {
        match misdeed(&world, &account, name).await {
            Err(CartError::Hook(error)) => panic!("{name}: {error}"),
            Err(error) => assert!(error.to_string().contains(says), "{name}: {error}"),
            Ok(change) => panic!("{name} was taken: {change:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_calls_what_it_may_not_is_denied() {
    let (world, account) = world().await;
    for name in ["another-host", "this-machine", "undeclared-secret", "order-book", "blob", "emit", "sleep"] {
        let failure = failure(misdeed(&world, &account, name).await, name);
        let Failure::PluginError(CallError::Denied(refusal)) = &failure else { panic!("{name}: {failure}") };
        assert!(refusal.text.contains("is not available in cart.plan"), "{name}: {}", refusal.text);
        assert!(refusal.what.starts_with("capability:"), "{name}: {}", refusal.what);
    }
    for name in ["files", "environment", "socket"] {
        let failure = failure(misdeed(&world, &account, name).await, name);
        assert!(matches!(failure, Failure::PluginError(CallError::Denied(_))), "{name}: {failure}");
    }
}

#[tokio::test]
async fn more_than_1000_catalog_queries_in_one_call_exceed_a_limit_that_is_named() {
    let (world, account) = world().await;
    let name = "catalog-too-many-queries";
    let failure = failure(misdeed(&world, &account, name).await, name);
    let Failure::PluginError(CallError::LimitExceeded(refusal)) = &failure else { panic!("{failure}") };
    assert_eq!(refusal.what, "limit:catalog-queries");
    assert!(refusal.text.contains("1001") && refusal.text.contains("1000"), "{}", refusal.text);
}

#[tokio::test]
async fn an_extra_that_must_be_understood_is_a_contract_violation_that_names_it() {
    let (world, account) = world().await;
    let name = "must-be-understood";
    let failure = failure(misdeed(&world, &account, name).await, name);
    let Failure::ContractViolation(text) = &failure else { panic!("{failure}") };
    assert!(text.contains("\"!sold-by-meter\"") && text.contains("`planned-line`"), "{text}");
}

#[tokio::test]
async fn texts_of_a_plugin_cannot_steer_whoever_shows_them() {
    let (world, account) = world().await;
    let change = misdeed(&world, &account, "markup").await.expect("markup is text");
    let line = &added_lines(&change)[0];
    for text in [&line.title, &line.shown[0].name, &line.shown[0].value] {
        assert!(text.contains("<script>"), "texts are escaped where they are shown");
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}

#[tokio::test]
async fn the_same_input_gives_a_plugin_the_same_random_numbers() {
    let (world, account) = world().await;
    let mut titles = Vec::new();
    for _ in 0..3 {
        let change = misdeed(&world, &account, "different-every-time").await.expect("a line");
        titles.push(added_lines(&change)[0].title.clone());
    }
    assert!(titles.windows(2).all(|pair| pair[0] == pair[1]), "{titles:?}");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_in_plain_words() {
    let world = World::new().await;
    let wat = |name: &str| {
        let path = format!("{}/../guests/hostile-wat/{name}.wat", env!("CARGO_MANIFEST_DIR"));
        wat::parse_file(path).expect("a sample")
    };
    let whole = cartwright_bundled::EXPIVI;
    for (what, bytes, says) in [
        ("nothing", Vec::new(), "the file is empty"),
        ("text", b"hello".to_vec(), "not a WebAssembly file"),
        ("a core module", wat("core-module"), "core module, not a component"),
        ("half a component", whole[..whole.len() / 2].to_vec(), "malformed"),
        ("an empty component", wat("empty"), "exports nothing"),
        ("another world", wat("wrong-world"), "example:other/thing"),
        ("an unknown import", wat("wrong-import"), "not a Cartwright plugin"),
        ("a later contract", wat("later-contract"), "0.1.x"),
        (
            "a strategy that imports http",
            wat("strategy-with-http"),
            "imports http, secrets; a cart strategy imports log",
        ),
        ("an import of a later contract", wat("later-function"), "http.send-all, quoting, which"),
        ("an import of a later contract", wat("later-function"), "it needs a host of 0.1.3"),
        (
            "an import that no contract has",
            wat("unknown-function"),
            "http.send-all, which cartwright:plugin@0.1.0 does not",
        ),
        ("WASI 0.3", wat("wasi-0.3"), "wasi:clocks/system-clock@0.3.0"),
        ("sixteen memories", wat("many-memories"), "linear memories"),
        ("a loop at its start", wat("endless-start"), "not a Cartwright plugin"),
        ("a huge table", wat("big-table"), "table"),
    ] {
        let error = world.host.install(&bytes, None).await.err().unwrap_or_else(|| panic!("{what} was installed"));
        assert!(error.to_string().contains(says), "{what}: {error}");
    }
    let other = cartwright::Digest::of(b"other");
    let error = world.host.install(whole, Some(other)).await.expect_err("another digest is pinned");
    assert!(matches!(error, InstallError::NotPinned { .. }), "{error}");
}

#[tokio::test]
async fn an_export_of_a_later_contract_is_listed_and_does_no_harm() {
    let world = World::new().await;
    let later = replaced(HOSTILE, "cartwright:plugin/choices@0.1.0", "cartwright:plugin/quoting@0.1.2");
    let plugin = world.host.install(&later, None).await.expect("a plugin");
    assert_eq!(plugin.unknown_exports(), ["quoting@0.1.2"]);
    let exports: Vec<&str> = plugin.exports().map(|interface| interface.name()).collect();
    assert_eq!(exports, ["metadata", "settings", "cart"]);
    let known = world.host.install(HOSTILE, None).await.expect("a plugin");
    assert!(known.unknown_exports().is_empty() && known.has(Interface::Choices));
}

#[tokio::test]
async fn metadata_that_depends_on_the_clock_or_on_random_numbers_is_refused() {
    let world = World::new().await;
    for form in ["token's form5", "token's form6"] {
        let changing = replaced(WEBHOOKS, "token's form1", form);
        let error = world.host.install(&changing, None).await.err();
        assert!(matches!(&error, Some(InstallError::Metadata(text)) if text.contains("another version")), "{error:?}");
    }
}

/// A component with a core module of one type: a function that takes a reference to a string. No current tool parses
/// its text.
const STRINGREF: &[u8] = &[
    0, b'a', b's', b'm', 13, 0, 1, 0, // a component
    1, 15, 0, b'a', b's', b'm', 1, 0, 0, 0, // a core module in it
    1, 5, 1, 0x60, 1, 0x67, 0, // its types
];

#[tokio::test]
async fn what_uses_a_proposal_that_this_host_does_not_offer_is_an_error_and_ends_nothing() {
    let world = World::new().await;
    let sample = |name: &str| {
        let path = format!("{}/../guests/hostile-wat/{name}.wat", env!("CARGO_MANIFEST_DIR"));
        wat::parse_file(path).expect(name)
    };
    let refused = [
        "async-builtins",
        "async-lift",
        "atomics",
        "component-threads",
        "custom-page-sizes",
        "error-context",
        "exceptions",
        "externref",
        "gc-array",
        "gc-i31",
        "gc-struct",
        "gc-subtypes",
        "legacy-exceptions",
        "memory64",
        "shared-everything",
        "shared-memory",
        "stack-switching",
        "table64",
        "typed-references",
        "uncaught-exception",
        "wide-arithmetic",
    ];
    let samples = refused.iter().map(|name| (*name, sample(name))).chain([("stringref", STRINGREF.to_vec())]);
    let mut taken = Vec::new();
    for (name, bytes) in samples {
        match world.host.install(&bytes, None).await {
            Err(InstallError::Malformed(_)) => {}
            other => taken.push(format!("{name}: {:?}", other.err())),
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    // The component compiles but is not a plugin; two memories exceed an instance's slot in the pool.
    let error = world.host.install(&sample("tail-calls"), None).await.err();
    assert!(matches!(error, Some(InstallError::WrongWorld(_))), "{error:?}");
    let error = world.host.install(&sample("multi-memory"), None).await.err();
    assert!(matches!(&error, Some(InstallError::Malformed(reason)) if reason.contains("limit of 1")), "{error:?}");
    world.host.install(cartwright_e2e::ONE_LINE, None).await.expect("a plugin");
}

#[tokio::test]
async fn every_flip_of_a_byte_is_an_error_or_a_plugin_but_never_a_panic() {
    let world = World::new().await;
    let whole = cartwright_e2e::ONE_LINE;
    for step in 0..24 {
        let mut bytes = whole.to_vec();
        let at = step * (bytes.len() / 24) + 8;
        bytes[at] ^= 0x55;
        let _ = world.host.install(&bytes, None).await;
    }
    world.host.install(whole, None).await.expect("the whole one");
}

#[tokio::test]
async fn children_that_buy_the_same_are_one_by_whatever_name() {
    let (world, account) = world().await;
    let lines = added_lines(&misdeed(&world, &account, "one-child-by-two-names").await.expect("a bundle"));
    let [parent, child] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((child.sku.as_deref(), child.quantity, child.per_bundle), (Some("HINGE"), 3, Some(3)));
    assert_eq!((&parent.children[..], &parent.price.total), (&[child.key.clone()][..], &child.price.total));
}
