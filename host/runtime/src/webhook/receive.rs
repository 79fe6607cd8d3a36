//! The processing of a webhook, from its request to its response.

use std::time::SystemTime;

use cartwright_cart::shop::Shop;
use cartwright_contract::clock::timestamp;
use cartwright_contract::endpoint::CheckedEndpoint;
use cartwright_contract::error::{Failure, HookError, SetupError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::Digest;
use cartwright_contract::platform::PlatformError;
use cartwright_contract::records::{Authentication, WebhookMode, WebhookRequest, WebhookResponse};
use cartwright_contract::{records, text};
use cartwright_engine::{CallOptions, ReceiveResult, SlotKind};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::host::Cartwright;
use crate::shop::{Account, context};
use crate::webhook::deliveries::{
    DeliveryStart, Effects, REPEAT_WINDOW, WebhookDelivery, WebhookDeliveryId, WebhookDeliveryStore,
    WebhookDeliveryStoreError,
};
use crate::webhook::effects::{EffectsError, ReportSource};
use crate::webhook::refusal::Refusal;
use crate::webhook::request::IncomingRequest;
use crate::webhook::signature::WEBHOOK_ID;
use crate::webhook::token::Destination;
use crate::webhook::verifier::Verifier;

/// Response headers of a plugin that are forwarded to the sender. The response is served from the host's own origin,
/// where other headers could set cookies, load or allow code, or redirect a browser.
const ALLOWED_HEADERS: [&str; 2] = ["content-type", "retry-after"];
/// Media types of a plugin's response that are forwarded to the sender: browsers execute nothing in them.
const ALLOWED_TYPES: [&str; 3] = ["application/json", "application/problem+json", "text/plain"];
/// Media type of every other response: browsers download it instead of displaying it.
const OPAQUE_TYPE: &str = "application/octet-stream";

/// Why a webhook has no response of the plugin. The text is for the merchant; [`WebhookError::response`] is for the
/// sender.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WebhookError {
    /// The request was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The shop or the account does not exist.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The plugin failed.
    #[error(transparent)]
    Failed(#[from] HookError),
    /// The plugin responded, but the host could not determine something that the plugin requested, so the response may
    /// be wrong.
    #[error("the response is uncertain and was not sent: {0}; the vendor was asked to retry")]
    Uncertain(String),
    /// The effects could not be stored, so none were applied.
    #[error(transparent)]
    Store(#[from] WebhookDeliveryStoreError),
}

impl WebhookError {
    /// Returns the response to the sender: a status, when to retry or which methods are allowed, and nothing else.
    pub fn response(&self) -> WebhookResponse {
        let status = match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Setup(SetupError::UnknownShop(_) | SetupError::UnknownAccount(_)) => StatusCode::NOT_FOUND,
            Self::Setup(_) | Self::Uncertain(_) | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(error) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(error) => match error.failure {
                Failure::PluginError(records::CallError::InvalidInput(_)) => StatusCode::BAD_REQUEST,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        };
        let header = match self {
            // RFC 9110 requires the header, and it reveals no secret.
            _ if status == StatusCode::METHOD_NOT_ALLOWED => Some(("allow", "POST, PUT".to_owned())),
            Self::Store(WebhookDeliveryStoreError::QuotaFull { retry_after }) => {
                Some(("retry-after", retry_after.as_secs().to_string()))
            }
            _ => None,
        };
        let headers = header.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        WebhookResponse { status: status.as_u16(), headers, body: Vec::new() }
    }
}

impl Cartwright {
    /// Processes a request to a webhook URL of an account; [`WebhookToken::resolve`] returns the account.
    ///
    /// A webhook query is answered at once from the order book, in a reserved slot. Its response is never reused, and
    /// it is an error while the host is uncertain. A webhook delivery is stored, run, and answered once its effects
    /// are stored; a completed delivery gets the same response again.
    ///
    /// # Errors
    /// Returns an error if the request is refused or has no valid response; send [`WebhookError::response`] then. No
    /// effects were applied.
    ///
    /// [`WebhookToken::resolve`]: crate::webhook::WebhookToken::resolve
    pub async fn receive_webhook(
        &self,
        to: &Destination,
        incoming: &IncomingRequest,
        receipts: &dyn WebhookDeliveryStore,
    ) -> Result<WebhookResponse, WebhookError> {
        // The state is taken once, so a switch does not affect a request in progress.
        let state = self.shop_state(&to.shop)?;
        let account = state.account(&to.account)?;
        let endpoints = self.checked_endpoints(&state.shop, account).await?;
        let endpoint = authenticate(&endpoints, account, to, incoming, self.limits().bytes_in).inspect_err(|error| {
            tracing::info!(shop = %to.shop, account = %to.account, endpoint = to.endpoint, %error, "a webhook was refused");
        })?;
        let request = incoming.request(new_request_id()?, endpoint.secret_header());
        let run = WebhookRun { shop: &state.shop, account, endpoint: &to.endpoint, at: incoming.at };
        match endpoint.declared.mode {
            WebhookMode::Query => {
                let (response, effects) = self.run_webhook(&run, request, SlotKind::Query).await?;
                if !effects.is_empty() {
                    receipts.apply(to, incoming.at, effects).await?;
                }
                Ok(response)
            }
            WebhookMode::Delivery => {
                let mut delivery = new_delivery(to, endpoint, incoming, request);
                delivery.request.id = match receipts.begin(&delivery).await? {
                    DeliveryStart::Repeat(before) => return Ok(before),
                    DeliveryStart::Run { request_id } => request_id,
                };
                let failed = match self.run_webhook(&run, delivery.request.clone(), SlotKind::Call).await {
                    Ok((response, effects)) if is_success(&response) => {
                        return Ok(receipts.complete(&delivery, effects, &response).await?);
                    }
                    other => other.map(|(response, _)| response),
                };
                let reason = match &failed {
                    Ok(response) => {
                        let excerpt = text::sanitize(&String::from_utf8_lossy(&response.body), 500).text;
                        format!("the plugin responded with the status {}: {excerpt}", response.status)
                    }
                    Err(error) => error.to_string(),
                };
                receipts.fail(&delivery, &reason).await?;
                failed
            }
        }
    }

    /// Calls the plugin. A response that is not successful has no effects.
    async fn run_webhook(
        &self,
        run: &WebhookRun<'_>,
        request: WebhookRequest,
        slot_kind: SlotKind,
    ) -> Result<(WebhookResponse, Effects), WebhookError> {
        let WebhookRun { shop, account, endpoint, at } = *run;
        let version = account.version();
        let plugin = &version.plugin;
        let broke = |what: String| HookError::new(plugin.id(), Hook::ReceiveWebhook, Failure::ContractViolation(what));
        let mut context = context(shop, account, version, None, None);
        context.now = timestamp(at);
        let (scope, id) = (self.scope(shop, account, plugin), format!("webhook:{}", request.id));
        let options = CallOptions::new(scope.clone()).slot_kind(slot_kind);
        let called = self.engine().receive(plugin, options, &context, endpoint, request).await?;
        let ReceiveResult { response, reports, uncertainty, readable } = called;
        let response = sanitize_response(response).map_err(broke)?;
        if !is_success(&response) {
            return Ok((response, Effects::default()));
        }
        // A plugin may take an unavailable order book for a missing order.
        if let Some(reason) = uncertainty {
            return Err(WebhookError::Uncertain(reason));
        }
        let source = ReportSource {
            platform: self.platform(),
            form: &plugin.metadata().form,
            shop: &shop.id,
            account: &account.id,
            id: &id,
            at,
            readable: &readable,
        };
        match source.check(reports).await {
            Ok(checked) => {
                for reason in checked.dropped {
                    self.engine().warn_in_plugin_log(Hook::ReceiveWebhook, plugin, &scope, &reason);
                }
                Ok((response, checked.effects))
            }
            Err(EffectsError::Breach(what)) => Err(broke(what).into()),
            Err(EffectsError::Uncertain(PlatformError(reason))) => {
                Err(WebhookError::Uncertain(format!("the order book: {reason}")))
            }
        }
    }
}

/// A webhook that is run.
#[derive(Clone, Copy)]
struct WebhookRun<'a> {
    shop: &'a Shop,
    account: &'a Account,
    endpoint: &'a str,
    at: SystemTime,
}

/// Returns a new id of a request or of a page of a feed. It is random, because two requests with the same bytes in the
/// same millisecond are different arrivals.
pub(crate) fn new_request_id() -> Result<String, WebhookError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| WebhookError::Uncertain(format!("the system's random numbers: {error}")))?;
    Ok(hex::encode(random))
}

