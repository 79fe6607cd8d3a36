use cartwright_plugin::exports::cart::{PlanRequest, PlanResult};
use cartwright_plugin::types::{Article, Bundle, ChildRemoval, Context, Item, PriceSource, SettingValue, Target};
use cartwright_test_growth::assert_linear;

use super::*;
use crate::testing::{
    BUNDLE, MULTI, VARIATION, article, attribute, context, error_field, item, product_link, text, texts,
};

/// Requests two of each root.
fn line_requests(items: &[Item]) -> Vec<LineRequest> {
    let roots = items.iter().enumerate().filter(|(_, item)| item.parent.is_none());
    let line_requests: Vec<_> =
        roots.map(|(index, _)| LineRequest { item: Some(index as u32), quantity: 2, extra: Vec::new() }).collect();
    if items.is_empty() { vec![LineRequest { item: None, quantity: 2, extra: Vec::new() }] } else { line_requests }
}

fn request(strategy: &str, items: Vec<Item>) -> PlanRequest {
    let product = items.first().map_or("1", |item| item.vendor_product.as_str());
    PlanRequest {
        strategy: strategy.to_owned(),
        link: product_link(product, &[]),
        line_requests: line_requests(&items),
        items,
        prices: Vec::new(),
        price_from: PriceSource::Platform,
        chosen_variant: None,
        cart_lines: Vec::new(),
        extra: Vec::new(),
    }
}

fn planned(context: &Context, request: PlanRequest) -> Result<PlanResult, CallError> {
    plan_with(context, request, &|_| panic!("the catalogue was asked"))
}

fn items_of(product: &str, raw: &str) -> Vec<Item> {
    crate::decode(&context(&[]), &product_link(product, &[]), raw.as_bytes()).unwrap().items
}

fn only_line(planned: Result<PlanResult, CallError>) -> PlannedLine {
    match planned.unwrap().entries.as_slice() {
        [PlanEntry::Line(line)] => line.clone(),
        other => panic!("{other:?}"),
    }
}

fn only_sku(planned: Result<PlanResult, CallError>) -> String {
    match only_line(planned).target {
        Target::Sku(query) => query.sku,
        other => panic!("{other:?}"),
    }
}

fn only_bundle(planned: Result<PlanResult, CallError>) -> Bundle {
    match planned.unwrap().entries.as_slice() {
        [PlanEntry::Bundle(bundle)] => bundle.clone(),
        other => panic!("{other:?}"),
    }
}

fn refusal(planned: Result<PlanResult, CallError>) -> String {
    match planned {
        Err(CallError::Rejected(message)) => message.key,
        other => panic!("{other:?}"),
    }
}

fn with_keys(keys: &[(&str, Option<&str>)]) -> Item {
    let attributes = keys.iter().enumerate().map(|(id, (name, key))| attribute(&id.to_string(), name, *key)).collect();
    Item { attributes, ..item("1") }
}

fn with_articles(articles: &[(&str, &str)]) -> Item {
    Item { articles: articles.iter().map(|(sku, quantity)| article(sku, quantity)).collect(), ..item("1") }
}

fn quantities(bundle: &Bundle) -> Vec<(String, u32)> {
    let name = |target: &Target| match target {
        Target::Sku(query) => query.sku.clone(),
        Target::Text(text) => format!("text {text}"),
        other => panic!("{other:?}"),
    };
    bundle.children.iter().map(|child| (name(&child.target), child.quantity)).collect()
}

#[test]
fn an_unknown_strategy_is_refused_with_the_known_ones() {
    for name in ["", "grouped", "Simple"] {
        let Err(CallError::InvalidInput(issue)) = planned(&context(&[]), request(name, vec![item("1")])) else {
            panic!()
        };
        assert_eq!(issue.field, "strategy");
        assert!(issue.message.text.contains("simple, variation, bundle"));
    }
}

#[test]
fn simple_sells_the_linked_product_in_the_quantity_asked_for() {
    let line = only_line(planned(&context(&[]), request("simple", vec![item("1")])));
    assert_eq!((line.target, line.quantity, line.item), (Target::LinkedProduct, 2, Some(0)));
    assert_eq!(line.price.source, PriceSource::Platform);
    assert_eq!(line.display_fields, None);
}

#[test]
fn children_belong_to_their_roots_line_and_are_shown_there() {
    let mut plan_request = request("simple", items_of("1004", MULTI));
    plan_request.link = product_link("1004", &["1005"]);
    let line = only_line(planned(&context(&[]), plan_request));
    let display_fields: Vec<String> =
        line.display_fields.unwrap().into_iter().map(|part| format!("{}: {}", part.name, part.value)).collect();
    assert_eq!(display_fields, ["Top: Walnut", "Fabric: Green"]);
}

