//! "simple": one line of the linked product, with the shopper's choices as its details.

use std::collections::BTreeSet;

use cartwright_plugin::exports::cart::PlanRequest;
use cartwright_plugin::types::{Attribute, DisplayField, LineRequest, PlannedLine, Target};

use super::tree::Root;

/// Returns the line of one root.
pub(super) fn line(request: &PlanRequest, line_request: &LineRequest, root: &Root) -> PlannedLine {
    super::line(request, line_request, Target::LinkedProduct, display_fields(request, root))
}

/// Returns the visible choices of the root and its descendants; the host's own list contains only the root's. Choices
/// that several parts share appear once.
#[allow(clippy::indexing_slicing, reason = "roots are built from the items of the request")]
pub(super) fn display_fields(request: &PlanRequest, root: &Root) -> Option<Vec<DisplayField>> {
    if root.descendants.is_empty() {
        return None;
    }
    let mut seen = BTreeSet::new();
    let visible =
        root.indices().flat_map(|index| &request.items[index].attributes).filter(|attribute| !attribute.hidden);
    let different = visible.filter(|attribute| seen.insert((attribute.name.as_str(), attribute.value.as_str())));
    let part = |attribute: &Attribute| DisplayField { name: attribute.name.clone(), value: attribute.value.clone() };
    Some(different.map(part).collect())
}
