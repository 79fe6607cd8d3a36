//! Twikit's custom integration, 1.1.2: orders, export, and its webhooks.
//!
//! Everything is from the vendor's single document. The script on the page saves a configuration in the shopper's
//! browser; a test without a browser uses [`FakeTwikit::save_configuration`].

mod codes;
mod export;
mod orders;
mod page;
mod payload;
mod webhooks;
mod zip;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};

use crate::server::{Listener, Server, StartError};
use crate::{Faults, Record, lock};

use codes::Outcome;
pub use codes::{ForcedResult, ResultCode};
pub use export::InternalOrder;
pub use orders::{Order, OrderItem, OrderState};
pub use payload::payload_hash;
pub use webhooks::{Attempt, DOCUMENTED_REPEAT_AFTER, Delivery, FaultyResponse, Webhook, Webhooks};

/// The initial state of a [`FakeTwikit`].
#[derive(Debug, Clone)]
pub struct TwikitConfig {
    /// The identifier in the paths.
    pub integration_id: String,
    /// The secret in the hash of payloads.
    pub payload_secret: String,
    /// The webhook URLs; can be changed later, since the receiver often starts after the fake.
    pub webhooks: Webhooks,
    /// Stands in for the documented five minutes before a faulty completion webhook is repeated.
    pub repeat_after: Duration,
    /// Timeout of a webhook, after which it is faulty. Not documented.
    pub webhook_patience: Duration,
    /// Whether the verification includes the order's `data`: the order's part of the document says that it "will be
    /// sent back for validation", the webhook's part does not list it.
    pub verification_sends_data: bool,
}

impl Default for TwikitConfig {
    /// Returns integration `integration-1`, secret `payload-secret`, no webhooks, a repetition after 50 ms, a timeout
    /// of five seconds, and no data in the verification.
    fn default() -> Self {
        Self {
            integration_id: "integration-1".to_owned(),
            payload_secret: "payload-secret".to_owned(),
            webhooks: Webhooks::default(),
            repeat_after: Duration::from_millis(50),
            webhook_patience: Duration::from_secs(5),
            verification_sends_data: false,
        }
    }
}

/// A configuration that a shopper saved.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedConfiguration {
    /// The id from the script's `save`.
    pub configuration_id: u64,
    /// The preview from the script's `save`.
    pub preview_url: String,
    /// The product it configures.
    pub product_key: String,
    /// The variation's id, as `variationChanged` reports it to the page.
    pub variation_id: String,
    /// The variation's SKU.
    pub sku: String,
    /// The variation's price, a bare number without a currency.
    pub price: f64,
}

impl SavedConfiguration {
    /// Returns the envelope that our page makes of it (ours, not Twikit's).
    pub fn envelope(&self) -> Value {
        json!({
            "configurationId": self.configuration_id,
            "previewUrl": self.preview_url,
            "variation": { "id": self.variation_id, "sku": self.sku, "price": self.price },
        })
    }
}

/// The order does not exist, so Twikit has nothing to report about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Twikit holds no order `{0}`")]
pub struct UnknownOrder(pub String);

struct State {
    config: TwikitConfig,
    base_url: String,
    state: Mutex<TwikitState>,
}

/// The mutable state of a running fake.
struct TwikitState {
    webhooks: Webhooks,
    repeat_after: Duration,
    saved: BTreeMap<u64, SavedConfiguration>,
    previews: BTreeMap<u64, Vec<u8>>,
    orders: Vec<Order>,
    ignored: Vec<String>,
    internal: Vec<InternalOrder>,
    sent: Vec<Attempt>,
    forced: Vec<(Call, ForcedResult)>,
}

/// The calls whose result can be forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `POST /orders/{integration-id}`
    Order,
    /// `POST /configuration/{integration-id}/export`
    Export,
}

impl State {
    fn save(&self, product_key: &str, sku: &str, price: f64) -> SavedConfiguration {
        let mut state = lock(&self.state);
        let configuration_id = 81_201 + state.saved.len() as u64;
        let saved = SavedConfiguration {
            configuration_id,
            preview_url: format!("{}/previews/{configuration_id}.png", self.base_url),
            product_key: product_key.to_owned(),
            variation_id: format!("variation-{}", sku.to_lowercase()),
            sku: sku.to_owned(),
            price,
        };
        state.saved.insert(configuration_id, saved.clone());
        saved
    }

