//! Reports of a platform about its orders, and the jobs that they create.

use std::sync::Arc;

use cartwright::durable::RunEnd;
use cartwright::types::{LineQuantities, LineQuantity, Money, Order, OrderEvent, OrderEventKind, Refund, Shipment};
use cartwright::{
    AccountId, CartLine, Clock, Digest, NewHostPolicy, OrderError, OrderedLine, ReleasePolicy, SimulatedClock,
};
use cartwright_e2e::orders::{PAID, PARTLY_PAID, REFUNDED, UNPAID, approved_line, forwarded, order, with_amounts};
use cartwright_e2e::{ORDER_HOOK, World, local, members, replaced, shop};
use cartwright_fake_vendors::samples;
use cartwright_store::{Claim, JobFilter, RecordOutcome, ReportError, SoldLine, SoldLines, Store};
use serde_json::json;

use crate::database::{Database, on_each_database};

on_each_database!(
    each_vendor_is_told_of_its_lines_and_each_order_hook_of_all,
    a_vendor_that_exports_no_orders_receives_no_event,
    an_order_goes_to_the_newest_version_that_a_line_is_pinned_to,
    what_comes_after_an_order_was_closed_goes_to_the_current_version,
    an_order_is_released_once_when_it_is_paid,
    two_events_at_once_release_an_order_once,
    a_shop_may_release_when_an_order_is_placed_or_by_hand,
    the_same_report_twice_does_nothing_twice,
    an_order_that_costs_nothing_is_released_without_a_payment,
    an_order_is_released_again_after_it_was_paid_back,
    a_line_that_is_freed_later_is_released,
    what_is_added_to_a_released_order_waits_for_its_payment,
    more_pieces_of_a_released_line_wait_for_their_payment,
    of_two_first_reports_at_once_the_second_finds_what_the_first_recorded,
    a_line_whose_configuration_is_gone_is_refused_unless_the_order_had_it,
    an_order_is_released_by_its_state_whatever_happened_last,
    whoever_was_told_of_an_order_is_told_when_no_line_is_theirs_any_more,
    hooks_see_the_pieces_that_are_left_to_make,
    a_line_on_hold_when_something_was_paid_back_waits_for_its_release_by_hand,
    hooks_know_a_customer_by_a_pseudonym,
    an_order_is_in_the_shop_s_currency,
    ids_of_the_host_are_no_platform_s,
    a_report_that_cannot_be_right_is_refused_and_leaves_nothing,
);

struct Platform {
    world: World,
    store: Store,
    cart: Vec<CartLine>,
    clock: Arc<SimulatedClock>,
}

/// Returns a world that stores configurations in this store.
async fn world(store: &Store) -> World {
    World::with(|builder| builder.blobs(Arc::new(store.clone())), json!({})).await
}

impl Platform {
    async fn new(database: &Database) -> Self {
        let store = database.open().await;
        let world = world(&store).await;
        Self::of(store, world).await
    }

    async fn of(store: Store, world: World) -> Self {
        let mut cart = Vec::new();
        world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a ring");
        Self { world, store, cart, clock: Arc::default() }
    }

    async fn hook(&self) -> AccountId {
        let plugin = self.world.host.install(ORDER_HOOK, None).await.expect("the hook").digest();
        let id: AccountId = "erp".parse().expect("an id");
        let settings = members(json!({ "url": "http://127.0.0.1:9/orders", "token": "t0ken" }));
        let grants = local("http://127.0.0.1:9");
        let setup = cartwright::AccountSetup { id: id.clone(), settings, grants };
        self.world.host.set_account(&self.world.shop, plugin, setup).await.expect("an account");
        id
    }

    /// Installs the account's plugin with another digest.
    async fn another_version(&self) -> Digest {
        let mut bytes = cartwright_bundled::EXPIVI.to_vec();
        bytes.extend([0, 2, 1, b'2']);
        self.world.host.install(&bytes, None).await.expect("another version").digest()
    }

    /// Returns the order of this cart in a version, unpaid.
    fn order(&self, version: u64) -> Order {
        let order = order(&self.world.host, &self.world.shop, "1", &self.cart);
        Order { version, released: false, ..with_amounts(order, UNPAID) }
    }

    fn event(&self, id: &str, kind: OrderEventKind, order: Order) -> OrderEvent {
        OrderEvent { id: id.to_owned(), ..cartwright_e2e::orders::event(kind, &order) }
    }

    /// Returns the cart line that each order line was sold as.
    fn sold(&self) -> SoldLines {
        self.cart.iter().enumerate().map(|(number, line)| ((number + 1).to_string(), SoldLine::from(line))).collect()
    }

