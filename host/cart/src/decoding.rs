//! Checks and fingerprints of a configuration's items.

use cartwright_contract::articles::check_tree;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{BytesSource, FieldIssue, Item};
use cartwright_contract::text::{self, MAX_SHOWN_CHARS, parse_timestamp};

use crate::articles::add_up;
use crate::budget::{Budget, MAX_LINE_QUANTITY, MAX_NAMED_JSON_BYTES};
use crate::canonical::NotCanonical;
use crate::error::{CartError, issue};
use crate::identity::fingerprints;
use crate::money;
use crate::tree::{Descendant, ItemTree, item_tree};

/// Returns the fingerprint of each item, and the descendants of each root.
pub fn fingerprint_items(items: &[Item]) -> Result<(Vec<Digest>, Vec<Vec<Descendant>>), CartError> {
    let tree: ItemTree = item_tree(items)?;
    let ambiguous = |(index, error): (usize, NotCanonical)| {
        CartError::Configuration(issue(&format!("[{index}]"), "state-ambiguous", format!("the state: {error}")))
    };
    Ok((fingerprints(items, &tree).map_err(ambiguous)?, tree.descendants))
}

/// Checks the quantity and the bill of materials of an item, and adds up its equal articles.
///
/// # Errors
/// Returns an error for a quantity that is not allowed, for an article whose quantity is not a number or that is not a
/// part of one before it, and for a bill of materials that is nested too deep.
pub fn check_quantities(index: usize, item: &mut Item) -> Result<(), CartError> {
    let wrong = |field: &str, key: &str, text: String| {
        CartError::Configuration(issue(&format!("[{index}].{field}"), key, text))
    };
    if item.parent.is_none() && item.quantity != 1 {
        let text =
            format!("it is {}; a product at the top has the quantity 1, and the shopper says how many", item.quantity);
        return Err(wrong("quantity", "quantity-of-root", text));
    }
    if !(1..=MAX_LINE_QUANTITY).contains(&item.quantity) {
        let text = format!("it is {}; use 1 to {MAX_LINE_QUANTITY}", item.quantity);
        return Err(wrong("quantity", "quantity-out-of-range", text));
    }
    for (number, article) in item.articles.iter_mut().enumerate() {
        if money::decimal(&article.quantity).is_err() {
            let text = "it is not a decimal number such as \"1.5\"".to_owned();
            return Err(wrong(&format!("articles[{number}].quantity"), "quantity-not-decimal", text));
        }
        article.title = article.title.take().map(|title| text::sanitize(&title, MAX_SHOWN_CHARS).text);
    }
    let depth = check_tree(&item.articles)
        .map_err(|(number, fault)| wrong(&format!("articles[{number}]"), "article-misplaced", fault.to_string()))?;
    Budget::ArticleDepth.check(depth)?;
    item.articles = add_up(std::mem::take(&mut item.articles))?;
    Ok(())
}

/// Checks what only a fault of the plugin can make wrong: the times until which the vendor keeps the items, and files that
/// the call was not given.
///
/// # Errors
/// Returns an error for the plugin's author.
pub fn check_contract(items: &[Item]) -> Result<(), String> {
    let files = items.iter().flat_map(|item| &item.attributes).filter_map(|attribute| attribute.file.as_ref());
    for file in files {
        if let BytesSource::Stored(digest) = file {
            return Err(format!("the file of an attribute is the blob {digest:?}, which the call did not receive"));
        }
    }
    match items.iter().filter_map(|item| item.valid_until.as_ref()).find(|until| parse_timestamp(until).is_none()) {
        Some(until) => Err(format!(
            "`valid-until` of an item is {until:?}, which is not a timestamp such as \"2026-03-01T09:30:00Z\""
        )),
        None => Ok(()),
    }
}

/// Returns the size of what the fingerprints of items are computed from beside their names, in bytes.
pub fn hashed_bytes(items: &[Item]) -> usize {
    let file = |file: &BytesSource| match file {
        BytesSource::Bytes(bytes) => bytes.len(),
        BytesSource::Stored(_) => 0,
    };
    let files =
        |item: &Item| item.attributes.iter().filter_map(|attribute| attribute.file.as_ref()).map(file).sum::<usize>();
    items.iter().map(|item| item.state.len() + files(item)).sum()
}

