//! Bills of materials: the sum of equal articles, the bill of materials of an item with everything below it, and what a
//! fingerprint covers of it.
//!
//! An article may be a part of one before it, so a list of articles is a tree in which parents come first.

use std::collections::HashMap;

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Article, Item, NamedJson};
use cartwright_contract::text::is_decimal;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::canonical::{NotCanonical, digest};
use crate::error::{CartError, issue};
use crate::money;
use crate::tree::Descendant;

/// An article as a fingerprint covers it: SKU, quantity, price SKU, material SKU, unit, the vendor's further data, and
/// the digests of its parts, sorted.
pub(crate) type ArticleInput<'a> =
    (&'a str, String, Option<&'a str>, Option<&'a str>, Option<&'a str>, Vec<(&'a str, &'a str)>, Vec<Digest>);

/// The members of an article apart from its title, its quantity and its parent.
#[derive(PartialEq, Eq, Hash, Serialize)]
struct ArticleKey<'a> {
    sku: &'a str,
    unit: Option<&'a str>,
    price_sku: Option<&'a str>,
    price: Option<(i64, u8, &'a str)>,
    material_sku: Option<&'a str>,
    extra: Vec<(&'a str, &'a str)>,
}

impl<'a> ArticleKey<'a> {
    fn of(article: &'a Article) -> Self {
        // Every member is listed, so that a new one is not forgotten.
        let Article { sku, title: _, quantity: _, unit, price_sku, price, material_sku, parent: _, extra } = article;
        Self {
            sku,
            unit: unit.as_deref(),
            price_sku: price_sku.as_deref(),
            price: price.as_ref().map(|price| (price.minor, price.scale, price.currency.as_str())),
            material_sku: material_sku.as_deref(),
            extra: named_json(extra),
        }
    }
}

/// Returns named JSON values sorted by name: their order in a list `extra` means nothing.
fn named_json(extra: &[NamedJson]) -> Vec<(&str, &str)> {
    let mut values: Vec<_> = extra.iter().map(|value| (value.name.as_str(), value.json.as_str())).collect();
    values.sort_unstable();
    values
}

/// Returns the articles at the top as a fingerprint covers them, sorted.
pub(crate) fn fingerprint_inputs(articles: &[Article]) -> Result<Vec<ArticleInput<'_>>, NotCanonical> {
    let mut parts: Vec<Vec<Digest>> = vec![Vec::new(); articles.len()];
    let mut top = Vec::new();
    // The parts of an article come after it.
    for (index, article) in articles.iter().enumerate().rev() {
        let mut own_parts = parts.get_mut(index).map(std::mem::take).unwrap_or_default();
        own_parts.sort_unstable();
        let input: ArticleInput<'_> = (
            &article.sku,
            canonical_quantity(&article.quantity),
            article.price_sku.as_deref(),
            article.material_sku.as_deref(),
            article.unit.as_deref(),
            named_json(&article.extra),
            own_parts,
        );
        match article.parent.and_then(|parent| parts.get_mut(parent as usize)) {
            Some(parts) => parts.push(digest(&input)?),
            None => top.push(input),
        }
    }
    top.sort_unstable();
    Ok(top)
}

/// Returns a quantity in the form in which equal numbers are equal texts.
fn canonical_quantity(quantity: &str) -> String {
    money::decimal(quantity).map_or_else(|_| quantity.to_owned(), |quantity| quantity.normalize().to_string())
}

/// Adds up articles that differ only in their title and quantity, in the order of their first occurrence. An article
/// with parts equals another only if their parts are equal, too. Quantities whose sum has too many digits stay apart.
#[allow(
    clippy::indexing_slicing,
    reason = "every index is a position of `articles`, and every list has an entry for each of them"
)]
pub(crate) fn add_up(articles: Vec<Article>) -> Result<Vec<Article>, NotCanonical> {
    if articles.len() < 2 {
        return Ok(articles);
    }
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); articles.len()];
    let mut top = Vec::new();
    for (index, article) in articles.iter().enumerate() {
        match article.parent.and_then(|parent| below.get_mut(parent as usize)) {
            Some(siblings) => siblings.push(index),
            None => top.push(index),
        }
    }
    let mut quantities: Vec<String> = articles.iter().map(|article| article.quantity.clone()).collect();
    let mut is_merged = vec![false; articles.len()];
    // The digests of each article's parts, sorted; known before the article itself is compared.
    let mut parts: Vec<Vec<Digest>> = vec![Vec::new(); articles.len()];
    for (index, siblings) in below.into_iter().enumerate().rev() {
        let kept = merge(&articles, &siblings, &parts, &mut quantities, &mut is_merged);
        let mut digests = Vec::with_capacity(kept.len());
        for sibling in kept {
            let quantity = canonical_quantity(&quantities[sibling]);
            digests.push(digest(&(ArticleKey::of(&articles[sibling]), quantity, &parts[sibling]))?);
        }
        digests.sort_unstable();
        parts[index] = digests;
    }
    merge(&articles, &top, &parts, &mut quantities, &mut is_merged);
    let mut sums = Vec::with_capacity(articles.len());
    let mut places: Vec<Option<u32>> = Vec::with_capacity(articles.len());
    for ((article, quantity), is_merged) in articles.into_iter().zip(quantities).zip(is_merged) {
        // What is part of a merged article is merged with it.
        let parent = article.parent.map(|parent| places.get(parent as usize).copied().flatten());
        if is_merged || parent == Some(None) {
            places.push(None);
            continue;
        }
        places.push(u32::try_from(sums.len()).ok());
        sums.push(Article { quantity, parent: parent.flatten(), ..article });
    }
    Ok(sums)
}

