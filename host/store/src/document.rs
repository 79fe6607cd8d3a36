//! Documents of orders, through document URLs that are signed and expire.
//!
//! A URL is `documents/<shop>/<outcome>?expires=<Unix seconds>&signature=<hex>`: it gives access to this one document
//! until it expires. It is signed with a key that is derived from the shop's `seal_key`, so that no further key is
//! stored. It names no file: the document is looked up.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::types::{BytesSource, Document, Outcome};
use cartwright::{Digest, ShopId};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::StoreError;
use crate::facades::Documents;
use crate::keys::aad;
use crate::media_type::safe_media_type;
use crate::stored_outcome::OutcomeSelection;

/// Prefix of the path of document URLs.
const PATH: &str = "documents/";
/// Maximum length of a file name, in characters.
const MAX_FILE_NAME_CHARS: usize = 150;

/// A document URL, created or received. Displays as the path and query of a URL, without a leading "/".
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentUrl {
    shop: ShopId,
    outcome: i64,
    expires: u64,
    signature: [u8; 32],
}

/// The bytes of a document, ready to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFile {
    /// Bytes of the document.
    pub bytes: Vec<u8>,
    /// Media type (RFC 6838). It comes from a plugin: serve it with `X-Content-Type-Options: nosniff`.
    pub media_type: String,
    /// File name that is valid on every system: without folders, control characters, or a leading period.
    pub file_name: String,
}

/// Why a document URL gives no access.
#[derive(Debug, thiserror::Error)]
pub enum DocumentUrlError {
    /// The text is not a document URL of this host.
    #[error("invalid document URL; use the complete URL")]
    Malformed,
    /// This host did not sign the URL, or its shop, document or expiry was changed.
    #[error("the document URL has an invalid signature; request a new one")]
    WrongSignature,
    /// The URL has expired.
    #[error("the document URL has expired; request a new one")]
    Expired,
    /// The document no longer exists, or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DocumentUrl {
    fn message(shop: &ShopId, outcome: i64, expires: u64) -> String {
        // A shop's id contains no line break.
        format!("{shop}\n{outcome}\n{expires}")
    }

    fn new(key: Hmac<Sha256>, shop: &ShopId, outcome: i64, expires: u64) -> Self {
        let signature = key.chain_update(Self::message(shop, outcome, expires)).finalize().into_bytes().into();
        Self { shop: shop.clone(), outcome, expires, signature }
    }

    /// Checks the signature first, so that a forged URL reveals nothing else.
    fn check(&self, key: Hmac<Sha256>, now: SystemTime) -> Result<(), DocumentUrlError> {
        key.chain_update(Self::message(&self.shop, self.outcome, self.expires))
            .verify_slice(&self.signature)
            .map_err(|_| DocumentUrlError::WrongSignature)?;
        if seconds(now) >= self.expires { Err(DocumentUrlError::Expired) } else { Ok(()) }
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shop, outcome, expires, signature } = self;
        write!(f, "{PATH}{shop}/{outcome}?expires={expires}&signature={}", hex::encode(signature))
    }
}

/// The signature is omitted, so that a log does not give access to documents.
impl fmt::Debug for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PATH}{}/{}?expires={}", self.shop, self.outcome, self.expires)
    }
}

/// Parses the path and query of a request, with or without its leading "/".
impl FromStr for DocumentUrl {
    type Err = DocumentUrlError;

    fn from_str(text: &str) -> Result<Self, DocumentUrlError> {
        let read = || {
            let text = text.strip_prefix('/').unwrap_or(text).strip_prefix(PATH)?;
            let (path, query) = text.split_once('?')?;
            let (shop, outcome) = path.split_once('/')?;
            let (expires, signature) = query.strip_prefix("expires=")?.split_once("&signature=")?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(signature, &mut bytes).ok()?;
            let (outcome, expires) = (outcome.parse().ok()?, expires.parse().ok()?);
            let link = Self { shop: shop.parse().ok()?, outcome, expires, signature: bytes };
            // A URL has exactly one spelling.
            (link.to_string().strip_prefix(PATH) == Some(text)).then_some(link)
        };
        read().ok_or(DocumentUrlError::Malformed)
    }
}

impl DocumentFile {
    /// Returns the value of the header `Content-Disposition`: the browser saves the file under its name, and never
    /// shows it as a page of the shop (RFC 6266).
    pub fn content_disposition(&self) -> String {
        let plain = |sign: char| if sign.is_ascii_alphanumeric() || "._-".contains(sign) { sign } else { '_' };
        let ascii: String = self.file_name.chars().map(plain).collect();
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        let encoded: String = self.file_name.bytes().map(encode).collect();
        format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
    }
}