    async fn try_report(&self, event: &OrderEvent, sold: &SoldLines) -> Result<RecordOutcome, ReportError> {
        self.store.orders().report(&self.world.host, &self.world.shop, event, sold, "ann", self.clock.now()).await
    }

    async fn report(&self, id: &str, kind: OrderEventKind, order: Order) -> Vec<String> {
        match self.try_report(&self.event(id, kind, order), &self.sold()).await.expect("recorded") {
            RecordOutcome::New { jobs } => jobs,
            RecordOutcome::AlreadyRecorded => panic!("{id} is known"),
        }
    }

    /// Claims the next job, and completes it at once.
    async fn next(&self) -> Claim {
        let lease = std::time::Duration::from_secs(60);
        let claim = self.store.jobs().claim("node", self.clock.now(), lease).await.expect("an answer").expect("a job");
        self.store.jobs().finish(&claim.lease, Ok(&RunEnd::Done), self.clock.now()).await.expect("finished");
        claim
    }

    async fn kinds(&self) -> Vec<String> {
        let jobs = self.store.jobs().list(&JobFilter::default(), 100).await.expect("jobs");
        jobs.into_iter().map(|job| job.kind).collect()
    }
}

/// Returns the quantities of a line of three pieces with this many left to make.
fn pieces(left: u32) -> LineQuantities {
    LineQuantities { ordered: 3, cancelled: 3 - left, refunded: 0, shipped: 0 }
}

async fn each_vendor_is_told_of_its_lines_and_each_order_hook_of_all(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.hook().await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    let mut order = platform.order(1);
    // A line without a configuration.
    let mut gift = order.lines[1].clone();
    (gift.id, gift.account, gift.reference) = ("9".to_owned(), None, format!("{}:9", order.reference));
    order.lines.push(gift);
    let jobs = platform.report("e1", OrderEventKind::Placed, order).await;
    assert_eq!(jobs, ["shop:expivi:e1", "shop:erp:e1"]);
    let mut handled_jobs = Vec::new();
    for _ in jobs {
        let job = platform.next().await.job;
        let lines: Vec<String> = job.event.order.lines.into_iter().map(|line| line.id).collect();
        handled_jobs.push((job.account.to_string(), lines.join(" ")));
    }
    handled_jobs.sort();
    assert_eq!(handled_jobs, [("erp".to_owned(), "1 2 9".to_owned()), ("expivi".to_owned(), "1 2".to_owned())]);
}

async fn a_vendor_that_exports_no_orders_receives_no_event(database: Database) {
    let platform = Platform::new(&database).await;
    platform.hook().await;
    let (host, shop) = (&platform.world.host, &platform.world.shop);
    let without =
        replaced(cartwright_bundled::EXPIVI, "cartwright:plugin/orders@0.1.0", "cartwright:plugin/quotes@0.1.0");
    let without = host.install(&without, None).await.expect("a vendor without orders").digest();
    host.switch_version(shop, &platform.world.account, without, NewHostPolicy::Reject).await.expect("switched");
    host.revoke(platform.world.digest, Some(without)).expect("revoked");
    assert_eq!(platform.report("e1", OrderEventKind::Placed, platform.order(1)).await, ["shop:erp:e1"]);
}

async fn an_order_goes_to_the_newest_version_that_a_line_is_pinned_to(database: Database) {
    let mut platform = Platform::new(&database).await;
    let (host, first) = (platform.world.host.clone(), platform.world.digest);
    let second = platform.another_version().await;
    host.switch_version(&platform.world.shop, &platform.world.account, second, NewHostPolicy::Reject)
        .await
        .expect("swapped");
    // The order's line belongs to the earlier version.
    platform.report("e1", OrderEventKind::Placed, platform.order(1)).await;
    assert_eq!(platform.next().await.job.plugin, first);
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    platform.report("e2", OrderEventKind::Changed, platform.order(2)).await;
    assert_eq!(platform.next().await.job.plugin, second);
    // A retired version passes its lines to the replacement.
    platform.cart.truncate(1);
    host.revoke(first, Some(second)).expect("revoked");
    platform.report("e3", OrderEventKind::Changed, platform.order(3)).await;
    assert_eq!(platform.next().await.job.plugin, second);
}

async fn what_comes_after_an_order_was_closed_goes_to_the_current_version(database: Database) {
    let platform = Platform::new(&database).await;
    let second = platform.another_version().await;
    platform
        .world
        .host
        .switch_version(&platform.world.shop, &platform.world.account, second, NewHostPolicy::Reject)
        .await
        .expect("swapped");
    let cancelled = |version| Order { cancelled: true, ..platform.order(version) };
    platform.report("e1", OrderEventKind::Cancelled, cancelled(1)).await;
    assert_eq!(platform.next().await.job.plugin, platform.world.digest, "it was open until then");
    platform.report("e2", OrderEventKind::Erase, cancelled(2)).await;
    assert_eq!(platform.next().await.job.plugin, second);
}

