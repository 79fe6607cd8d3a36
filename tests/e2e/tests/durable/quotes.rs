//! Quotes in the store, on each database: requested once, changed by one caller at a time, deleted at their time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use cartwright::types::Money;
use cartwright::{AddToCart, CartError, CartOperation, QuoteOffer};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use cartwright_store::{
    Expected, JobFilter, NewQuote, Quote, QuoteError, QuoteState, Retention, Store, StoreError, UnfinishedJobs,
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

const ACTOR: &str = "test";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct QuoteTest {
    world: World,
    store: Store,
    request: NewQuote,
    now: SystemTime,
}

impl QuoteTest {
    async fn new(database: &Database) -> Self {
        let world = World::new().await;
        let add = AddToCart {
            product: "ring".to_owned(),
            configuration: Some(samples::EXPIVI_SIMPLE.into()),
            quantity: 50,
            ..AddToCart::default()
        };
        let mut change = world.host.request_quote(&world.shop, add).await.expect("asked");
        let Some(CartOperation::RequestQuote { lines }) = change.operations.pop() else { panic!("{change:?}") };
        let request = NewQuote { id: "q1".to_owned(), customer: None, contact: None, locale: "en".to_owned(), lines };
        Self { world, store: database.open().await, request, now: SystemTime::now() }
    }

    async fn request(&self) -> Result<(Quote, bool), QuoteError> {
        self.store.quotes().request(&self.world.host, &self.world.shop, &self.request, ACTOR, self.now).await
    }

    async fn offer(&self, minor: i64, expected: Expected<'_>, now: SystemTime) -> Result<Quote, QuoteError> {
        let unit = Money { minor, scale: 2, currency: "EUR".to_owned() };
        let prices = BTreeMap::from([(self.request.lines[0].key.clone(), unit)]);
        let offer = QuoteOffer { quote: "q1".to_owned(), prices, until: now + HOUR };
        self.store.quotes().offer(&self.world.host, &self.world.shop, &offer, expected, ACTOR, now).await
    }

    async fn accept(&self, now: SystemTime) -> Result<i64, QuoteError> {
        let (host, shop) = (&self.world.host, &self.world.shop);
        let (_, change) = self.store.quotes().accept(host, shop, "q1", &[], Expected::Any, ACTOR, now).await?;
        let mut cart = Vec::new();
        change.apply(&mut cart);
        Ok(cart[0].price.total.minor)
    }

    async fn withdraw(&self) -> Result<Quote, QuoteError> {
        self.store.quotes().withdraw(&self.world.shop, "q1", Expected::Any, ACTOR, self.now).await
    }

    async fn state(&self, now: SystemTime) -> QuoteState {
        self.store.quotes().get(&self.world.shop, "q1", now).await.expect("a quotation").summary.state
    }

    async fn is_gone(&self) -> bool {
        let read = self.store.quotes().get(&self.world.shop, "q1", self.now).await;
        matches!(read, Err(StoreError::NotFound { .. }))
    }
}

async fn a_quotation_is_asked_for_once_by_however_many(database: Database) {
    let asking = QuoteTest::new(&database).await;
    let (one, other) = tokio::join!(asking.request(), asking.request());
    let ((one, is_new), (other, is_other_new)) = (one.expect("asked"), other.expect("asked"));
    assert_eq!((one, is_new), (other, !is_other_new));
    let jobs = asking.store.jobs().list(&JobFilter::default(), 10).await.expect("jobs");
    assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["quote-requested"]);
}

async fn nobody_is_asked_to_price_what_a_shopper_wrote(database: Database) {
    let mut asking = QuoteTest::new(&database).await;
    asking.request.lines[0].title = "Tin ring".to_owned();
    let refused = asking.request().await;
    assert!(matches!(refused, Err(QuoteError::Cart(CartError::Seal { .. }))), "{refused:?}");
}

