//! A notice's row: what is kept of it, and how it is sealed.

use std::time::SystemTime;

use cartwright::types::{WebhookRequest, WebhookResponse};
use cartwright::webhook::{Destination, Notice};
use cartwright::{Digest, ShopId};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use zeroize::Zeroizing;

use crate::database::{Store, Work, milliseconds, moment};
use crate::error::StoreError;
use crate::keys::place;
use crate::vault::Key;

/// Maximum bytes that are kept of the body of a notice that was answered: it is only shown. One that was not answered well is kept
/// whole.
const MAX_ANSWERED_BODY_BYTES: usize = 64 << 10;

/// A notice that was not answered well.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenNotice {
    /// Its id within its shop.
    pub id: String,
    /// What it was for.
    pub destination: Destination,
    /// When it came last.
    pub at: SystemTime,
    /// How often it came.
    pub times: u64,
    /// The request as it came last.
    pub request: WebhookRequest,
    /// Why it was not answered well; none while it is run, and when the host was lost in the middle of that. The vendor may send
    /// it again.
    pub why: Option<String>,
}

/// What is kept of a request beside its body, and of what came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) method: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: String,
    #[serde(default)]
    pub(super) response: Option<WebhookResponse>,
    #[serde(default)]
    pub(super) why: Option<String>,
    /// The body as it came, once it was answered and may be cut.
    #[serde(default)]
    pub(super) whole_body: Option<WholeBody>,
}

impl Told {
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
pub(super) enum Seals<'a> {
    /// Nobody knows which order it is about.
    Store,
    /// The keys of the orders that it is about, in the order of their ids.
    Orders(&'a [Key]),
}

/// A notice's id within its shop. Neither an account's nor an endpoint's name holds a colon.
pub(super) fn receipt_id(notice: &Notice) -> String {
    let Destination { account, endpoint, .. } = &notice.destination;
    format!("{account}:{endpoint}:{}", notice.id)
}

pub(super) fn body_place(shop: &ShopId, id: &str) -> String {
    place("webhook body", shop.as_str(), id)
}

pub(super) fn told_place(shop: &ShopId, id: &str) -> String {
    place("webhook", shop.as_str(), id)
}

impl Store {
    pub(super) fn seal_receipt(&self, seals: &Seals<'_>, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        match seals {
            Seals::Store => self.keys().seal(place, plain),
            Seals::Orders(keys) => {
                let mut sealed = Zeroizing::new(plain.to_vec());
                for key in *keys {
                    sealed = Zeroizing::new(key.seal(place, &sealed)?);
                }
                Ok(sealed.to_vec())
            }
        }
    }

    pub(super) fn open_receipt(
        &self,
        seals: &Seals<'_>,
        place: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match seals {
            Seals::Store => self.keys().open(place, sealed),
            Seals::Orders(keys) => {
                let mut plain = Zeroizing::new(sealed.to_vec());
                for key in keys.iter().rev() {
                    plain = key.open(place, &plain)?;
                }
                Ok(plain)
            }
        }
    }

