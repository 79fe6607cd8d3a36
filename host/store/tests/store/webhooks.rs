//! Tests of webhook deliveries, their effects, and webhook URLs.

use std::time::SystemTime;

use cartwright::types::{
    Message, NamedJson, OrderEventKind, Outcome, Production, ProductionState, Setting, SettingValue, VendorReference,
    WebhookRequest, WebhookResponse,
};
use cartwright::webhook::{
    DeliveryStart, Destination, Effects, OrderMessage, REPEAT_WINDOW, WebhookDelivery, WebhookDeliveryId,
    WebhookDeliveryStore, WebhookUrlUse,
};
use cartwright::{Digest, OrderBook, ProductLink, timestamp};
use cartwright_store::{AccountOutcomeState, Keyring, Store};
use serde_json::json;

use crate::database::{
    Database, KEY, account, at, claimed, event_of, job, line_status, on_each_database, order, record,
    report_by_webhook, shop,
};
use crate::setup::with_account;

on_each_database!(
    a_notice_that_comes_again_is_answered_as_before_and_applied_once,
    of_two_nodes_that_run_one_notice_the_first_answer_counts,
    a_body_that_comes_again_much_later_is_run_again,
    a_body_that_comes_again_after_something_newer_of_its_order_is_news,
    a_body_that_names_no_order_is_news_after_another_of_the_account,
    a_notice_that_failed_is_listed_with_its_bytes_and_its_reason,
    what_a_webhook_hands_on_is_told_to_the_component_that_has_the_order,
    of_what_cannot_be_applied_whole_nothing_stands,
    what_came_of_a_question_stands_and_is_not_remembered_as_answered,
    a_receipt_is_forgotten_with_any_of_its_orders,
    what_nobody_can_tie_to_an_order_is_under_the_stores_key_and_changes_it,
    what_is_said_of_an_account_is_kept_apart_from_its_orders,
    what_waits_with_an_account_is_seen_to_or_refused_by_somebody_once,
    an_address_lives_while_its_account_or_an_open_order_holds_it,
    an_address_that_ended_is_nobodys,
    what_failed_and_what_waits_is_listed_part_by_part,
    what_one_webhook_says_of_an_account_stays_in_order,
    a_damaged_row_hides_no_other_of_a_list,
    an_order_and_a_line_are_found_by_the_vendors_own_id_of_this_account,
);

const BODY: &[u8] = b"{\"identifier\": \"test:shop:1\", \"to\": \"Zo\xc3\xab\", \"raw\": \"\xff\"}";

fn to(endpoint: &str) -> Destination {
    Destination { shop: shop(), account: account("expivi"), endpoint: endpoint.to_owned() }
}

fn request(seconds: u64) -> WebhookRequest {
    WebhookRequest {
        id: format!("request-{seconds}"),
        received_at: timestamp(at(seconds)),
        method: "POST".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        query: "a=b".to_owned(),
        body: BODY.to_vec(),
        extra: Vec::new(),
    }
}

/// Returns the start of a delivery that is to be run with the id of the request of this second.
fn run(seconds: u64) -> DeliveryStart {
    DeliveryStart::Run { request_id: format!("request-{seconds}") }
}

fn by_event(seconds: u64) -> WebhookDelivery {
    let id = WebhookDeliveryId::Event(Digest::of(b"e-1"));
    WebhookDelivery { destination: to("done"), id, at: at(seconds), duplicate_since: None, request: request(seconds) }
}

fn by_body(seconds: u64) -> WebhookDelivery {
    let id = WebhookDeliveryId::Body(Digest::of(BODY));
    let duplicate_since = at(seconds).checked_sub(REPEAT_WINDOW);
    WebhookDelivery { id, duplicate_since, ..by_event(seconds) }
}

fn answer(text: &str) -> WebhookResponse {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    WebhookResponse { status: 202, headers, body: text.as_bytes().to_vec() }
}

/// Returns the effects of a webhook that reports the first line of an order as ready.
pub fn ready(order: &str) -> Effects {
    let status = line_status("1", "ready");
    Effects { outcomes: vec![(Some(format!("test:shop:{order}")), status)], messages: Vec::new() }
}

