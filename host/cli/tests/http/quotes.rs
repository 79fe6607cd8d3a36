//! Quotes: the shopper's request, the merchant's offer, and the cart lines of an accepted one.

use std::time::Duration;

use cartwright::CartLine;
use cartwright_fake_vendors::samples;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::shop::{Shop, paid};

/// Returns the lines that a page requests a quote for.
async fn request_lines(shop: &Shop, product: &str, saved: &str, quantity: u32) -> Vec<CartLine> {
    let body = json!({ "product": product, "configuration": saved, "quantity": quantity });
    let change = shop.storefront.post(&shop.path("/cart/quote"), &body).await.ok();
    assert_eq!(change["operations"][0]["operation"], "request-quotation", "{change:#}");
    serde_json::from_value(change["operations"][0]["lines"].clone()).expect("lines")
}

fn body(id: &str, lines: &[CartLine]) -> Value {
    let buyer = json!({
        "first_name": "Ada", "last_name": "Sample", "email": "ada@example.com", "line1": "Sample Street 1",
        "line2": null, "zip": "1000", "city": "Brussels", "region": null, "country": "BE", "company": null, "vat": null,
        "phone": null,
    });
    json!({ "id": id, "customer": "customer-7", "contact": buyer, "lines": lines })
}

fn seconds_from_now(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string()
}

/// Returns an offer at this price in cents for one of each top-level line.
fn offer(lines: &[CartLine], cents: i64, until: &str) -> Value {
    let top = lines.iter().filter(|line| line.parent.is_none());
    let prices: Vec<Value> =
        top.map(|line| json!({ "key": line.key, "unit": { "minor": cents, "scale": 2, "currency": "EUR" } })).collect();
    json!({ "prices": prices, "valid_until": until })
}

/// Requests, stores and offers a quote, and returns its lines.
async fn offered(shop: &Shop, id: &str, product: &str, saved: &str, cents: i64, seconds: i64) -> Vec<CartLine> {
    let lines = request_lines(shop, product, saved, 50).await;
    shop.backend.post(&shop.path("/quotes"), &body(id, &lines)).await.with(201);
    let offer = offer(&lines, cents, &seconds_from_now(seconds));
    shop.backend.post(&shop.path(&format!("/quotes/{id}/offer")), &offer).await.ok();
    lines
}

async fn accept(shop: &Shop, id: &str, cart: &mut Vec<CartLine>) -> Value {
    let accept = shop.path(&format!("/quotes/{id}/accept"));
    let accepted = shop.backend.post(&accept, &json!({ "lines": cart })).await.ok();
    let change = json!({ "operations": accepted["operations"], "warnings": [], "stages": [] });
    serde_json::from_value::<cartwright::CartChange>(change).expect("a change").apply(cart);
    accepted
}

async fn states(shop: &Shop, cart: &[CartLine]) -> Vec<Value> {
    let checks = shop.backend.post(&shop.path("/cart/check"), &json!({ "lines": cart })).await.ok();
    checks.as_array().expect("checks").iter().map(|check| check["state"].clone()).collect()
}

