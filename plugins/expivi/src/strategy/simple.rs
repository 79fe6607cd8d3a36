//! "simple": one line of the linked product, with the shopper's choices as its details.

use std::collections::BTreeSet;

use cartwright_plugin::exports::cart::Request;
use cartwright_plugin::types::{Attribute, LinePart, NewLine, Target, Wanted};

use super::tree::Root;

/// Returns the line of one root.
pub(super) fn line(request: &Request, line_request: &Wanted, root: &Root) -> NewLine {
    super::line(request, line_request, Target::LinkedProduct, shown(request, root))
}

/// Returns the visible choices of the root and its descendants; the host's own list contains only the root's. Choices
/// that several parts share appear once.
#[allow(clippy::indexing_slicing, reason = "roots are built from the items of the request")]
pub(super) fn shown(request: &Request, root: &Root) -> Option<Vec<LinePart>> {
    if root.descendants.is_empty() {
        return None;
    }
    let mut seen = BTreeSet::new();
    let visible =
        root.indices().flat_map(|index| &request.items[index].attributes).filter(|attribute| !attribute.hidden);
    let different = visible.filter(|attribute| seen.insert((attribute.name.as_str(), attribute.value.as_str())));
    let part = |attribute: &Attribute| LinePart { name: attribute.name.clone(), value: attribute.value.clone() };
    Some(different.map(part).collect())
}
