//! Entry points for the fuzz targets of this repository. Not an API.

use cartwright_contract::records::ByteRange;

use crate::canonical;
use crate::thumbnail as picture;

/// Returns the canonical form of a JSON text, or `None` for the text `null`.
///
/// # Errors
/// Returns an error if the JSON is ambiguous or invalid.
pub fn canonical_json(text: &str) -> Result<Option<Vec<u8>>, String> {
    canonical::canonical(text).map_err(|error| error.to_string())
}

/// Extracts a thumbnail from a configuration that consists of nothing else and decodes it; also decodes the bytes as
/// they are.
pub fn thumbnail(raw: &[u8]) {
    let range = ByteRange { offset: 0, length: u32::try_from(raw.len()).unwrap_or(u32::MAX) };
    let bytes = picture::extract(raw, &range).and_then(picture::decode_base64);
    for bytes in bytes.iter().map(Vec::as_slice).chain([raw]) {
        if let Ok(measured) = picture::measure(bytes) {
            drop(picture::decode(bytes, measured.format));
        }
    }
}