fn message(order: &str, id: &str, at: SystemTime) -> OrderMessage {
    let message = NamedJson { name: "produced".into(), json: "{}".into() };
    OrderMessage { id: id.to_owned(), at, order: format!("test:shop:{order}"), message }
}

async fn a_notice_that_comes_again_is_answered_as_before_and_applied_once(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    assert_eq!(store.begin(&by_event(1)).await.unwrap(), run(1));
    assert_eq!(store.complete(&by_event(1), ready("1"), &answer("one")).await.unwrap(), answer("one"));
    // On another node, and long after.
    let other = database.open().await;
    assert_eq!(other.begin(&by_event(900_000)).await.unwrap(), DeliveryStart::Repeat(answer("one")));
    let outcomes = store.outcomes().list(&shop(), "1").await.unwrap();
    assert_eq!(outcomes.iter().map(|outcome| (outcome.job.clone(), outcome.at)).collect::<Vec<_>>(), [(None, at(1))]);
    assert_eq!(store.orders().get(&shop(), "1").await.unwrap().unwrap().lines[0].status, "ready");
    assert!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().is_empty());
}

async fn of_two_nodes_that_run_one_notice_the_first_answer_counts(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let mut nodes = tokio::task::JoinSet::new();
    for number in 0..4_u64 {
        let node = database.open().await;
        nodes.spawn(async move {
            let notice = by_event(number);
            match node.begin(&notice).await.unwrap() {
                DeliveryStart::Repeat(before) => before,
                DeliveryStart::Run { .. } => {
                    node.complete(&notice, ready("1"), &answer(&number.to_string())).await.unwrap()
                }
            }
        });
    }
    let answers = nodes.join_all().await;
    assert!(answers.iter().all(|response| *response == answers[0]), "{answers:?}");
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 1);
    // A delivery that fails while a concurrent attempt completes has not failed.
    store.fail(&by_event(9), "too late").await.unwrap();
    assert!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().is_empty());
    assert_eq!(store.begin(&by_event(9)).await.unwrap(), DeliveryStart::Repeat(answers[0].clone()));
}

async fn a_body_that_comes_again_much_later_is_run_again(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    store.begin(&by_body(0)).await.unwrap();
    store.complete(&by_body(0), ready("1"), &answer("one")).await.unwrap();
    let window = REPEAT_WINDOW.as_secs();
    assert_eq!(store.begin(&by_body(window)).await.unwrap(), DeliveryStart::Repeat(answer("one")));
    assert_eq!(store.begin(&by_body(window + 1)).await.unwrap(), run(window + 1), "another request of the vendor");
    assert_eq!(store.complete(&by_body(window + 1), ready("1"), &answer("two")).await.unwrap(), answer("two"));
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 2);
}

/// Returns a delivery that is identified by these bytes, at one of the account's endpoints.
fn saying(body: &str, endpoint: &str, seconds: u64) -> WebhookDelivery {
    let request = WebhookRequest { body: body.as_bytes().to_vec(), ..request(seconds) };
    WebhookDelivery {
        id: WebhookDeliveryId::Body(Digest::of(body.as_bytes())),
        destination: to(endpoint),
        request,
        ..by_body(seconds)
    }
}

/// Stores a delivery, runs it if it is new, and returns whether it was.
async fn is_news(store: &Store, notice: &WebhookDelivery, effects: Effects) -> bool {
    match store.begin(notice).await.unwrap() {
        DeliveryStart::Repeat(before) => {
            assert_eq!(before.status, 202);
            false
        }
        DeliveryStart::Run { .. } => {
            store.complete(notice, effects, &answer("heard")).await.unwrap();
            true
        }
    }
}

