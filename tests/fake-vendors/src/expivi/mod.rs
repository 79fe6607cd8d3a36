//! Expivi: catalog, prices, uploaded bundles, print files.
//!
//! Expivi's guide names REST endpoints without their formats; the formats here are those that public code for Expivi
//! sends and reads. Expivi documents no webhooks, so this fake sends none.

mod answer;
mod bundle;
mod catalogue;
mod conversion;
mod page;
mod price;
mod products;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use serde_json::Value;

use crate::server::{Listener, Server, StartError};
use crate::{Faults, Record, lock};

pub use conversion::{ConversionOutcome, FilesShape};
pub use products::{Article, Attribute, Choice, Part, Product, sample_products};

/// The initial state of a [`FakeExpivi`].
#[derive(Debug, Clone)]
pub struct ExpiviConfig {
    /// The token of the viewer, public by nature: reads catalog and prices.
    pub viewer_token: String,
    /// The token with write access, which "must never be exposed publicly": reads, uploads and requests print files.
    pub server_token: String,
    /// The catalog.
    pub products: Vec<Product>,
    /// The media that have print files.
    pub media_ids: BTreeSet<u64>,
    /// Percentage of the price per country, for the `Locale-Country` header (lower case). Other countries pay 100.
    pub country_percent: BTreeMap<String, i64>,
    /// The number of polls at which a conversion is still in progress.
    pub polls: u32,
}

impl Default for ExpiviConfig {
    /// Returns tokens `viewer-token` and `server-token`, [`sample_products`], media 501 and 502, `be` at 110 percent,
    /// two polls.
    fn default() -> Self {
        Self {
            viewer_token: "viewer-token".to_owned(),
            server_token: "server-token".to_owned(),
            products: sample_products(),
            media_ids: BTreeSet::from([501, 502]),
            country_percent: BTreeMap::from([("be".to_owned(), 110), ("nl".to_owned(), 100)]),
            polls: 2,
        }
    }
}

/// The mutable state of a running fake.
struct State {
    config: ExpiviConfig,
    base_url: String,
    state: Mutex<ExpiviState>,
}

struct ExpiviState {
    products: Vec<Product>,
    uploads: bundle::Uploads,
    conversions: conversion::Conversions,
}

/// A running Expivi on its own port. It stops on drop.
pub struct FakeExpivi {
    server: Server,
    state: Arc<State>,
}

impl FakeExpivi {
    /// Starts listening on 127.0.0.1.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn start(config: ExpiviConfig) -> Result<Self, StartError> {
        let place = Listener::bind().await?;
        let state = ExpiviState {
            products: config.products.clone(),
            uploads: bundle::Uploads::default(),
            conversions: conversion::Conversions::new(config.polls),
        };
        let state = Arc::new(State { config, base_url: place.base_url(), state: Mutex::new(state) });
        let server = place.serve(routes(Arc::clone(&state)));
        Ok(Self { server, state })
    }

    /// Returns `http://127.0.0.1:port`, which stands in for `https://expivi.net` and for the host of the page's assets.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Returns the REST base with its closing slash, as the vendor writes it.
    pub fn api_url(&self) -> String {
        format!("{}/api/", self.base_url())
    }

    /// Returns the URL of the page's viewer script.
    pub fn viewer_script_url(&self) -> String {
        format!("{}/viewer/latest/viewer.js", self.base_url())
    }

    /// Returns the URL of the page's options script.
    pub fn options_script_url(&self) -> String {
        format!("{}/options/latest/js/app.js", self.base_url())
    }

    /// Returns the URL of the page's options style sheet.
    pub fn options_style_url(&self) -> String {
        format!("{}/options/latest/css/app.css", self.base_url())
    }

    /// Returns the switches that make it fail.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Returns the record of its requests.
    pub fn record(&self) -> &Record {
        &self.server.record
    }

    /// Changes a product's base price, as a merchant does in the back office while carts are open. Returns `false` if
    /// there is no such product.
    pub fn set_base_price(&self, catalogue_id: u64, cents: i64) -> bool {
        let mut state = lock(&self.state.state);
        let found = state.products.iter_mut().find(|product| product.catalogue_id == catalogue_id);
        found.map(|product| product.base_price = cents).is_some()
    }

    /// Returns the price of this configured product in cents, or `None` for an unknown product.
    pub fn expected_price(&self, configured_product: &Value, country: Option<&str>) -> Option<i64> {
        let id = price::catalogue_id(configured_product)?;
        self.state.price(id, configured_product, country)
    }

    /// Returns the uploaded products that have not expired: uuid to numeric id.
    pub fn uploaded(&self) -> BTreeMap<String, u64> {
        lock(&self.state.state).uploads.known().clone()
    }

    /// Forgets uploaded bundles, as the vendor may do. Their ids are not reused.
    pub fn expire_uploads(&self) {
        lock(&self.state.state).uploads.expire();
    }

    /// Sets how conversions end from now on, including those in progress.
    pub fn set_conversion_outcome(&self, outcome: ConversionOutcome) {
        lock(&self.state.state).conversions.outcome = outcome;
    }

    /// Sets the number of polls at which conversions requested from now on are still in progress.
    pub fn set_polls(&self, polls: u32) {
        lock(&self.state.state).conversions.polls = polls;
    }

    /// Sets the format of the entries of `files` from now on. The vendor's format is not public.
    pub fn set_files_shape(&self, shape: FilesShape) {
        lock(&self.state.state).conversions.shape = shape;
    }

    /// Stops listening, and lets requests in progress end.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn routes(state: Arc<State>) -> Router {
    // `bundle` and the conversions are POSTs on fixed paths; every other request gets the API's own 404 or 405.
    let api = Router::new()
        .route("/catalogue", get(catalogue::list))
        .route("/catalogue/{id}", get(catalogue::one))
        .route("/price_manager/price/{catalogue_id}", post(price::price))
        .route("/configured_product/bundle", post(bundle::upload))
        .route("/svg/conversion/request/{format}", post(conversion::request))
        .route("/svg/conversion/check/{hash}", get(conversion::check))
        .fallback(answer::no_such_route)
        .method_not_allowed_fallback(answer::wrong_method);
    Router::new()
        .nest("/api", api)
        .route("/files/{hash}/{name}", get(conversion::file))
        .merge(page::routes())
        .with_state(state)
}
