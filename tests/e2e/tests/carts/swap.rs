//! Switching versions and vendors while a shop is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cartwright::{
    CartError, CartOperation, Digest, LineState, NewHostPolicy, ProductLink, ProductLinkIssues, SetupError, Shop,
    Visitor,
};
use cartwright_e2e::{ONE_LINE, World, added_lines, local, members, restore, shop};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig, samples};
use serde_json::json;

/// Installs the same component with another digest, through a custom section with this name.
async fn another_version(world: &World, name: u8) -> Digest {
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 2, 1, name]);
    world.host.install(&bytes, None).await.expect("another version").digest()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_versions_are_swapped_and_rolled_back() {
    let world = Arc::new(World::new().await);
    let second = another_version(&world, b'2').await;
    let (stop, added_lines, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (world, stop, added_lines, failed) = (world.clone(), stop.clone(), added_lines.clone(), failed.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await {
                        Ok(_) => added_lines.fetch_add(1, Ordering::Relaxed),
                        Err(_) => failed.fetch_add(1, Ordering::Relaxed),
                    };
                }
            })
        })
        .collect();
    for round in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let to = if round % 2 == 0 { second } else { world.digest };
        world.host.switch_version(&world.shop, &world.account, to, NewHostPolicy::Reject).await.expect("swapped");
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(added_lines.load(Ordering::Relaxed) > 20, "too few calls met a swap");
}

#[tokio::test]
async fn what_cannot_serve_leaves_the_old_version_serving() {
    let world = World::new().await;
    let other = world.host.install(ONE_LINE, None).await.expect("another plugin").digest();
    let refused = world.host.switch_version(&world.shop, &world.account, other, NewHostPolicy::Reject).await;
    assert!(matches!(refused, Err(SetupError::PluginMismatch { .. })), "{refused:?}");
    let unknown = Digest::of(b"never installed");
    let refused = world.host.switch_version(&world.shop, &world.account, unknown, NewHostPolicy::Reject).await;
    assert!(matches!(refused, Err(SetupError::UnknownPlugin(_))), "{refused:?}");
    let second = another_version(&world, b'2').await;
    world.host.revoke(second, None).expect("revoked");
    let refused = world.host.switch_version(&world.shop, &world.account, second, NewHostPolicy::Reject).await;
    assert!(matches!(refused, Err(SetupError::Revoked(_))), "{refused:?}");
    assert_eq!(world.host.current_version(&world.shop, &world.account).expect("the account").digest(), world.digest);
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.expect("it still serves");
}

