//! The vendors' own ids of orders and lines. Outcomes are encrypted, so that an index of keyed hashes finds them.

use cartwright::types::VendorReference;
use cartwright::{AccountId, ShopId};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use sqlx::AnyConnection;

use crate::database::WriteTransaction;
use crate::error::StoreError;
use crate::facades::Orders;
use crate::outcome::OutcomeSource;

/// Maximum number of orders and lines that are returned for a vendor reference: two are as ambiguous as three.
const MAX_FOUND: usize = 2;
/// Maximum number of rows that are read for a vendor reference. Rows of lines that the order lacks by now are skipped.
const MAX_ROWS: i64 = 100;

impl Orders<'_> {
    /// Indexes an order or a line under the vendor reference that its account reported last.
    pub(crate) async fn index_vendor_reference(
        self,
        work: &mut WriteTransaction,
        source: &OutcomeSource<'_>,
        named: &VendorReference,
    ) -> Result<(), StoreError> {
        let hash = self.vendor_reference_hash(work, source.shop, source.account, &named.reference).await?;
        sqlx::query(
            "insert into vendor_references (shop, account, order_id, line_id, reference_hash) values ($1, $2, $3, $4, $5)
             on conflict (shop, account, order_id, line_id) do update set reference_hash = $5",
        )
        .bind(source.shop.as_str())
        .bind(source.account.as_str())
        .bind(source.order)
        .bind(named.line.as_deref().unwrap_or_default())
        .bind(hash)
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// Returns the references of the orders and lines that an account knows by this vendor reference, at most two.
    pub(crate) async fn references_of(
        self,
        shop: &ShopId,
        account: &AccountId,
        vendor_reference: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        // Read first: the reference of a job that is over is stored.
        let is_in_progress = self.may_get_vendor_reference(&mut connection, shop, account).await?;
        let hash = self.vendor_reference_hash(&mut connection, shop, account, vendor_reference).await?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select order_id, line_id from vendor_references where shop = $1 and account = $2 and reference_hash = $3
             order by order_id, line_id limit $4",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .bind(hash)
        .bind(MAX_ROWS)
        .fetch_all(&mut *connection)
        .await?;
        let mut references = Vec::new();
        for (order, line) in rows {
            if references.len() == MAX_FOUND {
                break;
            }
            let Some(known) = self.read_order(&mut connection, shop, &order).await? else { continue };
            if line.is_empty() {
                references.push(known.order.reference);
            } else {
                // A newer version of the order may lack the line.
                let found = known.order.lines.into_iter().find(|known| known.id == line);
                references.extend(found.map(|line| line.reference));
            }
        }
        if references.is_empty() && is_in_progress {
            // The vendor is to repeat what it reports about an order that it has just received.
            return Err(StoreError::Unavailable(
                "the order that has this vendor reference may be on its way to the vendor".to_owned(),
            ));
        }
        Ok(references)
    }

    /// Returns whether a job of the account runs for an order that has no vendor reference yet.
    async fn may_get_vendor_reference(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        account: &AccountId,
    ) -> Result<bool, StoreError> {
        let found: Option<(i64,)> = sqlx::query_as(
            "select j.lane_id from jobs j join job_lanes l on l.id = j.lane_id
             where j.state = 'running' and j.shop = $1 and j.account = $2 and not exists (
                 select 1 from vendor_references v
                 where v.shop = $1 and v.account = $2 and v.order_id = l.order_id)
             limit 1",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .fetch_optional(connection)
        .await?;
        Ok(found.is_some())
    }

    /// Returns the hash that indexes a vendor reference. A plain hash could be reversed by trying all numbers.
    async fn vendor_reference_hash(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        account: &AccountId,
        reference: &str,
    ) -> Result<String, StoreError> {
        let secret = self.store.host_secret_in(connection).await?;
        // HMAC accepts a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose())
            .map_err(|error| StoreError::corrupt("the host's secret", error))?;
        let text = format!("cartwright vendor references\n{shop}\n{account}\n{reference}");
        Ok(hex::encode(mac.chain_update(text).finalize().into_bytes()))
    }
}
