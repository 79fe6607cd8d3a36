//! The cost of a request is linear in the length of each of its lists.

use std::collections::HashMap;

use cartwright_contract::records::{Article, Attribute, BundleChild, ChoiceKind, Item, PriceSource, Rounding};
use cartwright_test_growth::assert_linear;

use super::{Counter, article, child, item, money, sealed, shop, variant};
use crate::articles::add_up;
use crate::canonical::canonical;
use crate::change::CartOperation;
use crate::identity::fingerprints;
use crate::index::{CartIndex, RemovedParts, drop_unchanged};
use crate::line::CartLine;
use crate::placement::Placement;
use crate::tree::item_tree;

fn nulls(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|number| format!("\"{number:x}\":null")).collect();
    format!("{{{}}}", members.join(","))
}

/// Returns a chain of items, each the parent of the next, with a state each.
fn chain(count: usize) -> Vec<Item> {
    let state = format!("[{}]", vec!["1"; 50].join(","));
    let named = |number: usize| Item {
        id: Some(number.to_string()),
        parent: number.checked_sub(1).map(|parent| parent.to_string()),
        articles: (0..10).map(|part| article(&format!("{number}-{part}"), "1")).collect(),
        ..item(&state)
    };
    (0..count).map(named).collect()
}

#[test]
fn states_cost_no_more_than_their_length() {
    assert_linear("members that are null", 8_000, nulls, |text| drop(canonical(text).unwrap()));
    let unsorted = |count: usize| {
        format!("{{{}}}", (0..count).rev().map(|number| format!("\"{number:06}\":[]")).collect::<Vec<_>>().join(","))
    };
    assert_linear("members", 8_000, unsorted, |text| drop(canonical(text).unwrap()));
    let numbers = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert_linear("numbers", 16_000, numbers, |text| drop(canonical(text).unwrap()));
    let digits = |count: usize| "9".repeat(count);
    assert_linear("digits of one number", 40_000, digits, |text| drop(canonical(text).unwrap()));
    let escapes = |count: usize| format!("\"{}\"", "\\ud83d".repeat(count));
    assert_linear("escapes", 16_000, escapes, |text| drop(canonical(text).unwrap()));
    let nested = |count: usize| {
        let one = format!("{}1{}", "{\"b\":".repeat(90), ",\"a\":1}".repeat(90));
        format!("[{}]", vec![one; count].join(","))
    };
    assert_linear("deep objects", 40, nested, |text| drop(canonical(text).unwrap()));
}

#[test]
fn a_chain_of_items_costs_no_more_than_its_length() {
    let fingerprint = |items: &Vec<Item>| drop(fingerprints(items, &item_tree(items).unwrap()).unwrap());
    assert_linear("items in a chain", 400, chain, fingerprint);
    let backwards = |count| {
        let mut items = chain(count);
        items.reverse();
        items
    };
    assert_linear("items in a chain, children first", 400, backwards, fingerprint);
}

#[test]
fn attributes_cost_no_more_than_their_number() {
    let counter = |count: usize| {
        let attribute = |number: usize| Attribute {
            id: number.to_string(),
            name: "Text".into(),
            value: "Anna".into(),
            value_id: None,
            key: None,
            hidden: false,
            kind: ChoiceKind::Text,
            group: None,
            file: None,
            extra: vec![],
        };
        let mut counter = Counter::with(vec![Item { attributes: (0..count).map(attribute).collect(), ..item("") }]);
        counter.variants = vec![variant("RING", money(900, 2))];
        counter
    };
    let sell = |counter: &Counter| {
        fingerprints(&counter.items, &item_tree(&counter.items).unwrap()).unwrap();
        let mut line = counter.sell_line(1, PriceSource::Platform, &[]).unwrap();
        line.sanitize_texts(&mut Vec::new()).unwrap();
        line.seal(&shop()).unwrap();
        assert_eq!(line.shown.len(), counter.items[0].attributes.len());
    };
    assert_linear("attributes", 2_000, counter, sell);
}

