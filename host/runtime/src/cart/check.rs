//! The check of a cart before it is ordered.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cartwright_cart::check::{LineCheck, LineState, is_family_complete, match_except_shares};
use cartwright_cart::error::{CONFIGURATION_EXPIRED, CartError, PLANNED_DIFFERENTLY, SealError};
use cartwright_cart::line::{CartLine, Pin};
use cartwright_cart::placement::roots;
use cartwright_cart::plan::{check_minimum, sellable};
use cartwright_cart::shop::Visitor;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::LineRequest;
use jiff::Timestamp;

use super::request::CartRequest;
use crate::host::Cartwright;

impl Cartwright {
    /// Checks for each top line of a cart whether this visitor can order it. The visitor's country, region and
    /// customer groups must come from the platform, not from a page. A valid seal over an unchanged line that was priced for the same
    /// visitor facts is accepted without a request to the vendor. Every other line is replanned and repriced by the
    /// version that it is pinned to. A configured line that was changed after it was sealed must be configured again,
    /// because it could name another customer's configuration.
    ///
    /// # Errors
    /// Returns an error if the shop does not exist, or if the cart has too many lines. The state of each line reports
    /// its own faults.
    pub async fn check_cart(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<Vec<LineCheck>, CartError> {
        let request = CartRequest::new(self, shop, lines, visitor)?;
        self.shop_state(shop)?;
        let mut checks = Vec::with_capacity(lines.len());
        let mut stale = Vec::new();
        for line in lines {
            let must_reconfigure =
                |reason: &str| (LineState::MustReconfigure { reason: reason.to_owned() }, Vec::new());
            let checked = match line.top_key() {
                Some(top) if request.cart.top_lines(top).is_some() => continue,
                Some(_) if line.parent.is_some() => Some(must_reconfigure("its bundle is not in the cart")),
                Some(_) => Some(must_reconfigure("the rest of its set is not in the cart")),
                // Priced as two lines, it would escape a price that depends on the quantity.
                None if request.cart.top_lines(&line.key).is_some_and(|first| !std::ptr::eq(first, line)) => {
                    Some(must_reconfigure("the cart contains it twice; change the quantity of the first"))
                }
                None => request.check_unexpired(line).await?.map(|state| (state, Vec::new())),
            };
            if checked.is_none() {
                stale.push(line);
            }
            checks.push((line, checked));
        }
        let mut together = request.replan_stale(&stale).await;
        let mut answers = Vec::with_capacity(checks.len());
        for (line, checked) in checks {
            let (state, lines) = match checked {
                Some(checked) => checked,
                None => {
                    let replanned = match together.remove(line.key.as_str()) {
                        Some(family) => Ok(family),
                        None => request.replan_sealed(line, line.requested_quantity).await,
                    };
                    request.compare(line, replanned)?
                }
            };
            answers.push(LineCheck { key: line.key.clone(), state, lines });
        }
        self.require_configurations(shop, lines, &mut answers).await?;
        Ok(answers)
    }

    /// Extends the retention of the configurations of unchanged lines. A line whose configuration is no longer stored
    /// cannot be ordered, because it could not be produced.
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
                check.state = LineState::MustReconfigure { reason: CONFIGURATION_EXPIRED.to_owned() };
            }
        }
        Ok(())
    }

    /// Returns why the platform does not sell the first unavailable line, or not in its quantity. A quoted line is
    /// sold as offered while the catalog still contains it; the quotes' lines must have valid seals.
    pub(super) async fn unavailable_reason(
        &self,
        shop: &ShopId,
        family: &[&CartLine],
    ) -> Result<Option<CartError>, CartError> {
        for line in family {
            let Some(id) = &line.variant_id else { continue };
            let currency = &line.price.total.currency;
            let variants = self.platform().catalog.variants(shop, currency, &line.product).await;
            let variants = variants.map_err(|error| CartError::Platform(error.to_string()))?;
            let sold = match variants.iter().find(|variant| variant.id == *id) {
                Some(_) if line.price.offer.is_some() => Ok(()),
                Some(variant) if line.parent.is_some() => sellable(variant, line.quantity, true),
                Some(variant) => {
                    sellable(variant, line.quantity, false).and_then(|()| check_minimum(variant, line.quantity))
                }
                None => Err(CartError::NotPurchasable(line.sku.clone().unwrap_or_else(|| line.product.clone()))),
            };
            if let Err(error) = sold {
                return Ok(Some(error));
            }
        }
        Ok(None)
    }
}

impl<'a> CartRequest<'a> {
    /// Returns the state of a line if its seal and those of the lines that belong to it are valid, or `None` if it must
    /// be replanned.
    async fn check_unexpired(&self, line: &'a CartLine) -> Result<Option<LineState>, CartError> {
        let state = self.host.shop_state(self.shop)?;
        let now = Timestamp::now();
        let family = self.cart.family(line);
        let is_pinned = [line.pin.digest, line.pin.strategy_digest]
            .iter()
            .all(|pinned| self.host.replacement(pinned).is_ok_and(|digest| digest == *pinned));
        let unexpired = |member: &&CartLine| {
            member.is_priced_for(self.visitor, &self.currency) && member.check_seal(&state.shop, now).is_ok()
        };
        if !is_pinned || !is_family_complete(&family) || !family.iter().all(unexpired) {
            return Ok(None);
        }
        Ok(Some(match self.host.unavailable_reason(self.shop, &family).await? {
            Some(error) => LineState::Unavailable { reason: error.to_string() },
            None => LineState::Ok,
        }))
    }

