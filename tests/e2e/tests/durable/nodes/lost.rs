//! A node is lost before and after every commit of both vendors' orders, and another one continues: every journal
//! entry, every claim and every end of a job. After an intent's commit its request has not been sent, before a
//! response's commit it has.
//!
//! The order reaches the vendor once in effect, and the shop gets the same outcomes as without a loss; or the merchant
//! is asked, once.

use cartwright::types::{Order, Outcome};
use cartwright_e2e::orders::timeline;
use cartwright_store::JobState;
use serde_json::json;

use super::shops::{Database, Jewels, NodeEnd, StoredShopTest, Wardrobes, node};

/// The hour at which the lease of a lost node has expired.
const LATER: u64 = 1;

/// Runs an order with a node that is lost at each point in turn, and passes the results to `check`: the point, the
/// order, the job's state, and the outcomes. Returns the number of points.
async fn at_every_point(
    kept: &StoredShopTest,
    mut check: impl AsyncFnMut(usize, &Order, JobState, Vec<Outcome>),
) -> usize {
    for point in 1.. {
        let id = format!("o-{point}");
        let (order, job) = kept.released(&id).await;
        match node(&kept.url, 0, Some(point)).await {
            NodeEnd::Crashed => assert!(matches!(node(&kept.url, LATER, None).await, NodeEnd::Idle(_))),
            // The node finished before the point.
            NodeEnd::Idle(passed) => {
                assert_eq!(passed + 1, point, "points come and go");
                return passed;
            }
        }
        check(point, &order, kept.state(&job).await, kept.outcomes(&id).await).await;
    }
    unreachable!("a flow ends")
}

/// Returns the outcomes of an order without a disturbance.
async fn calm(kept: &StoredShopTest) -> String {
    let (_, job) = kept.released("calm").await;
    assert!(matches!(node(&kept.url, 0, None).await, NodeEnd::Idle(1..)));
    assert_eq!(kept.state(&job).await, JobState::Done);
    timeline("calm", &kept.outcomes("calm").await)
}

async fn wardrobes(database: Database, name: &str) {
    let wardrobes = Wardrobes::on(&database).await;
    let (kept, expivi) = (&wardrobes.stored, &wardrobes.world.expivi);
    let expected = calm(kept).await;
    let requests = expivi.record().len();
    let mut before = requests;
    let tried = at_every_point(kept, async |point, order, state, outcomes| {
        assert_eq!(state, JobState::Done, "lost at {point}");
        assert_eq!(timeline(&order.id, &outcomes), expected, "lost at {point}");
        let sent = expivi.record().len() - before;
        before += sent;
        // One request may be repeated, which is safe for Expivi's uploads and conversions.
        assert!((requests..=requests + 2).contains(&sent), "lost at {point}: {sent} of {requests}");
        assert_eq!(expivi.uploaded().len(), 1, "lost at {point}");
    })
    .await;
    println!("Expivi, upload and print file, {name}: a node lost at each of {tried} points, all orders made");
    assert!(tried >= 30, "{tried}");
}

async fn jewels(database: Database, name: &str) {
    let jewels = Jewels::on(&database, json!({})).await;
    let kept = &jewels.stored;
    let expected = calm(kept).await;
    let mut orders = jewels.twikit.orders().len();
    let tried = at_every_point(kept, async |point, order, state, outcomes| {
        assert_eq!(state, JobState::Done, "lost at {point}: {outcomes:?}");
        assert_eq!(timeline(&order.id, &outcomes), expected, "lost at {point}");
        assert!(jewels.is_paid(order).await, "lost at {point}");
        orders += 1;
        assert_eq!(jewels.twikit.orders().len(), orders, "lost at {point}");
    })
    .await;
    println!("Twikit, order, {name}: a node lost at each of {tried} points, all orders made once");
    assert!(tried >= 15, "{tried}");
}

async fn exports(database: Database, name: &str) {
    let jewels = Jewels::on(&database, json!({ "fulfilment": "export" })).await;
    let kept = &jewels.stored;
    let expected = calm(kept).await;
    let (mut exported, mut questions) = (jewels.twikit.internal_orders().len(), 0);
    let tried = at_every_point(kept, async |point, order, state, outcomes| {
        let sent = jewels.twikit.internal_orders().len() - exported;
        exported += sent;
        match state {
            JobState::Done => {
                assert_eq!((timeline(&order.id, &outcomes), sent), (expected.clone(), 1), "lost at {point}")
            }
            JobState::NeedsMerchant => {
                let document = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Document(_)));
                assert!(sent <= 1 && !document, "lost at {point}: {sent}, {outcomes:?}");
                questions += 1;
            }
            other => panic!("lost at {point}: {other:?}"),
        }
    })
    .await;
    println!("Twikit, export, {name}: a node lost at each of {tried} points, the merchant asked at {questions}");
    // Between the intent's commit and the response's.
    assert!(tried >= 10 && (1..=4).contains(&questions), "{tried} {questions}");
}

macro_rules! on_each_database {
    ($($flow:ident => $test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$flow(super::Database::sqlite(), "SQLite").await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = super::Database::postgres().await {
                    super::$flow(database, "PostgreSQL").await;
                }
            })+
        }
    };
}

on_each_database! {
    wardrobes => an_expivi_order_is_uploaded_and_its_print_file_fetched_wherever_a_node_is_lost,
    jewels => a_twikit_order_is_created_once_wherever_a_node_is_lost,
    exports => a_twikit_export_is_asked_for_once_or_the_merchant_is_asked_once_wherever_a_node_is_lost,
}
