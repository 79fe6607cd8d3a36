//! Orders are paid and handed to the vendors.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use cartwright::types::{Event, EventKind, Outcome};
use cartwright::{AccountId, CartLine, ShopId, SimulatedClock};
use cartwright_fake_vendors::twikit::Webhooks;
use serde_json::json;

use super::Demo;
use crate::demo::{Steps, shops, webhooks};

impl Demo {
    fn released(&self, shop: &ShopId, account: &AccountId, order: &str, lines: &[CartLine]) -> anyhow::Result<Event> {
        let order = shops::paid_order(&self.host, shop, order, lines)?;
        self.orders.put(shop, account, order.clone());
        Ok(Event {
            id: format!("{}-released", order.id),
            at: "2026-01-01T12:00:00Z".to_owned(),
            kind: EventKind::Released,
            order,
            earlier: Vec::new(),
            remembered: Vec::new(),
            extra: Vec::new(),
        })
    }

    pub(super) async fn order_from_expivi(&self, steps: &mut Steps, cart: &[CartLine]) -> anyhow::Result<()> {
        steps.chapter("Orders are paid and handed to the vendors");
        steps
            .step("Expivi gets the order's configurations", async {
                let event = self.released(&self.lumen, &self.expivi_account, "1001", cart)?;
                let clock = Arc::new(SimulatedClock::default());
                let handled =
                    self.host.handle_order(&self.lumen, &self.expivi_account, &event, None, clock.clone()).await?;
                let uploaded = self.expivi.uploaded();
                ensure!(!uploaded.is_empty(), "nothing was uploaded: {:?}", handled.outcomes);
                let materials =
                    handled.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::BillOfMaterials(_))).count();
                ensure!(materials > 0, "no bill of materials: {:?}", handled.outcomes);
                Ok(((), format!("{} products uploaded, {materials} bills of materials", uploaded.len())))
            })
            .await
    }

    pub(super) async fn order_from_twikit(&self, steps: &mut Steps, cart: &[CartLine]) -> anyhow::Result<()> {
        let given = webhooks::start(self.host.clone(), &self.gems, &self.twikit_account).await?;
        let address = |endpoint: &str| given.addresses.get(endpoint).cloned();
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address("payment-verification"),
            production_completed: address("production-completion"),
            order_completed: address("order-completion"),
            website_published: address("website-publication"),
        });
        let event = self.released(&self.gems, &self.twikit_account, "2001", cart)?;
        let reference = event.order.reference.clone();
        steps
            .step("Twikit verifies the payment while the order is out, and creates it", async {
                let clock = Arc::new(SimulatedClock::default());
                let handled = self.host.handle_order(&self.gems, &self.twikit_account, &event, None, clock).await?;
                let order = self.twikit.order(&reference).with_context(|| format!("{:?}", handled.outcomes))?;
                let verified = self.twikit.sent_webhooks();
                ensure!(verified.iter().any(|attempt| attempt.judgement.is_ok()), "{verified:?}");
                Ok(((), format!("{} is {:?}", reference, order.state)))
            })
            .await?;
        steps
            .step("Twikit says that it is printed and shipped", async {
                let printed = self.twikit.production_completed(&reference, "https://track.example/1", true, "").await?;
                let shipped = self.twikit.order_completed(&reference, "https://track.example/1", "T-1").await?;
                ensure!(printed.accepted() && shipped.accepted(), "{printed:?} {shipped:?}");
                let outcomes = given.receipts.effects().outcomes;
                let shipment = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Shipment(_)));
                let produced = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Production(_)));
                ensure!(shipment && produced, "{outcomes:?}");
                Ok(((), format!("{} outcomes, a shipment among them", outcomes.len())))
            })
            .await?;
        steps
            .step("a webhook about nobody's order is refused", async {
                let forged = json!({ "identifier": "demo:gems:9999", "url": "", "success": true, "error": "" });
                let delivery =
                    self.twikit.send(cartwright_fake_vendors::twikit::Webhook::ProductionCompleted, &forged).await;
                ensure!(!delivery.accepted(), "{delivery:?}");
                Ok(((), "answered with an error".to_owned()))
            })
            .await
    }
}
