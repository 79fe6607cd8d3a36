//! A notice's row: what is kept of it, and how it is sealed.

use std::time::SystemTime;

use cartwright::types::{WebhookRequest, WebhookResponse};
use cartwright::webhook::{Destination, WebhookDelivery};
use cartwright::{Digest, ShopId};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use zeroize::Zeroizing;

use crate::database::{WriteTransaction, milliseconds, moment};
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::keys::aad;
use crate::vault::Key;

/// Maximum bytes that are kept of the body of a notice that was answered: it is only shown. One that was not answered well is kept
/// whole.
const MAX_ANSWERED_BODY_BYTES: usize = 64 << 10;

/// A notice that was not answered well.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedWebhookDelivery {
    /// Its id within its shop.
    pub id: String,
    /// What it was for.
    pub destination: Destination,
    /// When it came last.
    pub at: SystemTime,
    /// How often it came.
    pub attempts: u64,
    /// The request as it came last.
    pub request: WebhookRequest,
    /// Why it was not answered well; none while it is run, and when the host was lost in the middle of that. The vendor may send
    /// it again.
    pub reason: Option<String>,
}

/// What is kept of a request beside its body, and of what came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct DeliveryDetails {
    pub(super) method: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: String,
    #[serde(default)]
    pub(super) response: Option<WebhookResponse>,
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// The body as it came, once it was answered and may be cut.
    #[serde(default)]
    pub(super) whole_body: Option<WholeBody>,
}

impl DeliveryDetails {
    pub(super) fn of(request: &WebhookRequest) -> Self {
        let WebhookRequest { method, headers, query, body: _ } = request;
        let (method, headers, query) = (method.clone(), headers.clone(), query.clone());
        Self { method, headers, query, ..Self::default() }
    }

    /// What is kept of a request that was answered.
    pub(super) fn answered(request: &WebhookRequest, response: &WebhookResponse) -> Self {
        let (response, whole_body) = (Some(response.clone()), Some(WholeBody::of(&request.body)));
        Self { response, whole_body, ..Self::of(request) }
    }
}

/// Names a body of which only the beginning is kept, or nothing.
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

/// What a receipt's two texts are sealed with.
pub(super) enum EncryptionKeys<'a> {
    /// Nobody knows which order it is about.
    Store,
    /// The keys of the orders that it is about, in the order of their ids.
    Orders(&'a [Key]),
}

/// A notice's id within its shop. Neither an account's nor an endpoint's name holds a colon.
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

