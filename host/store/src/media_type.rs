//! Media types that a plugin or a vendor states.

/// Media type of bytes for which none is stated that can be used.
pub(crate) const ANY_TYPE: &str = "application/octet-stream";

/// Returns type and subtype without parameters, or [`ANY_TYPE`] if the text is not a media type.
pub(crate) fn safe_media_type(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.len() <= 127 && part.bytes().all(sign)
    };
    match essence.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => essence,
        _ => ANY_TYPE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_one_or_none() {
        assert_eq!(safe_media_type("image/SVG+xml; charset=utf-8"), "image/svg+xml");
        for bad in ["", "image", "image/", "a/b\r\nx: y", "a b/c", "a/b/c"] {
            assert_eq!(safe_media_type(bad), ANY_TYPE, "{bad:?}");
        }
    }
}
