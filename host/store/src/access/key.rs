//! Creating, listing, rotating and revoking access keys.

use std::time::{Duration, SystemTime};

use cartwright::{Secret, ShopId, check_name, timestamp};
use ipnet::IpNet;
use serde_json::{Value, json};

use super::Role;
use super::check::networks_of;
use super::text::Ticket;
use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::AccessControl;
use crate::shops::lock_shop;

/// An access key to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessKey {
    /// Role of the key.
    pub role: Role,
    /// Label for people.
    pub label: String,
    /// Networks that the key may be used from; empty = anywhere.
    pub networks: Vec<IpNet>,
    /// Time at which the key expires.
    pub expires: Option<SystemTime>,
}

/// An access key in a list, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeyInfo {
    /// Id of the key, which is not secret.
    pub id: String,
    /// Role of the key.
    pub role: Role,
    /// Label that people give the key.
    pub label: String,
    /// Networks that the key may be used from; empty = anywhere.
    pub networks: Vec<IpNet>,
    /// Time of creation.
    pub created: SystemTime,
    /// Time at which the key expires.
    pub expires: Option<SystemTime>,
    /// Time at which the key was revoked.
    pub revoked: Option<SystemTime>,
    /// Time of the last use, to the minute.
    pub last_used: Option<SystemTime>,
    /// Time until which the secret before the last rotation is valid.
    pub previous_ends: Option<SystemTime>,
}

impl AccessControl<'_> {
    /// Creates an access key, with an audit entry. Returns its id and the key, which cannot be shown again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the shop is not stored, [`StoreError::Text`] for a label that cannot be stored, or
    /// an error of the database.
    pub async fn create_access_key(
        self,
        key: &NewAccessKey,
        actor: &str,
        now: SystemTime,
    ) -> Result<(String, Secret), StoreError> {
        let NewAccessKey { role, label, networks, expires } = key;
        check_name(label).map_err(|fault| StoreError::Text { what: "label", fault })?;
        let ticket = Ticket::new(role.name())?;
        let mut work = self.store.begin().await?;
        if let Some(shop) = role.shop() {
            lock_shop(&mut work, shop).await?;
        }
        sqlx::query(
            "insert into access_keys (id, role, shop, label, networks, hash, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&ticket.id)
        .bind(role.name())
        .bind(role.shop().map(ShopId::as_str))
        .bind(label)
        .bind(json!(networks).to_string())
        .bind(ticket.hash())
        .bind(milliseconds(now))
        .bind(expires.map(milliseconds))
        .execute(&mut *work)
        .await?;
        let ends = expires.map(at);
        let after = json!({ "role": role.name(), "label": label, "networks": networks, "expires": ends });
        let entry = NewAuditEntry {
            actor,
            action: "create-access-key",
            shop: role.shop(),
            subject: &ticket.id,
            after: Some(&after),
            ..NewAuditEntry::default()
        };
        work.commit_audited(&entry, now).await?;
        let text = ticket.reveal();
        Ok((ticket.id, text))
    }

    /// Returns at most `limit` access keys after the one with this id, oldest first and including revoked ones: those
    /// of a shop, or all. Keys for every shop belong to no shop.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn access_keys(
        self,
        shop: Option<&ShopId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AccessKeyInfo>, StoreError> {
        type Row =
            (String, String, Option<String>, String, String, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(
            "select id, role, shop, label, networks, created_at, expires_at, revoked_at, last_used_at, previous_ends_at
             from access_keys where (shop = $1 or $1 is null)
             and ($2 is null or (created_at, id) > (select created_at, id from access_keys where id = $2))
             order by created_at, id limit $3",
        )
        .bind(shop.map(ShopId::as_str))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.store.pool())
        .await?;
        let rows = rows.into_iter().map(
            |(id, role, shop, label, networks, created, expires, revoked, last_used, previous_ends)| {
                Ok(AccessKeyInfo {
                    id,
                    role: Role::of(&role, shop)?,
                    label,
                    networks: networks_of(&networks)?,
                    created: system_time(created),
                    expires: expires.map(system_time),
                    revoked: revoked.map(system_time),
                    last_used: last_used.map(system_time),
                    previous_ends: previous_ends.map(system_time),
                })
            },
        );
        rows.collect()
    }

    /// Revokes an access key and ends its sessions at once, with an audit entry. Revoking a key again changes nothing.
    /// `shop` is the shop that the key must belong to, or `None` for any key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such key, or an error of the database.
    pub async fn revoke_access_key(
        self,
        shop: Option<&ShopId>,
        id: &str,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        let of = lock(&mut work, shop, id).await?;
        let before = audit_value(&mut work, id).await?;
        sqlx::query("update access_keys set revoked_at = coalesce(revoked_at, $2) where id = $1")
            .bind(id)
            .bind(milliseconds(now))
            .execute(&mut *work)
            .await?;
        end_sessions(&mut work, id).await?;
        let (shop, after) = (of.shop(), audit_value(&mut work, id).await?);
        let (before, after) = (Some(&before), Some(&after));
        let entry =
            NewAuditEntry { actor, action: "revoke-access-key", shop, subject: id, before, after, secrets: &[] };
        work.commit_audited(&entry, now).await
    }

    /// Gives an access key a new secret, with an audit entry. The new key cannot be shown again. The previous one stays
    /// valid for the time `both`, so that the new one can be distributed. Sessions of the key end. `shop` is the shop
    /// that the key must belong to, or `None` for any key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such key, [`StoreError::Conflict`] if it was revoked, or an error of the
    /// database.
    pub async fn rotate_access_key(
        self,
        shop: Option<&ShopId>,
        id: &str,
        both: Duration,
        actor: &str,
        now: SystemTime,
    ) -> Result<Secret, StoreError> {
        let mut work = self.store.begin().await?;
        let role = lock(&mut work, shop, id).await?;
        let before = audit_value(&mut work, id).await?;
        let ticket = Ticket::renewed(role.name(), id)?;
        let changed = sqlx::query(
            "update access_keys set previous_hash = hash, previous_ends_at = $3, hash = $2
             where id = $1 and revoked_at is null",
        )
        .bind(id)
        .bind(ticket.hash())
        .bind(milliseconds(now + both))
        .execute(&mut *work)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::Conflict(format!("the access key {id} was revoked; create another")));
        }
        end_sessions(&mut work, id).await?;
        let after = audit_value(&mut work, id).await?;
        let (what, shop) = ("rotate-access-key", role.shop());
        let entry = NewAuditEntry {
            actor,
            action: what,
            shop,
            subject: id,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await?;
        Ok(ticket.reveal())
    }
}

