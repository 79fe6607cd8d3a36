//! Prices of planned lines. An amount comes from its price source; here it is converted into the visitor's currency at
//! the platform's own rate and multiplied, exactly. Only the line's total is rounded.

use std::collections::HashMap;

use cartwright_contract::records::{
    Currency, Item, LinePrice, Message, Money, Price, PriceBasis, PriceSource, PriceState, Rounding, Shop, TaxBasis,
    VariantInfo,
};

use crate::error::CartError;
use crate::money::{self, Amount, MoneyError};

/// A line's price before it is sealed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Priced {
    /// The unit price. `None` if the total does not divide into whole minor units.
    pub(crate) unit: Option<Money>,
    pub(crate) total: Money,
    pub(crate) tax: TaxBasis,
    pub(crate) state: PriceState,
}

impl Priced {
    pub(crate) fn new(total: Money, quantity: u32, tax: TaxBasis, state: PriceState) -> Self {
        Self { unit: unit_price(&total, quantity), total, tax, state }
    }
}

/// The price of a line before rounding.
pub(crate) struct ExactPrice {
    pub(crate) total: Amount,
    pub(crate) tax: TaxBasis,
    pub(crate) state: PriceState,
}

/// A vendor's price, converted into the visitor's currency.
#[derive(Clone)]
pub struct VendorPrice {
    /// The price in the currency's scale, for strategies to read.
    pub price: Price,
    /// The exact amount that the host calculates with.
    exact: Amount,
}

/// The data that prices are looked up in.
pub struct Pricing<'a> {
    /// The shop, as plugins see it.
    pub shop: &'a Shop,
    /// The currency that the visitor sees prices in.
    pub currency: &'a Currency,
    /// The items of the configuration.
    pub items: &'a [Item],
    /// The vendor's prices, one per item.
    pub vendor: &'a [Option<VendorPrice>],
    /// The variants that price articles, by SKU and whether its case was ignored.
    pub components: &'a HashMap<(&'a str, bool), Vec<VariantInfo>>,
    /// The requested quantity of each item; a vendor's total is for this quantity.
    pub wanted: &'a HashMap<Option<u32>, u32>,
}

fn no_price(what: &str, reason: impl Into<String>) -> CartError {
    CartError::Price { what: what.to_owned(), reason: reason.into() }
}