async fn an_order_is_released_once_when_it_is_paid(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    platform.report("e1", OrderEventKind::Placed, platform.order(1)).await;
    let placed = platform.next().await.job.event.order;
    assert!(!placed.released && placed.lines.iter().all(|line| !line.released));
    // The second line waits for the merchant.
    let held = |version| {
        let mut order = with_amounts(platform.order(version), PAID);
        order.lines[1].released = false;
        order
    };
    let jobs = platform.report("e2", OrderEventKind::Paid, held(2)).await;
    assert_eq!(jobs, ["shop:expivi:e2", "shop:expivi:~released:e2"]);
    platform.report("e3", OrderEventKind::Paid, held(3)).await;
    platform.report("e4", OrderEventKind::Changed, held(4)).await;
    let mut handled_jobs = Vec::new();
    for _ in 0..4 {
        let event = platform.next().await.job.event;
        assert!(event.order.released);
        assert_eq!(event.order.lines.iter().map(|line| line.released).collect::<Vec<_>>(), [true, false]);
        handled_jobs.push(event.id);
    }
    assert_eq!(handled_jobs, ["e2", "~released:e2", "e3", "e4"]);
    // The merchant approves: the platform reports it, and the plugin gets another event.
    let approved = with_amounts(platform.order(5), PAID);
    platform.report("e5", OrderEventKind::Released, approved).await;
    let event = platform.next().await.job.event;
    assert!(event.kind == OrderEventKind::Released && event.order.lines.iter().all(|line| line.released));
}

async fn two_events_at_once_release_an_order_once(database: Database) {
    let platform = Platform::new(&database).await;
    let paid = |version| with_amounts(platform.order(version), PAID);
    for version in [1, 2] {
        // The second pair is about a known order.
        let [one, two] =
            ["a", "b"].map(|id| platform.event(&format!("{id}{version}"), OrderEventKind::Paid, paid(version)));
        let sold = platform.sold();
        let (one, two) = tokio::join!(platform.try_report(&one, &sold), platform.try_report(&two, &sold));
        one.and(two).expect("recorded");
    }
    let kinds = platform.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "released").count(), 1, "{kinds:?}");
}

async fn a_shop_may_release_when_an_order_is_placed_or_by_hand(database: Database) {
    for (name, release) in [("early", ReleasePolicy::Placed), ("slow", ReleasePolicy::ByHand)] {
        let mut shop = shop(name);
        shop.release = release;
        let store = database.open().await;
        let world = world(&store).await.with_shop(shop).await;
        let platform = Platform::of(store, world).await;
        let kinds = async || {
            let filter = JobFilter { shop: Some(platform.world.shop.clone()), ..JobFilter::default() };
            let jobs = platform.store.jobs().list(&filter, 10).await.expect("jobs");
            let mut kinds: Vec<_> = jobs.into_iter().map(|job| job.kind).collect();
            kinds.sort();
            kinds
        };
        platform.report(&format!("{name}1"), OrderEventKind::Placed, platform.order(1)).await;
        let is_released_at_once = release == ReleasePolicy::Placed;
        assert_eq!(
            kinds().await,
            if is_released_at_once { vec!["placed", "released"] } else { vec!["placed"] },
            "{name}"
        );
        let paid = with_amounts(platform.order(2), PAID);
        platform.report(&format!("{name}2"), OrderEventKind::Paid, paid).await;
        if !is_released_at_once {
            assert_eq!(kinds().await, ["paid", "placed"], "{name}");
            platform.report(&format!("{name}3"), OrderEventKind::Released, platform.order(3)).await;
        }
        assert_eq!(kinds().await, ["paid", "placed", "released"], "{name}");
    }
}

async fn the_same_report_twice_does_nothing_twice(database: Database) {
    let platform = Platform::new(&database).await;
    let paid = platform.event("e1", OrderEventKind::Paid, with_amounts(platform.order(2), PAID));
    let sold = platform.sold();
    assert!(matches!(platform.try_report(&paid, &sold).await, Ok(RecordOutcome::New { jobs }) if jobs.len() == 2));
    platform.report("e2", OrderEventKind::Changed, platform.order(7)).await;
    // Even though the order has a newer version by now, whatever happened to its lines.
    assert_eq!(platform.try_report(&paid, &SoldLines::new()).await.expect("an answer"), RecordOutcome::AlreadyRecorded);
    assert_eq!(platform.kinds().await.len(), 3);
}

