//! Tests that the data of carts is bounded: a quota for each shop, shared among its visitors.

use cartwright::types::OrderEventKind;
use cartwright::{Blobs, Digest, NewConfiguration, ShopId, StoredThumbnail};
use cartwright_store::Store;

use crate::database::{Database, at, configured, event_of, job, on_each_database, order, shop};

on_each_database!(
    when_the_quota_is_full_the_oldest_goes,
    who_fills_the_quota_takes_nothing_from_others,
    what_was_needed_again_goes_after_what_was_not,
    the_newest_of_each_visitor_stays,
    more_visitors_than_the_quota_has_room_for_stay_within_it,
    a_configuration_goes_with_its_pictures,
    an_orders_copies_do_not_count_and_never_go,
    another_shop_has_a_quota_of_its_own,
    equal_bytes_are_stored_once,
);

const KIB: usize = 1024;

/// Returns a configuration of 10 KiB.
fn bytes(number: usize) -> Vec<u8> {
    format!("{number:>10240}").into_bytes()
}

/// Opens a store whose quota has room for ten of them.
async fn small(database: &Database) -> Store {
    let store = database.open().await;
    store.blobs().set_cart_quota(100 * KIB as u64);
    store
}

async fn store_for(store: &Store, client: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<Digest> {
    let mut digests = Vec::new();
    for number in numbers {
        digests.push(configured(store, Some(client), &bytes(number), &[]).await);
        // Of several with the same time, none is the oldest.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    digests
}

async fn are_stored(store: &Store, digests: &[Digest]) -> Vec<bool> {
    let mut stored = Vec::new();
    for digest in digests {
        stored.push(store.get(&shop(), digest).await.unwrap().is_some());
    }
    stored
}

async fn when_the_quota_is_full_the_oldest_goes(database: Database) {
    let store = small(&database).await;
    let all = store_for(&store, "a", 0..25).await;
    let stored = are_stored(&store, &all).await;
    let count = stored.iter().filter(|stored| **stored).count();
    assert!((8..=10).contains(&count), "{stored:?}");
    assert!(stored[25 - count..].iter().all(|stored| *stored), "the newest stay: {stored:?}");
}

async fn who_fills_the_quota_takes_nothing_from_others(database: Database) {
    let store = small(&database).await;
    let honest = store_for(&store, "a", 0..3).await;
    let flood = store_for(&store, "b", 100..140).await;
    assert_eq!(are_stored(&store, &honest).await, [true; 3]);
    let left = are_stored(&store, &flood).await.into_iter().filter(|stored| *stored).count();
    assert!((4..=7).contains(&left), "{left}");
}

async fn what_was_needed_again_goes_after_what_was_not(database: Database) {
    let store = small(&database).await;
    let first = store_for(&store, "a", 0..5).await;
    assert!(store.touch(&shop(), &first[..1]).await.unwrap().is_empty());
    store_for(&store, "a", 5..11).await;
    assert_eq!(are_stored(&store, &first[..2]).await, [true, false]);
}

async fn the_newest_of_each_visitor_stays(database: Database) {
    let store = small(&database).await;
    let large = format!("{:>51200}", "large").into_bytes();
    let large = configured(&store, Some("a"), &large, &[]).await;
    store_for(&store, "b", 0..20).await;
    assert_eq!(are_stored(&store, &[large]).await, [true], "the line that was sealed over it needs it");
}

async fn more_visitors_than_the_quota_has_room_for_stay_within_it(database: Database) {
    let store = small(&database).await;
    let mut all = Vec::new();
    for number in 0..25 {
        all.extend(store_for(&store, &format!("visitor {number}"), [number]).await);
    }
    let stored = are_stored(&store, &all).await;
    let count = stored.iter().filter(|stored| **stored).count();
    assert!((8..=10).contains(&count) && stored[24], "{stored:?}");
}

async fn a_configuration_goes_with_its_pictures(database: Database) {
    let store = small(&database).await;
    let configuration = configured(&store, Some("a"), b"a configuration", &[b"a picture"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    store_for(&store, "a", 0..11).await;
    assert_eq!(are_stored(&store, &[configuration, Digest::of(b"a picture")]).await, [false, false]);
}

async fn an_orders_copies_do_not_count_and_never_go(database: Database) {
    let store = small(&database).await;
    let all = store_for(&store, "a", 0..9).await;
    for (number, digest) in all.iter().enumerate() {
        let mut order = order(&number.to_string(), 1);
        order.lines[0].configuration = Some(digest.to_string());
        let event = event_of(&format!("e{number}"), OrderEventKind::Paid, order);
        store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap();
    }
    assert_eq!(are_stored(&store, &all).await, [true; 9]);
    store_for(&store, "b", 100..130).await;
    assert_eq!(are_stored(&store, &all).await, [true; 9]);
}

async fn another_shop_has_a_quota_of_its_own(database: Database) {
    let store = small(&database).await;
    let other: ShopId = "other".parse().unwrap();
    let theirs = bytes(1);
    let new = NewConfiguration { digest: Digest::of(&theirs), bytes: &theirs, pictures: &[], client: Some("a") };
    store.put_configuration(&other, &new).await.unwrap();
    store_for(&store, "a", 0..25).await;
    assert!(store.get(&other, &new.digest).await.unwrap().is_some());
}

async fn equal_bytes_are_stored_once(database: Database) {
    let store = small(&database).await;
    let first = store_for(&store, "a", [0]).await;
    for _ in 0..30 {
        store_for(&store, "b", [1]).await;
    }
    assert_eq!(are_stored(&store, &first).await, [true]);
    // A thumbnail that is stored later is added to the configuration.
    let picture = StoredThumbnail { digest: Digest::of(b"late"), bytes: b"late".to_vec(), media_type: "image/png" };
    let (bytes, pictures) = (bytes(0), [picture]);
    let again = NewConfiguration { digest: first[0], bytes: &bytes, pictures: &pictures, client: Some("c") };
    store.put_configuration(&shop(), &again).await.unwrap();
    assert_eq!(are_stored(&store, &[Digest::of(b"late")]).await, [true]);
}
