//! Checks of cart lines: whether they are complete and sealed, and what changed.

use std::collections::HashMap;

use cartwright_contract::records::Money;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{CartError, SealError};
use crate::index::all_present;
use crate::line::{CartLine, SealedPrice};
use crate::shop::Shop;

/// Result of `check_cart` for one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineCheck {
    /// Key of the line.
    pub key: String,
    /// State of the line.
    pub state: LineState,
    /// The line and its children, freshly priced and sealed, to be stored in place of the old ones. Empty if the seal
    /// is valid, or if the line cannot be ordered.
    pub lines: Vec<CartLine>,
}

/// State of a line before it is ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LineState {
    /// The line can be ordered as it is.
    Ok,
    /// The line has another price, or was changed after it was sealed. The shopper must accept [`LineCheck::lines`]
    /// before the order is placed.
    PriceChanged {
        /// The price that the line stated.
        old: Money,
        /// The current price. Equal to `old` if something else about the line was changed.
        new: Money,
    },
    /// The line is not for sale now.
    Unavailable {
        /// The reason, for the shopper.
        reason: String,
    },
    /// The product must be configured again.
    MustReconfigure {
        /// The reason, for the shopper.
        reason: String,
    },
}

/// Returns whether the replanned lines equal the family, apart from the children's shares of the bundle's price.
pub fn match_except_shares(family: &[&CartLine], again: &[CartLine]) -> bool {
    let is_share = |line: &&CartLine| line.price.included_in_parent;
    let shares: HashMap<&str, &SealedPrice> =
        again.iter().filter(is_share).map(|line| (line.key.as_str(), &line.price)).collect();
    let mut unmatched = to_owned_lines(family);
    for line in unmatched.iter_mut().filter(|line| line.price.included_in_parent) {
        if let Some(share) = shares.get(line.key.as_str()) {
            line.price.unit.clone_from(&share.unit);
            line.price.total.clone_from(&share.total);
        }
    }
    all_present(&unmatched.iter().collect::<Vec<_>>(), again)
}

/// Clones the lines.
pub fn to_owned_lines(lines: &[&CartLine]) -> Vec<CartLine> {
    lines.iter().copied().cloned().collect()
}

/// Checks that a family of lines is complete and as it was sealed, except for the listed faults.
pub fn check_complete(shop: &Shop, family: &[&CartLine], faults: &[SealError]) -> Result<(), CartError> {
    check_seals(shop, family, faults)?;
    match family.first() {
        Some(first) if !is_family_complete(family) => {
            Err(CartError::Seal { key: first.key.clone(), fault: SealError::Forged })
        }
        _ => Ok(()),
    }
}

/// Checks that no line has one of these faults of its seal.
///
/// # Errors
/// Returns [`CartError::Seal`] for the first line that has one.
pub fn check_seals(shop: &Shop, lines: &[&CartLine], faults: &[SealError]) -> Result<(), CartError> {
    for line in lines {
        match line.check_seal(shop, Timestamp::now()) {
            Err(fault) if faults.contains(&fault) => return Err(CartError::Seal { key: line.key.clone(), fault }),
            _ => {}
        }
    }
    Ok(())
}

/// Returns whether a family is a complete line, bundle or set.
///
/// A bundle has all children that it was made with, their shares sum to its price, and their quantities follow its own.
/// A set has all lines that it was made with, all of them for the same requested quantity of the same configuration.
pub fn is_family_complete(family: &[&CartLine]) -> bool {
    let Some(top) = family.iter().find(|line| line.top_key().is_none()) else { return false };
    let members: Vec<&&CartLine> = family.iter().filter(|line| line.top_key().is_some()).collect();
    let (mut made, mut found): (Vec<&String>, Vec<&String>) =
        (top.children.iter().chain(&top.set_lines).collect(), members.iter().map(|member| &member.key).collect());
    made.sort();
    found.sort();
    if made != found {
        return false;
    }
    match (top.children.is_empty(), top.set_lines.is_empty()) {
        (true, true) => top.set.is_none(),
        (false, true) => top.set.is_none() && is_bundle_consistent(top, &members),
        (true, false) => top.set.is_some() && is_set_consistent(top, &members),
        (false, false) => false,
    }
}

fn is_bundle_consistent(parent: &CartLine, children: &[&&CartLine]) -> bool {
    let sum: i128 = children.iter().map(|child| i128::from(child.price.total.minor)).sum();
    let all = |per: u32| u64::from(per) * u64::from(parent.quantity);
    sum == i128::from(parent.price.total.minor)
        && children.iter().all(|child| child.per_bundle.map(all) == Some(child.quantity.into()))
}

/// Each line of a set has a price of its own, so the lines of a small set must not complete a large one.
fn is_set_consistent(item_line: &CartLine, others: &[&&CartLine]) -> bool {
    others.iter().all(|line| {
        line.requested_quantity == item_line.requested_quantity && line.configuration == item_line.configuration
    })
}
