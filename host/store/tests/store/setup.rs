//! Tests of shops, accounts, product links, components, and their secrets.

use std::collections::{BTreeMap, BTreeSet};

use cartwright::types::{Currency, Rounding, SettingValue};
use cartwright::{
    AccountSecret, AccountSnapshot, Currencies, Digest, Grants, ProductLink, ReleasePolicy, Secret, Settings, Shop,
    ShopId,
};
use cartwright_store::{EndpointError, Expected, Keyring, NotificationEndpoint, Store, StoreError};
use serde_json::json;

use crate::database::{Database, KEY, account, at, claimed, on_each_database, record, shop};

on_each_database!(
    a_shop_is_given_back_as_it_was,
    an_account_is_given_back_as_it_was_and_its_secrets_stay_apart,
    of_two_who_change_an_account_the_second_is_told,
    a_vendor_swap_keeps_the_links_that_it_replaces,
    components_are_kept_with_their_bytes,
    nothing_secret_or_personal_stands_in_the_open,
    keys_are_exchanged_while_both_are_at_hand,
);

const NEW_KEY: [u8; 32] = [9; 32];

/// Sets the notification endpoint of a shop, whatever was granted before. Returns the secret of a new endpoint.
pub async fn set_endpoint(
    store: &Store,
    shop: &ShopId,
    endpoint: &NotificationEndpoint,
) -> Result<Option<Secret>, EndpointError> {
    let NotificationEndpoint { url, grants } = endpoint.clone();
    let set = store.notifications().set_endpoint(shop, url, |_| Ok(grants), Expected::Any, "ann", at(0)).await;
    set.map(|(_, secret)| secret)
}

pub fn rings() -> Shop {
    Shop {
        id: "shop".parse().unwrap(),
        currencies: vec![Currency { code: "CHF".into(), scale: 3 }, Currency { code: "EUR".into(), scale: 2 }]
            .try_into()
            .unwrap(),
        base_country: Some("CH".into()),
        time_zone: Some("Europe/Zurich".into()),
        locale: "de-CH".into(),
        prices_include_tax: true,
        rounding: Rounding::HalfEven,
        seal_key: Secret::new("a key of the tests, 32 bytes long"),
        seal_seconds: 77,
        pin_seconds: 78,
        sell_unconfigured: true,
        release: ReleasePolicy::ByHand,
        max_storefront_body_bytes: Some(79),
    }
}

fn settings() -> Settings {
    let viewer = SettingValue::Text("viewer-token-value".into());
    Settings::from([("viewer-token".into(), viewer), ("timeout".into(), SettingValue::Integer(7))])
}

fn server_token() -> AccountSecret {
    AccountSecret { value: Secret::new("s3cret-t0ken"), authorized_hosts: BTreeSet::from(["expivi.net".into()]) }
}

fn expivi() -> AccountSnapshot {
    AccountSnapshot {
        id: account("expivi"),
        current: Digest::of(b"1"),
        versions: BTreeMap::from([(Digest::of(b"0"), Settings::new()), (Digest::of(b"1"), settings())]),
        secrets: BTreeMap::from([("server-token".into(), server_token())]),
        grants: Grants { hosts: BTreeSet::from(["expivi.net".into()]), personal_data: true, ..Grants::default() },
        revision: 1,
    }
}

/// Opens a store that has a shop.
pub async fn open_with_shop(database: &Database) -> Store {
    let store = database.open().await;
    store.shops().save_shop(&rings(), at(0)).await.unwrap();
    store
}

pub async fn with_account(store: &Store) -> ShopId {
    store.shops().save_shop(&rings(), at(0)).await.unwrap();
    store.shops().save_account(&shop(), &expivi(), at(0)).await.unwrap();
    shop()
}

async fn a_shop_is_given_back_as_it_was(database: Database) {
    let store = database.open().await;
    store.shops().save_shop(&Shop { currencies: Currencies::one("CHF", 2), ..rings() }, at(0)).await.unwrap();
    store.shops().save_shop(&rings(), at(1)).await.unwrap();
    let mut shops = store.shops().list().await.unwrap();
    let stored = shops.remove(0);
    assert!(shops.is_empty());
    assert_eq!(format!("{stored:?}"), format!("{:?}", rings()));
    assert_eq!(stored.seal_key, rings().seal_key);
}

async fn an_account_is_given_back_as_it_was_and_its_secrets_stay_apart(database: Database) {
    let store = database.open().await;
    let shop = with_account(&store).await;
    let stored = store.shops().accounts(&shop).await.unwrap().remove(0);
    assert_eq!((stored.current, stored.revision, &stored.grants), (Digest::of(b"1"), 1, &expivi().grants));
    assert_eq!(stored.versions, expivi().versions);
    assert_eq!(stored.secrets, expivi().secrets);
}