/// Refuses an item if a name of the item or of one of its parts could not be stored unchanged.
pub fn check_names(index: usize, item: &Item) -> Result<(), FieldIssue> {
    let path = |field: &str| format!("[{index}].{field}");
    let name = |field: &dyn Fn() -> String, text: &str| {
        text::check_name(text)
            .map_err(|error| issue(&field(), "name-unusable", format!("this name cannot be used: {error}")))
    };
    let names = [
        ("vendor-product", Some(&item.vendor_product)),
        ("id", item.id.as_ref()),
        ("parent", item.parent.as_ref()),
        ("sku", item.sku.as_ref()),
        ("saved-id", item.saved_id.as_ref()),
    ];
    for (field, text) in names {
        text.map_or(Ok(()), |text| name(&|| path(field), text))?;
    }
    for (number, article) in item.articles.iter().enumerate() {
        let field_path = |field: &str| path(&format!("articles[{number}].{field}"));
        let names = [
            ("sku", Some(&article.sku)),
            ("price-sku", article.price_sku.as_ref()),
            ("material-sku", article.material_sku.as_ref()),
            ("quantity", Some(&article.quantity)),
            ("unit", article.unit.as_ref()),
        ];
        for (field, text) in names {
            text.map_or(Ok(()), |text| name(&|| field_path(field), text))?;
        }
        for extra in &article.extra {
            name(&|| field_path("extra"), &extra.name)?;
            if extra.json.len() > MAX_NAMED_JSON_BYTES || extra.json.contains('\0') {
                let text = format!("{:?} is not JSON text of at most {MAX_NAMED_JSON_BYTES} bytes", extra.name);
                return Err(issue(&field_path("extra"), "extra-unusable", text));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cartwright_contract::records::{Article, Attribute, ChoiceKind};

    use super::*;
    use crate::tests::{article, item};

    fn fault(mut item: Item) -> (String, String) {
        match check_quantities(3, &mut item) {
            Err(CartError::Configuration(issue)) => (issue.field, issue.message.key),
            other => panic!("{other:?}"),
        }
    }

    fn child(quantity: u32) -> Item {
        Item { parent: Some("table".into()), quantity, ..item("") }
    }

    fn with(articles: Vec<Article>) -> Item {
        Item { articles, ..item("") }
    }

    fn part(parent: u32) -> Article {
        Article { price_sku: None, parent: Some(parent), ..article("PART", "2") }
    }

    #[test]
    fn a_root_stands_for_one_and_a_child_for_one_or_more() {
        let at = |key: &str| ("[3].quantity".to_owned(), key.to_owned());
        assert_eq!(fault(Item { quantity: 2, ..item("") }), at("quantity-of-root"));
        assert_eq!(fault(Item { quantity: 0, ..item("") }), at("quantity-of-root"));
        assert_eq!(fault(child(0)), at("quantity-out-of-range"));
        assert_eq!(fault(child(1_000_001)), at("quantity-out-of-range"));
        check_quantities(3, &mut child(1_000_000)).unwrap();
    }

    #[test]
    fn a_nested_article_is_part_of_one_before_it_and_has_no_price_sku() {
        let at = |field: &str, key: &str| (format!("[3].articles{field}"), key.to_owned());
        assert_eq!(fault(with(vec![part(0)])), at("[0]", "article-misplaced"));
        assert_eq!(fault(with(vec![article("A", "1"), part(1)])), at("[1]", "article-misplaced"));
        let priced = Article { parent: Some(0), ..article("B", "1") };
        assert_eq!(fault(with(vec![article("A", "1"), priced])), at("[1]", "article-misplaced"));
        assert_eq!(fault(with(vec![article("A", "some")])), at("[0].quantity", "quantity-not-decimal"));
        check_quantities(3, &mut with(vec![article("A", "1"), part(0), part(1)])).unwrap();
    }

    #[test]
    fn a_bill_of_materials_that_is_nested_too_deep_is_refused_with_the_limit() {
        let chain = |depth: u32| with(std::iter::once(article("A", "1")).chain((0..depth - 1).map(part)).collect());
        check_quantities(0, &mut chain(32)).unwrap();
        let error = check_quantities(0, &mut chain(33)).unwrap_err().to_string();
        assert!(error.contains("limit article_depth"), "{error}");
    }

    #[test]
    fn equal_articles_of_an_item_are_added_up() {
        let mut item = with(vec![article("A", "1.5"), article("B", "1"), article("A", "1.50")]);
        check_quantities(0, &mut item).unwrap();
        let sums: Vec<_> =
            item.articles.iter().map(|article| (article.sku.as_str(), article.quantity.as_str())).collect();
        assert_eq!(sums, [("A", "3"), ("B", "1")]);
    }

    #[test]
    fn a_file_that_the_call_did_not_receive_is_the_authors_to_mend() {
        let of = |file: BytesSource| {
            let attribute = Attribute {
                id: "1".into(),
                name: "Logo".into(),
                value: "a.png".into(),
                value_id: None,
                key: None,
                hidden: false,
                kind: ChoiceKind::File,
                group: None,
                file: Some(file),
                extra: vec![],
            };
            Item { attributes: vec![attribute], ..item("{}") }
        };
        let inline = of(BytesSource::Bytes(vec![0; 10]));
        let inline = [inline];
        assert_eq!((check_contract(&inline), hashed_bytes(&inline)), (Ok(()), 12));
        let stored = of(BytesSource::Stored("abc".into()));
        assert!(check_contract(&[stored]).unwrap_err().contains("did not receive"));
    }

    #[test]
    fn a_time_that_is_none_is_the_authors_to_mend() {
        let until = |until: &str| check_contract(&[Item { valid_until: Some(until.into()), ..item("") }]);
        assert_eq!(until("2026-03-01T09:30:00Z"), Ok(()));
        assert!(until("2026-03-01").unwrap_err().contains("valid-until"));
    }
}
