//! `cartwright plan`: the cart lines of a configuration.

use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, samples};
use serde_json::{Value, json};

use crate::inspect::digest;
use crate::plan_folder::{PlanFolder, all_sold, lines, sold, stages};

#[test]
fn a_simple_configuration_becomes_one_line_at_the_shops_price() {
    let text = PlanFolder::ring().plan(&[]).succeeded();
    assert!(text.starts_with("add\n  1 × RING [RING] 199.00 EUR  key "), "{text}");
    for chosen in ["Metal: Gold", "Size: 17 mm", "Engraving: Bob"] {
        assert!(text.contains(&format!("      {chosen}\n")), "{text}");
    }
    assert!(!text.contains("Workshop default"), "a hidden attribute is not shown: {text}");
}

#[test]
fn keys_behind_a_prefix_find_the_variant() {
    let text = PlanFolder::shirt("SHIRT-").plan(&["--strategy", "variation"]).succeeded();
    assert!(text.contains("1 × Shirt, red, large [SHIRT-R-L] 24.95 EUR"), "{text}");
    let change = PlanFolder::shirt("").plan(&["--strategy", "variation", "--json"]).json();
    assert_eq!(all_sold(&lines(&change, "add")), [("R-L", 1, 2_005)]);
}

#[test]
fn a_bundle_costs_the_sum_of_its_parts() {
    let text = PlanFolder::wardrobe().plan(&["--strategy", "bundle"]).succeeded();
    for line in [
        "  1 × WARDROBE [WARDROBE] 86.90 EUR  key ",
        "    3 × PANEL-60 [PANEL-60]  (73.50 of the 86.90 above)  key ",
        "    4 × HINGE [HINGE]  (12.80 of the 86.90 above)  key ",
        "    4 × SCREW-4 [SCREW-4]  (0.60 of the 86.90 above)  key ",
        "  total 86.90 EUR\n",
    ] {
        assert!(text.contains(&format!("\n{line}")), "{line}: {text}");
    }
    assert!(!text.contains("MODEL-"), "{text}");
}

#[test]
fn a_plan_as_json_has_sealed_lines_with_keys_and_pins() {
    let change = PlanFolder::wardrobe().plan(&["--strategy", "bundle", "--json"]).json();
    let lines = lines(&change, "add");
    let expected = [("WARDROBE", 1, 8_690), ("PANEL-60", 3, 7_350), ("HINGE", 4, 1_280), ("SCREW-4", 4, 60)];
    assert_eq!(all_sold(&lines), expected);
    for line in &lines {
        let seal = line["price"]["seal"].as_str().expect("a seal");
        assert!(seal.starts_with("v1.") && seal.len() > 40, "{seal}");
        assert_eq!(line["price"]["total"]["currency"], "EUR");
        assert_eq!(line["key"].as_str().map(str::len), Some(64), "{line:#}");
        assert_eq!(line["pin"]["digest"], digest("expivi"));
        assert_eq!(line["pin"]["strategy"], "bundle");
    }
    let parent = &lines[0];
    assert_eq!(parent["parent"], Value::Null);
    assert!(lines[1..].iter().all(|child| child["parent"] == parent["key"]), "{change:#}");
    assert!(lines[1..].iter().all(|child| child["price"]["included_in_parent"] == true), "{change:#}");
    let mut seals: Vec<&str> = lines.iter().filter_map(|line| line["price"]["seal"].as_str()).collect();
    seals.sort_unstable();
    seals.dedup();
    assert_eq!(seals.len(), lines.len(), "each line has a seal of its own");
}

#[test]
fn the_same_configuration_raises_the_quantity_of_an_existing_line() {
    let folder = PlanFolder::ring();
    let before = lines(&folder.plan(&["--json"]).json(), "add");
    let cart = folder.write("cart.json", &json!(before).to_string());
    let after = lines(&folder.plan(&["--cart", &cart, "--quantity", "2", "--json"]).json(), "update");
    assert_eq!(all_sold(&after), [("RING", 3, 3 * 19_900)]);
    assert_eq!(after[0]["key"], before[0]["key"]);
}

#[test]
fn another_configuration_leaves_an_existing_line_alone() {
    let folder = PlanFolder::ring();
    let before = lines(&folder.plan(&["--json"]).json(), "add");
    let cart = folder.write("cart.json", &json!(before).to_string());
    folder.write("configuration.json", &samples::EXPIVI_SIMPLE.replace("Bob", "Alice"));
    let after = lines(&folder.plan(&["--cart", &cart, "--json"]).json(), "add");
    assert_eq!(all_sold(&after), [("RING", 1, 19_900)]);
    assert_ne!(after[0]["key"], before[0]["key"]);
}