impl Pricing<'_> {
    /// Returns the requested quantity of an item.
    pub(crate) fn requested_quantity(&self, item: Option<u32>) -> u32 {
        self.wanted.get(&item).copied().unwrap_or(1)
    }

    fn price_failure(&self, what: &str) -> impl Fn(MoneyError) -> CartError {
        let what = what.to_owned();
        move |error| no_price(&what, error.to_string())
    }

    /// Returns the platform's unit price of a variant.
    pub(crate) fn platform(&self, variant: &VariantInfo) -> Result<Amount, CartError> {
        let price = variant
            .price
            .as_ref()
            .ok_or_else(|| no_price(&variant.sku, format!("the platform has no price in {}", self.currency.code)))?;
        self.exact(price, &variant.sku)
    }

    /// Converts an amount in the visitor's currency, of any scale.
    fn exact(&self, amount: &Money, what: &str) -> Result<Amount, CartError> {
        if amount.currency != self.currency.code {
            let reason = format!("it is in {}, the cart in {}", amount.currency, self.currency.code);
            return Err(no_price(what, reason));
        }
        Amount::of(amount).map_err(self.price_failure(what))
    }

    /// Rounds a line's total by the shop's rule.
    pub(crate) fn rounded(&self, what: &str, total: &Amount) -> Result<Money, CartError> {
        let Currency { code, scale } = self.currency;
        let rounded = total.round(code, *scale, self.shop.rounding).map_err(self.price_failure(what))?;
        if total.is_negative() {
            return Err(no_price(what, format!("it would be negative ({} minor units)", rounded.minor)));
        }
        Ok(rounded)
    }

    /// Computes a line's price from its source, with its adjustments.
    pub(crate) fn line(
        &self,
        what: &str,
        price: &LinePrice,
        variant: &VariantInfo,
        below: &[usize],
        quantity: u32,
    ) -> Result<ExactPrice, CartError> {
        let as_shop = |unit: Amount| ExactPrice {
            total: unit.for_pieces(quantity),
            tax: TaxBasis::AsShop,
            state: PriceState::Verified,
        };
        let mut priced = match price.source {
            PriceSource::Platform => as_shop(self.platform(variant)?),
            PriceSource::Vendor => self.vendor(what, below, quantity)?,
            PriceSource::Components => as_shop(self.components(what, below, price.ignore_case)?),
        };
        if priced.state == PriceState::Verified {
            priced.state = self.state(below);
        }
        for adjustment in &price.adjustments {
            let (money, code) = (&adjustment.amount, &self.currency.code);
            if money.currency != *code {
                let reason = format!(
                    "its adjustment {:?} is in {}, the cart in {code}, and amounts are not converted; if it comes from a \
                     setting, enter that in {code}",
                    adjustment.label.text, money.currency
                );
                return Err(no_price(what, reason));
            }
            priced.total = priced.total.plus(&self.exact(&adjustment.amount, what)?.for_pieces(quantity));
        }
        Ok(priced)
    }

    /// Returns the state of a price for these items: verified only if all of them are, whatever the price source.
    pub(crate) fn state(&self, below: &[usize]) -> PriceState {
        let mut reasons = below.iter().filter_map(|index| self.items.get(*index)?.unverified.as_ref());
        match reasons.next_back() {
            Some(unverified) => PriceState::Unverified(unverified.reason.text.clone()),
            None => PriceState::Verified,
        }
    }

    /// Sums the vendor's prices of an item and of those below it.
    fn vendor(&self, what: &str, below: &[usize], quantity: u32) -> Result<ExactPrice, CartError> {
        let requested_quantity = self.requested_quantity(below.first().and_then(|root| u32::try_from(*root).ok()));
        let mut total = Amount::zero();
        let mut tax = None;
        let mut state = PriceState::Verified;
        for index in below {
            let Some(VendorPrice { price, exact }) = self.vendor.get(*index).and_then(Option::as_ref) else { continue };
            if *tax.get_or_insert(price.tax) != price.tax {
                return Err(no_price(what, "the vendor mixes net and gross amounts"));
            }
            match &price.state {
                PriceState::Verified => {}
                PriceState::Unverified(reason) => state = PriceState::Unverified(reason.clone()),
                PriceState::Mismatch(other) => {
                    let reason = format!("the vendor's amounts differ ({} and {})", price.amount.minor, other.minor);
                    return Err(no_price(what, reason));
                }
            }
            total = match price.basis {
                PriceBasis::Unit => total.plus(&exact.for_pieces(quantity)),
                PriceBasis::Total if quantity == requested_quantity => total.plus(exact),
                PriceBasis::Total => {
                    let reason =
                        format!("the vendor's total is for {requested_quantity} pieces, the line has {quantity}");
                    return Err(no_price(what, reason));
                }
            };
        }
        let tax = tax.ok_or_else(|| no_price(what, "the vendor returned none"))?;
        Ok(ExactPrice { total, tax, state })
    }

    /// Sums the platform's prices of the priced articles, for one piece.
    fn components(&self, what: &str, below: &[usize], ignore_case: bool) -> Result<Amount, CartError> {
        let mut sum = None;
        for article in below.iter().filter_map(|index| self.items.get(*index)).flat_map(|item| &item.articles) {
            let Some(sku) = &article.price_sku else { continue };
            let variants = self.components.get(&(sku.as_str(), ignore_case)).map_or(&[][..], Vec::as_slice);
            let [variant] = variants else {
                return Err(CartError::Sku { sku: sku.clone(), product: None, found: variants.len() });
            };
            let quantity = money::decimal(&article.quantity).map_err(self.price_failure(sku))?;
            let cost = self.platform(variant)?.times(&quantity.into());
            sum = Some(sum.map_or_else(|| cost.clone(), |sum: Amount| sum.plus(&cost)));
        }
        sum.ok_or_else(|| no_price(what, "its bill of materials has no priced article"))
    }

    /// Returns whether an amount with this tax basis includes tax exactly if the shop's own prices do.
    pub(crate) fn is_as_shop(&self, tax: TaxBasis) -> bool {
        match tax {
            TaxBasis::AsShop => true,
            TaxBasis::Gross => self.shop.prices_include_tax,
            TaxBasis::Net => !self.shop.prices_include_tax,
        }
    }
}

/// Returns the unit price, if it is a whole number of minor units.
pub(crate) fn unit_price(total: &Money, quantity: u32) -> Option<Money> {
    let quantity = i64::from(quantity.max(1));
    (total.minor % quantity == 0).then(|| Money { minor: total.minor / quantity, ..total.clone() })
}

/// Converts a vendor's price into the visitor's currency at the platform's own rate, or refuses it.
pub fn convert(
    price: Price,
    what: &str,
    rate: Option<&str>,
    currency: &Currency,
    rounding: Rounding,
) -> Result<VendorPrice, CartError> {
    let price_failure = |error: MoneyError| no_price(what, error.to_string());
    if price.amount.currency.len() != 3 {
        return Err(no_price(what, format!("{:?} is not an amount of money", price.amount)));
    }
    let mut exact = Amount::of(&price.amount).map_err(price_failure)?;
    if price.amount.currency != currency.code {
        let rate = rate.ok_or_else(|| {
            let reason = format!(
                "the vendor's price is in {}, the cart in {}, and the platform has no rate",
                price.amount.currency, currency.code
            );
            no_price(what, reason)
        })?;
        exact = exact.times(&money::decimal(rate).map_err(price_failure)?.into());
    }
    let amount = exact.round(&currency.code, currency.scale, rounding).map_err(price_failure)?;
    Ok(VendorPrice { price: Price { amount, ..price }, exact })
}

/// Creates a warning of the host for the merchant.
pub fn warning(key: &str, text: String) -> Message {
    Message { key: key.to_owned(), parameters: Vec::new(), text }
}
