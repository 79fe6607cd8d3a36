//! `secrets`: digests over secrets that never enter the guest.

use std::convert::identity;

use cartwright_contract::error::denied;
use cartwright_contract::hook::Capability;
use cartwright_contract::records::{CallError, FieldIssue, Message};
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::bindings::secrets::Host;
use crate::bindings::{to_guest, types};
use crate::capability::{GrantedSecret, Scope};
use crate::durable::Call;
use crate::state::GuestState;

/// Returns the secret with this name.
pub(crate) fn secret<'a>(scope: &'a Scope, name: &str) -> Result<&'a GrantedSecret, CallError> {
    match scope.secrets.get(name) {
        Some(granted) => Ok(granted),
        None => Err(CallError::NotConfigured(FieldIssue {
            field: name.to_owned(),
            message: Message {
                key: "secret-missing".into(),
                parameters: vec![("secret".into(), name.to_owned())],
                text: format!("The secret setting {name:?} has no value, or the plugin does not declare it."),
            },
            blocking: true,
        })),
    }
}

fn digest(algorithm: &str, secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    macro_rules! hmac {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(secret).ok()?;
            mac.update(message);
            Some(mac.finalize().into_bytes().to_vec())
        }};
    }
    match algorithm {
        "hmac-sha1" => hmac!(Sha1),
        "hmac-sha256" => hmac!(Sha256),
        "hmac-sha512" => hmac!(Sha512),
        "md5-suffix" => Some(Md5::new().chain_update(message).chain_update(secret).finalize().to_vec()),
        _ => None,
    }
}

impl Host for GuestState {
    async fn digest(
        &mut self,
        name: String,
        algorithm: String,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, types::CallError>> {
        Ok(to_guest(self.digest_with_secret(name, algorithm, message).await?, identity))
    }
}

impl GuestState {
    async fn digest_with_secret(
        &mut self,
        name: String,
        algorithm: String,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, CallError>> {
        let scope = match self.permit(Capability::Secrets)? {
            Ok(scope) => scope,
            Err(error) => return Ok(Err(error)),
        };
        let answer = async || {
            let granted = secret(&scope, &name)?;
            if let Some(host) = &granted.missing_host {
                return Err(denied(
                    format!("secret-use:{name}/{algorithm}"),
                    format!(
                        "the secret {name:?} is not authorized for {host}, which its field names; enter it again to allow digests"
                    ),
                ));
            }
            digest(&algorithm, granted.value.expose(), &message).ok_or_else(|| {
                CallError::InvalidInput(FieldIssue {
                    field: "algorithm".into(),
                    message: Message {
                        key: "algorithm-unknown".into(),
                        parameters: vec![],
                        text: "Use \"hmac-sha1\", \"hmac-sha256\", \"hmac-sha512\" or \"md5-suffix\".".into(),
                    },
                    blocking: true,
                })
            })
        };
        match &mut self.durable {
            Some(cursor) => {
                let about = format!("{algorithm} with {name}");
                let call = Call::new("secrets.digest", &about, &cartwright_contract::ids::Digest::of(&message))?;
                cursor.ask(call, answer()).await
            }
            None => Ok(answer().await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn md5_of_nothing_and_abc_are_those_of_rfc_1321() {
        assert_eq!(hex::encode(digest("md5-suffix", b"", b"").unwrap()), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex::encode(digest("md5-suffix", b"c", b"ab").unwrap()), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn hmacs_are_those_of_rfc_4231_and_2202() {
        let hash = |algorithm| hex::encode(digest(algorithm, b"Jefe", b"what do ya want for nothing?").unwrap());
        assert_eq!(hash("hmac-sha256"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(
            hash("hmac-sha512"),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
             caeab1a34d4a6b4b636e070a38bce737"
        );
        assert_eq!(hash("hmac-sha1"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }

    #[test]
    fn an_unknown_algorithm_is_refused() {
        assert_eq!(digest("sha256", b"", b""), None);
    }
}