async fn a_body_that_comes_again_after_something_newer_of_its_order_is_news(database: Database) {
    let store = database.open().await;
    for order in ["1", "2"] {
        record(&store, &format!("e{order}"), order, 0).await;
    }
    assert!(is_news(&store, &saying("hold 1", "done", 1), ready("1")).await);
    // A repeated delivery, at once and after a webhook about another order.
    assert!(!is_news(&store, &saying("hold 1", "done", 2), ready("1")).await);
    assert!(is_news(&store, &saying("hold 2", "done", 3), ready("2")).await);
    assert!(!is_news(&store, &saying("hold 1", "done", 4), ready("1")).await);
    // The same bytes are new after another report about the order, at any endpoint.
    assert!(is_news(&store, &saying("go on with 1", "other", 5), ready("1")).await);
    assert!(is_news(&store, &saying("hold 1", "done", 6), ready("1")).await);
    assert!(!is_news(&store, &saying("hold 1", "done", 7), ready("1")).await);
    assert!(!is_news(&store, &saying("hold 2", "done", 8), ready("2")).await);
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 3);
}

async fn a_body_that_names_no_order_is_news_after_another_of_the_account(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let push = |script: &str| {
        let setting = Setting { name: "script-url".into(), value: SettingValue::Text(script.into()) };
        Effects { outcomes: vec![(None, Outcome::PushSettings(vec![setting]))], messages: Vec::new() }
    };
    for (seconds, script, expected) in [(1, "41", true), (2, "42", true), (3, "41", true), (4, "41", false)] {
        assert_eq!(is_news(&store, &saying(script, "published", seconds), push(script)).await, expected, "{seconds}");
    }
    // A report about an order does not supersede one about the account.
    assert!(is_news(&store, &saying("hold 1", "done", 5), ready("1")).await);
    assert!(!is_news(&store, &saying("41", "published", 6), push("41")).await);
    let pushed = store.webhooks().account_outcomes(&shop(), None, None, 10).await.unwrap();
    let scripts: Vec<_> = pushed.into_iter().map(|outcome| outcome.outcome).collect();
    let expected: Vec<_> = ["41", "42", "41"].into_iter().map(|script| push(script).outcomes.remove(0).1).collect();
    assert_eq!(scripts, expected);
}

async fn a_notice_that_failed_is_listed_with_its_bytes_and_its_reason(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    store.begin(&by_event(1)).await.unwrap();
    assert_eq!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().remove(0).reason, None);
    store.fail(&by_event(1), "the plugin answered with the status 409").await.unwrap();
    assert_eq!(store.begin(&by_event(2)).await.unwrap(), run(1), "the same request, whenever it is run");
    store.fail(&by_event(2), "the plugin trapped").await.unwrap();
    let open = store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap();
    let [notice] = &open[..] else { panic!("{open:?}") };
    assert_eq!((notice.reason.as_deref(), notice.attempts, notice.at), (Some("the plugin trapped"), 2, at(2)));
    let last = WebhookRequest { id: "request-1".to_owned(), ..request(2) };
    assert_eq!((&notice.request, &notice.destination), (&last, &to("done")));
    assert!(store.webhooks().failed_webhook_deliveries(&"other".parse().unwrap(), None, 10).await.unwrap().is_empty());
    store.begin(&by_event(3)).await.unwrap();
    store.complete(&by_event(3), ready("1"), &answer("one")).await.unwrap();
    assert!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().is_empty());
}

async fn what_a_webhook_hands_on_is_told_to_the_component_that_has_the_order(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let first = claimed(&store, 0).await;
    store.jobs().finish(&first.lease, Ok(&cartwright::durable::RunEnd::Done), at(0)).await.unwrap();
    let effects = Effects { messages: vec![message("1", "webhook-1", at(1))], ..ready("1") };
    store.begin(&by_event(1)).await.unwrap();
    store.complete(&by_event(1), effects, &answer("one")).await.unwrap();
    let claim = claimed(&store, 1).await;
    assert_eq!((claim.job.account, claim.job.plugin), (first.job.account, first.job.plugin));
    let OrderEventKind::Forwarded(message) = &claim.job.event.kind else { panic!("{:?}", claim.job.event.kind) };
    assert_eq!((claim.job.event.id.as_str(), message.name.as_str()), ("~forwarded:webhook-1", "produced"));
    // The webhook's outcome is already stored.
    assert_eq!((claim.job.event.previous_outcomes.len(), claim.job.event.order.lines[0].status.as_str()), (1, "ready"));
}