async fn an_order_that_costs_nothing_is_released_without_a_payment(database: Database) {
    let platform = Platform::new(&database).await;
    let mut free = platform.order(1);
    free.total.minor = 0;
    platform.report("e1", OrderEventKind::Placed, free.clone()).await;
    assert_eq!(platform.kinds().await, ["placed", "released"]);
    // A cancelled or refunded order is never produced, even if it is free.
    for (id, amounts, cancelled) in [("2", REFUNDED, false), ("3", UNPAID, true)] {
        let order = order(&platform.world.host, &platform.world.shop, id, &platform.cart);
        let order = Order { cancelled, released: false, total: free.total.clone(), ..with_amounts(order, amounts) };
        platform.report(id, OrderEventKind::Placed, order).await;
        let known = platform.store.orders().get(&platform.world.shop, id).await.expect("an answer").expect("an order");
        assert!(!known.released);
    }
    // An order that becomes free is released then, once.
    let dear = order(&platform.world.host, &platform.world.shop, "4", &platform.cart);
    let mut dear = Order { released: false, ..with_amounts(dear, UNPAID) };
    platform.report("4 is placed", OrderEventKind::Placed, dear.clone()).await;
    (dear.total.minor, dear.version) = (0, 2);
    platform.report("4 is free", OrderEventKind::Changed, dear.clone()).await;
    dear.version = 3;
    platform.report("4 is changed", OrderEventKind::Changed, dear).await;
    let filter = JobFilter { order: Some("4".to_owned()), ..JobFilter::default() };
    let jobs = platform.store.jobs().list(&filter, 10).await.expect("jobs");
    let mut kinds: Vec<_> = jobs.into_iter().map(|job| job.kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["changed", "changed", "placed", "released"]);
}

async fn an_order_is_released_again_after_it_was_paid_back(database: Database) {
    let platform = Platform::new(&database).await;
    let paid = |version, amounts| with_amounts(platform.order(version), amounts);
    platform.report("e1", OrderEventKind::Paid, paid(1, PAID)).await;
    let amount = Some(platform.order(1).total);
    let back = OrderEventKind::Refunded(Refund { lines: Vec::new(), amount, extra: Vec::new() });
    platform.report("e2", back, paid(2, REFUNDED)).await;
    let mut recipients = Vec::new();
    for _ in 0..3 {
        let event = platform.next().await.job.event;
        recipients.push((event.id, event.order.released));
    }
    let expected = [("e1", false), ("~released:e1", false), ("e2", false)];
    assert_eq!(recipients, expected.map(|(id, released)| (id.to_owned(), released)), "as the order is when they begin");
    let jobs = platform.report("e3", OrderEventKind::Paid, paid(3, [19_600, 9_800])).await;
    assert_eq!(jobs, ["shop:expivi:e3", "shop:expivi:~released:e3"]);
    assert!(platform.next().await.job.event.order.released);
}

async fn what_is_added_to_a_released_order_waits_for_its_payment(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    let order = |version, amounts| {
        let order = order(&platform.world.host, &platform.world.shop, "1", &platform.cart);
        Order { version, released: false, ..with_amounts(order, amounts) }
    };
    let ring = |mut order: Order| {
        order.lines.truncate(1);
        order
    };
    let released = async || {
        let known = platform.store.orders().get(&platform.world.shop, "1").await.expect("an answer").expect("an order");
        known.lines.iter().map(|line| line.released).collect::<Vec<_>>()
    };
    platform.report("1", OrderEventKind::Paid, ring(order(1, PAID))).await;
    assert_eq!(released().await, [true]);
    assert_eq!(platform.report("2", OrderEventKind::Changed, order(2, PARTLY_PAID)).await, ["shop:expivi:2"]);
    assert_eq!(released().await, [true, false]);
    // Another product under the id of a paid line is not paid.
    let mut swapped = ring(order(3, PARTLY_PAID));
    swapped.lines[0].cart_line.key = platform.cart[1].key.clone();
    assert_eq!(platform.report("3", OrderEventKind::Changed, swapped).await, ["shop:expivi:3"]);
    assert_eq!(released().await, [false]);
    let jobs = platform.report("4", OrderEventKind::Paid, order(4, PAID)).await;
    assert_eq!(jobs, ["shop:expivi:4", "shop:expivi:~released:4"]);
    assert_eq!(released().await, [true, true]);
}

