//! Pictures of configured products: cut out of the raw configuration by their byte range, checked by content, stored by hash.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use image::{ImageFormat, ImageReader, Limits};

use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::contract::ByteRange;

/// The most bytes of a picture.
const MOST_BYTES: usize = 4 << 20;
/// The most pixels of an edge; a vendor's picture has 512. Decoded, such a picture takes 16 MB, however small its file is.
const MOST_PIXELS: u32 = 2048;
/// So many pictures are decoded at once, whoever sends them.
static DECODING: Semaphore = Semaphore::const_new(4);

/// Why a picture is not used. The line goes on without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ThumbnailError {
    #[error("its byte range is not inside the configuration")]
    Range,
    #[error("it is no base64 text")]
    NotBase64,
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("it is no JPEG, PNG, WebP or GIF")]
    NotAnImage,
    #[error("it has more than {MOST_PIXELS} pixels on an edge")]
    TooManyPixels,
}

/// A picture that was decoded once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thumbnail {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
}

/// Cuts a picture out of a raw configuration.
pub(crate) fn cut(raw: &[u8], range: &ByteRange) -> Result<Vec<u8>, ThumbnailError> {
    let start = range.offset as usize;
    let text =
        start.checked_add(range.length as usize).and_then(|end| raw.get(start..end)).ok_or(ThumbnailError::Range)?;
    let base64 = match text.strip_prefix(b"data:") {
        Some(rest) => rest.split_once_comma().ok_or(ThumbnailError::NotBase64)?,
        None => text,
    };
    if base64.len() / 4 * 3 > MOST_BYTES {
        return Err(ThumbnailError::TooLarge);
    }
    // JSON may spell "/" as "\/"; base64 itself holds no backslash.
    let plain: Vec<u8> = base64.iter().copied().filter(|byte| *byte != b'\\').collect();
    STANDARD.decode(&plain).or_else(|_| STANDARD_NO_PAD.decode(&plain)).map_err(|_| ThumbnailError::NotBase64)
}

trait SplitComma {
    fn split_once_comma(&self) -> Option<&[u8]>;
}

impl SplitComma for [u8] {
    fn split_once_comma(&self) -> Option<&[u8]> {
        let comma = self.iter().position(|byte| *byte == b',')?;
        self.get(comma + 1..)
    }
}

/// Checks a picture on a thread of its own, when it is its turn.
///
/// # Errors
/// Outside, when the decoder panics.
pub(crate) async fn check_in_turn(bytes: Vec<u8>) -> Result<Result<Thumbnail, ThumbnailError>, JoinError> {
    // It is never closed. The place is kept until the decoder ends, also when nobody waits for it any more.
    let place = DECODING.acquire().await;
    tokio::task::spawn_blocking(move || {
        let _place = place;
        check(bytes)
    })
    .await
}

/// Checks a picture by decoding it, within limits on bytes and pixels.
pub(crate) fn check(bytes: Vec<u8>) -> Result<Thumbnail, ThumbnailError> {
    if bytes.len() > MOST_BYTES {
        return Err(ThumbnailError::TooLarge);
    }
    let format = image::guess_format(&bytes).map_err(|_| ThumbnailError::NotAnImage)?;
    let media_type = match format {
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Png => "image/png",
        ImageFormat::WebP => "image/webp",
        ImageFormat::Gif => "image/gif",
        _ => return Err(ThumbnailError::NotAnImage),
    };
    let size = ImageReader::with_format(Cursor::new(&bytes), format).into_dimensions();
    let (width, height) = size.map_err(|_| ThumbnailError::NotAnImage)?;
    if width > MOST_PIXELS || height > MOST_PIXELS {
        return Err(ThumbnailError::TooManyPixels);
    }
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(u64::from(MOST_PIXELS) * u64::from(MOST_PIXELS) * 4);
    reader.limits(limits);
    reader.decode().map_err(|_| ThumbnailError::NotAnImage)?;
    Ok(Thumbnail { bytes, media_type })
}

#[cfg(test)]
mod tests {
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
    fn a_picture_is_cut_out_of_a_data_uri_or_bare_base64() {
        let bytes = png(2, 2);
        let bare = STANDARD.encode(&bytes);
        for text in [bare.clone(), format!("data:image/png;base64,{bare}"), bare.replace('/', "\\/")] {
            assert_eq!(cut(text.as_bytes(), &range(&text)).unwrap(), bytes);
        }
        assert_eq!(check(bytes).unwrap().media_type, "image/png");
    }

    #[test]
    fn a_range_outside_the_configuration_is_refused() {
        let far = ByteRange { offset: u32::MAX, length: u32::MAX };
        assert_eq!(cut(b"abc", &far), Err(ThumbnailError::Range));
    }

    #[test]
    fn what_is_no_image_or_claims_too_many_pixels_is_refused() {
        assert_eq!(check(b"<svg onload=alert(1)>".to_vec()), Err(ThumbnailError::NotAnImage));
        let mut claims = png(1, 1);
        // The width in the PNG header (IHDR begins at byte 16), with its checksum made right again.
        claims[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        claims[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let refused = check(claims).unwrap_err();
        assert!(matches!(refused, ThumbnailError::TooManyPixels | ThumbnailError::NotAnImage), "{refused}");
        assert_eq!(check(png(MOST_PIXELS + 1, 1)), Err(ThumbnailError::TooManyPixels));
    }
}
