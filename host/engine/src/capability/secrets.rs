//! `secrets`: digests over secrets that never enter the guest.

use std::convert::identity;

use cartwright_contract::error::{denied, invalid_input};
use cartwright_contract::hook::Capability;
use cartwright_contract::records::{CallError, FieldIssue, Message};
use cartwright_contract::settings::SecretUse;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::bindings::secrets::Host;
use crate::bindings::{to_guest, types};
use crate::capability::{GrantedSecret, Scope};
use crate::durable::Call;
use crate::state::GuestState;

/// Returns the secret with this name, if its field declares this use.
pub(crate) fn secret<'a>(scope: &'a Scope, name: &str, wanted: SecretUse) -> Result<&'a GrantedSecret, CallError> {
    match scope.secrets.get(name) {
        Some(granted) if granted.uses.contains(&wanted) => Ok(granted),
        Some(_) => Err(undeclared_use(name, wanted)),
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

/// Returns the error for a secret that is not for this use. Its text is for the only person who can change that.
fn undeclared_use(name: &str, wanted: SecretUse) -> CallError {
    let word = wanted.word();
    denied(
        format!("secret-use:{name}/{word}"),
        format!(
            "the secret {name:?} is not for the use {word:?}; the plugin's author must add it to the uses of that field"
        ),
    )
}

/// Returns the use that a digest with this algorithm makes of its secret, or `None` if the algorithm is unknown.
fn use_of(algorithm: &str) -> Option<SecretUse> {
    SecretUse::from_word(algorithm).filter(|known| {
        matches!(known, SecretUse::HmacSha1 | SecretUse::HmacSha256 | SecretUse::HmacSha512 | SecretUse::Md5Suffix)
    })
}

fn digest(algorithm: SecretUse, secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    macro_rules! hmac {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(secret).ok()?;
            mac.update(message);
            Some(mac.finalize().into_bytes().to_vec())
        }};
    }
    match algorithm {
        SecretUse::HmacSha1 => hmac!(Sha1),
        SecretUse::HmacSha256 => hmac!(Sha256),
        SecretUse::HmacSha512 => hmac!(Sha512),
        SecretUse::Md5Suffix => Some(Md5::new().chain_update(message).chain_update(secret).finalize().to_vec()),
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
            let wanted = use_of(&algorithm).ok_or_else(unknown_algorithm)?;
            let granted = secret(&scope, &name, wanted)?;
            if message.is_empty() {
                return Err(empty_message());
            }
            if let Some(host) = &granted.missing_host {
                return Err(denied(
                    format!("secret-use:{name}/{algorithm}"),
                    format!(
                        "the secret {name:?} is not authorized for {host}, which its field names; enter it again to allow digests"
                    ),
                ));
            }
            digest(wanted, granted.value.expose(), &message).ok_or_else(unknown_algorithm)
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

fn unknown_algorithm() -> CallError {
    let text = "Use \"hmac-sha1\", \"hmac-sha256\", \"hmac-sha512\" or \"md5-suffix\".";
    invalid_input("algorithm", "algorithm-unknown", text)
}

/// A digest over nothing but a short secret could be reversed by trying.
fn empty_message() -> CallError {
    invalid_input("message", "message-empty", "The message is empty; a digest is over what is sent or received.")
}

#[cfg(test)]
mod tests {
    use cartwright_contract::records::CallError;
    use cartwright_contract::settings::SecretUse;

    use super::{digest, undeclared_use, use_of};

    #[test]
    fn md5_of_nothing_and_abc_are_those_of_rfc_1321() {
        assert_eq!(hex::encode(digest(SecretUse::Md5Suffix, b"", b"").unwrap()), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex::encode(digest(SecretUse::Md5Suffix, b"c", b"ab").unwrap()), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn hmacs_are_those_of_rfc_4231_and_2202() {
        let hash = |word| {
            let algorithm = use_of(word).unwrap();
            hex::encode(digest(algorithm, b"Jefe", b"what do ya want for nothing?").unwrap())
        };
        assert_eq!(hash("hmac-sha256"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(
            hash("hmac-sha512"),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
             caeab1a34d4a6b4b636e070a38bce737"
        );
        assert_eq!(hash("hmac-sha1"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }

    #[test]
    fn an_undeclared_use_is_refused_with_the_secret_and_the_use() {
        let refused = undeclared_use("api-key", SecretUse::Bearer);
        assert!(matches!(refused, CallError::Denied(refusal) if refusal.what == "secret-use:api-key/bearer"));
    }

    #[test]
    fn an_unknown_algorithm_is_refused() {
        for word in ["sha256", "bearer", "webhook", "HMAC-SHA256", ""] {
            assert_eq!(use_of(word), None, "{word}");
        }
    }
}