#[test]
fn a_quantity_multiplies_a_line_and_the_parts_of_a_bundle() {
    let change = PlanFolder::ring().plan(&["--quantity", "3", "--json"]).json();
    let ring = lines(&change, "add");
    assert_eq!(all_sold(&ring), [("RING", 3, 3 * 19_900)]);
    assert_eq!(ring[0]["price"]["unit"]["minor"], 19_900);
    let change = PlanFolder::wardrobe().plan(&["--strategy", "bundle", "--quantity", "3", "--json"]).json();
    let expected = [("WARDROBE", 3, 26_070), ("PANEL-60", 9, 22_050), ("HINGE", 12, 3_840), ("SCREW-4", 12, 180)];
    assert_eq!(all_sold(&lines(&change, "add")), expected);
}

#[test]
fn explain_shows_the_stages_in_their_order() {
    let folder = PlanFolder::ring();
    let text = folder.plan(&["--explain"]).succeeded();
    assert_eq!(stages(&text), ["decode", "products", "identify", "plan", "check", "pictures", "store", "seal"]);
    assert!(text.contains("line by expivi/simple"), "{text}");
    assert!(text.contains("\nadd\n  1 × RING"), "the plan follows: {text}");
    assert!(!folder.plan(&[]).succeeded().contains("µs"), "without --explain there are no stages");
}

#[test]
fn twikits_sample_becomes_the_variant_that_the_link_allows() {
    let text = PlanFolder::jewel(&["JEWEL-A"]).plan(&[]).succeeded();
    assert!(text.starts_with("add\n  1 × JEWEL-A [JEWEL-A] 49.00 EUR  key "), "{text}");
}

