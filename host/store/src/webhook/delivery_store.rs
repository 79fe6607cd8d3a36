//! Storage of webhook deliveries and responses, and of the effects of deliveries and queries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::types::{Outcome, WebhookResponse};
use cartwright::webhook::{
    DeliveryStart, Destination, Effects, OrderMessage, WebhookDelivery, WebhookDeliveryStore, WebhookDeliveryStoreError,
};
use cartwright::{AccountId, ShopId};

use super::delivery::{DeliveryDetails, DeliveryState, EncryptionKeys, delivery_id};
use super::quota::RETRY_AFTER;
use crate::database::{Store, WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::event::{Lines, NewJob};
use crate::facades::Webhooks;
use crate::outcome::{self, OutcomeSource};
use crate::vault::Key;

/// The orders that a webhook reports about, by id, each with its key.
pub(crate) type OrderKeys = BTreeMap<String, Key>;

/// What to do with a delivery that was received.
enum TakeIn {
    /// Run it, with this id of its request.
    Run(String),
    /// Repeat this response, because the delivery is a repeated one.
    Repeat(WebhookResponse),
    /// Refuse it, without storing anything.
    QuotaFull,
}

#[async_trait]
impl WebhookDeliveryStore for Store {
    async fn begin(&self, notice: &WebhookDelivery) -> Result<DeliveryStart, WebhookDeliveryStoreError> {
        match self.webhooks().begin_delivery(notice).await.map_err(store_error)? {
            TakeIn::Run(request_id) => Ok(DeliveryStart::Run { request_id }),
            TakeIn::Repeat(response) => Ok(DeliveryStart::Repeat(response)),
            TakeIn::QuotaFull => Err(WebhookDeliveryStoreError::QuotaFull { retry_after: RETRY_AFTER }),
        }
    }

    async fn complete(
        &self,
        notice: &WebhookDelivery,
        effects: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError> {
        self.webhooks().complete_delivery(notice, effects, response).await.map_err(store_error)
    }

    async fn fail(&self, notice: &WebhookDelivery, reason: &str) -> Result<(), WebhookDeliveryStoreError> {
        self.webhooks().fail_delivery(notice, reason).await.map_err(store_error)
    }

    async fn apply(
        &self,
        destination: &Destination,
        at: SystemTime,
        effects: Effects,
    ) -> Result<(), WebhookDeliveryStoreError> {
        let applied = async {
            let mut work = self.begin().await?;
            let source = format!("{}:{}@{}", destination.account, destination.endpoint, milliseconds(at));
            let Destination { shop, account, .. } = destination;
            self.webhooks().apply_effects(&mut work, (shop, account), &source, effects, milliseconds(at)).await?;
            work.commit().await?;
            self.nudge();
            Ok(())
        };
        applied.await.map_err(store_error)
    }
}

fn store_error(error: StoreError) -> WebhookDeliveryStoreError {
    WebhookDeliveryStoreError::Failed(error.to_string())
}

impl Webhooks<'_> {
    async fn begin_delivery(self, notice: &WebhookDelivery) -> Result<TakeIn, StoreError> {
        let has_room = self.has_room_for(notice).await?;
        let mut work = self.store.begin().await?;
        let (request_id, before) = self.lock_delivery(&mut work, notice, 1).await?;
        if let Some(before) = before
            && !(notice.duplicate_since.is_some() && is_superseded(&mut work, notice).await?)
        {
            work.commit().await?;
            return Ok(TakeIn::Repeat(before));
        }
        if !has_room && !self.takes_no_more_room(&mut work, notice).await? {
            work.rollback().await?;
            return Ok(TakeIn::QuotaFull);
        }
        // The orders it concerned belong to an earlier time: the same body is reported anew.
        self.untie(&mut work, notice).await?;
        self.write_delivery(
            &mut work,
            notice,
            DeliveryState::Received,
            &DeliveryDetails::of(&notice.request),
            &EncryptionKeys::Store,
        )
        .await?;
        sqlx::query("update webhook_deliveries set request_id = $3 where shop = $1 and id = $2")
            .bind(notice.destination.shop.as_str())
            .bind(delivery_id(notice))
            .bind(&request_id)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(TakeIn::Run(request_id))
    }

    async fn complete_delivery(
        self,
        notice: &WebhookDelivery,
        effects: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, StoreError> {
        let mut work = self.store.begin().await?;
        if let (_, Some(before)) = self.lock_delivery(&mut work, notice, 0).await? {
            return Ok(before);
        }
        let to = &notice.destination;
        let source = format!("{}@{}", delivery_id(notice), milliseconds(notice.at));
        let account = (&to.shop, &to.account);
        let orders = self.apply_effects(&mut work, account, &source, effects, milliseconds(notice.at)).await?;
        self.untie(&mut work, notice).await?;
        for order in orders.keys() {
            sqlx::query("insert into webhook_delivery_orders (shop, delivery_id, order_id) values ($1, $2, $3)")
                .bind(to.shop.as_str())
                .bind(delivery_id(notice))
                .bind(order)
                .execute(&mut *work)
                .await?;
        }
        let keys: Vec<Key> = orders.into_values().collect();
        let encryption_keys = if keys.is_empty() { EncryptionKeys::Store } else { EncryptionKeys::Orders(&keys) };
        let details = DeliveryDetails::answered(&notice.request, response);
        self.write_delivery(&mut work, notice, DeliveryState::Answered, &details, &encryption_keys).await?;
        work.commit().await?;
        self.store.webhook_quota().clear_full(to);
        self.store.nudge();
        Ok(response.clone())
    }

    async fn fail_delivery(self, notice: &WebhookDelivery, reason: &str) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        // A concurrent call may have completed it: then it did not fail.
        if let (_, None) = self.lock_delivery(&mut work, notice, 0).await? {
            self.untie(&mut work, notice).await?;
            let details = DeliveryDetails { reason: Some(reason.to_owned()), ..DeliveryDetails::of(&notice.request) };
            self.write_delivery(&mut work, notice, DeliveryState::Failed, &details, &EncryptionKeys::Store).await?;
            work.commit().await?;
        }
        Ok(())
    }

    /// Locks the row of a delivery until the transaction ends. Returns the id of the request: that of the row, or a new
    /// one if the row has a response. Also returns that response if the delivery is a repeat. `more` is added to the
    /// number of attempts.
    async fn lock_delivery(
        self,
        work: &mut WriteTransaction,
        notice: &WebhookDelivery,
        more: i64,
    ) -> Result<(String, Option<WebhookResponse>), StoreError> {
        type Row = (String, Option<i64>, Option<i64>, Option<Vec<u8>>);
        let (to, id) = (&notice.destination, delivery_id(notice));
        let (request_id, answered_at, status, details): Row = sqlx::query_as(
            "insert into webhook_deliveries (shop, id, account, endpoint, state, attempts, received_at, request_id)
             values ($1, $2, $3, $4, 'received', $5, $6, $7)
             on conflict (shop, id) do update set attempts = webhook_deliveries.attempts + $5
             returning request_id, responded_at, status, details",
        )
        .bind(to.shop.as_str())
        .bind(&id)
        .bind(to.account.as_str())
        .bind(&to.endpoint)
        .bind(more)
        .bind(milliseconds(notice.at))
        .bind(&notice.request.id)
        .fetch_one(&mut **work)
        .await?;
        let Some(at) = answered_at else { return Ok((request_id, None)) };
        let is_repeat = notice.duplicate_since.is_none_or(|since| at >= milliseconds(since));
        let before = match is_repeat {
            true => Some(self.completed_response(work, &to.shop, &id, (status, details)).await?),
            false => None,
        };
        Ok((notice.request.id.clone(), before))
    }

    async fn untie(self, work: &mut WriteTransaction, notice: &WebhookDelivery) -> Result<(), StoreError> {
        sqlx::query("delete from webhook_delivery_orders where shop = $1 and delivery_id = $2")
            .bind(notice.destination.shop.as_str())
            .bind(delivery_id(notice))
            .execute(&mut **work)
            .await?;
        Ok(())
    }

    /// Applies the effects of a webhook or of a page of a feed. `source` identifies it and its attempt. Returns the
    /// orders that it concerns.
    pub(crate) async fn apply_effects(
        self,
        work: &mut WriteTransaction,
        (shop, account): (&ShopId, &AccountId),
        source: &str,
        effects: Effects,
        now: i64,
    ) -> Result<OrderKeys, StoreError> {
        let references = effects.outcomes.iter().filter_map(|(order, _)| order.as_deref());
        let message_orders = effects.messages.iter().map(|message| message.order.as_str());
        let (ids, orders) = self.orders_named(work, shop, references.chain(message_orders)).await?;
        let missing = |order_of: &str| StoreError::NotFound { what: "order", id: order_of.to_owned() };
        let order_of = |reference: &str| {
            let found = ids.get(reference).and_then(|id| orders.get_key_value(id));
            found.ok_or_else(|| missing(reference))
        };
        let mut with_statuses = BTreeSet::new();
        for (number, (order, outcome)) in effects.outcomes.into_iter().enumerate() {
            let Some(reference) = order else {
                self.add_account_outcome(work, shop, account, outcome, now).await?;
                continue;
            };
            let (order, key) = order_of(&reference)?;
            if matches!(outcome, Outcome::LineStatus(_)) {
                with_statuses.insert(order);
            }
            let outcome_source = OutcomeSource { shop, order, account, job: None, key };
            self.store
                .outcomes()
                .add_outcome(work, &outcome_source, &format!("{source}:{number}"), outcome, now)
                .await?;
        }
        for order in with_statuses {
            self.store.outcomes().close_if_last(work, shop, order, now).await?;
        }
        for OrderMessage { id, at, order, message } in effects.messages {
            let (order, _) = order_of(&order)?;
            let job = message_recipient(work, shop, account, order).await?;
            self.store
                .outcomes()
                .add_forwarded_event(
                    work,
                    shop,
                    order,
                    outcome::ForwardedEvent { id, at: milliseconds(at), named: message },
                    job,
                )
                .await?;
        }
        Ok(orders)
    }

    /// Returns the orders of these references, by reference and by id. They are locked until the transaction ends,
    /// sorted by their ids, so that two webhooks about the same orders do not wait for each other.
    async fn orders_named(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        references: impl Iterator<Item = &str>,
    ) -> Result<(BTreeMap<String, String>, OrderKeys), StoreError> {
        let (mut ids, mut orders) = (BTreeMap::new(), OrderKeys::new());
        for reference in references.collect::<BTreeSet<_>>() {
            let found: Option<(String,)> =
                sqlx::query_as("select order_id from order_references where shop = $1 and reference = $2")
                    .bind(shop.as_str())
                    .bind(reference)
                    .fetch_optional(&mut **work)
                    .await?;
            ids.extend(found.map(|(id,)| (reference.to_owned(), id)));
        }
        for id in ids.values().collect::<BTreeSet<_>>() {
            orders.insert(id.clone(), self.store.orders().lock_order(work, shop, id).await?);
        }
        Ok((ids, orders))
    }
}

/// Returns whether a later webhook reported about the same orders as this delivery did, or about the account if it
/// concerned no order. Then the same bytes are not a repetition: they report the earlier state again.
async fn is_superseded(work: &mut WriteTransaction, notice: &WebhookDelivery) -> Result<bool, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as(
        "select 1 from webhook_deliveries content join webhook_deliveries newer
             on newer.shop = content.shop and newer.account = content.account and newer.id <> content.id
             and newer.state = 'answered' and newer.received_at >= content.received_at
         where content.shop = $1 and content.id = $2 and (
             exists (select 1 from webhook_delivery_orders its join webhook_delivery_orders same
                         on same.shop = its.shop and same.order_id = its.order_id
                     where its.shop = content.shop and its.delivery_id = content.id and same.delivery_id = newer.id)
             or not exists (select 1 from webhook_delivery_orders its
                            where its.shop = content.shop and its.delivery_id in (content.id, newer.id)))
         limit 1",
    )
    .bind(notice.destination.shop.as_str())
    .bind(delivery_id(notice))
    .fetch_optional(&mut **work)
    .await?;
    Ok(found.is_some())
}