async fn of_what_cannot_be_applied_whole_nothing_stands(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let effects = Effects { messages: vec![message("nobodys", "webhook-1", at(1))], ..ready("1") };
    store.begin(&by_event(1)).await.unwrap();
    store.complete(&by_event(1), effects, &answer("one")).await.unwrap_err();
    assert!(store.outcomes().list(&shop(), "1").await.unwrap().is_empty());
    // It is run again when it is received again.
    assert_eq!(store.begin(&by_event(2)).await.unwrap(), run(1));
}

async fn what_came_of_a_question_stands_and_is_not_remembered_as_answered(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    for seconds in 1..3 {
        store.apply(&to("ask"), at(seconds), ready("1")).await.unwrap();
    }
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 2);
    assert!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().is_empty());
}

async fn a_receipt_is_forgotten_with_any_of_its_orders(database: Database) {
    let store = database.open().await;
    for order in ["1", "2", "3"] {
        record(&store, &format!("e{order}"), order, 0).await;
    }
    store.begin(&by_event(1)).await.unwrap();
    let mut effects = ready("2");
    effects.outcomes.extend(ready("1").outcomes);
    store.complete(&by_event(1), effects, &answer("to Zoë")).await.unwrap();
    database.tamper("update orders set order_key = null where id = '3'").await;
    assert_eq!(store.begin(&by_event(2)).await.unwrap(), DeliveryStart::Repeat(answer("to Zoë")));
    database.tamper("update orders set order_key = null where id = '2'").await;
    let bare = WebhookResponse { status: 202, headers: Vec::new(), body: Vec::new() };
    assert_eq!(store.begin(&by_event(2)).await.unwrap(), DeliveryStart::Repeat(bare));
}

async fn what_nobody_can_tie_to_an_order_is_under_the_stores_key_and_changes_it(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    store.begin(&by_event(1)).await.unwrap();
    store.fail(&by_event(1), "no such order").await.unwrap();
    store.apply(&to("ask"), at(1), said_of_account()).await.unwrap();
    let tied = WebhookDelivery { destination: to("other"), ..by_event(1) };
    store.begin(&tied).await.unwrap();
    store.complete(&tied, ready("1"), &answer("one")).await.unwrap();
    store.close().await;
    let new = [9; 32];
    let store = Store::open(&database.url, Keyring::new(new).with_previous(KEY)).await.unwrap();
    assert!(store.rotate_keys().await.unwrap() >= 5);
    store.close().await;
    let store = Store::open(&database.url, Keyring::new(new)).await.unwrap();
    assert_eq!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap()[0].request, request(1));
    assert_eq!(store.webhooks().account_outcomes(&shop(), None, None, 10).await.unwrap().len(), 2);
    assert_eq!(store.begin(&tied).await.unwrap(), DeliveryStart::Repeat(answer("one")));
}

fn said_of_account() -> Effects {
    let message = Message { key: "look".into(), parameters: vec![], text: "Look.".into() };
    let outcomes = vec![(None, Outcome::NeedsMerchant(message.clone())), (None, Outcome::Note(message))];
    Effects { outcomes, messages: Vec::new() }
}

async fn what_is_said_of_an_account_is_kept_apart_from_its_orders(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let production =
        Production { line: None, state: ProductionState::Done, detail: None, expected: None, extra: vec![] };
    let mut effects = said_of_account();
    effects.outcomes.push((Some("test:shop:1".into()), Outcome::Production(production)));
    store.begin(&by_event(1)).await.unwrap();
    store.complete(&by_event(1), effects, &answer("one")).await.unwrap();
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 1);
    let pending =
        store.webhooks().account_outcomes(&shop(), Some(AccountOutcomeState::PendingApproval), None, 10).await.unwrap();
    let [waiting] = &pending[..] else { panic!("{pending:?}") };
    assert!(matches!(waiting.outcome, Outcome::NeedsMerchant(_)), "{waiting:?}");
    assert_eq!((&waiting.account, waiting.at), (&account("expivi"), at(1)));
    assert_eq!(
        store.webhooks().account_outcomes(&shop(), Some(AccountOutcomeState::Resolved), None, 10).await.unwrap().len(),
        1
    );
}

