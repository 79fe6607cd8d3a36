//! The body of a request: its sources, joined, and the digest of the whole.

use cartwright_contract::error::limit_exceeded;
use cartwright_contract::extras::Extras as _;
use cartwright_contract::ids;
use cartwright_contract::records::{BytesSource, CallError, HttpRequest};
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
    pub(crate) refused: Option<CallError>,
}

/// The sources of a body, read one after the other.
struct ReadSources {
    /// The bytes, unless they may not be sent.
    bytes: Option<Vec<u8>>,
    digest: String,
    refused: Option<CallError>,
}

impl SendOptions {
    /// Joins the sources of a request's body. A body that is one stored source is read only when it is sent.
    ///
    /// # Errors
    /// Returns an error if the blob store is unavailable, so that the body's digest cannot be computed.
    pub(crate) async fn join(&self, mut request: HttpRequest) -> Result<JoinedRequest, String> {
        let (body, body_digest, refused) = match request.body.as_mut_slice() {
            [] => (None, hex::encode(Sha256::digest(b"")), None),
            [BytesSource::Bytes(bytes)] => {
                let digest = hex::encode(Sha256::digest(bytes.as_slice()));
                (Some(BytesSource::Bytes(std::mem::take(bytes))), digest, None)
            }
            [BytesSource::Stored(digest)] => (Some(BytesSource::Stored(digest.clone())), digest.clone(), None),
            sources => {
                let ReadSources { bytes, digest, refused } = self.read_sources(sources).await?;
                (bytes.map(BytesSource::Bytes), digest, refused)
            }
        };
        request.body = body.into_iter().collect();
        let refused = refused.or_else(|| request.check_extras(&self.scope.plugin).err().map(CallError::from));
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
                BytesSource::Bytes(bytes) => self.append(&mut joined, &mut hash, bytes),
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
    pub(super) async fn read_body(&self, body: Vec<BytesSource>) -> Result<Vec<u8>, CallError> {
        match body.into_iter().next() {
            None => Ok(Vec::new()),
            Some(BytesSource::Bytes(bytes)) => Ok(bytes),
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
        let Some(parsed) = digest.parse::<ids::Digest>().ok().filter(|_| is_readable) else { return Ok(None) };
        if let Some((given, bytes)) = &self.given_blob
            && parsed == *given
        {
            return Ok(Some(bytes.to_vec()));
        }
        self.scope.blobs.get(&self.scope.shop, &parsed).await.map_err(|error| error.to_string())
    }

    fn oversized_body(&self) -> CallError {
        let (name, max_bytes) = self.body_limit;
        limit_exceeded(name, format!("{name}: the body of the request has more than {max_bytes} bytes"))
    }
}

fn unknown_blob() -> CallError {
    invalid("body", "This call did not receive a blob with this digest.".to_owned())
}

/// Returns a digest for a body whose bytes are not known.
fn digest_of_sources(sources: &[BytesSource]) -> String {
    let mut hash = Sha256::new_with_prefix(b"sources");
    for source in sources {
        let (kind, digest) = match source {
            BytesSource::Bytes(bytes) => ("bytes", hex::encode(Sha256::digest(bytes))),
            BytesSource::Stored(digest) => ("stored", digest.clone()),
        };
        hash.update(format!("\n{kind} {digest}"));
    }
    hex::encode(hash.finalize())
}
