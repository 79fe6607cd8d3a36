//! Webhook URLs that cannot be guessed, which is the only protection of an endpoint whose vendor signs nothing.
//!
//! A token has two random parts in one text. A store finds it by the first, the selector, which is not secret. The
//! second has 192 bits, is stored only as a hash, and is compared in constant time. Therefore neither an index of the
//! database nor a copy of it reveals a URL. The URL is shown once, when it is created; a lost one is replaced by a new
//! one.

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

/// The part of a token by which a store finds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector([u8; SELECTOR_BYTES]);

/// The account and endpoint that a webhook URL belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Destination {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// Name of the endpoint.
    pub endpoint: String,
}

/// The last segment of a webhook URL: 64 hex digits. If nothing is signed, knowing it is enough to pass as the vendor,
/// so it is never printed by accident and is wiped when dropped.
#[derive(Clone)]
pub struct WebhookToken {
    selector: Selector,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// The stored form of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWebhookToken {
    /// The selector, unique in the store.
    pub selector: Selector,
    /// Hash of the secret part.
    pub hash: TokenHash,
    /// The account and endpoint.
    pub destination: Destination,
    /// When the token expires because another replaced it; `None` while it is current.
    #[serde(default)]
    pub expires_at: Option<SystemTime>,
}

/// Hash of a token's secret part. Plain SHA-256 is sufficient, because 192 random bits cannot be guessed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash([u8; 32]);

/// What keeps a webhook URL valid, as a store knows it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookUrlUse {
    /// Whether the account is still set up in its shop.
    pub has_account: bool,
    /// Whether the account has an order that is not closed. A vendor that was switched away still reports on those.
    pub has_open_order: bool,
}

impl WebhookToken {
    /// Generates a token. Store [`Self::stored`] and show [`Self::reveal`] once.
    ///
    /// # Errors
    /// Returns an error if the system returns no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let (mut selector, mut secret) = ([0; SELECTOR_BYTES], Zeroizing::new([0; SECRET_BYTES]));
        getrandom::fill(&mut selector)?;
        getrandom::fill(&mut *secret)?;
        Ok(Self { selector: Selector(selector), secret })
    }

    /// Returns the token as text, for the merchant to copy.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", self.selector, *Zeroizing::new(hex::encode(*self.secret))))
    }

    /// Returns the selector.
    pub fn selector(&self) -> Selector {
        self.selector
    }

    /// Returns the stored form.
    pub fn stored(&self, destination: Destination) -> StoredWebhookToken {
        StoredWebhookToken { selector: self.selector, hash: self.hash(), destination, expires_at: None }
    }

    /// Returns the account and endpoint of this token, given what a store has under its selector.
    ///
    /// # Errors
    /// Returns [`Refusal::UnknownAddress`] if the token is unknown or expired, or if neither its account nor an open
    /// order keeps it valid. The refusal is the same in all cases, so that a sender cannot distinguish them.
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

/// Parses the last path segment of a request.
impl FromStr for WebhookToken {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (selector, secret) = text.split_at_checked(2 * SELECTOR_BYTES).ok_or(Refusal::UnknownAddress)?;
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        decode_hex(secret, &mut *bytes).ok_or(Refusal::UnknownAddress)?;
        Ok(Self { selector: selector.parse().map_err(|_| Refusal::UnknownAddress)?, secret: bytes })
    }
}

/// Decodes lower-case hex of exactly this many bytes, so that a token has one spelling.
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
                // The text itself is never shown, because it may contain a whole webhook URL.
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
