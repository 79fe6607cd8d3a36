//! Configurations that the vendor's server returned, as they are remembered for a moment, and the blob store of the calls
//! that fetch them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cartwright_cart::vendor_cache::VendorResult;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::platform::{Blobs, PlatformError};
use jiff::Timestamp;

/// How long a resolved configuration is remembered.
pub(super) const MAX_AGE: Duration = Duration::from_secs(10);
/// Maximum size of the remembered configurations of all shops together, with their pictures, in bytes.
const MAX_REMEMBERED_BYTES: usize = 32 << 20;

/// Pictures that a call fetched, by digest.
pub(super) type ReceivedBlobs = BTreeMap<Digest, Arc<Vec<u8>>>;

/// A configuration that the vendor's server returned for what a page sent.
pub(crate) struct ResolvedConfiguration {
    pub(super) bytes: Arc<Vec<u8>>,
    /// What the call stored with `store-body`.
    pub(super) blobs: Arc<ReceivedBlobs>,
    pub(super) requested_at: Timestamp,
}

impl VendorResult for ResolvedConfiguration {
    const MAX_SIZE: usize = MAX_REMEMBERED_BYTES;

    /// Returns the number of bytes of the configuration and its pictures.
    fn size(&self) -> usize {
        self.bytes.len() + self.blobs.values().map(|bytes| bytes.len()).sum::<usize>()
    }

    fn requested_at(&self) -> Timestamp {
        self.requested_at
    }

    fn expires_at(&self) -> Timestamp {
        self.requested_at.checked_add(MAX_AGE).unwrap_or(self.requested_at)
    }
}

/// The blob store of a call that resolves a configuration. What the call stores stays in memory, because the
/// configuration may still be refused, and nothing of a refused configuration is stored.
pub(super) struct CallBlobs {
    stored: Arc<dyn Blobs>,
    received: Mutex<ReceivedBlobs>,
}

impl CallBlobs {
    /// Returns a store above the platform's, with nothing received.
    pub(super) fn new(stored: Arc<dyn Blobs>) -> Self {
        Self { stored, received: Mutex::default() }
    }

    /// Returns what the call stored, and forgets it.
    pub(super) fn take_received(&self) -> ReceivedBlobs {
        std::mem::take(&mut *self.received())
    }

    fn received(&self) -> MutexGuard<'_, ReceivedBlobs> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Blobs for CallBlobs {
    async fn put(&self, _shop: &ShopId, bytes: Vec<u8>, _media_type: &str) -> Result<Digest, PlatformError> {
        let digest = Digest::of(&bytes);
        self.received().insert(digest, Arc::new(bytes));
        Ok(digest)
    }

    async fn get(&self, shop: &ShopId, digest: &Digest) -> Result<Option<Vec<u8>>, PlatformError> {
        let received = self.received().get(digest).map(|bytes| bytes.to_vec());
        match received {
            Some(bytes) => Ok(Some(bytes)),
            None => self.stored.get(shop, digest).await,
        }
    }
}
