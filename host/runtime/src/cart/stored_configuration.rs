//! The stored configuration of a cart line, which only a line that is as it was sealed can open.

use cartwright_cart::error::{CONFIGURATION_EXPIRED, CartError, SealError};
use cartwright_cart::line::CartLine;
use cartwright_cart::shop::Shop;
use cartwright_contract::ids::Digest;
use jiff::Timestamp;

use crate::host::Cartwright;

impl Cartwright {
    /// Returns the raw configuration of a line from the blob store. A line that was changed after it was sealed is
    /// refused, because it could name another customer's configuration. An expired seal is accepted.
    ///
    /// # Errors
    /// Returns [`CartError::Seal`] for a changed line, and an error if the configuration is no longer stored.
    pub(crate) async fn stored_configuration(
        &self,
        shop: &Shop,
        line: &CartLine,
    ) -> Result<Option<Vec<u8>>, CartError> {
        let Some(digest) = authorized_configuration(shop, line)? else { return Ok(None) };
        let stored = self.platform().blobs.get(&shop.id, &digest).await;
        match stored.map_err(|error| CartError::Platform(error.to_string()))? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(CartError::MustReconfigure { key: line.key.clone(), reason: CONFIGURATION_EXPIRED.to_owned() }),
        }
    }
}

/// Returns the digest of a line's configuration, unless the line was changed after it was sealed.
///
/// # Errors
/// Returns [`CartError::Seal`] for a changed line.
pub(super) fn authorized_configuration(shop: &Shop, line: &CartLine) -> Result<Option<Digest>, CartError> {
    let Some(digest) = line.configuration else { return Ok(None) };
    match line.check_seal(shop, Timestamp::now()) {
        Err(fault @ SealError::Forged) => Err(CartError::Seal { key: line.key.clone(), fault }),
        _ => Ok(Some(digest)),
    }
}
