//! The requests to Expivi for an order, and the print files.

use std::sync::Arc;

use cartwright::types::{CallError, Next, Order, OrderEventKind, Outcome};
use cartwright::{AccountSetup, HandleResult, SetupError, SimulatedClock};
use cartwright_e2e::{World, local, members};
use cartwright_fake_vendors::expivi::{ConversionOutcome, FilesShape};
use cartwright_fake_vendors::{Malformed, Outage, client, samples};
use serde_json::{Value, json};

use super::common::{
    blob, documents, event, is_unavailable, merchant_questions, notes, order, plugin_error, put, references,
};

pub async fn bought(world: &World, id: &str, products: &[(&str, &str)]) -> Order {
    let mut cart = Vec::new();
    for (product, configuration) in products {
        world.add(product, configuration, 1, &mut cart).await.expect("a line");
    }
    let order = order(&world.host, &world.shop, id, &cart);
    put(&world.orders, &world.shop, &world.account, &order, &cart);
    order
}

pub async fn released(world: &World, order: &Order, clock: Arc<SimulatedClock>) -> Result<HandleResult, SetupError> {
    let event = event(OrderEventKind::Released, order);
    world.host.handle_order(&world.shop, &world.account, &event, None, clock).await
}

pub async fn release(world: &World, order: &Order) -> Result<HandleResult, SetupError> {
    released(world, order, Arc::new(SimulatedClock::default())).await
}

pub const WARDROBE: (&str, &str) = ("wardrobe", samples::EXPIVI_BUNDLE);
pub const WARDROBE_UUID: &str = "8d6a2f5c-51b4-4c5e-8f7b-2c9d4e6f1003";

#[tokio::test]
async fn an_ordered_configuration_is_uploaded_and_its_materials_are_confirmed() {
    let world = World::new().await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    let uploads = world.expivi.record().on_path("/api/configured_product/bundle");
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].header("authorization"), Some("Bearer server-token"));
    let products: Value = serde_json::from_str(samples::EXPIVI_BUNDLE).expect("a sample");
    assert_eq!(uploads[0].json(), json!({ "bundle_uuid": null, "configured_products": products }));
    let number = world.expivi.uploaded()[WARDROBE_UUID].to_string();
    assert_eq!(references(&handled.outcomes), [(Some("1"), number.as_str())]);
    let materials = handled.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::BillOfMaterials(materials) => Some(materials),
        _ => None,
    });
    let materials = materials.expect("a bill of materials");
    assert_eq!(materials.line, "1");
    let articles: Vec<_> =
        materials.articles.iter().map(|article| (article.price_sku.as_deref(), article.quantity.as_str())).collect();
    assert!(
        [("PANEL-60", "3"), ("HINGE", "4"), ("SCREW-4", "4")]
            .iter()
            .all(|(sku, quantity)| articles.contains(&(Some(*sku), *quantity))),
        "{articles:?}"
    );
    assert_eq!((merchant_questions(&handled.outcomes), handled.next), (vec![], Next::Done));
    // An outcome of an earlier event is neither produced nor recorded again.
    let mut again = event(OrderEventKind::Released, &order);
    again.order.lines[0].vendor_reference = Some(number);
    again.previous_outcomes = handled.outcomes;
    let clock = Arc::new(SimulatedClock::default());
    let quiet = world.host.handle_order(&world.shop, &world.account, &again, None, clock).await.expect("handled");
    assert_eq!((quiet.outcomes, world.expivi.record().len()), (vec![], 1));
}

