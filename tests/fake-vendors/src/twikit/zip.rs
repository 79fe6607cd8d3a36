//! The smallest real ZIP, with uncompressed files. Written by hand, since a dependency for thirty lines would be slower
//! to build than to write. Layout: PKWARE's APPNOTE, 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end).

/// Returns a ZIP of these files, each below 4 GiB. The date is always 1980-01-01, so that equal files yield equal
/// bytes.
pub(super) fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let offset = zip.len() as u32;
        let size = (bytes.len() as u32).to_le_bytes();
        // From "version needed" to "extra field length", which both headers have in common.
        let mut common = Vec::new();
        common.extend([10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        common.extend(crc32(bytes).to_le_bytes());
        common.extend(size);
        common.extend(size);
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);

        zip.extend(b"PK\x03\x04");
        zip.extend(&common);
        zip.extend(name.as_bytes());
        zip.extend(*bytes);

        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(&common);
        // No comment, disk 0, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = (files.len() as u16).to_le_bytes();
    let start = (zip.len() as u32).to_le_bytes();
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\x00\x00\x00\x00");
    zip.extend(count);
    zip.extend(count);
    zip.extend((directory.len() as u32).to_le_bytes());
    zip.extend(start);
    zip.extend([0, 0]);
    zip
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_one_everybody_knows() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