fn authenticate<'e>(
    endpoints: &'e [CheckedEndpoint],
    account: &Account,
    to: &Destination,
    incoming: &IncomingRequest,
    max_body_bytes: usize,
) -> Result<&'e CheckedEndpoint, Refusal> {
    let endpoint = endpoints.iter().find(|endpoint| endpoint.declared.name == to.endpoint);
    let endpoint = endpoint.ok_or_else(|| Refusal::UnknownEndpoint(to.endpoint.clone()))?;
    let verifier = Verifier {
        authentication: &endpoint.declared.authentication,
        secrets: &account.secrets,
        networks: &account.grants.webhook_source_networks,
        vendor_networks: &endpoint.networks,
        max_body_bytes,
    };
    verifier.admit(incoming)?;
    Ok(endpoint)
}

fn is_success(response: &WebhookResponse) -> bool {
    (200..300).contains(&response.status)
}

/// Checks that a server can send the response, and removes headers that could be harmful in a browser.
fn sanitize_response(mut response: WebhookResponse) -> Result<WebhookResponse, String> {
    if !(200..600).contains(&response.status) {
        return Err(format!("it responds with the status {}", response.status));
    }
    for (name, value) in &mut response.headers {
        let valid = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
        if !valid {
            return Err(format!("it responds with the header {name:?}, which is invalid"));
        }
        name.make_ascii_lowercase();
    }
    let mut forwarded: Vec<(String, String)> = Vec::new();
    for (name, value) in response.headers {
        // Only the first header of a name is kept, because different readers may use different ones.
        if ALLOWED_HEADERS.contains(&name.as_str()) && forwarded.iter().all(|(known, _)| *known != name) {
            let value = if name == "content-type" { allowed_type(&value) } else { value };
            forwarded.push((name, value));
        }
    }
    if !response.body.is_empty() && forwarded.iter().all(|(name, _)| name != "content-type") {
        forwarded.push(("content-type".to_owned(), OPAQUE_TYPE.to_owned()));
    }
    response.headers = forwarded;
    Ok(response)
}

