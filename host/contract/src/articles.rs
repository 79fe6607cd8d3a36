//! The tree of a bill of materials: an article may be a part of one before it.

use crate::records::Article;

/// Maximum depth of a bill of materials. An article without parts has the depth 1.
pub const MAX_ARTICLE_DEPTH: usize = 32;

/// Why an article cannot be where it is in its bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArticleFault {
    /// The parent is not an article before it.
    #[error("its parent is {0}, which is not the index of an article before it")]
    Parent(u32),
    /// The article is a part of another one and is priced.
    #[error("it is a part of another article and has a price SKU; only an article at the top may have one")]
    NestedPriceSku,
}

/// Checks that each article is at the top or a part of one before it, and that only those at the top are priced. Returns
/// the depth of the tree.
///
/// # Errors
/// Returns the index of the first invalid article, and its fault.
pub fn check_tree(articles: &[Article]) -> Result<usize, (usize, ArticleFault)> {
    let mut depths: Vec<usize> = Vec::with_capacity(articles.len());
    for (index, article) in articles.iter().enumerate() {
        let depth = match article.parent {
            None => 1,
            Some(parent) => match depths.get(parent as usize) {
                None => return Err((index, ArticleFault::Parent(parent))),
                Some(_) if article.price_sku.is_some() => return Err((index, ArticleFault::NestedPriceSku)),
                Some(depth) => depth + 1,
            },
        };
        depths.push(depth);
    }
    Ok(depths.into_iter().max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(parent: Option<u32>, price_sku: Option<&str>) -> Article {
        Article {
            sku: "A".into(),
            title: None,
            quantity: "1".into(),
            unit: None,
            price_sku: price_sku.map(str::to_owned),
            price: None,
            material_sku: None,
            parent,
            extra: vec![],
        }
    }

    #[test]
    fn an_article_is_a_part_of_one_before_it() {
        assert_eq!(check_tree(&[]), Ok(0));
        assert_eq!(check_tree(&[article(None, None), article(Some(0), None), article(Some(1), None)]), Ok(3));
        assert_eq!(check_tree(&[article(Some(0), None)]), Err((0, ArticleFault::Parent(0))));
        assert_eq!(check_tree(&[article(None, None), article(Some(2), None)]), Err((1, ArticleFault::Parent(2))));
    }

    #[test]
    fn only_an_article_at_the_top_is_priced() {
        assert_eq!(check_tree(&[article(None, Some("P")), article(Some(0), None)]), Ok(2));
        let nested = check_tree(&[article(None, Some("P")), article(Some(0), Some("P"))]);
        assert_eq!(nested, Err((1, ArticleFault::NestedPriceSku)));
    }
}