#[test]
fn an_expensive_part_is_not_sold_at_the_price_of_a_cheap_whole() {
    let plan_request = request("simple", items_of("1004", MULTI));
    assert_eq!(refusal(planned(&context(&[]), plan_request.clone())), "part-not-listed");
    // The vendor's price includes every part.
    let by_vendor = PlanRequest { price_from: PriceSource::Vendor, ..plan_request };
    assert_eq!(only_line(planned(&context(&[]), by_vendor)).price.source, PriceSource::Vendor);
}

#[test]
fn another_product_is_not_sold_as_the_linked_one() {
    for strategy in ["simple", "bundle"] {
        let plan_request = request(
            strategy,
            vec![with_articles(&[("A", "1")]), Item { vendor_product: "9".into(), ..with_articles(&[("B", "1")]) }],
        );
        assert_eq!(refusal(planned(&context(&[]), plan_request)), "product-without-price", "{strategy}");
    }
}

#[test]
fn the_price_of_parts_ignores_the_case_of_skus_where_the_merchant_chose_so() {
    let ignoring = context(&[("ignore-case", SettingValue::Boolean(true))]);
    for (context, expected) in [(context(&[]), false), (ignoring, true)] {
        let plan_request = request("simple", vec![item("1")]);
        assert_eq!(only_line(planned(&context, plan_request)).price.ignore_case, expected);
        let plan_request = request("bundle", vec![with_articles(&[("A", "1")])]);
        assert_eq!(only_bundle(planned(&context, plan_request)).parent.price.ignore_case, expected);
    }
}

#[test]
fn a_bundle_takes_the_articles_of_an_item_as_often_as_its_root_takes_the_item() {
    let part = |id: &str, parent: &str, quantity: u32, articles: &[(&str, &str)]| Item {
        id: Some(id.to_owned()),
        parent: Some(parent.to_owned()),
        quantity,
        ..with_articles(articles)
    };
    let root = Item { id: Some("table".to_owned()), ..with_articles(&[("SCREW", "1")]) };
    let mut items = vec![part("foot", "leg", 2, &[("SCREW", "0.5")]), part("leg", "table", 4, &[("LEG", "1")]), root];
    // What is part of an article is bought with it.
    items[1].articles.push(Article { parent: Some(0), ..article("WOOD", "3") });
    let mut plan_request = request("bundle", items);
    plan_request.link = product_link("1", &["1"]);
    for settings in [vec![], vec![("bundle-sku", text("models-sku"))]] {
        let bundle = only_bundle(planned(&context(&settings), plan_request.clone()));
        let counts: Vec<u32> = bundle.children.iter().map(|child| child.quantity).collect();
        assert_eq!(counts, [5, 4]);
    }
}

#[test]
fn several_roots_become_several_lines() {
    let plan_request = request("simple", vec![item("1"), item("1")]);
    let entries = planned(&context(&[]), plan_request.clone()).unwrap().entries;
    assert!(matches!(&entries[..], [PlanEntry::Line(a), PlanEntry::Line(b)] if (a.item, b.item) == (Some(0), Some(1))));
    // A configuration that is priced again requests one line.
    let second = LineRequest { item: Some(1), quantity: 7, extra: Vec::new() };
    let line = only_line(planned(&context(&[]), PlanRequest { line_requests: vec![second], ..plan_request.clone() }));
    assert_eq!((line.item, line.quantity), (Some(1), 7));
    let unknown_item = LineRequest { item: Some(2), quantity: 1, extra: Vec::new() };
    assert_eq!(
        error_field(planned(&context(&[]), PlanRequest { line_requests: vec![unknown_item], ..plan_request })).1,
        "not-a-root"
    );
}

#[test]
fn keys_spell_the_sku_of_a_variant_of_the_linked_product() {
    let line = only_line(planned(&context(&[]), request("variation", items_of("1002", VARIATION))));
    let Target::Sku(query) = line.target else { panic!() };
    // Without the KEY IS-A of the hidden attribute, and without the attribute that has no KEY.
    assert_eq!((query.sku.as_str(), query.within_product.as_deref()), ("R-L", Some("shop-product")));
    assert!(!query.ignore_case);
}