#[tokio::test]
async fn a_configuration_without_a_uuid_is_noted_and_does_not_stop_the_others() {
    let world = World::new().await;
    let order = bought(&world, "1", &[("ring", samples::EXPIVI_SIMPLE), WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(notes(&handled.outcomes), ["uuid-missing"]);
    assert_eq!(references(&handled.outcomes).len(), 1);
    assert_eq!(world.expivi.uploaded().len(), 1);
}

#[tokio::test]
async fn lines_that_are_held_are_not_uploaded() {
    let world = World::new().await;
    let mut order = bought(&world, "1", &[WARDROBE]).await;
    order.lines[0].released = false;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!((handled.outcomes, world.expivi.uploaded().len()), (vec![], 0));
}

fn printing() -> Value {
    json!({ "print-files": true, "media-id": 501 })
}

#[tokio::test]
async fn print_files_are_waited_for_and_stored() {
    for (shape, polls, slept) in [(FilesShape::Objects, 2, vec![5, 10, 20]), (FilesShape::Urls, 0, vec![5])] {
        let world = World::with(|builder| builder, printing()).await;
        world.expivi.set_files_shape(shape);
        world.expivi.set_polls(polls);
        let order = bought(&world, "1", &[WARDROBE]).await;
        let clock = Arc::new(SimulatedClock::default());
        let handled = released(&world, &order, clock.clone()).await.expect("handled");
        assert_eq!(clock.slept(), slept);
        assert_eq!(handled.next, Next::Done);
        let requests = world.expivi.record().on_path("/api/svg/conversion/request/");
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].path, "/api/svg/conversion/request/pdf");
        assert_eq!(requests[0].header("authorization"), Some("Bearer server-token"));
        let number = world.expivi.uploaded()[WARDROBE_UUID];
        let expected = json!({
            "configured_product_id": number, "media_id": 501, "hide_print_marks": false, "hide_placeholders": false,
            "attribute_payload": "visible",
        });
        assert_eq!(requests[0].json(), expected);
        assert_eq!(world.expivi.record().on_path("/api/svg/conversion/check/").len(), slept.len());
        let files = world.expivi.record().on_path("/files/");
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].header("authorization"), None, "a token went to the address of a file");
        let documents = documents(&handled.outcomes);
        let [document] = documents[..] else { panic!("{:?}", handled.outcomes) };
        assert_eq!((document.kind.as_str(), document.line.as_deref()), ("print-file", Some("1")));
        assert_eq!((document.name.as_str(), document.media_type.as_str()), ("print.pdf", "application/pdf"));
        let url = format!("{}{}", world.expivi.base_url(), files[0].path);
        let served = client::get(&url, &[]).await.expect("the file").body;
        assert_eq!(blob(&world.blobs, &world.shop, document).await, served);
    }
}

#[tokio::test]
async fn print_files_that_fail_need_the_merchant() {
    let world = World::with(|builder| builder, printing()).await;
    for (id, outcome) in [("1", ConversionOutcome::Failed), ("2", ConversionOutcome::NotProcessing)] {
        world.expivi.set_conversion_outcome(outcome);
        let order = bought(&world, id, &[WARDROBE]).await;
        let handled = release(&world, &order).await.expect("handled");
        assert_eq!(merchant_questions(&handled.outcomes), ["print-file-failed"], "{outcome:?}");
        assert_eq!((documents(&handled.outcomes).len(), handled.next), (0, Next::Done));
    }
}

#[tokio::test]
async fn a_print_file_that_is_never_done_is_given_up_after_hours() {
    let world = World::with(|builder| builder, printing()).await;
    world.expivi.set_polls(u32::MAX);
    let order = bought(&world, "1", &[WARDROBE]).await;
    let clock = Arc::new(SimulatedClock::default());
    let mut handled = released(&world, &order, clock.clone()).await.expect("handled");
    let mut waited: u32 = clock.slept().iter().sum();
    let mut outcomes = handled.outcomes;
    for _ in 0..10 {
        let Next::ContinueLater(later) = handled.next.clone() else { break };
        waited += later.seconds;
        let (event, clock) = (event(OrderEventKind::Released, &order), Arc::new(SimulatedClock::default()));
        let again = world.host.handle_order(&world.shop, &world.account, &event, Some(&later.state), clock.clone());
        handled = again.await.expect("handled");
        waited += clock.slept().iter().sum::<u32>();
        outcomes.append(&mut handled.outcomes);
    }
    assert_eq!(handled.next, Next::Done);
    assert_eq!(merchant_questions(&outcomes), ["print-file-failed"]);
    assert!((2 * 3600..4 * 3600).contains(&waited), "{waited} s");
    assert_eq!(world.expivi.record().on_path("/api/svg/conversion/request/").len(), 1);
}

