//! How lines stand: whether they are whole, as they were sealed, and what they were.

use std::collections::HashMap;

use cartwright_contract::records::Money;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{CartError, SealError};
use crate::index::all_present;
use crate::line::{CartLine, SealedPrice};
use crate::shop::Shop;

/// What `check_cart` says of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineCheck {
    /// The line.
    pub key: String,
    /// How it stands.
    pub state: LineState,
    /// The line and its children as they are now, freshly sealed, to be stored in place of the old ones. Empty when the seal
    /// held, and when the line cannot be bought.
    pub lines: Vec<CartLine>,
}

/// How a line stands before it is ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LineState {
    /// It can be ordered as it is.
    Ok,
    /// It costs something else now, or it was not what was sealed: the shopper must agree to [`LineCheck::lines`] before it is
    /// ordered.
    PriceChanged {
        /// What it was said to cost.
        old: Money,
        /// What it costs; the same where something else about the line was not as sealed.
        new: Money,
    },
    /// It cannot be bought now.
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It must be configured again.
    MustReconfigure {
        /// Why.
        reason: String,
    },
}

/// Is each of these lines one of the family, whatever share of their bundle's price the children have?
pub fn match_except_shares(family: &[&CartLine], again: &[CartLine]) -> bool {
    let is_share = |line: &&CartLine| line.price.included_in_parent;
    let shares: HashMap<&str, &SealedPrice> =
        again.iter().filter(is_share).map(|line| (line.key.as_str(), &line.price)).collect();
    let mut held = to_owned_lines(family);
    for line in held.iter_mut().filter(|line| line.price.included_in_parent) {
        if let Some(share) = shares.get(line.key.as_str()) {
            line.price.unit.clone_from(&share.unit);
            line.price.total.clone_from(&share.total);
        }
    }
    all_present(&held.iter().collect::<Vec<_>>(), again)
}

/// Lines of their own.
pub fn to_owned_lines(lines: &[&CartLine]) -> Vec<CartLine> {
    lines.iter().copied().cloned().collect()
}

/// A line and its children are as they were sealed, but for faults that are none here.
pub fn check_complete(shop: &Shop, family: &[&CartLine], faults: &[SealError]) -> Result<(), CartError> {
    check_seals(shop, family, faults)?;
    match family.first() {
        Some(first) if !is_bundle_consistent(family) => {
            Err(CartError::Seal { key: first.key.clone(), fault: SealError::Forged })
        }
        _ => Ok(()),
    }
}

pub fn check_seals(shop: &Shop, lines: &[&CartLine], faults: &[SealError]) -> Result<(), CartError> {
    for line in lines {
        match line.check_seal(shop, Timestamp::now()) {
            Err(fault) if faults.contains(&fault) => return Err(CartError::Seal { key: line.key.clone(), fault }),
            _ => {}
        }
    }
    Ok(())
}

/// A bundle has the children that it was made with, their shares sum to its price, and their quantities follow its own.
pub fn is_bundle_consistent(family: &[&CartLine]) -> bool {
    let Some(parent) = family.iter().find(|line| line.parent.is_none()) else { return false };
    let children: Vec<&&CartLine> = family.iter().filter(|line| line.parent.is_some()).collect();
    let is_bundle = !parent.children.is_empty();
    if children.is_empty() {
        return !is_bundle;
    }
    let (mut made, mut found): (Vec<&String>, Vec<&String>) =
        (parent.children.iter().collect(), children.iter().map(|child| &child.key).collect());
    made.sort();
    found.sort();
    let sum: i128 = children.iter().map(|child| i128::from(child.price.total.minor)).sum();
    let all = |per: u32| u64::from(per) * u64::from(parent.quantity);
    made == found
        && sum == i128::from(parent.price.total.minor)
        && children.iter().all(|child| child.per_bundle.map(all) == Some(child.quantity.into()))
}
