//! Tests of the catalog that a platform pushes.

use cartwright::types::{Money, SkuQuery};
use cartwright::{Catalog, MemoryCatalog};
use cartwright_store::{
    CatalogError, CatalogVariant, ExchangeRate, Expected, SkuConflict, Store, StoreError, VariantKey,
};

use serde_json::json;

use crate::database::{Database, at, on_each_database, shop};
use crate::setup::open_with_shop;

on_each_database!(
    it_answers_as_the_catalog_in_memory_does,
    a_variant_takes_the_place_of_the_one_with_its_id,
    two_variants_never_have_one_sku,
    variants_of_one_list_exchange_skus_in_any_order,
    a_damaged_variant_hides_no_other_and_cannot_be_bought,
    what_no_cart_could_use_is_refused_and_nothing_changes,
    ten_thousand_variants_come_at_once_and_are_asked_for_at_once,
    a_catalog_is_replaced_whole,
    a_catalog_is_looked_through_page_by_page,
    a_rate_is_set_and_taken_away,
    the_log_says_what_changed_in_counts_and_prices,
    a_catalog_belongs_to_a_shop_that_is_kept,
);

fn money(minor: i64, currency: &str) -> Money {
    Money { minor, scale: 2, currency: currency.to_owned() }
}

fn variant(product: &str, id: &str, sku: &str) -> CatalogVariant {
    CatalogVariant {
        product: product.into(),
        id: id.into(),
        sku: sku.into(),
        title: format!("{product} {id}"),
        prices: vec![money(1250, "EUR"), money(1990, "CHF")],
        tax_class: Some("standard".into()),
        purchasable: true,
        stock: Some(-3),
        weight_grams: Some("12.50".into()),
        minimum: 2,
        maximum: Some(9),
    }
}

fn query(sku: &str, within_product: Option<&str>, ignore_case: bool) -> SkuQuery {
    SkuQuery { sku: sku.into(), within_product: within_product.map(str::to_owned), ignore_case }
}

async fn ids(store: &Store) -> Vec<String> {
    let page = store.catalog().variants_page(&shop(), None, None, 100).await.unwrap();
    page.into_iter().map(|variant| format!("{}/{}:{}", variant.product, variant.id, variant.sku)).collect()
}

fn key(product: &str, id: &str) -> VariantKey {
    VariantKey { product: product.into(), id: id.into() }
}

async fn it_answers_as_the_catalog_in_memory_does(database: Database) {
    let store = open_with_shop(&database).await;
    let unpriced = CatalogVariant { prices: Vec::new(), ..variant("b", "4", "ring-l") };
    // Letters that ASCII case folding does not cover.
    let pushed = [
        variant("b", "9", "RING-L"),
        variant("a", "1", "Ring-l"),
        unpriced,
        variant("a", "2", "STRASSE-Ä"),
        variant("a", "3", "İ"),
        variant("c", "5", ""),
        variant("c", "6", ""),
    ];
    store.catalog().put_variants(&shop(), &pushed, "ann", at(0)).await.unwrap();
    let queries: Vec<SkuQuery> = ["RING-L", "ring-l", "Ring-L", "strasse-ä", "straße-ä", "i̇", "I", "", "none", "a\0"]
        .into_iter()
        .flat_map(|sku| [None, Some("a"), Some("b"), Some("nothing")].map(|product| (sku, product)))
        .flat_map(|(sku, product)| [true, false].map(|ignore_case| query(sku, product, ignore_case)))
        .collect();
    let memory = |currency: &str| {
        let as_held = |variant: &CatalogVariant| {
            let price = variant.prices.iter().find(|price| price.currency == currency).cloned();
            let mut json_value = serde_json::to_value(variant).unwrap();
            json_value.as_object_mut().unwrap().remove("prices");
            json_value.as_object_mut().unwrap().remove("stock");
            json_value["in_stock"] = serde_json::to_value(variant.stock.map(|stock| stock > 0)).unwrap();
            json_value["extra"] = serde_json::json!([]);
            json_value["price"] = serde_json::to_value(price).unwrap();
            serde_json::from_value(json_value).unwrap()
        };
        MemoryCatalog::new(pushed.iter().map(as_held).collect())
    };
    for currency in ["EUR", "CHF", "USD"] {
        let memory = memory(currency);
        let answers = store.resolve(&shop(), currency, &queries).await.unwrap();
        assert_eq!(answers, memory.resolve(&shop(), currency, &queries).await.unwrap(), "{currency}");
        assert_eq!(answers[0].len(), 3, "{answers:?}");
        for product in ["a", "b", "nothing", "\0"] {
            let answer = store.variants(&shop(), currency, product).await.unwrap();
            assert_eq!(answer, memory.variants(&shop(), currency, product).await.unwrap());
        }
    }
    let priced = store.resolve(&shop(), "CHF", &[query("Ring-l", Some("a"), false)]).await.unwrap();
    assert_eq!(priced[0][0].price, Some(money(1990, "CHF")));
    assert_eq!(store.resolve(&"other".parse().unwrap(), "EUR", &queries[..1]).await.unwrap(), [vec![]]);
}

