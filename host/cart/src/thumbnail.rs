//! Thumbnails: extraction from the raw configuration by byte range, and a check of their contents.

use std::borrow::Cow;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cartwright_contract::records::ByteRange;
use image::{ImageFormat, ImageReader, Limits};

/// Maximum size of a thumbnail's file, in bytes.
pub const MAX_PICTURE_BYTES: usize = 4 << 20;
/// Maximum length of an edge in pixels; a vendor's thumbnail has 512. Decoded, a thumbnail of this size takes 16 MB,
/// however small its file is.
const MAX_EDGE_PIXELS: u32 = 2048;

/// Why a thumbnail is not used. The line continues without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThumbnailError {
    /// The byte range is not inside the configuration.
    #[error("its byte range is not inside the configuration")]
    Range,
    /// The text is not base64.
    #[error("it is not base64 text")]
    NotBase64,
    /// The file is too large.
    #[error("it has more than {MAX_PICTURE_BYTES} bytes")]
    TooLarge,
    /// The file is not an image of a known format.
    #[error("it is not a JPEG, PNG, WebP or GIF")]
    NotAnImage,
    /// An edge of the image has too many pixels.
    #[error("it has more than {MAX_EDGE_PIXELS} pixels on an edge")]
    TooManyPixels,
}

/// What an image file states about itself, read before decoding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ImageInfo {
    pub(crate) format: ImageFormat,
    pub(crate) media_type: &'static str,
    pub(crate) pixels: u64,
}

/// Extracts the text of a thumbnail from a raw configuration.
pub fn extract<'a>(raw: &'a [u8], range: &ByteRange) -> Result<&'a [u8], ThumbnailError> {
    let start = range.offset as usize;
    let text =
        start.checked_add(range.length as usize).and_then(|end| raw.get(start..end)).ok_or(ThumbnailError::Range)?;
    if text.len() / 4 * 3 > MAX_PICTURE_BYTES + 1024 { Err(ThumbnailError::TooLarge) } else { Ok(text) }
}

/// Decodes base64 as it occurs in a JSON text, bare or as a data URI: in either alphabet, with or without padding,
/// with line breaks, and with JSON or URI escapes.
pub(crate) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, ThumbnailError> {
    let quoted = [b"\"", text, b"\""].concat();
    let text: Cow<'_, str> = serde_json::from_slice::<String>(&quoted).map(Cow::Owned).or_else(|_| {
        // Line breaks may occur unescaped.
        std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| ThumbnailError::NotBase64)
    })?;
    let base64 = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(',').ok_or(ThumbnailError::NotBase64)?.1,
        None => &text,
    };
    let mut plain = Vec::with_capacity(base64.len());
    let mut rest = base64.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                value.and_then(|value| u8::try_from(value).ok()).ok_or(ThumbnailError::NotBase64)?
            }
            byte => byte,
        };
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b'=' => {}
            b'-' => plain.push(b'+'),
            b'_' => plain.push(b'/'),
            byte => plain.push(byte),
        }
    }
    if plain.len() / 4 * 3 > MAX_PICTURE_BYTES {
        return Err(ThumbnailError::TooLarge);
    }
    STANDARD_NO_PAD.decode(&plain).map_err(|_| ThumbnailError::NotBase64)
}

/// Reads the format and the dimensions of an image from its header.
pub(crate) fn measure(bytes: &[u8]) -> Result<ImageInfo, ThumbnailError> {
    if bytes.len() > MAX_PICTURE_BYTES {
        return Err(ThumbnailError::TooLarge);
    }
    let format = image::guess_format(bytes).map_err(|_| ThumbnailError::NotAnImage)?;
    let media_type = match format {
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Png => "image/png",
        ImageFormat::WebP => "image/webp",
        ImageFormat::Gif => "image/gif",
        _ => return Err(ThumbnailError::NotAnImage),
    };
    let size = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions();
    let (width, height) = size.map_err(|_| ThumbnailError::NotAnImage)?;
    if width > MAX_EDGE_PIXELS || height > MAX_EDGE_PIXELS {
        return Err(ThumbnailError::TooManyPixels);
    }
    Ok(ImageInfo { format, media_type, pixels: u64::from(width) * u64::from(height) })
}

/// Checks an image by decoding it, within limits on pixels and memory. The cost follows from its pixels, however small
/// its file is.
pub(crate) fn decode(bytes: &[u8], format: ImageFormat) -> Result<(), ThumbnailError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_EDGE_PIXELS);
    limits.max_image_height = Some(MAX_EDGE_PIXELS);
    limits.max_alloc = Some(u64::from(MAX_EDGE_PIXELS) * u64::from(MAX_EDGE_PIXELS) * 4);
    reader.limits(limits);
    reader.decode().map(drop).map_err(|_| ThumbnailError::NotAnImage)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::new(width, height);
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    fn range(text: &str) -> ByteRange {
        ByteRange { offset: 0, length: text.len() as u32 }
    }

    #[test]
    fn a_thumbnail_is_extracted_from_a_data_uri_or_bare_base64() {
        let bytes = png(2, 2);
        let bare = STANDARD.encode(&bytes);
        let in_lines: Vec<&str> = bare.as_bytes().chunks(20).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for text in [
            bare.clone(),
            format!("data:image/png;base64,{bare}"),
            bare.replace('/', "\\/"),
            in_lines.join("\\r\\n"),
            in_lines.join("\n"),
            bare.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(&bytes),
            bare.replace('+', "\\u002b").replace('/', "\\u002F").replace('=', "\\u003d"),
            format!("data:image/png;base64,{}", bare.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D")),
        ] {
            assert_eq!(decode_base64(extract(text.as_bytes(), &range(&text)).unwrap()).unwrap(), bytes);
        }
        let info = measure(&bytes).unwrap();
        assert_eq!((info.media_type, info.pixels), ("image/png", 4));
        assert_eq!(decode(&bytes, info.format), Ok(()));
    }

    #[test]
    fn a_range_outside_the_configuration_is_refused() {
        let far = ByteRange { offset: u32::MAX, length: u32::MAX };
        assert_eq!(extract(b"abc", &far), Err(ThumbnailError::Range));
    }

    #[test]
    fn files_that_are_no_image_or_claim_too_many_pixels_are_refused() {
        assert_eq!(measure(b"<svg onload=alert(1)>"), Err(ThumbnailError::NotAnImage));
        let mut claims = png(1, 1);
        // The width in the PNG header (IHDR begins at byte 16), with a corrected checksum.
        claims[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        claims[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let error = measure(&claims).unwrap_err();
        assert!(matches!(error, ThumbnailError::TooManyPixels | ThumbnailError::NotAnImage), "{error}");
        assert_eq!(measure(&png(MAX_EDGE_PIXELS + 1, 1)), Err(ThumbnailError::TooManyPixels));
        assert_eq!(decode(&png(8, 8)[..40], ImageFormat::Png), Err(ThumbnailError::NotAnImage));
    }
}
