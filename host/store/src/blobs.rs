//! Bytes by digest, each shop's its own: raw configurations, thumbnails, documents, long answers.

use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::{Blobs, Digest, PlatformError, ShopId};
use sqlx::AnyConnection;

use crate::database::{Store, milliseconds, moment};
use crate::error::StoreError;

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// RFC 6838 media type, as it was first stored.
    pub media_type: String,
    /// How many bytes.
    pub size: u64,
    /// When it was first stored; how long it is kept counts from here.
    pub created: SystemTime,
}

impl Store {
    /// What is known of a blob, if it is this shop's.
    ///
    /// # Errors
    /// As the database says.
    pub async fn blob_info(&self, shop: &ShopId, digest: &Digest) -> Result<Option<BlobInfo>, StoreError> {
        let found: Option<(String, i64, i64)> =
            sqlx::query_as("select media_type, size, created_at from blobs where shop = $1 and digest = $2")
                .bind(shop.as_str())
                .bind(digest.to_string())
                .fetch_optional(self.pool())
                .await?;
        Ok(found.map(|(media_type, size, created)| BlobInfo {
            media_type,
            size: u64::try_from(size).unwrap_or(0),
            created: moment(created),
        }))
    }

    async fn blob(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let found: Option<(Vec<u8>,)> = sqlx::query_as("select bytes from blobs where shop = $1 and digest = $2")
            .bind(shop.as_str())
            .bind(digest.to_string())
            .fetch_optional(self.pool())
            .await?;
        match found {
            // Whoever asks by digest trusts that these are the bytes.
            Some((bytes,)) if Digest::of(&bytes) != *digest => {
                Err(StoreError::Corrupt(format!("the blob {digest} has other bytes than its digest says")))
            }
            found => Ok(found.map(|(bytes,)| bytes)),
        }
    }
}

#[async_trait]
impl Blobs for Store {
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        let put = async {
            let mut connection = self.pool().acquire().await?;
            put_in(&mut connection, shop, &digest, bytes, media_type, milliseconds(SystemTime::now())).await
        };
        put.await.map_err(|error: StoreError| PlatformError(error.to_string()))?;
        Ok(digest)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        self.blob(shop, digest).await.map_err(|error| PlatformError(error.to_string()))
    }
}

pub(crate) async fn put_in(
    connection: &mut AnyConnection,
    shop: &ShopId,
    digest: &Digest,
    bytes: Vec<u8>,
    media_type: &str,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into blobs (shop, digest, media_type, size, bytes, created_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (shop, digest) do nothing",
    )
    .bind(shop.as_str())
    .bind(digest.to_string())
    .bind(media_type)
    .bind(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
    .bind(bytes)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
