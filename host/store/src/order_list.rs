//! Lists of orders, and of the events and webhooks of one order.

use std::time::SystemTime;

use cartwright::types::Order;
use cartwright::{AccountId, ShopId};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::AnyConnection;

use crate::database::system_time;
use crate::error::StoreError;
use crate::facades::Orders;

/// Orders under which quotes are stored have ids with the host's own prefix, [`cartwright::RESERVED_ID_PREFIX`].
const LIST: &str = "
    select o.id, o.order_key, o.content, o.released, o.created_at, o.changed_at, o.closed_at,
           case when o.has_lines_on_hold = 1 and o.released = 1 and o.closed_at is null
                     or exists (select 1 from order_outcomes s where s.shop = o.shop and s.order_id = o.id and s.needs_attention = 1)
               then 1 else 0 end
    from orders o
    where o.shop = $1 and ($2 is null or lower(o.id) like lower($2) escape '!' or o.number_hash = $6)
    and (o.id = $5 or ($5 is null and substr(o.id, 1, 1) <> '~'))
    and ($3 is null or (o.created_at, o.id) < (select created_at, id from orders where shop = $1 and id = $3))
    order by o.created_at desc, o.id desc limit $4";

/// A filter for the orders of a shop. The default matches all; orders under which quotes are stored never match.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Returns only orders whose id contains this text, or whose number equals it, with or without a leading "#".
    pub search: Option<String>,
    /// Returns only orders first reported before the one with this id, which ended the previous page.
    pub after: Option<String>,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedOrder {
    /// Order id of the platform.
    pub id: String,
    /// Newest version, with the platform's line statuses. `None` if the order was erased or cannot be read.
    pub order: Option<Order>,
    /// Whether the stored order is damaged. If so, restore it from a backup; the other orders of the list are intact.
    pub damaged: bool,
    /// Time of the first report.
    pub created: SystemTime,
    /// Time at which the newest version was reported.
    pub changed: SystemTime,
    /// Time at which the order was closed; `None` while it is open.
    pub closed: Option<SystemTime>,
    /// Whether an outcome needs attention, or a line is on hold although the order is released and open.
    pub needs_attention: bool,
}

/// An event of an order, without the order's content at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Id of the event.
    pub id: String,
    /// Kind of the event, as the contract spells it.
    pub kind: String,
    /// Version of the order.
    pub order_version: u64,
    /// Time at which the event was recorded.
    pub at: SystemTime,
}

/// A webhook delivery that reported something about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderWebhook {
    /// Account that received the webhook.
    pub account: AccountId,
    /// Webhook endpoint of the plugin.
    pub endpoint: String,
    /// Time of the last run.
    pub at: SystemTime,
    /// Number of times that it was received.
    pub attempts: u64,
    /// HTTP status of the response.
    pub status: Option<u16>,
}