/// Returns the media type of a response without its parameters, because a charset could turn a text into code.
fn allowed_type(value: &str) -> String {
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/plain" => "text/plain; charset=utf-8".to_owned(),
        essence if ALLOWED_TYPES.contains(&essence) => essence.to_owned(),
        _ => OPAQUE_TYPE.to_owned(),
    }
}

fn new_delivery(
    to: &Destination,
    endpoint: &CheckedEndpoint,
    incoming: &IncomingRequest,
    request: WebhookRequest,
) -> WebhookDelivery {
    let header = match (&endpoint.declared.delivery_id_header, &endpoint.declared.authentication) {
        (Some(header), _) => Some(header.as_str()),
        // Standard Webhooks has its own id, and it is signed.
        (None, Authentication::StandardWebhooks(_)) => Some(WEBHOOK_ID),
        (None, _) => None,
    };
    let mut values = header.into_iter().flat_map(|header| incoming.headers.get_all(header));
    let (id, duplicate_since) = match (values.next(), values.next()) {
        (Some(id), None) if !id.is_empty() => (WebhookDeliveryId::Event(Digest::of(id.as_bytes())), None),
        _ => {
            let bytes = [incoming.query.as_bytes(), b"\0", &incoming.body].concat();
            (WebhookDeliveryId::Body(Digest::of(&bytes)), incoming.at.checked_sub(REPEAT_WINDOW))
        }
    };
    WebhookDelivery { destination: to.clone(), id, at: incoming.at, duplicate_since, request }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(sent: &[(&str, &str)], body: &str) -> Vec<String> {
        let headers = sent.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response = WebhookResponse { status: 200, headers, body: body.into() };
        let forwarded = sanitize_response(response).expect("a response").headers;
        forwarded.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn a_response_has_a_media_type_that_no_browser_executes() {
        for (sent, passed) in [
            ("text/plain", "text/plain; charset=utf-8"),
            ("Text/PLAIN;charset=utf-7", "text/plain; charset=utf-8"),
            ("application/json", "application/json"),
            ("application/json; charset=utf-8", "application/json"),
            ("application/problem+json", "application/problem+json"),
            ("text/html", "application/octet-stream"),
            ("text/html;", "application/octet-stream"),
            (" text/html ; charset=utf-8", "application/octet-stream"),
            ("text/plain, text/html", "application/octet-stream"),
            ("application/xhtml+xml", "application/octet-stream"),
            ("application/xml", "application/octet-stream"),
            ("text/xml", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"),
            ("text/javascript", "application/octet-stream"),
            ("text/css", "application/octet-stream"),
            ("multipart/x-mixed-replace", "application/octet-stream"),
            ("application/pdf", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(headers(&[("Content-Type", sent)], "x"), [format!("content-type: {passed}")], "{sent}");
        }
        assert_eq!(headers(&[], "<script>"), ["content-type: application/octet-stream"]);
        let twice = [("content-type", "text/plain"), ("Content-Type", "text/html")];
        assert_eq!(headers(&twice, "x"), ["content-type: text/plain; charset=utf-8"]);
        assert_eq!(headers(&[], ""), [""; 0]);
    }

    #[test]
    fn only_harmless_headers_of_a_response_are_forwarded() {
        let response_headers = [
            ("Set-Cookie", "session=stolen"),
            ("Content-Security-Policy", "default-src *"),
            ("X-Content-Type-Options", "sniff"),
            ("Content-Disposition", "inline"),
            ("Content-Encoding", "gzip"),
            ("Content-Length", "1"),
            ("Location", "https://evil.example/"),
            ("Refresh", "0; url=https://evil.example/"),
            ("Link", "</x.css>; rel=stylesheet"),
            ("Access-Control-Allow-Origin", "*"),
            ("Service-Worker-Allowed", "/"),
            ("Clear-Site-Data", "\"*\""),
            ("WWW-Authenticate", "Basic realm=\"Cartwright\""),
            ("Strict-Transport-Security", "max-age=0"),
            ("Connection", "close"),
            ("X-Made-Up", "1"),
            ("Retry-After", "5"),
        ];
        assert_eq!(headers(&response_headers, ""), ["retry-after: 5"]);
    }
}
