//! Why a request is not let in: a status for the sender, a sentence for the merchant.

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde::Serialize;

/// What is wrong with a header that a signature needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderFault {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is there more than once, and nobody can say which one counts.
    #[error("occurs more than once")]
    Repeated,
    /// It is no text.
    #[error("is not text")]
    NotText,
    /// It does not begin as the plugin says.
    #[error("does not begin as the plugin says it does")]
    Prefix,
    /// What it holds is not written in the encoding that the plugin says, or has another length.
    #[error("does not hold a signature in the encoding that the plugin says")]
    Encoding,
    /// It is no time in Unix seconds.
    #[error("is not a time in Unix seconds")]
    Time,
}

/// Why a request was not let in. Its text says to the merchant what to do; the sender is told [`Refusal::status`] and no more,
/// because whoever guesses would learn from anything else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "refusal", content = "detail", rename_all = "kebab-case")]
pub enum Refusal {
    /// The address is nobody's.
    #[error("no account has this webhook URL; if the vendor sent the request, give the vendor a new webhook URL")]
    UnknownAddress,
    /// The plugin's version that runs has no such endpoint.
    #[error("the plugin has no webhook endpoint {0:?}; remove its URL in the vendor's back office")]
    UnknownEndpoint(String),
    /// The sender's address is not among those that the operator lets in.
    #[error("{}", source_message(.0.as_ref()))]
    Source(Option<IpAddr>),
    /// It came with another method.
    #[error("the request came with the method {0}; webhooks are sent with POST or PUT")]
    Method(#[serde(serialize_with = "as_text")] Method),
    /// It is too large.
    #[error(
        "the request has {bytes} bytes in its {part}, {allowed} are allowed; for larger ones raise the limit bytes_in"
    )]
    TooLarge {
        /// "body" or "head".
        part: &'static str,
        /// How many there were.
        bytes: usize,
        /// How many are allowed.
        allowed: usize,
    },
    /// The secret that signatures are checked with is not set.
    #[error("the secret setting {0:?} has no value; copy the signing secret from the vendor's pages into it")]
    NoSecret(String),
    /// The secret's value cannot be one.
    #[error("the secret setting {0:?} holds no signing secret: it must be \"whsec_\" and base64; copy it anew")]
    InvalidSecret(String),
    /// A header that the signature needs is not there, or not as it must be.
    #[error("the header {header:?} {fault}; check in the vendor's back office that webhooks are signed")]
    Header {
        /// Its name.
        header: String,
        /// What is wrong.
        fault: HeaderFault,
    },
    /// The signature is another's. What was signed may have been changed on the way, or somebody else sent it.
    #[error(
        "the signature in {header:?} is not made with the secret setting {secret:?} over this request; if the vendor sent it, \
         copy the signing secret from the vendor's pages anew"
    )]
    WrongSignature {
        /// The header.
        header: String,
        /// The secret setting.
        secret: String,
    },
    /// It was signed too long ago: sent again by somebody, or held up.
    #[error("the request was signed {0} seconds ago; it was delayed or replayed, or a clock is wrong")]
    TimestampTooOld(u64),
    /// It was signed in the future.
    #[error("the request is signed for {0} seconds from now: the vendor's clock or this machine's is wrong")]
    TimestampInFuture(u64),
    /// What the plugin says about the endpoint cannot be used. Such a plugin is not installed.
    #[error("the plugin's webhook endpoint is invalid: {0}; report this to its author")]
    InvalidEndpoint(String),
}

impl Refusal {
    /// All that the sender is told. Everything about signatures is one status, so that nobody can feel their way forward.
    pub fn status(&self) -> StatusCode {
        match self {
            // An address that refuses where it is called from looks like none.
            Self::UnknownAddress | Self::UnknownEndpoint(_) | Self::Source(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSecret(_)
            | Self::InvalidSecret(_)
            | Self::Header { .. }
            | Self::WrongSignature { .. }
            | Self::TimestampTooOld(_)
            | Self::TimestampInFuture(_)
            | Self::InvalidEndpoint(_) => StatusCode::UNAUTHORIZED,
        }
    }
}

fn source_message(from: Option<&IpAddr>) -> String {
    match from {
        Some(from) => {
            let bits = if from.is_ipv4() { 32 } else { 128 };
            format!("the request came from {from}; to allow it: grants.webhook_networks += \"{from}/{bits}\"")
        }
        None => {
            "it is not known where the request came from, and grants.webhook_networks lets only some addresses in; let \
                 the server know the sender's address"
                .to_owned()
        }
    }
}

fn as_text<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}