/// Locks a key's row until the transaction ends.
async fn lock(work: &mut WriteTransaction, shop: Option<&ShopId>, id: &str) -> Result<Role, StoreError> {
    let found: Option<(String, Option<String>)> = sqlx::query_as(
        "update access_keys set id = id where id = $1 and (shop = $2 or $2 is null) returning role, shop",
    )
    .bind(id)
    .bind(shop.map(ShopId::as_str))
    .fetch_optional(&mut **work)
    .await?;
    let (role, shop) = found.ok_or_else(|| StoreError::NotFound { what: "access key", id: id.to_owned() })?;
    Role::of(&role, shop)
}

/// Returns the audit value of a key whose row is locked: when it was revoked, and when its previous secret expires.
async fn audit_value(work: &mut WriteTransaction, id: &str) -> Result<Value, StoreError> {
    let (label, revoked, former): (String, Option<i64>, Option<i64>) =
        sqlx::query_as("select label, revoked_at, previous_ends_at from access_keys where id = $1")
            .bind(id)
            .fetch_one(&mut **work)
            .await?;
    let time = |time: Option<i64>| time.map(|time| timestamp(system_time(time)));
    Ok(json!({ "label": label, "revoked": time(revoked), "former key ends": time(former) }))
}

async fn end_sessions(work: &mut WriteTransaction, key: &str) -> Result<(), StoreError> {
    sqlx::query("delete from sessions where access_key = $1").bind(key).execute(&mut **work).await?;
    Ok(())
}
