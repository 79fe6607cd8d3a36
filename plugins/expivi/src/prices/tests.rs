use cartwright_plugin::http::Auth;
use cartwright_plugin::types::{PriceBasis, PriceState, Rounding, SettingValue, TaxBasis};

use super::*;
use crate::testing::{FakeHost, MULTI, SIMPLE, context, error_field, header, product_link, response, text};

fn terms() -> Vec<(&'static str, SettingValue)> {
    vec![
        ("price-authority", text("vendor")),
        ("price-currency", text("EUR")),
        ("price-scale", SettingValue::Integer(2)),
        ("price-tax", text("gross")),
    ]
}

fn ask(host: &mut FakeHost, context: &Context, product: &str, raw: &str) -> Result<Vec<Option<Price>>, CallError> {
    let product_link = product_link(product, &["1005"]);
    let items = crate::decode(context, &product_link, raw.as_bytes()).unwrap().items;
    host.blob = raw.as_bytes().to_vec();
    price_items(host, context, &product_link, "saved", &items)
}

fn money_of(reply: &'static str, rounding: Rounding) -> Result<Money, CallError> {
    let mut host = FakeHost::new(move |_| response(200, reply));
    let mut context = context(&terms());
    context.shop.rounding = rounding;
    let prices = ask(&mut host, &context, "1001", SIMPLE)?;
    Ok(prices[0].as_ref().unwrap().amount.clone())
}

