//! What must not be read from a stolen copy of the database: sealed with XChaCha20-Poly1305, whose nonces are long enough to be
//! drawn at random for as many values as will ever be written.
//!
//! Two kinds of keys. The store's key is given by the caller and seals secrets and the orders' keys. Each order has a key of its
//! own, which seals everything about that order: destroying it forgets the order, in every copy of the tables that is made later.
//! A new store key therefore re-seals few bytes.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::StoreError;

const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
/// Where the text begins: format, key id, nonce.
pub(crate) const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// The store's keys: one that seals, and older ones that can still be read.
#[derive(Debug)]
pub struct Keyring {
    current: Key,
    previous: Vec<Key>,
}

impl Keyring {
    /// A ring of one key: 32 random bytes, kept outside the database.
    pub fn new(key: [u8; 32]) -> Self {
        Self { current: Key::of(key), previous: Vec::new() }
    }

    /// With a key that older values may still be sealed with. See [`Store::rotate_keys`](crate::Store::rotate_keys).
    pub fn with_previous(mut self, key: [u8; 32]) -> Self {
        self.previous.push(Key::of(key));
        self
    }

    pub(crate) fn current(&self) -> &Key {
        &self.current
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Seals with the current key. `place` says where it will stand: elsewhere it does not open.
    pub(crate) fn encrypt(&self, aad: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.current.encrypt(aad, plain)
    }

    /// Opens with whichever key it was sealed with.
    pub(crate) fn decrypt(&self, aad: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let id = sealed.get(1..=KEY_ID_BYTES).unwrap_or_default();
        match self.all().find(|key| key.id == id) {
            Some(key) => key.decrypt(aad, sealed),
            None => Err(StoreError::WrongKey { key_id: to_hex(id) }),
        }
    }

    /// A fresh key for an order, and the same sealed.
    pub(crate) fn new_key(&self, aad: &str) -> Result<(Key, Vec<u8>), StoreError> {
        let key = Key::of(random()?);
        let sealed = self.encrypt(aad, &*key.bytes)?;
        Ok((key, sealed))
    }

    /// An order's key.
    pub(crate) fn decrypt_key(&self, aad: &str, sealed: &[u8]) -> Result<Key, StoreError> {
        let bytes = self.decrypt(aad, sealed)?;
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(Key::of(bytes)),
            Err(error) => Err(StoreError::corrupt(aad, error)),
        }
    }
}

/// A key and its name.
#[derive(Clone)]
pub(crate) struct Key {
    id: [u8; KEY_ID_BYTES],
    bytes: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(key {})", self.name())
    }
}

impl Key {
    fn of(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let digest = Sha256::new().chain_update(b"cartwright key id").chain_update(*bytes).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { id, bytes }
    }

    pub(crate) fn name(&self) -> String {
        to_hex(&self.id)
    }

    /// A short name for a text, which nobody without the key can undo by trying texts.
    pub(crate) fn keyed_hash(&self, text: &str) -> Result<String, StoreError> {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.bytes);
        let mac = mac.map_err(|error| StoreError::Unusable(format!("the store's key: {error}")))?;
        Ok(to_hex(&mac.chain_update(b"cartwright tag\n").chain_update(text).finalize().into_bytes()[..KEY_ID_BYTES]))
    }

    /// What everything begins with that this key sealed.
    pub(crate) fn header(&self) -> Vec<u8> {
        [&[FORMAT], self.id.as_slice()].concat()
    }

    pub(crate) fn encrypt(&self, aad: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain, aad: aad.as_bytes() };
        let sealed = XChaCha20Poly1305::new(&(*self.bytes).into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Unusable(format!("{aad} is too long to be sealed")))?;
        Ok([self.header(), nonce.to_vec(), sealed].concat())
    }

    pub(crate) fn decrypt(&self, aad: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let damaged = |what: &str| StoreError::Corrupt(format!("{aad} {what}"));
        let (head, text) = sealed.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("is cut short"))?;
        if head[0] != FORMAT || head[1..=KEY_ID_BYTES] != self.id {
            return Err(damaged("was sealed with another key or in another format"));
        }
        let nonce = <[u8; NONCE_BYTES]>::try_from(&head[1 + KEY_ID_BYTES..]).map_err(|_| damaged("is cut short"))?;
        XChaCha20Poly1305::new(&(*self.bytes).into())
            .decrypt(&XNonce::from(nonce), Payload { msg: text, aad: aad.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| damaged("was changed, or stands in another place than it was written for"))
    }

    /// JSON, sealed.
    pub(crate) fn encrypt_json(&self, aad: &str, value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
        let json = serde_json::to_vec(value).map_err(|error| StoreError::Unusable(format!("{aad}: {error}")))?;
        self.encrypt(aad, &Zeroizing::new(json))
    }

    /// What was sealed as JSON.
    pub(crate) fn decrypt_json<T: serde::de::DeserializeOwned>(
        &self,
        aad: &str,
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        serde_json::from_slice(&self.decrypt(aad, sealed)?).map_err(|error| StoreError::corrupt_json(aad, &error))
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("the system's random numbers: {error}")))?;
    Ok(bytes)
}
