//! Why a webhook is refused: a status for the sender and a sentence for the merchant.

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde::Serialize;

/// What is wrong with a header that an authentication needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderFault {
    /// The header is missing.
    #[error("is missing")]
    Missing,
    /// The header occurs more than once, so it is ambiguous.
    #[error("occurs more than once")]
    Repeated,
    /// The header is not text.
    #[error("is not text")]
    NotText,
    /// The header does not begin with the declared prefix.
    #[error("does not begin with the prefix that the plugin declares")]
    Prefix,
    /// The header does not contain a signature in the declared encoding, or its length is wrong.
    #[error("does not contain a signature in the encoding that the plugin declares")]
    Encoding,
    /// The header is not a time in Unix seconds.
    #[error("is not a time in Unix seconds")]
    Time,
}

/// Why a request is refused. The text tells the merchant what to do. The sender receives [`Refusal::status`] only,
/// because anything else would help an attacker who guesses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "refusal", content = "detail", rename_all = "kebab-case")]
pub enum Refusal {
    /// No account has this webhook URL.
    #[error("no account has this webhook URL; if the vendor sent the request, give the vendor a new webhook URL")]
    UnknownAddress,
    /// Under its current settings, the account has no such endpoint.
    #[error("the account has no webhook endpoint {0:?}; remove its URL in the vendor's back office")]
    UnknownEndpoint(String),
    /// The sender's IP address is not in the allowed networks.
    #[error("{}", source_message(.0.as_ref()))]
    Source(Option<IpAddr>),
    /// The sender's IP address is not in the networks that the vendor sends from.
    #[error("{}", vendor_source_message(.0.as_ref()))]
    VendorSource(Option<IpAddr>),
    /// The HTTP method is not allowed.
    #[error("the request has the method {0}; send webhooks with POST or PUT")]
    Method(#[serde(serialize_with = "as_text")] Method),
    /// The request is too large.
    #[error(
        "the request has {bytes} bytes in its {part}; at most {allowed} are allowed; raise the limit bytes_in for larger ones"
    )]
    TooLarge {
        /// "body" or "head".
        part: &'static str,
        /// Size in bytes.
        bytes: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// The secret that requests are verified with is not set.
    #[error("the secret setting {0:?} has no value; copy the secret of webhooks from the vendor's pages into it")]
    NoSecret(String),
    /// The secret's value is not a signing secret.
    #[error("the secret setting {0:?} is not a signing secret, which is \"whsec_\" and base64; copy it again")]
    InvalidSecret(String),
    /// A header that the authentication needs is missing or malformed.
    #[error("the header {header:?} {fault}; check in the vendor's back office how its webhooks are authenticated")]
    Header {
        /// Name of the header.
        header: String,
        /// What is wrong.
        fault: HeaderFault,
    },
    /// The signature does not match. The signed data was changed on the way, or another sender signed it.
    #[error(
        "the signature in {header:?} does not match this request and the secret setting {secret:?}; if the vendor sent it, \
         copy the signing secret from the vendor's pages again"
    )]
    WrongSignature {
        /// Name of the header.
        header: String,
        /// Name of the secret setting.
        secret: String,
    },
    /// The header contains another secret.
    #[error(
        "the header {header:?} does not contain the secret setting {secret:?}; if the vendor sent the request, copy the \
         secret of webhooks from the vendor's pages again"
    )]
    WrongSecret {
        /// Name of the header.
        header: String,
        /// Name of the secret setting.
        secret: String,
    },
    /// The request was signed too long ago: it was replayed or delayed.
    #[error("the request was signed {0} seconds ago; it was delayed or replayed, or a clock is wrong")]
    TimestampTooOld(u64),
    /// The request is signed for a time in the future.
    #[error("the request is signed for {0} seconds from now: the vendor's clock or this machine's is wrong")]
    TimestampInFuture(u64),
    /// The endpoint's declaration is invalid. An account with such an endpoint is not set up.
    #[error("the plugin's webhook endpoint is invalid: {0}; report this to its author")]
    InvalidEndpoint(String),
}

impl Refusal {
    /// Returns the status for the sender, which is all that the sender receives. All faults of signatures have the
    /// same status, so that an attacker learns nothing from it.
    pub fn status(&self) -> StatusCode {
        match self {
            // A URL that refuses the sender's network looks like one that does not exist.
            Self::UnknownAddress | Self::UnknownEndpoint(_) | Self::Source(_) | Self::VendorSource(_) => {
                StatusCode::NOT_FOUND
            }
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSecret(_)
            | Self::InvalidSecret(_)
            | Self::Header { .. }
            | Self::WrongSignature { .. }
            | Self::WrongSecret { .. }
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
            format!("the request came from {from}; to allow it: grants.webhook_source_networks += \"{from}/{bits}\"")
        }
        None => "the origin of the request is unknown, and grants.webhook_source_networks allows only some networks; \
             configure the server so that it knows the sender's address"
            .to_owned(),
    }
}

fn vendor_source_message(from: Option<&IpAddr>) -> String {
    match from {
        Some(from) => format!(
            "the request came from {from}, which is not in the networks that the plugin declares for the vendor; if the \
             vendor sent it, its author must add the network"
        ),
        None => {
            "the origin of the request is unknown, and the plugin declares the networks that the vendor sends from; \
             configure the server so that it knows the sender's address"
                .to_owned()
        }
    }
}

fn as_text<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}
