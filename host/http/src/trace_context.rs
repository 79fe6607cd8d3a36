//! The trace that a request belongs to (W3C Trace Context).

use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes this request's span part of the trace that its caller names, if any (W3C Trace Context). Call it before the
/// span has children, and only for trusted callers: others could add their requests to a foreign trace.
pub(crate) fn adopt_trace_context(headers: &HeaderMap) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let named = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if named.span().span_context().is_valid() {
        // Fails only if tracing is off, and then there is nothing to continue.
        let _ = tracing::Span::current().set_parent(named);
    }
}
