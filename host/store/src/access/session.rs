//! Sessions: the credential of a browser after it logged in with an access key.
//!
//! A session ends with its key, when it was not used for [`SESSION_IDLE_TIMEOUT`], and [`MAX_SESSION_AGE`] after it
//! began.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use cartwright::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Role;
use super::check::{Access, AccessError, should_update_last_used};
use super::text::{Ticket, same};
use crate::audit_log::NewAuditEntry;
use crate::database::milliseconds;
use crate::error::StoreError;
use crate::facades::AccessControl;

/// Time after which an unused session ends. A working day with its breaks is one session.
pub const SESSION_IDLE_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
/// Maximum age of a session, however much it is used.
pub const MAX_SESSION_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

const TOKEN_KIND: &str = "session";

/// A valid session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Identity of the person who logged in.
    pub access: Access,
    csrf: String,
}

impl Session {
    /// Returns the CSRF token that forms contain, so that no other site's page can send them. It is constant for a
    /// session, and reveals nothing of the session's secret.
    pub fn csrf_token(&self) -> &str {
        &self.csrf
    }

    /// Returns whether this is the CSRF token of the session. Compared in constant time.
    pub fn is_csrf_token(&self, text: &str) -> bool {
        same(&self.csrf, text)
    }
}

impl AccessControl<'_> {
    /// Begins a session for a person who has shown the access key with this id, with an audit entry. Returns the
    /// session's text, for a cookie that scripts cannot read.
    ///
    /// # Errors
    /// Why the key is not valid; [`AccessError::Role`] if its role is neither integrator nor admin.
    pub async fn begin_session(self, key: &str, from: Option<IpAddr>, now: SystemTime) -> Result<Secret, AccessError> {
        let ticket = Ticket::new(TOKEN_KIND)?;
        let mut work = self.store.begin().await?;
        // Locked, so that the key is not revoked in the meantime.
        sqlx::query("update access_keys set id = id where id = $1").bind(key).execute(&mut *work).await?;
        let kept = self.stored_key(&mut work, key).await?.ok_or(AccessError::Unknown)?;
        if !matches!(kept.access.role, Role::Integrator { .. } | Role::Admin) {
            return Err(AccessError::Role { key: key.to_owned(), role: kept.access.role.name() });
        }
        kept.check(from, milliseconds(now))?;
        sqlx::query(
            "insert into sessions (id, hash, access_key, started_at, last_used_at) values ($1, $2, $3, $4, $4)",
        )
        .bind(&ticket.id)
        .bind(ticket.hash())
        .bind(key)
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        let (actor, shop) = (kept.access.label.as_str(), kept.access.role.shop());
        let entry = NewAuditEntry { actor, action: "begin-session", shop, subject: key, ..NewAuditEntry::default() };
        work.commit_audited(&entry, now).await?;
        Ok(ticket.reveal())
    }

    /// Authenticates a session. `from` is the client's address; the networks of the key apply to it too.
    ///
    /// # Errors
    /// Why the session is not valid.
    pub async fn session(self, text: &str, from: Option<IpAddr>, now: SystemTime) -> Result<Session, AccessError> {
        let ticket = Ticket::read(text).filter(|ticket| ticket.kind == TOKEN_KIND).ok_or(AccessError::Unknown)?;
        let mut connection = self.store.pool().acquire().await?;
        let found: Option<(String, String, i64, i64)> =
            sqlx::query_as("select hash, access_key, started_at, last_used_at from sessions where id = $1")
                .bind(&ticket.id)
                .fetch_optional(&mut *connection)
                .await?;
        let (_, key, begun, seen) = found.filter(|(hash, ..)| ticket.matches(hash)).ok_or(AccessError::Unknown)?;
        let (idle, old) = expiry_limits(now);
        if seen <= idle || begun <= old {
            return Err(AccessError::Expired(ticket.id));
        }
        let kept = self.stored_key(&mut connection, &key).await?.ok_or(AccessError::Unknown)?;
        kept.check(from, milliseconds(now))?;
        drop(connection);
        if should_update_last_used(Some(seen), now) {
            let update = "update sessions set last_used_at = $2 where id = $1 and last_used_at < $2";
            self.update_last_used(update, &ticket.id, milliseconds(now)).await;
        }
        Ok(Session { access: kept.access, csrf: csrf(&ticket)? })
    }

    /// Ends a session, with an audit entry. An invalid or expired session is ignored.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn end_session(self, text: &str, now: SystemTime) -> Result<(), StoreError> {
        let Some(ticket) = Ticket::read(text).filter(|ticket| ticket.kind == TOKEN_KIND) else { return Ok(()) };
        let mut work = self.store.begin().await?;
        let ended: Option<(String,)> =
            sqlx::query_as("delete from sessions where id = $1 and hash = $2 returning access_key")
                .bind(&ticket.id)
                .bind(ticket.hash())
                .fetch_optional(&mut *work)
                .await?;
        let Some((key,)) = ended else { return Ok(()) };
        let kept = self.stored_key(&mut work, &key).await?;
        let kept = kept.ok_or_else(|| StoreError::NotFound { what: "access key", id: key.clone() })?;
        let (actor, shop) = (kept.access.label.as_str(), kept.access.role.shop());
        let entry = NewAuditEntry { actor, action: "end-session", shop, subject: &key, ..NewAuditEntry::default() };
        work.commit_audited(&entry, now).await
    }

    pub(crate) async fn sweep_sessions(self, now: SystemTime) -> Result<u64, StoreError> {
        let (idle, old) = expiry_limits(now);
        let swept =
            sqlx::query("delete from sessions where last_used_at <= $1 or started_at <= $2").bind(idle).bind(old);
        Ok(swept.execute(self.store.pool()).await?.rows_affected())
    }
}

/// Returns two limits: a session last used before the first, or begun before the second, has expired.
fn expiry_limits(now: SystemTime) -> (i64, i64) {
    let before = |max_age: Duration| milliseconds(now.checked_sub(max_age).unwrap_or(SystemTime::UNIX_EPOCH));
    (before(SESSION_IDLE_TIMEOUT), before(MAX_SESSION_AGE))
}

/// Derives the CSRF token from the session's secret, which is not stored; so the token is not either.
fn csrf(ticket: &Ticket) -> Result<String, StoreError> {
    let mac = Hmac::<Sha256>::new_from_slice(ticket.secret.as_bytes())
        .map_err(|error| StoreError::Unusable(format!("a session's form token: {error}")))?;
    Ok(hex::encode(mac.chain_update(b"cartwright csrf token").finalize().into_bytes()))
}