#[test]
fn bills_of_materials_cost_no_more_than_their_length() {
    let counter = |count| {
        let mut counter = Counter::with(chain(count));
        counter.variants = vec![variant("RING", money(900, 2))];
        counter
    };
    let sell = |counter: &Counter| {
        let line = counter.sell_line(1, PriceSource::Platform, &[]).unwrap();
        assert_eq!(line.bill_of_materials.len(), counter.items.len() * 10);
    };
    assert_linear("articles", 400, counter, sell);
    let priced = |count| {
        let mut counter = counter(count);
        counter.price_from = PriceSource::Components;
        let articles = counter.items.iter().flat_map(|item| &item.articles);
        counter.variants.extend(articles.map(|article| variant(&article.sku, money(1, 3))).collect::<Vec<_>>());
        counter
    };
    let sell = |counter: &Counter| drop(counter.sell_line(1, PriceSource::Components, &[]).unwrap());
    assert_linear("priced articles", 200, priced, sell);
    // Two equal trees: each article is a part of the one before it, and has a part by itself.
    let nested = |count: usize| -> Vec<Article> {
        let tree = (0..count).flat_map(|at| {
            let parent = at.checked_sub(1).and_then(|above| u32::try_from(2 * above).ok());
            let own = u32::try_from(2 * at).ok();
            [Article { parent, ..article("A", "1") }, Article { parent: own, ..article("B", "1") }]
        });
        let tree: Vec<Article> = tree.collect();
        let shifted = tree.iter().map(|article| Article {
            parent: article.parent.map(|parent| parent + u32::try_from(2 * count).unwrap()),
            ..article.clone()
        });
        let shifted: Vec<Article> = shifted.collect();
        [tree, shifted].concat()
    };
    let add = |articles: &Vec<Article>| assert_eq!(add_up(articles.clone()).unwrap().len(), articles.len() / 2);
    assert_linear("nested articles", 500, nested, add);
}

#[test]
fn the_work_of_a_bundle_grows_linearly_with_its_parts_and_removed_parts() {
    let bundle = |count: usize| {
        let mut counter = Counter::new(2, Rounding::HalfUp);
        counter.price_from = PriceSource::Components;
        let skus: Vec<String> = (0..count).map(|number| format!("PART-{number}")).collect();
        counter.items[0].articles = skus.iter().map(|sku| article(sku, "1")).collect();
        counter.variants = skus.iter().map(|sku| variant(sku, money(7, 3))).collect();
        counter.variants.push(variant("RING", money(900, 2)));
        let children: Vec<BundleChild> = skus.iter().map(|sku| child(sku, 1, false)).collect();
        let bundle = counter.sell_bundle(1, PriceSource::Components, children.clone()).unwrap();
        let out = bundle.iter().skip(2).filter_map(|line| line.part).collect();
        counter.removed_parts = RemovedParts(HashMap::from([(Some(0), out)]));
        (counter, children)
    };
    let sell = |(counter, children): &(Counter, Vec<BundleChild>)| {
        let rest = counter.sell_bundle(1, PriceSource::Components, children.clone()).unwrap();
        assert_eq!((rest.len(), rest[0].bill_of_materials.len()), (2, 1));
    };
    assert_linear("parts", 500, bundle, sell);
}

#[test]
fn carts_cost_no_more_than_their_lines() {
    let lines = |count: usize| {
        let line = sealed(0, "Anna");
        let numbered = |number: usize| {
            let item_id = number.is_multiple_of(2).then(|| number.to_string());
            CartLine { key: format!("{number:064}"), item: u32::try_from(number).ok(), item_id, ..line.clone() }
        };
        (0..count).map(numbered).collect::<Vec<CartLine>>()
    };
    let drop_all_unchanged = |lines: &Vec<CartLine>| {
        let cart = CartIndex::new(lines).unwrap();
        let replace = |line: &CartLine| CartOperation::Replace { key: line.key.clone(), lines: vec![line.clone()] };
        assert_eq!(drop_unchanged(lines.iter().map(replace).collect(), &cart), []);
    };
    assert_linear("lines that are replaced", 1_000, lines, drop_all_unchanged);
    let edited = |count: usize| {
        let lines = lines(count);
        let root = |line: &CartLine| Item { id: line.item_id.clone(), ..item("") };
        let items: Vec<Item> = lines.iter().map(root).collect();
        // Every item has changed its position.
        let families: Vec<Vec<CartLine>> = (0..count)
            .map(|at| {
                let key = lines[(at + 1) % count].key.clone();
                vec![CartLine { item: u32::try_from(at).ok(), key, ..lines[at].clone() }]
            })
            .collect();
        (lines, items, families)
    };
    let place = |(lines, items, families): &(Vec<CartLine>, Vec<Item>, Vec<Vec<CartLine>>)| {
        let (moves, gone) = Placement::of(&lines[0], 1, items, lines).moves(families.clone());
        assert!(moves.iter().all(|moved| moved.replaces.as_ref() == Some(&moved.lines[0].key)) && gone.is_empty());
    };
    assert_linear("lines that are edited together", 600, edited, place);
    let family = |count: usize| {
        let mut lines = lines(count);
        let key = lines[0].key.clone();
        lines.iter_mut().skip(1).for_each(|line| line.parent = Some(key.clone()));
        lines
    };
    let check = |lines: &Vec<CartLine>| {
        let cart = CartIndex::new(lines).unwrap();
        assert_eq!((cart.family(&lines[0]).len(), cart.keys(&lines[0].key).len()), (lines.len(), lines.len()));
    };
    assert_linear("children of a bundle", 1_000, family, check);
}