    /// Replans lines that came from one configuration together, so that a cart of many lines costs no more than its
    /// configurations. Returns the families by the keys of the lines that they replace. A line that cannot be planned
    /// this way is left out; it is replanned by itself and reports its own error.
    async fn replan_stale(&self, stale: &[&'a CartLine]) -> HashMap<&'a str, Vec<CartLine>> {
        let mut families_by_key = HashMap::new();
        let Ok(state) = self.host.shop_state(self.shop) else { return families_by_key };
        let now = Timestamp::now();
        let mut groups: HashMap<_, BTreeMap<Option<u32>, &'a CartLine>> = HashMap::new();
        for line in stale.iter().copied() {
            if line.configuration.is_none() || line.check_seal(&state.shop, now) == Err(SealError::Forged) {
                continue;
            }
            let Pin { account, plugin: _, digest, strategy_account, strategy_digest, strategy } = &line.pin;
            let pin = (account, digest, strategy_account, strategy_digest, strategy);
            let is_over = line.is_pin_expired(state.shop.pin_seconds, now);
            let group = (line.configuration, &line.linked_product, &line.chosen_variant, pin, is_over);
            groups.entry(group).or_default().entry(line.item).or_insert(line);
        }
        for group in groups.into_values().filter(|group| group.len() > 1) {
            if let Ok(families) = self.replan_group(&group).await {
                let found = families.into_iter().filter_map(|family| {
                    let line: &'a CartLine = group.get(&family.first()?.item)?;
                    Some((line.key.as_str(), family))
                });
                families_by_key.extend(found);
            }
        }
        families_by_key
    }

    async fn replan_group(&self, group: &BTreeMap<Option<u32>, &'a CartLine>) -> Result<Vec<Vec<CartLine>>, CartError> {
        let Some(first) = group.values().next() else { return Ok(Vec::new()) };
        let (mut pipeline, prepared) = self.prepare_line(first).await?;
        for line in group.values() {
            pipeline.leave_out(line.item, &line.without);
            pipeline.keep_picture(line);
        }
        let roots: HashSet<Option<u32>> = roots(prepared.items()).into_iter().collect();
        let lines = group.values().filter(|line| roots.contains(&line.item));
        let line_request =
            |line: &&CartLine| LineRequest { item: line.item, quantity: line.requested_quantity, extra: Vec::new() };
        let line_requests = lines.map(line_request).collect();
        let mut families = pipeline.plan(&prepared, line_requests, &self.cart).await?;
        pipeline.seal(&prepared, &mut families).await?;
        Ok(families)
    }

    /// Returns the state of a line that was replanned.
    fn compare(
        &self,
        line: &'a CartLine,
        planned: Result<Vec<CartLine>, CartError>,
    ) -> Result<(LineState, Vec<CartLine>), CartError> {
        let state = self.host.shop_state(self.shop)?;
        let (now, family) = (Timestamp::now(), self.cart.family(line));
        let is_forged = |member: &&CartLine| member.check_seal(&state.shop, now) == Err(SealError::Forged);
        let is_whole = is_family_complete(&family) && !family.iter().any(is_forged);
        // Of the line's own data only the removed parts are used, and its key must agree with them; without them it
        // has the usual price.
        Ok(match planned {
            Ok(again) => match again.first() {
                Some(first) if line.key_at_price(first.key_without_parts(self.shop, &line.without)?)? != line.key => (
                    LineState::MustReconfigure { reason: "it is not the line that was configured".to_owned() },
                    Vec::new(),
                ),
                // Removed parts are back or the quote has expired, so the line has another key.
                Some(first) if first.key != line.key && self.cart.top_lines(&first.key).is_some() => {
                    let reason = "another line of the cart is now equal to it; refresh it".to_owned();
                    (LineState::MustReconfigure { reason }, Vec::new())
                }
                // A bundle whose price is only distributed differently over its parts costs the same.
                Some(_) if is_whole && family.len() == again.len() && match_except_shares(&family, &again) => {
                    (LineState::Ok, again)
                }
                Some(first) => {
                    let (old, new) = (line.price.total.clone(), first.price.total.clone());
                    (LineState::PriceChanged { old, new }, again)
                }
                None => (LineState::MustReconfigure { reason: PLANNED_DIFFERENTLY.to_owned() }, Vec::new()),
            },
            Err(CartError::Hook(error)) if error.is_retryable() => {
                (LineState::Unavailable { reason: error.to_string() }, Vec::new())
            }
            // The reason is for the shopper. The merchant gets the error when the product is added to a cart.
            Err(CartError::RecurringPrice { .. }) => {
                (LineState::Unavailable { reason: "it cannot be sold in this shop".to_owned() }, Vec::new())
            }
            Err(
                error @ (CartError::NotPurchasable(_)
                | CartError::Quantity { .. }
                | CartError::Platform(_)
                | CartError::OverBudget(_)),
            ) => (LineState::Unavailable { reason: error.to_string() }, Vec::new()),
            Err(error @ CartError::Unserializable(_)) => return Err(error),
            Err(CartError::Seal { fault, .. }) => {
                (LineState::MustReconfigure { reason: fault.to_string() }, Vec::new())
            }
            Err(error) => (LineState::MustReconfigure { reason: error.to_string() }, Vec::new()),
        })
    }
}