async fn of_two_who_change_a_quotation_one_does(database: Database) {
    let asking = QuoteTest::new(&database).await;
    asking.request().await.expect("asked");
    let read = Expected::Version("1");
    let (one, other) = tokio::join!(asking.offer(100, read, asking.now), asking.offer(200, read, asking.now));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let lost = one.err().or(other.err()).expect("an error");
    assert!(matches!(lost, QuoteError::Changed(_)), "{lost}");
    let (accepted, withdrawn) = tokio::join!(asking.accept(asking.now), asking.withdraw());
    assert!(accepted.is_ok() != withdrawn.is_ok(), "{accepted:?} {withdrawn:?}");
    let state = if accepted.is_ok() { QuoteState::Accepted } else { QuoteState::Withdrawn };
    assert_eq!(asking.state(asking.now).await, state);
}

async fn an_offer_is_accepted_until_it_ends_and_then_closed(database: Database) {
    let asking = QuoteTest::new(&database).await;
    asking.request().await.expect("asked");
    asking.offer(12_300, Expected::Any, asking.now).await.expect("offered");
    let ended = asking.now + HOUR;
    let late = asking.accept(ended).await;
    assert!(matches!(late, Err(QuoteError::Expired { .. })), "{late:?}");
    assert_eq!(asking.state(ended).await, QuoteState::Expired);
    asking.store.sweep(&Retention::default(), ended).await.expect("swept");
    let listed = asking.store.quotes().list(&asking.world.shop, Some(QuoteState::Expired), None, 10, ended).await;
    assert_eq!(listed.expect("a page").len(), 1);
    // A new offer continues the quote.
    asking.offer(12_000, Expected::Any, ended).await.expect("offered anew");
    for _ in 0..2 {
        assert_eq!(asking.accept(ended).await.expect("accepted"), 50 * 12_000);
    }
    assert_eq!(asking.state(ended + HOUR).await, QuoteState::Accepted);
}

async fn a_quotation_goes_at_its_time_and_with_its_order(database: Database) {
    let mut asking = QuoteTest::new(&database).await;
    asking.request().await.expect("asked");
    let kept = Retention::default().quotes;
    assert_eq!(asking.store.sweep(&Retention::default(), asking.now + kept).await.expect("swept").quotes, 0);
    let swept = asking.store.sweep(&Retention::default(), asking.now + kept + DAY).await.expect("swept");
    assert_eq!(swept.quotes, 1);
    assert!(asking.is_gone().await);
    // Its id is not free for another quote.
    assert!(matches!(asking.request().await, Err(QuoteError::Exists(_))));
    "q2".clone_into(&mut asking.request.id);
    asking.request().await.expect("asked");
    let order = "~quotation-q2";
    let exported = asking.store.personal_data().export_order(&asking.world.shop, order).await.expect("exported");
    assert_eq!(exported.document["orders"][0]["quote"]["request"]["id"], "q2", "{:#}", exported.document);
    let erased = asking
        .store
        .personal_data()
        .erase_order(&asking.world.shop, order, UnfinishedJobs::Cancel, ACTOR, asking.now)
        .await;
    assert!(erased.expect("erased"));
    let again = asking.request().await;
    assert!(matches!(again, Err(QuoteError::Store(StoreError::Erased(_)))), "{again:?}");
}

async fn a_quotation_is_its_customers_also_by_the_platforms_own_name_of_them(database: Database) {
    let mut asking = QuoteTest::new(&database).await;
    asking.request.customer = Some(" Ada@Example.com".to_owned());
    let (quote, _) = asking.request().await.expect("asked");
    let (store, shop) = (&asking.store, &asking.world.shop);
    let ada = "ada@example.com".parse().expect("an address");
    assert_eq!(store.personal_data().orders_of_customer(shop, &ada).await.expect("orders"), [quote.order]);
    let erased = store
        .personal_data()
        .erase_customer(shop, &ada, UnfinishedJobs::Cancel, ACTOR, asking.now)
        .await
        .expect("erased");
    assert_eq!(erased.len(), 1);
    assert!(matches!(store.quotes().get(shop, "q1", asking.now).await, Err(StoreError::NotFound { .. })));
}
