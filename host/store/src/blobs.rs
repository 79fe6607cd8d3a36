//! Bytes by digest, each shop's its own: raw configurations, pictures, documents, long answers.
//!
//! What belongs to an order is sealed with the order's key; what belongs to none has a key of its own, so that a new store key
//! re-seals few bytes. The same bytes stand once for each that has them: two orders share nothing, and either can be forgotten.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::{Blobs, Digest, PlatformError, ShopId};
use sqlx::AnyConnection;

use crate::database::{Store, milliseconds, moment};
use crate::document::safe_media_type;
use crate::error::StoreError;
use crate::keys::place;
use crate::vault::Key;

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// RFC 6838 media type, as it was first stored.
    pub media_type: String,
    /// How many bytes.
    pub size: u64,
    /// When it was last stored; how long it is kept counts from here.
    pub stored: SystemTime,
    /// Is it a picture of a cart line, which a shop's pages show?
    pub is_picture: bool,
}

/// What a blob is: how long it is kept follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Configuration,
    Picture,
    /// Beside a journal's entry.
    Answer,
    Document,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Picture => "picture",
            Self::Answer => "answer",
            Self::Document => "document",
        }
    }
}

/// Whose a blob is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'a> {
    /// No order's.
    Nobody,
    /// A picture of this raw configuration, no order's either.
    Configuration(&'a Digest),
    /// The order's with this id and key.
    Order(&'a str, &'a Key),
}

impl Owner<'_> {
    fn order(&self) -> &str {
        if let Self::Order(order, _) = self { order } else { "" }
    }

    fn configuration(&self) -> String {
        if let Self::Configuration(configuration) = self { configuration.to_string() } else { String::new() }
    }
}

/// Bytes on their way in.
pub(crate) struct NewBlob<'a> {
    pub(crate) kind: Kind,
    pub(crate) digest: &'a Digest,
    pub(crate) media_type: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// Where the sealed bytes stand: they do not open elsewhere.
fn bytes_place(shop: &ShopId, digest: &str, order: &str, configuration: &str) -> String {
    place("bytes", shop.as_str(), &format!("{digest}{configuration} {order}"))
}

impl Store {
    /// What is known of a blob, if it is this shop's.
    ///
    /// # Errors
    /// As the database says.
    pub async fn blob_info(&self, shop: &ShopId, digest: &Digest) -> Result<Option<BlobInfo>, StoreError> {
        let found: Option<(String, i64, i64, i64)> = sqlx::query_as(
            "select media_type, size, created_at,
                 case when exists (select 1 from blobs p where p.shop = $1 and p.digest = $2 and p.kind = 'picture')
                      then 1 else 0 end
             from blobs where shop = $1 and digest = $2 order by created_at desc limit 1",
        )
        .bind(shop.as_str())
        .bind(digest.to_string())
        .fetch_optional(self.pool())
        .await?;
        Ok(found.map(|(media_type, size, stored, pictures)| BlobInfo {
            media_type,
            size: u64::try_from(size).unwrap_or(0),
            stored: moment(stored),
            is_picture: pictures == 1,
        }))
    }

