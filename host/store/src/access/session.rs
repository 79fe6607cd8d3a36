//! Sessions: what a browser holds in the place of an access key.
//!
//! A session ends with its key, when it was not used for [`SESSION_IDLE_TIMEOUT`], and [`MAX_SESSION_AGE`] after it began.

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
use crate::vault::to_hex;

/// A session that is not used for so long ends: a working day with its breaks is one session.
pub const SESSION_IDLE_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
/// A session ends so long after it began, however much it is used.
pub const MAX_SESSION_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

const TOKEN_KIND: &str = "session";

/// Somebody is logged in.
#[derive(Debug, Clone)]
pub struct Session {
    /// As whom.
    pub access: Access,
    csrf: String,
}

impl Session {
    /// What a form holds, so that no other site's page can send it. Of one session it is always the same, and it gives nothing of
    /// the session away.
    pub fn csrf_token(&self) -> &str {
        &self.csrf
    }

    /// Did a form of this session's pages hold this? Compared in constant time.
    pub fn is_csrf_token(&self, text: &str) -> bool {
        same(&self.csrf, text)
    }
}

impl AccessControl<'_> {
    /// Logs somebody in who has shown the access key of this id, and logs it. Gives the session's text, for a cookie that scripts
    /// cannot read.
    ///
    /// # Errors
    /// Why it lets nobody in; [`AccessError::Role`] for a key that is neither an integrator's nor an admin's.
    pub async fn begin_session(self, key: &str, from: Option<IpAddr>, now: SystemTime) -> Result<Secret, AccessError> {
        let ticket = Ticket::new(TOKEN_KIND)?;
        let mut work = self.store.begin().await?;
        // Nobody revokes it meanwhile.
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
        let entry = NewAuditEntry { actor, what: "begin-session", shop, subject: key, ..NewAuditEntry::default() };
        work.commit_audited(&entry, now).await?;
        Ok(ticket.reveal())
    }

    /// Who is logged in. `from` is where the session is used: its key's networks hold for it too.
    ///
    /// # Errors
    /// Why it lets nobody in.
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

    /// Logs somebody out. What is no session, or one no more, is out already.
    ///
    /// # Errors
    /// As the database says.
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
        let entry = NewAuditEntry { actor, what: "end-session", shop, subject: &key, ..NewAuditEntry::default() };
        work.commit_audited(&entry, now).await
    }

    pub(crate) async fn sweep_sessions(self, now: SystemTime) -> Result<u64, StoreError> {
        let (idle, old) = expiry_limits(now);
        let swept =
            sqlx::query("delete from sessions where last_used_at <= $1 or started_at <= $2").bind(idle).bind(old);
        Ok(swept.execute(self.store.pool()).await?.rows_affected())
    }
}

/// What was used last before the first, or began before the second, has ended.
fn expiry_limits(now: SystemTime) -> (i64, i64) {
    let before = |kept: Duration| milliseconds(now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH));
    (before(SESSION_IDLE_TIMEOUT), before(MAX_SESSION_AGE))
}

/// Made of the session's secret, which stands nowhere: neither does this.
fn csrf(ticket: &Ticket) -> Result<String, StoreError> {
    let mac = Hmac::<Sha256>::new_from_slice(ticket.secret.as_bytes())
        .map_err(|error| StoreError::Unusable(format!("a session's form token: {error}")))?;
    Ok(to_hex(&mac.chain_update(b"cartwright csrf token").finalize().into_bytes()))
}
