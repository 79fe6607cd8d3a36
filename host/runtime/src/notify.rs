//! What the host tells a platform: requests to an address that its operator named, signed as Standard Webhooks
//! (<https://www.standardwebhooks.com>).
//!
//! The address is checked as a vendor's is: https unless allowed otherwise, and every address that its name resolves to must be
//! public unless the operator names it. A redirection is not followed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright_contract::address::host_of;
use cartwright_contract::grants::Grants;
use cartwright_contract::records::{Error, Outage};
use cartwright_contract::settings::Secret;
use cartwright_contract::text::{MAX_URL_BYTES, check_line};
use cartwright_engine::egress::{Egress, OutboundRequest, check_url, retry_after};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::webhook::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, sign_standard};

/// How long a platform may take to answer. It is to keep what it was told and answer; work comes afterwards.
pub const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a platform is told.
#[derive(Debug, Clone)]
pub struct NotificationTarget {
    /// The address.
    pub url: String,
    /// `plain_http` and `networks` allow what is refused otherwise. The address's own host needs no grant.
    pub grants: Grants,
    /// What is signed with: the present secret, and while they are exchanged the former.
    pub secrets: Vec<Secret>,
}

/// Something that a platform is told.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    /// Its id: the same each time that it is sent.
    pub id: &'a str,
    /// When it is sent.
    pub at: SystemTime,
    /// JSON.
    pub body: &'a str,
}

/// Why a platform was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// The address, or a secret, cannot be used as it is set up; nothing was sent. The text says what to change.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered, or said that they cannot now.
    #[error("{detail}")]
    Unavailable {
        /// What happened.
        detail: String,
        /// After how many seconds it is worth trying again, where the other side said so.
        retry_after: Option<u32>,
    },
    /// It was understood and not taken.
    #[error("{host} responded {status}; expected 2xx")]
    Rejected {
        /// Who.
        host: String,
        /// The status.
        status: u16,
    },
}

/// Tells platforms. Keep one: it keeps connections.
#[derive(Default)]
pub struct NotificationSender {
    egress: Egress,
}

impl NotificationSender {
    /// Can a platform be told there? Says nothing about whether somebody answers.
    ///
    /// # Errors
    /// [`NotificationError::Reject`].
    pub fn check(receiver: &NotificationTarget) -> Result<(), NotificationError> {
        allowed(receiver).map(drop)
    }

    /// Sends once.
    ///
    /// # Errors
    /// Whatever is not answered with 2xx.
    pub async fn send(
        &self,
        receiver: &NotificationTarget,
        notification: Notification<'_>,
    ) -> Result<(), NotificationError> {
        let url = allowed(receiver)?;
        let host = host_of(&url).unwrap_or_default();
        // Whoever sends leaves a platform alone that is away, on every node, and sends one notification after the other.
        let admission = self.egress.admit_unqueued(url, &receiver.grants).map_err(|error| refused(&error))?;
        let Notification { id, at, body } = notification;
        let since = at.duration_since(UNIX_EPOCH);
        let seconds = since.map_err(|_| NotificationError::Refused("the clock is before 1970".to_owned()))?.as_secs();
        let signature =
            sign_standard(&receiver.secrets, id, seconds, body.as_bytes()).map_err(|error| refused(&error))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let named: [(&'static str, &str); 3] =
            [(WEBHOOK_ID, id), (WEBHOOK_TIMESTAMP, &seconds.to_string()), (WEBHOOK_SIGNATURE, &signature)];
        for (name, value) in named {
            let value = HeaderValue::from_str(value).map_err(|error| refused(&error))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let body = body.as_bytes().to_vec();
        let sent = admission
            .send(OutboundRequest { method: Method::POST, headers, body, timeout: NOTIFICATION_TIMEOUT })
            .await;
        let answer = sent.map_err(|sent| match sent.error {
            Error::Unavailable(Outage { detail, retry_after_seconds }) => {
                NotificationError::Unavailable { detail, retry_after: retry_after_seconds }
            }
            Error::Denied(reason) => NotificationError::Refused(reason),
            error => NotificationError::Refused(format!("{error:?}")),
        })?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        if status.is_server_error() || status.as_u16() == 429 {
            let retry_after = retry_after(&answer.headers);
            return Err(NotificationError::Unavailable { detail: format!("{host} answered {status}"), retry_after });
        }
        Err(NotificationError::Rejected { host, status: status.as_u16() })
    }
}

fn allowed(receiver: &NotificationTarget) -> Result<Url, NotificationError> {
    check_line(&receiver.url, MAX_URL_BYTES)
        .map_err(|fault| refused(&format_args!("its address cannot be stored: {fault}")))?;
    let host = Url::parse(&receiver.url).ok().and_then(|url| host_of(&url));
    let mut grants = receiver.grants.clone();
    grants.hosts.extend(host.clone());
    check_url(&receiver.url, host.as_slice(), &grants).map_err(|refusal| refused(&refusal))
}

fn refused(error: &dyn std::fmt::Display) -> NotificationError {
    NotificationError::Refused(error.to_string())
}
