//! Setting a host up from what is kept: when it starts, and when another node changed something.

use std::collections::{BTreeMap, BTreeSet};

use cartwright::{Cartwright, Digest, ShopId, ShopSnapshot};

use crate::database::Store;
use crate::error::StoreError;

/// What a host was given of what is kept.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// Everything up to this tick; none = nothing yet.
    tick: Option<i64>,
    /// The tick of each shop's last change.
    pub(crate) shops: BTreeMap<ShopId, i64>,
}

/// Something that is kept and cannot be used as it is. Everything else was restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} was not restored: {why}")]
pub struct NotRestored {
    /// The component or the shop.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl Store {
    /// Installs every kept component that the host does not have, and puts every kept shop in its place. What cannot be used is
    /// returned and logged, and does not keep the rest from being served. A node that others work beside uses
    /// [`Installation`](crate::Installation), which goes on reading what they change.
    ///
    /// # Errors
    /// As the database says; call it again.
    pub async fn restore(&self, host: &Cartwright) -> Result<Vec<NotRestored>, StoreError> {
        let mut served = Served::default();
        self.restore_changed(host, &mut served).await
    }

    /// The same for what changed since `served` was read, which is brought up to date.
    pub(crate) async fn restore_changed(
        &self,
        host: &Cartwright,
        served: &mut Served,
    ) -> Result<Vec<NotRestored>, StoreError> {
        let (tick,): (i64,) = sqlx::query_as("select tick from setup_clock").fetch_one(self.pool()).await?;
        if served.tick == Some(tick) {
            return Ok(Vec::new());
        }
        let since = served.tick.unwrap_or(-1);
        let mut faults = self.restore_components(host, since).await?;
        let changed: Vec<(String,)> = sqlx::query_as("select id from shops where changed_tick > $1 order by id")
            .bind(since)
            .fetch_all(self.pool())
            .await?;
        for (id,) in changed {
            let id: ShopId = id.parse().map_err(|error| StoreError::corrupt("a shop's id", error))?;
            let restored = match self.read_shop(&id).await {
                Ok((snapshot, tick)) => host.restore(snapshot).await.map(|()| tick).map_err(|error| error.to_string()),
                // One shop's damage is not the others'.
                Err(error @ (StoreError::Corrupt(_) | StoreError::WrongKey { .. })) => Err(error.to_string()),
                Err(error) => return Err(error),
            };
            match restored {
                Ok(tick) => drop(served.shops.insert(id, tick)),
                // What it serves by now is not what is kept: nothing may be changed from here.
                Err(why) => {
                    served.shops.remove(&id);
                    faults.push(fault(format!("the shop {id}"), why));
                }
            }
        }
        served.tick = Some(tick);
        Ok(faults)
    }

    async fn restore_components(&self, host: &Cartwright, since: i64) -> Result<Vec<NotRestored>, StoreError> {
        let mut faults = Vec::new();
        let components = self.components_since(since).await?;
        let installed: BTreeSet<Digest> = host.installed().iter().map(|plugin| plugin.digest()).collect();
        for component in &components {
            if installed.contains(&component.digest) {
                continue;
            }
            let name = format!("the component {} ({} {})", component.digest, component.plugin, component.version);
            match self.component(&component.digest).await {
                Ok(Some(bytes)) => {
                    if let Err(error) = host.install(&bytes, Some(component.digest)).await {
                        faults.push(fault(name, error.to_string()));
                    }
                }
                Ok(None) => faults.push(fault(name, "its bytes are gone".to_owned())),
                Err(error @ StoreError::Corrupt(_)) => faults.push(fault(name, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        // In the order in which they were revoked: a replacement may have been revoked later.
        let mut revoked: Vec<_> = components.iter().filter(|component| component.revoked.is_some()).collect();
        revoked.sort_by_key(|component| component.revoked);
        for component in revoked {
            if let Err(error) = host.revoke(component.digest, component.replacement) {
                let what = format!("that the component {} is revoked", component.digest);
                faults.push(fault(what, error.to_string()));
            }
        }
        Ok(faults)
    }

    /// A shop as it is kept at one moment, and the tick of its last change.
    async fn read_shop(&self, id: &ShopId) -> Result<(ShopSnapshot, i64), StoreError> {
        let mut reading = self.begin_reading().await?;
        let (tick,): (i64,) = sqlx::query_as("select changed_tick from shops where id = $1")
            .bind(id.as_str())
            .fetch_one(&mut *reading)
            .await?;
        let shop = self.read_shops(&mut reading, Some(id)).await?.into_iter().next();
        let shop = shop.ok_or_else(|| StoreError::NotFound { what: "shop", id: id.to_string() })?;
        let accounts = self.read_accounts(&mut reading, id).await?;
        let links = self.read_links(&mut reading, id).await?;
        reading.rollback().await?;
        let (present, past): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.present);
        let (links, past_links) = [present, past].map(|links| links.into_iter().map(|kept| kept.link).collect()).into();
        Ok((ShopSnapshot { shop, accounts, links, past_links }, tick))
    }
}

fn fault(what: String, why: String) -> NotRestored {
    tracing::error!(what, why, "not restored");
    NotRestored { what, why }
}
