//! Ids and digests. Each is validated where it enters the host and trusted from there on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The error of a text that is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {rule}")]
pub struct InvalidId {
    /// The kind of id that was expected.
    pub kind: &'static str,
    /// The beginning of the text.
    pub value: String,
    /// The rule that a valid id follows.
    pub rule: &'static str,
}

const NAME_RULE: &str = "use 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'";

fn is_name(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value != "."
        && value != ".."
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                if is_name(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(InvalidId { kind: $kind, value: value.chars().take(80).collect(), rule: NAME_RULE })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                value.parse()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A shop of the commerce platform.
    ShopId, "shop id"
);
name!(
    /// An account of a shop.
    AccountId, "account id"
);
name!(
    /// A plugin, the same for all its versions.
    PluginId, "plugin id"
);

/// A SHA-256 digest. It names a plugin version or a stored blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(value, &mut bytes) {
            Ok(()) if value.bytes().all(|byte| !byte.is_ascii_uppercase()) => Ok(Self(bytes)),
            _ => Err(InvalidId {
                kind: "digest",
                value: value.chars().take(80).collect(),
                rule: "use 64 lower-case hex digits",
            }),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        value.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_and_nothing_else() {
        let longest = "x".repeat(64);
        for name in ["expivi", "a", "A-1_b.c", "..a", "a..", "...", &longest] {
            assert_eq!(name.parse::<PluginId>().map(String::from).as_deref(), Ok(name));
        }
        let too_long = ["x".repeat(65), "x".repeat(300)];
        let wrong = [
            "", ".", "..", "../x", "a/b", "/", "a\\b", "a b", " a", "a\0", "a\n", "a%2fb", "é", "a:b", "a?b", "a#b",
            "～",
        ];
        for name in wrong.into_iter().chain(too_long.iter().map(String::as_str)) {
            let error = name.parse::<PluginId>().expect_err(name);
            assert_eq!(error.kind, "plugin id");
            assert!(error.value.chars().count() <= 80, "{error}");
            assert!(name.parse::<ShopId>().is_err() && name.parse::<AccountId>().is_err(), "{name:?}");
        }
    }
}
