//! Tests of erasing orders.

use cartwright::durable::{Journal, JournalError, RunEnd};
use cartwright::types::{Address, OrderEventKind, WebhookRequest};
use cartwright::webhook::{Destination, WebhookDelivery, WebhookDeliveryId, WebhookDeliveryStore};
use cartwright::{Blobs, Digest, OrderBook};
use cartwright_store::{CustomerEmail, JobFilter, Store, StoreError, UnfinishedJobs};

use crate::database::{
    Database, account, at, claimed, configured, event, event_of, job, on_each_database, order, record, shop,
};
use crate::journals::{began, record_of};

on_each_database!(
    an_erased_order_is_gone_and_the_others_stand,
    an_order_whose_jobs_are_not_over_is_erased_only_when_that_is_said,
    a_worker_writes_nothing_more_about_an_erased_order,
    a_late_event_does_not_bring_an_order_back,
    a_configuration_is_forgotten_in_carts_and_not_in_other_orders,
    a_customer_is_known_by_e_mail_address,
    an_order_that_was_made_anonymous_is_still_its_customers,
    an_order_that_cannot_be_read_can_be_erased,
);

async fn erase(store: &Store, order: &str, unfinished: UnfinishedJobs) -> Result<bool, StoreError> {
    store.personal_data().erase_order(&shop(), order, unfinished, "ann", at(100)).await
}

async fn an_erased_order_is_gone_and_the_others_stand(database: Database) {
    let store = database.open().await;
    for id in ["1", "2"] {
        let job = record(&store, &format!("e{id}"), id, 0).await;
        let run = claimed(&store, 0).await;
        assert_eq!(run.job.id, job);
        run.journal.append(0, &began(at(0))).await.unwrap();
        run.journal.append(1, &record_of("made", at(1))).await.unwrap();
        store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(2)).await.unwrap();
    }
    assert!(erase(&store, "1", UnfinishedJobs::Refuse).await.unwrap());
    assert!(matches!(store.orders().get(&shop(), "1").await, Err(StoreError::Erased(_))));
    assert_eq!(store.find(&shop(), &account("expivi"), "test:shop:1").await.unwrap(), None);
    assert_eq!(store.jobs().list(&JobFilter::default(), 10).await.unwrap().len(), 1);
    assert_eq!(store.orders().get(&shop(), "2").await.unwrap().unwrap().version, 1);
    assert_eq!(store.outcomes().list(&shop(), "2").await.unwrap().len(), 1);
    let entry = store.audit().entries(Some(&shop()), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str()), ("ann", "erase-order", "1"));
    assert_eq!(entry.before.unwrap()["journal_entries"], 2);
    // Erasing again changes nothing, and is not logged.
    assert!(!erase(&store, "1", UnfinishedJobs::Refuse).await.unwrap());
    assert_eq!(store.audit().entries(None, None, 10).await.unwrap().len(), 1);
    assert!(matches!(erase(&store, "3", UnfinishedJobs::Refuse).await, Err(StoreError::NotFound { .. })));
}

async fn an_order_whose_jobs_are_not_over_is_erased_only_when_that_is_said(database: Database) {
    let store = database.open().await;
    let job = record(&store, "e1", "1", 0).await;
    let error = erase(&store, "1", UnfinishedJobs::Refuse).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)) && error.to_string().contains("1 jobs of the order 1"), "{error}");
    assert_eq!(claimed(&store, 0).await.job.id, job);
    assert!(erase(&store, "1", UnfinishedJobs::Cancel).await.unwrap());
    assert!(store.jobs().list(&JobFilter::default(), 10).await.unwrap().is_empty());
}

async fn a_worker_writes_nothing_more_about_an_erased_order(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    let bytes = run.journal.blobs().unwrap();
    erase(&store, "1", UnfinishedJobs::Cancel).await.unwrap();
    assert_eq!(run.journal.append(1, &record_of("late", at(1))).await, Err(JournalError::Superseded));
    assert!(matches!(store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await, Err(StoreError::LeaseLost(_))));
    assert!(bytes.put(&shop(), b"late".to_vec(), "text/plain").await.is_err());
}

async fn a_late_event_does_not_bring_an_order_back(database: Database) {
    let store = database.open().await;
    store.orders().record_event(&shop(), &event("e1", "1"), &[], at(0)).await.unwrap();
    erase(&store, "1", UnfinishedJobs::Refuse).await.unwrap();
    for id in ["e1", "e2"] {
        let error = store.orders().record_event(&shop(), &event(id, "1"), &[job("expivi")], at(200)).await.unwrap_err();
        assert!(matches!(error, StoreError::Erased(_)), "{error}");
    }
}

async fn a_configuration_is_forgotten_in_carts_and_not_in_other_orders(database: Database) {
    let store = database.open().await;
    let shop = shop();
    let same = store.put(&shop, b"the same".to_vec(), "application/json").await.unwrap();
    let own = configured(&store, None, b"its own", &[b"a picture", b"the usual"]).await;
    let (picture, usual) = (Digest::of(b"a picture"), Digest::of(b"the usual"));
    let in_cart = configured(&store, None, b"in a cart", &[b"the usual"]).await;
    for (id, digests) in [("1", [&same, &own]), ("2", [&same, &same])] {
        let mut order = order(id, 1);
        for (line, digest) in order.lines.iter_mut().zip(digests) {
            line.configuration = Some(digest.to_string());
        }
        store.orders().record_event(&shop, &event_of(id, OrderEventKind::Paid, order), &[], at(0)).await.unwrap();
    }
    erase(&store, "1", UnfinishedJobs::Refuse).await.unwrap();
    assert_eq!(store.get(&shop, &own).await.unwrap(), None);
    assert_eq!(store.get(&shop, &picture).await.unwrap(), None);
    assert_eq!(store.get(&shop, &same).await.unwrap().unwrap(), b"the same");
    assert_eq!(store.get(&shop, &in_cart).await.unwrap().unwrap(), b"in a cart");
    // A thumbnail that another configuration shows as well remains stored for that one.
    assert_eq!(store.get(&shop, &usual).await.unwrap().unwrap(), b"the usual");
    erase(&store, "2", UnfinishedJobs::Refuse).await.unwrap();
    assert_eq!(store.get(&shop, &same).await.unwrap(), None);
}

