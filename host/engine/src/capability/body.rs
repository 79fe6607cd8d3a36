//! The body of a request: its sources, joined, and the digest of the whole.

use cartwright_contract::records::{Auth, BytesSource, Error, HttpRequest, NamedJson};
use sha2::{Digest as _, Sha256};

use crate::capability::http::{SendOptions, invalid, store_outage};

/// Maximum number of sources of a body.
const MAX_SOURCES: usize = 1_000;

/// A request whose body is one source or none.
pub(crate) struct JoinedRequest {
    /// The request.
    pub(crate) request: HttpRequest,
    /// SHA-256 of the whole body. Equal bytes have equal digests, whatever sources they came from.
    pub(crate) body_digest: String,
    /// Why the request must not be sent, if it must not.
    pub(crate) refused: Option<Error>,
}

/// The sources of a body, read one after the other.
struct ReadSources {
    /// The bytes, unless they may not be sent.
    bytes: Option<Vec<u8>>,
    digest: String,
    refused: Option<Error>,
}

impl SendOptions {
    /// Joins the sources of a request's body. A body that is one stored source is read only when it is sent.
    ///
    /// # Errors
    /// Returns an error if the blob store is unavailable, so that the body's digest cannot be computed.
    pub(crate) async fn join(&self, mut request: HttpRequest) -> Result<JoinedRequest, String> {
        let (body, body_digest, refused) = match request.body.as_mut_slice() {
            [] => (None, hex::encode(Sha256::digest(b"")), None),
            [BytesSource::Inline(bytes)] => {
                let digest = hex::encode(Sha256::digest(bytes.as_slice()));
                (Some(BytesSource::Inline(std::mem::take(bytes))), digest, None)
            }
            [BytesSource::Stored(digest)] => (Some(BytesSource::Stored(digest.clone())), digest.clone(), None),
            sources => {
                let ReadSources { bytes, digest, refused } = self.read_sources(sources).await?;
                (bytes.map(BytesSource::Inline), digest, refused)
            }
        };
        request.body = body.into_iter().collect();
        let refused = refused.or_else(|| unknown_extra(&request));
        Ok(JoinedRequest { request, body_digest, refused })
    }

    /// Reads several sources. Their digest is the same under every limit, because a run with other limits must find the
    /// request in its journal.
    async fn read_sources(&self, sources: &[BytesSource]) -> Result<ReadSources, String> {
        let refused = |error| Ok(ReadSources { bytes: None, digest: digest_of_sources(sources), refused: Some(error) });
        if sources.len() > MAX_SOURCES {
            let text = format!("The body has {} sources; at most {MAX_SOURCES} are allowed.", sources.len());
            return refused(invalid("body", text));
        }
        let (mut joined, mut hash) = (Some(Vec::new()), Sha256::new());
        for source in sources {
            match source {
                BytesSource::Inline(bytes) => self.append(&mut joined, &mut hash, bytes),
                BytesSource::Stored(digest) => match self.blob(digest).await? {
                    Some(bytes) => self.append(&mut joined, &mut hash, &bytes),
                    None => return refused(unknown_blob()),
                },
            }
        }
        let refused = joined.is_none().then(|| self.oversized_body());
        Ok(ReadSources { bytes: joined, digest: hex::encode(hash.finalize()), refused })
    }

    /// Appends bytes to a body, or drops a body that becomes too large.
    fn append(&self, joined: &mut Option<Vec<u8>>, hash: &mut Sha256, bytes: &[u8]) {
        hash.update(bytes);
        match joined {
            Some(all) if (all.len() + bytes.len()) as u64 <= self.body_limit.1 => all.extend_from_slice(bytes),
            _ => *joined = None,
        }
    }

    /// Reads the body of a joined request.
    pub(super) async fn read_body(&self, body: Vec<BytesSource>) -> Result<Vec<u8>, Error> {
        match body.into_iter().next() {
            None => Ok(Vec::new()),
            Some(BytesSource::Inline(bytes)) => Ok(bytes),
            Some(BytesSource::Stored(digest)) => match self.blob(&digest).await {
                Ok(Some(bytes)) if bytes.len() as u64 > self.body_limit.1 => Err(self.oversized_body()),
                Ok(bytes) => bytes.ok_or_else(unknown_blob),
                Err(error) => Err(store_outage(error)),
            },
        }
    }

    /// Returns a blob that this call received the digest of.
    async fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, String> {
        let is_readable = self.readable.iter().any(|readable| readable == digest);
        let Some(parsed) = digest.parse().ok().filter(|_| is_readable) else { return Ok(None) };
        self.scope.blobs.get(&self.scope.shop, &parsed).await.map_err(|error| error.to_string())
    }

    fn oversized_body(&self) -> Error {
        let (name, max_bytes) = self.body_limit;
        Error::LimitExceeded(format!("{name}: the body of the request has more than {max_bytes} bytes"))
    }
}

fn unknown_blob() -> Error {
    invalid("body", "This call did not receive a blob with this digest.".to_owned())
}

/// Returns a digest for a body whose bytes are not known.
fn digest_of_sources(sources: &[BytesSource]) -> String {
    let mut hash = Sha256::new_with_prefix(b"sources");
    for source in sources {
        let (kind, digest) = match source {
            BytesSource::Inline(bytes) => ("inline", hex::encode(Sha256::digest(bytes))),
            BytesSource::Stored(digest) => ("stored", digest.clone()),
        };
        hash.update(format!("\n{kind} {digest}"));
    }
    hex::encode(hash.finalize())
}

/// Returns an error if the plugin passed a value that must be understood. This host knows none.
fn unknown_extra(request: &HttpRequest) -> Option<Error> {
    let of_auth = request.auth.iter().flat_map(|auth| match auth {
        Auth::ClientCredentials(credentials) => credentials.extra.as_slice(),
        _ => &[],
    });
    let required = |named: &&NamedJson| named.name.starts_with('!');
    let NamedJson { name, .. } = request.extra.iter().chain(of_auth).find(required)?;
    Some(invalid(
        "extra",
        format!("This host does not know {name:?}, which must be understood; it needs a later host."),
    ))
}

#[cfg(test)]
mod tests {
    use cartwright_contract::records::{ClientCredentials, RetrySafety, SecretPlace};

    use super::*;

    fn request() -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: "https://vendor.example/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            auth: Vec::new(),
            timeout_ms: None,
            retry_safety: RetrySafety::Safe,
            store_body: false,
            extra: Vec::new(),
        }
    }

    #[test]
    fn a_value_that_must_be_understood_is_refused_by_its_name_and_any_other_is_ignored() {
        let named = |name: &str| NamedJson { name: name.to_owned(), json: "1".to_owned() };
        assert_eq!(unknown_extra(&HttpRequest { extra: vec![named("note")], ..request() }), None);
        let credentials = ClientCredentials {
            token_url: "https://vendor.example/token".to_owned(),
            client_id: "shop".to_owned(),
            secret: "key".to_owned(),
            secret_in: SecretPlace::Form,
            parameters: Vec::new(),
            extra: vec![named("!mutual-tls")],
        };
        for request in [
            HttpRequest { extra: vec![named("note"), named("!mutual-tls")], ..request() },
            HttpRequest { auth: vec![Auth::ClientCredentials(credentials)], ..request() },
        ] {
            let refused = unknown_extra(&request);
            assert!(matches!(&refused, Some(Error::InvalidInput(issue)) if issue.message.text.contains("!mutual-tls")));
        }
    }
}
