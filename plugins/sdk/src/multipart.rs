//! Bodies of the media type `multipart/form-data` (RFC 7578).

use std::hash::{BuildHasher, RandomState};

use crate::types::BytesSource;

/// A form with files. A stored file stays at the host, which sends it from there.
///
/// ```no_run
/// use cartwright_plugin::Multipart;
/// use cartwright_plugin::http::HttpRequest;
/// use cartwright_plugin::types::BytesSource;
///
/// let drawing = BytesSource::Stored("0".repeat(64));
/// let form = Multipart::new().text("order", "1001").file("drawing", "ring.pdf", "application/pdf", drawing);
/// let request = HttpRequest::post_multipart("https://erp.example/files", form);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Multipart {
    boundary: String,
    body: Vec<BytesSource>,
    /// What follows the last source that is complete.
    pending: Vec<u8>,
}

impl Default for Multipart {
    fn default() -> Self {
        Self::new()
    }
}

impl Multipart {
    /// Returns an empty form. Its boundary is random; in an order hook the host's replay draws the same one.
    pub fn new() -> Self {
        let random = RandomState::new();
        let boundary = format!("cartwright-{:016x}{:016x}", random.hash_one(0), random.hash_one(1));
        Self { boundary, body: Vec::new(), pending: Vec::new() }
    }

    /// Adds a text.
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.begin_part(&format!("name=\"{}\"", quoted(name)), None);
        self.pending.extend_from_slice(text.as_bytes());
        self.pending.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a file.
    pub fn file(mut self, name: &str, file_name: &str, media_type: &str, content: BytesSource) -> Self {
        let disposition = format!("name=\"{}\"; filename=\"{}\"", quoted(name), quoted(file_name));
        self.begin_part(&disposition, Some(media_type));
        match content {
            BytesSource::Bytes(bytes) => self.pending.extend(bytes),
            stored @ BytesSource::Stored(_) => {
                self.body.push(BytesSource::Bytes(std::mem::take(&mut self.pending)));
                self.body.push(stored);
            }
        }
        self.pending.extend_from_slice(b"\r\n");
        self
    }

    /// Returns the media type with its boundary, and the sources of the body.
    pub fn finish(mut self) -> (String, Vec<BytesSource>) {
        self.pending.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.body.push(BytesSource::Bytes(self.pending));
        (format!("multipart/form-data; boundary={}", self.boundary), self.body)
    }

    fn begin_part(&mut self, disposition: &str, media_type: Option<&str>) {
        let mut head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n", self.boundary);
        if let Some(media_type) = media_type {
            head += &format!("Content-Type: {media_type}\r\n");
        }
        self.pending.extend_from_slice(head.as_bytes());
        self.pending.extend_from_slice(b"\r\n");
    }
}

/// Escapes what would end a quoted name, as browsers do.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_file_stands_between_two_inline_sources() {
        let form = Multipart::new().text("order", "1001").file(
            "drawing",
            "a \"ring\".pdf",
            "application/pdf",
            BytesSource::Stored("digest".to_owned()),
        );
        let (media_type, body) = form.finish();
        let boundary = media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let before = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"order\"\r\n\r\n1001\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"drawing\"; filename=\"a %22ring%22.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n"
        );
        let expected = [
            BytesSource::Bytes(before.into_bytes()),
            BytesSource::Stored("digest".to_owned()),
            BytesSource::Bytes(format!("\r\n--{boundary}--\r\n").into_bytes()),
        ];
        assert_eq!(body, expected);
    }

    #[test]
    fn a_form_without_a_stored_file_is_one_source() {
        let inline = BytesSource::Bytes(vec![0, 255]);
        let (_, body) = Multipart::new().file("a", "b", "image/png", inline).finish();
        assert_eq!(body.len(), 1);
    }
}
