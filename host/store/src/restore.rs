//! Setting a host up from what is kept: when it starts, and when another node changed something.

use std::collections::BTreeSet;

use cartwright::{Cartwright, Digest, Shop, ShopSnapshot};

use crate::database::Store;
use crate::error::StoreError;

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
    /// returned and logged, and does not keep the rest from being served.
    ///
    /// # Errors
    /// As the database says; call it again.
    pub async fn restore(&self, host: &Cartwright) -> Result<Vec<NotRestored>, StoreError> {
        let mut faults = Vec::new();
        let mut fault = |what: String, why: String| {
            tracing::error!(what, why, "not restored");
            faults.push(NotRestored { what, why });
        };
        let components = self.components().await?;
        let installed: BTreeSet<Digest> = host.installed().iter().map(|plugin| plugin.digest()).collect();
        for component in &components {
            if installed.contains(&component.digest) {
                continue;
            }
            let name = format!("the component {} ({} {})", component.digest, component.plugin, component.version);
            match self.component(&component.digest).await {
                Ok(Some(bytes)) => {
                    if let Err(error) = host.install(&bytes, Some(component.digest)).await {
                        fault(name, error.to_string());
                    }
                }
                Ok(None) => fault(name, "its bytes are gone".to_owned()),
                Err(error @ StoreError::Corrupt(_)) => fault(name, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        // In the order in which they were revoked: a replacement may have been revoked later.
        let mut revoked: Vec<_> = components.iter().filter(|component| component.revoked.is_some()).collect();
        revoked.sort_by_key(|component| component.revoked);
        for component in revoked {
            if let Err(error) = host.revoke(component.digest, component.replacement) {
                fault(format!("that the component {} is revoked", component.digest), error.to_string());
            }
        }
        for shop in self.shops().await? {
            let name = format!("the shop {}", shop.id);
            let snapshot = self.snapshot(shop).await?;
            if let Err(error) = host.restore(snapshot).await {
                fault(name, error.to_string());
            }
        }
        Ok(faults)
    }

    async fn snapshot(&self, shop: Shop) -> Result<ShopSnapshot, StoreError> {
        let accounts = self.accounts(&shop.id).await?;
        let (present, past): (Vec<_>, Vec<_>) = self.links(&shop.id).await?.into_iter().partition(|link| link.present);
        let (links, past_links) = [present, past].map(|links| links.into_iter().map(|kept| kept.link).collect()).into();
        Ok(ShopSnapshot { shop, accounts, links, past_links })
    }
}