/// How far a webhook delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryState {
    /// It is to be run, or runs.
    Received,
    /// It has a successful response.
    Answered,
    /// It has none.
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
        seals: &EncryptionKeys<'_>,
        aad: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        match seals {
            EncryptionKeys::Store => self.store.keys().encrypt(aad, plain),
            EncryptionKeys::Orders(keys) => {
                let mut sealed = Zeroizing::new(plain.to_vec());
                for key in *keys {
                    sealed = Zeroizing::new(key.encrypt(aad, &sealed)?);
                }
                Ok(sealed.to_vec())
            }
        }
    }

    pub(super) fn decrypt_delivery(
        self,
        seals: &EncryptionKeys<'_>,
        aad: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match seals {
            EncryptionKeys::Store => self.store.keys().decrypt(aad, sealed),
            EncryptionKeys::Orders(keys) => {
                let mut plain = Zeroizing::new(sealed.to_vec());
                for key in keys.iter().rev() {
                    plain = key.decrypt(aad, &plain)?;
                }
                Ok(plain)
            }
        }
    }

    /// The keys of the orders that a receipt is about; none when one of them was erased.
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
        // Sorted here: each database sorts texts in its own way.
        let orders: std::collections::BTreeMap<_, _> = orders.into_iter().collect();
        let keys = orders.into_iter().map(|(order, key)| self.store.orders().order_key(shop, &order, key));
        keys.collect::<Result<_, _>>().map(Some)
    }

    /// Writes what is known of a request anew.
    pub(super) async fn write_delivery(
        self,
        work: &mut WriteTransaction,
        notice: &WebhookDelivery,
        state: DeliveryState,
        told: &DeliveryDetails,
        seals: &EncryptionKeys<'_>,
    ) -> Result<(), StoreError> {
        let (shop, id) = (&notice.destination.shop, delivery_id(notice));
        let json = serde_json::to_vec(told).map_err(|error| StoreError::Unusable(format!("{id}: {error}")))?;
        let answered = told.response.as_ref().map(|response| (milliseconds(notice.at), i64::from(response.status)));
        let whole = notice.request.body.as_slice();
        let body = match told.whole_body {
            Some(_) => whole.get(..MAX_ANSWERED_BODY_BYTES).unwrap_or(whole),
            None => whole,
        };
        let body = self.encrypt_delivery(seals, &body_aad(shop, &id), body)?;
        let told = self.encrypt_delivery(seals, &details_aad(shop, &id), &Zeroizing::new(json))?;
        let size = body.len().saturating_add(told.len());
        self.store.receipt_quota().add(&notice.destination, size);
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
        .bind(told)
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// The answer that was given, when it was kept: what an erased order's notice was told beyond its status is forgotten.
    pub(super) async fn completed_response(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        id: &str,
        (status, told): (Option<i64>, Option<Vec<u8>>),
    ) -> Result<WebhookResponse, StoreError> {
        let what = details_aad(shop, id);
        let status = status.and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| StoreError::Corrupt(format!("{what} was answered without a status")))?;
        let bare = WebhookResponse { status, headers: Vec::new(), body: Vec::new() };
        let keys = self.delivery_keys(work, shop, id).await?;
        let (Some(keys), Some(sealed)) = (keys, told) else { return Ok(bare) };
        let seals = if keys.is_empty() { EncryptionKeys::Store } else { EncryptionKeys::Orders(&keys) };
        let plain = self.decrypt_delivery(&seals, &what, &sealed)?;
        let told: DeliveryDetails =
            serde_json::from_slice(&plain).map_err(|error| StoreError::corrupt(&what, error))?;
        Ok(told.response.unwrap_or(bare))
    }

    /// At most `limit` notices of a shop that were not answered well, the latest first, those after the one that came at this time
    /// with this id: for the merchant.
    ///
    /// # Errors
    /// As the database says.
    pub async fn failed_webhook_deliveries(
        self,
        shop: &ShopId,
        after: Option<(SystemTime, &str)>,
        limit: u32,
    ) -> Result<Vec<FailedWebhookDelivery>, StoreError> {
        type Row = (String, String, String, i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Row> = sqlx::query_as(
            "select id, account, endpoint, attempts, received_at, body, details from webhook_deliveries
             where shop = $1 and state in ('received', 'failed') and (received_at < $3 or (received_at = $3 and id > $4))
             order by received_at desc, id limit $2",
        )
        .bind(shop.as_str())
        .bind(i64::from(limit))
        .bind(after.map_or(i64::MAX, |(came, _)| milliseconds(came)))
        .bind(after.map_or("", |(_, id)| id))
        .fetch_all(self.store.pool())
        .await?;
        let rows = rows.into_iter().map(|(id, account, endpoint, attempts, came, body, told)| {
            let what = details_aad(shop, &id);
            let account = account.parse().map_err(|error| StoreError::corrupt(&what, error))?;
            let (request, reason) = match self.failed_webhook_delivery(shop, &id, body, told) {
                Ok(opened) => opened,
                // One that is damaged hides no other.
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(notice = id, %error, "a notice cannot be read");
                    let (method, query) = (String::new(), String::new());
                    let request = WebhookRequest { method, headers: Vec::new(), query, body: Vec::new() };
                    (request, Some(format!("what is kept of it cannot be read: {error}")))
                }
                Err(error) => return Err(error),
            };
            Ok(FailedWebhookDelivery {
                destination: Destination { shop: shop.clone(), account, endpoint },
                at: moment(came),
                attempts: u64::try_from(attempts).unwrap_or(0),
                request,
                reason,
                id,
            })
        });
        rows.collect()
    }

    /// The request of a notice under the store's key, and why it was not answered well.
    fn failed_webhook_delivery(
        self,
        shop: &ShopId,
        id: &str,
        body: Option<Vec<u8>>,
        told: Option<Vec<u8>>,
    ) -> Result<(WebhookRequest, Option<String>), StoreError> {
        let what = details_aad(shop, id);
        let told: DeliveryDetails = match told {
            Some(sealed) => serde_json::from_slice(&self.decrypt_delivery(&EncryptionKeys::Store, &what, &sealed)?)
                .map_err(|error| StoreError::corrupt_json(&what, &error))?,
            None => DeliveryDetails::default(),
        };
        let body = match body {
            Some(sealed) => self.decrypt_delivery(&EncryptionKeys::Store, &body_aad(shop, id), &sealed)?.to_vec(),
            None => Vec::new(),
        };
        let request = WebhookRequest { method: told.method, headers: told.headers, query: told.query, body };
        Ok((request, told.reason))
    }
}