async fn a_variant_takes_the_place_of_the_one_with_its_id(database: Database) {
    let store = open_with_shop(&database).await;
    let first = [variant("ring", "1", "A"), variant("ring", "2", "B"), variant("chain", "1", "C")];
    store.catalog().put_variants(&shop(), &first, "ann", at(0)).await.unwrap();
    store
        .catalog()
        .put_variants(&shop(), &[variant("ring", "1", "A2"), variant("chain", "2", "")], "ann", at(1))
        .await
        .unwrap();
    // Several variants may have no SKU.
    store.catalog().put_variants(&shop(), &[variant("chain", "3", "")], "ann", at(1)).await.unwrap();
    assert_eq!(ids(&store).await, ["chain/1:C", "chain/2:", "chain/3:", "ring/1:A2", "ring/2:B"]);
    let removed_keys = [key("ring", "1"), key("chain", "2"), key("chain", "3"), key("ring", "7"), key("\0", "1")];
    assert_eq!(store.catalog().remove_variants(&shop(), &removed_keys, "ann", at(9)).await.unwrap(), 3);
    assert_eq!(ids(&store).await, ["chain/1:C", "ring/2:B"]);
    // A SKU that was given up is free.
    store.catalog().put_variants(&shop(), &[variant("ring", "3", "A2")], "ann", at(9)).await.unwrap();
    store.catalog().put_variants(&shop(), &[], "ann", at(3)).await.unwrap();
    assert_eq!(store.catalog().remove_variants(&shop(), &[], "ann", at(9)).await.unwrap(), 0);
}

async fn two_variants_never_have_one_sku(database: Database) {
    let store = open_with_shop(&database).await;
    let (blue, red) = (variant("shirt", "blue", "SHIRT-M"), variant("shirt", "red", "SHIRT-M"));
    let screw = variant("screw", "1", "SCREW-4");
    store.catalog().put_variants(&shop(), &[blue.clone(), screw.clone()], "ann", at(0)).await.unwrap();
    let other = |variant: &CatalogVariant, product: &str| CatalogVariant { product: product.into(), ..variant.clone() };
    let free = variant("shirt", "green", "SHIRT-G");
    // One after the other, in one list, in another sequence, of another product, as a whole: the same error, and
    // nothing changes.
    for (given, whole) in [
        (vec![red.clone()], false),
        (vec![free.clone(), red.clone()], false),
        (vec![blue.clone(), red.clone()], false),
        (vec![red.clone(), blue.clone()], false),
        (vec![red.clone(), blue.clone()], true),
    ] {
        let put = match whole {
            true => store.catalog().replace_catalog(&shop(), &given, "ann", at(1)).await,
            false => store.catalog().put_variants(&shop(), &given, "ann", at(1)).await,
        };
        let Err(CatalogError::SkuConflict(conflicts)) = put else { panic!("{given:?}: {put:?}") };
        let pair = [key("shirt", "blue"), key("shirt", "red")];
        assert_eq!(conflicts, [SkuConflict { sku: "SHIRT-M".into(), variants: pair }]);
    }
    let conflict = store.catalog().put_variants(&shop(), &[other(&screw, "nail")], "ann", at(1)).await.unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "the variant \"1\" of \"nail\" and the variant \"1\" of \"screw\" have the SKU \"SCREW-4\"; give each its own SKU, \
         or remove one of the two first"
    );
    assert_eq!(ids(&store).await, ["screw/1:SCREW-4", "shirt/blue:SHIRT-M"]);
    assert_eq!(store.audit().entries(Some(&shop()), None, 10).await.unwrap().len(), 1);
}

