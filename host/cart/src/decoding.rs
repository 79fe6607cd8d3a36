//! Checks and fingerprints of a configuration's items.

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{FieldIssue, Item};
use cartwright_contract::text;

use crate::budget::MAX_NAMED_JSON_BYTES;
use crate::canonical::NotCanonical;
use crate::error::{CartError, issue};
use crate::identity::fingerprints;
use crate::tree::{ItemTree, item_tree};

/// Returns the fingerprint of each item, and the descendants of each root.
pub fn fingerprint_items(items: &[Item]) -> Result<(Vec<Digest>, Vec<Vec<usize>>), CartError> {
    let tree: ItemTree = item_tree(items)?;
    let ambiguous = |(index, error): (usize, NotCanonical)| {
        CartError::Configuration(issue(&format!("[{index}]"), "state-ambiguous", format!("the state: {error}")))
    };
    Ok((fingerprints(items, &tree).map_err(ambiguous)?, tree.descendants))
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
        ("reference", item.reference.as_ref()),
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