    /// The bytes, from whichever copy.
    pub(crate) async fn blob_in(
        &self,
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
        let Some((order, configuration, blob_key, order_key, sealed)) = found else { return Ok(None) };
        let key = match blob_key {
            Some(key) => {
                self.keys().open_key(&place("blob", shop.as_str(), &(digest_text.clone() + &configuration)), &key)?
            }
            None => self.order_key(shop, &order, order_key)?,
        };
        let bytes = key.open(&bytes_place(shop, &digest_text, &order, &configuration), &sealed)?;
        // Whoever asks by digest trusts that these are the bytes.
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::Corrupt(format!("the blob {digest} has other bytes than its digest says")));
        }
        Ok(Some(bytes.to_vec()))
    }

    /// Keeps bytes; what is kept already is kept for longer.
    pub(crate) async fn put_in(
        &self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        owner: Owner<'_>,
        blob: &NewBlob<'_>,
        now: i64,
    ) -> Result<(), StoreError> {
        let (order, digest, configuration) = (owner.order(), blob.digest.to_string(), owner.configuration());
        let known = sqlx::query(
            "update blobs set created_at = $5 where shop = $1 and digest = $2 and order_id = $3 and configuration = $4",
        )
        .bind(shop.as_str())
        .bind(&digest)
        .bind(order)
        .bind(&configuration)
        .bind(now)
        .execute(&mut *connection)
        .await?;
        if known.rows_affected() == 1 {
            if blob.kind == Kind::Document {
                keep_as_document(connection, shop, order, blob.digest).await?;
            }
            return Ok(());
        }
        let (key, blob_key) = match owner {
            Owner::Order(_, key) => (key.clone(), None),
            _ => {
                let (key, sealed) =
                    self.keys().new_key(&place("blob", shop.as_str(), &(digest.clone() + &configuration)))?;
                (key, Some(sealed))
            }
        };
        sqlx::query(
            "insert into blobs (shop, digest, order_id, configuration, kind, media_type, size, blob_key, created_at, bytes)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (shop, digest, order_id, configuration) do nothing",
        )
        .bind(shop.as_str())
        .bind(&digest)
        .bind(order)
        .bind(&configuration)
        .bind(blob.kind.name())
        .bind(safe_media_type(blob.media_type))
        .bind(i64::try_from(blob.bytes.len()).unwrap_or(i64::MAX))
        .bind(blob_key)
        .bind(now)
        .bind(key.seal(&bytes_place(shop, &digest, order, &configuration), blob.bytes)?)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Gives an order its own copy of what others have by this digest: bytes, or pictures of the configuration with it.
    pub(crate) async fn adopt(
        &self,
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
        for (found, kind, media_type) in missing {
            let digest: Digest = found.parse().map_err(|error| StoreError::corrupt("a blob's digest", error))?;
            let Some(bytes) = self.blob_in(connection, shop, &digest).await? else { continue };
            let kind = if kind == Kind::Picture.name() { Kind::Picture } else { Kind::Configuration };
            let blob = NewBlob { kind, digest: &digest, media_type: &media_type, bytes: &bytes };
            self.put_in(connection, shop, Owner::Order(order, key), &blob, now).await?;
        }
        Ok(())
    }

    async fn put_blob(&self, shop: &ShopId, owner: Owner<'_>, blob: &NewBlob<'_>) -> Result<(), StoreError> {
        let mut work = self.begin().await?;
        if let Owner::Order(order, _) = owner {
            // It must not be forgotten meanwhile.
            self.lock_order(&mut work, shop, order).await?;
        }
        self.put_in(&mut work, shop, owner, blob, milliseconds(SystemTime::now())).await?;
        work.commit().await?;
        Ok(())
    }

    pub(crate) async fn blob(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.blob_in(&mut *self.pool().acquire().await?, shop, digest).await
    }
}

/// A plugin made a document of bytes that came as an answer.
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

fn told(error: StoreError) -> PlatformError {
    PlatformError(error.to_string())
}

#[async_trait]
impl Blobs for Store {
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        let blob = NewBlob { kind: Kind::Configuration, digest: &digest, media_type, bytes: &bytes };
        self.put_blob(shop, Owner::Nobody, &blob).await.map_err(told)?;
        Ok(digest)
    }

    async fn put_picture(
        &self,
        shop: &ShopId,
        configuration: &Digest,
        bytes: Vec<u8>,
        media_type: &str,
    ) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        let blob = NewBlob { kind: Kind::Picture, digest: &digest, media_type, bytes: &bytes };
        self.put_blob(shop, Owner::Configuration(configuration), &blob).await.map_err(told)?;
        Ok(digest)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        self.blob(shop, digest).await.map_err(told)
    }
}

/// Where the bytes of an order's jobs are kept.
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
        let blob = NewBlob { kind: Kind::Answer, digest: &digest, media_type, bytes: &bytes };
        self.store.put_blob(shop, Owner::Order(&self.order, &self.key), &blob).await.map_err(told)?;
        Ok(digest)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        self.store.blob(shop, digest).await.map_err(told)
    }
}