#[test]
fn prefix_separator_and_order_are_the_merchants() {
    let item = with_keys(&[("Colour", Some("R")), ("Care", None), ("Size", Some("L")), ("Cut", Some("W"))]);
    let sku = |settings: &[(&str, SettingValue)]| {
        only_sku(planned(&context(settings), request("variation", vec![item.clone()])))
    };
    assert_eq!(sku(&[]), "R-L-W");
    assert_eq!(sku(&[("sku-prefix", text("SHIRT-")), ("sku-separator", text("/"))]), "SHIRT-R/L/W");
    assert_eq!(sku(&[("sku-separator", text(""))]), "RLW");
    assert_eq!(sku(&[("attribute-order", texts(&["Size", "0"]))]), "L-R-W");
    assert_eq!(sku(&[("attribute-order", texts(&["Cut"]))]), "W-R-L");
}

#[test]
fn no_key_at_all_is_an_error() {
    let plan_request = request("variation", vec![with_keys(&[("Colour", None)])]);
    assert_eq!(
        error_field(planned(&context(&[]), plan_request)),
        ("items[0].attributes".to_owned(), "keys-missing".to_owned())
    );
}

#[test]
fn a_required_attribute_needs_a_key() {
    let required = context(&[("required-attributes", texts(&["Colour", "Size"]))]);
    for size in [with_keys(&[("Colour", Some("R")), ("Size", None)]), with_keys(&[("Colour", Some("R"))])] {
        assert_eq!(error_field(planned(&required, request("variation", vec![size]))).1, "key-required");
    }
    let all = with_keys(&[("Colour", Some("R")), ("Size", Some("L"))]);
    assert_eq!(only_sku(planned(&required, request("variation", vec![all]))), "R-L");
}

#[test]
fn a_key_that_holds_the_separator_is_a_warning_and_two_readings_an_error() {
    let one = with_keys(&[("a", Some("R-L")), ("b", Some("X"))]);
    let warned = planned(&context(&[]), request("variation", vec![one.clone()])).unwrap();
    assert_eq!(warned.warnings[0].key, "key-holds-separator");
    let other = with_keys(&[("a", Some("R")), ("b", Some("L-X"))]);
    let plan_request = request("variation", vec![one, other]);
    assert_eq!(error_field(planned(&context(&[]), plan_request)).1, "sku-ambiguous");
}

#[test]
fn only_allowed_skus_are_sold_where_the_link_lists_them() {
    let request_with = |allowed: &str| {
        let mut request_with = request("variation", vec![with_keys(&[("Colour", Some("R"))])]);
        request_with.link.allowed_skus = vec![allowed.to_owned()];
        request_with
    };
    assert_eq!(refusal(planned(&context(&[]), request_with("B"))), "sku-not-allowed");
    assert_eq!(refusal(planned(&context(&[]), request_with("r"))), "sku-not-allowed");
    assert_eq!(only_sku(planned(&context(&[]), request_with("R"))), "R");
    assert_eq!(only_sku(planned(&context(&[("ignore-case", SettingValue::Boolean(true))]), request_with("r"))), "R");
}

#[test]
fn a_bundle_is_the_linked_product_with_its_priced_articles() {
    let bundle = only_bundle(planned(&context(&[]), request("bundle", items_of("1003", BUNDLE))));
    let part = |sku: &str, quantity| (sku.to_owned(), quantity);
    assert_eq!(quantities(&bundle), [part("PANEL-60", 3), part("HINGE", 4), part("SCREW-4", 4)]);
    assert_eq!((&bundle.parent.target, bundle.parent.quantity), (&Target::LinkedProduct, 2));
    assert!(bundle.children.iter().all(|child| child.removal == ChildRemoval::Refused));
}

#[test]
fn the_articles_of_parts_belong_to_the_bundle_of_their_root() {
    let mut plan_request = request("bundle", items_of("1004", MULTI));
    plan_request.link = product_link("1004", &["1005"]);
    let bundle = only_bundle(planned(&context(&[]), plan_request));
    // The chair and its replica.
    assert_eq!(quantities(&bundle), [("TABLE-TOP-180".into(), 1), ("TABLE-LEG".into(), 4), ("CHAIR".into(), 2)]);
}

#[test]
fn quantities_of_equal_articles_are_added_up_exactly() {
    let bundle = |articles: &[(&str, &str)]| planned(&context(&[]), request("bundle", vec![with_articles(articles)]));
    let halves = only_bundle(bundle(&[("A", "0.5"), ("B", "2"), ("A", "0.50"), ("A", "1.000")]));
    assert_eq!(quantities(&halves), [("A".into(), 2), ("B".into(), 2)]);
    for bad in ["0.3", "0", "-1", "1e99", "many", "4294967296"] {
        let (path, key) = error_field(bundle(&[("B", "1"), ("A", bad)]));
        assert_eq!((path.as_str(), key.as_str()), ("items[0].articles[1].quantity", "article-quantity"), "{bad}");
    }
}