#[tokio::test]
async fn a_quote_is_requested_offered_accepted_and_ordered() {
    let (shop, _fake) = Shop::with_expivi().await;
    let (shirt, quotes) = (samples::EXPIVI_VARIATION, shop.path("/quotes"));
    let lines = request_lines(&shop, "shirt", shirt, 50).await;
    let kept = shop.backend.post(&quotes, &body("q1", &lines)).await;
    assert_eq!((kept.status, kept.header("etag")), (201, Some("\"1\"")), "{kept:?}");
    let kept = kept.json();
    assert_eq!((&kept["state"], &kept["customer"]), (&json!("requested"), &json!("customer-7")));
    // The same request again, because the response was lost; another one under the same id.
    let again = shop.backend.post(&quotes, &body("q1", &lines)).await.with(200);
    assert_eq!(again, kept);
    let fewer = request_lines(&shop, "shirt", shirt, 20).await;
    shop.backend.post(&quotes, &body("q1", &fewer)).await.problem(409, "exists");
    // The vendor got one event.
    let order = shop.handled("~quotation-q1").await;
    assert_eq!(order["jobs"].as_array().map(Vec::len), Some(1), "{order:#}");
    assert_eq!(order["jobs"][0]["kind"], "quote-requested");
    assert!(order["outcomes"].to_string().contains("quote-requested"), "{order:#}");
    assert_eq!(order["order"]["released"], false);
    // There is no offer to accept yet. The merchant offers on the version that was read.
    let quote_path = |what: &str| format!("{quotes}/q1/{what}");
    shop.backend.post(&quote_path("accept"), &json!({ "lines": [] })).await.problem(409, "quote-state");
    let body = offer(&lines, 1_999, &seconds_from_now(3600));
    shop.backend.send("POST", &quote_path("offer"), &[("if-match", "\"7\"")], &body).await.problem(412, "changed");
    let made = shop.backend.send("POST", &quote_path("offer"), &[("if-match", "\"1\"")], &body).await;
    assert_eq!((made.status, made.header("etag")), (200, Some("\"2\"")), "{made:?}");
    assert_eq!(made.json()["prices"][0]["unit"]["minor"], 1_999);
    let log = shop.admin.get(&shop.path("/audit-log?limit=1")).await.ok();
    let entry = &log["entries"][0];
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("offer-quote"), &json!("q1")), "{log:#}");
    assert_eq!((&entry["before"]["state"], &entry["before"]["prices"]), (&json!("requested"), &json!(null)));
    assert_eq!(
        (&entry["after"]["state"], &entry["after"]["prices"][&lines[0].key]["minor"]),
        (&json!("offered"), &json!(1_999))
    );
    // An integrator sees that there was an offer, without its prices.
    let integrator_log = shop.integrator.get(&shop.path("/audit-log?limit=1")).await.ok();
    let integrator_log = &integrator_log["entries"][0];
    assert_eq!(
        (&integrator_log["action"], &integrator_log["after"]["state"]),
        (&json!("offer-quote"), &json!("offered"))
    );
    assert_eq!(
        (&integrator_log["before"]["prices"], &integrator_log["after"]["prices"]),
        (&json!(null), &json!("(redacted)")),
        "{integrator_log:#}"
    );
    let listed = shop.backend.get(&format!("{quotes}?state=offered")).await.ok();
    assert_eq!(listed["quotes"][0]["id"], "q1", "{listed:#}");
    assert_eq!(shop.backend.get(&format!("{quotes}?state=requested")).await.ok()["quotes"], json!([]));
    // The cart already contains the same product at the usual price: these are two lines.
    let mut cart = Vec::new();
    let add = json!({ "product": "shirt", "configuration": shirt, "quantity": 1, "lines": [] });
    shop.change(&mut cart, "add", add.clone()).await;
    let accepted = accept(&shop, "q1", &mut cart).await;
    assert_eq!(accepted["quote"]["state"], "accepted");
    let amounts: Vec<i64> = cart.iter().map(|line| line.price.total.minor).collect();
    assert_eq!(amounts, [2_495, 50 * 1_999]);
    assert_eq!(cart[1].price.offer.as_deref(), Some("q1"));
    // A repeated acceptance adds nothing, and more of the same product has the usual price.
    assert_eq!(accept(&shop, "q1", &mut cart).await["operations"], json!([]));
    let add = json!({ "product": "shirt", "configuration": shirt, "quantity": 1, "lines": cart });
    shop.change(&mut cart, "add", add).await;
    assert_eq!(cart.iter().map(|line| line.quantity).collect::<Vec<_>>(), [2, 50]);
    // The offer stays valid although the catalog changes, and is bought unchanged.
    let dearer = json!({ "variants": [{
        "id": "variant-shirt-r-l", "product": "shirt", "sku": "SHIRT-R-L", "title": "Shirt", "purchasable": true,
        "prices": [{ "minor": 3_000, "scale": 2, "currency": "EUR" }],
    }] });
    shop.backend.put(&shop.path("/catalog"), &dearer).await.ok();
    let key = cart[1].key.clone();
    let refresh = json!({ "key": key, "lines": cart });
    assert_eq!(shop.change(&mut cart, "refresh", refresh).await.operations, []);
    let quantity = json!({ "key": key, "quantity": 60, "lines": cart });
    shop.backend.post(&shop.path("/cart/quantity"), &quantity).await.problem(422, "offered");
    let integrator_log = shop.storefront.post(&shop.path("/cart/quantity"), &quantity).await.problem(422, "offered");
    assert_eq!(integrator_log["shopper"]["key"], "offered", "{integrator_log:#}");
    let edit = json!({ "key": key, "product": "shirt", "configuration": shirt, "lines": cart });
    shop.backend.post(&shop.path("/cart/edit"), &edit).await.problem(422, "offered");
    let guests = cart.clone();
    shop.change(&mut cart, "merge", json!({ "anonymous": guests[1..], "customer": guests })).await;
    assert_eq!(cart, guests, "an offer is bought once");
    assert_eq!(states(&shop, &cart[1..]).await, [json!({ "state": "ok" })]);
    // An accepted quote cannot be withdrawn, and is ordered at its price.
    shop.backend.post(&quote_path("withdraw"), &json!({})).await.problem(409, "quote-state");
    shop.backend.post(&shop.path("/events"), &paid("1001", &cart[1..])).await.ok();
    let order = shop.handled("1001").await;
    assert_eq!(order["order"]["lines"][0]["cart_line"]["unit_price"]["minor"], 1_999, "{order:#}");
}

