//! The trace that a request belongs to (W3C Trace Context).

use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes this request's span part of the trace that its caller names, if it names one (W3C Trace Context). To be done before the
/// span has children, and only for callers that are trusted: the others could mix what they do into somebody's trace.
pub(crate) fn adopt_trace_context(headers: &HeaderMap) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let named = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if named.span().span_context().is_valid() {
        // Where nothing is traced nothing can be taken over.
        let _ = tracing::Span::current().set_parent(named);
    }
}
