//! Requests that are answered once: who sends one again, because the answer was lost, is given the first answer.
//!
//! A request is known by who asked and the name that the asker gave it; neither stands in the open. An answer is kept for
//! [`REQUEST_RETENTION`], sealed with the store's key, and is forgotten with the orders that it was said to hold something of.

use std::time::{Duration, SystemTime};

use cartwright::{Digest, ShopId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;

use crate::database::{Store, WriteTransaction, milliseconds, moment};
use crate::error::StoreError;
use crate::export::at;
use crate::facades::IdempotencyKeys;
use crate::keys::aad;
use crate::vault::to_hex;

/// A request is known for so long.
pub const REQUEST_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// Whoever began a request and has not answered it within this is gone: no request takes as long.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// What becomes of a request.
#[derive(Debug)]
pub enum BeginOutcome {
    /// It is new: do it, then [`IdempotencyKeys::answer_request`] or [`IdempotencyKeys::forget_request`].
    New(RequestToken),
    /// It is being done. Ask again later.
    Running,
    /// It was done.
    Answered(StoredResponse),
    /// Another request was sent under this name.
    Conflict,
}

/// Whoever has this answers the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestToken {
    id: String,
    fencing_token: i64,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The bytes.
    pub body: Vec<u8>,
}

/// What stands before the body.
#[derive(Serialize, Deserialize)]
struct ResponseHead {
    status: u16,
    headers: Vec<(String, String)>,
}

impl StoredResponse {
    fn encrypt(&self, store: &Store, id: &str) -> Result<Vec<u8>, StoreError> {
        let head = ResponseHead { status: self.status, headers: self.headers.clone() };
        let head = serde_json::to_vec(&head).map_err(|error| StoreError::Unusable(format!("an answer: {error}")))?;
        // JSON in one line ends at its first line break.
        store.keys().encrypt(&response_aad(id), &[&head, b"\n".as_slice(), &self.body].concat())
    }

    fn open(store: &Store, id: &str, sealed: &[u8]) -> Result<Self, StoreError> {
        let plain = store.keys().decrypt(&response_aad(id), sealed)?;
        let end = plain.iter().position(|byte| *byte == b'\n').unwrap_or(plain.len());
        let (head, body) = plain.split_at(end);
        let head: ResponseHead =
            serde_json::from_slice(head).map_err(|error| StoreError::corrupt_json("an answer", &error))?;
        Ok(Self { status: head.status, headers: head.headers, body: body.get(1..).unwrap_or_default().to_vec() })
    }
}

fn response_aad(id: &str) -> String {
    aad("answer", "", id)
}

/// As it stands.
type Row = (String, i64, i64, Option<Vec<u8>>);

