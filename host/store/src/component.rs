//! Installed components with their bytes, so that another node needs nothing else.

use std::time::SystemTime;

use cartwright::{Digest, PluginId};
use sqlx::AnyConnection;

use crate::database::{milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Components;
use crate::restore_failure::RestoreFailure;
use crate::shops::change_number;

/// An installed component without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredComponent {
    /// Digest that identifies the component.
    pub digest: Digest,
    /// Plugin that the component is a version of.
    pub plugin: PluginId,
    /// Version that the plugin states.
    pub version: String,
    /// Time of the first installation.
    pub installed: SystemTime,
    /// Time at which the version was revoked.
    pub revoked: Option<SystemTime>,
    /// Version that serves what is pinned to the revoked one.
    pub replacement: Option<Digest>,
}

impl Components<'_> {
    /// Stores a component and returns its digest. Storing it again changes nothing.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn save(
        self,
        plugin: &PluginId,
        version: &str,
        bytes: &[u8],
        now: SystemTime,
    ) -> Result<Digest, StoreError> {
        let mut work = self.store.begin().await?;
        let digest = self.save_in(&mut work, plugin, version, bytes, now).await?.0;
        work.commit().await?;
        Ok(digest)
    }

    /// Stores a component. Returns its digest, and whether it is new.
    pub(crate) async fn save_in(
        self,
        connection: &mut AnyConnection,
        plugin: &PluginId,
        version: &str,
        bytes: &[u8],
        now: SystemTime,
    ) -> Result<(Digest, bool), StoreError> {
        let digest = Digest::of(bytes);
        let change_number = change_number(connection).await?;
        let saved = sqlx::query(
            "insert into components (digest, plugin, version, bytes, installed_at, change_number)
             values ($1, $2, $3, $4, $5, $6) on conflict (digest) do nothing",
        )
        .bind(digest.to_string())
        .bind(plugin.as_str())
        .bind(version)
        .bind(bytes)
        .bind(milliseconds(now))
        .bind(change_number)
        .execute(connection)
        .await?;
        Ok((digest, saved.rows_affected() == 1))
    }

    /// Returns all components, in the sequence of their installation. A damaged row is logged, and does not hide
    /// others.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn list(self) -> Result<Vec<StoredComponent>, StoreError> {
        Ok(self.readable(-1).await?.0)
    }

    /// Returns the components that were installed or revoked after this change number, and errors of the rows that
    /// cannot be read.
    pub(crate) async fn readable(
        self,
        change_number: i64,
    ) -> Result<(Vec<StoredComponent>, Vec<RestoreFailure>), StoreError> {
        type Row = (String, String, String, i64, Option<i64>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "select digest, plugin, version, installed_at, revoked_at, replacement from components
             where change_number > $1 order by installed_at, digest",
        )
        .bind(change_number)
        .fetch_all(self.store.pool())
        .await?;
        let read = |(digest, plugin, version, installed, revoked, replacement): Row| {
            Ok::<_, StoreError>(StoredComponent {
                plugin: plugin.parse().map_err(|error| StoreError::corrupt(&digest, error))?,
                version,
                installed: system_time(installed),
                revoked: revoked.map(system_time),
                replacement: replacement
                    .map(|replacement| replacement.parse())
                    .transpose()
                    .map_err(|error| StoreError::corrupt(&digest, error))?,
                digest: digest.parse().map_err(|error| StoreError::corrupt("a component's digest", error))?,
            })
        };
        let (mut components, mut faults) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let name = format!("the component {} ({} {})", row.0, row.1, row.2);
            match read(row) {
                Ok(component) => components.push(component),
                Err(error) => faults.push(RestoreFailure::log(name, error.to_string())),
            }
        }
        Ok((components, faults))
    }

    /// Returns a component's bytes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the bytes do not match the digest, because they would be run.
    pub async fn get(self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let found: Option<(Vec<u8>,)> = sqlx::query_as("select bytes from components where digest = $1")
            .bind(digest.to_string())
            .fetch_optional(self.store.pool())
            .await?;
        match found {
            Some((bytes,)) if Digest::of(&bytes) != *digest => {
                Err(StoreError::Corrupt(format!("the component {digest} has other bytes than its digest says")))
            }
            found => Ok(found.map(|(bytes,)| bytes)),
        }
    }

    /// Revokes a version permanently. Its bytes stay stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::Conflict`] if the replacement is not stored.
    pub async fn revoke(
        self,
        digest: &Digest,
        replacement: Option<&Digest>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.revoke_in(&mut work, digest, replacement, now).await?;
        work.commit().await
    }

    /// Returns the previous replacement, if the version was already revoked.
    pub(crate) async fn revoke_in(
        self,
        connection: &mut AnyConnection,
        digest: &Digest,
        replacement: Option<&Digest>,
        now: SystemTime,
    ) -> Result<Option<Option<Digest>>, StoreError> {
        let change_number = change_number(connection).await?;
        let found: Option<(Option<i64>, Option<String>)> =
            sqlx::query_as("select revoked_at, replacement from components where digest = $1")
                .bind(digest.to_string())
                .fetch_optional(&mut *connection)
                .await?;
        let missing = || StoreError::NotFound { what: "component", id: digest.to_string() };
        let (revoked, former) = found.ok_or_else(missing)?;
        sqlx::query(
            "update components set revoked_at = coalesce(revoked_at, $2), replacement = $3, change_number = $4
             where digest = $1",
        )
        .bind(digest.to_string())
        .bind(milliseconds(now))
        .bind(replacement.map(ToString::to_string))
        .bind(change_number)
        .execute(connection)
        .await?;
        let former = former.map(|former| former.parse()).transpose();
        let former = former.map_err(|error| StoreError::corrupt(&digest.to_string(), error))?;
        Ok(revoked.map(|_| former))
    }
}
