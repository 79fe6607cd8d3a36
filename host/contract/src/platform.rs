//! Traits that a commerce platform implements: catalog, order book and blobs.

use std::collections::HashMap;
use std::sync::RwLock;

use async_trait::async_trait;

use crate::ids::{AccountId, Digest, ShopId};
use crate::records::{Article, Order, SkuQuery, VariantInfo};

/// The error of an unavailable platform.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PlatformError(pub String);

/// The platform's products and prices.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Returns, for each query in order, every variant that matches it, with its unit price in the given currency. The
    /// price is `None` if the platform has no price in that currency; prices are never converted here.
    async fn resolve(
        &self,
        shop: &ShopId,
        currency: &str,
        queries: &[SkuQuery],
    ) -> Result<Vec<Vec<VariantInfo>>, PlatformError>;

    /// Returns all variants of a product: one for a product without variants, none for an unknown product.
    async fn variants(&self, shop: &ShopId, currency: &str, product: &str) -> Result<Vec<VariantInfo>, PlatformError>;

    /// Returns the platform's exchange rate as exact decimal text: the number of units of `to` that one unit of `from`
    /// is worth. `None` refuses the conversion.
    async fn exchange_rate(&self, _shop: &ShopId, _from: &str, _to: &str) -> Result<Option<String>, PlatformError> {
        Ok(None)
    }
}

/// The platform's orders.
#[async_trait]
pub trait OrderBook: Send + Sync {
    /// Returns the order that has this reference, or has a line with this reference. It is cut to the lines whose pin
    /// names the account, and `None` if there is no such line.
    ///
    /// # Errors
    /// Returns an error if the answer is uncertain, because `None` makes a vendor discard the order.
    async fn find(&self, shop: &ShopId, account: &AccountId, reference: &str) -> Result<Option<Order>, PlatformError>;

    /// Returns the bill of materials of one piece of the line with this reference; empty for a line that has none.
    /// `None` for a line that [`Self::find`] does not return to this account.
    ///
    /// # Errors
    /// Returns an error if the answer is uncertain.
    async fn bill_of_materials(
        &self,
        shop: &ShopId,
        account: &AccountId,
        line_reference: &str,
    ) -> Result<Option<Vec<Article>>, PlatformError>;

    /// Returns whether an order that [`Self::find`] does not know may exist all the same, because it is being placed
    /// or has not been reported yet. A webhook that names such an order gets an error, so that the vendor sends it
    /// again.
    ///
    /// # Errors
    /// Returns an error if this is uncertain too.
    async fn may_exist(&self, _shop: &ShopId, _account: &AccountId, _reference: &str) -> Result<bool, PlatformError> {
        Ok(false)
    }

    /// Returns the references of the account's orders and lines whose vendor reference is this one: at most two, because
    /// an ambiguous vendor reference names nothing.
    ///
    /// # Errors
    /// Returns an error if the answer is uncertain, because a report about an unknown order is dropped.
    async fn find_by_vendor_reference(
        &self,
        _shop: &ShopId,
        _account: &AccountId,
        _vendor_reference: &str,
    ) -> Result<Vec<String>, PlatformError> {
        Ok(Vec::new())
    }
}

/// Blobs by digest: raw configurations, thumbnails, documents.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores bytes for a shop. Storing the same bytes again has no effect.
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Result<Digest, PlatformError>;

    /// Stores a configuration that cart lines were planned from, together with its thumbnails; either all of it is
    /// stored or nothing. For a configuration that is stored already, the retention period starts again. A platform
    /// that deletes configurations must delete their thumbnails with them, because thumbnails can show what a person
    /// wrote. The default implementation is for platforms that delete nothing, and stores thumbnails like other blobs.
    async fn put_configuration(&self, shop: &ShopId, new: &NewConfiguration<'_>) -> Result<(), PlatformError> {
        for picture in new.pictures {
            self.put(shop, picture.bytes.clone(), picture.media_type).await?;
        }
        self.put(shop, new.bytes.to_vec(), "application/json").await.map(drop)
    }

    /// Records that a cart still needs these configurations, which restarts their retention period. Returns the
    /// configurations that are not stored.
    async fn touch(&self, shop: &ShopId, configurations: &[Digest]) -> Result<Vec<Digest>, PlatformError> {
        let mut missing = Vec::new();
        for digest in configurations {
            if self.get(shop, digest).await?.is_none() {
                missing.push(*digest);
            }
        }
        Ok(missing)
    }

    /// Returns the bytes of a blob, or `None` if the shop has no such blob.
    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError>;
}

/// A configuration that cart lines were planned from.
#[derive(Debug, Clone, Copy)]
pub struct NewConfiguration<'a> {
    /// Digest of `bytes`.
    pub digest: Digest,
    /// The configuration exactly as the browser sent it, or as the vendor's server returned it for that.
    pub bytes: &'a [u8],
    /// Thumbnails of the configured products. Empty when a stored configuration is planned again, because its
    /// thumbnails are stored already.
    pub pictures: &'a [StoredThumbnail],
    /// The shopper's client id, as in `Visitor::client`.
    pub client: Option<&'a str>,
}

/// A checked thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredThumbnail {
    /// Digest of `bytes`.
    pub digest: Digest,
    /// The image file.
    pub bytes: Vec<u8>,
    /// The media type (RFC 6838).
    pub media_type: &'static str,
}

