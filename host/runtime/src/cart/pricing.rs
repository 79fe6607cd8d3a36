//! What a planned line costs. The amount comes from its authority; here it is brought into the shop's currency and scale by the
//! platform's own rate, multiplied, and dealt out over a bundle's children.

use std::collections::HashMap;

use rust_decimal::Decimal;

use super::CartError;
use super::money::{self, MoneyError};
use crate::contract::{
    Adjustment, Context, Item, Message, Money, Price, PriceBasis, PriceSource, PriceState, TaxBasis, VariantInfo,
    Wanted,
};

/// A line's price before it is sealed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Priced {
    pub(super) unit: Option<Money>,
    pub(super) total: Money,
    pub(super) tax: TaxBasis,
    pub(super) state: PriceState,
}

/// What pricing looks things up in.
pub(super) struct Pricing<'a> {
    pub(super) context: &'a Context,
    pub(super) items: &'a [Item],
    /// The vendor's prices, already in the shop's currency and scale.
    pub(super) vendor: &'a [Option<Price>],
    /// Variants by SKU, for components.
    pub(super) components: &'a HashMap<String, VariantInfo>,
    /// What is wanted; a vendor's total is for so many.
    pub(super) wanted: &'a [Wanted],
}

fn no_price(what: &str, why: impl Into<String>) -> CartError {
    CartError::Price { what: what.to_owned(), why: why.into() }
}

impl Pricing<'_> {
    /// How many are wanted of an item.
    pub(super) fn asked(&self, item: Option<u32>) -> u32 {
        self.wanted.iter().find(|wanted| wanted.item == item).map_or(1, |wanted| wanted.quantity)
    }

    fn zero(&self) -> Money {
        Money { minor: 0, scale: self.context.scale, currency: self.context.currency.clone() }
    }

    fn failed(&self, what: &str) -> impl Fn(MoneyError) -> CartError {
        let what = what.to_owned();
        move |error| no_price(&what, error.to_string())
    }

    /// The platform's price of a variant, in the shop's scale.
    pub(super) fn platform(&self, variant: &VariantInfo) -> Result<Money, CartError> {
        let price = variant
            .price
            .as_ref()
            .ok_or_else(|| no_price(&variant.sku, format!("the platform has no price in {}", self.context.currency)))?;
        self.in_shop_scale(price, &variant.sku)
    }

    fn in_shop_scale(&self, price: &Money, what: &str) -> Result<Money, CartError> {
        if price.currency != self.context.currency {
            let why = format!("it is in {}, the cart in {}", price.currency, self.context.currency);
            return Err(no_price(what, why));
        }
        if price.scale == self.context.scale {
            return Ok(price.clone());
        }
        money::exact(price)
            .and_then(|exact| money::round(exact, &self.context.currency, self.context.scale, self.context.rounding))
            .map_err(self.failed(what))
    }

    /// A line's price from its source, with its adjustments.
    pub(super) fn line(
        &self,
        what: &str,
        source: PriceSource,
        adjustments: &[Adjustment],
        variant: Option<&VariantInfo>,
        below: &[usize],
        quantity: u32,
    ) -> Result<Priced, CartError> {
        let mut priced = match source {
            PriceSource::Platform => {
                let variant = variant.ok_or_else(|| no_price(what, "it is no product of the platform"))?;
                self.times(what, self.platform(variant)?, TaxBasis::AsShop, quantity)?
            }
            PriceSource::Vendor => self.vendor(what, below, quantity)?,
            PriceSource::Components => {
                let unit = self.components(what, below)?;
                self.times(what, unit, TaxBasis::AsShop, quantity)?
            }
        };
        if priced.state == PriceState::Verified {
            priced.state = self.state(below);
        }
        if !adjustments.is_empty() {
            let amounts = adjustments.iter().map(|adjustment| &adjustment.amount);
            let one = money::sum(amounts, &self.context.currency, self.context.scale).map_err(self.failed(what))?;
            let all = money::times(&one, quantity).map_err(self.failed(what))?;
            let add = |a: &Money, b: &Money| {
                money::sum([a, b], &self.context.currency, self.context.scale).map_err(self.failed(what))
            };
            priced.total = add(&priced.total, &all)?;
            priced.unit = priced.unit.as_ref().map(|unit| add(unit, &one)).transpose()?;
        }
        if priced.total.minor < 0 {
            return Err(no_price(what, format!("it would be negative ({} minor units)", priced.total.minor)));
        }
        Ok(priced)
    }

    /// How far a price of these items can be trusted, whoever says it.
    pub(super) fn state(&self, below: &[usize]) -> PriceState {
        let mut reasons = below.iter().filter_map(|index| self.items.get(*index)?.unverified.as_ref());
        match reasons.next_back() {
            Some(unverified) => PriceState::Unverified(unverified.reason.text.clone()),
            None => PriceState::Verified,
        }
    }

    fn times(&self, what: &str, unit: Money, tax: TaxBasis, quantity: u32) -> Result<Priced, CartError> {
        let total = money::times(&unit, quantity).map_err(self.failed(what))?;
        Ok(Priced { unit: Some(unit), total, tax, state: PriceState::Verified })
    }

    /// The vendor's prices of an item and those below it.
    fn vendor(&self, what: &str, below: &[usize], quantity: u32) -> Result<Priced, CartError> {
        let asked = self.asked(below.first().and_then(|root| u32::try_from(*root).ok()));
        let mut total = self.zero();
        let mut unit = Some(self.zero());
        let mut tax = None;
        let mut state = PriceState::Verified;
        let mut any = false;
        for index in below {
            let Some(price) = self.vendor.get(*index).and_then(Option::as_ref) else { continue };
            any = true;
            if *tax.get_or_insert(price.tax) != price.tax {
                return Err(no_price(what, "the vendor mixes net and gross amounts"));
            }
            match &price.state {
                PriceState::Verified => {}
                PriceState::Unverified(why) => state = PriceState::Unverified(why.clone()),
                PriceState::Mismatch(other) => {
                    let why = format!("the vendor's own amounts differ ({} and {})", price.amount.minor, other.minor);
                    return Err(no_price(what, why));
                }
            }
            let (one, all) = match price.basis {
                PriceBasis::Unit => {
                    (Some(price.amount.clone()), money::times(&price.amount, quantity).map_err(self.failed(what))?)
                }
                PriceBasis::Total if quantity == asked => (divided(&price.amount, quantity), price.amount.clone()),
                PriceBasis::Total => {
                    let why = format!("the vendor's total is for {asked} pieces, the line has {quantity}");
                    return Err(no_price(what, why));
                }
            };
            let add = |a: &Money, b: &Money| {
                money::sum([a, b], &self.context.currency, self.context.scale).map_err(self.failed(what))
            };
            total = add(&total, &all)?;
            unit = match (unit, one) {
                (Some(a), Some(b)) => Some(add(&a, &b)?),
                _ => None,
            };
        }
        if !any {
            return Err(no_price(what, "the vendor gave none"));
        }
        Ok(Priced { unit, total, tax: tax.unwrap_or(TaxBasis::AsShop), state })
    }

    /// The sum of the platform's prices of an item's priced articles, rounded once.
    fn components(&self, what: &str, below: &[usize]) -> Result<Money, CartError> {
        let mut sum = Decimal::ZERO;
        let mut any = false;
        for item in below.iter().filter_map(|index| self.items.get(*index)) {
            for article in &item.articles {
                let Some(sku) = &article.price_sku else { continue };
                let variant = self.components.get(sku).ok_or_else(|| no_price(sku, "no such SKU in the catalogue"))?;
                let price = money::exact(&self.platform(variant)?).map_err(self.failed(sku))?;
                let quantity = money::decimal(&article.quantity).map_err(self.failed(sku))?;
                let too_large = || no_price(what, MoneyError::TooLarge.to_string());
                sum = price.checked_mul(quantity).and_then(|cost| sum.checked_add(cost)).ok_or_else(too_large)?;
                any = true;
            }
        }
        if !any {
            return Err(no_price(what, "its bill of materials has no priced part"));
        }
        money::round(sum, &self.context.currency, self.context.scale, self.context.rounding).map_err(self.failed(what))
    }

    /// Does an amount of this basis hold tax as the shop's own prices do?
    pub(super) fn is_as_shop(&self, tax: TaxBasis) -> bool {
        match tax {
            TaxBasis::AsShop => true,
            TaxBasis::Gross => self.context.prices_include_tax,
            TaxBasis::Net => !self.context.prices_include_tax,
        }
    }

    /// What each child of a bundle has of the bundle's total: the shares sum to it exactly.
    pub(super) fn shares(
        &self,
        total: &Money,
        children: &[(Option<VariantInfo>, u32)],
    ) -> Result<Vec<Priced>, CartError> {
        let weights: Vec<u64> = children
            .iter()
            .map(|(variant, quantity)| {
                let unit = variant.as_ref().and_then(|variant| self.platform(variant).ok());
                unit.and_then(|unit| u64::try_from(unit.minor).ok()).unwrap_or(0).saturating_mul((*quantity).into())
            })
            .collect();
        Ok(money::allot(total.minor, &weights)
            .into_iter()
            .zip(children)
            .map(|(minor, (_, quantity))| {
                let total = Money { minor, ..total.clone() };
                Priced { unit: divided(&total, *quantity), total, tax: TaxBasis::AsShop, state: PriceState::Verified }
            })
            .collect())
    }
}