/// Returns the component that receives a forwarded text: the one that last handled an event of the order, or else the
/// account's current one.
async fn message_recipient(
    work: &mut WriteTransaction,
    shop: &ShopId,
    account: &AccountId,
    order: &str,
) -> Result<NewJob, StoreError> {
    let before: Option<(String, i64)> = sqlx::query_as(
        "select j.plugin, l.all_lines from jobs j join job_lanes l on l.id = j.lane_id
         where l.shop = $1 and l.order_id = $2 and l.account = $3 order by j.created_at desc, j.position desc limit 1",
    )
    .bind(shop.as_str())
    .bind(order)
    .bind(account.as_str())
    .fetch_optional(&mut **work)
    .await?;
    let (plugin, lines) = match before {
        Some((plugin, all_lines)) => (plugin, if all_lines == 1 { Lines::All } else { Lines::Own }),
        None => {
            let current: Option<(String,)> = sqlx::query_as("select current from accounts where shop = $1 and id = $2")
                .bind(shop.as_str())
                .bind(account.as_str())
                .fetch_optional(&mut **work)
                .await?;
            let missing = || StoreError::NotFound { what: "account", id: account.to_string() };
            (current.ok_or_else(missing)?.0, Lines::Own)
        }
    };
    let plugin = plugin.parse().map_err(|error| StoreError::corrupt("a job's plugin", error))?;
    Ok(NewJob { account: account.clone(), plugin, lines })
}
