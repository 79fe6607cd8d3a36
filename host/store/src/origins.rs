//! The origins whose pages may ask the host from a browser, for each shop.

use std::collections::BTreeSet;
use std::time::SystemTime;

use cartwright::ShopId;
use serde_json::json;

use crate::database::{Store, milliseconds};
use crate::error::StoreError;
use crate::event_log::{NewLogEntry, log_in};

impl Store {
    /// Sets a shop's origins, each as a browser spells it (`https://shop.example`), and logs who did. Nothing is checked here: an
    /// origin that no browser sends opens nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the shop is not kept, and as the database says.
    pub async fn set_origins(
        &self,
        shop: &ShopId,
        origins: &BTreeSet<String>,
        who: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.begin().await?;
        let before: Vec<(String,)> = sqlx::query_as("delete from origins where shop = $1 returning origin")
            .bind(shop.as_str())
            .fetch_all(&mut *work)
            .await?;
        let before = json!(before.into_iter().map(|(origin,)| origin).collect::<BTreeSet<_>>());
        for origin in origins {
            sqlx::query("insert into origins (shop, origin) values ($1, $2)")
                .bind(shop.as_str())
                .bind(origin)
                .execute(&mut *work)
                .await?;
        }
        let after = json!(origins);
        let entry = NewLogEntry {
            who,
            what: "set-origins",
            shop: Some(shop),
            subject: shop.as_str(),
            before: Some(&before),
            after: Some(&after),
            ..NewLogEntry::default()
        };
        log_in(&mut work, &entry, milliseconds(now)).await?;
        work.commit().await
    }

    /// A shop's origins.
    ///
    /// # Errors
    /// As the database says.
    pub async fn origins(&self, shop: &ShopId) -> Result<BTreeSet<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("select origin from origins where shop = $1")
            .bind(shop.as_str())
            .fetch_all(self.pool())
            .await?;
        Ok(rows.into_iter().map(|(origin,)| origin).collect())
    }
}