/// An in-memory catalog for tests, examples and the command line.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    variants: RwLock<Vec<VariantInfo>>,
    rates: RwLock<HashMap<(String, String), String>>,
}

impl MemoryCatalog {
    /// Creates a catalog of these variants.
    pub fn new(variants: Vec<VariantInfo>) -> Self {
        Self { variants: RwLock::new(variants), rates: RwLock::default() }
    }

    /// Changes the variants.
    pub fn change(&self, change: impl FnOnce(&mut Vec<VariantInfo>)) {
        change(&mut write(&self.variants));
    }

    /// Sets an exchange rate.
    pub fn set_rate(&self, from: &str, to: &str, rate: &str) {
        write(&self.rates).insert((from.to_owned(), to.to_owned()), rate.to_owned());
    }
}

fn in_currency(variant: &VariantInfo, currency: &str) -> VariantInfo {
    let mut variant = variant.clone();
    if variant.price.as_ref().is_some_and(|price| price.currency != currency) {
        variant.price = None;
    }
    variant
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn resolve(
        &self,
        _shop: &ShopId,
        currency: &str,
        queries: &[SkuQuery],
    ) -> Result<Vec<Vec<VariantInfo>>, PlatformError> {
        let variants = read(&self.variants);
        Ok(queries
            .iter()
            .map(|query| {
                variants
                    .iter()
                    .filter(|variant| {
                        query.within_product.as_ref().is_none_or(|product| *product == variant.product)
                            && if query.ignore_case {
                                variant.sku.to_lowercase() == query.sku.to_lowercase()
                            } else {
                                variant.sku == query.sku
                            }
                    })
                    .map(|variant| in_currency(variant, currency))
                    .collect()
            })
            .collect())
    }

    async fn variants(&self, _shop: &ShopId, currency: &str, product: &str) -> Result<Vec<VariantInfo>, PlatformError> {
        Ok(read(&self.variants)
            .iter()
            .filter(|variant| variant.product == product)
            .map(|variant| in_currency(variant, currency))
            .collect())
    }

    async fn exchange_rate(&self, _shop: &ShopId, from: &str, to: &str) -> Result<Option<String>, PlatformError> {
        Ok(read(&self.rates).get(&(from.to_owned(), to.to_owned())).cloned())
    }
}

/// An in-memory order book.
#[derive(Debug, Default)]
pub struct MemoryOrderBook {
    orders: RwLock<HashMap<(ShopId, AccountId, String), Order>>,
    /// By the line's reference.
    bills_of_materials: RwLock<HashMap<(ShopId, String), Vec<Article>>>,
}

impl MemoryOrderBook {
    /// Stores an account's part of an order, or replaces it by a newer version.
    pub fn put(&self, shop: &ShopId, account: &AccountId, order: Order) {
        write(&self.orders).insert((shop.clone(), account.clone(), order.reference.clone()), order);
    }

    /// Stores the bill of materials of one piece of an order line, or replaces it.
    pub fn put_bill_of_materials(&self, shop: &ShopId, line_reference: &str, articles: Vec<Article>) {
        write(&self.bills_of_materials).insert((shop.clone(), line_reference.to_owned()), articles);
    }
}

#[async_trait]
impl OrderBook for MemoryOrderBook {
    async fn find(&self, shop: &ShopId, account: &AccountId, reference: &str) -> Result<Option<Order>, PlatformError> {
        Ok(read(&self.orders)
            .iter()
            .find(|((owner, of, _), order)| {
                owner == shop
                    && of == account
                    && (order.reference == reference || order.lines.iter().any(|line| line.reference == reference))
            })
            .map(|(_, order)| order.clone()))
    }

    async fn bill_of_materials(
        &self,
        shop: &ShopId,
        account: &AccountId,
        line_reference: &str,
    ) -> Result<Option<Vec<Article>>, PlatformError> {
        let is_visible = read(&self.orders).iter().any(|((owner, of, _), order)| {
            owner == shop && of == account && order.lines.iter().any(|line| line.reference == line_reference)
        });
        if !is_visible {
            return Ok(None);
        }
        let key = (shop.clone(), line_reference.to_owned());
        Ok(Some(read(&self.bills_of_materials).get(&key).cloned().unwrap_or_default()))
    }

    async fn find_by_vendor_reference(
        &self,
        shop: &ShopId,
        account: &AccountId,
        vendor_reference: &str,
    ) -> Result<Vec<String>, PlatformError> {
        let is_it = |known: &Option<String>| known.as_deref() == Some(vendor_reference);
        let orders = read(&self.orders);
        let own = orders.iter().filter(|((owner, of, _), _)| owner == shop && of == account).map(|(_, order)| order);
        let references = own.flat_map(|order| {
            let lines = order.lines.iter().filter(|line| is_it(&line.vendor_reference)).map(|line| &line.reference);
            is_it(&order.vendor_reference).then_some(&order.reference).into_iter().chain(lines)
        });
        Ok(references.take(2).cloned().collect())
    }
}

/// In-memory blobs.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: RwLock<HashMap<(ShopId, Digest), Vec<u8>>>,
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, _media_type: &str) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        write(&self.blobs).entry((shop.clone(), digest)).or_insert(bytes);
        Ok(digest)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        Ok(read(&self.blobs).get(&(shop.clone(), *digest)).cloned())
    }
}

// A lock is poisoned only if another thread panicked while it held the lock; the maps above are always
// consistent.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
