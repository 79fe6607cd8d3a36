//! Quotas of stored bytes, and what this node knows of their use.
//!
//! Each node counts what it writes, and measures the total in the database when the quota may be exceeded or a
//! sixteenth of it was written, so that it does so rarely. Several nodes may together exceed the quota slightly.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Default quota of each shop for bytes without an order: 1 GiB. Change it with
/// [`StoredBlobs::set_cart_quota`](crate::StoredBlobs::set_cart_quota).
pub const DEFAULT_CART_QUOTA_BYTES: u64 = 1 << 30;
/// Share of a full quota that is left after a deletion: nine tenths. Otherwise every cart would cause a deletion.
const QUOTA_TARGET_TENTHS: u64 = 9;

/// A quota of bytes for each key, and what this node knows of its use.
#[derive(Debug)]
pub(crate) struct Quota<K> {
    bytes: AtomicU64,
    usage: Mutex<HashMap<K, Usage>>,
    /// Held by the one task of a node that deletes.
    pub(crate) making_room: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    measured: u64,
    written: u64,
}

impl<K: Eq + Hash> Quota<K> {
    /// Creates a quota of this many bytes for each key.
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(bytes), usage: Mutex::default(), making_room: tokio::sync::Mutex::default() }
    }

    /// Returns the quota of each key, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Sets the quota of each key, in bytes.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Returns the number of bytes that are left after a deletion.
    pub(crate) fn target(&self) -> u64 {
        self.bytes() / 10 * QUOTA_TARGET_TENTHS
    }

    /// Counts written bytes.
    pub(crate) fn add(&self, key: &K, written: u64) {
        if let Some(usage) = self.usage().get_mut(key) {
            usage.written = usage.written.saturating_add(written);
        }
    }

    /// Returns whether the total must be measured in the database before `more` bytes are written.
    pub(crate) fn must_measure(&self, key: &K, more: u64) -> bool {
        let Some(Usage { measured, written }) = self.usage().get(key).copied() else { return true };
        let (quota, written) = (self.bytes(), written.saturating_add(more));
        measured.saturating_add(written) > quota || written > quota / 16
    }

    /// Records the total that was measured in the database.
    pub(crate) fn set_measured(&self, key: K, measured: u64) {
        self.usage().insert(key, Usage { measured, written: 0 });
    }

    fn usage(&self) -> MutexGuard<'_, HashMap<K, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