/// The amount for one, where it is a whole number of minor units.
pub(super) fn divided(total: &Money, quantity: u32) -> Option<Money> {
    let quantity = i64::from(quantity.max(1));
    (total.minor % quantity == 0).then(|| Money { minor: total.minor / quantity, ..total.clone() })
}

/// Brings a vendor's price into the shop's currency by the platform's own rate, or refuses.
pub(super) fn converted(price: Price, what: &str, rate: Option<&str>, context: &Context) -> Result<Price, CartError> {
    let failed = |error: MoneyError| no_price(what, error.to_string());
    if price.amount.scale > 9 || price.amount.currency.len() != 3 {
        return Err(no_price(what, format!("{:?} is no amount of money", price.amount)));
    }
    if price.amount.currency == context.currency && price.amount.scale == context.scale {
        return Ok(price);
    }
    let exact = money::exact(&price.amount).map_err(failed)?;
    let exact = if price.amount.currency == context.currency {
        exact
    } else {
        let rate = rate.ok_or_else(|| {
            let why = format!(
                "the vendor's price is in {}, the cart in {}, and the platform has no rate",
                price.amount.currency, context.currency
            );
            no_price(what, why)
        })?;
        let rate = money::decimal(rate).map_err(failed)?;
        exact.checked_mul(rate).ok_or_else(|| no_price(what, MoneyError::TooLarge.to_string()))?
    };
    let amount = money::round(exact, &context.currency, context.scale, context.rounding).map_err(failed)?;
    Ok(Price { amount, ..price })
}

/// A text of the host for the merchant.
pub(super) fn warning(key: &str, text: String) -> Message {
    Message { key: key.to_owned(), parameters: Vec::new(), text }
}
