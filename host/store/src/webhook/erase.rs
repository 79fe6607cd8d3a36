//! Erasing webhooks together with an order, and exporting them.
//!
//! A webhook about an order is encrypted with its key and erased with it. Webhooks that could not be attributed to an
//! order, such as a request that its plugin refused, are searched for the names by which the order and its customer are
//! known.

use cartwright::types::Outcome;
use cartwright::{ShopId, timestamp};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::delivery::{DeliveryDetails, DeliveryState, EncryptionKeys, body_aad, details_aad};
use crate::customer::emails_of;
use crate::database::{WriteTransaction, system_time};
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::keys::aad;
use crate::order::StoredOrder;
use crate::stored_outcome::OutcomeSelection;

/// Number of rows that are searched at once.
const PAGE: i64 = 100;
/// Minimum length of a name to search for, in bytes: a shorter vendor reference would be found everywhere.
const MIN_NAME_BYTES: usize = 5;

/// A delivery under the store's key: its id, its state, its body and its details.
type UnlinkedDelivery = (String, String, Option<Vec<u8>>, Option<Vec<u8>>);

impl Webhooks<'_> {
    /// Returns the names under which webhooks may mention an order: its references and those of its lines, the vendors'
    /// own, and every e-mail address that it was billed or delivered to in any of its versions.
    pub(crate) async fn names_of_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
    ) -> Result<Vec<String>, StoreError> {
        let references: Vec<(String,)> =
            sqlx::query_as("select reference from order_references where shop = $1 and order_id = $2")
                .bind(shop.as_str())
                .bind(id)
                .fetch_all(&mut *connection)
                .await?;
        let mut names: Vec<String> = references.into_iter().map(|(reference,)| reference).collect();
        // Unreadable data names nothing.
        let known = match self.store.orders().read_order(connection, shop, id).await {
            Ok(known) => known,
            Err(StoreError::Corrupt(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(StoredOrder { key, order, .. }) = known else { return Ok(names) };
        names.extend(emails_of(&order).into_iter().map(|email| email.as_str().to_owned()));
        names.extend(self.store.personal_data().emails_of_events(connection, &key, shop, id).await?);
        match self.store.outcomes().outcomes_in(connection, &key, shop, id, OutcomeSelection::All).await {
            Ok(outcomes) => names.extend(outcomes.into_iter().filter_map(|outcome| match outcome.outcome {
                Outcome::VendorReference(named) => Some(named.reference),
                _ => None,
            })),
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
        names.retain(|name| name.len() >= MIN_NAME_BYTES);
        Ok(names)
    }

    /// Erases the deliveries, account outcomes and errors of feeds that contain one of these names; returns their number.
    /// A successful delivery keeps its status, so that a repeated one gets the same response.
    pub(crate) async fn delete_by_name(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        names: &[String],
    ) -> Result<u64, StoreError> {
        Ok(self.delete_deliveries(work, shop, names).await?
            + self.delete_account_outcomes(work, shop, names).await?
            + self.delete_feed_errors(work, shop, names).await?)
    }

    async fn delete_deliveries(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        names: &[String],
    ) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, String::new());
        loop {
            let page: Vec<UnlinkedDelivery> = sqlx::query_as(
                "select r.id, r.state, r.body, r.details from webhook_deliveries r
                 where r.shop = $1 and r.id > $2 and r.details is not null and not exists (
                     select 1 from webhook_delivery_orders o where o.shop = r.shop and o.delivery_id = r.id)
                 order by r.id limit $3",
            )
            .bind(shop.as_str())
            .bind(&after)
            .bind(PAGE)
            .fetch_all(&mut **work)
            .await?;
            let Some((last, ..)) = page.last() else { return Ok(count) };
            after.clone_from(last);
            for (id, state, body, told) in page {
                let is_named = |aad: &str, encrypted: Option<Vec<u8>>| match encrypted
                    .map(|it| self.store.keys().decrypt(aad, &it))
                {
                    Some(Ok(plain)) => Ok(contains_name(&plain, names)),
                    // Unreadable data may contain any name, but it cannot be read.
                    Some(Err(StoreError::Corrupt(_))) | None => Ok(false),
                    Some(Err(error)) => Err(error),
                };
                if !is_named(&body_aad(shop, &id), body)? && !is_named(&details_aad(shop, &id), told)? {
                    continue;
                }
                let forget = if state == DeliveryState::Answered.name() {
                    "update webhook_deliveries set body = null, details = null, size = 0 where shop = $1 and id = $2"
                } else {
                    "delete from webhook_deliveries where shop = $1 and id = $2"
                };
                sqlx::query(forget).bind(shop.as_str()).bind(id).execute(&mut **work).await?;
                count += 1;
            }
        }
    }

    async fn delete_account_outcomes(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        names: &[String],
    ) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, String::new());
        loop {
            let page: Vec<(String, Vec<u8>)> = sqlx::query_as(
                "select id, outcome from account_outcomes where shop = $1 and id > $2 order by id limit $3",
            )
            .bind(shop.as_str())
            .bind(&after)
            .bind(PAGE)
            .fetch_all(&mut **work)
            .await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after.clone_from(last);
            for (id, encrypted) in page {
                match self.store.keys().decrypt(&aad("account outcome", shop.as_str(), &id), &encrypted) {
                    Ok(plain) if contains_name(&plain, names) => {}
                    Ok(_) | Err(StoreError::Corrupt(_)) => continue,
                    Err(error) => return Err(error),
                }
                sqlx::query("delete from account_outcomes where id = $1").bind(id).execute(&mut **work).await?;
                count += 1;
            }
        }
    }

    async fn delete_feed_errors(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        names: &[String],
    ) -> Result<u64, StoreError> {
        let errors: Vec<(String, Vec<u8>)> =
            sqlx::query_as("select account, last_error from feeds where shop = $1 and last_error is not null")
                .bind(shop.as_str())
                .fetch_all(&mut **work)
                .await?;
        let mut count = 0;
        for (account, encrypted) in errors {
            match self.store.keys().decrypt(&aad("feed error", shop.as_str(), &account), &encrypted) {
                Ok(plain) if contains_name(&plain, names) => {}
                Ok(_) | Err(StoreError::Corrupt(_)) => continue,
                Err(error) => return Err(error),
            }
            sqlx::query("update feeds set last_error = null where shop = $1 and account = $2 and last_error = $3")
                .bind(shop.as_str())
                .bind(account)
                .bind(encrypted)
                .execute(&mut **work)
                .await?;
            count += 1;
        }
        Ok(count)
    }

    /// Returns the decrypted requests that concern this order and no other.
    pub(crate) async fn requests_of_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &str,
    ) -> Result<Vec<Value>, StoreError> {
        type Row = (String, String, String, i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Row> = sqlx::query_as(
            "select r.id, r.account, r.endpoint, r.attempts, r.received_at, r.body, r.details
             from webhook_delivery_orders o join webhook_deliveries r on r.shop = o.shop and r.id = o.delivery_id
             where o.shop = $1 and o.order_id = $2 and not exists (
                 select 1 from webhook_delivery_orders other
                 where other.shop = o.shop and other.delivery_id = o.delivery_id and other.order_id <> o.order_id)
             order by r.received_at, r.id",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_all(&mut *connection)
        .await?;
        let mut requests = Vec::with_capacity(rows.len());
        for (id, account, endpoint, times, came, body, encrypted_details) in rows {
            let Some(keys) = self.delivery_keys(connection, shop, &id).await? else { continue };
            let Some(encrypted_details) = encrypted_details else { continue };
            let encryption_keys = EncryptionKeys::Orders(&keys);
            let body =
                body.map(|body| self.decrypt_delivery(&encryption_keys, &body_aad(shop, &id), &body)).transpose()?;
            let what = details_aad(shop, &id);
            let encrypted_details = self.decrypt_delivery(&encryption_keys, &what, &encrypted_details)?;
            let encrypted_details: DeliveryDetails =
                serde_json::from_slice(&encrypted_details).map_err(|error| StoreError::corrupt(&what, error))?;
            let whole = encrypted_details.whole_body.as_ref();
            let is_cut = whole.is_some_and(|whole| body.as_ref().map_or(0, |body| body.len()) < whole.bytes);
            // As text, because people read it, and vendors send JSON.
            let answer = encrypted_details.response.map(|answer| {
                json!({
                    "status": answer.status, "headers": answer.headers, "body": String::from_utf8_lossy(&answer.body),
                })
            });
            requests.push(json!({
                "account": account, "endpoint": endpoint, "times": times, "at": timestamp(system_time(came)),
                "method": encrypted_details.method, "headers": encrypted_details.headers, "query": encrypted_details.query,
                "body": body.as_ref().map(|body| String::from_utf8_lossy(body)), "body_cut": is_cut,
                "body_bytes": whole.map(|whole| whole.bytes), "body_sha256": whole.map(|whole| whole.sha256),
                "answer": answer,
            }));
        }
        Ok(requests)
    }
}

/// Returns whether the text contains one of the names, and not as the beginning or end of another. It ignores case, and
/// also finds spellings of URL queries, forms and JSON.
fn contains_name(text: &[u8], names: &[String]) -> bool {
    let plain = String::from_utf8_lossy(text);
    let decoded = decoded(&plain);
    let unescaped = serde_json::from_str::<Value>(&plain).map(|json| json.to_string()).unwrap_or_default();
    let texts = [&plain, decoded.as_str(), unescaped.as_str()].map(str::to_lowercase);
    names.iter().map(|name| name.to_lowercase()).filter(|name| !name.is_empty()).any(|name| {
        texts.iter().any(|text| text.match_indices(&name).any(|(at, _)| is_whole_word(text, at, name.len())))
    })
}

fn is_whole_word(text: &str, at: usize, length: usize) -> bool {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    !is_letter(at.checked_sub(1).and_then(|before| bytes.get(before))) && !is_letter(bytes.get(at + length))
}

/// Decodes percent-encoded bytes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let encoded = after.split_at_checked(2).filter(|_| *first == b'%').and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        match encoded {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::contains_name;

    #[test]
    fn a_name_is_found_where_it_stands_for_itself() {
        let stands = |text: &str, name: &str| contains_name(text.as_bytes(), &[name.to_owned()]);
        assert!(stands(r#"{"identifier":"test:shop:1"}"#, "test:shop:1"));
        assert!(stands("test:shop:1:2", "test:shop:1"));
        assert!(stands("to=Zoe@Example.com&x", "zoe@example.com"));
        assert!(stands("test:shop:10 test:shop:1", "test:shop:1"));
        assert!(!stands("test:shop:10", "test:shop:1") && !stands("latest:shop:1", "test:shop:1"));
        assert!(!stands("", "test:shop:1") && !contains_name(b"test", &[]));
    }

    #[test]
    fn a_name_is_found_however_a_vendor_spells_it() {
        for text in [
            "to=zo%C3%AB%40example.com&x=1",
            "to=ZO%c3%8b%40EXAMPLE.COM",
            r#"{"to":"zo\u00eb@example.com"}"#,
            r#"{"to":"ZO\u00CB\u0040example.com"}"#,
            "ZOË@example.com",
            "100% zoë@example.com",
        ] {
            assert!(contains_name(text.as_bytes(), &["zoë@example.com".to_owned()]), "{text}");
        }
        assert!(!contains_name("azo%C3%AB%40example.com".as_bytes(), &["zoë@example.com".to_owned()]));
    }
}