async fn variants_of_one_list_exchange_skus_in_any_order(database: Database) {
    let store = open_with_shop(&database).await;
    let with_skus =
        |skus: [&str; 3]| [variant("a", "1", skus[0]), variant("b", "1", skus[1]), variant("b", "2", skus[2])];
    store.catalog().put_variants(&shop(), &with_skus(["X", "Y", "Z"]), "ann", at(0)).await.unwrap();
    for (seconds, skus) in [["Y", "X", "Z"], ["Z", "Y", "X"], ["W", "Z", "Y"]].into_iter().enumerate() {
        let mut variants = with_skus(skus);
        if seconds == 1 {
            variants.reverse();
        }
        store.catalog().put_variants(&shop(), &variants, "ann", at(1)).await.unwrap();
        let expected: Vec<_> =
            with_skus(skus).iter().map(|it| format!("{}/{}:{}", it.product, it.id, it.sku)).collect();
        assert_eq!(ids(&store).await, expected);
    }
    // A chain whose end is not in the list is a conflict.
    let variants = [variant("a", "1", "Z"), variant("b", "2", "W")];
    let put = store.catalog().put_variants(&shop(), &variants, "ann", at(2)).await;
    assert!(
        matches!(&put, Err(CatalogError::SkuConflict(found)) if found[0].sku == "Z" && found.len() == 1),
        "{put:?}"
    );
}

async fn a_damaged_variant_hides_no_other_and_cannot_be_bought(database: Database) {
    let store = open_with_shop(&database).await;
    let variants = [variant("ring", "1", "A"), variant("ring", "2", "B"), variant("ring", "3", "C")];
    store.catalog().put_variants(&shop(), &variants, "ann", at(0)).await.unwrap();
    database.tamper("update variants set variant = '{' where id = '2'").await;
    let page = store.catalog().variants_page(&shop(), None, None, 2).await.unwrap();
    assert_eq!((page[0].id.as_str(), page[1].id.as_str(), page[1].purchasable), ("1", "2", false));
    assert!(page[1].title.contains("damaged") && page[1].prices.is_empty(), "{page:?}");
    let found = store.resolve(&shop(), "EUR", &[query("B", None, false), query("C", None, false)]).await.unwrap();
    assert_eq!((found[0][0].purchasable, found[1][0].purchasable), (false, true));
    assert_eq!(store.variants(&shop(), "EUR", "ring").await.unwrap().len(), 3);
    // The platform sends it again.
    store.catalog().put_variants(&shop(), &variants, "ann", at(1)).await.unwrap();
    assert_eq!(store.catalog().variants_page(&shop(), None, None, 9).await.unwrap(), variants);
}

async fn what_no_cart_could_use_is_refused_and_nothing_changes(database: Database) {
    let store = open_with_shop(&database).await;
    let good = || variant("ring", "1", "A");
    let wrong: [(&str, CatalogVariant); 12] = [
        ("[1].id", good()),
        ("[1].product", CatalogVariant { product: String::new(), ..variant("", "2", "B") }),
        ("[1].title", CatalogVariant { title: "\0".into(), ..variant("ring", "2", "B") }),
        ("[1].sku", CatalogVariant { sku: "x".repeat(1001), ..variant("ring", "2", "B") }),
        ("[1].sku", variant("ring", "2", "B\nC")),
        ("[1].prices[0].currency", CatalogVariant { prices: vec![money(1, "eur")], ..variant("ring", "2", "B") }),
        (
            "[1].prices[1].currency",
            CatalogVariant { prices: vec![money(1, "EUR"), money(2, "EUR")], ..variant("ring", "2", "B") },
        ),
        ("[1].prices[0].minor", CatalogVariant { prices: vec![money(-1, "EUR")], ..variant("ring", "2", "B") }),
        (
            "[1].prices[0].scale",
            CatalogVariant { prices: vec![Money { scale: 10, ..money(1, "EUR") }], ..variant("ring", "2", "B") },
        ),
        ("[1].weight_grams", CatalogVariant { weight_grams: Some("1e3".into()), ..variant("ring", "2", "B") }),
        ("[1].minimum", CatalogVariant { minimum: 0, ..variant("ring", "2", "B") }),
        ("[1].maximum", CatalogVariant { maximum: Some(1), ..variant("ring", "2", "B") }),
    ];
    for (field, wrong) in wrong {
        let variants = [good(), wrong];
        for put in [
            store.catalog().put_variants(&shop(), &variants, "ann", at(0)).await,
            store.catalog().replace_catalog(&shop(), &variants, "ann", at(0)).await,
        ] {
            match put.unwrap_err() {
                CatalogError::Invalid(issues) => assert_eq!(issues[0].field, field),
                error => panic!("{field}: {error}"),
            }
        }
    }
    assert!(ids(&store).await.is_empty());
    let many: Vec<_> = (0..10_001).map(|number| variant("ring", &number.to_string(), "")).collect();
    assert!(matches!(store.catalog().put_variants(&shop(), &many, "ann", at(0)).await, Err(CatalogError::Invalid(_))));
}

