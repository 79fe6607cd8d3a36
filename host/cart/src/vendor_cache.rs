//! A cache of what vendors' servers returned: prices, and resolved configurations.
//!
//! Equal requests at the same time are merged: the first asks the vendor, the others wait for its result. If it fails
//! or is dropped, each of the others asks itself. This is not a cache crate, because `moka` would bring a thread pool
//! and a dozen crates for one map.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cartwright_contract::ids::Digest;
use jiff::Timestamp;
use tokio::sync::watch;

/// What a vendor's server returned, as a [`VendorCache`] holds it.
pub trait VendorResult {
    /// Maximum size of all entries of a cache together.
    const MAX_SIZE: usize;

    /// Returns the size of the entry. An empty one counts as 1, so that the number of entries is bounded too.
    fn size(&self) -> usize;

    /// Returns when it was requested from the vendor.
    fn requested_at(&self) -> Timestamp;

    /// Returns when the entry expires.
    fn expires_at(&self) -> Timestamp;
}

enum Entry<T> {
    /// A request is in progress; its result arrives here.
    Pending(watch::Receiver<Option<Arc<T>>>),
    Hit(Arc<T>),
}

/// The cache of one kind of results.
pub struct VendorCache<T> {
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    by_key: HashMap<Digest, Entry<T>>,
    /// Size of all entries together.
    size: usize,
}

/// Result of a lookup.
pub enum Lookup<'a, T: VendorResult> {
    /// The result is cached.
    Hit(Arc<T>),
    /// The caller must ask the vendor and report the result.
    Miss(PendingRequest<'a, T>),
}

/// Permission to ask the vendor, while others may wait for the result.
pub struct PendingRequest<'a, T: VendorResult> {
    memory: &'a VendorCache<T>,
    key: Digest,
    /// The channel to the waiting calls. `None` for a request without any.
    waiting: Option<watch::Sender<Option<Arc<T>>>>,
}

impl<T> Default for VendorCache<T> {
    fn default() -> Self {
        Self { entries: Mutex::new(Entries { by_key: HashMap::new(), size: 0 }) }
    }
}

impl<T: VendorResult> VendorCache<T> {
    /// Looks up a result that was requested at most `max_age` ago. Waits for the result if a request is in progress.
    pub async fn get(&self, key: Digest, max_age: Duration, at: Timestamp) -> Lookup<'_, T> {
        let mut answer = {
            let mut entries = self.lock();
            match entries.by_key.get(&key) {
                Some(Entry::Hit(result)) if is_fresh(&**result, max_age, at) => return Lookup::Hit(result.clone()),
                Some(Entry::Pending(answer)) => answer.clone(),
                _ => {
                    let (waiting, answer) = watch::channel(None);
                    entries.put(key, Entry::Pending(answer));
                    return Lookup::Miss(PendingRequest { memory: self, key, waiting: Some(waiting) });
                }
            }
        };
        let result = answer.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
        match result {
            Some(result) => Lookup::Hit(result),
            None => Lookup::Miss(PendingRequest { memory: self, key, waiting: None }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the size of all entries together.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.lock().size
    }
}

fn is_fresh<T: VendorResult>(result: &T, max_age: Duration, at: Timestamp) -> bool {
    at < result.expires_at() && result.requested_at().checked_add(max_age).is_ok_and(|expires_at| at < expires_at)
}

impl<T: VendorResult> PendingRequest<'_, T> {
    /// Caches the result, and sends it to those who wait.
    pub fn remember(mut self, result: T) -> Arc<T> {
        let result = Arc::new(result);
        let waiting = self.waiting.take();
        let mut entries = self.memory.lock();
        if result.size() <= T::MAX_SIZE {
            entries.evict(result.size(), result.requested_at());
            entries.put(self.key, Entry::Hit(result.clone()));
        } else if waiting.is_some() {
            entries.take(&self.key);
        }
        drop(entries);
        if let Some(waiting) = waiting {
            waiting.send_replace(Some(result.clone()));
        }
        result
    }
}

impl<T: VendorResult> Drop for PendingRequest<'_, T> {
    /// Ends the request without a result; those who wait ask themselves.
    fn drop(&mut self) {
        if self.waiting.is_some() {
            self.memory.lock().take(&self.key);
        }
    }
}

impl<T: VendorResult> Entries<T> {
    fn put(&mut self, key: Digest, entry: Entry<T>) {
        self.take(&key);
        self.size += entry.size();
        self.by_key.insert(key, entry);
    }

    fn take(&mut self, key: &Digest) {
        if let Some(entry) = self.by_key.remove(key) {
            self.size -= entry.size();
        }
    }

    /// Removes expired entries, and the older half if that is not enough.
    fn evict(&mut self, more: usize, now: Timestamp) {
        if self.size + more <= T::MAX_SIZE {
            return;
        }
        self.by_key.retain(|_, entry| !matches!(entry, Entry::Hit(result) if result.expires_at() <= now));
        let mut request_times: Vec<Timestamp> = self.by_key.values().filter_map(Entry::requested_at).collect();
        request_times.sort_unstable();
        let middle = request_times.get(request_times.len() / 2).copied();
        let remaining: usize = self.by_key.values().map(Entry::size).sum();
        if remaining + more > T::MAX_SIZE / 2 {
            self.by_key.retain(|_, entry| entry.requested_at().is_none_or(|requested_at| Some(requested_at) > middle));
        }
        self.size = self.by_key.values().map(Entry::size).sum();
    }
}

impl<T: VendorResult> Entry<T> {
    fn size(&self) -> usize {
        match self {
            Self::Pending(_) => 0,
            Self::Hit(result) => result.size().max(1),
        }
    }

    fn requested_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending(_) => None,
            Self::Hit(result) => Some(result.requested_at()),
        }
    }
}
