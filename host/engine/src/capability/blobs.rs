//! `blobs`: stored bytes whose digests the call received.

use std::convert::identity;

use cartwright_contract::error::limit_exceeded;
use cartwright_contract::hook::Capability;
use cartwright_contract::ids;
use cartwright_contract::records::{CallError, Digest, FieldIssue, Message, Outage};

use crate::bindings::blobs::Host;
use crate::bindings::{to_guest, types};
use crate::durable::Call;
use crate::state::GuestState;

impl Host for GuestState {
    async fn read(&mut self, digest: Digest) -> wasmtime::Result<Result<Vec<u8>, types::CallError>> {
        Ok(to_guest(self.read_blob(digest).await?, identity))
    }
}

impl GuestState {
    async fn read_blob(&mut self, digest: Digest) -> wasmtime::Result<Result<Vec<u8>, CallError>> {
        let scope = match self.permit(Capability::Blobs)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        let unknown = || {
            CallError::InvalidInput(FieldIssue {
                field: "digest".into(),
                message: Message {
                    key: "blob-unknown".into(),
                    parameters: vec![],
                    text: "This call did not receive a blob with this digest.".into(),
                },
                blocking: true,
            })
        };
        let parsed = digest.parse::<ids::Digest>().ok().filter(|_| self.readable.contains(&digest));
        let allowed = self.meter.limits().bytes_in;
        if let Some((given, bytes)) = &self.given_blob
            && parsed == Some(*given)
        {
            return Ok(Ok(bytes.to_vec()));
        }
        let read = async || match scope.blobs.get(&scope.shop, &parsed.ok_or_else(unknown)?).await {
            Ok(Some(bytes)) if bytes.len() > allowed => {
                let text =
                    format!("the blob has {} bytes; at most {allowed} are allowed (limit bytes_in)", bytes.len());
                Err(limit_exceeded("bytes_in", text))
            }
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(unknown()),
            Err(error) => Err(CallError::Unavailable(Outage {
                retry_after_seconds: None,
                detail: format!("the blob store: {error}"),
            })),
        };
        let Some(cursor) = &mut self.durable else {
            let bytes = read().await;
            self.record_doubt(&bytes);
            return Ok(bytes);
        };
        // The journal records only that the blob was read, because its bytes are stored under their digest anyway.
        let mut bytes = None;
        let recorded = cursor.ask(Call::new("blobs.read", &digest, &digest)?, async {
            bytes = Some(read().await?);
            Ok(())
        });
        Ok(match (recorded.await?, bytes, parsed) {
            (Err(error), _, _) => Err(error),
            (Ok(()), Some(bytes), _) => Ok(bytes),
            (Ok(()), None, Some(parsed)) => Ok(cursor.blob(&parsed).await?),
            (Ok(()), None, None) => Err(unknown()),
        })
    }
}
