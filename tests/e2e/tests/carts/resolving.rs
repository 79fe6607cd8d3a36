//! A vendor whose page gives only an id: its server has the configuration, which is fetched before it is decoded.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use cartwright::types::CallError;
use cartwright::{
    AccountId, AccountSetup, AddToCart, Blobs, Breach, CartError, CartLine, Digest, Failure, HookError, Limits,
    LineState, ProductLink, Visitor,
};
use cartwright_e2e::{World, added_lines, local, members};
use cartwright_fake_vendors::samples;
use cartwright_test_guests::RESOLVING;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The secret that the vendor's server wants.
const TOKEN: &str = "t0ken-55cc";
const BLUE: &str = r#"{"id":"blue","product":"1001","color":"Blue","picture":"/pictures/blue.jpg"}"#;
const RED: &str = r#"{"id":"red","product":"1001","color":"Red"}"#;
const PRICED: &str = r#"{"id":"priced","product":"1001","color":"Gold","cents":12345}"#;
/// A configuration of another product, with a picture.
const OTHER: &str = r#"{"id":"other","product":"9999","color":"Blue","picture":"/pictures/blue.jpg"}"#;

/// A strict server with saved configurations. It holds back its response about "slow".
#[derive(Clone)]
struct FakeVendor(Arc<VendorState>);

