//! Quotations as the store keeps them, on each database: asked for once, changed by one at a time, gone at their time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use cartwright::types::Money;
use cartwright::{AddToCart, CartError, CartOperation, Offer};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use cartwright_store::{
    Expected, JobFilter, NewQuotation, Quotation, QuotationError, QuotationState, Retention, Store, StoreError,
    Unfinished,
};

use crate::database::{Database, on_each_database};

on_each_database!(
    a_quotation_is_asked_for_once_by_however_many,
    nobody_is_asked_to_price_what_a_shopper_wrote,
    of_two_who_change_a_quotation_one_does,
    an_offer_is_accepted_until_it_ends_and_then_closed,
    a_quotation_goes_at_its_time_and_with_its_order,
    a_quotation_is_its_customers_also_by_the_platforms_own_name_of_them,
);

const WHO: &str = "test";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Asking {
    world: World,
    store: Store,
    asked: NewQuotation,
    now: SystemTime,
}

impl Asking {
    async fn new(database: &Database) -> Self {
        let world = World::new().await;
        let add = AddToCart {
            product: "ring".to_owned(),
            configuration: Some(samples::EXPIVI_SIMPLE.into()),
            quantity: 50,
            ..AddToCart::default()
        };
        let mut change = world.host.request_quotation(&world.shop, add).await.expect("asked");
        let Some(CartOperation::RequestQuotation { lines }) = change.operations.pop() else { panic!("{change:?}") };
        let asked = NewQuotation { id: "q1".to_owned(), customer: None, buyer: None, locale: "en".to_owned(), lines };
        Self { world, store: database.open().await, asked, now: SystemTime::now() }
    }

    async fn request(&self) -> Result<(Quotation, bool), QuotationError> {
        self.store.request_quotation(&self.world.host, &self.world.shop, &self.asked, WHO, self.now).await
    }

    async fn offer(&self, minor: i64, expected: Expected<'_>, now: SystemTime) -> Result<Quotation, QuotationError> {
        let unit = Money { minor, scale: 2, currency: "EUR".to_owned() };
        let prices = BTreeMap::from([(self.asked.lines[0].key.clone(), unit)]);
        let offer = Offer { quotation: "q1".to_owned(), prices, until: now + HOUR };
        self.store.offer_quotation(&self.world.host, &self.world.shop, &offer, expected, WHO, now).await
    }

    async fn accept(&self, now: SystemTime) -> Result<i64, QuotationError> {
        let (host, shop) = (&self.world.host, &self.world.shop);
        let (_, change) = self.store.accept_quotation(host, shop, "q1", &[], Expected::Anything, WHO, now).await?;
        let mut cart = Vec::new();
        change.apply(&mut cart);
        Ok(cart[0].price.total.minor)
    }

    async fn withdraw(&self) -> Result<Quotation, QuotationError> {
        self.store.withdraw_quotation(&self.world.shop, "q1", Expected::Anything, WHO, self.now).await
    }

    async fn state(&self, now: SystemTime) -> QuotationState {
        self.store.quotation(&self.world.shop, "q1", now).await.expect("a quotation").summary.state
    }

    async fn is_gone(&self) -> bool {
        let read = self.store.quotation(&self.world.shop, "q1", self.now).await;
        matches!(read, Err(StoreError::NotFound { .. }))
    }
}

async fn a_quotation_is_asked_for_once_by_however_many(database: Database) {
    let asking = Asking::new(&database).await;
    let (one, other) = tokio::join!(asking.request(), asking.request());
    let ((one, is_new), (other, is_other_new)) = (one.expect("asked"), other.expect("asked"));
    assert_eq!((one, is_new), (other, !is_other_new));
    let jobs = asking.store.jobs(&JobFilter::default(), 10).await.expect("jobs");
    assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["quotation-requested"]);
}

async fn nobody_is_asked_to_price_what_a_shopper_wrote(database: Database) {
    let mut asking = Asking::new(&database).await;
    asking.asked.lines[0].title = "Tin ring".to_owned();
    let refused = asking.request().await;
    assert!(matches!(refused, Err(QuotationError::Cart(CartError::Seal { .. }))), "{refused:?}");
}

