//! Twikit's people: what is ordered there is made after some seconds, and sent after some more.

use std::convert::Infallible;
use std::time::Duration;

use cartwright_fake_vendors::FakeTwikit;
use cartwright_fake_vendors::twikit::OrderState;
use tokio::task::JoinSet;

/// How often they look for new orders.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// How long making takes, and packing.
const PRODUCTION_TIME: Duration = Duration::from_secs(4);

/// Makes what is ordered, for ever.
pub(crate) async fn work(twikit: &FakeTwikit) -> Infallible {
    let (mut known, mut timers) = (Vec::new(), JoinSet::new());
    loop {
        for order in twikit.orders() {
            // One that was not confirmed is looked at by a person, and not made.
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
    tracing::info!(identifier, ?delivery, "Twikit told the shop");
}