impl Orders<'_> {
    /// Returns at most `limit` matching orders of a shop, most recently reported first.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn list(self, shop: &ShopId, filter: &OrderFilter, limit: u32) -> Result<Vec<ListedOrder>, StoreError> {
        self.list_orders(shop, None, filter, limit).await
    }

    /// Returns one order in the form of a list.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn listed_order(self, shop: &ShopId, id: &str) -> Result<Option<ListedOrder>, StoreError> {
        Ok(self.list_orders(shop, Some(id), &OrderFilter::default(), 1).await?.pop())
    }

    /// Returns the orders of a shop that need attention, see [`ListedOrder::needs_attention`], and quotes with such an
    /// outcome; by the platform's id.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn needing_attention(self, shop: &ShopId) -> Result<Vec<String>, StoreError> {
        let orders: Vec<(String,)> = sqlx::query_as(
            "select order_id from order_outcomes where shop = $1 and needs_attention = 1
             union select id from orders where shop = $1 and has_lines_on_hold = 1 and released = 1 and closed_at is null
             order by order_id",
        )
        .bind(shop.as_str())
        .fetch_all(self.store.pool())
        .await?;
        Ok(orders.into_iter().map(|(order,)| order).collect())
    }

    async fn list_orders(
        self,
        shop: &ShopId,
        id: Option<&str>,
        filter: &OrderFilter,
        limit: u32,
    ) -> Result<Vec<ListedOrder>, StoreError> {
        type Row = (String, Option<Vec<u8>>, Vec<u8>, i64, i64, i64, Option<i64>, i64);
        // PostgreSQL rejects NUL in texts.
        if [id, filter.search.as_deref(), filter.after.as_deref()].into_iter().flatten().any(|text| text.contains('\0'))
        {
            return Ok(Vec::new());
        }
        let mut connection = self.store.pool().acquire().await?;
        let number = match &filter.search {
            Some(number) => Some(self.number_hash(&mut connection, shop, number).await?),
            None => None,
        };
        let rows: Vec<Row> = sqlx::query_as(LIST)
            .bind(shop.as_str())
            .bind(filter.search.as_deref().map(like_pattern))
            .bind(filter.after.as_deref())
            .bind(i64::from(limit))
            .bind(id)
            .bind(number)
            .fetch_all(&mut *connection)
            .await?;
        let listed = |(id, encrypted_key, content, released, created, changed, closed, needs_attention): Row| {
            let open = |key| -> Result<Order, StoreError> {
                let key = self.order_key(shop, &id, Some(key))?;
                self.decrypt_order(&key, shop, &id, &content, released == 1)
            };
            let (order, damaged) = match encrypted_key.map(open).transpose() {
                Ok(order) => (order, false),
                Err(error) => {
                    tracing::error!(%shop, order = id, %error, "an order cannot be read");
                    (None, true)
                }
            };
            ListedOrder {
                order,
                damaged,
                created: system_time(created),
                changed: system_time(changed),
                closed: closed.map(system_time),
                needs_attention: needs_attention == 1,
                id,
            }
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Returns the events of an order, oldest first.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn events(self, shop: &ShopId, order: &str) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "select id, kind, order_version, recorded_at from order_events where shop = $1 and order_id = $2
             order by recorded_at, id",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_all(self.store.pool())
        .await?;
        let event = |(id, kind, version, at)| RecordedEvent {
            id,
            kind,
            order_version: u64::try_from(version).unwrap_or(0),
            at: system_time(at),
        };
        Ok(rows.into_iter().map(event).collect())
    }

    /// Returns the successful webhook deliveries that reported something about an order, oldest first.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn webhooks(self, shop: &ShopId, order: &str) -> Result<Vec<OrderWebhook>, StoreError> {
        let rows: Vec<(String, String, i64, i64, Option<i64>)> = sqlx::query_as(
            "select r.account, r.endpoint, r.received_at, r.attempts, r.status
             from webhook_delivery_orders o join webhook_deliveries r on r.shop = o.shop and r.id = o.delivery_id
             where o.shop = $1 and o.order_id = $2 order by r.received_at, r.id",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_all(self.store.pool())
        .await?;
        let notice = |(account, endpoint, at, attempts, status): (String, _, _, _, Option<i64>)| {
            let notice = OrderWebhook {
                account: account.parse().map_err(|error| StoreError::corrupt("a webhook's account", error))?,
                endpoint,
                at: system_time(at),
                attempts: u64::try_from(attempts).unwrap_or(0),
                status: status.and_then(|status| u16::try_from(status).ok()),
            };
            Ok(notice)
        };
        Ok(skip_damaged(rows.into_iter().map(notice)))
    }
}

impl Orders<'_> {
    /// Returns the hash by which an order is found when a person searches for its number. A plain hash could be
    /// reversed by trying all numbers.
    pub(crate) async fn number_hash(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        number: &str,
    ) -> Result<String, StoreError> {
        let secret = self.store.host_secret_in(connection).await?;
        // HMAC accepts a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose())
            .map_err(|error| StoreError::corrupt("the host's secret", error))?;
        let number = number.trim().trim_start_matches('#').to_lowercase();
        Ok(hex::encode(mac.chain_update(format!("cartwright order numbers\n{shop}\n{number}")).finalize().into_bytes()))
    }
}

/// Returns the rows of a list that can be read. A damaged one is logged, and does not hide others.
pub(crate) fn skip_damaged<T>(rows: impl Iterator<Item = Result<T, StoreError>>) -> Vec<T> {
    rows.filter_map(|row| row.inspect_err(|error| tracing::error!(%error, "a row of a list cannot be read")).ok())
        .collect()
}

/// Returns the `like` pattern of texts that contain this one.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for sign in text.chars() {
        if matches!(sign, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    pattern
}
