//! The origins of each shop, whose pages may send requests to the host from a browser.

use std::collections::BTreeSet;
use std::time::SystemTime;

use cartwright::{MAX_URL_BYTES, ShopId, check_line};
use serde_json::json;

use crate::audit_log::NewAuditEntry;
use crate::error::StoreError;
use crate::facades::Shops;
use crate::installation::{ChangeError, Expected, check, version};

/// Returns the version of a shop's origins.
pub fn origins_version(origins: &BTreeSet<String>) -> String {
    version(&json!(origins))
}

impl Shops<'_> {
    /// Sets a shop's origins, each as a browser spells it (`https://shop.example`), with an audit entry. They are not
    /// validated here: an origin that no browser sends has no effect.
    ///
    /// # Errors
    /// [`ChangeError::Changed`] if the origins are not as expected, [`StoreError::NotFound`] if the shop is not stored,
    /// [`StoreError::Text`] for an origin that cannot be stored, or an error of the database.
    pub async fn set_origins(
        self,
        shop: &ShopId,
        origins: &BTreeSet<String>,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        for origin in origins {
            check_line(origin, MAX_URL_BYTES).map_err(|fault| StoreError::Text { what: "origin", fault })?;
        }
        let mut work = self.store.begin_shop(shop).await?;
        let before: Vec<(String,)> = sqlx::query_as("delete from origins where shop = $1 returning origin")
            .bind(shop.as_str())
            .fetch_all(&mut *work)
            .await?;
        let before = before.into_iter().map(|(origin,)| origin).collect();
        check(expected, Some(origins_version(&before)), "the list of origins")?;
        let before = json!(before);
        for origin in origins {
            sqlx::query("insert into origins (shop, origin) values ($1, $2)")
                .bind(shop.as_str())
                .bind(origin)
                .execute(&mut *work)
                .await?;
        }
        let after = json!(origins);
        let entry = NewAuditEntry {
            actor,
            action: "set-origins",
            shop: Some(shop),
            subject: shop.as_str(),
            before: Some(&before),
            after: Some(&after),
            ..NewAuditEntry::default()
        };
        Ok(work.commit_audited(&entry, now).await?)
    }

    /// Returns a shop's origins.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn origins(self, shop: &ShopId) -> Result<BTreeSet<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("select origin from origins where shop = $1")
            .bind(shop.as_str())
            .fetch_all(self.store.pool())
            .await?;
        Ok(rows.into_iter().map(|(origin,)| origin).collect())
    }
}
