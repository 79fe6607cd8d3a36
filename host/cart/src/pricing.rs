//! Prices of planned lines. An amount comes from its price source; here it is converted into the visitor's currency at
//! the platform's own rate and multiplied, exactly. Only the line's total is rounded.

use std::collections::HashMap;

use cartwright_contract::records::{
    Currency, Item, LinePrice, Message, Money, Price, PriceBasis, PriceRole, PriceSource, PriceState, Rounding, Shop,
    TaxBasis, VariantInfo,
};
use cartwright_contract::text::parse_timestamp;

use crate::error::CartError;
use crate::money::{self, Amount, MoneyError};
use crate::tree::Descendant;

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
    pub requested_quantities: &'a HashMap<Option<u32>, u32>,
}

fn no_price(what: &str, reason: impl Into<String>) -> CartError {
    CartError::Price { what: what.to_owned(), reason: reason.into() }
}

impl Pricing<'_> {
    /// Returns the requested quantity of an item.
    pub(crate) fn requested_quantity(&self, item: Option<u32>) -> u32 {
        self.requested_quantities.get(&item).copied().unwrap_or(1)
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
        below: &[Descendant],
        quantity: u32,
    ) -> Result<ExactPrice, CartError> {
        let as_shop = |unit: Amount| ExactPrice {
            total: unit.for_pieces(quantity),
            tax: TaxBasis::AsShop,
            state: PriceState::Verified,
        };
        let mut priced = match price.source {
            PriceSource::Platform => as_shop(self.platform(variant)?),
            PriceSource::Vendor => self.vendor(what, variant, below, quantity)?,
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
    pub(crate) fn state(&self, below: &[Descendant]) -> PriceState {
        let mut reasons = below.iter().filter_map(|item| self.items.get(item.index)?.unverified.as_ref());
        match reasons.next_back() {
            Some(unverified) => PriceState::Unverified(unverified.reason.text.clone()),
            None => PriceState::Verified,
        }
    }

    /// Sums the vendor's prices of an item and of those below it, each as many times as the line takes it. Surcharges
    /// come on top of the platform's price.
    fn vendor(
        &self,
        what: &str,
        variant: &VariantInfo,
        below: &[Descendant],
        quantity: u32,
    ) -> Result<ExactPrice, CartError> {
        let requested_quantity = self.requested_quantity(below.first().and_then(|root| u32::try_from(root.index).ok()));
        let mut total = Amount::zero();
        let mut tax = None;
        let mut role = PriceRole::Whole;
        let mut state = PriceState::Verified;
        for Descendant { index, count } in below {
            let Some(VendorPrice { price, exact }) = self.vendor.get(*index).and_then(Option::as_ref) else { continue };
            if let Some(period) = &price.period {
                return Err(CartError::RecurringPrice { product: what.to_owned(), period: period.clone() });
            }
            // All prices of a product have the same role, see `check_prices`.
            role = price.role;
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
                PriceBasis::Unit => total.plus(&exact.for_pieces(quantity).for_pieces(*count)),
                PriceBasis::Total if quantity == requested_quantity => total.plus(exact),
                PriceBasis::Total => {
                    let reason =
                        format!("the vendor's total is for {requested_quantity} pieces, the line has {quantity}");
                    return Err(no_price(what, reason));
                }
            };
        }
        let tax = tax.ok_or_else(|| no_price(what, "the vendor returned none"))?;
        match role {
            PriceRole::Whole => Ok(ExactPrice { total, tax, state }),
            PriceRole::Surcharge if self.is_as_shop(tax) => {
                let total = self.platform(variant)?.for_pieces(quantity).plus(&total);
                Ok(ExactPrice { total, tax: TaxBasis::AsShop, state })
            }
            PriceRole::Surcharge => {
                let name = |includes_tax: bool| if includes_tax { "with" } else { "without" };
                let reason = format!(
                    "the vendor's surcharge is {} tax, but the shop's price is {} tax, and amounts of both cannot be added",
                    name(tax == TaxBasis::Gross),
                    name(self.shop.prices_include_tax)
                );
                Err(no_price(what, reason))
            }
        }
    }

    /// Sums the platform's prices of the priced articles, for one piece.
    fn components(&self, what: &str, below: &[Descendant], ignore_case: bool) -> Result<Amount, CartError> {
        let mut sum = None;
        let counted = |below: &Descendant| Some((self.items.get(below.index)?, below.count));
        let items = below.iter().filter_map(counted);
        for (article, count) in
            items.flat_map(|(item, count)| item.articles.iter().map(move |article| (article, count)))
        {
            let Some(sku) = &article.price_sku else { continue };
            let variants = self.components.get(&(sku.as_str(), ignore_case)).map_or(&[][..], Vec::as_slice);
            let [variant] = variants else {
                return Err(CartError::Sku { sku: sku.clone(), product: None, found: variants.len() });
            };
            let quantity = money::decimal(&article.quantity).map_err(self.price_failure(sku))?;
            let cost = self.platform(variant)?.times(&quantity.into()).for_pieces(count);
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

/// Checks what the vendor says of its prices beside their amounts. `descendants` lists the items of each product.
///
/// # Errors
/// Returns an error for the plugin's author: a time that is not a timestamp, a period that is not a duration, or prices
/// of one product with different roles.
pub fn check_prices<'a>(
    prices: &[Option<Price>],
    descendants: impl IntoIterator<Item = &'a [Descendant]>,
) -> Result<(), String> {
    for (index, price) in prices.iter().enumerate().filter_map(|(index, price)| Some((index, price.as_ref()?))) {
        if let Some(until) = price.valid_until.as_ref().filter(|until| parse_timestamp(until).is_none()) {
            return Err(format!(
                "`valid-until` of the price of item {index} is {until:?}, which is not a timestamp such as \"2026-03-01T09:30:00Z\""
            ));
        }
        if let Some(period) = price.period.as_ref().filter(|period| !is_duration(period)) {
            return Err(format!(
                "`period` of the price of item {index} is {period:?}, which is not an ISO 8601 duration such as \"P1M\""
            ));
        }
    }
    for product in descendants {
        let role = |below: &Descendant| Some(prices.get(below.index)?.as_ref()?.role);
        let mut roles = product.iter().filter_map(role);
        let first = roles.next();
        if roles.any(|role| Some(role) != first) {
            let root = product.first().map_or(0, |root| root.index);
            return Err(format!(
                "the prices of the item {root} and of those below it have different roles; all are `whole` or all are `surcharge`"
            ));
        }
    }
    Ok(())
}

/// Returns whether a text is an ISO 8601 duration: "P1Y2M10DT2H30M", with at least one part, each a whole number, or
/// "P2W".
fn is_duration(text: &str) -> bool {
    /// Returns whether these are numbers, each before one of the designators, which are in this order.
    fn are_parts(mut text: &str, designators: &str) -> bool {
        let mut left = designators.chars();
        while !text.is_empty() {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = text.split_at(digits);
            let Some(designator) = rest.chars().next().filter(|_| (1..=9).contains(&number.len())) else {
                return false;
            };
            if !left.any(|known| known == designator) {
                return false;
            }
            text = rest.get(designator.len_utf8()..).unwrap_or_default();
        }
        true
    }
    let Some(parts) = text.strip_prefix('P').filter(|parts| !parts.is_empty()) else { return false };
    if parts.ends_with('W') {
        return are_parts(parts, "W");
    }
    match parts.split_once('T') {
        Some((date, time)) => !time.is_empty() && are_parts(date, "YMD") && are_parts(time, "HMS"),
        None => are_parts(parts, "YMD"),
    }
}

/// Creates a warning of the host for the merchant.
pub fn warning(key: &str, text: String) -> Message {
    Message { key: key.to_owned(), parameters: Vec::new(), text }
}