async fn ten_thousand_variants_come_at_once_and_are_asked_for_at_once(database: Database) {
    let store = open_with_shop(&database).await;
    let many: Vec<_> = (0..10_000)
        .map(|number| variant(&format!("p{}", number / 50), &number.to_string(), &format!("SKU-{number}")))
        .collect();
    store.catalog().put_variants(&shop(), &many, "ann", at(0)).await.unwrap();
    store.catalog().put_variants(&shop(), &many, "ann", at(1)).await.unwrap();
    let queries: Vec<_> = (0..5_000).map(|number| query(&format!("sku-{}", number * 2), None, true)).collect();
    let answers = store.resolve(&shop(), "EUR", &queries).await.unwrap();
    assert!(
        answers
            .iter()
            .zip(&queries)
            .all(|(found, query)| found.len() == 1 && found[0].sku.eq_ignore_ascii_case(&query.sku))
    );
}

async fn a_catalog_is_replaced_whole(database: Database) {
    let store = open_with_shop(&database).await;
    store
        .catalog()
        .put_variants(&shop(), &[variant("ring", "1", "A"), variant("ring", "2", "B")], "ann", at(0))
        .await
        .unwrap();
    store
        .catalog()
        .replace_catalog(&shop(), &[variant("ring", "2", "B2"), variant("chain", "1", "C")], "ann", at(1))
        .await
        .unwrap();
    assert_eq!(ids(&store).await, ["chain/1:C", "ring/2:B2"]);
    store.catalog().replace_catalog(&shop(), &[], "ann", at(2)).await.unwrap();
    assert!(ids(&store).await.is_empty());
}

async fn a_catalog_is_looked_through_page_by_page(database: Database) {
    let store = open_with_shop(&database).await;
    let titled =
        |id: &str, title: &str| CatalogVariant { title: title.into(), ..variant("ring", id, &format!("S{id}")) };
    let pushed =
        [titled("1", "100% Gold"), titled("2", "gold_plated"), titled("3", "Größe 5"), titled("4", "back\\slash")];
    store.catalog().put_variants(&shop(), &pushed, "ann", at(0)).await.unwrap();
    let found = async |search: &str| -> Vec<String> {
        let page = store.catalog().variants_page(&shop(), Some(search), None, 10).await.unwrap();
        page.into_iter().map(|variant| variant.id).collect()
    };
    assert_eq!(found("GOLD").await, ["1", "2"]);
    assert_eq!(found("0%").await, ["1"]);
    assert_eq!(found("d_").await, ["2"]);
    assert_eq!(found("GRÖSSE").await, Vec::<String>::new());
    assert_eq!(found("GRÖßE").await, ["3"]);
    assert_eq!(found("k\\s").await, ["4"]);
    assert_eq!(found("s3").await, ["3"]);
    assert_eq!(found("").await.len(), 4);
    assert!(found("\0").await.is_empty() && found(&"x".repeat(100_000)).await.is_empty());
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = store.catalog().variants_page(&shop(), None, after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(key(&last.product, &last.id));
        listed.extend(page);
    }
    assert_eq!(listed, pushed);
}

async fn a_rate_is_set_and_taken_away(database: Database) {
    let store = open_with_shop(&database).await;
    let rate = async || store.exchange_rate(&shop(), "EUR", "CHF").await.unwrap();
    assert_eq!(rate().await, None);
    store.catalog().put_exchange_rate(&shop(), "EUR", "CHF", Some("0.95"), Expected::Any, "ann", at(0)).await.unwrap();
    store
        .catalog()
        .put_exchange_rate(&shop(), "EUR", "CHF", Some("0.9512"), Expected::Any, "ann", at(1))
        .await
        .unwrap();
    assert_eq!(rate().await.as_deref(), Some("0.9512"));
    let listed = ExchangeRate { from: "EUR".into(), to: "CHF".into(), rate: "0.9512".into() };
    assert_eq!(store.catalog().exchange_rates(&shop()).await.unwrap(), [listed]);
    for (from, to, rate) in [("eur", "CHF", "1"), ("EUR", "EUR", "1"), ("EUR", "CHF", "0"), ("EUR", "CHF", "1e3")] {
        let put = store.catalog().put_exchange_rate(&shop(), from, to, Some(rate), Expected::Any, "ann", at(2)).await;
        assert!(matches!(put, Err(CatalogError::Invalid(_))), "{from} {to} {rate}");
    }
    store.catalog().put_exchange_rate(&shop(), "EUR", "CHF", None, Expected::Any, "ann", at(3)).await.unwrap();
    assert_eq!(rate().await, None);
}

