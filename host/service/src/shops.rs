//! New shops, and the origins whose pages may use a shop's storefront keys.

use std::collections::BTreeSet;
use std::time::SystemTime;

use cartwright::{Currencies, Secret, SetupError, Shop, ShopId};
use cartwright_store::{ChangeError, Expected, Installation};
use url::Url;

/// Maximum number of origins of a shop.
const MAX_ORIGINS: usize = 100;

/// Returns a shop with default settings and a new seal key. An existing shop keeps its seal key when it is set.
///
/// # Errors
/// Returns an error if the system has no random bytes.
pub fn new_shop(id: ShopId, currencies: Currencies) -> Result<Shop, getrandom::Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let main = currencies.main().clone();
    let shop = Shop::new(id, main.code, main.scale, Secret::new(hex::encode(random)));
    Ok(Shop { currencies, ..shop })
}

/// Why a shop's origins were not set. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OriginsError {
    /// There are too many origins.
    #[error("a shop has at most {MAX_ORIGINS} origins")]
    TooMany,
    /// A text is not an origin in the form in which browsers send it.
    #[error("{0:?} is not an origin: enter the scheme and the host, such as https://shop.example")]
    Invalid(String),
    /// There is no such shop.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The origins are not as expected, or cannot be stored.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// Sets the origins whose pages may send requests from a browser, each in the form in which a browser sends it:
/// `https://shop.example`.
///
/// # Errors
/// Returns an error if a text is not such an origin, if there are too many, or if the origins are not as expected.
pub async fn set_origins(
    installation: &Installation,
    shop: &ShopId,
    origins: &BTreeSet<String>,
    expected: Expected<'_>,
    actor: &str,
    now: SystemTime,
) -> Result<(), OriginsError> {
    installation.host().shop(shop)?;
    check_origins(origins)?;
    Ok(installation.store().shops().set_origins(shop, origins, expected, actor, now).await?)
}

fn check_origins(origins: &BTreeSet<String>) -> Result<(), OriginsError> {
    if origins.len() > MAX_ORIGINS {
        return Err(OriginsError::TooMany);
    }
    for origin in origins {
        let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if url.is_none_or(|url| url.origin().ascii_serialization() != *origin) {
            return Err(OriginsError::Invalid(origin.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str) -> Result<(), OriginsError> {
        check_origins(&BTreeSet::from([origin.to_owned()]))
    }

    #[test]
    fn an_origin_has_the_form_that_browsers_send() {
        for origin in ["https://shop.example", "http://localhost:8080"] {
            assert!(check(origin).is_ok(), "{origin}");
        }
        for origin in
            ["https://shop.example/", "https://Shop.example", "https://shop.example:443", "shop.example", "null"]
        {
            assert!(matches!(check(origin), Err(OriginsError::Invalid(_))), "{origin}");
        }
    }

    #[test]
    fn a_shop_has_a_limited_number_of_origins() {
        let mut origins: BTreeSet<String> =
            (0..MAX_ORIGINS).map(|number| format!("https://{number}.shop.example")).collect();
        assert!(check_origins(&origins).is_ok());
        origins.insert("https://shop.example".to_owned());
        assert!(matches!(check_origins(&origins), Err(OriginsError::TooMany)));
    }
}