async fn of_two_who_change_an_account_the_second_is_told(database: Database) {
    let store = database.open().await;
    let shop = with_account(&store).await;
    let changed = AccountSnapshot { revision: 2, ..expivi() };
    store.shops().save_account(&shop, &changed, at(1)).await.unwrap();
    for stale in [&changed, &expivi(), &AccountSnapshot { id: account("never"), ..changed.clone() }] {
        let error = store.shops().save_account(&shop, stale, at(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    }
    let unreachable_url = store.shops().save_account(&"nowhere".parse().unwrap(), &expivi(), at(2)).await;
    assert!(matches!(unreachable_url, Err(StoreError::NotFound { what: "shop", .. })));
}

async fn a_vendor_swap_keeps_the_links_that_it_replaces(database: Database) {
    let store = database.open().await;
    let shop = with_account(&store).await;
    let twikit = AccountSnapshot { id: account("twikit"), ..expivi() };
    store.shops().save_account(&shop, &twikit, at(0)).await.unwrap();
    let link = |product: &str, account: &str| -> ProductLink {
        serde_json::from_value(json!({
            "shop_product": product, "account": account, "vendor_product": "1001", "preset": "p",
            "allowed_skus": ["A"], "settings": { "sku-prefix": "R-" }, "strategy": { "name": "simple" },
        }))
        .unwrap()
    };
    store.shops().save_links(&shop, &[link("chain", "expivi"), link("ring", "expivi")], at(0)).await.unwrap();
    store.shops().save_links(&shop, &[link("ring", "twikit")], at(1)).await.unwrap();
    // The second link names an account that is not stored: neither is accepted.
    let error =
        store.shops().save_links(&shop, &[link("chain", "twikit"), link("ring", "nobody")], at(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "account", .. }), "{error}");
    let links = store.shops().links(&shop).await.unwrap();
    let summaries: Vec<_> = links
        .iter()
        .map(|stored| (stored.link.shop_product.as_str(), stored.link.account.as_str(), stored.is_current))
        .collect();
    assert_eq!(summaries, [("chain", "expivi", true), ("ring", "expivi", false), ("ring", "twikit", true)]);
    assert_eq!(serde_json::to_value(&links[0].link).unwrap(), serde_json::to_value(link("chain", "expivi")).unwrap());
}

async fn components_are_kept_with_their_bytes(database: Database) {
    let store = database.open().await;
    let plugin = "expivi".parse().unwrap();
    let one = store.components().save(&plugin, "1.0.0", b"one", at(0)).await.unwrap();
    let two = store.components().save(&plugin, "1.1.0", b"two", at(1)).await.unwrap();
    assert_eq!(store.components().save(&plugin, "1.0.0", b"one", at(9)).await.unwrap(), one);
    assert_eq!(store.components().get(&one).await.unwrap().unwrap(), b"one");
    assert_eq!(store.components().get(&Digest::of(b"three")).await.unwrap(), None);
    store.components().revoke(&one, Some(&two), at(2)).await.unwrap();
    assert!(matches!(
        store.components().revoke(&two, Some(&Digest::of(b"three")), at(2)).await,
        Err(StoreError::Conflict(_))
    ));
    let components = store.components().list().await.unwrap();
    let summaries: Vec<_> = components
        .iter()
        .map(|components| (components.version.as_str(), components.installed, components.revoked))
        .collect();
    assert_eq!(summaries, [("1.0.0", at(0), Some(at(2))), ("1.1.0", at(1), None)]);
    assert_eq!(components[0].replacement, Some(two));
    database.tamper("update components set bytes = plugin_bytes.bytes from (select bytes from components where version = '1.1.0') as plugin_bytes").await;
    assert!(matches!(store.components().get(&one).await, Err(StoreError::Corrupt(_))));
}

async fn nothing_secret_or_personal_stands_in_the_open(database: Database) {
    // A file can be searched for stored secrets.
    let Some(path) = database.url.strip_prefix("sqlite:") else { return };
    let store = database.open().await;
    with_account(&store).await;
    record(&store, "e1", "1", 0).await;
    store.close().await;
    let bytes = std::fs::read(path).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("viewer-token") && holds("test:shop:1"));
    for text in ["s3cret-t0ken", "a key of the tests", "A ring", "placed_at"] {
        assert!(!holds(text), "{text:?} stands in the database");
    }
}

async fn keys_are_exchanged_while_both_are_at_hand(database: Database) {
    let store = database.open().await;
    let shop = with_account(&store).await;
    for number in 0..3 {
        record(&store, &format!("e{number}"), &number.to_string(), 0).await;
    }
    store.close().await;
    let both_keys = || Keyring::new(NEW_KEY).with_previous(KEY);
    let store = Store::open(&database.url, both_keys()).await.unwrap();
    // Halfway, both keys are needed.
    record(&store, "e9", "9", 0).await;
    for one in [KEY, NEW_KEY] {
        assert!(matches!(Store::open(&database.url, Keyring::new(one)).await, Err(StoreError::WrongKey { .. })));
    }
    // The account's secret, four orders' keys, and the key that hashes order numbers.
    assert_eq!(store.rotate_keys().await.unwrap(), 6);
    assert_eq!(store.rotate_keys().await.unwrap(), 0);
    store.close().await;
    assert!(matches!(Store::open(&database.url, Keyring::new(KEY)).await, Err(StoreError::WrongKey { .. })));
    let store = Store::open(&database.url, Keyring::new(NEW_KEY)).await.unwrap();
    assert_eq!(store.shops().accounts(&shop).await.unwrap()[0].secrets["server-token"], server_token());
    assert_eq!(store.shops().list().await.unwrap()[0].seal_key, rings().seal_key);
    claimed(&store, 0).await;
}