struct VendorState {
    /// The paths that were asked for.
    requests: Mutex<Vec<String>>,
    /// The response to all requests, with a `retry-after`, instead of a configuration.
    failure: Mutex<Option<(StatusCode, &'static str)>>,
    /// Gives a permit to each response about "slow".
    gate: Semaphore,
}

impl FakeVendor {
    async fn start() -> (Self, String) {
        let state = VendorState { requests: Mutex::default(), failure: Mutex::default(), gate: Semaphore::new(0) };
        let vendor = Self(Arc::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(respond).with_state(vendor.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (vendor, url)
    }

    fn fail(&self, status: StatusCode, retry_after: &'static str) {
        *self.0.failure.lock().expect("the failure") = Some((status, retry_after));
    }

    /// Returns the paths that were asked for since the last call.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.requests.lock().expect("the requests"))
    }

    async fn wait_for_request(&self) {
        while self.0.requests.lock().expect("the requests").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn respond(State(vendor): State<FakeVendor>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET || uri.query().is_some() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let wanted = format!("Bearer {TOKEN}");
    if headers.get("authorization").is_none_or(|value| value.as_bytes() != wanted.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    vendor.0.requests.lock().expect("the requests").push(uri.path().to_owned());
    let failure = *vendor.0.failure.lock().expect("the failure");
    if let Some((status, retry_after)) = failure {
        return (status, [("retry-after", retry_after)]).into_response();
    }
    let saved = |json: String| ([("content-type", "application/json")], json).into_response();
    match uri.path() {
        "/configurations/blue" => saved(BLUE.to_owned()),
        "/configurations/red" => saved(RED.to_owned()),
        "/configurations/priced" => saved(PRICED.to_owned()),
        "/configurations/other" => saved(OTHER.to_owned()),
        "/configurations/slow" => {
            vendor.0.gate.acquire().await.expect("an open gate").forget();
            saved(RED.replace("red", "slow"))
        }
        "/configurations/wide" => saved(padded(6 << 20)),
        "/configurations/large" => saved(padded(9 << 20)),
        "/pictures/blue.jpg" => ([("content-type", "image/jpeg")], samples::JPEG).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Returns a configuration with a member of this size.
fn padded(bytes: usize) -> String {
    RED.replace("\"id\"", &format!("\"padding\":\"{}\",\"id\"", "x".repeat(bytes)))
}

/// What a page sends for an id.
fn page(id: &str) -> String {
    json!({ "id": id }).to_string()
}

/// What takes the place of that: the vendor's configuration, and the digest of its picture.
fn resolved(saved: &str, picture: Option<&[u8]>) -> String {
    let picture = picture.map(|picture| format!(",\"picture\":\"{}\"", Digest::of(picture)));
    format!("{{\"saved\":{saved}{}}}", picture.unwrap_or_default())
}

async fn world() -> (World, FakeVendor) {
    world_with(Limits::default(), TOKEN).await
}

/// Returns a world whose ring is configured at the vendor.
async fn world_with(limits: Limits, token: &str) -> (World, FakeVendor) {
    let world = World::with(|builder| builder.limits(limits), json!({})).await;
    let (vendor, url) = FakeVendor::start().await;
    let plugin = world.host.install(RESOLVING, None).await.expect("the guest").digest();
    let id: AccountId = "resolving".parse().expect("an account id");
    let settings = members(json!({ "api-url": url, "token": token }));
    let setup = AccountSetup { id, settings, grants: local(&url) };
    world.host.set_account(&world.shop, plugin, setup).await.expect("an account");
    let link: ProductLink = serde_json::from_value(json!({
        "shop_product": "ring", "account": "resolving", "vendor_product": "1001", "settings": {},
        "strategy": { "name": "plain" },
    }))
    .expect("a link");
    world.host.link(&world.shop, &[link]).await.expect("linked");
    (world, vendor)
}

/// Returns a request of a shopper to add what a page sends for an id.
fn request_of(world: &World, client: &str, id: &str) -> AddToCart {
    let visitor = Visitor { client: Some(client.to_owned()), ..Visitor::default() };
    AddToCart { visitor, ..world.request("ring", &page(id), 1, &[]) }
}

async fn is_stored(world: &World, bytes: &[u8]) -> bool {
    world.blobs.get(&world.shop, &Digest::of(bytes)).await.expect("an answer").is_some()
}

async fn one(world: &World, id: &str) -> CartLine {
    let change = world.add("ring", &page(id), 1, &mut Vec::new()).await.expect("a line");
    added_lines(&change).remove(0)
}

/// Returns why `resolve` failed for an id. Nothing is stored then.
async fn refused(world: &World, id: &str) -> Failure {
    let error = world.add("ring", &page(id), 1, &mut Vec::new()).await.expect_err("it is refused");
    assert!(!is_stored(world, page(id).as_bytes()).await);
    match error {
        CartError::Hook(HookError { hook, failure, .. }) => {
            assert_eq!(hook.name(), "resolving.resolve");
            failure
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_configuration_is_added_by_its_id_with_its_picture_and_what_the_page_sent_is_not_stored() {
    let (world, vendor) = world().await;
    let line = one(&world, "blue").await;
    assert_eq!(vendor.requests(), ["/configurations/blue", "/pictures/blue.jpg"]);
    let whole = resolved(BLUE, Some(samples::JPEG));
    assert_eq!(line.configuration, Some(Digest::of(whole.as_bytes())));
    assert_eq!((line.price.total.minor, line.thumbnail), (19_900, Some(Digest::of(samples::JPEG))));
    assert!(is_stored(&world, whole.as_bytes()).await && is_stored(&world, samples::JPEG).await);
    assert!(!is_stored(&world, page("blue").as_bytes()).await);
}

#[tokio::test]
async fn the_vendors_price_comes_from_the_configuration_that_its_server_returned() {
    let (world, _vendor) = world().await;
    assert_eq!(one(&world, "priced").await.price.total.minor, 12_345);
}

#[tokio::test]
async fn the_same_bytes_of_one_shopper_are_asked_for_once() {
    let (world, vendor) = world().await;
    let mut cart = Vec::new();
    for _ in 0..2 {
        world.add("ring", &page("blue"), 1, &mut cart).await.expect("a line");
    }
    assert_eq!(vendor.requests(), ["/configurations/blue", "/pictures/blue.jpg"]);
    assert_eq!((cart.len(), cart[0].quantity, cart[0].thumbnail), (1, 2, Some(Digest::of(samples::JPEG))));
    // At the same time, too.
    let [first, second] = [(), ()].map(|()| world.host.add_to_cart(&world.shop, request_of(&world, "a", "slow")));
    let opened = async {
        vendor.wait_for_request().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        vendor.0.gate.add_permits(1);
    };
    let (first, second, ()) = tokio::join!(first, second, opened);
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(vendor.requests(), ["/configurations/slow"]);
    // Another shopper gets nothing that this one's request returned.
    world.host.add_to_cart(&world.shop, request_of(&world, "b", "red")).await.expect("a line");
    world.host.add_to_cart(&world.shop, request_of(&world, "c", "red")).await.expect("a line");
    assert_eq!(vendor.requests(), ["/configurations/red", "/configurations/red"]);
}

#[tokio::test]
async fn another_shopper_is_not_held_up_by_a_slow_response() {
    let (world, vendor) = world().await;
    let held = world.host.add_to_cart(&world.shop, request_of(&world, "a", "slow"));
    let other = async {
        vendor.wait_for_request().await;
        world.host.add_to_cart(&world.shop, request_of(&world, "b", "red")).await.expect("a line");
        vendor.0.gate.add_permits(1);
    };
    let (held, ()) = tokio::join!(held, other);
    held.expect("a line after the response");
}

#[tokio::test]
async fn a_vendor_that_is_away_refuses_and_says_when_to_come_again() {
    let (world, vendor) = world().await;
    vendor.fail(StatusCode::SERVICE_UNAVAILABLE, "7");
    let failure = refused(&world, "blue").await;
    let Failure::PluginError(CallError::Unavailable(outage)) = &failure else { panic!("{failure}") };
    assert_eq!(outage.retry_after_seconds, Some(7));
}

#[tokio::test]
async fn a_vendor_that_does_not_respond_in_time_is_unavailable() {
    let limits = Limits { network_deadline: Duration::from_millis(500), ..Limits::default() };
    let (world, _vendor) = world_with(limits, TOKEN).await;
    let failure = refused(&world, "slow").await;
    assert!(
        matches!(failure, Failure::PluginError(CallError::Unavailable(_)) | Failure::Limit(Breach::Deadline { .. })),
        "{failure}"
    );
}

#[tokio::test]
async fn an_unknown_id_is_the_fault_of_what_the_page_sent() {
    let (world, vendor) = world().await;
    let failure = refused(&world, "green").await;
    let Failure::PluginError(CallError::InvalidInput(issue)) = &failure else { panic!("{failure}") };
    assert_eq!((issue.field.as_str(), issue.message.key.as_str()), ("id", "id-unknown"));
    assert_eq!(vendor.requests(), ["/configurations/green"]);
    // A text that is not the page's reaches no server.
    let error = world.add("ring", BLUE.trim_end_matches('}'), 1, &mut Vec::new()).await.expect_err("it is no JSON");
    let CartError::Hook(HookError { failure: Failure::PluginError(CallError::InvalidInput(_)), .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(vendor.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_the_vendor_refuses_is_the_merchants_to_mend() {
    let (world, _vendor) = world_with(Limits::default(), "another-token").await;
    let failure = refused(&world, "blue").await;
    let Failure::PluginError(CallError::NotConfigured(issue)) = &failure else { panic!("{failure}") };
    assert_eq!(issue.field, "token");
}

#[tokio::test]
async fn a_response_that_is_too_large_names_the_limit() {
    let (world, _vendor) = world().await;
    let failure = refused(&world, "large").await;
    let Failure::PluginError(CallError::LimitExceeded(exceeded)) = &failure else { panic!("{failure}") };
    assert!(exceeded.text.contains("bytes_in"), "{}", exceeded.text);
}

#[tokio::test]
async fn a_result_may_be_as_large_as_a_configuration_and_no_larger_and_not_empty() {
    let (world, _vendor) = world().await;
    let line = one(&world, "wide").await;
    assert_eq!(line.configuration, Some(Digest::of(resolved(&padded(6 << 20), None).as_bytes())));
    let failure = refused(&world, "flood").await;
    assert!(matches!(failure, Failure::Limit(Breach::BytesIn { .. })), "{failure}");
    let failure = refused(&world, "nothing").await;
    assert!(matches!(failure, Failure::ContractViolation(_)), "{failure}");
}

#[tokio::test]
async fn nothing_is_stored_of_a_resolved_configuration_that_is_refused() {
    let (world, vendor) = world().await;
    let error = world.add("ring", &page("other"), 1, &mut Vec::new()).await.expect_err("it is another product");
    assert!(matches!(error, CartError::NotLinked { .. }), "{error}");
    assert_eq!(vendor.requests(), ["/configurations/other", "/pictures/blue.jpg"]);
    let whole = resolved(OTHER, Some(samples::JPEG));
    for refused in [page("other").as_bytes(), whole.as_bytes(), samples::JPEG] {
        assert!(!is_stored(&world, refused).await);
    }
}

#[tokio::test]
async fn an_edit_and_a_request_for_a_quote_resolve_what_the_page_sends() {
    let (world, vendor) = world().await;
    let mut cart = vec![one(&world, "blue").await];
    vendor.requests();
    let (key, request) = (cart[0].key.clone(), world.request("ring", &page("red"), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(vendor.requests(), ["/configurations/red"]);
    let configuration = Some(Digest::of(resolved(RED, None).as_bytes()));
    assert_eq!((cart.len(), cart[0].configuration, cart[0].thumbnail), (1, configuration, None));
    let request = world.request("ring", &page("priced"), 1, &[]);
    world.host.request_quote(&world.shop, request).await.expect("requested");
    assert_eq!(vendor.requests(), ["/configurations/priced"]);
}

#[tokio::test]
async fn what_is_stored_is_decoded_without_the_vendor() {
    let (world, vendor) = world().await;
    let (host, shop, visitor) = (&world.host, &world.shop, Visitor::default());
    let mut cart = vec![one(&world, "blue").await];
    vendor.requests();
    let key = cart[0].key.clone();
    host.change_quantity(shop, &key, 3, &cart, &visitor).await.expect("changed").apply(&mut cart);
    host.refresh_line(shop, &cart[0].key, &cart, &visitor).await.expect("refreshed").apply(&mut cart);
    // The seal is not valid for another country, so the line is planned again.
    let belgian = Visitor { country: Some("BE".to_owned()), ..Visitor::default() };
    let checks = host.check_cart(shop, &cart, &belgian).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    let guest = cart.clone();
    host.merge_carts(shop, &guest, &cart, &visitor).await.expect("merged").apply(&mut cart);
    let again = host.reorder(shop, &cart[0], Vec::new(), visitor.clone()).await.expect("reordered");
    let again = added_lines(&again).remove(0);
    for line in [&cart[0], &again] {
        assert_eq!(line.configuration, Some(Digest::of(resolved(BLUE, Some(samples::JPEG)).as_bytes())));
        assert_eq!((line.quantity, line.thumbnail), (6, Some(Digest::of(samples::JPEG))));
    }
    // To continue from it, the plugin gets what is stored.
    let error = host.embed(shop, "ring", Some(&cart[0]), &visitor).await.expect_err("the guest has no page");
    let CartError::Hook(HookError { failure: Failure::PluginError(CallError::Rejected(message)), .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(message.text, resolved(BLUE, Some(samples::JPEG)));
    assert_eq!(vendor.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_plugin_that_does_not_resolve_decodes_what_the_page_sent() {
    let world = World::new().await;
    let change = world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.expect("a line");
    assert!(change.stages.iter().all(|stage| stage.stage != "resolve"), "{:?}", change.stages);
    let configuration = added_lines(&change).remove(0).configuration;
    assert_eq!(configuration, Some(Digest::of(samples::EXPIVI_SIMPLE.as_bytes())));
}

#[tokio::test]
async fn the_trace_says_that_the_configuration_was_fetched_from_the_vendor() {
    let (world, _vendor) = world().await;
    let change = world.add("ring", &page("blue"), 1, &mut Vec::new()).await.expect("a line");
    let stages: Vec<&str> = change.stages.iter().map(|stage| stage.stage.as_str()).collect();
    let expected = ["resolve", "decode", "products", "identify", "plan", "check", "pictures", "store", "seal"];
    assert_eq!(stages, expected);
    let stage = &change.stages[0];
    assert!(stage.result.starts_with("fetched from the vendor with 2 requests"), "{}", stage.result);
    assert!(stage.duration_micros > 0);
    assert!(change.stages[7].result.contains("from the vendor's server"), "{}", change.stages[7].result);
    let again = world.add("ring", &page("blue"), 1, &mut Vec::new()).await.expect("a line");
    assert!(again.stages[0].result.starts_with("fetched from the vendor a moment ago"), "{}", again.stages[0].result);
}