#[tokio::test]
async fn a_bundles_offer_is_dealt_out_exactly() {
    let (shop, _fake) = Shop::with_expivi().await;
    offered(&shop, "wardrobes", "wardrobe", samples::EXPIVI_BUNDLE, 7_777, 3600).await;
    let mut cart = Vec::new();
    accept(&shop, "wardrobes", &mut cart).await;
    assert_eq!((cart.len(), cart[0].price.total.minor), (4, 50 * 7_777));
    let shares: i64 = cart[1..].iter().map(|child| child.price.total.minor).sum();
    assert_eq!(shares, 50 * 7_777);
    assert!(cart[1..].iter().all(|child| child.parent.as_ref() == Some(&cart[0].key)));
    assert_eq!(states(&shop, &cart).await, [json!({ "state": "ok" })]);
    // A missing child is detected, as in any bundle.
    let torn: Vec<CartLine> = cart[..3].to_vec();
    assert_eq!(states(&shop, &torn).await[0]["state"], "price-changed");
    let key = cart[0].key.clone();
    let body = json!({ "key": key, "lines": cart });
    shop.change(&mut cart, "remove", body).await;
    assert_eq!(cart, []);
}

#[tokio::test]
async fn an_expired_offer_is_not_accepted_and_its_line_gets_the_usual_price() {
    let (shop, _fake) = Shop::with_expivi().await;
    let shirt = samples::EXPIVI_VARIATION;
    offered(&shop, "brief", "shirt", shirt, 1_999, 3).await;
    offered(&shop, "unanswered", "shirt", shirt, 1_999, 1).await;
    let mut cart = Vec::new();
    accept(&shop, "brief", &mut cart).await;
    assert_eq!(states(&shop, &cart).await, [json!({ "state": "ok" })]);
    tokio::time::sleep(Duration::from_millis(3_600)).await;
    let state = states(&shop, &cart).await.remove(0);
    assert_eq!((&state["state"], &state["old"]["minor"]), (&json!("price-changed"), &json!(50 * 1_999)), "{state:#}");
    assert_eq!(state["new"]["minor"], 50 * 2_495);
    for id in ["brief", "unanswered"] {
        let accept = shop.path(&format!("/quotes/{id}/accept"));
        shop.backend.post(&accept, &json!({ "lines": [] })).await.problem(409, "offer-expired");
    }
    let read = shop.backend.get(&shop.path("/quotes/unanswered")).await.ok();
    assert_eq!(read["state"], "expired");
    let listed = shop.backend.get(&shop.path("/quotes?state=expired")).await.ok();
    assert_eq!(listed["quotes"].as_array().map(Vec::len), Some(1), "{listed:#}");
    // After a refresh it is a normal line, which can be changed again.
    let body = json!({ "key": cart[0].key, "lines": cart });
    shop.change(&mut cart, "refresh", body).await;
    assert_eq!((cart.len(), cart[0].price.total.minor, &cart[0].price.offer), (1, 50 * 2_495, &None));
    let body = json!({ "key": cart[0].key, "quantity": 2, "lines": cart });
    shop.change(&mut cart, "quantity", body).await;
    assert_eq!(cart[0].price.total.minor, 2 * 2_495);
    // The merchant can make a new offer.
    let lines: Vec<CartLine> = serde_json::from_value(read["lines"].clone()).expect("lines");
    let anew = offer(&lines, 2_100, &seconds_from_now(3600));
    shop.backend.post(&shop.path("/quotes/unanswered/offer"), &anew).await.ok();
    accept(&shop, "unanswered", &mut cart).await;
    assert_eq!(cart[1].price.total.minor, 50 * 2_100);
}