async fn what_waits_with_an_account_is_seen_to_or_refused_by_somebody_once(database: Database) {
    let store = database.open().await;
    let script =
        Setting { name: "script-url".into(), value: SettingValue::Text("https://scripts.example/2.js".into()) };
    let mut effects = said_of_account();
    effects.outcomes.push((None, Outcome::PushSettings(vec![script])));
    store.apply(&to("ask"), at(1), effects).await.unwrap();
    let [asked] = &store
        .webhooks()
        .account_outcomes(&shop(), Some(AccountOutcomeState::PendingApproval), None, 10)
        .await
        .unwrap()[..]
    else {
        panic!("nothing waits");
    };
    // The host has processed it.
    database.tamper("update account_outcomes set state = 'pending-approval' where state = 'new'").await;
    let all =
        store.webhooks().account_outcomes(&shop(), Some(AccountOutcomeState::PendingApproval), None, 10).await.unwrap();
    let pushed = all.iter().find(|outcome| outcome.id != asked.id).unwrap();
    store.webhooks().resolve_account_outcome(&shop(), &pushed.id, "ann", at(2)).await.unwrap_err();
    store.webhooks().reject_pushed_settings(&shop(), &asked.id, "ann", at(2)).await.unwrap_err();
    store.webhooks().resolve_account_outcome(&shop(), &asked.id, "ann", at(2)).await.unwrap();
    store.webhooks().reject_pushed_settings(&shop(), &pushed.id, "bob", at(3)).await.unwrap();
    store.webhooks().resolve_account_outcome(&shop(), &asked.id, "ann", at(4)).await.unwrap_err();
    store.webhooks().reject_pushed_settings(&shop(), &pushed.id, "bob", at(4)).await.unwrap_err();
    let refused =
        store.webhooks().account_outcomes(&shop(), Some(AccountOutcomeState::Rejected), None, 10).await.unwrap();
    assert_eq!(
        refused.iter().map(|outcome| (&outcome.id, outcome.resolved_at)).collect::<Vec<_>>(),
        [(&pushed.id, Some(at(3)))]
    );
    let entries = store.audit().entries(Some(&shop()), None, 10).await.unwrap();
    let outcome: Vec<_> = entries.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    assert_eq!(outcome, [("bob", "reject-settings"), ("ann", "resolve-outcome")]);
    let settings = json!({ "script-url": "https://scripts.example/2.js" });
    let of = |state: &str| Some(json!({ "id": pushed.id, "state": state, "settings": settings }));
    assert_eq!((&entries[0].before, &entries[0].after), (&of("pending-approval"), &of("rejected")));
}

async fn url_use(store: &Store) -> WebhookUrlUse {
    store.webhooks().webhook_urls(&shop(), None, 100).await.unwrap().remove(0).use_state
}

async fn an_address_lives_while_its_account_or_an_open_order_holds_it(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    let address = store.webhooks().create_webhook_url(&to("done"), "ann", at(0)).await.unwrap();
    let is_open = async || {
        let (stored, use_state) = store.webhooks().webhook_url(address.selector()).await.unwrap().unwrap();
        address.resolve(Some((&stored, use_state)), at(9)).ok()
    };
    // Before anything is linked, the merchant gives the webhook URLs to the vendor.
    assert_eq!(is_open().await, Some(to("done")));
    let link = |account: &str| -> ProductLink {
        serde_json::from_value(json!({ "shop_product": "ring", "account": account, "vendor_product": "1" })).unwrap()
    };
    let twikit = cartwright::AccountSnapshot {
        id: account("twikit"),
        revision: 1,
        ..store.shops().accounts(&shop()).await.unwrap().remove(0)
    };
    store.shops().save_account(&shop(), &twikit, at(1)).await.unwrap();
    store.shops().save_links(&shop(), &[link("expivi")], at(1)).await.unwrap();
    record(&store, "e1", "1", 1).await;
    assert_eq!(url_use(&store).await, WebhookUrlUse { has_account: true, has_open_order: true });
    // The account is replaced by a vendor switch, but its order continues to its end.
    store.shops().save_links(&shop(), &[link("twikit")], at(2)).await.unwrap();
    assert_eq!(url_use(&store).await, WebhookUrlUse { has_account: false, has_open_order: true });
    store.orders().close_order(&shop(), "1", "ann", at(3)).await.unwrap();
    assert_eq!(url_use(&store).await, WebhookUrlUse { has_account: false, has_open_order: true });
    let run = claimed(&store, 3).await;
    store.jobs().finish(&run.lease, Ok(&cartwright::durable::RunEnd::Done), at(4)).await.unwrap();
    assert_eq!(url_use(&store).await, WebhookUrlUse::default());
    assert_eq!(is_open().await, None);
    // The order is reported again.
    let event = event_of("e2", OrderEventKind::Changed, order("1", 2));
    store.orders().record_event(&shop(), &event, &[job("twikit")], at(5)).await.unwrap();
    assert_eq!(is_open().await, Some(to("done")));
}

