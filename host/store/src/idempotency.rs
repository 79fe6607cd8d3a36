//! Idempotency keys: a request that is repeated, because its response was lost, gets the first response.
//!
//! A request is identified by its caller and the caller's idempotency key; both are stored as a digest only. A response
//! is stored for [`REQUEST_RETENTION`], encrypted with the store's key, and is erased with the orders that it has data
//! of.

use std::time::{Duration, SystemTime};

use cartwright::{Digest, ShopId, timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;

use crate::database::{Store, WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::IdempotencyKeys;
use crate::keys::aad;

/// Time for which a request is remembered.
pub const REQUEST_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// Time after which an unfinished request is considered lost: no request takes as long.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The result of beginning a request.
#[derive(Debug)]
pub enum BeginOutcome {
    /// The request is new: perform it, then call [`IdempotencyKeys::answer_request`] or
    /// [`IdempotencyKeys::forget_request`].
    New(RequestToken),
    /// The request is in progress. Ask again later.
    Running,
    /// The request was done before.
    Answered(StoredResponse),
    /// The key was used for another request.
    Conflict,
}

/// The right to store the response of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestToken {
    id: String,
    fencing_token: i64,
}

/// A stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Names and values of the headers.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body.
    pub body: Vec<u8>,
}

/// The part of a response before its body.
#[derive(Serialize, Deserialize)]
struct ResponseHead {
    status: u16,
    headers: Vec<(String, String)>,
}

impl StoredResponse {
    fn encrypt(&self, store: &Store, id: &str) -> Result<Vec<u8>, StoreError> {
        let head = ResponseHead { status: self.status, headers: self.headers.clone() };
        let head = serde_json::to_vec(&head).map_err(|error| StoreError::Unusable(format!("a response: {error}")))?;
        // Single-line JSON ends at the first line break.
        store.keys().encrypt(&response_aad(id), &[&head, b"\n".as_slice(), &self.body].concat())
    }

    fn open(store: &Store, id: &str, encrypted: &[u8]) -> Result<Self, StoreError> {
        let plain = store.keys().decrypt(&response_aad(id), encrypted)?;
        let end = plain.iter().position(|byte| *byte == b'\n').unwrap_or(plain.len());
        let (head, body) = plain.split_at(end);
        let head: ResponseHead =
            serde_json::from_slice(head).map_err(|error| StoreError::corrupt_json("a response", &error))?;
        Ok(Self { status: head.status, headers: head.headers, body: body.get(1..).unwrap_or_default().to_vec() })
    }
}

fn response_aad(id: &str) -> String {
    aad("answer", "", id)
}

/// Columns of a row: digest, fencing token, time of the start, response.
type Row = (String, i64, i64, Option<Vec<u8>>);

impl IdempotencyKeys<'_> {
    /// Begins a request, unless it was begun before. `scope` is the caller, such as an access key's id; `key` is the
    /// idempotency key, and `digest` that of the whole request. A request that was neither answered nor forgotten
    /// within [`REQUEST_TIMEOUT`] is begun again.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn begin_request(
        self,
        scope: &str,
        key: &str,
        digest: &Digest,
        now: SystemTime,
    ) -> Result<BeginOutcome, StoreError> {
        let id = request_id(scope, key);
        let mut work = self.store.begin().await?;
        let insert = sqlx::query(
            "insert into idempotency_keys (id, digest, fencing_token, started_at) values ($1, $2, 1, $3)
             on conflict (id) do nothing",
        )
        .bind(&id)
        .bind(digest.to_string())
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        if insert.rows_affected() == 1 {
            work.commit().await?;
            return Ok(BeginOutcome::New(RequestToken { id, fencing_token: 1 }));
        }
        let found: Option<Row> = sqlx::query_as(
            "update idempotency_keys set id = id where id = $1 returning digest, fencing_token, started_at, response",
        )
        .bind(&id)
        .fetch_optional(&mut *work)
        .await?;
        // It was deleted just now: the caller's next attempt begins it.
        let Some((of, fencing_token, begun, answer)) = found else { return Ok(BeginOutcome::Running) };
        let is_over = |period: Duration| system_time(begun) + period <= now;
        let is_old = is_over(REQUEST_RETENTION);
        if !is_old && of != digest.to_string() {
            return Ok(BeginOutcome::Conflict);
        }
        match answer {
            Some(encrypted) if !is_old => {
                return Ok(BeginOutcome::Answered(StoredResponse::open(self.store, &id, &encrypted)?));
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

    /// Stores the response to a request. `orders` are those, by shop and the platform's id, that the response has data
    /// of: it is erased with any of them, and not stored if one of them is already erased. Returns false if it was not
    /// stored, or if the request was begun again in the meantime.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn answer_request(
        self,
        token: &RequestToken,
        answer: &StoredResponse,
        orders: &[(ShopId, String)],
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut work = self.store.begin().await?;
        let mut orders: Vec<&(ShopId, String)> = orders.iter().collect();
        // Locked in a fixed sequence, so that two responses do not wait for each other.
        orders.sort();
        orders.dedup();
        for (shop, order) in &orders {
            match self.store.orders().lock_order(&mut work, shop, order).await {
                // An order that is not stored yet will be erased together with this response.
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                // Unreadable data can be erased.
                Err(StoreError::Corrupt(_)) => {}
                Err(StoreError::Erased(_)) => {
                    work.rollback().await?;
                    self.forget_request(token).await?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let update = sqlx::query(
            "update idempotency_keys set responded_at = $3, response = $4
             where id = $1 and fencing_token = $2 and responded_at is null",
        )
        .bind(&token.id)
        .bind(token.fencing_token)
        .bind(milliseconds(now))
        .bind(answer.encrypt(self.store, &token.id)?)
        .execute(&mut *work)
        .await?;
        if update.rows_affected() == 0 {
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

    /// Forgets a request that failed, for example because of the host, so that a repeated one is done anew.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn forget_request(self, token: &RequestToken) -> Result<(), StoreError> {
        sqlx::query("delete from idempotency_keys where id = $1 and fencing_token = $2 and responded_at is null")
            .bind(&token.id)
            .bind(token.fencing_token)
            .execute(self.store.pool())
            .await?;
        Ok(())
    }

    /// Returns the decrypted responses that have data of this order and of no other.
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
        let rows = rows.into_iter().map(|(id, answered, encrypted)| {
            let StoredResponse { status, headers, body } = StoredResponse::open(self.store, &id, &encrypted)?;
            let body = String::from_utf8_lossy(&body);
            Ok(json!({ "at": timestamp(system_time(answered)), "status": status, "headers": headers, "body": body }))
        });
        rows.collect()
    }
}

async fn untie(work: &mut WriteTransaction, id: &str) -> Result<(), StoreError> {
    sqlx::query("delete from idempotency_key_orders where request = $1").bind(id).execute(&mut **work).await?;
    Ok(())
}

/// Returns the stored id of a request. It is a digest, because a platform's keys may name people.
fn request_id(scope: &str, key: &str) -> String {
    let scoped = Sha256::new().chain_update(scope.len().to_be_bytes()).chain_update(scope).chain_update(key);
    hex::encode(scoped.finalize())
}
