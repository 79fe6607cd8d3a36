//! The subjects of the [`Store`]. Each has a type of its own, which borrows the store and costs nothing to create.
//!
//! The methods are in the modules of their subjects. What all of them use, such as transactions and keys, belongs to
//! the store.

use crate::database::Store;

/// Orders, their events and their webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Orders<'s> {
    pub(crate) store: &'s Store,
}

/// Outcomes of orders.
#[derive(Debug, Clone, Copy)]
pub struct Outcomes<'s> {
    pub(crate) store: &'s Store,
}

/// Documents of orders, and the signed URLs at which they are served.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'s> {
    pub(crate) store: &'s Store,
}

/// Export and erasure of the personal data of an order or a customer.
#[derive(Debug, Clone, Copy)]
pub struct PersonalData<'s> {
    pub(crate) store: &'s Store,
}

/// Jobs: claimed and finished by workers, listed, cancelled and retried by people.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'s> {
    pub(crate) store: &'s Store,
}

/// Webhook URLs, failed webhook deliveries, and the outcomes and pushed settings of accounts.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'s> {
    pub(crate) store: &'s Store,
}

/// Feeds of accounts whose vendors are polled.
#[derive(Debug, Clone, Copy)]
pub struct Feeds<'s> {
    pub(crate) store: &'s Store,
}

/// Notifications to platforms, and the endpoints that receive them.
#[derive(Debug, Clone, Copy)]
pub struct Notifications<'s> {
    pub(crate) store: &'s Store,
}

/// Quotes and the merchants' offers.
#[derive(Debug, Clone, Copy)]
pub struct Quotes<'s> {
    pub(crate) store: &'s Store,
}

/// Shops with their accounts, product links and allowed origins.
#[derive(Debug, Clone, Copy)]
pub struct Shops<'s> {
    pub(crate) store: &'s Store,
}

/// Components of plugin versions.
#[derive(Debug, Clone, Copy)]
pub struct Components<'s> {
    pub(crate) store: &'s Store,
}

/// Catalogs that platforms push: variants with their prices, and exchange rates.
#[derive(Debug, Clone, Copy)]
pub struct StoredCatalog<'s> {
    pub(crate) store: &'s Store,
}

/// Blobs and their quota.
#[derive(Debug, Clone, Copy)]
pub struct StoredBlobs<'s> {
    pub(crate) store: &'s Store,
}

/// Access keys and sessions.
#[derive(Debug, Clone, Copy)]
pub struct AccessControl<'s> {
    pub(crate) store: &'s Store,
}

/// The audit log.
#[derive(Debug, Clone, Copy)]
pub struct AuditLog<'s> {
    pub(crate) store: &'s Store,
}

/// Idempotency keys and the responses that they repeat.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyKeys<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// Orders, their events and their webhooks.
    pub fn orders(&self) -> Orders<'_> {
        Orders { store: self }
    }

    /// Outcomes of orders.
    pub fn outcomes(&self) -> Outcomes<'_> {
        Outcomes { store: self }
    }

    /// Documents of orders.
    pub fn documents(&self) -> Documents<'_> {
        Documents { store: self }
    }

    /// Export and erasure of personal data.
    pub fn personal_data(&self) -> PersonalData<'_> {
        PersonalData { store: self }
    }

    /// Jobs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { store: self }
    }

    /// Webhooks, and what they tell of accounts.
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { store: self }
    }

    /// Feeds of accounts.
    pub fn feeds(&self) -> Feeds<'_> {
        Feeds { store: self }
    }

    /// Notifications to platforms.
    pub fn notifications(&self) -> Notifications<'_> {
        Notifications { store: self }
    }

    /// Quotes.
    pub fn quotes(&self) -> Quotes<'_> {
        Quotes { store: self }
    }

    /// Shops with their accounts, product links and allowed origins.
    pub fn shops(&self) -> Shops<'_> {
        Shops { store: self }
    }

    /// Components of plugin versions.
    pub fn components(&self) -> Components<'_> {
        Components { store: self }
    }

    /// Catalogs that platforms push.
    pub fn catalog(&self) -> StoredCatalog<'_> {
        StoredCatalog { store: self }
    }

    /// Blobs and their quota.
    pub fn blobs(&self) -> StoredBlobs<'_> {
        StoredBlobs { store: self }
    }

    /// Access keys and sessions.
    pub fn access(&self) -> AccessControl<'_> {
        AccessControl { store: self }
    }

    /// The audit log.
    pub fn audit(&self) -> AuditLog<'_> {
        AuditLog { store: self }
    }

    /// Idempotency keys.
    pub fn idempotency(&self) -> IdempotencyKeys<'_> {
        IdempotencyKeys { store: self }
    }
}