    /// Checks the integration id. An unknown integration has no code of its own: 404 with the catch-all. Forced results
    /// precede any work.
    fn admit(&self, integration: &str, call: Call) -> Result<(), Outcome> {
        if integration != self.config.integration_id {
            let outcome = Outcome::new(ResultCode::UnexpectedError, "There is no such integration.");
            return Err(outcome.with_status(StatusCode::NOT_FOUND));
        }
        let mut state = lock(&self.state);
        match state.forced.iter().position(|(forced, _)| *forced == call) {
            Some(index) => Err(state.forced.remove(index).1.into()),
            None => Ok(()),
        }
    }
}

impl TwikitState {
    fn configuration(&self, id: u64) -> Result<&SavedConfiguration, Outcome> {
        self.saved.get(&id).ok_or_else(|| {
            Outcome::new(ResultCode::CouldNotFindConfig, format!("The configuration {id} could not be found."))
        })
    }
}

/// A running Twikit on its own port. It stops on drop.
pub struct FakeTwikit {
    server: Server,
    state: Arc<State>,
}

impl FakeTwikit {
    /// Starts listening on 127.0.0.1. The configuration of [`TWIKIT_SAVED`](crate::samples::TWIKIT_SAVED), 81201,
    /// exists from the start.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn start(config: TwikitConfig) -> Result<Self, StartError> {
        let place = Listener::bind().await?;
        let state = TwikitState {
            webhooks: config.webhooks.clone(),
            repeat_after: config.repeat_after,
            saved: BTreeMap::new(),
            previews: BTreeMap::new(),
            orders: Vec::new(),
            ignored: Vec::new(),
            internal: Vec::new(),
            sent: Vec::new(),
            forced: Vec::new(),
        };
        let state = Arc::new(State { config, base_url: place.base_url(), state: Mutex::new(state) });
        let server = place.serve(routes(Arc::clone(&state)));
        let twikit = Self { server, state };
        twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
        Ok(twikit)
    }

    /// Returns `http://127.0.0.1:port`, which stands in for the publisher's host.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Returns the REST base without a closing slash, as the vendor writes it.
    pub fn api_url(&self) -> String {
        format!("{}/api/v1", self.base_url())
    }

    /// Returns the URL that creates orders.
    pub fn orders_url(&self) -> String {
        format!("{}/orders/{}", self.api_url(), self.state.config.integration_id)
    }

    /// Returns the URL that orders production files.
    pub fn export_url(&self) -> String {
        format!("{}/configuration/{}/export", self.api_url(), self.state.config.integration_id)
    }

    /// Returns the URL of a published script; each publication has its own. With `?spelling=example` the script follows
    /// the document's example instead of its parameter table, with `?first=silent` it does not report the first
    /// variation.
    pub fn script_url(&self, publication: u32) -> String {
        format!("{}/scripts/{publication}/twikit.js", self.base_url())
    }

    /// Returns the identifier in the paths.
    pub fn integration_id(&self) -> &str {
        &self.state.config.integration_id
    }

    /// Returns the secret in the hash of payloads.
    pub fn payload_secret(&self) -> &str {
        &self.state.config.payload_secret
    }

    /// Returns the switches that make it fail.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Returns the record of its requests.
    pub fn record(&self) -> &Record {
        &self.server.record
    }

    /// Saves a configuration, as the script does for a shopper.
    pub fn save_configuration(&self, product_key: &str, sku: &str, price: f64) -> SavedConfiguration {
        self.state.save(product_key, sku, price)
    }

    /// Sets the webhook URLs from now on.
    pub fn set_webhooks(&self, webhooks: Webhooks) {
        lock(&self.state.state).webhooks = webhooks;
    }

    /// Sets the delay before a faulty completion webhook is repeated from now on.
    pub fn set_repeat_after(&self, wait: Duration) {
        lock(&self.state.state).repeat_after = wait;
    }

    /// Forces the result of the next such call, before any work. Several results queue up.
    pub fn force_result(&self, call: Call, result: ForcedResult) {
        lock(&self.state.state).forced.push((call, result));
    }

    /// Returns the existing orders, including those being verified.
    pub fn orders(&self) -> Vec<Order> {
        lock(&self.state.state).orders.clone()
    }

    /// Returns the order with this identifier.
    pub fn order(&self, identifier: &str) -> Option<Order> {
        self.orders().into_iter().find(|order| order.identifier == identifier)
    }

    /// Returns the identifiers of orders that were ignored because the verification declared them invalid.
    pub fn ignored_orders(&self) -> Vec<String> {
        lock(&self.state.state).ignored.clone()
    }

    /// Returns the orders that exports created.
    pub fn internal_orders(&self) -> Vec<InternalOrder> {
        lock(&self.state.state).internal.clone()
    }

    /// Returns every webhook sent so far, verifications included.
    pub fn sent_webhooks(&self) -> Vec<Attempt> {
        lock(&self.state.state).sent.clone()
    }

    /// Reports the end of an order's production: `url` is the producer's tracking data; an `error` of `""` means
    /// success.
    ///
    /// # Errors
    /// If the order does not exist.
    pub async fn production_completed(
        &self,
        identifier: &str,
        url: &str,
        success: bool,
        error: &str,
    ) -> Result<Delivery, UnknownOrder> {
        self.order(identifier).ok_or_else(|| UnknownOrder(identifier.to_owned()))?;
        let body = json!({ "identifier": identifier, "url": url, "success": success, "error": error });
        Ok(self.send(Webhook::ProductionCompleted, &body).await)
    }

    /// Reports that the producer marked an order as ready, with its lines.
    ///
    /// # Errors
    /// If the order does not exist.
    pub async fn order_completed(
        &self,
        identifier: &str,
        tracking_url: &str,
        tracking_id: &str,
    ) -> Result<Delivery, UnknownOrder> {
        let order = self.order(identifier).ok_or_else(|| UnknownOrder(identifier.to_owned()))?;
        let lines: Vec<_> = {
            let state = lock(&self.state.state);
            let lines = order.items.iter().filter_map(|item| Some((item, state.saved.get(&item.configuration_id)?)));
            let lines = lines.map(|(item, saved)| {
                json!({
                    "identifier": item.identifier,
                    "configurationId": item.configuration_id,
                    "previewUrl": saved.preview_url,
                    "productKey": saved.product_key,
                    "amount": item.amount,
                })
            });
            lines.collect()
        };
        let body = json!({
            "identifier": identifier,
            "trackingUrl": tracking_url,
            "trackingId": tracking_id,
            "lineItems": lines,
        });
        Ok(self.send(Webhook::OrderCompleted, &body).await)
    }

    /// Announces a new script and its products. The vendor's URL is always https; any text is sent here, so that a test
    /// can push one that must be rejected.
    pub async fn website_published(&self, script_url: &str, product_keys: &[&str]) -> Delivery {
        let products: Vec<_> = product_keys.iter().map(|key| json!({ "key": key })).collect();
        self.send(Webhook::WebsitePublished, &json!({ "scriptUrl": script_url, "products": products })).await
    }

    /// Sends any body as a webhook: forged, of a later version, or broken. It is repeated like that webhook.
    pub async fn send(&self, webhook: Webhook, body: &Value) -> Delivery {
        self.state.deliver(webhook, body).await
    }

    /// Stops listening, and lets requests in progress end.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn routes(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/orders/{integration}", post(orders::create))
        .route("/configuration/{integration}/export", post(export::export))
        .fallback(|| async { no_such_call(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { no_such_call(StatusCode::METHOD_NOT_ALLOWED) });
    Router::new().nest("/api/v1", api).merge(page::routes()).with_state(state)
}

fn no_such_call(status: StatusCode) -> Outcome {
    Outcome::new(ResultCode::UnexpectedError, "There is no such call.").with_status(status)
}
