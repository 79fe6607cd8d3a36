//! "simple": one line of the linked product, with the shopper's choices under it.

use cartwright_plugin::exports::cart::Request;
use cartwright_plugin::types::{LinePart, NewLine, Target, Wanted};

use super::tree::Root;

/// The line of one root.
pub(super) fn line(request: &Request, wanted: &Wanted, root: &Root) -> NewLine {
    super::line(request, wanted, Target::LinkedProduct, shown(request, root))
}

/// The visible choices of the whole: the host's own list stops at the root. Choices that several parts share stand once.
pub(super) fn shown(request: &Request, root: &Root) -> Option<Vec<LinePart>> {
    if root.below.is_empty() {
        return None;
    }
    let mut parts: Vec<LinePart> = Vec::new();
    for index in root.all() {
        for attribute in request.items[index].attributes.iter().filter(|attribute| !attribute.hidden) {
            let part = LinePart { name: attribute.name.clone(), value: attribute.value.clone() };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    Some(parts)
}
