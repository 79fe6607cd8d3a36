//! Traits that a commerce platform implements: catalog, order book and blobs.

use std::collections::HashMap;
use std::sync::RwLock;

use async_trait::async_trait;

use crate::ids::{AccountId, Digest, ShopId};
use crate::records::{Order, SkuQuery, VariantInfo};

/// The platform is unavailable.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PlatformError(pub String);

/// The platform's products and prices.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// For each query, in order, every variant that matches, with its price for one in this currency. The price is `None` where
    /// the platform has none in that currency: prices are never converted here.
    async fn resolve(
        &self,
        shop: &ShopId,
        currency: &str,
        queries: &[SkuQuery],
    ) -> Result<Vec<Vec<VariantInfo>>, PlatformError>;

    /// All variants of a product; one for a product without variants, none for an unknown one.
    async fn variants(&self, shop: &ShopId, currency: &str, product: &str) -> Result<Vec<VariantInfo>, PlatformError>;

    /// The platform's own rate from one currency into another as exact decimal text: how many units of `to` one unit of `from`
    /// is. `None` refuses the conversion.
    async fn exchange_rate(&self, _shop: &ShopId, _from: &str, _to: &str) -> Result<Option<String>, PlatformError> {
        Ok(None)
    }
}

/// The platform's orders.
#[async_trait]
pub trait OrderBook: Send + Sync {
    /// The order with this reference, or with a line of this reference, cut down to the lines whose pin names this account;
    /// none when it has no such line.
    ///
    /// # Errors
    /// When it is not certain: "none" makes a vendor throw the order away.
    async fn find(&self, shop: &ShopId, account: &AccountId, reference: &str) -> Result<Option<Order>, PlatformError>;

    /// Asked when a webhook names an order that [`Self::find`] does not know: may it exist all the same, because it is being
    /// placed, or has been and has not come in? Then the vendor is told an error instead of "no", and asks again.
    ///
    /// # Errors
    /// When that is not certain either.
    async fn may_exist(&self, _shop: &ShopId, _account: &AccountId, _reference: &str) -> Result<bool, PlatformError> {
        Ok(false)
    }
}

/// Bytes by digest: raw configurations, thumbnails, documents.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores bytes for a shop. Storing the same bytes again changes nothing.
    async fn put(&self, shop: &ShopId, bytes: Vec<u8>, media_type: &str) -> Result<Digest, PlatformError>;

    /// Stores a configuration that lines of a cart were planned from, with its pictures: all of it, or nothing. What is stored
    /// already is kept for longer. Whoever forgets a configuration forgets its pictures too: they may show what a person wrote.
    /// Where nothing is ever forgotten they are blobs like any other.
    async fn put_configuration(&self, shop: &ShopId, new: &NewConfiguration<'_>) -> Result<(), PlatformError> {
        for picture in new.pictures {
            self.put(shop, picture.bytes.clone(), picture.media_type).await?;
        }
        self.put(shop, new.bytes.to_vec(), "application/json").await.map(drop)
    }

    /// Notes that a cart still needs these configurations, so that they are kept for longer. Returns those that are not stored.
    async fn touch(&self, shop: &ShopId, configurations: &[Digest]) -> Result<Vec<Digest>, PlatformError> {
        let mut missing = Vec::new();
        for digest in configurations {
            if self.get(shop, digest).await?.is_none() {
                missing.push(*digest);
            }
        }
        Ok(missing)
    }

    /// The bytes, if they are this shop's.
    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError>;
}

/// A configuration that lines of a cart were planned from.
#[derive(Debug, Clone, Copy)]
pub struct NewConfiguration<'a> {
    /// Its digest.
    pub digest: Digest,
    /// As the page sent it.
    pub bytes: &'a [u8],
    /// What it looks like. Of one that is planned again, none: they are stored beside it.
    pub pictures: &'a [StoredThumbnail],
    /// Who the shopper is, as `Visitor::client` names them.
    pub client: Option<&'a str>,
}

/// A picture that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredThumbnail {
    /// Its digest.
    pub digest: Digest,
    /// The file.
    pub bytes: Vec<u8>,
    /// RFC 6838 media type.
    pub media_type: &'static str,
}

/// A catalogue in memory, for tests, examples and the command line.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    variants: RwLock<Vec<VariantInfo>>,
    rates: RwLock<HashMap<(String, String), String>>,
}

impl MemoryCatalog {
    /// A catalogue of these variants.
    pub fn new(variants: Vec<VariantInfo>) -> Self {
        Self { variants: RwLock::new(variants), rates: RwLock::default() }
    }

    /// Changes the catalogue.
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

/// Orders in memory.
#[derive(Debug, Default)]
pub struct MemoryOrderBook {
    orders: RwLock<HashMap<(ShopId, AccountId, String), Order>>,
}

impl MemoryOrderBook {
    /// Puts an account's part of an order in, or a newer version in its place.
    pub fn put(&self, shop: &ShopId, account: &AccountId, order: Order) {
        write(&self.orders).insert((shop.clone(), account.clone(), order.reference.clone()), order);
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
}

/// Bytes in memory.
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

// A lock is only poisoned when another thread panicked while it held it; the maps above are whole at every moment.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
