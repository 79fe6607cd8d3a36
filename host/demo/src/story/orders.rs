//! Orders are paid; the process that hands them to the vendors is killed, and another process continues.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use cartwright::types::{OrderEvent, OrderEventKind, Outcome};
use cartwright::{AccountId, CartLine, ShopId};
use cartwright_fake_vendors::twikit::{OrderState, Webhook, Webhooks};
use cartwright_fake_vendors::{Reply, client};
use cartwright_store::{JobFilter, JobState, RecordOutcome};
use serde_json::json;

use super::Demo;
use crate::node::{LEASE, Node};
use crate::serve::{self, Addresses};
use crate::{Steps, shops};

/// The order at lumen.
const WARDROBES: &str = "1001";
/// The order at gems.
const JEWELS: &str = "2001";
/// Longer than the node runs before it is killed.
const SLOW_RESPONSE: Duration = Duration::from_secs(60);

impl Demo<'_> {
    pub(super) async fn order(
        &self,
        steps: &mut Steps,
        wardrobes: &[CartLine],
        jewels: &[CartLine],
    ) -> anyhow::Result<()> {
        steps.chapter("Orders are paid, and the process that hands them on is killed in the middle")?;
        let served =
            serve::start(self.host.clone(), self.stored.store.clone(), &self.gems, &self.twikit_account).await?;
        let address = |endpoint: &str| served.webhooks.get(endpoint).cloned();
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address("payment-verification"),
            production_completed: address("production-completion"),
            order_completed: address("order-completion"),
            website_published: address("website-publication"),
        });
        for (shop, order, lines) in [(&self.lumen, WARDROBES, wardrobes), (&self.gems, JEWELS, jewels)] {
            steps
                .step(&format!("an order of {shop} is reported as paid"), self.report_paid(shop, order, lines))
                .await?;
        }
        steps.step("a node is killed while both orders are out", self.kill_node()).await?;
        steps.step("another node continues where the first stopped", self.second_node_continues()).await?;
        steps.step("Twikit has the order once, verified", self.check_verified()).await?;
        steps.step("Expivi has the configurations, its print files are stored", self.check_print_file()).await?;
        steps.step("a print file is fetched at a signed URL that expires", self.check_document(&served)).await?;
        steps.step("Twikit reports that it is printed and shipped", self.check_produced()).await?;
        steps
            .step("a webhook about an unknown order is rejected", async {
                let forged = json!({ "identifier": "demo:gems:9999", "url": "", "success": true, "error": "" });
                let delivery = self.twikit.send(Webhook::ProductionCompleted, &forged).await;
                ensure!(!delivery.accepted(), "{delivery:?}");
                Ok(((), "answered with an error".to_owned()))
            })
            .await
    }

    async fn report_paid(&self, shop: &ShopId, order: &str, lines: &[CartLine]) -> anyhow::Result<((), String)> {
        let (order, sold) = shops::paid_order(&self.host, shop, order, lines)?;
        let event = OrderEvent {
            id: format!("{}-paid", order.id),
            at: "2026-01-01T12:00:00Z".to_owned(),
            kind: OrderEventKind::Paid,
            order,
            previous_outcomes: Vec::new(),
            memos: Vec::new(),
            extra: Vec::new(),
        };
        let recorded =
            self.stored.store.orders().report(&self.host, shop, &event, &sold, "demo", SystemTime::now()).await?;
        let RecordOutcome::New { jobs } = &recorded else { anyhow::bail!("the order was already reported") };
        let filter = JobFilter { shop: Some(shop.clone()), ..JobFilter::default() };
        let kinds: Vec<String> =
            self.stored.store.jobs().list(&filter, u32::MAX).await?.into_iter().map(|job| job.kind).collect();
        ensure!(jobs.len() == 2 && kinds == ["paid", "released"], "{jobs:?} {kinds:?}");
        let again =
            self.stored.store.orders().report(&self.host, shop, &event, &sold, "demo", SystemTime::now()).await?;
        ensure!(again == RecordOutcome::AlreadyRecorded, "the order was accepted twice: {again:?}");
        let held = event.order.lines.iter().filter(|line| !line.released).count();
        let what = format!("{} is {}", event.order.reference, kinds.join(" and "));
        let lines = event.order.lines.len();
        Ok(((), format!("{what}, {held} of {lines} lines on hold for the merchant; a repeated report has no effect")))
    }

    /// Returns the state of the account's job.
    async fn state(&self, shop: &ShopId, account: &AccountId) -> anyhow::Result<JobState> {
        let filter = JobFilter { shop: Some(shop.clone()), account: Some(account.clone()), ..JobFilter::default() };
        let jobs = self.stored.store.jobs().list(&filter, u32::MAX).await?;
        Ok(jobs.iter().find(|job| job.kind == "released").context("job not found")?.state)
    }

    /// Kills a node after Twikit has received the order and before it responds, while Expivi prepares the print files.
    async fn kill_node(&self) -> anyhow::Result<((), String)> {
        let orders = self.orders_path();
        self.twikit.faults().only_on(Some(&orders));
        self.twikit.faults().delay(SLOW_RESPONSE);
        let mut node = Node::start(self.stored)?;
        let (id, reference) = (node.id(), self.host.reference(&self.gems, JEWELS, None));
        node.until(async || {
            let created = self.twikit.order(&reference).is_some_and(|order| order.state == OrderState::Paid);
            let out = self.state(&self.gems, &self.twikit_account).await? == JobState::Waiting;
            let is_sleeping = matches!(self.state(&self.lumen, &self.expivi_account).await?, JobState::Sleeping { .. });
            Ok(created && out && is_sleeping)
        })
        .await?;
        let status = node.kill()?;
        ensure!(!status.success(), "the process ended successfully: {status}");
        self.twikit.faults().clear();
        let answered: Vec<Reply> =
            self.twikit.record().on_path(&orders).into_iter().map(|request| request.reply).collect();
        ensure!(answered == [Reply::Pending], "{answered:?}");
        Ok(((), format!("process {id}, {status}: Twikit had created the order and not responded, Expivi was printing")))
    }

    async fn second_node_continues(&self) -> anyhow::Result<((), String)> {
        Node::start(self.stored)?.ended().await?;
        let jobs = self.stored.store.jobs().list(&JobFilter::default(), u32::MAX).await?;
        let open: Vec<_> = jobs.iter().filter(|job| job.state != JobState::Done).collect();
        ensure!(open.is_empty(), "{open:?}");
        Ok((
            (),
            format!(
                "{} jobs are done; it waited {} s for the dead node's leases, and its clock skipped Expivi's polling intervals",
                jobs.len(),
                LEASE.as_secs()
            ),
        ))
    }

    async fn outcomes(&self, shop: &ShopId, order: &str) -> anyhow::Result<Vec<(i64, Outcome)>> {
        let outcomes = self.stored.store.outcomes().list(shop, order).await?;
        let open_outcomes: Vec<_> = outcomes.iter().filter(|outcomes| outcomes.needs_attention).collect();
        ensure!(open_outcomes.is_empty(), "a person must decide: {open_outcomes:?}");
        Ok(outcomes.into_iter().map(|outcomes| (outcomes.id, outcomes.outcome)).collect())
    }

    fn orders_path(&self) -> String {
        self.twikit.orders_url().replacen(self.twikit.base_url(), "", 1)
    }

    async fn check_verified(&self) -> anyhow::Result<((), String)> {
        let outcomes = self.outcomes(&self.gems, JEWELS).await?;
        let orders = self.twikit.orders();
        let [order] = &orders[..] else { anyhow::bail!("{} orders: {outcomes:?}", orders.len()) };
        ensure!(order.state == OrderState::Paid, "{order:?}");
        let requests = self.twikit.record().on_path(&self.orders_path()).len();
        ensure!(requests == 2, "{requests} requests");
        let webhooks = self.twikit.sent_webhooks();
        let [question] = &webhooks[..] else { anyhow::bail!("{webhooks:?}") };
        let is_verified = question.webhook == Webhook::PaymentVerification && question.answer["success"] == true;
        ensure!(is_verified, "{question:?}");
        let earlier = |(_, outcome): &(i64, Outcome)| match outcome {
            Outcome::Note(message) if message.key == "created-earlier" => Some(message.text.clone()),
            _ => None,
        };
        let earlier = outcomes
            .iter()
            .find_map(earlier)
            .context("the plugin does not report that Twikit already had the order")?;
        Ok(((), format!("{} was sent twice and queried once. {earlier}", order.identifier)))
    }

    async fn check_print_file(&self) -> anyhow::Result<((), String)> {
        let outcomes = self.outcomes(&self.lumen, WARDROBES).await?;
        let count = |like: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, outcome)| like(outcome)).count();
        let files = count(|outcome| matches!(outcome, Outcome::Document(_)));
        let materials = count(|outcome| matches!(outcome, Outcome::BillOfMaterials(_)));
        let uploaded = self.expivi.uploaded().len();
        ensure!(uploaded > 0 && files == uploaded && materials > 0, "{uploaded} uploaded: {outcomes:?}");
        let requests = |path: &str| self.expivi.record().on_path(path).len();
        let (requested, polled) = (requests("/api/svg/conversion/request/"), requests("/api/svg/conversion/check/"));
        ensure!(requested == files && polled > files, "requested {requested}, polled {polled} times");
        ensure!(requests("/api/configured_product/bundle") == uploaded, "uploaded again");
        Ok((
            (),
            format!("{uploaded} uploaded, {materials} bills of materials, {files} print files, polled {polled} times"),
        ))
    }

    async fn check_document(&self, served: &Addresses) -> anyhow::Result<((), String)> {
        let outcomes = self.outcomes(&self.lumen, WARDROBES).await?;
        let document = |(id, outcome): &(i64, Outcome)| match outcome {
            Outcome::Document(document) => Some((*id, document.name.clone())),
            _ => None,
        };
        let (id, name) = outcomes.iter().find_map(document).context("the order has no document")?;
        let valid_for = Duration::from_secs(3600);
        let link = self.stored.store.documents().document_url(&self.lumen, id, valid_for, SystemTime::now()).await?;
        let document = client::get(&format!("{}{link}", served.document_base_url), &[]).await?;
        let files = self.expivi.record().on_path("/files/");
        let at = &files.first().context("Expivi served no file")?.path;
        let original = client::get(&format!("{}{at}", self.expivi.base_url()), &[]).await?;
        ensure!(document.status == 200 && document.body == original.body, "{document:?}");
        let longer = link.to_string().replacen("expires=", "expires=9", 1);
        let refused = client::get(&format!("{}{longer}", served.document_base_url), &[]).await?;
        ensure!(refused.status == 403, "{refused:?}");
        Ok(((), format!("{name}, {} bytes as Expivi made them; rejected with a later expiry", document.body.len())))
    }

    async fn check_produced(&self) -> anyhow::Result<((), String)> {
        let reference = self.host.reference(&self.gems, JEWELS, None);
        let completed = self.twikit.production_completed(&reference, "https://track.example/1", true, "").await?;
        let shipped = self.twikit.order_completed(&reference, "https://track.example/1", "T-1").await?;
        ensure!(completed.accepted() && shipped.accepted(), "{completed:?} {shipped:?}");
        let outcomes = self.outcomes(&self.gems, JEWELS).await?;
        let has_outcome = |like: fn(&Outcome) -> bool| outcomes.iter().any(|(_, outcome)| like(outcome));
        let produced = has_outcome(|outcome| matches!(outcome, Outcome::Production(_)));
        let shipment = has_outcome(|outcome| matches!(outcome, Outcome::Shipment(_)));
        ensure!(shipment && produced, "{outcomes:?}");
        Ok(((), format!("{} outcomes are stored, a shipment among them", outcomes.len())))
    }
}