#[tokio::test]
async fn print_files_that_can_never_come_are_refused_beside_their_settings() {
    let world = World::new().await;
    for (missing, settings) in [
        ("media-id", json!({ "server-token": "server-token", "print-files": true })),
        ("server-token", json!({ "server-token": null, "print-files": true, "media-id": 501 })),
    ] {
        let mut all = members(json!({ "viewer-token": "viewer-token", "api-url": world.expivi.api_url() }));
        all.extend(members(settings));
        let setup = AccountSetup { id: world.account.clone(), settings: all, grants: local(world.expivi.base_url()) };
        let refused = world.host.set_account(&world.shop, world.digest, setup).await;
        let Err(SetupError::Invalid(issues)) = refused else { panic!("{refused:?}") };
        let blocking: Vec<&str> =
            issues.iter().filter(|issue| issue.blocking).map(|issue| issue.field.as_str()).collect();
        assert_eq!(blocking, [missing]);
    }
}

#[tokio::test]
async fn a_product_without_a_media_id_needs_the_merchant() {
    let world = World::with(|builder| builder, json!({ "print-files": true, "media-ids": [["1001", "501"]] })).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["media-id-missing"]);
    assert_eq!(world.expivi.record().on_path("/api/svg/").len(), 0);
}

#[tokio::test]
async fn a_medium_that_expivi_refuses_needs_the_merchant() {
    let world = World::with(|builder| builder, json!({ "print-files": true, "media-id": 999 })).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["line-failed"]);
    assert_eq!(references(&handled.outcomes).len(), 1, "the upload is lost");
}

#[tokio::test]
async fn without_a_server_token_nothing_is_sent_and_a_note_says_so() {
    let world = World::with(|builder| builder, json!({ "server-token": null })).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(world.expivi.record().len(), 0);
    assert_eq!(notes(&handled.outcomes), ["upload-off"]);
    assert!(handled.outcomes.iter().any(|outcome| matches!(outcome, Outcome::BillOfMaterials(_))));
    assert_eq!((documents(&handled.outcomes).len(), handled.next), (0, Next::Done));
}

#[tokio::test]
async fn a_refused_server_token_names_its_setting() {
    for wrong in ["another", "viewer-token"] {
        let world = World::with(|builder| builder, json!({ "server-token": wrong })).await;
        let order = bought(&world, "1", &[WARDROBE]).await;
        let error = release(&world, &order).await.expect_err("refused");
        assert!(
            matches!(plugin_error(&error), CallError::NotConfigured(issue) if issue.field == "server-token"),
            "{error}"
        );
        assert_eq!(world.expivi.uploaded().len(), 0);
    }
}

#[tokio::test]
async fn an_expivi_that_is_away_is_asked_again_and_garbage_is_told() {
    let world = World::new().await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    world.expivi.faults().outage(Outage::Unavailable { retry_after: Some("9".to_owned()) });
    let error = release(&world, &order).await.expect_err("away");
    assert!(
        matches!(plugin_error(&error), CallError::Unavailable(outage) if outage.retry_after_seconds == Some(9)),
        "{error}"
    );
    world.expivi.faults().outage(Outage::Dropped);
    assert!(is_unavailable(&release(&world, &order).await.expect_err("away")));
    world.expivi.faults().clear();
    for (how, key) in [
        (Malformed::Truncated, "line-failed"),
        (Malformed::Html, "line-failed"),
        (Malformed::WrongTypes, "upload-unanswered"),
    ] {
        world.expivi.faults().malform(how, 1);
        let handled = release(&world, &order).await.expect("handled");
        assert_eq!(merchant_questions(&handled.outcomes), [key], "{how:?}");
        assert_eq!(references(&handled.outcomes), []);
    }
    world.expivi.faults().lose_replies(1);
    assert!(is_unavailable(&release(&world, &order).await.expect_err("no reply")));
    // The second upload returns the same number, so nothing is created twice.
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!((references(&handled.outcomes).len(), world.expivi.uploaded().len()), (1, 1));
}

#[tokio::test]
async fn two_configured_products_of_one_configuration_are_both_uploaded() {
    let world = World::new().await;
    let mut two: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    two[0]["uuid"] = json!("11111111-0000-4000-8000-000000000001");
    let mut second = two[0].clone();
    second["uuid"] = json!("11111111-0000-4000-8000-000000000002");
    second["configuration"]["attributes"][0]["attribute_value_name"] = json!("Silver");
    two.as_array_mut().expect("a list").push(second);
    let order = bought(&world, "1", &[("ring", &two.to_string())]).await;
    assert_eq!(order.lines.len(), 2);
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), [""; 0]);
    assert_eq!(references(&handled.outcomes).len(), 2);
}