async fn more_pieces_of_a_released_line_wait_for_their_payment(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.cart.clear();
    platform.world.add("ring", samples::EXPIVI_SIMPLE, 3, &mut platform.cart).await.expect("rings");
    let order = |version, quantity, amounts| {
        let line = OrderedLine { quantities: Some(pieces(quantity)), ..approved_line("1", &platform.cart[0]) };
        let total = &platform.cart[0].price.total;
        let lines = platform.world.host.order_lines(&platform.world.shop, "1", total, &[line]).expect("lines");
        Order { lines, ..with_amounts(platform.order(version), amounts) }
    };
    let changed = || OrderEventKind::Changed;
    for (version, kind, quantity, amounts, is_released, is_freed) in [
        (1_u64, OrderEventKind::Paid, 1, PAID, true, true),
        (2, changed(), 3, PARTLY_PAID, false, false),
        (3, OrderEventKind::PartlyPaid, 3, PARTLY_PAID, false, false),
        (4, OrderEventKind::Paid, 3, PAID, true, true),
        (5, changed(), 3, PAID, true, false),
        // A smaller quantity needs no further payment; a larger one that is paid at once does not wait.
        (6, changed(), 2, PARTLY_PAID, true, false),
        (7, changed(), 3, PAID, true, true),
    ] {
        let jobs = platform.report(&version.to_string(), kind, order(version, quantity, amounts)).await;
        let expected_jobs = [format!("shop:expivi:{version}"), format!("shop:expivi:~released:{version}")];
        assert_eq!(jobs, if is_freed { &expected_jobs[..] } else { &expected_jobs[..1] }, "{version}");
        for _ in jobs {
            let line = platform.next().await.job.event.order.lines.remove(0);
            assert_eq!((line.cart_line.quantity, line.released), (quantity, is_released), "{version}");
        }
    }
}

async fn of_two_first_reports_at_once_the_second_finds_what_the_first_recorded(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    let sold = platform.sold();
    for number in 0..10 {
        let id = number.to_string();
        let order = |version, is_approved| {
            let mut order = order(&platform.world.host, &platform.world.shop, &id, &platform.cart);
            order.lines[1].released = is_approved;
            Order { version, released: false, ..order }
        };
        let first = platform.event(&format!("{id} paid"), OrderEventKind::Paid, order(1, false));
        let second = platform.event(&format!("{id} approved"), OrderEventKind::Changed, order(2, true));
        let (one, two) = tokio::join!(platform.try_report(&first, &sold), platform.try_report(&second, &sold));
        assert!(matches!(one, Ok(RecordOutcome::New { .. }) | Err(ReportError::Older { .. })), "{one:?}");
        two.expect("recorded");
        // Whichever came first, the second releases the shirt.
        let events = platform.store.orders().events(&platform.world.shop, &id).await.expect("events");
        let released = format!("~released:{id} approved");
        assert!(events.iter().any(|event| event.id == released), "{events:?}");
    }
}

async fn a_line_whose_configuration_is_gone_is_refused_unless_the_order_had_it(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.report("e1", OrderEventKind::Placed, platform.order(1)).await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    database.tamper("delete from blobs").await;
    let placed = async |id: &str, version: u64| {
        let order = order(&platform.world.host, &platform.world.shop, id, &platform.cart);
        let order = Order { version, released: false, ..with_amounts(order, UNPAID) };
        let event = platform.event(&format!("{id} {version}"), OrderEventKind::Changed, order);
        platform.try_report(&event, &platform.sold()).await
    };
    for (id, version, gone) in [("2", 1, "1"), ("1", 2, "2")] {
        let refused = placed(id, version).await.expect_err("a refusal");
        assert!(matches!(&refused, ReportError::ConfigurationGone { line } if line == gone), "{refused}");
        assert!(refused.to_string().contains("added to the cart again"), "{refused}");
    }
    assert_eq!(platform.store.orders().get(&platform.world.shop, "2").await.expect("an answer"), None);
    let known = Order { lines: platform.order(3).lines[..1].to_vec(), ..platform.order(3) };
    platform.report("e3", OrderEventKind::Changed, known).await;
    for (product, sample) in [("ring", samples::EXPIVI_SIMPLE), ("shirt", samples::EXPIVI_VARIATION)] {
        platform.world.add(product, sample, 1, &mut Vec::new()).await.expect("configured anew");
    }
    placed("2", 1).await.expect("recorded");
    placed("1", 4).await.expect("recorded");
}

