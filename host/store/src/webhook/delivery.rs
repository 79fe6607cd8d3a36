//! The row of a webhook delivery: its stored values, and their encryption.

use std::time::SystemTime;

use cartwright::types::{WebhookRequest, WebhookResponse};
use cartwright::webhook::{Destination, WebhookDelivery};
use cartwright::{Digest, ShopId, timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use zeroize::Zeroizing;

use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::keys::aad;
use crate::vault::Key;

/// Maximum size of the stored body of a successful delivery, in bytes: it is only shown. That of a failed one is stored
/// whole.
const MAX_ANSWERED_BODY_BYTES: usize = 64 << 10;

/// A failed webhook delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedWebhookDelivery {
    /// Id within the shop.
    pub id: String,
    /// Account and endpoint that received it.
    pub destination: Destination,
    /// Time of the last attempt.
    pub at: SystemTime,
    /// Number of attempts.
    pub attempts: u64,
    /// Request of the last attempt.
    pub request: WebhookRequest,
    /// Why the delivery failed; `None` while it runs, and if the host was lost during that. The vendor may send it
    /// again.
    pub reason: Option<String>,
}

/// The stored details of a request besides its body, and its result.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct DeliveryDetails {
    pub(super) method: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: String,
    #[serde(default)]
    pub(super) response: Option<WebhookResponse>,
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// The whole body's length and digest, if the stored one may be cut.
    #[serde(default)]
    pub(super) whole_body: Option<WholeBody>,
}

impl DeliveryDetails {
    pub(super) fn of(request: &WebhookRequest) -> Self {
        let WebhookRequest { id: _, received_at: _, method, headers, query, body: _, extra: _ } = request;
        let (method, headers, query) = (method.clone(), headers.clone(), query.clone());
        Self { method, headers, query, ..Self::default() }
    }

    /// Returns the details of a successful delivery.
    pub(super) fn answered(request: &WebhookRequest, response: &WebhookResponse) -> Self {
        let (response, whole_body) = (Some(response.clone()), Some(WholeBody::of(&request.body)));
        Self { response, whole_body, ..Self::of(request) }
    }
}

/// Identifies a body of which only the beginning, or nothing, is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WholeBody {
    pub(super) bytes: usize,
    pub(super) sha256: Digest,
}

impl WholeBody {
    fn of(body: &[u8]) -> Self {
        Self { bytes: body.len(), sha256: Digest::of(body) }
    }
}

/// The keys that encrypt a delivery's body and details.
pub(super) enum EncryptionKeys<'a> {
    /// The store's key, while it is unknown which orders the delivery concerns.
    Store,
    /// The keys of the orders that it concerns, sorted by order id.
    Orders(&'a [Key]),
}

/// Returns the id of a delivery within its shop. The names of accounts and endpoints contain no colon.
pub(super) fn delivery_id(notice: &WebhookDelivery) -> String {
    let Destination { account, endpoint, .. } = &notice.destination;
    format!("{account}:{endpoint}:{}", notice.id)
}

pub(super) fn body_aad(shop: &ShopId, id: &str) -> String {
    aad("webhook body", shop.as_str(), id)
}

pub(super) fn details_aad(shop: &ShopId, id: &str) -> String {
    aad("webhook", shop.as_str(), id)
}

/// The state of a webhook delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryState {
    /// The delivery is to be run, or runs.
    Received,
    /// The delivery has a successful response.
    Answered,
    /// The delivery failed.
    Failed,
}

impl DeliveryState {
    /// Returns the name of the state in the database.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Answered => "answered",
            Self::Failed => "failed",
        }
    }
}