async fn of_two_who_change_a_quotation_one_does(database: Database) {
    let asking = Asking::new(&database).await;
    asking.request().await.expect("asked");
    let read = Expected::Version("1");
    let (one, other) = tokio::join!(asking.offer(100, read, asking.now), asking.offer(200, read, asking.now));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let lost = one.err().or(other.err()).expect("an error");
    assert!(matches!(lost, QuotationError::Changed(_)), "{lost}");
    let (accepted, withdrawn) = tokio::join!(asking.accept(asking.now), asking.withdraw());
    assert!(accepted.is_ok() != withdrawn.is_ok(), "{accepted:?} {withdrawn:?}");
    let state = if accepted.is_ok() { QuotationState::Accepted } else { QuotationState::Withdrawn };
    assert_eq!(asking.state(asking.now).await, state);
}

async fn an_offer_is_accepted_until_it_ends_and_then_closed(database: Database) {
    let asking = Asking::new(&database).await;
    asking.request().await.expect("asked");
    asking.offer(12_300, Expected::Anything, asking.now).await.expect("offered");
    let ended = asking.now + HOUR;
    let late = asking.accept(ended).await;
    assert!(matches!(late, Err(QuotationError::Expired { .. })), "{late:?}");
    assert_eq!(asking.state(ended).await, QuotationState::Expired);
    asking.store.sweep(&Retention::default(), ended).await.expect("swept");
    let listed = asking.store.quotations(&asking.world.shop, Some(QuotationState::Expired), None, 10, ended).await;
    assert_eq!(listed.expect("a page").len(), 1);
    // Offered anew it goes on.
    asking.offer(12_000, Expected::Anything, ended).await.expect("offered anew");
    for _ in 0..2 {
        assert_eq!(asking.accept(ended).await.expect("accepted"), 50 * 12_000);
    }
    assert_eq!(asking.state(ended + HOUR).await, QuotationState::Accepted);
}

async fn a_quotation_goes_at_its_time_and_with_its_order(database: Database) {
    let mut asking = Asking::new(&database).await;
    asking.request().await.expect("asked");
    let kept = Retention::default().quotations;
    assert_eq!(asking.store.sweep(&Retention::default(), asking.now + kept).await.expect("swept").quotations, 0);
    let swept = asking.store.sweep(&Retention::default(), asking.now + kept + DAY).await.expect("swept");
    assert_eq!(swept.quotations, 1);
    assert!(asking.is_gone().await);
    // Its id is not another's now.
    assert!(matches!(asking.request().await, Err(QuotationError::Exists(_))));
    "q2".clone_into(&mut asking.asked.id);
    asking.request().await.expect("asked");
    let order = "~quotation-q2";
    let exported = asking.store.export_order(&asking.world.shop, order).await.expect("exported");
    assert_eq!(exported.document["orders"][0]["quotation"]["asked"]["id"], "q2", "{:#}", exported.document);
    let erased = asking.store.erase_order(&asking.world.shop, order, Unfinished::Cancel, WHO, asking.now).await;
    assert!(erased.expect("erased"));
    let again = asking.request().await;
    assert!(matches!(again, Err(QuotationError::Store(StoreError::Erased(_)))), "{again:?}");
}

async fn a_quotation_is_its_customers_also_by_the_platforms_own_name_of_them(database: Database) {
    let mut asking = Asking::new(&database).await;
    asking.asked.customer = Some(" Ada@Example.com".to_owned());
    let (quotation, _) = asking.request().await.expect("asked");
    let (store, shop) = (&asking.store, &asking.world.shop);
    let ada = "ada@example.com".parse().expect("an address");
    assert_eq!(store.orders_of_customer(shop, &ada).await.expect("orders"), [quotation.order]);
    let erased = store.erase_customer(shop, &ada, Unfinished::Cancel, WHO, asking.now).await.expect("erased");
    assert_eq!(erased.len(), 1);
    assert!(matches!(store.quotation(shop, "q1", asking.now).await, Err(StoreError::NotFound { .. })));
}
