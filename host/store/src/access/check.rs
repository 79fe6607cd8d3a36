//! Whether somebody is let in.

use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use sqlx::AnyConnection;

use super::text::Ticket;
use super::{LAST_USED_INTERVAL, Role};
use crate::database::milliseconds;
use crate::error::StoreError;
use crate::facades::AccessControl;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The key's id, which is no secret: for logs, and to end it.
    pub key: String,
    /// What it is for.
    pub role: Role,
    /// What people call it.
    pub label: String,
}

/// Somebody was not let in. The reason is for the log: the caller is told [`AccessError::UNAUTHORIZED_MESSAGE`], whatever it is, because whoever
/// guesses would learn from anything else. Only who holds the right secret gets another reason than [`AccessError::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such key or session, or its secret is another.
    #[error("unknown access key or session")]
    Unknown,
    /// Its time is over.
    #[error("the access key or session {0} has expired")]
    Expired(String),
    /// It was revoked.
    #[error("the access key {0} was revoked")]
    Revoked(String),
    /// It may not be used from there.
    #[error("the access key {key} was used from {}; its networks do not hold that address", from.map_or("an unknown address".to_owned(), |from| from.to_string()))]
    Address {
        /// The key.
        key: String,
        /// From where.
        from: Option<IpAddr>,
    },
    /// Nobody logs in with it: it is a server's, or stands in a page for all to read.
    #[error("the access key {key} is a key for a {role}; nobody logs in with one")]
    Role {
        /// The key.
        key: String,
        /// What it is for.
        role: &'static str,
    },
    /// It is not known: the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccessError {
    /// What a caller is told, unless the store failed.
    pub const UNAUTHORIZED_MESSAGE: &str = "this access key or session is not valid";
}

impl From<sqlx::Error> for AccessError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A key as it stands.
pub(super) struct StoredKey {
    pub(super) access: Access,
    networks: Vec<IpNet>,
    hash: String,
    previous: Option<(String, i64)>,
    expires: Option<i64>,
    revoked: Option<i64>,
    last_used: Option<i64>,
}

impl StoredKey {
    /// Is it in use, and may it be used from there?
    pub(super) fn check(&self, from: Option<IpAddr>, now: i64) -> Result<(), AccessError> {
        let key = self.access.key.clone();
        if self.revoked.is_some() {
            return Err(AccessError::Revoked(key));
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(AccessError::Expired(key));
        }
        // An address of IPv4 that came over IPv6 is the same.
        let here = from.map(|from| from.to_canonical());
        let known =
            |networks: &[IpNet]| here.is_some_and(|here| networks.iter().any(|network| network.contains(&here)));
        if !self.networks.is_empty() && !known(&self.networks) {
            return Err(AccessError::Address { key, from });
        }
        Ok(())
    }

    fn matches(&self, ticket: &Ticket, now: i64) -> bool {
        // Both are compared, whichever it is.
        let current = ticket.matches(&self.hash);
        let previous = self.previous.as_ref().is_some_and(|(hash, ends)| ticket.matches(hash) & (*ends > now));
        ticket.kind == self.access.role.name() && (current | previous)
    }
}

impl AccessControl<'_> {
    /// Whose an access key is. `from` is where it is used, as far as that is known.
    ///
    /// # Errors
    /// Why it lets nobody in.
    pub async fn access_key(self, text: &str, from: Option<IpAddr>, now: SystemTime) -> Result<Access, AccessError> {
        let ticket = Ticket::read(text).ok_or(AccessError::Unknown)?;
        let kept = self.stored_key(&mut *self.store.pool().acquire().await?, &ticket.id).await?;
        let at = milliseconds(now);
        let kept = kept.filter(|kept| kept.matches(&ticket, at)).ok_or(AccessError::Unknown)?;
        kept.check(from, at)?;
        if should_update_last_used(kept.last_used, now) {
            self.update_last_used(
                "update access_keys set last_used_at = $2 where id = $1 and coalesce(last_used_at, 0) < $2",
                &kept.access.key,
                at,
            )
            .await;
        }
        Ok(kept.access)
    }

    /// That something was used is worth knowing, and no reason to turn anybody away.
    pub(super) async fn update_last_used(self, update: &'static str, id: &str, at: i64) {
        if let Err(error) = sqlx::query(update).bind(id).bind(at).execute(self.store.pool()).await {
            tracing::warn!(id, %error, "when an access key or a session was used last could not be written");
        }
    }

    pub(super) async fn stored_key(
        self,
        connection: &mut AnyConnection,
        id: &str,
    ) -> Result<Option<StoredKey>, StoreError> {
        type Row = (
            String,
            Option<String>,
            String,
            String,
            String,
            Option<String>,
            Option<i64>,
            Option<i64>,
            Option<i64>,
            Option<i64>,
        );
        let found: Option<Row> = sqlx::query_as(
            "select role, shop, label, networks, hash, previous_hash, previous_ends_at, expires_at, revoked_at, last_used_at
             from access_keys where id = $1",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?;
        let Some((role, shop, label, networks, hash, previous, ends, expires, revoked, last_used)) = found else {
            return Ok(None);
        };
        let access = Access { key: id.to_owned(), role: Role::of(&role, shop)?, label };
        let networks = networks_of(&networks)?;
        Ok(Some(StoredKey { access, networks, hash, previous: previous.zip(ends), expires, revoked, last_used }))
    }
}

pub(super) fn should_update_last_used(last: Option<i64>, now: SystemTime) -> bool {
    last.is_none_or(|last| last <= milliseconds(now.checked_sub(LAST_USED_INTERVAL).unwrap_or(SystemTime::UNIX_EPOCH)))
}

pub(super) fn networks_of(json: &str) -> Result<Vec<IpNet>, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::corrupt("an access key's networks", error))
}