async fn a_line_that_is_freed_later_is_released(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    type Change = fn(&mut Order);
    let before: [(&str, Change); 4] = [
        ("held", |order| order.lines[1].released = false),
        ("without pieces", |order| {
            let line = &mut order.lines[1];
            (line.quantities.cancelled, line.cart_line.quantity, line.released) = (line.quantities.ordered, 0, false);
        }),
        ("unknown", |order| order.lines.truncate(1)),
        ("nothing", |_| {}),
    ];
    for (what, change) in before {
        for (kind, name) in [(OrderEventKind::Changed, "changed"), (OrderEventKind::Paid, "paid")] {
            let id = format!("{what} {name}");
            let order = |version| {
                let order = order(&platform.world.host, &platform.world.shop, &id, &platform.cart);
                Order { version, released: false, ..order }
            };
            let mut first = order(1);
            change(&mut first);
            platform.report(&format!("{id} 1"), OrderEventKind::Paid, first).await;
            let expected_jobs = [format!("shop:expivi:{id} 2"), format!("shop:expivi:~released:{id} 2")];
            let expected = if what == "nothing" { &expected_jobs[..1] } else { &expected_jobs[..] };
            let jobs = platform.report(&format!("{id} 2"), kind, order(2)).await;
            assert_eq!(jobs, expected, "{id}");
            // It is released once.
            let jobs = platform.report(&format!("{id} 3"), OrderEventKind::Changed, order(3)).await;
            assert_eq!(jobs, [format!("shop:expivi:{id} 3")], "{id}");
        }
    }
    // A line of an order that is not released is not released either.
    platform
        .report("e1", OrderEventKind::Placed, {
            let mut held = platform.order(1);
            held.lines[1].released = false;
            held
        })
        .await;
    assert_eq!(platform.report("e2", OrderEventKind::Changed, platform.order(2)).await, ["shop:expivi:e2"]);
}

async fn an_order_is_released_by_its_state_whatever_happened_last(database: Database) {
    let platform = Platform::new(&database).await;
    let back = || OrderEventKind::Refunded(Refund { lines: Vec::new(), amount: None, extra: Vec::new() });
    let sent = || {
        let (id, carrier, at, tracking_url, tracking_id) = (None, None, None, None, None);
        OrderEventKind::Fulfilled(Shipment {
            id,
            lines: Vec::new(),
            carrier,
            at,
            tracking_url,
            tracking_id,
            extra: Vec::new(),
        })
    };
    for (id, kind, amounts, is_released) in [
        ("back, still paid", back(), [9_900, 100], true),
        ("back, paid in part", back(), [9_800, 100], false),
        ("back, paid back", back(), REFUNDED, false),
        ("sent, paid", sent(), PAID, true),
        ("sent, not paid", sent(), UNPAID, false),
        ("paid", OrderEventKind::Paid, PAID, true),
        ("paid in part", OrderEventKind::PartlyPaid, PARTLY_PAID, false),
        ("paid, paid back since", OrderEventKind::Paid, REFUNDED, false),
        ("forwarded", forwarded("now", "{}"), PAID, false),
    ] {
        let order = order(&platform.world.host, &platform.world.shop, id, &platform.cart);
        let order = Order { released: false, ..with_amounts(order, amounts) };
        let expected_jobs = [format!("shop:expivi:{id}"), format!("shop:expivi:~released:{id}")];
        let expected = if is_released { &expected_jobs[..] } else { &expected_jobs[..1] };
        assert_eq!(platform.report(id, kind, order).await, expected, "{id}");
        let known = platform.store.orders().get(&platform.world.shop, id).await.expect("an answer").expect("an order");
        assert_eq!(known.released, is_released, "{id}");
    }
}

async fn whoever_was_told_of_an_order_is_told_when_no_line_is_theirs_any_more(database: Database) {
    let platform = Platform::new(&database).await;
    platform.report("e1", OrderEventKind::Placed, platform.order(1)).await;
    platform.next().await;
    // The merchant removed the ring; a gift without a configuration is left.
    let mut left = platform.order(2);
    left.lines[0].account = None;
    (left.lines[0].id, left.lines[0].reference) = ("gift".to_owned(), format!("{}:gift", left.reference));
    let jobs = platform.report("e2", OrderEventKind::Changed, left).await;
    assert_eq!(jobs, ["shop:expivi:e2"]);
    let job = platform.next().await.job;
    assert_eq!((job.plugin, job.event.order.lines.len()), (platform.world.digest, 0));
}