#[tokio::test]
async fn old_lines_go_on_with_the_version_that_made_them() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let second = another_version(&world, b'2').await;
    world.host.switch_version(&world.shop, &world.account, second, NewHostPolicy::Reject).await.expect("swapped");
    let visitor = Visitor::default();
    let change = world.host.change_quantity(&world.shop, &cart[0].key, 5, &cart, &visitor).await.expect("changed");
    let [CartOperation::Update { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(lines[0].pin.digest, world.digest);
    let fresh = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect("a new line");
    assert_eq!(added_lines(&fresh)[0].pin.digest, second);
}

#[tokio::test]
async fn a_line_that_lay_too_long_goes_to_the_current_version() {
    let world = World::new().await.with_shop(Shop { seal_seconds: 1, pin_seconds: 0, ..shop("brief") }).await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let second = another_version(&world, b'2').await;
    world.host.switch_version(&world.shop, &world.account, second, NewHostPolicy::Reject).await.expect("swapped");
    // The expiry of a seal is rounded to a whole second.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let visitor = Visitor::default();
    let change = world.host.change_quantity(&world.shop, &cart[0].key, 5, &cart, &visitor).await.expect("changed");
    let [CartOperation::Update { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(lines[0].pin.digest, second);
}

#[tokio::test]
async fn a_revoked_version_hands_its_lines_to_the_replacement_or_asks_to_configure_again() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let second = another_version(&world, b'2').await;
    let third = another_version(&world, b'3').await;
    world.host.switch_version(&world.shop, &world.account, second, NewHostPolicy::Reject).await.expect("swapped");
    world.host.switch_version(&world.shop, &world.account, third, NewHostPolicy::Reject).await.expect("swapped");
    world.host.revoke(world.digest, Some(second)).expect("revoked");
    let visitor = Visitor::default();
    let change = world.host.change_quantity(&world.shop, &cart[0].key, 2, &cart, &visitor).await.expect("changed");
    let [CartOperation::Update { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(lines[0].pin.digest, second);
    world.host.revoke(second, None).expect("revoked");
    let after_removal = world.host.change_quantity(&world.shop, &cart[0].key, 2, &cart, &visitor).await;
    assert!(matches!(after_removal, Err(CartError::MustReconfigure { .. })), "{after_removal:?}");
    let checks = world.host.check_cart(&world.shop, &cart, &visitor).await.expect("checked");
    assert!(matches!(checks[0].state, LineState::MustReconfigure { .. }), "{checks:?}");
}

#[tokio::test]
async fn a_vendor_swap_is_all_or_nothing_and_old_lines_stay_with_the_old_vendor() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let twikit = FakeTwikit::start(TwikitConfig::default()).await.expect("a fake Twikit");
    let digest = world.host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
    let setup = cartwright::AccountSetup {
        id: "twikit".parse().expect("an id"),
        settings: members(json!({
            "integration-id": twikit.integration_id(), "payload-secret": twikit.payload_secret(),
            "api-url": twikit.api_url(), "script-url": "https://scripts.twikit.example/1.js",
        })),
        grants: local(twikit.base_url()),
    };
    world.host.set_account(&world.shop, digest, setup).await.expect("an account");
    let link = |product: &str, skus: &[&str]| -> ProductLink {
        serde_json::from_value(json!({
            "shop_product": product, "account": "twikit", "vendor_product": "diamond-letter-jewel", "allowed_skus": skus,
        }))
        .expect("a link")
    };
    let half = vec![link("ring", &["RING"]), link("shirt", &[])];
    let readiness = world.host.readiness(&world.shop, &world.account, &half).await.expect("a report");
    let ready: Vec<bool> = readiness.products.iter().map(|product| product.ready).collect();
    assert_eq!(ready, [true, false]);
    assert_eq!(readiness.unmapped, ["wardrobe"]);
    world.host.link(&world.shop, &half).await.expect_err("half of it is not ready");
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.expect("nothing was switched");

    world.host.link(&world.shop, &[link("ring", &["RING"])]).await.expect("switched");
    let visitor = Visitor::default();
    let checks = world.host.check_cart(&world.shop, &cart, &visitor).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    let change = world.host.change_quantity(&world.shop, &cart[0].key, 2, &cart, &visitor).await.expect("changed");
    let [CartOperation::Update { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(lines[0].pin.account, world.account);
    let saved = json!({
        "configurationId": 7, "previewUrl": "https://previews.example/7.png",
        "variation": { "id": "v", "sku": "RING", "price": 0.01 },
    });
    let change = world.add("ring", &saved.to_string(), 1, &mut Vec::new()).await.expect("a new line");
    assert_eq!(added_lines(&change)[0].pin.account.as_str(), "twikit");
    assert_eq!(added_lines(&change)[0].price.total.minor, 19_900);
}

/// Installs the same component with other field names of equal length in its form.
async fn version_with_other_fields(world: &World, names: &[(&str, &str)]) -> Digest {
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    for (old, new) in names {
        assert_eq!(old.len(), new.len(), "the component would be torn");
        for at in 0..bytes.len() - old.len() {
            if bytes[at..].starts_with(old.as_bytes()) {
                bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
            }
        }
    }
    world.host.install(&bytes, None).await.expect("another version").digest()
}

#[tokio::test]
async fn a_version_that_does_not_take_the_links_settings_leaves_the_old_one_serving() {
    let world = World::new().await;
    let plain = cartwright::AccountSetup {
        id: "planner".parse().expect("an id"),
        settings: members(json!({ "viewer-token": "viewer-token" })),
        grants: local(world.expivi.base_url()),
    };
    let planner = plain.id.clone();
    world.host.set_account(&world.shop, world.digest, plain).await.expect("an account");
    world.link("shirt", "1002", "variation", json!({ "sku-prefix": "SHIRT-", "sku-separator": "-" })).await;
    let planned: ProductLink = serde_json::from_value(json!({
        "shop_product": "hat", "account": "expivi", "vendor_product": "1002",
        "strategy": { "account": "planner", "name": "variation" }, "strategy_settings": { "sku-prefix": "HAT-" },
    }))
    .expect("a link");
    world.host.link(&world.shop, &[planned]).await.expect("linked");
    let second =
        version_with_other_fields(&world, &[("sku-prefix", "sku-before"), ("sku-separator", "sku-delimiter")]).await;
    let link_issues =
        async |account| match world.host.switch_version(&world.shop, account, second, NewHostPolicy::Reject).await {
            Err(SetupError::Links(links)) => {
                let fields =
                    |link: &ProductLinkIssues| link.issues.iter().map(|issue| issue.field.clone()).collect::<Vec<_>>();
                links.iter().map(|link| (link.shop_product.clone(), fields(link))).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
    let named = |product: &str, fields: &[&str]| {
        (product.to_owned(), fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(link_issues(&planner).await, [named("hat", &["strategy_settings.sku-prefix"])]);
    assert_eq!(link_issues(&world.account).await, [named("shirt", &["sku-prefix", "sku-separator"])]);
    for account in [&world.account, &planner] {
        assert_eq!(world.host.current_version(&world.shop, account).expect("the account").digest(), world.digest);
    }
    let change = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect("it still serves");
    assert_eq!(added_lines(&change)[0].sku.as_deref(), Some("SHIRT-R-L"));
    // Without the settings that the new version lacks the switch succeeds, and the stored shop can be restored.
    world.link("shirt", "1002", "variation", json!({})).await;
    world.host.switch_version(&world.shop, &world.account, second, NewHostPolicy::Reject).await.expect("swapped");
    restore(&world.host, world.host.snapshot(&world.shop).expect("the shop")).expect("restored");
}

#[tokio::test]
async fn links_of_the_past_keep_a_version_that_does_not_take_them_away() {
    let world = World::new().await;
    let second = cartwright::AccountSetup {
        id: "second".parse().expect("an id"),
        settings: members(json!({ "viewer-token": "viewer-token" })),
        grants: local(world.expivi.base_url()),
    };
    world.host.set_account(&world.shop, world.digest, second).await.expect("an account");
    let shirt: ProductLink = serde_json::from_value(json!({
        "shop_product": "shirt", "account": "second", "vendor_product": "1002", "strategy": { "name": "simple" },
    }))
    .expect("a link");
    world.host.link(&world.shop, &[shirt]).await.expect("switched");
    let other = version_with_other_fields(&world, &[("sku-prefix", "sku-before")]).await;
    let refused = world
        .host
        .switch_version(&world.shop, &world.account, other, NewHostPolicy::Reject)
        .await
        .expect_err("a line may need it");
    assert_eq!(
        refused.to_string(),
        "the product \"shirt\": sku-prefix: No such setting.; change these links, then try again"
    );
}