async fn a_customer_is_known_by_e_mail_address(database: Database) {
    let store = database.open().await;
    let of = address;
    for (id, billing, delivery) in [
        ("1", of("ann@example.com"), None),
        ("2", of("bob@example.com"), of(" ANN@example.com")),
        ("3", of("bob@example.com"), of("")),
        ("4", None, of("\u{3000}")),
    ] {
        let order = cartwright::types::Order { billing, delivery, ..order(id, 1) };
        store.orders().record_event(&shop(), &event_of(id, OrderEventKind::Paid, order), &[], at(0)).await.unwrap();
    }
    assert_eq!(orders_of(&store, "Ann@Example.com").await, ["1", "2"]);
    assert_eq!(
        store.personal_data().orders_of_customer(&"other".parse().unwrap(), &email("ann@example.com")).await.unwrap(),
        [""; 0]
    );
    let erased = store
        .personal_data()
        .erase_customer(&shop(), &email("ann@example.com"), UnfinishedJobs::Refuse, "ann", at(1))
        .await;
    assert_eq!(erased.unwrap(), ["1", "2"]);
    assert!(orders_of(&store, "ann@example.com").await.is_empty());
    assert_eq!(orders_of(&store, "bob@example.com").await, ["3"]);
}

fn email(text: &str) -> CustomerEmail {
    text.parse().unwrap()
}

async fn orders_of(store: &Store, address: &str) -> Vec<String> {
    store.personal_data().orders_of_customer(&shop(), &email(address)).await.unwrap()
}

fn address(email: &str) -> Option<Address> {
    Some(Address {
        name: None,
        first_name: Some("Ann".into()),
        last_name: Some("Other".into()),
        email: Some(email.into()),
        line1: "Street 1".into(),
        line2: None,
        zip: "1".into(),
        city: "C".into(),
        region: None,
        country: "CH".into(),
        company: None,
        vat: None,
        phone: None,
        extra: Vec::new(),
    })
}

async fn an_order_that_was_made_anonymous_is_still_its_customers(database: Database) {
    let store = database.open().await;
    let version = |version: u64, billing: &str, delivery: &str| cartwright::types::Order {
        billing: address(billing),
        delivery: address(delivery),
        ..order("1", version)
    };
    let first = event_of("e1", OrderEventKind::Paid, version(1, "eva@example.com", "ZOE\u{308}@example.com"));
    store.orders().record_event(&shop(), &first, &[job("expivi")], at(0)).await.unwrap();
    // The request that the plugin refused names the old address only.
    let notice = WebhookDelivery {
        destination: Destination { shop: shop(), account: account("expivi"), endpoint: "done".into() },
        id: WebhookDeliveryId::Event(Digest::of(b"1")),
        at: at(1),
        duplicate_since: None,
        request: WebhookRequest {
            id: "request-1".into(),
            received_at: "2026-01-01T12:00:01Z".into(),
            method: "POST".into(),
            headers: Vec::new(),
            query: "to=eva%40example.com".into(),
            body: b"{\"order\":\"unknown\"}".to_vec(),
            extra: Vec::new(),
        },
    };
    store.begin(&notice).await.unwrap();
    store.fail(&notice, "no such order").await.unwrap();
    let anonymized = event_of("e2", OrderEventKind::Changed, version(2, "deleted@site.invalid", " "));
    store.orders().record_event(&shop(), &anonymized, &[], at(2)).await.unwrap();
    // An older version that arrives late counts too.
    let late = event_of("e0", OrderEventKind::Changed, version(1, "typing-error@example.com", ""));
    store.orders().record_event(&shop(), &late, &[], at(3)).await.unwrap();
    for known in ["EVA@example.com", "zoë@example.com", "deleted@site.invalid", "typing-error@example.com"] {
        assert_eq!(orders_of(&store, known).await, ["1"], "{known}");
    }
    let exported = store.personal_data().export_customer(&shop(), &email("eva@example.com")).await.unwrap();
    assert!(exported.document.to_string().contains("eva@example.com"));
    let erased = store
        .personal_data()
        .erase_customer(&shop(), &email("eva@example.com"), UnfinishedJobs::Cancel, "ann", at(4))
        .await;
    assert_eq!(erased.unwrap(), ["1"]);
    assert!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().is_empty());
    for known in ["eva@example.com", "zoë@example.com", "deleted@site.invalid"] {
        assert!(orders_of(&store, known).await.is_empty(), "{known}");
    }
}

async fn an_order_that_cannot_be_read_can_be_erased(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    store.orders().record_event(&shop(), &event("e2", "2"), &[], at(0)).await.unwrap();
    database.tamper("update orders set content = (select content from orders where id = '2') where id = '1'").await;
    assert!(erase(&store, "1", UnfinishedJobs::Cancel).await.unwrap());
    assert!(matches!(store.orders().get(&shop(), "1").await, Err(StoreError::Erased(_))));
}
