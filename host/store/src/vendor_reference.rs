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
const MAX_FOUND: i64 = 2;

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
        let hash = self.vendor_reference_hash(&mut connection, shop, account, vendor_reference).await?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select order_id, line_id from vendor_references where shop = $1 and account = $2 and reference_hash = $3
             order by order_id, line_id limit $4",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .bind(hash)
        .bind(MAX_FOUND)
        .fetch_all(&mut *connection)
        .await?;
        let mut references = Vec::new();
        for (order, line) in rows {
            let Some(known) = self.read_order(&mut connection, shop, &order).await? else { continue };
            if line.is_empty() {
                references.push(known.order.reference);
            } else {
                // A newer version of the order may lack the line.
                let found = known.order.lines.into_iter().find(|known| known.id == line);
                references.extend(found.map(|line| line.reference));
            }
        }
        Ok(references)
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