/// Adds up equal articles among those with one parent. Returns the indexes of those that stay.
#[allow(clippy::indexing_slicing, reason = "every index is a position of `articles`")]
fn merge(
    articles: &[Article],
    siblings: &[usize],
    parts: &[Vec<Digest>],
    quantities: &mut [String],
    is_merged: &mut [bool],
) -> Vec<usize> {
    let mut first: HashMap<(ArticleKey<'_>, &[Digest]), usize> = HashMap::with_capacity(siblings.len());
    let mut kept = Vec::with_capacity(siblings.len());
    for index in siblings.iter().copied() {
        let key = (ArticleKey::of(&articles[index]), parts[index].as_slice());
        let place = *first.entry(key).or_insert(index);
        if place != index
            && let Some(total) = sum(&quantities[place], &quantities[index])
        {
            quantities[place] = total;
            is_merged[index] = true;
        } else {
            kept.push(index);
        }
    }
    kept
}

/// Adds two quantities. Returns `None` if one is not a number, or if the sum has too many digits.
fn sum(a: &str, b: &str) -> Option<String> {
    let (a, b) = (money::decimal(a).ok()?.normalize(), money::decimal(b).ok()?.normalize());
    exact_text(a.checked_add(b)?, a.scale().max(b.scale()))
}

/// Returns a result as text. Returns `None` if it is not a `decimal` of the contract, or if it was rounded: a result of
/// more digits than a `Decimal` holds has fewer decimals than the exact one.
fn exact_text(result: Decimal, scale: u32) -> Option<String> {
    let text = result.normalize().to_string();
    (result.scale() == scale && is_decimal(&text)).then_some(text)
}

/// Returns the bill of materials of one piece of an item with everything below it, each item as many times as one piece
/// takes it.
///
/// # Errors
/// Returns an error if a quantity becomes too large.
pub(crate) fn materials(items: &[Item], descendants: &[Descendant]) -> Result<Vec<Article>, CartError> {
    // The articles of one item were added up when it was decoded.
    if let [only] = descendants {
        return Ok(items.get(only.index).map_or_else(Vec::new, |item| item.articles.clone()));
    }
    let mut all: Vec<Article> = Vec::new();
    for Descendant { index, count } in descendants {
        let first = u32::try_from(all.len()).unwrap_or(u32::MAX);
        for (number, article) in items.get(*index).into_iter().flat_map(|item| &item.articles).enumerate() {
            let mut article = article.clone();
            match &mut article.parent {
                // A part's quantity is for one piece of its parent.
                Some(parent) => *parent = parent.saturating_add(first),
                None if *count > 1 => {
                    article.quantity = times(&article.quantity, *count).ok_or_else(|| {
                        let field = format!("[{index}].articles[{number}].quantity");
                        let text = format!("{} pieces of the product take too much of this article", *count);
                        CartError::Configuration(issue(&field, "quantity-too-large", text))
                    })?;
                }
                None => {}
            }
            all.push(article);
        }
    }
    Ok(add_up(all)?)
}

fn times(quantity: &str, count: u32) -> Option<String> {
    let quantity = money::decimal(quantity).ok()?.normalize();
    exact_text(quantity.checked_mul(count.into())?, quantity.scale())
}

/// Removes articles, each with its parts.
pub(crate) fn retain(articles: &mut Vec<Article>, is_kept: impl Fn(&Article) -> bool) {
    let mut places: Vec<Option<u32>> = Vec::with_capacity(articles.len());
    let mut kept = 0;
    articles.retain_mut(|article| {
        let parent = article.parent.map(|parent| places.get(parent as usize).copied().flatten());
        if parent == Some(None) || !is_kept(article) {
            places.push(None);
            return false;
        }
        article.parent = parent.flatten();
        places.push(Some(kept));
        kept += 1;
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(sku: &str, quantity: &str, parent: Option<u32>) -> Article {
        Article {
            sku: sku.into(),
            title: None,
            quantity: quantity.into(),
            unit: None,
            price_sku: None,
            price: None,
            material_sku: None,
            parent,
            extra: vec![],
        }
    }

    /// Returns SKU, quantity and parent of each article.
    fn listed(articles: &[Article]) -> Vec<(&str, &str, Option<u32>)> {
        articles.iter().map(|article| (article.sku.as_str(), article.quantity.as_str(), article.parent)).collect()
    }

    #[test]
    fn quantities_are_added_and_multiplied_exactly_or_not_at_all() {
        assert_eq!(sum("1.50", "0"), Some("1.5".to_owned()));
        assert_eq!(sum("0.5", "-0.5"), Some("0".to_owned()));
        assert_eq!(sum("10000000000000000000000000", "0.0001"), None, "it has 30 digits");
        assert_eq!(times("0.3", 4), Some("1.2".to_owned()));
        assert_eq!(times("0.00", 4), Some("0".to_owned()));
        assert_eq!(times("0.333333333333333333333333333", 31), None, "it has 29 digits");
    }

    #[test]
    fn articles_that_differ_only_in_title_and_quantity_are_added_up() {
        let titled = Article { title: Some("Panel".into()), ..article("A", "1.50", None) };
        let metres = Article { unit: Some("MTR".into()), ..article("A", "1", None) };
        let oak = Article { material_sku: Some("OAK".into()), ..article("A", "1", None) };
        let priced = Article { price_sku: Some("P".into()), ..article("A", "1", None) };
        let long = NamedJson { name: "vendor/length".into(), json: "600".into() };
        let long = Article { extra: vec![long], ..article("A", "1", None) };
        let all = vec![titled, metres.clone(), article("A", "1", None), oak, priced, long, metres];
        let sums = add_up(all).unwrap();
        assert_eq!(
            listed(&sums),
            [("A", "2.5", None), ("A", "2", None), ("A", "1", None), ("A", "1", None), ("A", "1", None)]
        );
        assert_eq!((sums[0].title.as_deref(), sums[1].unit.as_deref()), (Some("Panel"), Some("MTR")));
    }

    #[test]
    fn an_assembly_is_added_up_with_one_of_the_same_parts_only() {
        let assembly = |screws: &str, at: u32| {
            vec![article("DOOR", "1", None), article("SCREW", screws, Some(at)), article("PLATE", "1", Some(at))]
        };
        let same = add_up([assembly("4", 0), assembly("4.0", 3)].concat()).unwrap();
        assert_eq!(listed(&same), [("DOOR", "2", None), ("SCREW", "4", Some(0)), ("PLATE", "1", Some(0))]);
        let other = [assembly("4", 0), assembly("5", 3)].concat();
        assert_eq!(listed(&add_up(other.clone()).unwrap()), listed(&other));
        // Parts of one parent are added up before it is compared.
        let mut split = assembly("4", 0);
        split.extend([article("DOOR", "1", None), article("PLATE", "1", Some(3))]);
        split.extend([article("SCREW", "2", Some(3)), article("SCREW", "2", Some(3))]);
        assert_eq!(listed(&add_up(split).unwrap()), listed(&same));
        let after =
            [assembly("4", 0), assembly("4", 3), vec![article("RAIL", "1", None), article("NUT", "2", Some(6))]];
        assert_eq!(listed(&add_up(after.concat()).unwrap())[3..], [("RAIL", "1", None), ("NUT", "2", Some(3))]);
    }

    #[test]
    fn a_removed_article_takes_its_parts_along() {
        let mut articles = vec![
            article("DOOR", "1", None),
            article("HINGE", "2", Some(0)),
            article("SCREW", "4", Some(1)),
            article("RAIL", "1", None),
            article("NUT", "2", Some(3)),
        ];
        retain(&mut articles, |article| article.sku != "HINGE");
        assert_eq!(listed(&articles), [("DOOR", "1", None), ("RAIL", "1", None), ("NUT", "2", Some(1))]);
    }

    #[test]
    fn the_order_of_further_data_means_nothing() {
        let extra = |names: [&str; 2]| {
            let named = |name: &str| NamedJson { name: name.into(), json: "600".into() };
            Article { extra: names.map(named).to_vec(), ..article("A", "1", None) }
        };
        let both = vec![extra(["length", "width"]), extra(["width", "length"])];
        let inputs = |articles: &[Article]| serde_json::to_string(&fingerprint_inputs(articles).unwrap()).unwrap();
        assert_eq!(inputs(&both[..1]), inputs(&both[1..]));
        assert_eq!(listed(&add_up(both).unwrap()), [("A", "2", None)]);
    }

    #[test]
    fn the_order_of_articles_means_nothing_and_what_they_are_parts_of_does() {
        let inputs = |articles: &[Article]| serde_json::to_string(&fingerprint_inputs(articles).unwrap()).unwrap();
        let nested = [article("A", "1", None), article("B", "2", None), article("C", "3", Some(0))];
        let moved = [article("B", "2.0", None), article("A", "1", None), article("C", "3", Some(1))];
        assert_eq!(inputs(&nested), inputs(&moved));
        let elsewhere = [article("A", "1", None), article("B", "2", None), article("C", "3", Some(1))];
        assert_ne!(inputs(&nested), inputs(&elsewhere));
        let beside = [article("A", "1", None), article("B", "2", None), article("C", "3", None)];
        assert_ne!(inputs(&nested), inputs(&beside));
        let unit = [Article { unit: Some("MTR".into()), ..article("A", "1", None) }];
        assert_ne!(inputs(&unit), inputs(&[article("A", "1", None)]));
        let titled = [Article { title: Some("Panel".into()), ..article("A", "1", None) }];
        assert_eq!(inputs(&titled), inputs(&[article("A", "1", None)]));
    }
}
