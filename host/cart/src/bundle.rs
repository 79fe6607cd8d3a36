//! Bundles of a plan: their parts, the share of the price that each part has, and removed parts.

use std::collections::BTreeSet;

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Bundle, Money, PlannedLine, PriceSource, TaxBasis};

use crate::error::CartError;
use crate::line::CartLine;
use crate::money::{Amount, allot, round_together};
use crate::parts::{Part, remove};
use crate::plan::{Draft, ItemFacts, PlanCheck, piece_count, plan_error};
use crate::pricing::Priced;
use crate::shopper_texts::ShopperTexts;

impl PlanCheck<'_> {
    pub(crate) fn bundle(&self, bundle: &Bundle) -> Result<Vec<CartLine>, CartError> {
        let quantity = piece_count(bundle.parent.quantity.into(), || self.describe_line(&bundle.parent))?;
        let parts = self.parts(bundle, quantity)?;
        if parts.is_empty() {
            return plan_error("it contains a bundle without children");
        }
        let removed = self.removed_parts.of(bundle, &parts);
        for part in parts.iter().filter(|part| !removed.contains(&part.name)) {
            if let Some(variant) = &part.variant {
                self.purchasable(variant, part.pieces, true)?;
            }
        }
        let (mut parent, shares) = if bundle.parent.price.source == PriceSource::Components {
            self.sum_children(&bundle.parent, &parts, &removed, quantity)?
        } else {
            self.distribute(&bundle.parent, &parts, &removed)?
        };
        if !removed.is_empty() {
            remove(&mut parent, parts.iter().filter(|part| removed.contains(&part.name)));
            parent.key = parent.key_without_parts(self.shop, &parent.without)?;
        }
        let facts = self.facts(&bundle.parent)?;
        let texts = ShopperTexts::of(self.pricing.items, &facts.descendants);
        let mut children = Vec::with_capacity(shares.len());
        for (part, share) in parts.into_iter().zip(shares).filter(|(part, _)| !removed.contains(&part.name)) {
            let mut line = self.build_line(Draft {
                variant: part.variant,
                text: part.text,
                title: part.child.title,
                display_fields: part.child.display_fields.or_else(|| Some(Vec::new())),
                quantity: part.pieces,
                source: bundle.parent.price.source,
                priced: Priced::new(share, part.pieces, parent.price.tax, parent.price.state.clone()),
                item: None,
                requested_quantity: self.pricing.requested_quantity(bundle.parent.item),
                texts: &texts,
                facts: ItemFacts::default(),
                parent: Some(&parent.key),
                set: None,
            })?;
            line.part = Some(part.name);
            line.child_removal = Some(part.child.removal);
            line.per_bundle = Some(part.child.quantity);
            line.price.included_in_parent = true;
            line.price.expires.clone_from(&parent.price.expires);
            line.valid_until.clone_from(&parent.valid_until);
            parent.children.push(line.key.clone());
            children.push(line);
        }
        Ok(std::iter::once(parent).chain(children).collect())
    }

    /// Distributes the price of a bundle over its children, by what each costs by itself. Children that are priced
    /// separately add their own price. The shares are those of the complete bundle, so that the remaining parts cost
    /// the same when other parts are removed.
    fn distribute(
        &self,
        parent: &PlannedLine,
        parts: &[Part],
        out: &BTreeSet<Digest>,
    ) -> Result<(CartLine, Vec<Money>), CartError> {
        let (mut line, own) = self.exact_line(parent)?;
        if parts.iter().all(|part| part.child.priced_separately) {
            return plan_error(
                "every child of it is priced separately; at least one must not be, so that the bundle's own price can be distributed over it; \
                 a text will do",
            );
        }
        let separate = || parts.iter().filter(|part| part.child.priced_separately);
        if separate().next().is_some() && !self.pricing.is_as_shop(line.price.tax) {
            return plan_error("it prices a child separately beside a price whose tax basis differs from the shop's");
        }
        // The price of the bundle itself comes first, then each child that is priced separately.
        let mut amounts = vec![own];
        for part in separate() {
            amounts.push(self.own_price(part)?);
        }
        let total = amounts.iter().fold(Amount::zero(), |sum, amount| sum.plus(amount));
        let total = self.total(parent, &total)?;
        let weights: Vec<Amount> =
            parts.iter().filter(|part| !part.child.priced_separately).map(|part| self.weight(part)).collect();
        let mut dealt = self.round_children(parent, &total, &amounts)?.into_iter();
        let within = dealt.next().map_or_else(Vec::new, |itself| allot(itself, &weights));
        let mut within = within.into_iter();
        let next = |part: &Part| if part.child.priced_separately { dealt.next() } else { within.next() };
        let shares: Vec<i64> = parts.iter().filter_map(next).collect();
        // A share is part of the total, so the difference is a valid price.
        let removed_total: i64 =
            parts.iter().zip(&shares).filter(|(part, _)| out.contains(&part.name)).map(|(_, share)| share).sum();
        line.price.total = Money { minor: total.minor - removed_total, ..total.clone() };
        line.price.unit = super::pricing::unit_price(&line.price.total, line.quantity);
        Ok((line, shares.into_iter().map(|minor| Money { minor, ..total.clone() }).collect()))
    }

    /// Returns the price of a child by itself; a text costs nothing.
    fn own_price(&self, part: &Part) -> Result<Amount, CartError> {
        match &part.variant {
            Some(variant) => Ok(self.pricing.platform(variant)?.for_pieces(part.pieces)),
            None => Ok(Amount::zero()),
        }
    }

    /// Returns the weight by which a child shares in a price that is not its own.
    fn weight(&self, part: &Part) -> Amount {
        // A child without a platform price has no share.
        self.own_price(part).unwrap_or_else(|_| Amount::zero())
    }

    /// Prices a bundle as the sum of its children, rounded once. Removed parts cost nothing.
    fn sum_children(
        &self,
        parent: &PlannedLine,
        parts: &[Part],
        out: &BTreeSet<Digest>,
        quantity: u32,
    ) -> Result<(CartLine, Vec<Money>), CartError> {
        let own_prices =
            parts.iter().map(|part| if out.contains(&part.name) { Ok(Amount::zero()) } else { self.own_price(part) });
        let own_prices: Vec<Amount> = own_prices.collect::<Result<_, _>>()?;
        let total = self.total(parent, &own_prices.iter().fold(Amount::zero(), |sum, amount| sum.plus(amount)))?;
        let shares = self.round_children(parent, &total, &own_prices)?;
        let shares = shares.into_iter().map(|minor| Money { minor, ..total.clone() }).collect();
        // The parent is checked like any line; its price is then replaced by the children's sum.
        let Some(variant) = self.variant(&parent.target)? else {
            return plan_error("a bundle's parent must be a product");
        };
        self.purchasable(&variant, quantity, false)?;
        if parent.price.source != self.price_from && !self.grants.choose_price_source {
            return plan_error("it prices by components, but the merchant chose another price source");
        }
        if !parent.price.adjustments.is_empty() {
            return plan_error("it adjusts the price of a bundle that is the sum of its parts");
        }
        let facts = self.facts(parent)?;
        let line = self.build_line(Draft {
            variant: Some(variant),
            text: None,
            title: parent.title.clone(),
            display_fields: parent.display_fields.clone(),
            quantity,
            source: PriceSource::Components,
            priced: Priced::new(total, quantity, TaxBasis::AsShop, self.pricing.state(&facts.descendants)),
            item: parent.item,
            requested_quantity: self.pricing.requested_quantity(parent.item),
            texts: &ShopperTexts::of(self.pricing.items, &facts.descendants),
            facts,
            parent: None,
            set: None,
        })?;
        Ok((line, shares))
    }

    /// Rounds the parts of a bundle's total so that they sum to it.
    fn round_children(&self, bundle: &PlannedLine, total: &Money, amounts: &[Amount]) -> Result<Vec<i64>, CartError> {
        round_together(total, amounts).map_err(|error| CartError::Price {
            what: format!("the bundle {}", self.describe_line(bundle)),
            reason: error.to_string(),
        })
    }

    fn total(&self, bundle: &PlannedLine, exact: &Amount) -> Result<Money, CartError> {
        self.pricing.rounded(&format!("the bundle {}", self.describe_line(bundle)), exact)
    }
}
