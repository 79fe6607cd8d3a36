//! The resolve stage: what the vendor's server returned for an id that came from a page.
//!
//! The result takes the place of what the page sent: it alone is decoded and stored. Equal bytes of one visitor are
//! resolved once at a time, and the result is remembered for [`MAX_AGE`], so that a request that is sent again does not
//! ask the vendor again. It is not remembered for longer, because a vendor may save a changed configuration under the
//! same id.

use std::sync::Arc;

use cartwright_cart::error::CartError;
use cartwright_cart::vendor_cache::Lookup;
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Context, ProductLink};
use cartwright_engine::{CallOptions, ResolveResult};
use jiff::Timestamp;
use serde::Serialize;

use super::pipeline::PlanPipeline;
use super::resolved::{CallBlobs, MAX_AGE, ResolvedConfiguration};

impl PlanPipeline<'_> {
    /// Returns the configuration that the vendor's server has for what a page sent.
    ///
    /// # Errors
    /// Returns [`CartError::Hook`] if what the page sent is too large, or if the plugin's call fails.
    pub(super) async fn resolve(&mut self, raw: Vec<u8>) -> Result<Arc<Vec<u8>>, CartError> {
        self.check_size(&raw, Hook::Resolve)?;
        let (host, sent, sent_bytes) = (self.host, Digest::of(&raw), raw.len());
        let key = self.resolve_key(sent)?;
        let (resolved, fetched) = match host.resolved().get(key, MAX_AGE, Timestamp::now()).await {
            Lookup::Hit(resolved) => (resolved, "fetched from the vendor a moment ago".to_owned()),
            Lookup::Miss(request) => {
                let (resolved, requests) = self.fetch_configuration(sent, Arc::new(raw)).await?;
                (request.remember(resolved), format!("fetched from the vendor with {requests} requests"))
            }
        };
        self.received_blobs = resolved.blobs.clone();
        self.record_stage(format!(
            "{fetched}: {} bytes, in the place of {sent_bytes} bytes from the page, and {} pictures",
            resolved.bytes.len(),
            resolved.blobs.len()
        ));
        Ok(resolved.bytes.clone())
    }

    /// Returns the key of a resolved configuration: everything that the plugin is given, except the time, and the
    /// shopper, so that no shopper gets what another one's request returned.
    fn resolve_key(&self, sent: Digest) -> Result<Digest, CartError> {
        #[derive(Serialize)]
        struct ResolveQuery<'a> {
            plugin: Digest,
            context: Context,
            product_link: &'a ProductLink,
            sent: Digest,
            client: Option<&'a str>,
        }
        let query = ResolveQuery {
            plugin: self.version.plugin.digest(),
            context: Context { now: String::new(), ..self.context.clone() },
            product_link: &self.product_link,
            sent,
            client: self.visitor.client.as_deref(),
        };
        // Serializing texts alone cannot fail; all of them are part of the key.
        let text = serde_json::to_vec(&query).map_err(|error| CartError::Platform(error.to_string()))?;
        Ok(Digest::of(&text))
    }

    /// Fetches the configuration from the vendor. Returns it with the number of requests.
    async fn fetch_configuration(
        &mut self,
        sent: Digest,
        raw: Arc<Vec<u8>>,
    ) -> Result<(ResolvedConfiguration, u32), CartError> {
        let requested_at = Timestamp::now();
        let plugin = self.version.plugin.clone();
        let blobs = Arc::new(CallBlobs::new(self.host.platform().blobs.clone()));
        let scope = self.host.scope_with_blobs(&self.state.shop, &self.vendor, &plugin, blobs.clone());
        let options = CallOptions::new(scope).client(self.visitor.client.as_ref());
        let (context, product_link) = (&self.context, &self.product_link);
        let called = self.host.engine().resolve(&plugin, options, context, product_link, (sent, raw)).await?;
        let ResolveResult { bytes, requests, log } = called;
        self.log = log;
        let (bytes, blobs) = (Arc::new(bytes), Arc::new(blobs.take_received()));
        let resolved = ResolvedConfiguration { bytes, blobs, requested_at };
        Ok((resolved, requests))
    }
}