#[test]
fn articles_are_named_by_the_field_that_the_merchant_chose() {
    let by_model = context(&[("bundle-sku", text("models-sku"))]);
    let bundle = only_bundle(planned(&by_model, request("bundle", vec![with_articles(&[("A", "1")])])));
    assert_eq!(quantities(&bundle), [("MODEL-A".into(), 1)]);
}

#[test]
fn a_bundle_without_articles_is_an_error() {
    let plan_request = request("bundle", vec![item("1")]);
    assert_eq!(error_field(planned(&context(&[]), plan_request)).1, "articles-missing");
}

#[test]
fn unknown_skus_follow_the_merchants_choice() {
    let known = |queries: &[SkuQuery]| Ok(queries.iter().map(|query| usize::from(query.sku != "GONE")).collect());
    let plan_request = || request("bundle", vec![with_articles(&[("A", "1"), ("GONE", "2")])]);
    let with = |policy: &str| plan_with(&context(&[("unknown-sku", text(policy))]), plan_request(), &known).unwrap();

    // The host rejects the SKU by name; the catalog is not queried twice.
    let rejecting = only_bundle(planned(&context(&[]), plan_request()));
    assert_eq!(quantities(&rejecting), [("A".into(), 1), ("GONE".into(), 2)]);
    let kept = with("text");
    assert_eq!(kept.warnings[0].key, "article-as-text");
    assert_eq!(quantities(&only_bundle(Ok(kept))), [("A".into(), 1), ("text GONE".into(), 2)]);
    let dropped = with("drop");
    assert_eq!(dropped.warnings[0].key, "article-dropped");
    assert_eq!(quantities(&only_bundle(Ok(dropped))), [("A".into(), 1)]);

    let without_known_parts = request("bundle", vec![with_articles(&[("GONE", "1")])]);
    for policy in ["text", "drop"] {
        let refused = plan_with(&context(&[("unknown-sku", text(policy))]), without_known_parts.clone(), &known);
        assert_eq!(refusal(refused), "articles-unknown", "{policy}");
    }
}

#[test]
fn planning_again_gives_the_same() {
    for (strategy, raw, product) in
        [("variation", VARIATION, "1002"), ("bundle", BUNDLE, "1003"), ("simple", BUNDLE, "1003")]
    {
        let plan_request = request(strategy, items_of(product, raw));
        assert_eq!(
            planned(&context(&[]), plan_request.clone()).unwrap(),
            planned(&context(&[]), plan_request).unwrap()
        );
    }
}

#[test]
fn a_product_that_is_sold_unconfigured_has_no_item() {
    assert_eq!(only_line(planned(&context(&[]), request("simple", vec![]))).item, None);
    assert_eq!(error_field(planned(&context(&[]), request("bundle", vec![]))).1, "configuration-missing");
}

#[test]
fn twice_as_much_to_plan_takes_about_twice_as_long() {
    let chain = |count: usize| {
        let link = |at: usize| Item {
            id: Some(format!("u{at}")),
            parent: at.checked_sub(1).map(|above| format!("u{above}")),
            ..item("1")
        };
        (0..count).map(link).collect::<Vec<_>>()
    };
    let attributes = |count: usize| {
        let attributes = (0..count).map(|at| attribute(&at.to_string(), &format!("name {at}"), Some("K"))).collect();
        let part = Item { parent: Some("root".to_owned()), attributes, ..item("1") };
        vec![Item { id: Some("root".to_owned()), attributes: part.attributes.clone(), ..item("1") }, part]
    };
    let roots = |count: usize| {
        (0..count).map(|_| Item { attributes: attributes(1).remove(0).attributes, ..item("1") }).collect::<Vec<_>>()
    };
    let many: Vec<String> = (0..2000).map(|at| format!("name {at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let context = context(&[("attribute-order", texts(&many))]);
    type Items<'a> = &'a dyn Fn(usize) -> Vec<Item>;
    let inputs: [(&str, &str, Items<'_>, usize); 5] = [
        ("simple", "a chain of items", &chain, 1000),
        ("simple", "attributes", &attributes, 3000),
        ("variation", "attributes", &attributes, 3000),
        ("simple", "roots", &roots, 1000),
        ("variation", "roots", &roots, 1000),
    ];
    for (strategy, what, items, count) in inputs {
        let request_of = |count: usize| {
            let mut request = request(strategy, items(count));
            request.link.additional_vendor_products = vec!["1".to_owned()];
            request
        };
        assert_linear(&format!("{strategy} of {what}"), count, request_of, |request| {
            planned(&context, request.clone()).unwrap();
        });
    }
}