    /// The keys of the orders that a receipt is about; none when one of them was erased.
    pub(super) async fn keys_of_receipt(
        &self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
    ) -> Result<Option<Vec<Key>>, StoreError> {
        let orders: Vec<(String, Option<Vec<u8>>)> = sqlx::query_as(
            "select o.id, o.order_key from webhook_receipt_orders r join orders o on o.shop = r.shop and o.id = r.order_id
             where r.shop = $1 and r.receipt = $2",
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
        let keys = orders.into_iter().map(|(order, key)| self.order_key(shop, &order, key));
        keys.collect::<Result<_, _>>().map(Some)
    }

    /// Writes what is known of a request anew.
    pub(super) async fn write_receipt(
        &self,
        work: &mut Work,
        notice: &Notice,
        state: &str,
        told: &Told,
        seals: &Seals<'_>,
    ) -> Result<(), StoreError> {
        let (shop, id) = (&notice.destination.shop, receipt_id(notice));
        let json = serde_json::to_vec(told).map_err(|error| StoreError::Unusable(format!("{id}: {error}")))?;
        let answered = told.response.as_ref().map(|response| (milliseconds(notice.at), i64::from(response.status)));
        let whole = notice.request.body.as_slice();
        let body = match told.whole_body {
            Some(_) => whole.get(..MAX_ANSWERED_BODY_BYTES).unwrap_or(whole),
            None => whole,
        };
        let body = self.seal_receipt(seals, &body_place(shop, &id), body)?;
        let told = self.seal_receipt(seals, &told_place(shop, &id), &Zeroizing::new(json))?;
        let size = body.len().saturating_add(told.len());
        self.receipt_quota().add(&notice.destination, size);
        sqlx::query(
            "update webhook_receipts set state = $3, came_at = $4, answered_at = $5, status = $6, body = $7, told = $8,
                 size = $9
             where shop = $1 and id = $2",
        )
        .bind(shop.as_str())
        .bind(&id)
        .bind(state)
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
    pub(super) async fn answer_before(
        &self,
        work: &mut Work,
        shop: &ShopId,
        id: &str,
        (status, told): (Option<i64>, Option<Vec<u8>>),
    ) -> Result<WebhookResponse, StoreError> {
        let what = told_place(shop, id);
        let status = status.and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| StoreError::Corrupt(format!("{what} was answered without a status")))?;
        let bare = WebhookResponse { status, headers: Vec::new(), body: Vec::new() };
        let keys = self.keys_of_receipt(work, shop, id).await?;
        let (Some(keys), Some(sealed)) = (keys, told) else { return Ok(bare) };
        let seals = if keys.is_empty() { Seals::Store } else { Seals::Orders(&keys) };
        let plain = self.open_receipt(&seals, &what, &sealed)?;
        let told: Told = serde_json::from_slice(&plain).map_err(|error| StoreError::corrupt(&what, error))?;
        Ok(told.response.unwrap_or(bare))
    }

    /// At most `limit` notices of a shop that were not answered well, the latest first, those after the one that came at this time
    /// with this id: for the merchant.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open_notices(
        &self,
        shop: &ShopId,
        after: Option<(SystemTime, &str)>,
        limit: u32,
    ) -> Result<Vec<OpenNotice>, StoreError> {
        type Row = (String, String, String, i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Row> = sqlx::query_as(
            "select id, account, endpoint, times, came_at, body, told from webhook_receipts
             where shop = $1 and state in ('taken', 'failed') and (came_at < $3 or (came_at = $3 and id > $4))
             order by came_at desc, id limit $2",
        )
        .bind(shop.as_str())
        .bind(i64::from(limit))
        .bind(after.map_or(i64::MAX, |(came, _)| milliseconds(came)))
        .bind(after.map_or("", |(_, id)| id))
        .fetch_all(self.pool())
        .await?;
        let rows = rows.into_iter().map(|(id, account, endpoint, times, came, body, told)| {
            let what = told_place(shop, &id);
            let account = account.parse().map_err(|error| StoreError::corrupt(&what, error))?;
            let (request, why) = match self.open_notice(shop, &id, body, told) {
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
            Ok(OpenNotice {
                destination: Destination { shop: shop.clone(), account, endpoint },
                at: moment(came),
                times: u64::try_from(times).unwrap_or(0),
                request,
                why,
                id,
            })
        });
        rows.collect()
    }

    /// The request of a notice under the store's key, and why it was not answered well.
    fn open_notice(
        &self,
        shop: &ShopId,
        id: &str,
        body: Option<Vec<u8>>,
        told: Option<Vec<u8>>,
    ) -> Result<(WebhookRequest, Option<String>), StoreError> {
        let what = told_place(shop, id);
        let told: Told = match told {
            Some(sealed) => serde_json::from_slice(&self.open_receipt(&Seals::Store, &what, &sealed)?)
                .map_err(|error| StoreError::corrupt_json(&what, &error))?,
            None => Told::default(),
        };
        let body = match body {
            Some(sealed) => self.open_receipt(&Seals::Store, &body_place(shop, id), &sealed)?.to_vec(),
            None => Vec::new(),
        };
        let request = WebhookRequest { method: told.method, headers: told.headers, query: told.query, body };
        Ok((request, told.why))
    }
}
