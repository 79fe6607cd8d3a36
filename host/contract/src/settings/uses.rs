//! The uses of secrets: what the host may do with one for a plugin.

use crate::records::Field;

/// A use of a secret. A secret serves the uses that its field declares, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUse {
    /// Sent as a bearer token.
    Bearer,
    /// Sent as the password of HTTP Basic authentication.
    Basic,
    /// Sent in a header.
    Header,
    /// Sent in a query parameter.
    Query,
    /// Exchanged for an access token.
    ClientCredentials,
    /// The key of an HMAC with SHA-1.
    HmacSha1,
    /// The key of an HMAC with SHA-256.
    HmacSha256,
    /// The key of an HMAC with SHA-512.
    HmacSha512,
    /// Appended to a message before MD5.
    Md5Suffix,
    /// Authenticates webhooks.
    Webhook,
}

impl SecretUse {
    /// All uses.
    pub const ALL: [Self; 10] = [
        Self::Bearer,
        Self::Basic,
        Self::Header,
        Self::Query,
        Self::ClientCredentials,
        Self::HmacSha1,
        Self::HmacSha256,
        Self::HmacSha512,
        Self::Md5Suffix,
        Self::Webhook,
    ];

    /// Returns the word of the contract for this use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Header => "header",
            Self::Query => "query",
            Self::ClientCredentials => "client-credentials",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha512 => "hmac-sha512",
            Self::Md5Suffix => "md5-suffix",
            Self::Webhook => "webhook",
        }
    }

    /// Returns the use with this word, or `None` if there is no such use.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }

    /// Returns the uses that a field declares.
    pub fn of(field: &Field) -> impl Iterator<Item = Self> + '_ {
        field.uses.iter().filter_map(|word| Self::from_word(word))
    }
}

/// Checks that a secret declares known uses, and that no other field does.
pub(super) fn check_uses(field: &Field) -> Result<(), String> {
    let name = &field.name;
    if field.kind != "secret" {
        return match field.uses.is_empty() {
            true => Ok(()),
            false => Err(format!("the field {name:?} has uses and the kind {:?}; only a secret has uses", field.kind)),
        };
    }
    let known_words = SecretUse::ALL.map(SecretUse::word);
    if field.uses.is_empty() {
        return Err(format!(
            "the secret {name:?} has no use; add to its uses what the plugin does with it, of {known_words:?}"
        ));
    }
    match field.uses.iter().find(|word| SecretUse::from_word(word).is_none()) {
        Some(word) => {
            Err(format!("the secret {name:?} has the unknown use {word:?}; the known uses are {known_words:?}"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Form, testing};

    #[test]
    fn a_secret_says_what_it_is_for_and_no_other_field_does() {
        let field = |kind: &str, uses: &[&str]| Field {
            uses: uses.iter().map(|word| (*word).to_owned()).collect(),
            ..testing::field("token", kind)
        };
        let fault_of = |field: Field| Form::check(vec![field]).unwrap_err();
        let words = SecretUse::ALL.map(SecretUse::word);
        assert!(Form::check(vec![field("secret", &words)]).is_ok());
        assert!(fault_of(field("secret", &[])).contains("has no use"));
        assert!(fault_of(field("secret", &["bearer", "Bearer"])).contains("unknown use \"Bearer\""));
        assert!(fault_of(field("text", &["bearer"])).contains("only a secret has uses"));
    }
}