async fn hooks_see_the_pieces_that_are_left_to_make(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.cart.clear();
    platform.world.add("ring", samples::EXPIVI_SIMPLE, 3, &mut platform.cart).await.expect("rings");
    let lines = |quantity| {
        let line = OrderedLine { quantities: Some(pieces(quantity)), ..approved_line("1", &platform.cart[0]) };
        let total = &platform.cart[0].price.total;
        platform.world.host.order_lines(&platform.world.shop, "1", total, &[line]).expect("lines")
    };
    for (version, quantity) in [(1, 3), (2, 2), (3, 0)] {
        let order = Order { lines: lines(quantity), ..with_amounts(platform.order(version), PAID) };
        let jobs = platform.report(&format!("e{version}"), OrderEventKind::Changed, order).await;
        for _ in jobs {
            let handled_order = platform.next().await.job.event.order;
            assert_eq!(
                (handled_order.lines[0].cart_line.quantity, handled_order.lines[0].released),
                (quantity, quantity > 0)
            );
        }
    }
}

async fn a_line_on_hold_when_something_was_paid_back_waits_for_its_release_by_hand(database: Database) {
    let mut platform = Platform::new(&database).await;
    platform.world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut platform.cart).await.expect("a shirt");
    let order = |version, amounts, is_approved| {
        let mut order = with_amounts(platform.order(version), amounts);
        order.lines[1].released = is_approved;
        order
    };
    let released = async || {
        let known = platform.store.orders().get(&platform.world.shop, "1").await.expect("an answer").expect("an order");
        known.lines.iter().map(|line| line.released).collect::<Vec<_>>()
    };
    platform.report("1", OrderEventKind::Paid, order(1, PAID, false)).await;
    let amount = Some(Money { minor: 100, ..platform.order(1).total });
    let back = OrderEventKind::Refunded(Refund { lines: Vec::new(), amount, extra: Vec::new() });
    platform.report("2", back, order(2, [9_800, 100], false)).await;
    assert_eq!(released().await, [true, false], "what is released stays so");
    platform.report("3", OrderEventKind::Changed, order(3, [9_800, 100], true)).await;
    assert_eq!(released().await, [true, false]);
    platform.report("4", OrderEventKind::Released, order(4, [9_800, 100], true)).await;
    assert_eq!(released().await, [true, true]);
}

async fn hooks_know_a_customer_by_a_pseudonym(database: Database) {
    let platform = Platform::new(&database).await;
    let mut pseudonyms = Vec::new();
    for (id, customer) in [
        ("1", Some("ann@example.com")),
        ("2", Some(" Ann@Example.com")),
        ("3", Some("customer-7")),
        ("4", Some("customer-7")),
        ("5", Some("customer-8")),
        ("6", Some(" ")),
        ("7", None),
    ] {
        let order = order(&platform.world.host, &platform.world.shop, id, &platform.cart);
        let customer = customer.map(str::to_owned);
        let order = Order { customer, released: false, billing: None, delivery: None, ..with_amounts(order, UNPAID) };
        let event = platform.event(id, OrderEventKind::Placed, order);
        platform.try_report(&event, &platform.sold()).await.expect("recorded");
        // The same report again is the same event.
        let again = platform.try_report(&event, &platform.sold()).await.expect("an answer");
        assert_eq!(again, RecordOutcome::AlreadyRecorded);
        let known = platform.store.orders().get(&platform.world.shop, id).await.expect("an answer").expect("an order");
        let handled = platform.next().await.job.event.order;
        assert_eq!(handled.customer, known.customer);
        pseudonyms.push(known.customer);
    }
    let is_pseudonym = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(pseudonyms[..5].iter().all(|customer| customer.as_ref().is_some_and(is_pseudonym)), "{pseudonyms:?}");
    assert!(pseudonyms[0] == pseudonyms[1] && pseudonyms[2] == pseudonyms[3], "{pseudonyms:?}");
    assert!(pseudonyms[0] != pseudonyms[2] && pseudonyms[2] != pseudonyms[4], "{pseudonyms:?}");
    assert_eq!(pseudonyms[5..], [None, None], "a guest");
    // An address finds the orders, as one of a bill does.
    let email = "ann@example.com".parse().expect("an address");
    let orders = platform.store.personal_data().orders_of_customer(&platform.world.shop, &email).await;
    assert_eq!(orders.expect("orders"), ["1", "2"]);
}

async fn an_order_is_in_the_shop_s_currency(database: Database) {
    let platform = Platform::new(&database).await;
    let mut yen = platform.order(1);
    let money = |minor| Money { minor, scale: 0, currency: "JPY".to_owned() };
    (yen.total, yen.paid, yen.refunded) = (money(4900), money(0), money(0));
    yen.currency = "JPY".to_owned();
    let refused = platform.try_report(&platform.event("e1", OrderEventKind::Placed, yen), &platform.sold()).await;
    assert!(matches!(refused, Err(ReportError::Order(OrderError::OtherCurrency { .. }))), "{refused:?}");
}

