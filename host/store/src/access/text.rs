//! The texts of access keys and sessions: a public id, and a secret of 192 bits, of which the hash is stored.
//!
//! They look like `cw_backend_0123456789abcdef_` and 48 more hex digits: a scanner for leaked secrets finds them with
//! the expression `cw_(storefront|backend|integrator|admin|session)_[0-9a-f]{16}_[0-9a-f]{48}`.

use cartwright::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::vault::random;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 24;

/// A parsed key or session text.
pub(super) struct Ticket {
    /// Role, or "session".
    pub(super) kind: String,
    /// Public id.
    pub(super) id: String,
    pub(super) secret: Zeroizing<String>,
}

impl Ticket {
    pub(super) fn new(kind: &str) -> Result<Self, StoreError> {
        let id = hex::encode(random::<ID_BYTES>()?);
        Ok(Self { kind: kind.to_owned(), secret: fresh_secret()?, id })
    }

    /// Creates a ticket with this kind and id and a new secret.
    pub(super) fn renewed(kind: &str, id: &str) -> Result<Self, StoreError> {
        Ok(Self { kind: kind.to_owned(), id: id.to_owned(), secret: fresh_secret()? })
    }

    /// Parses a text. Returns `None` for any text but the one spelling of a ticket.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_prefix("cw_")?.split_once('_')?;
        let (id, secret) = rest.split_once('_')?;
        let is_hex = |text: &str, bytes: usize| {
            text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let fits = is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES);
        let secret = Zeroizing::new(secret.to_owned());
        fits.then(|| Self { kind: kind.to_owned(), id: id.to_owned(), secret })
    }

    /// Returns the text, to be shown once.
    pub(super) fn reveal(&self) -> Secret {
        Secret::new(format!("cw_{}_{}_{}", self.kind, self.id, *self.secret))
    }

    /// Returns the stored hash of the secret. Plain SHA-256 is enough, because 192 random bits cannot be guessed. The
    /// hash also depends on kind and id.
    pub(super) fn hash(&self) -> String {
        let Self { kind, id, secret } = self;
        let hash = Sha256::new().chain_update(format!("cartwright {kind} {id} ")).chain_update(secret.as_bytes());
        hex::encode(hash.finalize())
    }

    /// Returns whether this is the hash of the secret, in constant time.
    pub(super) fn matches(&self, hash: &str) -> bool {
        same(&self.hash(), hash)
    }
}

/// Compares in constant time.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn fresh_secret() -> Result<Zeroizing<String>, StoreError> {
    let bytes = Zeroizing::new(random::<SECRET_BYTES>()?);
    Ok(Zeroizing::new(hex::encode(bytes.as_slice())))
}