#[tokio::test]
async fn a_caller_cannot_set_its_own_price_in_a_quote() {
    let ((shop, _fake), (other, _other_fake)) = (Shop::with_expivi().await, Shop::with_expivi().await);
    let (shirt, quotes) = (samples::EXPIVI_VARIATION, shop.path("/quotes"));
    let lines = request_lines(&shop, "shirt", shirt, 50).await;
    let mut cheap = lines.clone();
    cheap[0].price.total.minor = 1;
    shop.backend.post(&quotes, &body("cheap", &cheap)).await.problem(422, "seal");
    let mut more = lines.clone();
    more[0].quantity = 5_000;
    shop.backend.post(&quotes, &body("more", &more)).await.problem(422, "seal");
    other.backend.post(&other.path("/quotes"), &body("theirs", &lines)).await.problem(422, "seal");
    let twice = [lines.clone(), lines.clone()].concat();
    shop.backend.post(&quotes, &body("twice", &twice)).await.problem(422, "twice");
    let bundle = request_lines(&shop, "wardrobe", samples::EXPIVI_BUNDLE, 1).await;
    shop.backend.post(&quotes, &body("torn", &bundle[..3])).await.problem(422, "seal");
    shop.backend.post(&quotes, &body("orphan", &bundle[1..])).await.problem(422, "no-line");
    shop.backend.post(&quotes, &body("empty", &[])).await.problem(422, "order");
    for id in ["", "a/b", "../x", "a b", &"x".repeat(101)] {
        shop.backend.post(&quotes, &body(id, &lines)).await.problem(422, "quote");
    }
    let listed = shop.backend.get(&quotes).await.ok();
    assert_eq!(listed["quotes"], json!([]), "nothing of that was kept");
    shop.backend.get(&shop.path("/orders/~quotation-cheap")).await.problem(404, "not-found");
    // The platform's server cannot do so by mistake either.
    shop.backend.post(&quotes, &body("q1", &lines)).await.with(201);
    let offer_path = format!("{quotes}/q1/offer");
    let in_an_hour = seconds_from_now(3600);
    let price = |unit: Value| json!({ "prices": [{ "key": lines[0].key, "unit": unit }], "valid_until": in_an_hour });
    for (unit, kind) in [
        (json!({ "minor": -1, "scale": 2, "currency": "EUR" }), "price"),
        (json!({ "minor": 100, "scale": 3, "currency": "EUR" }), "money"),
        (json!({ "minor": 100, "scale": 2, "currency": "USD" }), "money"),
        (json!({ "minor": i64::MAX, "scale": 2, "currency": "EUR" }), "price"),
    ] {
        shop.backend.post(&offer_path, &price(unit)).await.problem(422, kind);
    }
    shop.backend.post(&offer_path, &json!({ "prices": [], "valid_until": in_an_hour })).await.problem(422, "price");
    let mut foreign = offer(&lines, 100, &in_an_hour);
    foreign["prices"][0]["key"] = json!("0".repeat(64));
    shop.backend.post(&offer_path, &foreign).await.problem(422, "no-line");
    for until in [seconds_from_now(-1), seconds_from_now(367 * 24 * 3600)] {
        shop.backend.post(&offer_path, &offer(&lines, 100, &until)).await.problem(422, "quote");
    }
    // An offered line that was tampered with has the usual price.
    shop.backend.post(&offer_path, &offer(&lines, 1_999, &in_an_hour)).await.ok();
    let mut cart = Vec::new();
    accept(&shop, "q1", &mut cart).await;
    let forgeries: [fn(&mut CartLine); 4] = [
        |line| line.price.total.minor = 1,
        |line| line.price.expires = "2999-01-01T00:00:00Z".to_owned(),
        |line| line.price.offer = Some("q2".to_owned()),
        |line| line.price.offer = None,
    ];
    for forge in forgeries {
        let mut forged = cart.clone();
        forge(&mut forged[0]);
        let state = states(&shop, &forged).await.remove(0);
        assert!(
            state["state"] == "must-reconfigure" || state["new"]["minor"] == 50 * 2_495,
            "{state:#} of {:?}",
            forged[0].price
        );
        shop.backend.post(&shop.path("/events"), &paid("1", &forged)).await.problem(422, "seal");
        shop.backend.post(&quotes, &body("again", &forged)).await.problem(422, "seal");
    }
    shop.backend.post(&quotes, &body("again", &cart)).await.problem(422, "offered");
}

