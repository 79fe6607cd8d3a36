//! `blobs`: stored bytes that this call was given the digest of.

use crate::capability::Capability;
use crate::contract::blobs::Host;
use crate::contract::{Digest, Error, FieldIssue, Message, Outage};
use crate::guest::GuestState;

impl Host for GuestState {
    async fn read(&mut self, digest: Digest) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let scope = match self.permit(Capability::Blobs)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        let unknown = || {
            Ok(Err(Error::InvalidInput(FieldIssue {
                field: "digest".into(),
                message: Message {
                    key: "blob-unknown".into(),
                    parameters: vec![],
                    text: "This call was not given a blob with this digest.".into(),
                },
                blocking: true,
            })))
        };
        let Some(parsed) = digest.parse().ok().filter(|_| self.readable.contains(&digest)) else { return unknown() };
        match scope.platform.blobs.get(&scope.shop, &parsed).await {
            Ok(Some(bytes)) if bytes.len() > self.meter.limits().bytes_in => {
                Ok(Err(Error::LimitExceeded(format!("bytes_in: the blob has {} bytes", bytes.len()))))
            }
            Ok(Some(bytes)) => Ok(Ok(bytes)),
            Ok(None) => unknown(),
            Err(error) => Ok(Err(Error::Unavailable(Outage {
                retry_after_seconds: None,
                detail: format!("the blob store: {error}"),
            }))),
        }
    }
}
