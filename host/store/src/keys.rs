//! The keys that the database was written with. They are checked when it is opened, and rotated while it is in use.

use cartwright::Secret;
use sqlx::AnyConnection;
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;

/// Maximum number of values that one transaction re-encrypts, so that others can write in between.
const BATCH: i64 = 200;
const KEY_CHECK_AAD: &str = "key check";

/// All columns that the store's key encrypts: their associated data, the query for values with another key, and the
/// update of one.
const ENCRYPTED_COLUMNS: [(&str, &str, &str); 12] = [
    (
        "shop",
        "select id, '', price_seal_key from shops where substr(price_seal_key, 1, 9) <> $1 limit $2",
        "update shops set price_seal_key = $1 where id = $2 and $3 = '' and price_seal_key = $4",
    ),
    (
        "account",
        "select shop, id, secrets from accounts where substr(secrets, 1, 9) <> $1 limit $2",
        "update accounts set secrets = $1 where shop = $2 and id = $3 and secrets = $4",
    ),
    (
        "order",
        "select shop, id, order_key from orders where substr(order_key, 1, 9) <> $1 limit $2",
        "update orders set order_key = $1 where shop = $2 and id = $3 and order_key = $4",
    ),
    (
        "blob",
        "select shop, digest || configuration, blob_key from blobs where substr(blob_key, 1, 9) <> $1 limit $2",
        "update blobs set blob_key = $1 where shop = $2 and digest = substr($3, 1, 64) and order_id = ''
         and configuration = substr($3, 65) and blob_key = $4",
    ),
    // Deliveries with an order are encrypted with that order's key.
    (
        "webhook body",
        "select shop, id, body from webhook_deliveries r where substr(body, 1, 9) <> $1 and not exists (
             select 1 from webhook_delivery_orders o where o.shop = r.shop and o.delivery_id = r.id) limit $2",
        "update webhook_deliveries set body = $1 where shop = $2 and id = $3 and body = $4",
    ),
    (
        "webhook",
        "select shop, id, details from webhook_deliveries r where substr(details, 1, 9) <> $1 and not exists (
             select 1 from webhook_delivery_orders o where o.shop = r.shop and o.delivery_id = r.id) limit $2",
        "update webhook_deliveries set details = $1 where shop = $2 and id = $3 and details = $4",
    ),
    (
        "account outcome",
        "select shop, id, outcome from account_outcomes where substr(outcome, 1, 9) <> $1 limit $2",
        "update account_outcomes set outcome = $1 where shop = $2 and id = $3 and outcome = $4",
    ),
    (
        "feed cursor",
        "select shop, account, cursor from feeds where substr(cursor, 1, 9) <> $1 limit $2",
        "update feeds set cursor = $1 where shop = $2 and account = $3 and cursor = $4",
    ),
    (
        "feed error",
        "select shop, account, last_error from feeds where substr(last_error, 1, 9) <> $1 limit $2",
        "update feeds set last_error = $1 where shop = $2 and account = $3 and last_error = $4",
    ),
    (
        "notification endpoint",
        "select shop, '', endpoint from notification_endpoints where substr(endpoint, 1, 9) <> $1 limit $2",
        "update notification_endpoints set endpoint = $1 where shop = $2 and $3 = '' and endpoint = $4",
    ),
    (
        "answer",
        "select '', id, response from idempotency_keys where substr(response, 1, 9) <> $1 limit $2",
        "update idempotency_keys set response = $1 where $2 = '' and id = $3 and response = $4",
    ),
    (
        "host secret",
        "select '', '', secret from host_secret where substr(secret, 1, 9) <> $1 limit $2",
        "update host_secret set secret = $1 where id = 1 and $2 = '' and $3 = '' and secret = $4",
    ),
];

/// Returns the associated data that binds an encrypted value to its row. A shop's id contains no space.
pub(crate) fn aad(kind: &str, shop: &str, id: &str) -> String {
    format!("{kind} {shop} {id}")
}

