//! A host that starts from the store serves like the host before it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cartwright::{CartOperation, Cartwright, NewHostPolicy, Visitor};
use cartwright_e2e::stored::{KEY, store_shop};
use cartwright_e2e::{World, added_lines};
use cartwright_fake_vendors::samples;
use cartwright_store::{Installation, Keyring, Store};
use sqlx::Connection as _;

/// Returns the same component with another digest, through a custom section.
fn another_version(name: u8) -> Vec<u8> {
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 2, 1, name]);
    bytes
}

async fn another_host(world: &World) -> Cartwright {
    let builder = Cartwright::builder()
        .catalog(world.catalog.clone())
        .blobs(world.blobs.clone())
        .installation("test")
        .cache(std::env::temp_dir().join("cartwright-tests-cache"));
    builder.start().expect("another host")
}

#[tokio::test]
async fn a_restart_changes_nothing_for_old_lines_and_new_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = Store::open(&url, Keyring::new(KEY)).await.expect("a store");
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let (second, third) = (another_version(b'2'), another_version(b'3'));
    store_shop(&store, &world.host, &world.shop, &[cartwright_bundled::EXPIVI, &second, &third]).await;
    let current = world.host.install(&second, None).await.expect("a version").digest();
    world.host.switch_version(&world.shop, &world.account, current, NewHostPolicy::Reject).await.expect("swapped");
    for account in world.host.snapshot(&world.shop).expect("the shop").accounts {
        store.shops().save_account(&world.shop, &account, SystemTime::now()).await.expect("kept");
    }
    let revoked = world.host.install(&third, None).await.expect("a version").digest();
    store.components().revoke(&revoked, Some(&current), SystemTime::now()).await.expect("revoked");

    let host = another_host(&world).await;
    assert_eq!(store.restore(&host).await.expect("a store"), []);
    // A second restore, as after a change on another node.
    assert_eq!(store.restore(&host).await.expect("a store"), []);
    assert_eq!(host.installed().len(), 3);
    // The old line keeps the version that made it, and its seal is valid.
    let visitor = Visitor::default();
    let change = host.change_quantity(&world.shop, &cart[0].key, 5, &cart, &visitor).await.expect("changed");
    let [CartOperation::Update { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(lines[0].pin.digest, world.digest);
    // Adding works as before the restart, with the current version.
    for (product, configuration) in
        [("shirt", samples::EXPIVI_VARIATION), ("wardrobe", samples::EXPIVI_BUNDLE), ("ring", samples::EXPIVI_SIMPLE)]
    {
        let add = || world.request(product, configuration, 1, &[]);
        let before = added_lines(&world.host.add_to_cart(&world.shop, add()).await.expect("lines"));
        let after = added_lines(&host.add_to_cart(&world.shop, add()).await.expect("lines"));
        let keys = |lines: &[cartwright::CartLine]| lines.iter().map(|line| line.key.clone()).collect::<Vec<_>>();
        assert!(after[0].pin.digest == current && keys(&before) == keys(&after), "{after:?}");
    }
    assert!(host.switch_version(&world.shop, &world.account, revoked, NewHostPolicy::Reject).await.is_err());
}

#[tokio::test]
async fn a_shop_whose_component_is_gone_does_not_keep_others_from_being_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = Store::open(&url, Keyring::new(KEY)).await.expect("a store");
    let world = World::new().await;
    store_shop(&store, &world.host, &world.shop, &[cartwright_bundled::EXPIVI]).await;
    let broken = world.host.install(&another_version(b'2'), None).await.expect("a version").digest();
    let world = world.with_shop(cartwright_e2e::shop("broken")).await;
    store_shop(&store, &world.host, &world.shop, &[]).await;
    world.host.switch_version(&world.shop, &world.account, broken, NewHostPolicy::Reject).await.expect("swapped");
    for account in world.host.snapshot(&world.shop).expect("the shop").accounts {
        store.shops().save_account(&world.shop, &account, SystemTime::now()).await.expect("kept");
    }

    let host = another_host(&world).await;
    let faults = store.restore(&host).await.expect("a store");
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.subject, "the shop broken");
    assert!(fault.reason.contains(&broken.to_string()), "{fault}");
    let shop = "shop".parse().expect("an id");
    host.add_to_cart(&shop, world.request("ring", samples::EXPIVI_SIMPLE, 1, &[])).await.expect("it is served");

    // Nor is a shop with damaged rows.
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the database");
    let damage = "update accounts set secrets = x'00' where shop = 'broken'";
    sqlx::query(damage).execute(&mut connection).await.expect("damaged");
    let host = another_host(&world).await;
    let faults = store.restore(&host).await.expect("a store");
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.subject, "the shop broken");
    host.add_to_cart(&shop, world.request("ring", samples::EXPIVI_SIMPLE, 1, &[])).await.expect("it is served");
}

#[tokio::test]
async fn a_component_that_could_not_be_restored_is_tried_again_and_its_shop_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = Store::open(&url, Keyring::new(KEY)).await.expect("a store");
    let world = World::new().await;
    store_shop(&store, &world.host, &world.shop, &[cartwright_bundled::EXPIVI]).await;
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the database");
    let damage = ["create table copies as select digest, bytes from components", "update components set bytes = x'00'"];
    for sql in damage {
        sqlx::query(sql).execute(&mut connection).await.expect("damaged");
    }
    let host = Arc::new(another_host(&world).await);
    let (installation, faults) = Installation::open(host.clone(), store).await.expect("a node");
    let what: Vec<_> = faults.iter().map(|fault| fault.subject.split(' ').nth(1).expect("a word")).collect();
    assert_eq!(what, ["component", "shop"], "{faults:?}");
    // The set-up is unchanged; the operator restores the bytes.
    let mend = "update components set bytes = (select bytes from copies where copies.digest = components.digest)";
    sqlx::query(mend).execute(&mut connection).await.expect("mended");
    let started = Instant::now();
    while host.snapshot(&world.shop).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "it is not tried again");
        tokio::time::sleep(Duration::from_millis(20)).await;
        installation.catch_up().await.expect("the database");
    }
    host.add_to_cart(&world.shop, world.request("ring", samples::EXPIVI_SIMPLE, 1, &[])).await.expect("it is served");
}
