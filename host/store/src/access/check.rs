//! Authentication of access keys and sessions.

use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use sqlx::AnyConnection;

use super::text::Ticket;
use super::{LAST_USED_INTERVAL, Role};
use crate::database::milliseconds;
use crate::error::StoreError;
use crate::facades::AccessControl;

/// The identity behind a valid access key or session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Id of the key, which is not secret: for logs, and to revoke the key.
    pub key: String,
    /// Role of the key.
    pub role: Role,
    /// Label that people give the key.
    pub label: String,
}

/// Why an access key or session is not valid. The reason is for the log: the caller always gets
/// [`AccessError::UNAUTHORIZED_MESSAGE`], because anything else would help a guesser. Only a caller with the right
/// secret causes another reason than [`AccessError::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such key or session, or the secret is wrong.
    #[error("unknown access key or session")]
    Unknown,
    /// The key or session has expired.
    #[error("the access key or session {0} has expired")]
    Expired(String),
    /// The key was revoked.
    #[error("the access key {0} was revoked")]
    Revoked(String),
    /// The key may not be used from this address.
    #[error("the access key {key} was used from {}; its networks do not contain that address", from.map_or("an unknown address".to_owned(), |from| from.to_string()))]
    Address {
        /// Id of the key.
        key: String,
        /// Client address, if it is known.
        from: Option<IpAddr>,
    },
    /// The role may not log in: the key is a server's, or public in a page.
    #[error("the access key {key} has the role {role}, which cannot log in")]
    Role {
        /// Id of the key.
        key: String,
        /// Role of the key.
        role: &'static str,
    },
    /// The store failed, so that the key could not be checked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccessError {
    /// Message for the caller, unless the store failed.
    pub const UNAUTHORIZED_MESSAGE: &str = "this access key or session is not valid";
}

impl From<sqlx::Error> for AccessError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The stored part of a key.
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
    /// Checks that the key is in use, and may be used from this address.
    pub(super) fn check(&self, from: Option<IpAddr>, now: i64) -> Result<(), AccessError> {
        let key = self.access.key.clone();
        if self.revoked.is_some() {
            return Err(AccessError::Revoked(key));
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(AccessError::Expired(key));
        }
        // An IPv4 address that arrived over IPv6 is the same address.
        let here = from.map(|from| from.to_canonical());
        let known =
            |networks: &[IpNet]| here.is_some_and(|here| networks.iter().any(|network| network.contains(&here)));
        if !self.networks.is_empty() && !known(&self.networks) {
            return Err(AccessError::Address { key, from });
        }
        Ok(())
    }

    fn matches(&self, ticket: &Ticket, now: i64) -> bool {
        // Both hashes are always compared, to take the same time.
        let current = ticket.matches(&self.hash);
        let previous = self.previous.as_ref().is_some_and(|(hash, ends)| ticket.matches(hash) & (*ends > now));
        ticket.kind == self.access.role.name() && (current | previous)
    }
}

impl AccessControl<'_> {
    /// Authenticates an access key. `from` is the client's address, if it is known.
    ///
    /// # Errors
    /// Why the key is not valid.
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

    /// Records the last use. A failure is logged only: it is no reason to refuse the request.
    pub(super) async fn update_last_used(self, update: &'static str, id: &str, at: i64) {
        if let Err(error) = sqlx::query(update).bind(id).bind(at).execute(self.store.pool()).await {
            tracing::warn!(id, %error, "cannot store the last use of an access key or a session");
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