#[test]
fn a_replica_costs_what_its_original_costs_and_is_not_asked_for() {
    let mut host = FakeHost::new(|request| {
        response(200, if request.url.ends_with("/1004") { r#"{"price":349}"# } else { r#"{"price":"89.50"}"# })
    });
    let prices = ask(&mut host, &context(&terms()), "1004", MULTI).unwrap();
    let amounts: Vec<i64> = prices.iter().flatten().map(|price| price.amount.minor).collect();
    assert_eq!(amounts, [34900, 8950, 8950]);
    assert_eq!(
        host.calls(),
        [
            "POST https://expivi.net/api/price_manager/price/1004",
            "POST https://expivi.net/api/price_manager/price/1005"
        ]
    );
    let price = prices[0].as_ref().unwrap();
    assert_eq!(
        (price.basis, price.tax, price.state.clone()),
        (PriceBasis::Unit, TaxBasis::Gross, PriceState::Verified)
    );
    assert_eq!((price.amount.currency.as_str(), price.amount.scale), ("EUR", 2));
}

#[test]
fn the_product_is_sent_as_saved_without_picture_and_price() {
    let mut host = FakeHost::new(|_| response(200, r#"{"price":1}"#));
    ask(&mut host, &context(&terms()), "1004", MULTI).unwrap();
    let sent = &host.sent_body(0)["configured_product"];
    assert_eq!(sent["catalogue_id"], "1004");
    assert_eq!(sent["configuration"]["attributes"].as_array().unwrap().len(), 2, "hidden ones too");
    for member in ["thumbnail", "price"] {
        assert!(sent.get(member).is_none(), "{member}");
    }
}

#[test]
fn the_public_token_goes_as_a_header_and_the_secret_one_by_the_host() {
    let mut host = FakeHost::new(|_| response(200, r#"{"price":1}"#));
    ask(&mut host, &context(&terms()), "1001", SIMPLE).unwrap();
    assert_eq!(host.requests[0].auth, []);
    assert_eq!(header(&host.requests[0], "authorization"), Some("Bearer viewer-token"));

    let mut settings = terms();
    settings.push(("server-token", SettingValue::SecretIsSet));
    ask(&mut host, &context(&settings), "1001", SIMPLE).unwrap();
    assert_eq!(host.requests[1].auth, [Auth::Bearer("server-token".to_owned())]);
    assert_eq!(header(&host.requests[1], "authorization"), None);
}

#[test]
fn the_country_is_the_merchants_or_the_one_delivered_to() {
    for (extra, expected) in [
        (vec![], Some("be")),
        (vec![("locale-country", text("NL"))], Some("nl")),
        (vec![("send-country", SettingValue::Boolean(false))], None),
    ] {
        let mut host = FakeHost::new(|_| response(200, r#"{"price":1}"#));
        let settings: Vec<_> = terms().into_iter().chain(extra).collect();
        ask(&mut host, &context(&settings), "1001", SIMPLE).unwrap();
        assert_eq!(header(&host.requests[0], "locale-country"), expected);
    }
}

#[test]
fn the_price_keeps_all_its_decimals() {
    for (reply, amount) in [
        (r#"{"price":412.5}"#, (41250, 2)),
        (r#"{"price":0.29}"#, (29, 2)),
        (r#"{"price":0.004}"#, (4, 3)),
        (r#"{"price":"10.1250"}"#, (10125, 3)),
        (r#"{"price":1.005e1}"#, (1005, 2)),
        (r#"{"price":0.123456789}"#, (123456789, 9)),
        (r#"{"price":"1234567.89","currency":"USD"}"#, (123456789, 2)),
        (r#"{"price":0}"#, (0, 2)),
        // Float noise.
        (r#"{"price":12.340000000000001}"#, (1234, 2)),
        (r#"{"price":0.30000000000000004}"#, (30, 2)),
        (r#"{"price":0.6666666666666666}"#, (666666667, 9)),
    ] {
        for rounding in [Rounding::HalfUp, Rounding::HalfEven] {
            let money = money_of(reply, rounding).unwrap();
            assert_eq!((money.minor, money.scale), amount, "{reply}");
        }
    }
}

#[test]
fn a_reply_without_a_usable_price_is_no_price() {
    for reply in [
        "{}",
        "",
        r#"{"price":null}"#,
        r#"{"price":-1}"#,
        r#"{"price":"1,50"}"#,
        r#"{"price":{}}"#,
        r#"{"price":1e300}"#,
        r#"{"price":0.0000000004}"#,
    ] {
        assert!(matches!(money_of(reply, Rounding::HalfUp), Err(CallError::Rejected(_))), "{reply}");
    }
}

#[test]
fn currency_scale_and_tax_are_never_assumed() {
    for missing in ["price-currency", "price-scale", "price-tax"] {
        let settings: Vec<_> = terms().into_iter().filter(|(name, _)| *name != missing).collect();
        let mut host = FakeHost::new(|_| panic!("asked"));
        assert_eq!(
            error_field(ask(&mut host, &context(&settings), "1001", SIMPLE)),
            (missing.to_owned(), "price-needs".to_owned())
        );
    }
}

#[test]
fn each_refusal_says_who_must_act() {
    let answered = |status| {
        let mut host = FakeHost::new(move |_| {
            let mut response = response(status, "<p>no</p>")?;
            response.headers.push(("retry-after".to_owned(), "30".to_owned()));
            Ok(response)
        });
        ask(&mut host, &context(&terms()), "1001", SIMPLE)
    };
    for status in [401, 403] {
        assert_eq!(error_field(answered(status)).0, "viewer-token");
    }
    assert_eq!(error_field(answered(301)).0, "api-url");
    for status in [400, 404, 422] {
        assert!(matches!(answered(status), Err(CallError::Rejected(_))), "{status}");
    }
    for status in [429, 500, 503] {
        let Err(CallError::Unavailable(outage)) = answered(status) else { panic!("{status}") };
        assert_eq!(outage.retry_after_seconds, Some(30));
    }
}

#[test]
fn items_of_another_configuration_are_refused() {
    let context = context(&terms());
    let items = crate::decode(&context, &product_link("1001", &[]), SIMPLE.as_bytes()).unwrap().items;
    let mut host = FakeHost::new(|_| panic!("asked"));
    host.blob = MULTI.as_bytes().to_vec();
    let result = price_items(&mut host, &context, &product_link("1004", &[]), "saved", &items);
    assert_eq!(error_field(result).1, "items-differ");
}

#[test]
fn a_token_that_the_vendor_repeats_is_not_repeated_to_people() {
    let long = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9".repeat(3);
    let mut host = FakeHost::new(move |_| response(422, &format!("not with Bearer s3rv3r-9b7e61 or {long}, sorry")));
    let Err(CallError::Rejected(message)) = ask(&mut host, &context(&terms()), "1001", SIMPLE) else { panic!() };
    assert!(message.text.ends_with("not with Bearer … or … sorry"), "{}", message.text);
}
