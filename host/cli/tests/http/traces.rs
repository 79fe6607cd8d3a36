//! Traces as an OpenTelemetry collector receives them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use cartwright_fake_vendors::samples;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::{Shop, links, paid};

/// A collector on this machine.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    async fn start() -> Self {
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let app = Router::new().route("/v1/traces", post(receive)).with_state(spans.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("an address");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, spans }
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("no panic").clone()
    }
}

async fn receive(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) {
    let sent = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let sent = sent.resource_spans.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans);
    spans.lock().expect("no panic").extend(sent);
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Returns the children of a span.
fn under<'a>(spans: &'a [Span], parent: &'a Span, name: &'a str) -> Vec<&'a Span> {
    let is_child =
        |span: &&Span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id && span.name == name;
    spans.iter().filter(is_child).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: [(&str, &str); 1] = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];

/// Lets the platform and a page fill a cart, and a job handle an order, and returns the received spans after the node
/// has ended.
async fn traced() -> Vec<Span> {
    let collector = Collector::start().await;
    let server = Arc::new(Server::new(&["--otlp-endpoint", &collector.url]));
    let shop = Shop::on(server.clone()).await;
    shop.sell().await;
    let fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let ring = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 1 });
    for client in [&shop.backend, &shop.storefront] {
        let added = client.send("POST", &shop.path("/cart/add"), &CALLER, &ring).await;
        assert_eq!(added.status, 200);
    }
    let cart = shop.cart().await;
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await;
    shop.handled("1").await;
    drop((shop, fake));
    let server = Arc::into_inner(server).expect("the only handle");
    server.node.terminate();
    let ended = tokio::task::spawn_blocking(move || server.node.ended(Duration::from_secs(40))).await;
    assert!(ended.expect("its end").success());
    collector.spans()
}

#[tokio::test]
async fn the_work_of_a_node_arrives_as_traces() {
    let spans = traced().await;
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let requests: Vec<&Span> = spans.iter().filter(|span| span.name == "POST /v1/shops/{shop}/cart/add").collect();
    assert_eq!(requests.len(), 5);
    // The platform's request continues the platform's trace; a page's request cannot.
    let taken: Vec<&&Span> = requests.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(hex(&taken[0].parent_span_id), "b7ad6b7169203331");
    for request in &requests {
        assert_eq!(text(request, "http.route"), Some("/v1/shops/{shop}/cart/add"));
        let calls = under(&spans, request, "guest_call");
        let hooks: Vec<&str> = calls.iter().filter_map(|call| text(call, "hook")).collect();
        assert!(hooks.contains(&"configuration.decode") && hooks.contains(&"cart.plan"), "{hooks:?}");
        assert!(calls.iter().all(|call| text(call, "outcome") == Some("answered")), "{calls:#?}");
    }
    let jobs = spans.iter().filter(|span| span.name == "job" && span.parent_span_id.is_empty());
    let calls: Vec<&Span> = jobs.flat_map(|job| under(&spans, job, "guest_call")).collect();
    assert!(calls.iter().all(|call| text(call, "hook") == Some("orders.handle")) && !calls.is_empty(), "{calls:#?}");
    let vendor_requests: Vec<&Span> = calls.iter().flat_map(|call| under(&spans, call, "vendor_request")).collect();
    assert!(
        !vendor_requests.is_empty()
            && vendor_requests.iter().all(|vendor_requests| text(vendor_requests, "outcome") == Some("2xx")),
        "{vendor_requests:#?}"
    );
    let steps: Vec<&Span> = calls.iter().flat_map(|call| under(&spans, call, "journal_step")).collect();
    assert!(steps.iter().any(|step| text(step, "entry") == Some("intent")), "{steps:#?}");
    // No span contains a customer, a secret or a configuration.
    let all = format!("{spans:?}");
    for hidden in ["ada@example.com", "Sample", "server-token", "cw_backend", "thumbnail", "attributes\":"] {
        assert!(!all.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let server = Server::new(&["--otlp-endpoint", "http://127.0.0.1:9"]);
    assert_eq!(server.admin.get("/v1/shops").await.status, 200);
    server.node.terminate();
    let ended = tokio::task::spawn_blocking(move || server.node.ended(Duration::from_secs(20))).await;
    assert!(ended.expect("its end").success());
}
