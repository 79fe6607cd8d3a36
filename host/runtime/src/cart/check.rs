//! The check of a cart before it is ordered.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CartError;
use super::change::OTHERWISE;
use super::line::{CartLine, SealFault};
use super::path::{NOT_STORED, held_line, same_line};
use super::plan::sellable;
use crate::contract::Money;
use crate::host::Cartwright;
use crate::ids::{Digest, ShopId};
use crate::shop::{Shop, Visitor};

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
        why: String,
    },
    /// It must be configured again.
    MustReconfigure {
        /// Why.
        why: String,
    },
}

impl Cartwright {
    /// Says of each top line of a cart whether it can be ordered, by this visitor: the country that is delivered to and the group as
    /// the platform knows them, not as a page said. An unexpired seal over an unchanged line that was priced for the same holds
    /// without asking the vendor; everything else is planned and priced again by the version that the line is pinned to.
    ///
    /// # Errors
    /// When the shop does not exist. What is wrong with a line is said of the line.
    pub async fn check_cart(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<Vec<LineCheck>, CartError> {
        self.shop_state(shop)?;
        let mut checks = Vec::new();
        for line in lines {
            if let Some(parent) = &line.parent {
                if held_line(lines, parent).is_none() {
                    let why = "its bundle is not in the cart".to_owned();
                    let state = LineState::MustReconfigure { why };
                    checks.push(LineCheck { key: line.key.clone(), state, lines: Vec::new() });
                }
                continue;
            }
            if held_line(lines, &line.key).is_some_and(|first| !std::ptr::eq(first, line)) {
                // Priced as two, it would escape a price that depends on how many are bought.
                let why = "it stands in the cart twice; change the quantity of the first".to_owned();
                let state = LineState::MustReconfigure { why };
                checks.push(LineCheck { key: line.key.clone(), state, lines: Vec::new() });
                continue;
            }
            let (state, lines) = self.check_line(shop, line, lines, visitor).await?;
            checks.push(LineCheck { key: line.key.clone(), state, lines });
        }
        self.require_configurations(shop, lines, &mut checks).await?;
        Ok(checks)
    }

    /// Keeps the configurations for longer of lines that stand as they are. A line whose configuration is gone cannot be ordered:
    /// nobody could make it.
    async fn require_configurations(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        checks: &mut [LineCheck],
    ) -> Result<(), CartError> {
        let configurations: HashMap<&str, Digest> =
            lines.iter().filter_map(|line| Some((line.key.as_str(), line.configuration?))).collect();
        let needed = |check: &LineCheck| {
            let stands = check.state == LineState::Ok && check.lines.is_empty();
            stands.then(|| configurations.get(check.key.as_str()).copied()).flatten()
        };
        let all: BTreeSet<Digest> = checks.iter().filter_map(needed).collect();
        if all.is_empty() {
            return Ok(());
        }
        let missing = self.platform().blobs.touch(shop, &all.into_iter().collect::<Vec<_>>()).await;
        let missing = missing.map_err(|error| CartError::Platform(error.to_string()))?;
        for check in checks {
            if needed(check).is_some_and(|digest| missing.contains(&digest)) {
                check.state = LineState::MustReconfigure { why: NOT_STORED.to_owned() };
            }
        }
        Ok(())
    }

    async fn check_line(
        &self,
        shop: &ShopId,
        line: &CartLine,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<(LineState, Vec<CartLine>), CartError> {
        let state = self.shop_state(shop)?;
        let now = Timestamp::now();
        let children = lines.iter().filter(|other| other.parent.as_ref() == Some(&line.key));
        let family: Vec<&CartLine> = std::iter::once(line).chain(children).collect();
        let faults: Vec<SealFault> = family
            .iter()
            .filter_map(|member| member.check_seal(&state.shop.id, &state.shop.seal_key, now).err())
            .collect();
        let is_whole = family_sums(&family) && !faults.contains(&SealFault::Forged);
        let is_pinned = [line.pin.digest, line.pin.strategy_digest]
            .iter()
            .all(|pinned| self.replacement(pinned).is_ok_and(|digest| digest == *pinned));
        let is_theirs = family.iter().all(|member| member.is_priced_for(visitor));
        if is_whole && faults.is_empty() && is_pinned && is_theirs {
            return Ok(match self.not_sold(shop, &family).await? {
                Some(error) => (LineState::Unavailable { why: error.to_string() }, Vec::new()),
                None => (LineState::Ok, Vec::new()),
            });
        }
        // A line that was tampered with is planned from its configuration. Of what it says of itself only the parts that were taken
        // out count, and its key must agree: without them it costs what it costs for everybody.
        Ok(match self.planned_again(shop, line, line.asked_quantity, &line.without, lines, visitor).await {
            Ok((_, again)) => match again.first() {
                Some(first) if line.key_at_its_price(first.key_without(shop, &line.without)) != line.key => {
                    (LineState::MustReconfigure { why: "it is not what was configured".to_owned() }, Vec::new())
                }
                // Parts are back in it, or its offer is over, so it has another key.
                Some(first) if first.key != line.key && held_line(lines, &first.key).is_some() => {
                    let why = "another line of the cart holds the same now; refresh it".to_owned();
                    (LineState::MustReconfigure { why }, Vec::new())
                }
                Some(_) if is_whole && same_family(&family, &again) => (LineState::Ok, again),
                Some(first) => {
                    let (old, new) = (line.price.total.clone(), first.price.total.clone());
                    (LineState::PriceChanged { old, new }, again)
                }
                None => (LineState::MustReconfigure { why: OTHERWISE.to_owned() }, Vec::new()),
            },
            Err(CartError::Hook(error)) if error.is_retryable() => {
                (LineState::Unavailable { why: error.to_string() }, Vec::new())
            }
            Err(error @ (CartError::NotPurchasable(_) | CartError::Quantity { .. } | CartError::Platform(_))) => {
                (LineState::Unavailable { why: error.to_string() }, Vec::new())
            }
            Err(error) => (LineState::MustReconfigure { why: error.to_string() }, Vec::new()),
        })
    }

    /// Why the platform does not sell the first of these that it does not sell any more, or not in this number.
    pub(super) async fn not_sold(&self, shop: &ShopId, family: &[&CartLine]) -> Result<Option<CartError>, CartError> {
        let state = self.shop_state(shop)?;
        for line in family {
            let Some(id) = &line.variant_id else { continue };
            let variants = self.platform().catalogue.variants(shop, &state.shop.currency, &line.product).await;
            let variants = variants.map_err(|error| CartError::Platform(error.to_string()))?;
            let sold = match variants.iter().find(|variant| variant.id == *id) {
                Some(variant) => sellable(variant, line.quantity.into()),
                None => Err(CartError::NotPurchasable(line.sku.clone().unwrap_or_else(|| line.product.clone()))),
            };
            if let Err(error) = sold {
                return Ok(Some(error));
            }
        }
        Ok(None)
    }
}

/// The same lines at the same prices.
pub(super) fn same_family(old: &[&CartLine], new: &[CartLine]) -> bool {
    old.len() == new.len() && new.iter().all(|line| old.iter().any(|held| same_line(held, line)))
}

pub(super) fn family(lines: &[CartLine], parent: &CartLine) -> Vec<CartLine> {
    let children = lines.iter().filter(|line| line.parent.as_ref() == Some(&parent.key));
    std::iter::once(parent).chain(children).cloned().collect()
}

/// A line and its children are as they were sealed, but for faults that are none here.
pub(super) fn check_whole(shop: &Shop, family: &[CartLine], faults: &[SealFault]) -> Result<(), CartError> {
    check_seals(shop, family, faults)?;
    match family.first() {
        Some(first) if !family_sums(&family.iter().collect::<Vec<_>>()) => {
            Err(CartError::Seal { key: first.key.clone(), fault: SealFault::Forged })
        }
        _ => Ok(()),
    }
}

pub(super) fn check_seals(shop: &Shop, lines: &[CartLine], faults: &[SealFault]) -> Result<(), CartError> {
    for line in lines {
        match line.check_seal(&shop.id, &shop.seal_key, Timestamp::now()) {
            Err(fault) if faults.contains(&fault) => return Err(CartError::Seal { key: line.key.clone(), fault }),
            _ => {}
        }
    }
    Ok(())
}

/// A bundle has the children that it was made with, their shares sum to its price, and their quantities follow its own.
pub(super) fn family_sums(family: &[&CartLine]) -> bool {
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