impl Store {
    /// Refuses keys that do not decrypt the stored values, before anything is encrypted with them.
    pub(crate) async fn check_keys(&self) -> Result<(), StoreError> {
        let mut work = self.begin().await?;
        let checks: Vec<(String, Vec<u8>)> =
            sqlx::query_as("select key_id, encrypted from key_checks").fetch_all(&mut *work).await?;
        let mut known = false;
        for (key_id, encrypted) in checks {
            let key = self.keys().all().find(|key| key.name() == key_id);
            key.ok_or(StoreError::WrongKey { key_id })?.decrypt(KEY_CHECK_AAD, &encrypted)?;
            known |= self.keys().current().header() == encrypted.get(..9).unwrap_or_default();
        }
        if !known {
            let encrypted = self.keys().encrypt(KEY_CHECK_AAD, KEY_CHECK_AAD.as_bytes())?;
            // Another node may have been quicker.
            sqlx::query("insert into key_checks (key_id, encrypted) values ($1, $2) on conflict (key_id) do nothing")
                .bind(self.keys().current().name())
                .bind(encrypted)
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Returns the secret that the random numbers of durable hooks are derived from, for
    /// [`Builder::secret`](cartwright::Builder::secret). It is generated at the first call, and the same on every node
    /// from then on.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn host_secret(&self) -> Result<Secret, StoreError> {
        let mut work = self.begin().await?;
        let secret = self.host_secret_in(&mut work).await?;
        work.commit().await?;
        Ok(secret)
    }

    pub(crate) async fn host_secret_in(&self, connection: &mut AnyConnection) -> Result<Secret, StoreError> {
        const READ: &str = "select secret from host_secret";
        let aad = aad("host secret", "", "");
        let mut found: Option<(Vec<u8>,)> = sqlx::query_as(READ).fetch_optional(&mut *connection).await?;
        if found.is_none() {
            let mut random = Zeroizing::new([0; 32]);
            getrandom::fill(random.as_mut_slice())
                .map_err(|error| StoreError::Unavailable(format!("the system's random numbers: {error}")))?;
            // Another node may have been quicker.
            sqlx::query("insert into host_secret (id, secret) values (1, $1) on conflict (id) do nothing")
                .bind(self.keys().encrypt(&aad, hex::encode(random.as_slice()).as_bytes())?)
                .execute(&mut *connection)
                .await?;
            found = sqlx::query_as(READ).fetch_optional(&mut *connection).await?;
        }
        let missing = || StoreError::Corrupt("the host's secret is missing".to_owned());
        let (encrypted,) = found.ok_or_else(missing)?;
        let plain = self.keys().decrypt(&aad, &encrypted)?;
        let text = std::str::from_utf8(&plain).map_err(|error| StoreError::corrupt(&aad, error))?;
        Ok(Secret::new(text))
    }

    /// Re-encrypts all values that an older key of the ring encrypted, so that the older keys are no longer needed. It
    /// can be interrupted and called again; until it has finished, both keys are needed to open the database. If
    /// several nodes share a database, give all of them both keys first.
    ///
    /// Returns the number of re-encrypted values.
    ///
    /// # Errors
    /// Fails if the database does. Values that were re-encrypted stay so.
    pub async fn rotate_keys(&self) -> Result<u64, StoreError> {
        let mut count = 0;
        for (kind, select, update) in ENCRYPTED_COLUMNS {
            loop {
                let mut work = self.begin().await?;
                let older: Vec<(String, String, Vec<u8>)> = sqlx::query_as(select)
                    .bind(self.keys().current().header())
                    .bind(BATCH)
                    .fetch_all(&mut *work)
                    .await?;
                if older.is_empty() {
                    break;
                }
                for (shop, id, encrypted) in older {
                    let aad = aad(kind, &shop, &id);
                    let plain = self.keys().decrypt(&aad, &encrypted)?;
                    let anew = self.keys().encrypt(&aad, &plain)?;
                    let query = sqlx::query(update).bind(anew).bind(shop).bind(id).bind(encrypted);
                    count += query.execute(&mut *work).await?.rows_affected();
                }
                work.commit().await?;
            }
        }
        sqlx::query("delete from key_checks where key_id <> $1")
            .bind(self.keys().current().name())
            .execute(self.pool())
            .await?;
        Ok(count)
    }
}