impl IdempotencyKeys<'_> {
    /// Begins a request, unless it was begun before. `scope` is who asks: an access key's id; `key` is the asker's name of the
    /// request, `digest` of everything that is asked. A request that was begun and neither answered nor forgotten within
    /// [`REQUEST_TIMEOUT`] is begun again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn begin_request(
        self,
        scope: &str,
        key: &str,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<BeginOutcome, StoreError> {
        let id = request_id(scope, key);
        let mut work = self.store.begin().await?;
        let made = sqlx::query(
            "insert into idempotency_keys (id, digest, fencing_token, started_at) values ($1, $2, 1, $3)
             on conflict (id) do nothing",
        )
        .bind(&id)
        .bind(digest.to_string())
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        if made.rows_affected() == 1 {
            work.commit().await?;
            return Ok(BeginOutcome::New(RequestToken { id, fencing_token: 1 }));
        }
        let found: Option<Row> = sqlx::query_as(
            "update idempotency_keys set id = id where id = $1 returning digest, fencing_token, started_at, response",
        )
        .bind(&id)
        .fetch_optional(&mut *work)
        .await?;
        // It was forgotten in this moment: whoever asks again begins it.
        let Some((of, fencing_token, begun, answer)) = found else { return Ok(BeginOutcome::Running) };
        let is_over = |kept: Duration| moment(begun) + kept <= now;
        let is_old = is_over(REQUEST_RETENTION);
        if !is_old && of != digest.to_string() {
            return Ok(BeginOutcome::Conflict);
        }
        match answer {
            Some(sealed) if !is_old => {
                return Ok(BeginOutcome::Answered(StoredResponse::open(self.store, &id, &sealed)?));
            }
            None if !is_over(REQUEST_TIMEOUT) => return Ok(BeginOutcome::Running),
            _ => {}
        }
        untie(&mut work, &id).await?;
        sqlx::query(
            "update idempotency_keys set digest = $2, fencing_token = $3, started_at = $4, responded_at = null, response = null
             where id = $1",
        )
        .bind(&id)
        .bind(digest.to_string())
        .bind(fencing_token + 1)
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        work.commit().await?;
        Ok(BeginOutcome::New(RequestToken { id, fencing_token: fencing_token + 1 }))
    }

    /// Keeps the answer to a request. `orders` are those, by shop and the platform's id, that the answer holds something of: it is
    /// forgotten with any of them, and when one of them is forgotten already it is not kept. False when it was not, or when the
    /// request was begun again meanwhile.
    ///
    /// # Errors
    /// As the database says.
    pub async fn answer_request(
        self,
        token: &RequestToken,
        answer: &StoredResponse,
        orders: &[(ShopId, String)],
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut work = self.store.begin().await?;
        let mut orders: Vec<&(ShopId, String)> = orders.iter().collect();
        // Locked in one order, so that two answers do not wait for each other.
        orders.sort();
        orders.dedup();
        for (shop, order) in &orders {
            match self.store.orders().lock_order(&mut work, shop, order).await {
                // An order that is not known yet is forgotten with what stands here too.
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                // What cannot be read can be forgotten.
                Err(StoreError::Corrupt(_)) => {}
                Err(StoreError::Erased(_)) => {
                    work.rollback().await?;
                    self.forget_request(token).await?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let kept = sqlx::query(
            "update idempotency_keys set responded_at = $3, response = $4
             where id = $1 and fencing_token = $2 and responded_at is null",
        )
        .bind(&token.id)
        .bind(token.fencing_token)
        .bind(milliseconds(now))
        .bind(answer.encrypt(self.store, &token.id)?)
        .execute(&mut *work)
        .await?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        for (shop, order) in orders {
            sqlx::query("insert into idempotency_key_orders (request, shop, order_id) values ($1, $2, $3)")
                .bind(&token.id)
                .bind(shop.as_str())
                .bind(order)
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(true)
    }

    /// Forgets a request that came to nothing, such as one that failed on the host's side: sent again, it is done anew.
    ///
    /// # Errors
    /// As the database says.
    pub async fn forget_request(self, token: &RequestToken) -> Result<(), StoreError> {
        sqlx::query("delete from idempotency_keys where id = $1 and fencing_token = $2 and responded_at is null")
            .bind(&token.id)
            .bind(token.fencing_token)
            .execute(self.store.pool())
            .await?;
        Ok(())
    }

    /// The answers that hold something of this order and of no other, in the open.
    pub(crate) async fn answers_of_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &str,
    ) -> Result<Vec<Value>, StoreError> {
        let rows: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(
            "select r.id, r.responded_at, r.response from idempotency_key_orders o
             join idempotency_keys r on r.id = o.request
             where o.shop = $1 and o.order_id = $2 and r.response is not null and not exists (
                 select 1 from idempotency_key_orders other
                 where other.request = o.request and (other.shop <> o.shop or other.order_id <> o.order_id))
             order by r.responded_at, r.id",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_all(connection)
        .await?;
        let rows = rows.into_iter().map(|(id, answered, sealed)| {
            let StoredResponse { status, headers, body } = StoredResponse::open(self.store, &id, &sealed)?;
            let body = String::from_utf8_lossy(&body);
            Ok(json!({ "at": at(moment(answered)), "status": status, "headers": headers, "body": body }))
        });
        rows.collect()
    }
}

async fn untie(work: &mut WriteTransaction, id: &str) -> Result<(), StoreError> {
    sqlx::query("delete from idempotency_key_orders where request = $1").bind(id).execute(&mut **work).await?;
    Ok(())
}

/// What a platform names its requests by may name people.
fn request_id(scope: &str, key: &str) -> String {
    let scoped = Sha256::new().chain_update(scope.len().to_be_bytes()).chain_update(scope).chain_update(key);
    to_hex(&scoped.finalize())
}
