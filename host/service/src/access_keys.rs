//! Creation and rotation of access keys.

use std::time::{Duration, SystemTime};

use cartwright::Secret;
use cartwright_store::{NewAccessKey, Store, StoreError};

/// Maximum length of a label, in characters.
pub const MAX_LABEL_CHARS: usize = 100;
/// Maximum time for which the old secret of a rotated key stays valid, in seconds: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 30 * 86_400;

/// Why an access key was not created or rotated.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyError {
    /// The label is blank or too long.
    #[error("a label has 1 to {MAX_LABEL_CHARS} characters")]
    Label,
    /// The old secret would stay valid for too long.
    #[error("both secrets can be valid for at most {MAX_OVERLAP_SECONDS} seconds")]
    Overlap,
    /// The store failed, or has no such shop or key.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates an access key. Returns its id, and the key itself, which cannot be read again.
///
/// # Errors
/// Returns [`AccessKeyError::Label`], and [`StoreError::NotFound`] if the role's shop is not stored.
pub async fn create(
    store: &Store,
    key: &NewAccessKey,
    actor: &str,
    now: SystemTime,
) -> Result<(String, Secret), AccessKeyError> {
    check_label(&key.label)?;
    Ok(store.access().create_access_key(key, actor, now).await?)
}

fn check_label(label: &str) -> Result<(), AccessKeyError> {
    match label.trim().is_empty() || label.chars().count() > MAX_LABEL_CHARS {
        true => Err(AccessKeyError::Label),
        false => Ok(()),
    }
}

/// Gives an access key another secret, and returns the new key, which cannot be read again. The old one stays valid for
/// `overlap`.
///
/// # Errors
/// Returns [`AccessKeyError::Overlap`], [`StoreError::NotFound`] if there is no such key, and [`StoreError::Conflict`]
/// if it was revoked.
pub async fn rotate(
    store: &Store,
    id: &str,
    overlap: Duration,
    actor: &str,
    now: SystemTime,
) -> Result<Secret, AccessKeyError> {
    if overlap > Duration::from_secs(MAX_OVERLAP_SECONDS) {
        return Err(AccessKeyError::Overlap);
    }
    Ok(store.access().rotate_access_key(None, id, overlap, actor, now).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_not_blank_and_not_too_long() {
        for label in ["webshop", "é".repeat(MAX_LABEL_CHARS).as_str()] {
            assert!(check_label(label).is_ok(), "{label}");
        }
        for label in ["", "  ", "é".repeat(MAX_LABEL_CHARS + 1).as_str()] {
            assert!(matches!(check_label(label), Err(AccessKeyError::Label)), "{label}");
        }
    }
}
