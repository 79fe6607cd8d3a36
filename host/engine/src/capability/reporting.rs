//! Reporting of requests to vendors: a span, and the observer.

use std::time::{Duration, Instant};

use cartwright_contract::clock::Clock;
use cartwright_contract::records::{CallError, HttpRequest, HttpResponse};
use tracing::Instrument as _;

use crate::capability::Scope;
use crate::capability::http::SendOptions;
use crate::egress::RequestPermit;
use crate::observe::{VendorOutcome, VendorRequest};

impl SendOptions {
    /// Sends the request in a span that names the server but not the rest of the URL, which may contain confidential
    /// data.
    pub(crate) async fn send(
        &self,
        request: HttpRequest,
        admission: RequestPermit<'_>,
        clock: &dyn Clock,
    ) -> Result<HttpResponse, CallError> {
        let host = admission.host().to_owned();
        let span = tracing::info_span!(
            "vendor_request",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            plugin = %self.scope.plugin,
            shop = %self.scope.shop,
            account = %self.scope.account,
            server.address = host,
            http.request.method = method_label(&request.method),
            outcome = tracing::field::Empty,
        );
        let began = Instant::now();
        let result = self.exchange(request, admission, clock).instrument(span.clone()).await;
        let outcome = VendorOutcome::of(&result);
        span.record("outcome", outcome.name());
        if outcome.is_error() {
            span.record("otel.status_code", "ERROR");
        }
        self.report(&host, outcome, began.elapsed());
        result
    }

    pub(super) fn report(&self, host: &str, outcome: VendorOutcome, total: Duration) {
        let Scope { plugin, shop, account, .. } = &*self.scope;
        if let Some(observer) = &self.scope.platform.observer {
            observer.vendor_request_ended(&VendorRequest { plugin, shop, account, host, outcome, total });
        }
    }
}

/// Returns the label of an HTTP method, which is bounded because a guest may use any word.
fn method_label(method: &str) -> &'static str {
    const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN_METHODS.into_iter().find(|known| *known == method).unwrap_or("other")
}
