//! Texts that let somebody in: what they are found by, which is no secret, and a secret of 192 bits, which is kept as its hash.
//!
//! `cw_backend_0123456789abcdef_` and 48 more hex digits: a scanner for leaked secrets finds one by the expression
//! `cw_(storefront|backend|integrator|admin|session)_[0-9a-f]{16}_[0-9a-f]{48}`.

use cartwright::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::vault::{random, to_hex};

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 24;

/// A text, read.
pub(super) struct Ticket {
    /// What it is for: a role, or "session".
    pub(super) kind: String,
    /// What it is found by.
    pub(super) id: String,
    pub(super) secret: Zeroizing<String>,
}

impl Ticket {
    pub(super) fn new(kind: &str) -> Result<Self, StoreError> {
        let id = to_hex(&random::<ID_BYTES>()?);
        Ok(Self { kind: kind.to_owned(), secret: fresh_secret()?, id })
    }

    /// The same with another secret.
    pub(super) fn renewed(kind: &str, id: &str) -> Result<Self, StoreError> {
        Ok(Self { kind: kind.to_owned(), id: id.to_owned(), secret: fresh_secret()? })
    }

    /// None for what is no such text: it has one spelling.
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

    /// The text, to be shown once.
    pub(super) fn reveal(&self) -> Secret {
        Secret::new(format!("cw_{}_{}_{}", self.kind, self.id, *self.secret))
    }

    /// What is kept of the secret. Plain SHA-256 is enough: 192 random bits cannot be tried out. Of another kind or id it is another.
    pub(super) fn hash(&self) -> String {
        let Self { kind, id, secret } = self;
        let hash = Sha256::new().chain_update(format!("cartwright {kind} {id} ")).chain_update(secret.as_bytes());
        to_hex(&hash.finalize())
    }

    /// Is this the hash of its secret? Takes as long when it is not.
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
    Ok(Zeroizing::new(to_hex(&*bytes)))
}
