//! What the limits remember of clients and keys, which is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum number of remembered addresses, and of remembered keys.
pub(super) const MAX_REMEMBERED: usize = 100_000;

/// Makes room for an entry: drops those that no longer count, or all if that is not enough.
pub(super) fn make_room<K: Eq + Hash, V>(all: &mut HashMap<K, V>, counts: impl Fn(&V) -> bool) {
    if all.len() >= MAX_REMEMBERED {
        all.retain(|_, value| counts(value));
    }
    if all.len() >= MAX_REMEMBERED {
        all.clear();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