async fn a_catalog_belongs_to_a_shop_that_is_kept(database: Database) {
    let store = database.open().await;
    let put = store.catalog().put_variants(&shop(), &[variant("ring", "1", "A")], "ann", at(0)).await;
    assert!(matches!(put, Err(CatalogError::Store(StoreError::NotFound { what: "shop", .. }))), "{put:?}");
}

async fn the_log_says_what_changed_in_counts_and_prices(database: Database) {
    let store = open_with_shop(&database).await;
    let newest = async || {
        let entry = store.audit().entries(Some(&shop()), None, 1).await.unwrap().remove(0);
        assert_eq!(entry.actor, "ann");
        (entry.action, entry.before.unwrap_or_default(), entry.after.unwrap_or_default())
    };
    let first = [variant("ring", "1", "A"), variant("ring", "2", "B")];
    store.catalog().put_variants(&shop(), &first, "ann", at(0)).await.unwrap();
    let (what, before, after) = newest().await;
    assert_eq!((what.as_str(), &before), ("put-variants", &json!({ "prices": {} })));
    assert_eq!((&after["added"], &after["changed"], &after["removed"]), (&json!(2), &json!(0), &json!(0)));
    let dearer = CatalogVariant { prices: vec![money(1300, "EUR"), money(1990, "CHF")], ..variant("ring", "1", "A") };
    let instead = variant("ring", "3", "B");
    store.catalog().replace_catalog(&shop(), &[dearer.clone(), instead.clone()], "ann", at(1)).await.unwrap();
    let (_, before, after) = newest().await;
    assert_eq!((&after["added"], &after["changed"], &after["removed"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(before["prices"][r#""ring" "1" EUR"#]["minor"], 1250);
    assert_eq!(after["prices"][r#""ring" "1" EUR"#]["minor"], 1300);
    assert_eq!(
        (&before["prices"][r#""ring" "1" CHF"#], &after["prices"][r#""ring" "2" EUR"#]),
        (&json!(null), &json!(null))
    );
    // Products and ids with blanks are distinct.
    let blanks = [variant("a b", "c", ""), variant("a", "b c", "")];
    store.catalog().put_variants(&shop(), &blanks, "ann", at(1)).await.unwrap();
    assert_eq!(newest().await.2["prices"].as_object().unwrap().len(), 4);
    store.catalog().remove_variants(&shop(), &[key("a b", "c"), key("a", "b c")], "ann", at(1)).await.unwrap();
    let entries = async || store.audit().entries(Some(&shop()), None, 100).await.unwrap().len();
    let so_far = entries().await;
    store.catalog().put_variants(&shop(), std::slice::from_ref(&dearer), "ann", at(2)).await.unwrap();
    store.catalog().replace_catalog(&shop(), &[dearer.clone(), instead], "ann", at(2)).await.unwrap();
    store.catalog().remove_variants(&shop(), &[key("chain", "1")], "ann", at(2)).await.unwrap();
    assert_eq!(entries().await, so_far, "what changes nothing is no change");
    let many: Vec<CatalogVariant> = (0..300).map(|id| variant("chain", &id.to_string(), "")).collect();
    store.catalog().replace_catalog(&shop(), &many, "ann", at(3)).await.unwrap();
    let (what, before, after) = newest().await;
    assert_eq!((what.as_str(), &after["added"], &after["removed"]), ("replace-catalog", &json!(300), &json!(2)));
    let price_count = before["prices"].as_object().unwrap().len() + after["prices"].as_object().unwrap().len();
    assert_eq!((price_count, &after["prices_not_named"]), (100, &json!(504)));
    store.catalog().remove_variants(&shop(), &[key("chain", "1"), key("chain", "2")], "ann", at(4)).await.unwrap();
    let (what, before, after) = newest().await;
    assert_eq!((what.as_str(), &after["removed"]), ("remove-variants", &json!(2)));
    assert_eq!(before["prices"][r#""chain" "1" CHF"#]["minor"], 1990);
    for (rate, before, after) in [
        (Some("0.95"), json!(null), json!({ "rate": "0.95" })),
        (Some("0.96"), json!({ "rate": "0.95" }), json!({ "rate": "0.96" })),
        (None, json!({ "rate": "0.96" }), json!(null)),
    ] {
        store.catalog().put_exchange_rate(&shop(), "EUR", "CHF", rate, Expected::Any, "ann", at(5)).await.unwrap();
        assert_eq!(newest().await, ("set-exchange-rate".to_owned(), before, after));
    }
}
