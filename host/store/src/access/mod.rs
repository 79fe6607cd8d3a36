//! Authentication and roles over HTTP: access keys, and the sessions of people who log in with one.

mod check;
mod key;
mod session;
mod text;

pub use check::{Access, AccessError};
pub use key::{AccessKeyInfo, NewAccessKey};
pub use session::{MAX_SESSION_AGE, SESSION_IDLE_TIMEOUT, Session};

use std::fmt;
use std::time::Duration;

use cartwright::ShopId;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// Minimum time between two updates of the last use of a key or session.
const LAST_USED_INTERVAL: Duration = Duration::from_secs(60);

/// The role of a key, with its shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Role {
    /// The pages of a shop, from which a browser sends requests. Such a key is public.
    Storefront {
        /// Shop of the key.
        shop: ShopId,
    },
    /// The platform's server: it reports orders and asks for prices.
    Backend {
        /// Shop of the key; `None` = every shop.
        shop: Option<ShopId>,
    },
    /// An integrator, who sets up a shop.
    Integrator {
        /// Shop of the key.
        shop: ShopId,
    },
    /// The operator, who runs the installation.
    Admin,
}

impl Role {
    /// Returns the name of the role, as the text of a key contains it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Storefront { .. } => "storefront",
            Self::Backend { .. } => "backend",
            Self::Integrator { .. } => "integrator",
            Self::Admin => "admin",
        }
    }

    /// Returns the shop that the key is bound to, or `None` if it is valid for every shop.
    pub fn shop(&self) -> Option<&ShopId> {
        match self {
            Self::Storefront { shop } | Self::Integrator { shop } => Some(shop),
            Self::Backend { shop } => shop.as_ref(),
            Self::Admin => None,
        }
    }

    fn of(name: &str, shop: Option<String>) -> Result<Self, StoreError> {
        let damaged = |error: &dyn fmt::Display| StoreError::corrupt("an access key's role", error);
        let shop = shop.map(|shop| shop.parse::<ShopId>()).transpose().map_err(|error| damaged(&error))?;
        match (name, shop) {
            ("storefront", Some(shop)) => Ok(Self::Storefront { shop }),
            ("backend", shop) => Ok(Self::Backend { shop }),
            ("integrator", Some(shop)) => Ok(Self::Integrator { shop }),
            ("admin", None) => Ok(Self::Admin),
            (name, shop) => Err(damaged(&format!("{name} of the shop {shop:?}"))),
        }
    }
}