async fn ids_of_the_host_are_no_platform_s(database: Database) {
    let platform = Platform::new(&database).await;
    let paid = with_amounts(platform.order(1), PAID);
    platform.report("e1", OrderEventKind::Paid, paid).await;
    // A former form of the host's own event ids, which is now an id like any other.
    platform.report("e1:released", OrderEventKind::Changed, with_amounts(platform.order(2), PAID)).await;
    for (event, order) in [("~released:e1", "1"), ("e2", "~quotation-q1")] {
        let order = Order { id: order.to_owned(), ..platform.order(3) };
        let refused =
            platform.try_report(&platform.event(event, OrderEventKind::Changed, order), &platform.sold()).await;
        assert!(matches!(refused, Err(ReportError::Order(OrderError::ReservedId { .. }))), "{refused:?}");
    }
}

async fn a_report_that_cannot_be_right_is_refused_and_leaves_nothing(database: Database) {
    let platform = Platform::new(&database).await;
    let (sold, unknown) = (platform.sold(), Digest::of(b"never installed"));
    let report = async |order: Order, sold: &SoldLines| {
        let event = platform.event("e1", OrderEventKind::Placed, order);
        platform.try_report(&event, sold).await.expect_err("a refusal")
    };
    let error = report(Order { lines: vec![], ..platform.order(1) }, &sold).await;
    assert!(matches!(error, ReportError::Empty(_)), "{error}");
    let mut stranger = platform.order(1);
    stranger.lines[0].account = Some("stranger".to_owned());
    let error = report(stranger, &sold).await;
    assert!(matches!(&error, ReportError::UnknownAccount { line, account } if line == "1" && account == "stranger"));
    let error = report(platform.order(1), &SoldLines::new()).await;
    assert!(error.to_string().contains("send `pin.digest` of its cart line"), "{error}");
    let error = report(
        platform.order(1),
        &SoldLines::from([("1".to_owned(), SoldLine { pin: unknown, bill_of_materials: Vec::new() })]),
    )
    .await;
    assert!(matches!(&error, ReportError::UnknownPin { digest, .. } if *digest == unknown), "{error}");
    platform.world.host.revoke(platform.world.digest, None).expect("revoked");
    let error = report(platform.order(1), &sold).await;
    assert!(matches!(error, ReportError::Revoked { .. }), "{error}");
    let shop = "nowhere".parse().expect("an id");
    let event = platform.event("e1", OrderEventKind::Placed, platform.order(1));
    let error =
        platform.store.orders().report(&platform.world.host, &shop, &event, &sold, "ann", platform.clock.now()).await;
    assert!(matches!(error, Err(ReportError::UnknownShop(_))), "{error:?}");
    for (kind, what) in [
        (OrderEventKind::Cancelled, "an order that is not cancelled"),
        (OrderEventKind::Paid, "an order that is not paid"),
        (
            OrderEventKind::Refunded(Refund { lines: Vec::new(), amount: None, extra: Vec::new() }),
            "one that nothing was paid of",
        ),
    ] {
        let refused = platform.try_report(&platform.event("e1", kind, platform.order(1)), &sold).await;
        assert!(matches!(refused, Err(ReportError::Order(OrderError::Contradiction { .. }))), "{what}: {refused:?}");
    }
    let back = async |line: &str, quantity: u32, sold: &SoldLines| {
        let lines = vec![LineQuantity { line: line.to_owned(), quantity }];
        let paid = with_amounts(platform.order(1), [9_800, 100]);
        let back = OrderEventKind::Refunded(Refund { lines, amount: None, extra: Vec::new() });
        platform.try_report(&platform.event("e1", back, paid), sold).await
    };
    let refused = back("9", 1, &sold).await;
    assert!(matches!(refused, Err(ReportError::Order(OrderError::UnknownLine { .. }))), "{refused:?}");
    // No piece of the line is cancelled or refunded.
    let refused = back("1", 1, &sold).await;
    assert!(matches!(refused, Err(ReportError::Order(OrderError::UncountedPieces { counted: 0, .. }))), "{refused:?}");
    assert_eq!(platform.store.orders().get(&platform.world.shop, "1").await.expect("an answer"), None);
    // A version older than the known one.
    let platform = Platform::new(&database).await;
    platform.report("e5", OrderEventKind::Placed, platform.order(5)).await;
    let event = platform.event("e4", OrderEventKind::Changed, platform.order(4));
    let error = platform.try_report(&event, &sold).await.expect_err("a refusal");
    assert!(matches!(&error, ReportError::Older { known: 5, reported: 4, .. }), "{error}");
    assert_eq!(platform.kinds().await, ["placed"]);
}