#[tokio::test]
async fn a_withdrawn_quote_stays_withdrawn_and_is_erased_with_its_customer() {
    let (shop, _fake) = Shop::with_expivi().await;
    let lines = offered(&shop, "q1", "shirt", samples::EXPIVI_VARIATION, 1_999, 3600).await;
    shop.handled("~quotation-q1").await;
    let quote_path = |what: &str| shop.path(&format!("/quotes/q1{what}"));
    for _ in 0..2 {
        let withdrawn = shop.backend.post(&quote_path("/withdraw"), &json!({})).await.ok();
        assert_eq!((&withdrawn["state"], &withdrawn["version"]), (&json!("withdrawn"), &json!(3)));
    }
    shop.backend.post(&quote_path("/accept"), &json!({ "lines": [] })).await.problem(409, "quote-state");
    let again = offer(&lines, 100, &seconds_from_now(3600));
    shop.backend.post(&quote_path("/offer"), &again).await.problem(409, "quote-state");
    let log = shop.integrator.get(&shop.path("/audit-log")).await.ok().to_string();
    for what in ["request-quote", "offer-quote", "withdraw-quote"] {
        assert!(log.contains(what), "{what}: {log}");
    }
    let exported = shop.backend.get(&shop.path("/customers/ada@example.com/export")).await.ok();
    assert_eq!(exported["document"]["orders"][0]["quote"]["request"]["customer"], "customer-7", "{exported:#}");
    let erased = shop.backend.delete(&shop.path("/customers/ada@example.com")).await.ok();
    assert_eq!(erased, json!({ "orders": 1 }));
    shop.backend.get(&quote_path("")).await.problem(404, "not-found");
    shop.backend.post(&shop.path("/quotes"), &body("q1", &lines)).await.problem(410, "erased");
}

#[tokio::test]
async fn quotations_come_page_by_page() {
    let (shop, _fake) = Shop::with_expivi().await;
    let lines = request_lines(&shop, "shirt", samples::EXPIVI_VARIATION, 5).await;
    for id in ["c", "a", "b"] {
        shop.backend.post(&shop.path("/quotes"), &body(id, &lines)).await.with(201);
    }
    let orders = shop.backend.get(&shop.path("/orders")).await.ok();
    assert_eq!(orders["orders"], json!([]), "what a quotation is kept as is no order");
    let (mut seen, mut path) = (Vec::new(), shop.path("/quotes?limit=2"));
    loop {
        let page = shop.backend.get(&path).await.ok();
        seen.extend(page["quotes"].as_array().expect("a page").iter().map(|entry| entry["id"].clone()));
        let Some(after) = page["after"].as_str() else { break };
        path = shop.path(&format!("/quotes?limit=2&after={after}"));
    }
    assert_eq!(seen, ["c", "a", "b"]);
}

#[tokio::test]
async fn a_repeated_write_of_a_quote_gets_the_first_response_until_it_is_erased() {
    let (shop, _fake) = Shop::with_expivi().await;
    let lines = request_lines(&shop, "shirt", samples::EXPIVI_VARIATION, 5).await;
    shop.backend.post(&shop.path("/quotes"), &body("q1", &lines)).await.with(201);
    let path = shop.path("/quotes/q1/offer");
    let body = offer(&lines, 1_999, &seconds_from_now(3600));
    let name = format!("{} offer", shop.id);
    let headers = [("if-match", "\"1\""), ("idempotency-key", name.as_str())];
    let first = shop.backend.send("POST", &path, &headers, &body).await;
    let again = shop.backend.send("POST", &path, &headers, &body).await;
    assert_eq!((first.status, again.status, again.header("etag")), (200, 200, Some("\"2\"")));
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    shop.backend.send("POST", &path, &headers[..1], &body).await.problem(412, "changed");
    // The answered quote contains what the shopper requested, and is erased with it.
    shop.handled("~quotation-q1").await;
    shop.backend.delete(&shop.path("/orders/~quotation-q1")).await.ok();
    let late = shop.backend.send("POST", &path, &headers, &body).await;
    assert_eq!(late.header("idempotency-replayed"), None);
    assert!(matches!(late.status, 404 | 410), "{late:?}");
}
