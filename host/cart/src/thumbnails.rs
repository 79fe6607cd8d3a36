//! The check of thumbnails within the budgets of one request.

use std::collections::HashMap;

use cartwright_contract::ids::Digest;
use cartwright_contract::platform::StoredThumbnail;

use crate::thumbnail::{self, ThumbnailError};

/// Maximum number of pixels that are decoded for one request: four images of the maximum size, or 64 of 512 × 512.
const MAX_PIXELS_PER_REQUEST: u64 = 16 << 20;
/// Maximum size of all thumbnails of one request together, in bytes.
pub const MAX_PICTURE_BYTES_PER_REQUEST: usize = 16 << 20;

/// A thumbnail before it is checked.
pub enum ThumbnailSource {
    /// The text in the configuration.
    Encoded(Vec<u8>),
    /// The file that a URL returned.
    Fetched(Vec<u8>),
}

/// The results of checked thumbnails.
#[derive(Default)]
pub struct CheckedThumbnails {
    /// Digest of the thumbnail of each item that has one.
    pub by_item: Vec<(u32, Digest)>,
    /// The files to be stored.
    pub pictures: Vec<StoredThumbnail>,
    /// The items whose thumbnails are left out, with the reasons.
    pub rejected: Vec<(u32, String)>,
}

/// Checks thumbnails one after the other, equal ones once, within the budgets of a request.
pub fn check(found: Vec<(u32, ThumbnailSource)>) -> CheckedThumbnails {
    let mut checked = CheckedThumbnails::default();
    let mut results: HashMap<Digest, Result<(), String>> = HashMap::new();
    let (mut pixels, mut total) = (0, 0);
    for (index, picture) in found {
        let bytes = match picture {
            ThumbnailSource::Fetched(bytes) => Ok(bytes),
            ThumbnailSource::Encoded(text) => thumbnail::decode_base64(&text),
        };
        let (bytes, digest) = match bytes {
            Ok(bytes) => {
                let digest = Digest::of(&bytes);
                (bytes, digest)
            }
            Err(error) => {
                checked.rejected.push((index, error.to_string()));
                continue;
            }
        };
        let usable = results.entry(digest).or_insert_with(|| {
            let info = thumbnail::measure(&bytes).map_err(|error| error.to_string())?;
            if pixels + info.pixels > MAX_PIXELS_PER_REQUEST {
                return Err(format!(
                    "all thumbnails of a request together may have {MAX_PIXELS_PER_REQUEST} pixels (MAX_PIXELS_PER_REQUEST)"
                ));
            }
            if total + bytes.len() > MAX_PICTURE_BYTES_PER_REQUEST {
                return Err(format!(
                    "all thumbnails of a request together may have {MAX_PICTURE_BYTES_PER_REQUEST} bytes \
                     (MAX_PICTURE_BYTES_PER_REQUEST)"
                ));
            }
            pixels += info.pixels;
            total += bytes.len();
            thumbnail::decode(&bytes, info.format).map_err(|error: ThumbnailError| error.to_string())?;
            checked.pictures.push(StoredThumbnail { digest, bytes: bytes.clone(), media_type: info.media_type });
            Ok(())
        });
        match usable {
            Ok(()) => checked.by_item.push((index, digest)),
            Err(reason) => checked.rejected.push((index, reason.clone())),
        }
    }
    checked
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn png(edge: u32, shade: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::GrayImage::from_pixel(edge, edge, image::Luma([shade]));
        picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).expect("a picture");
        bytes
    }

    fn fetched(pictures: impl IntoIterator<Item = Vec<u8>>) -> Vec<(u32, ThumbnailSource)> {
        (0..).zip(pictures.into_iter().map(ThumbnailSource::Fetched)).collect()
    }

    #[test]
    fn equal_thumbnails_are_decoded_and_stored_once() {
        let large = png(2048, 1);
        let checked = check(fetched(vec![large; 20]));
        assert_eq!((checked.by_item.len(), checked.pictures.len(), checked.rejected.len()), (20, 1, 0));
    }

    #[test]
    fn thumbnails_over_the_pixel_budget_are_left_out_and_the_reason_names_it() {
        let checked = check(fetched((0..20).map(|shade| png(2048, shade))));
        assert_eq!((checked.by_item.len(), checked.pictures.len()), (4, 4));
        assert!(
            checked.rejected.iter().all(|(_, reason)| reason.contains("MAX_PIXELS_PER_REQUEST")),
            "{:?}",
            checked.rejected
        );
        // Small images still fit.
        let small = check(fetched((0..20).map(|shade| png(64, shade))));
        assert_eq!((small.by_item.len(), small.rejected.len()), (20, 0));
    }

    #[test]
    fn decoded_pixels_do_not_grow_with_the_number_of_thumbnails() {
        let decoded = |count: u8| {
            let checked = check(fetched((0..count).map(|shade| png(1024, shade))));
            checked.pictures.len()
        };
        assert_eq!((decoded(8), decoded(16), decoded(32)), (8, 16, 16));
    }
}
