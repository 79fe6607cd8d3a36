//! Who may ask what over HTTP: access keys, and the sessions of people who log in with one.

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

/// When a key or a session was used is written at most so often.
const LAST_USED_INTERVAL: Duration = Duration::from_secs(60);

/// What a key is for, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Role {
    /// A shop's pages: what a browser may ask. Everybody can read such a key.
    Storefront {
        /// The shop.
        shop: ShopId,
    },
    /// The platform's server: orders and prices.
    Backend {
        /// Its shop; none = every shop.
        shop: Option<ShopId>,
    },
    /// Who sets a shop up.
    Integrator {
        /// The shop.
        shop: ShopId,
    },
    /// Who runs the installation.
    Admin,
}

impl Role {
    /// Its name, as a key's text holds it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Storefront { .. } => "storefront",
            Self::Backend { .. } => "backend",
            Self::Integrator { .. } => "integrator",
            Self::Admin => "admin",
        }
    }

    /// The shop that it is bound to; none = every shop.
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