async fn an_address_that_ended_is_nobodys(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    let nobody = Destination { account: account("nobody"), ..to("done") };
    store.webhooks().create_webhook_url(&nobody, "ann", at(0)).await.unwrap_err();
    let address = store.webhooks().create_webhook_url(&to("done"), "ann", at(0)).await.unwrap();
    store.webhooks().revoke_webhook_url(&shop(), address.selector(), at(10), "ann", at(1)).await.unwrap();
    store.webhooks().revoke_webhook_url(&shop(), address.selector(), at(20), "ann", at(1)).await.unwrap();
    let (stored, use_state) = store.webhooks().webhook_url(address.selector()).await.unwrap().unwrap();
    assert!(address.resolve(Some((&stored, use_state)), at(9)).is_ok());
    assert!(address.resolve(Some((&stored, use_state)), at(10)).is_err());
    assert!(
        !format!("{:?}", store.webhooks().webhook_urls(&shop(), None, 100).await.unwrap())
            .contains(&address.reveal()[16..])
    );
    let other = "other".parse().unwrap();
    store.webhooks().revoke_webhook_url(&other, address.selector(), at(0), "eve", at(1)).await.unwrap_err();
    let entries = store.audit().entries(Some(&shop()), None, 10).await.unwrap();
    let what: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(what, ["revoke-webhook-url", "revoke-webhook-url", "create-webhook-url"]);
    assert_eq!(entries[1].before, Some(json!({ "ends": null })));
    // An earlier expiry stays.
    assert!(entries[0].before == entries[0].after && entries[0].before == entries[1].after, "{entries:#?}");
}

async fn what_failed_and_what_waits_is_listed_part_by_part(database: Database) {
    let store = database.open().await;
    for number in 0..5_u64 {
        // Some of them at the same time.
        let notice =
            WebhookDelivery { id: WebhookDeliveryId::Event(Digest::of(&number.to_be_bytes())), ..by_event(number / 2) };
        store.begin(&notice).await.unwrap();
        store.fail(&notice, "no").await.unwrap();
        store.apply(&to("ask"), at(number / 2), said_of_account()).await.unwrap();
    }
    let whole = store.webhooks().failed_webhook_deliveries(&shop(), None, 100).await.unwrap();
    let (mut parts, mut last) = (Vec::new(), None);
    loop {
        let after = last.as_ref().map(|last: &cartwright_store::FailedWebhookDelivery| (last.at, last.id.as_str()));
        let part = store.webhooks().failed_webhook_deliveries(&shop(), after, 2).await.unwrap();
        let Some(end) = part.last().cloned() else { break };
        last = Some(end);
        parts.extend(part);
    }
    assert_eq!((parts.len(), parts), (5, whole));
    let pending = Some(AccountOutcomeState::PendingApproval);
    let whole = store.webhooks().account_outcomes(&shop(), pending, None, 100).await.unwrap();
    let (mut parts, mut last) = (Vec::new(), None::<String>);
    loop {
        let part = store.webhooks().account_outcomes(&shop(), pending, last.as_deref(), 2).await.unwrap();
        let Some(end) = part.last() else { break };
        last = Some(end.id.clone());
        parts.extend(part);
    }
    assert_eq!((parts.len(), parts), (5, whole));
}

