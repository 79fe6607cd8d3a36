//! A planned bundle: its parts, what each has of the price, and what was taken out.

use super::CartError;
use super::line::CartLine;
use super::money::MoneyError;
use super::parts::{Part, leave_out};
use super::plan::{Checking, Draft, ItemFacts, broken, piece_count};
use super::pricing::Priced;
use crate::contract::{Bundle, NewLine, PriceSource, PriceState, TaxBasis, VariantInfo};

impl Checking<'_> {
    pub(super) fn bundle(&self, bundle: &Bundle) -> Result<Vec<CartLine>, CartError> {
        let quantity = piece_count(bundle.parent.quantity.into(), || self.called(&bundle.parent))?;
        let parts = self.parts(bundle)?;
        if parts.is_empty() {
            return broken("it has a bundle without children");
        }
        let out = self.taken_out.of(bundle, &parts);
        let resolved: Vec<(Option<VariantInfo>, u32)> = parts
            .iter()
            .map(|part| {
                let all = u64::from(part.child.quantity) * u64::from(quantity);
                let all = piece_count(all, || self.called_child(&part.child, &bundle.parent))?;
                if let Some(variant) = part.variant.as_ref().filter(|_| !out.contains(&part.name)) {
                    self.purchasable(variant, all.into())?;
                }
                Ok((part.variant.clone(), all))
            })
            .collect::<Result<_, CartError>>()?;
        let (mut parent, shares) = if bundle.parent.price.source == PriceSource::Components {
            self.summed(&bundle.parent, &resolved, quantity)?
        } else {
            self.dealt_out(&bundle.parent, &parts, &resolved)?
        };
        // The shares are those of the whole bundle, so that what remains costs what it cost.
        for (part, share) in parts.iter().zip(&shares).filter(|(part, _)| out.contains(&part.name)) {
            leave_out(&mut parent, part, share);
        }
        if !out.is_empty() {
            parent.key = parent.key_without(self.shop, &parent.without);
        }
        let mut lines = vec![parent];
        let key = lines[0].key.clone();
        for ((part, (variant, all)), priced) in parts.into_iter().zip(resolved).zip(shares) {
            if out.contains(&part.name) {
                continue;
            }
            let mut line = self.made(Draft {
                variant,
                text: part.text,
                title: part.child.title,
                shown: Some(part.child.shown.unwrap_or_default()),
                quantity: all,
                source: bundle.parent.price.source,
                priced,
                item: None,
                asked: self.pricing.asked(bundle.parent.item),
                facts: ItemFacts::default(),
                parent: Some(&key),
            });
            line.part = Some(part.name);
            line.child_removal = Some(part.child.removal);
            line.per_bundle = Some(part.child.quantity);
            line.price.included_in_parent = true;
            line.price.tax = lines[0].price.tax;
            line.price.state = lines[0].price.state.clone();
            lines[0].children.push(line.key.clone());
            lines.push(line);
        }
        Ok(lines)
    }

    /// A bundle with a price of its own, dealt out over its children; those on top cost their own price.
    fn dealt_out(
        &self,
        parent: &NewLine,
        parts: &[Part],
        children: &[(Option<VariantInfo>, u32)],
    ) -> Result<(CartLine, Vec<Priced>), CartError> {
        let mut line = self.line(parent)?;
        let own = |(part, _): &(&Part, &(Option<VariantInfo>, u32))| part.child.on_top;
        let (on_top, within): (Vec<_>, Vec<_>) = parts.iter().zip(children).partition(own);
        if within.is_empty() {
            return broken(
                "every child of it is on top; one at least must not be, for the price of the bundle itself to be dealt out over: a text \
                 will do",
            );
        }
        let within: Vec<_> = within.into_iter().map(|(_, child)| child.clone()).collect();
        let mut dealt = self.pricing.shares(&line.price.total, &within)?.into_iter();
        let on_top: Vec<_> = on_top.into_iter().map(|(_, child)| child.clone()).collect();
        if !on_top.is_empty() && !self.pricing.is_as_shop(line.price.tax) {
            return broken(
                "it puts a child on top of a price that holds tax where the shop's do not, or the other way round",
            );
        }
        let own = self.own_prices(&on_top)?;
        let (currency, scale) = (&self.pricing.context.currency, self.pricing.context.scale);
        let amounts = std::iter::once(&line.price.total).chain(own.iter().map(|priced| &priced.total));
        line.price.total =
            super::money::sum(amounts, currency, scale).map_err(|error| self.too_large(parent, &error))?;
        line.price.unit = super::pricing::divided(&line.price.total, line.quantity);
        let mut own = own.into_iter();
        let shares = parts.iter().filter_map(|part| if part.child.on_top { own.next() } else { dealt.next() });
        let shares = shares.collect();
        Ok((line, shares))
    }

    /// What children cost by themselves; a text costs nothing.
    fn own_prices(&self, children: &[(Option<VariantInfo>, u32)]) -> Result<Vec<Priced>, CartError> {
        let (currency, scale) = (&self.pricing.context.currency, self.pricing.context.scale);
        let priced = children.iter().map(|(variant, all)| {
            let unit = match variant {
                Some(variant) => self.pricing.platform(variant)?,
                None => crate::contract::Money { minor: 0, scale, currency: currency.clone() },
            };
            let what = variant.as_ref().map_or("a text", |variant| &variant.sku);
            let too_large = |error: MoneyError| CartError::Price { what: what.to_owned(), why: error.to_string() };
            let total = super::money::times(&unit, *all).map_err(too_large)?;
            Ok(Priced { unit: Some(unit), total, tax: TaxBasis::AsShop, state: PriceState::Verified })
        });
        priced.collect()
    }

    /// A bundle whose price is the sum of its children's.
    fn summed(
        &self,
        parent: &NewLine,
        children: &[(Option<VariantInfo>, u32)],
        quantity: u32,
    ) -> Result<(CartLine, Vec<Priced>), CartError> {
        let (currency, scale) = (&self.pricing.context.currency, self.pricing.context.scale);
        let shares = self.own_prices(children)?;
        let total = super::money::sum(shares.iter().map(|share| &share.total), currency, scale);
        let total = total.map_err(|error| self.too_large(parent, &error))?;
        // Checked as any line; then its price is the children's sum, which is exact.
        let Some(variant) = self.variant(&parent.target)? else {
            return broken("a bundle's parent must be a product");
        };
        self.purchasable(&variant, quantity.into())?;
        if parent.price.source != self.price_from && !self.grants.choose_price_source {
            return broken("it prices by components where the merchant chose otherwise");
        }
        if !parent.price.adjustments.is_empty() {
            return broken("it adjusts the price of a bundle that is the sum of its parts");
        }
        let facts = self.facts(parent)?;
        let priced = Priced {
            unit: super::pricing::divided(&total, quantity),
            total,
            tax: TaxBasis::AsShop,
            state: self.pricing.state(&facts.below),
        };
        let line = self.made(Draft {
            variant: Some(variant),
            text: None,
            title: parent.title.clone(),
            shown: parent.shown.clone(),
            quantity,
            source: PriceSource::Components,
            priced,
            item: parent.item,
            asked: self.pricing.asked(parent.item),
            facts,
            parent: None,
        });
        Ok((line, shares))
    }

    fn too_large(&self, bundle: &NewLine, error: &MoneyError) -> CartError {
        CartError::Price { what: format!("the bundle {}", self.called(bundle)), why: error.to_string() }
    }
}