impl Webhooks<'_> {
    pub(super) fn encrypt_delivery(
        self,
        encryption_keys: &EncryptionKeys<'_>,
        aad: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        match encryption_keys {
            EncryptionKeys::Store => self.store.keys().encrypt(aad, plain),
            EncryptionKeys::Orders(keys) => {
                let mut encrypted = Zeroizing::new(plain.to_vec());
                for key in *keys {
                    encrypted = Zeroizing::new(key.encrypt(aad, &encrypted)?);
                }
                Ok(encrypted.to_vec())
            }
        }
    }

    pub(super) fn decrypt_delivery(
        self,
        encryption_keys: &EncryptionKeys<'_>,
        aad: &str,
        encrypted: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match encryption_keys {
            EncryptionKeys::Store => self.store.keys().decrypt(aad, encrypted),
            EncryptionKeys::Orders(keys) => {
                let mut plain = Zeroizing::new(encrypted.to_vec());
                for key in keys.iter().rev() {
                    plain = key.decrypt(aad, &plain)?;
                }
                Ok(plain)
            }
        }
    }

    /// Returns the keys of the orders that a delivery concerns, or `None` if one of them was erased.
    pub(super) async fn delivery_keys(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
    ) -> Result<Option<Vec<Key>>, StoreError> {
        let orders: Vec<(String, Option<Vec<u8>>)> = sqlx::query_as(
            "select o.id, o.order_key from webhook_delivery_orders r join orders o on o.shop = r.shop and o.id = r.order_id
             where r.shop = $1 and r.delivery_id = $2",
        )
        .bind(shop.as_str())
        .bind(id)
        .fetch_all(connection)
        .await?;
        if orders.iter().any(|(_, key)| key.is_none()) {
            return Ok(None);
        }
        // Sorted here, because each database sorts texts in its own way.
        let orders: std::collections::BTreeMap<_, _> = orders.into_iter().collect();
        let keys = orders.into_iter().map(|(order, key)| self.store.orders().order_key(shop, &order, key));
        keys.collect::<Result<_, _>>().map(Some)
    }

    /// Replaces the stored values of a request.
    pub(super) async fn write_delivery(
        self,
        work: &mut WriteTransaction,
        notice: &WebhookDelivery,
        state: DeliveryState,
        details: &DeliveryDetails,
        encryption_keys: &EncryptionKeys<'_>,
    ) -> Result<(), StoreError> {
        let (shop, id) = (&notice.destination.shop, delivery_id(notice));
        let json = serde_json::to_vec(details).map_err(|error| StoreError::Unusable(format!("{id}: {error}")))?;
        let answered = details.response.as_ref().map(|response| (milliseconds(notice.at), i64::from(response.status)));
        let whole = notice.request.body.as_slice();
        let body = match details.whole_body {
            Some(_) => whole.get(..MAX_ANSWERED_BODY_BYTES).unwrap_or(whole),
            None => whole,
        };
        let body = self.encrypt_delivery(encryption_keys, &body_aad(shop, &id), body)?;
        let details = self.encrypt_delivery(encryption_keys, &details_aad(shop, &id), &Zeroizing::new(json))?;
        let size = body.len().saturating_add(details.len());
        self.store.webhook_quota().add(&notice.destination, size);
        sqlx::query(
            "update webhook_deliveries set state = $3, received_at = $4, responded_at = $5, status = $6, body = $7, details = $8,
                 size = $9
             where shop = $1 and id = $2",
        )
        .bind(shop.as_str())
        .bind(&id)
        .bind(state.name())
        .bind(milliseconds(notice.at))
        .bind(answered.map(|(at, _)| at))
        .bind(answered.map(|(_, status)| status))
        .bind(body)
        .bind(details)
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// Returns the stored response. For a delivery of an erased order, only the status remains.
    pub(super) async fn completed_response(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        id: &str,
        (status, details): (Option<i64>, Option<Vec<u8>>),
    ) -> Result<WebhookResponse, StoreError> {
        let what = details_aad(shop, id);
        let status = status.and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| StoreError::Corrupt(format!("{what} was answered without a status")))?;
        let bare = WebhookResponse { status, headers: Vec::new(), body: Vec::new() };
        let keys = self.delivery_keys(work, shop, id).await?;
        let (Some(keys), Some(encrypted)) = (keys, details) else { return Ok(bare) };
        let encryption_keys = if keys.is_empty() { EncryptionKeys::Store } else { EncryptionKeys::Orders(&keys) };
        let plain = self.decrypt_delivery(&encryption_keys, &what, &encrypted)?;
        let details: DeliveryDetails =
            serde_json::from_slice(&plain).map_err(|error| StoreError::corrupt(&what, error))?;
        Ok(details.response.unwrap_or(bare))
    }

    /// Returns at most `limit` failed deliveries of a shop after the one with this time and id, latest first.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn failed_webhook_deliveries(
        self,
        shop: &ShopId,
        after: Option<(SystemTime, &str)>,
        limit: u32,
    ) -> Result<Vec<FailedWebhookDelivery>, StoreError> {
        type Row = (String, String, String, String, i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Row> = sqlx::query_as(
            "select id, request_id, account, endpoint, attempts, received_at, body, details from webhook_deliveries
             where shop = $1 and state in ('received', 'failed') and (received_at < $3 or (received_at = $3 and id > $4))
             order by received_at desc, id limit $2",
        )
        .bind(shop.as_str())
        .bind(i64::from(limit))
        .bind(after.map_or(i64::MAX, |(came, _)| milliseconds(came)))
        .bind(after.map_or("", |(_, id)| id))
        .fetch_all(self.store.pool())
        .await?;
        let rows = rows.into_iter().map(|(id, request_id, account, endpoint, attempts, came, body, told)| {
            let what = details_aad(shop, &id);
            let account = account.parse().map_err(|error| StoreError::corrupt(&what, error))?;
            let empty = WebhookRequest {
                id: request_id,
                received_at: timestamp(system_time(came)),
                method: String::new(),
                headers: Vec::new(),
                query: String::new(),
                body: Vec::new(),
                extra: Vec::new(),
            };
            let (request, reason) = match self.failed_webhook_delivery(shop, &id, body, told) {
                Ok((details, body)) => {
                    let DeliveryDetails { method, headers, query, reason, .. } = details;
                    (WebhookRequest { method, headers, query, body, ..empty }, reason)
                }
                // A damaged delivery does not hide others.
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(notice = id, %error, "a webhook delivery cannot be read");
                    (empty, Some(format!("its stored data cannot be read: {error}")))
                }
                Err(error) => return Err(error),
            };
            Ok(FailedWebhookDelivery {
                destination: Destination { shop: shop.clone(), account, endpoint },
                at: system_time(came),
                attempts: u64::try_from(attempts).unwrap_or(0),
                request,
                reason,
                id,
            })
        });
        rows.collect()
    }

    /// Returns the details and the body of a delivery under the store's key.
    fn failed_webhook_delivery(
        self,
        shop: &ShopId,
        id: &str,
        body: Option<Vec<u8>>,
        encrypted_details: Option<Vec<u8>>,
    ) -> Result<(DeliveryDetails, Vec<u8>), StoreError> {
        let what = details_aad(shop, id);
        let details: DeliveryDetails = match encrypted_details {
            Some(encrypted) => {
                serde_json::from_slice(&self.decrypt_delivery(&EncryptionKeys::Store, &what, &encrypted)?)
                    .map_err(|error| StoreError::corrupt_json(&what, &error))?
            }
            None => DeliveryDetails::default(),
        };
        let body = match body {
            Some(encrypted) => self.decrypt_delivery(&EncryptionKeys::Store, &body_aad(shop, id), &encrypted)?.to_vec(),
            None => Vec::new(),
        };
        Ok((details, body))
    }
}
