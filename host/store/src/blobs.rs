//! Blobs of each shop, found by digest: raw configurations, thumbnails, documents, long responses.
//!
//! A blob of an order is encrypted with the order's key; any other has a key of its own, so that a rotation of the
//! store key re-encrypts few bytes. Each owner has its own copy of the same bytes: two orders share nothing, and either
//! can be erased.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::{Blobs, Digest, NewConfiguration, PlatformError, ShopId, StoredThumbnail};
use sqlx::AnyConnection;

use crate::database::{Store, in_time, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::StoredBlobs;
use crate::keys::aad;
use crate::media_type::safe_media_type;
use crate::vault::Key;

/// Maximum number of bytes that are encrypted on an async worker; more are encrypted on a blocking thread.
const MAX_INLINE_ENCRYPTION_BYTES: usize = 64 << 10;
const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;

/// The metadata of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Media type (RFC 6838) of the first time that the blob was stored.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// Time at which the blob was last stored, from which its retention counts.
    pub stored_at: SystemTime,
    /// Whether the blob is a thumbnail of a cart line, which the shop's pages show.
    pub is_thumbnail: bool,
}

/// The kind of a blob, which determines its retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Configuration,
    StoredThumbnail,
    /// A body that is stored beside a journal entry.
    HttpBody,
    Document,
}

impl Kind {
    /// Returns the name of the kind in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::StoredThumbnail => "thumbnail",
            Self::HttpBody => "response",
            Self::Document => "document",
        }
    }
}

/// A blob to store.
pub(crate) struct NewBlob<'a> {
    pub(crate) kind: Kind,
    pub(crate) digest: &'a Digest,
    pub(crate) media_type: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// An encrypted blob without an order, as a row of the table.
struct EncryptedBlob {
    kind: Kind,
    digest: String,
    /// Digest of the configuration that a thumbnail shows; else empty.
    configuration: String,
    media_type: String,
    /// Size of the plain bytes.
    size: i64,
    blob_key: Vec<u8>,
    bytes: Vec<u8>,
}

/// Returns the associated data that binds encrypted bytes to their row.
fn blob_aad(shop: &ShopId, digest: &str, order: &str, configuration: &str) -> String {
    aad("bytes", shop.as_str(), &format!("{digest}{configuration} {order}"))
}