impl Documents<'_> {
    /// Creates a URL for a document that an outcome of an order named.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the outcome is not a document of this shop, or the shop is not stored;
    /// [`StoreError::Erased`].
    pub async fn document_url(
        self,
        shop: &ShopId,
        outcome: i64,
        valid_for: Duration,
        now: SystemTime,
    ) -> Result<DocumentUrl, StoreError> {
        self.document_of(shop, outcome).await?;
        let expires = seconds(now).saturating_add(valid_for.as_secs());
        Ok(DocumentUrl::new(self.link_key(shop).await?, shop, outcome, expires))
    }

    /// Returns the document that a URL names.
    ///
    /// # Errors
    /// [`DocumentUrlError`] says what is wrong with the URL; [`StoreError::NotFound`] and [`StoreError::Erased`] mean
    /// that the document no longer exists.
    pub async fn document(self, link: &DocumentUrl, now: SystemTime) -> Result<DocumentFile, DocumentUrlError> {
        let key = match self.link_key(&link.shop).await {
            // The error must not reveal which shops exist.
            Err(StoreError::NotFound { .. }) => return Err(DocumentUrlError::WrongSignature),
            key => key?,
        };
        link.check(key, now)?;
        let document = self.document_of(&link.shop, link.outcome).await?;
        let BytesSource::Stored(digest) = &document.content else {
            return Err(StoreError::Corrupt(format!("the document {} has no stored bytes", link.outcome)).into());
        };
        let digest: Digest = digest.parse().map_err(|error| StoreError::corrupt("a document's digest", error))?;
        let missing = || StoreError::NotFound { what: "stored document", id: digest.to_string() };
        let bytes = self.store.blobs().blob(&link.shop, &digest).await?.ok_or_else(missing)?;
        Ok(DocumentFile {
            bytes,
            media_type: safe_media_type(&document.media_type),
            file_name: safe_name(&document.name),
        })
    }

    async fn document_of(self, shop: &ShopId, outcome: i64) -> Result<Document, StoreError> {
        let missing = || StoreError::NotFound { what: "document", id: outcome.to_string() };
        let mut connection = self.store.pool().acquire().await?;
        let found: Option<(String,)> =
            sqlx::query_as("select order_id from order_outcomes where shop = $1 and id = $2 and kind = 'document'")
                .bind(shop.as_str())
                .bind(outcome)
                .fetch_optional(&mut *connection)
                .await?;
        let (order,) = found.ok_or_else(missing)?;
        let known = self.store.orders().read_order(&mut connection, shop, &order).await?.ok_or_else(missing)?;
        let one = OutcomeSelection::One(outcome);
        let found = self.store.outcomes().outcomes_in(&mut connection, &known.key, shop, &order, one).await?.pop();
        match found.map(|found| found.outcome) {
            Some(Outcome::Document(document)) => Ok(document),
            _ => Err(missing()),
        }
    }

    async fn link_key(self, shop: &ShopId) -> Result<Hmac<Sha256>, StoreError> {
        let found: Option<(Vec<u8>,)> = sqlx::query_as("select price_seal_key from shops where id = $1")
            .bind(shop.as_str())
            .fetch_optional(self.store.pool())
            .await?;
        let missing = || StoreError::NotFound { what: "shop", id: shop.to_string() };
        let (encrypted,) = found.ok_or_else(missing)?;
        let key = self.store.keys().decrypt(&aad("shop", shop.as_str(), ""), &encrypted)?;
        let keyed = |key: &[u8]| {
            // HMAC accepts a key of any length.
            Hmac::<Sha256>::new_from_slice(key).map_err(|error| StoreError::corrupt("a shop's seal key", error))
        };
        let derived = keyed(&key)?.chain_update(format!("cartwright document links\n{shop}")).finalize();
        keyed(&derived.into_bytes())
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns a safe file name. A vendor chose the name, and a merchant saves the file.
fn safe_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let forbidden = |sign: char| sign.is_control() || "<>:\"|?*%;".contains(sign) || is_direction(sign);
    let name: String = name.chars().filter(|sign| !forbidden(*sign)).take(MAX_FILE_NAME_CHARS).collect();
    let name = name.trim().trim_start_matches(['.', '-', '~']).trim_end_matches(['.', ' ']);
    if name.is_empty() { "document".to_owned() } else { name.to_owned() }
}

/// Returns whether a character changes the text direction, which makes "exe.pdf" look like "fdp.exe".
fn is_direction(sign: char) -> bool {
    matches!(sign, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::ANY_TYPE;

    #[test]
    fn a_file_name_is_one_on_every_system() {
        for (named, saved) in [
            ("ring.svg", "ring.svg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\ring.pdf", "ring.pdf"),
            ("..", "document"),
            ("", "document"),
            (".htaccess", "htaccess"),
            ("a\r\nSet-Cookie: x\".pdf", "aSet-Cookie x.pdf"),
            ("Zoë's ring.pdf", "Zoë's ring.pdf"),
            ("ring\u{202E}fdp.exe", "ringfdp.exe"),
        ] {
            assert_eq!(safe_name(named), saved, "{named:?}");
        }
        assert_eq!(safe_name(&"ä".repeat(1000)).chars().count(), MAX_FILE_NAME_CHARS);
    }

    #[test]
    fn a_file_is_saved_under_its_name() {
        let file = DocumentFile { bytes: vec![], media_type: ANY_TYPE.into(), file_name: "Zoë's.pdf".into() };
        let header = "attachment; filename=\"Zo__s.pdf\"; filename*=UTF-8''Zo%C3%AB%27s.pdf";
        assert_eq!(file.content_disposition(), header);
    }
}
