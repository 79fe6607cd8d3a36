//! Expivi: catalogue, prices, uploaded bundles, print files.
//!
//! Expivi's guide names REST endpoints without their shapes; the shapes here are what public code that talks to Expivi
//! sends and reads. Expivi documents no webhooks, so this fake calls nobody.

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

/// What a [`FakeExpivi`] starts with.
#[derive(Debug, Clone)]
pub struct ExpiviConfig {
    /// The token of the viewer, public by nature: reads catalogue and prices.
    pub viewer_token: String,
    /// The token with write access, which "must never be exposed publicly": reads, uploads and asks for print files.
    pub server_token: String,
    /// The catalogue.
    pub products: Vec<Product>,
    /// The media that print files can be made of.
    pub media_ids: BTreeSet<u64>,
    /// Percentage of the price per country, for the `Locale-Country` header (lower case). Others pay 100.
    pub country_percent: BTreeMap<String, i64>,
    /// How many times a conversion is still in progress when it is checked.
    pub polls: u32,
}

impl Default for ExpiviConfig {
    /// Tokens `viewer-token` and `server-token`, [`sample_products`], media 501 and 502, `be` at 110 percent, two polls.
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

/// Everything that changes while the fake runs.
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

/// A running Expivi on a port of its own. Dropping it stops it.
pub struct FakeExpivi {
    server: Server,
    state: Arc<State>,
}

impl FakeExpivi {
    /// Starts listening on 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
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

    /// `http://127.0.0.1:port`, standing for `https://expivi.net` and for the host of the page's assets.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// The REST base with its closing slash, as the vendor writes it.
    pub fn api_url(&self) -> String {
        format!("{}/api/", self.base_url())
    }

    /// Where the page's viewer script is.
    pub fn viewer_script_url(&self) -> String {
        format!("{}/viewer/latest/viewer.js", self.base_url())
    }

    /// Where the script of the page's options is.
    pub fn options_script_url(&self) -> String {
        format!("{}/options/latest/js/app.js", self.base_url())
    }

    /// Where the style sheet of the page's options is.
    pub fn options_style_url(&self) -> String {
        format!("{}/options/latest/css/app.css", self.base_url())
    }

    /// The switches that make it fail.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// What it was asked.
    pub fn record(&self) -> &Record {
        &self.server.record
    }

    /// Changes a product's base price, as a merchant does in the back office while carts are open. False when there is no
    /// such product.
    pub fn set_base_price(&self, catalogue_id: u64, cents: i64) -> bool {
        let mut state = lock(&self.state.state);
        let found = state.products.iter_mut().find(|product| product.catalogue_id == catalogue_id);
        found.map(|product| product.base_price = cents).is_some()
    }

    /// What the price call answers for this configured product, in cents, or `None` for a product it does not have.
    pub fn expected_price(&self, configured_product: &Value, country: Option<&str>) -> Option<i64> {
        let id = price::catalogue_id(configured_product)?;
        self.state.price(id, configured_product, country)
    }

    /// The uploaded products that have not expired: uuid to numeric id.
    pub fn uploaded(&self) -> BTreeMap<String, u64> {
        lock(&self.state.state).uploads.known().clone()
    }

    /// Forgets uploaded bundles, which the vendor may do. Their ids are not given out again.
    pub fn expire_uploads(&self) {
        lock(&self.state.state).uploads.expire();
    }

    /// How conversions end from now on, those under way included.
    pub fn set_conversion_outcome(&self, outcome: ConversionOutcome) {
        lock(&self.state.state).conversions.outcome = outcome;
    }

    /// How many times conversions requested from now on are still in progress when checked.
    pub fn set_polls(&self, polls: u32) {
        lock(&self.state.state).conversions.polls = polls;
    }

    /// What an entry of `files` looks like from now on. The vendor's shape is not public.
    pub fn set_files_shape(&self, shape: FilesShape) {
        lock(&self.state.state).conversions.shape = shape;
    }

    /// Stops listening and lets requests in flight end.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn routes(state: Arc<State>) -> Router {
    // `bundle` and the conversions are POSTs on fixed paths; whatever else is asked gets the API's own 404 and 405.
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