impl StoredBlobs<'_> {
    /// Returns the metadata of a blob, if the shop has it.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn blob_info(self, shop: &ShopId, digest: &Digest) -> Result<Option<BlobInfo>, StoreError> {
        let found: Option<(String, i64, i64, i64)> = sqlx::query_as(
            "select media_type, size, created_at,
                 case when exists (select 1 from blobs p where p.shop = $1 and p.digest = $2 and p.kind = 'thumbnail')
                      then 1 else 0 end
             from blobs where shop = $1 and digest = $2 order by created_at desc limit 1",
        )
        .bind(shop.as_str())
        .bind(digest.to_string())
        .fetch_optional(self.store.pool())
        .await?;
        Ok(found.map(|(media_type, size, stored_at, pictures)| BlobInfo {
            media_type,
            size: u64::try_from(size).unwrap_or(0),
            stored_at: system_time(stored_at),
            is_thumbnail: pictures == 1,
        }))
    }

    /// Returns the bytes from any copy.
    pub(crate) async fn blob_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        type Row = (String, String, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);
        let digest_text = digest.to_string();
        let found: Option<Row> = sqlx::query_as(
            "select b.order_id, b.configuration, b.blob_key, o.order_key, b.bytes
             from blobs b left join orders o on o.shop = b.shop and o.id = b.order_id
             where b.shop = $1 and b.digest = $2 order by b.order_id limit 1",
        )
        .bind(shop.as_str())
        .bind(&digest_text)
        .fetch_optional(connection)
        .await?;
        let Some((order, configuration, blob_key, order_key, encrypted)) = found else { return Ok(None) };
        let key = match blob_key {
            Some(key) => self
                .store
                .keys()
                .decrypt_key(&aad("blob", shop.as_str(), &(digest_text.clone() + &configuration)), &key)?,
            None => self.store.orders().order_key(shop, &order, order_key)?,
        };
        let bytes = key.decrypt(&blob_aad(shop, &digest_text, &order, &configuration), &encrypted)?;
        // Callers trust that the bytes match the digest.
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::Corrupt(format!("the blob {digest} has other bytes than its digest says")));
        }
        Ok(Some(bytes.to_vec()))
    }

    /// Stores bytes for an order; an existing blob is retained longer.
    pub(crate) async fn put_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        (order, key): (&str, &Key),
        blob: &NewBlob<'_>,
        now: i64,
    ) -> Result<(), StoreError> {
        let encrypted = key.encrypt(&blob_aad(shop, &blob.digest.to_string(), order, ""), blob.bytes)?;
        put_encrypted(connection, shop, order, blob, encrypted, now).await
    }

    /// Copies the blobs that others stored with this digest to an order: bytes, or the thumbnails of the configuration
    /// with it.
    pub(crate) async fn copy_to_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        (order, key): (&str, &Key),
        digest: &Digest,
        now: i64,
    ) -> Result<(), StoreError> {
        let missing: Vec<(String, String, String)> = sqlx::query_as(
            "select b.digest, min(b.kind), min(b.media_type) from blobs b
             where b.shop = $1 and (b.digest = $2 or b.configuration = $2)
             and not exists (select 1 from blobs own where own.shop = $1 and own.digest = b.digest and own.order_id = $3)
             group by b.digest",
        )
        .bind(shop.as_str())
        .bind(digest.to_string())
        .bind(order)
        .fetch_all(&mut *connection)
        .await?;
        // A response with the same bytes is deleted with its journals, but the order needs the bytes as long as it is
        // stored.
        retain_for_order(&mut *connection, shop, order, digest).await?;
        for (found, kind, media_type) in missing {
            let digest: Digest = found.parse().map_err(|error| StoreError::corrupt("a blob's digest", error))?;
            let Some(bytes) = self.blob_in(connection, shop, &digest).await? else { continue };
            let kind = if kind == Kind::StoredThumbnail.name() { Kind::StoredThumbnail } else { Kind::Configuration };
            let blob = NewBlob { kind, digest: &digest, media_type: &media_type, bytes: &bytes };
            self.put_in(connection, shop, (order, key), &blob, now).await?;
        }
        Ok(())
    }

    /// Stores a configuration or another blob without an order, with its thumbnails, all or none. An existing blob is
    /// retained longer. The bytes are encrypted before the transaction, because in SQLite no other writer can proceed
    /// while it lasts.
    async fn put_unowned(
        self,
        shop: &ShopId,
        blob: &NewBlob<'_>,
        pictures: &[StoredThumbnail],
        client: Option<&str>,
    ) -> Result<(), StoreError> {
        let digest = blob.digest.to_string();
        let keyed_hash = match client {
            Some(client) => self.store.keys().current().keyed_hash(client)?,
            None => String::new(),
        };
        let written = loop {
            let known: Vec<(String, String)> = sqlx::query_as(
                "select digest, configuration from blobs where shop = $1 and order_id = ''
                 and (digest = $2 and configuration = '' or configuration = $2)",
            )
            .bind(shop.as_str())
            .bind(&digest)
            .fetch_all(self.store.pool())
            .await?;
            let mut new = Vec::new();
            if !known.iter().any(|(known, of)| *known == digest && of.is_empty()) {
                new.push(self.encrypt_unowned(shop, blob, "").await?);
            }
            for picture in pictures {
                let found = picture.digest.to_string();
                if !known.iter().any(|(known, of)| *known == found && *of == digest) {
                    let StoredThumbnail { digest: found, bytes, media_type } = picture;
                    let picture = NewBlob { kind: Kind::StoredThumbnail, digest: found, media_type, bytes };
                    new.push(self.encrypt_unowned(shop, &picture, &digest).await?);
                }
            }
            let now = milliseconds(SystemTime::now());
            let mut work = self.store.begin().await?;
            let touched = if known.is_empty() { 0 } else { touch_in(&mut work, shop, &digest, now).await? };
            if touched < known.len() as u64 {
                // Part of it was expired or over the quota, and has just been deleted.
                work.rollback().await?;
                continue;
            }
            let mut written = 0;
            for blob in new {
                written += blob.size.unsigned_abs();
                insert_unowned(&mut work, shop, &keyed_hash, blob, now).await?;
            }
            work.commit().await?;
            break written;
        };
        if let Err(error) = self.enforce_quota(shop, written).await {
            // The blob stays stored, and the next configuration makes room.
            tracing::warn!(%shop, %error, "cannot enforce the quota of carts");
        }
        Ok(())
    }

    /// Encrypts bytes without an order with a key of their own.
    async fn encrypt_unowned(
        self,
        shop: &ShopId,
        blob: &NewBlob<'_>,
        configuration: &str,
    ) -> Result<EncryptedBlob, StoreError> {
        let digest = blob.digest.to_string();
        let (key, blob_key) =
            self.store.keys().new_key(&aad("blob", shop.as_str(), &(digest.clone() + configuration)))?;
        let bytes = encrypt(key, blob_aad(shop, &digest, "", configuration), blob.bytes).await?;
        Ok(EncryptedBlob {
            kind: blob.kind,
            digest,
            configuration: configuration.to_owned(),
            media_type: safe_media_type(blob.media_type),
            size: i64::try_from(blob.bytes.len()).unwrap_or(i64::MAX),
            blob_key,
            bytes,
        })
    }

    /// Records that carts still need these configurations. Returns those that are not stored.
    async fn touch_all(self, shop: &ShopId, configurations: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let (now, mut missing) = (milliseconds(SystemTime::now()), Vec::new());
        for digest in configurations {
            let text = digest.to_string();
            // The copy without an order first.
            let found: Option<(String, i64, i64)> = sqlx::query_as(
                "select order_id, created_at, is_reused from blobs
                 where shop = $1 and digest = $2 and configuration = '' order by order_id limit 1",
            )
            .bind(shop.as_str())
            .bind(&text)
            .fetch_optional(self.store.pool())
            .await?;
            match found {
                None => missing.push(*digest),
                Some((order, _, _)) if !order.is_empty() => {}
                // A cart that is viewed all the time writes once a day.
                Some((_, stored_at, 1)) if now - stored_at < DAY_MILLISECONDS => {}
                Some(_) => {
                    touch_in(&mut *self.store.pool().acquire().await?, shop, &text, now).await?;
                }
            }
        }
        Ok(missing)
    }

    pub(crate) async fn blob(self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.blob_in(&mut *self.store.pool().acquire().await?, shop, digest).await
    }
}

