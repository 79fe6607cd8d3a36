//! Encryption of what must not be readable in a stolen copy of the database, with XChaCha20-Poly1305, whose nonces are
//! long enough to be random for any number of values.
//!
//! There are two kinds of keys. The store's key is given by the caller and encrypts secrets and the orders' keys. Each
//! order has a key of its own, which encrypts everything about that order: destroying it erases the order, in every
//! copy of the tables that is made later. A rotation of the store key therefore re-encrypts few bytes.

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
/// Length of the header before the ciphertext: format, key id, nonce.
pub(crate) const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// The store's keys: one that encrypts, and older ones that can still decrypt.
#[derive(Debug)]
pub struct Keyring {
    current: Key,
    previous: Vec<Key>,
}

impl Keyring {
    /// Creates a ring of one key: 32 random bytes, stored outside the database.
    pub fn new(key: [u8; 32]) -> Self {
        Self { current: Key::of(key), previous: Vec::new() }
    }

    /// Adds a key that older values may still be encrypted with. See [`Store::rotate_keys`](crate::Store::rotate_keys).
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

    /// Encrypts with the current key. `aad` binds the value to its row: with any other text it cannot be decrypted.
    pub(crate) fn encrypt(&self, aad: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.current.encrypt(aad, plain)
    }

    /// Decrypts with the key that encrypted the value.
    pub(crate) fn decrypt(&self, aad: &str, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let id = encrypted.get(1..=KEY_ID_BYTES).unwrap_or_default();
        match self.all().find(|key| key.id == id) {
            Some(key) => key.decrypt(aad, encrypted),
            None => Err(StoreError::WrongKey { key_id: hex::encode(id) }),
        }
    }

    /// Generates a key for an order. Returns it, and its encrypted form.
    pub(crate) fn new_key(&self, aad: &str) -> Result<(Key, Vec<u8>), StoreError> {
        let key = Key::of(random()?);
        let encrypted = self.encrypt(aad, &*key.bytes)?;
        Ok((key, encrypted))
    }

    /// Decrypts an order's key.
    pub(crate) fn decrypt_key(&self, aad: &str, encrypted: &[u8]) -> Result<Key, StoreError> {
        let bytes = self.decrypt(aad, encrypted)?;
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(Key::of(bytes)),
            Err(error) => Err(StoreError::corrupt(aad, error)),
        }
    }
}

/// A key and its id.
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
    #[allow(clippy::indexing_slicing, reason = "a SHA-256 digest has 32 bytes, more than a key id")]
    fn of(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let digest = Sha256::new().chain_update(b"cartwright key id").chain_update(*bytes).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { id, bytes }
    }

    pub(crate) fn name(&self) -> String {
        hex::encode(self.id)
    }

    /// Returns a short hash of a text, which cannot be reversed by trying texts without the key.
    #[allow(clippy::indexing_slicing, reason = "a SHA-256 digest has 32 bytes, more than a key id")]
    pub(crate) fn keyed_hash(&self, text: &str) -> Result<String, StoreError> {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.bytes);
        let mac = mac.map_err(|error| StoreError::Unusable(format!("the store's key: {error}")))?;
        Ok(hex::encode(
            &mac.chain_update(b"cartwright tag\n").chain_update(text).finalize().into_bytes()[..KEY_ID_BYTES],
        ))
    }

    /// Returns the header of every value that this key encrypted.
    pub(crate) fn header(&self) -> Vec<u8> {
        [&[FORMAT], self.id.as_slice()].concat()
    }

    pub(crate) fn encrypt(&self, aad: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain, aad: aad.as_bytes() };
        let ciphertext = XChaCha20Poly1305::new(&(*self.bytes).into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Unusable(format!("{aad} is too long to be encrypted")))?;
        Ok([self.header(), nonce.to_vec(), ciphertext].concat())
    }

    pub(crate) fn decrypt(&self, aad: &str, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let damaged = |what: &str| StoreError::Corrupt(format!("{aad} {what}"));
        let (head, text) = encrypted.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("is truncated"))?;
        let nonce = head
            .strip_prefix(self.header().as_slice())
            .ok_or_else(|| damaged("was encrypted with another key or in another format"))?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| damaged("is truncated"))?;
        XChaCha20Poly1305::new(&(*self.bytes).into())
            .decrypt(&XNonce::from(nonce), Payload { msg: text, aad: aad.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| damaged("was changed, or belongs to another row"))
    }

    /// Encrypts a value as JSON.
    pub(crate) fn encrypt_json(&self, aad: &str, value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
        let json = serde_json::to_vec(value).map_err(|error| StoreError::Unusable(format!("{aad}: {error}")))?;
        self.encrypt(aad, &Zeroizing::new(json))
    }

    /// Decrypts a JSON value.
    pub(crate) fn decrypt_json<T: serde::de::DeserializeOwned>(
        &self,
        aad: &str,
        encrypted: &[u8],
    ) -> Result<T, StoreError> {
        serde_json::from_slice(&self.decrypt(aad, encrypted)?).map_err(|error| StoreError::corrupt_json(aad, &error))
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("the system's random numbers: {error}")))?;
    Ok(bytes)
}