async fn what_one_webhook_says_of_an_account_stays_in_order(database: Database) {
    let store = database.open().await;
    let note = |number: usize| {
        let text = number.to_string();
        (None, Outcome::Note(Message { key: "note".into(), parameters: vec![], text }))
    };
    let effects = Effects { outcomes: (0..20).map(note).collect(), messages: Vec::new() };
    store.apply(&to("ask"), at(1), effects).await.unwrap();
    let stored = store.webhooks().account_outcomes(&shop(), None, None, 100).await.unwrap();
    let stored: Vec<_> = stored.into_iter().map(|stored| stored.outcome).collect();
    assert_eq!(stored, (0..20).map(|number| note(number).1).collect::<Vec<_>>());
}

async fn a_damaged_row_hides_no_other_of_a_list(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    for seconds in 1..=3_u64 {
        let notice =
            WebhookDelivery { id: WebhookDeliveryId::Event(Digest::of(&seconds.to_be_bytes())), ..by_event(seconds) };
        store.begin(&notice).await.unwrap();
        store.fail(&notice, "no such order").await.unwrap();
        store.apply(&to("ask"), at(seconds), said_of_account()).await.unwrap();
        store.apply(&to("ask"), at(seconds), ready("1")).await.unwrap();
    }
    database
        .tamper("update webhook_deliveries set body = details where received_at = (select max(received_at) from webhook_deliveries)")
        .await;
    let newest =
        "update account_outcomes set outcome = (select details from webhook_deliveries order by received_at limit 1)";
    database.tamper(&format!("{newest} where position = (select max(position) from account_outcomes)")).await;
    let notices = store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap();
    let reason: Vec<_> = notices.iter().map(|notice| notice.reason.as_deref().unwrap()).collect();
    assert!(reason[0].contains("cannot be read") && reason[1..] == ["no such order", "no such order"], "{reason:?}");
    let stored = store.webhooks().account_outcomes(&shop(), None, None, 10).await.unwrap();
    let damaged = |stored: &Outcome| matches!(stored, Outcome::Note(message) if message.key == "damaged");
    let is_damaged: Vec<_> = stored.iter().map(|stored| damaged(&stored.outcome)).collect();
    assert_eq!(is_damaged, [false, false, false, false, false, true]);
}

async fn an_order_and_a_line_are_found_by_the_vendors_own_id_of_this_account(database: Database) {
    let store = database.open().await;
    for order in ["1", "2"] {
        record(&store, &format!("e{order}"), order, 0).await;
    }
    let named = |line: Option<&str>, reference: &str| {
        Outcome::VendorReference(VendorReference { line: line.map(str::to_owned), reference: reference.to_owned() })
    };
    report_by_webhook(&store, &shop(), "1", vec![named(None, "V-1"), named(Some("1"), "V-1-1")], 1).await;
    report_by_webhook(&store, &shop(), "2", vec![named(None, "V-2")], 2).await;
    let find = async |account_id: &str, reference: &str| {
        store.find_by_vendor_reference(&shop(), &account(account_id), reference).await.unwrap()
    };
    assert_eq!(find("expivi", "V-1").await, ["test:shop:1"]);
    assert_eq!(find("expivi", "V-1-1").await, ["test:shop:1:1"]);
    for (account_id, reference) in [("twikit", "V-1"), ("expivi", "v-1"), ("expivi", "V-9"), ("expivi", "a\0b")] {
        assert_eq!(find(account_id, reference).await, [""; 0], "{account_id} {reference}");
    }
    // The latest vendor reference of an order counts.
    report_by_webhook(&store, &shop(), "1", vec![named(None, "V-3")], 3).await;
    assert_eq!((find("expivi", "V-1").await, find("expivi", "V-3").await), (vec![], vec!["test:shop:1".to_owned()]));
    // Two orders with one vendor reference are both found.
    report_by_webhook(&store, &shop(), "1", vec![named(None, "V-2")], 4).await;
    assert_eq!(find("expivi", "V-2").await, ["test:shop:1", "test:shop:2"]);
    let unfinished = cartwright_store::UnfinishedJobs::Cancel;
    store.personal_data().erase_order(&shop(), "1", unfinished, "ann", at(5)).await.unwrap();
    assert_eq!(find("expivi", "V-2").await, ["test:shop:2"]);
}