/// Encrypts bytes, on a blocking thread if there are many.
async fn encrypt(key: Key, aad: String, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    if bytes.len() <= MAX_INLINE_ENCRYPTION_BYTES {
        return key.encrypt(&aad, bytes);
    }
    let bytes = bytes.to_vec();
    let encrypted = tokio::task::spawn_blocking(move || key.encrypt(&aad, &bytes)).await;
    encrypted.map_err(|error| StoreError::Unavailable(format!("the encryption task failed: {error}")))?
}

/// Inserts bytes without an order, unless another node has just done so.
async fn insert_unowned(
    connection: &mut AnyConnection,
    shop: &ShopId,
    client: &str,
    blob: EncryptedBlob,
    now: i64,
) -> Result<(), StoreError> {
    let EncryptedBlob { kind, digest, configuration, media_type, size, blob_key, bytes } = blob;
    sqlx::query(
        "insert into blobs (shop, digest, order_id, configuration, kind, media_type, size, blob_key, created_at, client_hash,
                            is_reused, bytes)
         values ($1, $2, '', $3, $4, $5, $6, $7, $8, $9, 0, $10)
         on conflict (shop, digest, order_id, configuration) do update set created_at = excluded.created_at,
                                                                           is_reused = 1",
    )
    .bind(shop.as_str())
    .bind(digest)
    .bind(configuration)
    .bind(kind.name())
    .bind(media_type)
    .bind(size)
    .bind(blob_key)
    .bind(now)
    .bind(client)
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts an order's encrypted bytes; an existing blob is retained longer.
async fn put_encrypted(
    connection: &mut AnyConnection,
    shop: &ShopId,
    order: &str,
    blob: &NewBlob<'_>,
    encrypted: Vec<u8>,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into blobs (shop, digest, order_id, configuration, kind, media_type, size, blob_key, created_at, client_hash,
                            is_reused, bytes)
         values ($1, $2, $3, '', $4, $5, $6, null, $7, '', 0, $8)
         on conflict (shop, digest, order_id, configuration) do update set created_at = excluded.created_at",
    )
    .bind(shop.as_str())
    .bind(blob.digest.to_string())
    .bind(order)
    .bind(blob.kind.name())
    .bind(safe_media_type(blob.media_type))
    .bind(i64::try_from(blob.bytes.len()).unwrap_or(i64::MAX))
    .bind(now)
    .bind(encrypted)
    .execute(&mut *connection)
    .await?;
    match blob.kind {
        Kind::Document => keep_as_document(connection, shop, order, blob.digest).await,
        Kind::Configuration | Kind::StoredThumbnail => retain_for_order(connection, shop, order, blob.digest).await,
        Kind::HttpBody => Ok(()),
    }
}

