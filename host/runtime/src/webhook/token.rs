//! Addresses that cannot be guessed, which is all that keeps strangers from an endpoint whose vendor signs nothing.
//!
//! An address has two random parts in one text. A store finds it by the first, its selector, which is no secret; the second is
//! 192 bits, is kept only as its hash, and is compared in constant time. So neither a database's index nor a copy of the database
//! gives an address away. It is shown once, when it is made; who lost it makes another.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use cartwright_contract::ids::{AccountId, InvalidId, ShopId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::webhook::refusal::Refusal;

const SELECTOR_BYTES: usize = 8;
const SECRET_BYTES: usize = 24;

/// What a store finds an address by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector([u8; SELECTOR_BYTES]);

/// Whose an address is: what a request that comes there is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Destination {
    /// The shop.
    pub shop: ShopId,
    /// Its vendor account.
    pub account: AccountId,
    /// The endpoint's name.
    pub endpoint: String,
}

/// The part of an address that stands behind the server's own: 64 hex digits. Whoever knows it is taken for the vendor where
/// nothing is signed, so it is never printed by accident and wiped when dropped.
#[derive(Clone)]
pub struct WebhookToken {
    selector: Selector,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// What a store keeps of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWebhookToken {
    /// What it is found by; unique in the store.
    pub selector: Selector,
    /// The hash of its secret part.
    pub hash: TokenHash,
    /// Whose it is.
    pub destination: Destination,
    /// When it ends because another took its place; none while none did.
    #[serde(default)]
    pub expires_at: Option<SystemTime>,
}

/// The hash of an address's secret part. Plain SHA-256 is enough: 192 random bits cannot be tried out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash([u8; 32]);

/// What holds an address open, as a store knows it at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookUrlUse {
    /// Is the account still set up in its shop?
    pub has_account: bool,
    /// Is there an order of the account that is not closed? A vendor that was swapped for another still reports on those.
    pub has_open_order: bool,
}

impl WebhookToken {
    /// A new address. Keep [`Self::stored`], show [`Self::reveal`] once.
    ///
    /// # Errors
    /// When the machine gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let (mut selector, mut secret) = ([0; SELECTOR_BYTES], Zeroizing::new([0; SECRET_BYTES]));
        getrandom::fill(&mut selector)?;
        getrandom::fill(&mut *secret)?;
        Ok(Self { selector: Selector(selector), secret })
    }

    /// The address as text, for the merchant to copy.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", self.selector, *Zeroizing::new(hex::encode(*self.secret))))
    }

    /// What a store finds it by.
    pub fn selector(&self) -> Selector {
        self.selector
    }

    /// What a store keeps.
    pub fn stored(&self, destination: Destination) -> StoredWebhookToken {
        StoredWebhookToken { selector: self.selector, hash: self.hash(), destination, expires_at: None }
    }

    /// Whose this address is, from what a store has under its selector.
    ///
    /// # Errors
    /// [`Refusal::UnknownAddress`] when it is nobody's, ended, or neither its account nor an open order holds it open. One refusal
    /// for all: a sender must not learn which.
    pub fn resolve(
        &self,
        stored: Option<(&StoredWebhookToken, WebhookUrlUse)>,
        at: SystemTime,
    ) -> Result<Destination, Refusal> {
        let (stored, held) = stored.ok_or(Refusal::UnknownAddress)?;
        let is_it = stored.selector == self.selector && stored.hash.matches(&self.hash());
        let ended = stored.expires_at.is_some_and(|expires_at| expires_at <= at);
        if is_it && !ended && (held.has_account || held.has_open_order) {
            return Ok(stored.destination.clone());
        }
        Err(Refusal::UnknownAddress)
    }

    fn hash(&self) -> TokenHash {
        let hash = Sha256::new().chain_update(b"cartwright webhook address\0").chain_update(self.selector.0);
        TokenHash(hash.chain_update(*self.secret).finalize().into())
    }
}

impl TokenHash {
    fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for WebhookToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(secret)", self.selector)
    }
}

/// Reads the last part of the address that a request came to.
impl FromStr for WebhookToken {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (selector, secret) = text.split_at_checked(2 * SELECTOR_BYTES).ok_or(Refusal::UnknownAddress)?;
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        decode_hex(secret, &mut *bytes).ok_or(Refusal::UnknownAddress)?;
        Ok(Self { selector: selector.parse().map_err(|_| Refusal::UnknownAddress)?, secret: bytes })
    }
}

/// Lower-case hex of exactly so many bytes: an address has one spelling.
fn decode_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, bytes).ok()
}

macro_rules! as_hex {
    ($type:ident, $kind:literal, $rule:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut value = Self([0; _]);
                // Never the text itself: somebody may have put a whole address there.
                let invalid = || InvalidId { kind: $kind, value: "(not shown)".to_owned(), rule: $rule };
                decode_hex(text, &mut value.0).ok_or_else(invalid)?;
                Ok(value)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}

as_hex!(Selector, "address selector", "use 16 lower-case hex digits");
as_hex!(TokenHash, "address hash", "use 64 lower-case hex digits");