#[test]
fn the_price_that_a_browser_hands_over_is_no_price() {
    let folder = PlanFolder::jewel(&["JEWEL-A"]);
    folder.write("configuration.json", &samples::TWIKIT_SAVED.replace("49.0", "0.01"));
    let change = folder.plan(&["--json"]).json();
    assert_eq!(all_sold(&lines(&change, "add")), [("JEWEL-A", 1, 4_900)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_server_prices_the_line_when_the_shop_says_so() {
    let fake = FakeExpivi::start(ExpiviConfig::default()).await.expect("a fake Expivi");
    let mut settings = json!({
        "viewer-token": "viewer-token",
        "price-authority": "vendor",
        "price-currency": "EUR",
        "price-scale": 2,
        "price-tax": "gross",
    });
    let link = json!({ "shop_product": "ring", "vendor_product": "1001" });
    let folder = PlanFolder::new("expivi", settings.clone(), link, samples::EXPIVI_SIMPLE);
    let configured: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let url = fake.api_url();

    let expected = fake.expected_price(&configured[0], None).expect("a price");
    assert_ne!(expected, 19_900, "else the shop's own price would pass");
    let line = lines(&folder.plan(&["--vendor-url", &url, "--json"]).json(), "add").remove(0);
    assert_eq!(sold(&line), ("RING", 1, expected));
    assert_eq!(line["price"]["source"], "vendor");

    assert!(fake.set_base_price(1001, 30_000));
    let risen = fake.expected_price(&configured[0], None).expect("a price");
    let text = folder.plan(&["--vendor-url", &url, "--quantity", "2", "--explain"]).succeeded();
    let cents = 2 * risen;
    assert!(text.contains(&format!("2 × RING [RING] {}.{:02} EUR", cents / 100, cents % 100)), "{text}");
    assert_eq!(fake.record().all().len(), 2, "one price is asked for each plan");

    settings["viewer-token"] = json!("wrong");
    folder.write("settings.json", &settings.to_string());
    let error = folder.plan(&["--vendor-url", &url]).typed_error();
    assert_eq!(error["error"], "hook", "{error:#}");
    assert_eq!(error["detail"]["hook"], "prices.price-items", "{error:#}");
    fake.stop().await;
}

#[test]
fn a_line_is_replaced_and_keeps_its_quantity() {
    let folder = PlanFolder::ring();
    let before = folder.plan(&["--quantity", "3", "--json"]).succeeded();
    let cart = folder.write("cart.json", &before);
    let key = lines(&serde_json::from_str(&before).expect("JSON"), "add")[0]["key"].as_str().expect("a key").to_owned();
    folder.write("configuration.json", &samples::EXPIVI_SIMPLE.replace("Bob", "Alice"));
    let change = folder.plan(&["--cart", &cart, "--replace", &key, "--json"]).json();
    assert_eq!(change["operations"][0]["key"], key.as_str());
    let after = lines(&change, "replace");
    assert_eq!(all_sold(&after), [("RING", 3, 3 * 19_900)]);
    assert_ne!(after[0]["key"], key.as_str());
    let short = folder.plan(&["--cart", &cart, "--replace", &key[..12], "--json"]).json();
    assert_eq!(short["operations"][0]["key"], key.as_str());
    let error = folder.plan(&["--cart", &cart, "--replace", "no-such-key"]).typed_error();
    assert_eq!(error["error"], "unknown-line", "{error:#}");
}

#[test]
fn a_quote_is_requested_for_the_lines_that_would_be_added() {
    let change = PlanFolder::ring().plan(&["--quote", "--json"]).json();
    assert_eq!(all_sold(&lines(&change, "request-quotation")), [("RING", 1, 19_900)]);
}

#[test]
fn of_several_variants_one_must_be_chosen() {
    let folder = PlanFolder::ring();
    let variants = json!([
        { "sku": "RING-S", "product": "ring", "price": "100.00" },
        { "sku": "RING-L", "product": "ring", "price": "120.00" },
    ]);
    folder.write(
        "catalog.json",
        &json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "variants": variants }).to_string(),
    );
    let error = folder.plan(&[]).typed_error();
    assert!(error["message"].as_str().expect("a message").contains("has 2 variants; choose one"), "{error:#}");
    let change = folder.plan(&["--variant", "RING-L", "--json"]).json();
    assert_eq!(all_sold(&lines(&change, "add")), [("RING-L", 1, 12_000)]);
    let error = folder.plan(&["--variant", "RING-XL"]).typed_error();
    assert_eq!(error["error"], "variant", "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_which_flag_would_allow_it() {
    let fake = FakeExpivi::start(ExpiviConfig::default()).await.expect("a fake Expivi");
    let settings = json!({
        "viewer-token": "viewer-token",
        "api-url": fake.api_url(),
        "price-authority": "vendor",
        "price-currency": "EUR",
        "price-scale": 2,
        "price-tax": "gross",
    });
    let link = json!({ "shop_product": "ring", "vendor_product": "1001" });
    let folder = PlanFolder::new("expivi", settings, link, samples::EXPIVI_SIMPLE);
    let host = fake.base_url().strip_prefix("http://").expect("no TLS").to_owned();
    let (plain, network) = (format!("http://{host}"), "127.0.0.1/32");
    let error = folder.plan(&[]).typed_error();
    assert_eq!(error["help"], format!("to allow it here, add: --grant {plain}"), "{error:#}");
    let text = error["message"].as_str().expect("a message");
    assert!(text.contains(&format!("grants.plain_http += \"{host}\"")), "{text}");
    let error = folder.plan(&["--grant", &plain]).typed_error();
    assert_eq!(error["help"], format!("to allow it here, add: --grant {network}"), "{error:#}");
    let change = folder.plan(&["--grant", &plain, "--grant", network, "--json"]).json();
    assert_eq!(lines(&change, "add")[0]["price"]["source"], "vendor");
    fake.stop().await;
}

#[test]
fn a_cart_is_planned_in_the_visitors_currency_and_sealed_for_the_visitor() {
    let folder = PlanFolder::ring();
    let prices = json!({ "EUR": "199.00", "USD": "215.00" });
    let currencies = json!([{ "code": "EUR", "scale": 2 }, { "code": "USD", "scale": 2 }]);
    let variants = json!([{ "sku": "RING", "product": "ring", "price": prices }]);
    folder.write("catalog.json", &json!({ "currencies": currencies, "variants": variants }).to_string());
    let flags = ["--currency", "USD", "--country", "US", "--region", "CA", "--locale", "en-US"];
    let groups = ["--customer-group", "vip", "--customer-group", "b2b", "--json"];
    let change = folder.plan(&[&flags[..], &groups].concat()).json();
    let price = &lines(&change, "add")[0]["price"];
    assert_eq!((&price["total"]["currency"], &price["total"]["minor"]), (&json!("USD"), &json!(21_500)));
    assert_eq!((&price["country"], &price["region"]), (&json!("US"), &json!("CA")));
    assert_eq!(price["customer_groups"], json!(["b2b", "vip"]));
    let change = folder.plan(&["--json"]).json();
    assert_eq!(all_sold(&lines(&change, "add")), [("RING", 1, 19_900)]);
    let error = folder.plan(&["--currency", "JPY"]).typed_error();
    assert!(error.to_string().contains("visitor.currency"), "{error:#}");
}