/// Extends the retention of a configuration without an order, and of its thumbnails. Returns the number of blobs.
async fn touch_in(
    connection: &mut AnyConnection,
    shop: &ShopId,
    configuration: &str,
    now: i64,
) -> Result<u64, StoreError> {
    let touched = sqlx::query(
        "update blobs set created_at = $3, is_reused = 1 where shop = $1 and order_id = ''
         and (digest = $2 and configuration = '' or configuration = $2)",
    )
    .bind(shop.as_str())
    .bind(configuration)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(touched.rows_affected())
}

/// Retains a blob as long as its order, although a response had the same bytes.
async fn retain_for_order(
    connection: &mut AnyConnection,
    shop: &ShopId,
    order: &str,
    digest: &Digest,
) -> Result<(), StoreError> {
    sqlx::query(
        "update blobs set kind = 'configuration' where shop = $1 and digest = $2 and order_id = $3 and kind = 'response'",
    )
    .bind(shop.as_str())
    .bind(digest.to_string())
    .bind(order)
    .execute(connection)
    .await?;
    Ok(())
}

/// Turns the bytes of a response into a document, because a plugin reported them as one.
pub(crate) async fn keep_as_document(
    connection: &mut AnyConnection,
    shop: &ShopId,
    order: &str,
    digest: &Digest,
) -> Result<(), StoreError> {
    sqlx::query("update blobs set kind = 'document' where shop = $1 and digest = $2 and order_id = $3")
        .bind(shop.as_str())
        .bind(digest.to_string())
        .bind(order)
        .execute(connection)
        .await?;
    Ok(())
}

fn platform_error(error: StoreError) -> PlatformError {
    PlatformError(error.to_string())
}

#[async_trait]
impl Blobs for Store {
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        let blob = NewBlob { kind: Kind::Configuration, digest: &digest, media_type, bytes: &bytes };
        self.blobs().put_unowned(shop, &blob, &[], None).await.map_err(platform_error)?;
        Ok(digest)
    }

    async fn put_configuration(&self, shop: &ShopId, new: &NewConfiguration<'_>) -> Result<(), PlatformError> {
        let NewConfiguration { digest, bytes, pictures, client } = new;
        let blob = NewBlob { kind: Kind::Configuration, digest, media_type: "application/json", bytes };
        self.blobs().put_unowned(shop, &blob, pictures, *client).await.map_err(platform_error)
    }

    async fn touch(&self, shop: &ShopId, configurations: &[Digest]) -> Result<Vec<Digest>, PlatformError> {
        self.blobs().touch_all(shop, configurations).await.map_err(platform_error)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        self.blobs().blob(shop, digest).await.map_err(platform_error)
    }
}

/// The blobs of an order's jobs.
#[derive(Debug)]
pub(crate) struct OrderBlobs {
    store: Store,
    order: String,
    key: Key,
}

impl OrderBlobs {
    pub(crate) fn of(store: &Store, order: &str, key: &Key) -> Arc<dyn Blobs> {
        Arc::new(Self { store: store.clone(), order: order.to_owned(), key: key.clone() })
    }
}

#[async_trait]
impl Blobs for OrderBlobs {
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        let blob = NewBlob { kind: Kind::HttpBody, digest: &digest, media_type, bytes: &bytes };
        let put = async {
            let aad = blob_aad(shop, &digest.to_string(), &self.order, "");
            let encrypted = encrypt(self.key.clone(), aad, &bytes).await?;
            let mut work = self.store.begin().await?;
            // Locked, so that the order is not erased in the meantime.
            self.store.orders().lock_order(&mut work, shop, &self.order).await?;
            put_encrypted(&mut work, shop, &self.order, &blob, encrypted, milliseconds(SystemTime::now())).await?;
            work.commit().await
        };
        in_time(put).await.map_err(platform_error)?;
        Ok(digest)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        in_time(self.store.blobs().blob(shop, digest)).await.map_err(platform_error)
    }
}
