//! Twikit's production: makes each order after some seconds, and ships it some seconds later.

use std::convert::Infallible;
use std::time::Duration;

use cartwright_fake_vendors::FakeTwikit;
use cartwright_fake_vendors::twikit::OrderState;
use tokio::task::JoinSet;

/// Interval between two looks for new orders.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// Time that making takes, and packing.
const PRODUCTION_TIME: Duration = Duration::from_secs(4);

/// Produces orders forever.
pub(crate) async fn work(twikit: &FakeTwikit) -> Infallible {
    let (mut known, mut timers) = (Vec::new(), JoinSet::new());
    loop {
        for order in twikit.orders() {
            // An order that is not confirmed is for a person to check, and is not produced.
            if order.state == OrderState::Paid && !known.contains(&order.identifier) {
                known.push(order.identifier.clone());
                timers.spawn(async move {
                    tokio::time::sleep(PRODUCTION_TIME).await;
                    (order.identifier, Step::Produced)
                });
            }
        }
        while let Some(Ok((identifier, step))) = timers.try_join_next() {
            match step {
                Step::Produced => {
                    log_delivery(&identifier, twikit.production_completed(&identifier, "", true, "").await);
                    timers.spawn(async move {
                        tokio::time::sleep(PRODUCTION_TIME).await;
                        (identifier, Step::Shipped)
                    });
                }
                Step::Shipped => {
                    let number = format!("T-{}", identifier.rsplit(':').next().unwrap_or_default());
                    let url = format!("https://tracking.example/{number}");
                    log_delivery(&identifier, twikit.order_completed(&identifier, &url, &number).await);
                }
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

enum Step {
    Produced,
    Shipped,
}

fn log_delivery(identifier: &str, delivery: impl std::fmt::Debug) {
    tracing::info!(identifier, ?delivery, "Twikit notified the shop");
}
