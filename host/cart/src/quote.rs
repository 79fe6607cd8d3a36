//! Lines at the prices that a merchant offered in a quote.
//!
//! A quoted line has its own key, so that more of the same at the usual price never becomes more at the offered price.
//! It is bought as offered or removed; nothing reprices it until the offer expires. After that it is a line like any
//! other, and `Cartwright::check_cart` returns its present price.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright_contract::records::{Money, PriceSource, PriceState};
use jiff::{Timestamp, Unit};

use crate::check::{check_complete, to_owned_lines};
use crate::error::{CartError, SealError};
use crate::identity::{QuotedLineKey, quoted_line_key};
use crate::index::CartIndex;
use crate::line::{CartLine, SealedPrice};
use crate::money::{Amount, MoneyError, allot, times};
use crate::pricing::unit_price;
use crate::shop::{CustomerGroups, Shop, money_words};

/// A merchant's offer for the lines of a quote.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteOffer {
    /// Id of the quote.
    pub quote: String,
    /// The unit price of each line that is not a bundle's child, by key. A bundle's price is distributed over its
    /// children; each line of a set has its own.
    pub prices: BTreeMap<String, Money>,
    /// When the offer expires, to the second.
    pub until: SystemTime,
}

/// Checks that a quote can be requested for these lines; `Cartwright::check_quote_lines` documents the rules.
///
/// # Errors
/// The same as those of `Cartwright::check_quote_lines`.
pub fn check_quote_lines(shop: &Shop, lines: &[CartLine]) -> Result<(), CartError> {
    let cart = CartIndex::new(lines)?;
    let mut keys = BTreeSet::new();
    for line in lines {
        if !keys.insert(&line.key) {
            return Err(CartError::DuplicateLine(line.key.clone()));
        }
        match line.top_key() {
            Some(top) => drop(cart.top_lines(top).ok_or_else(|| CartError::UnknownLine(top.to_owned()))?),
            None => check_complete(shop, &cart.family(line), &[SealError::Forged, SealError::OtherMoney])?,
        }
        if let Some(quote) = &line.price.offer {
            return Err(CartError::QuotedLine { key: line.key.clone(), quote: quote.clone() });
        }
    }
    check_one_currency(lines)
}

/// Returns the lines of a quote at their offered prices; `Cartwright::quote_lines` documents the rules.
///
/// # Errors
/// The same as those of `Cartwright::quote_lines`.
pub fn quote_lines(shop: &Shop, lines: &[CartLine], offer: &QuoteOffer) -> Result<Vec<CartLine>, CartError> {
    let cart = CartIndex::new(lines)?;
    let priced: BTreeSet<&str> =
        lines.iter().filter(|line| line.parent.is_none()).map(|line| line.key.as_str()).collect();
    if let Some(key) = offer.prices.keys().find(|key| !priced.contains(key.as_str())) {
        return Err(CartError::UnknownLine(key.clone()));
    }
    let until = Timestamp::try_from(offer.until).and_then(|until| until.round(Unit::Second));
    let until = until
        .map_err(|error| price_error("the offer", format!("its expiry is not a valid time: {error}")))?
        .to_string();
    let mut offered = Vec::with_capacity(lines.len());
    for line in lines.iter().filter(|line| line.top_key().is_none()) {
        let family = cart.family(line);
        let priced_together = if line.set.is_some() { 1 } else { family.len() };
        for lines in family.chunks(priced_together) {
            let Some(first) = lines.first() else { continue };
            let missing = || price_error(&first.title, format!("the offer has no price for the line {}", first.key));
            let unit = offer.prices.get(&first.key).ok_or_else(missing)?;
            let mut quoted_lines = quote_family(shop, to_owned_lines(lines), unit, &offer.quote, &until)?;
            quoted_lines.iter_mut().try_for_each(|line| line.seal(shop))?;
            offered.extend(quoted_lines);
        }
    }
    Ok(offered)
}

/// Checks that all lines have prices in the same currency and scale.
///
/// # Errors
/// Returns [`CartError::Seal`] with the first line that differs.
pub fn check_one_currency<'l>(lines: impl IntoIterator<Item = &'l CartLine>) -> Result<(), CartError> {
    let mut lines = lines.into_iter();
    let Some(first) = lines.next() else { return Ok(()) };
    let money = |line: &CartLine| (line.price.total.currency.clone(), line.price.total.scale);
    let expected = money(first);
    match lines.find(|line| money(line) != expected) {
        Some(line) => Err(CartError::Seal { key: line.key.clone(), fault: SealError::OtherMoney }),
        None => Ok(()),
    }
}

/// Returns the id of the quote if a top line, with the lines that belong to it, has an offered price that is still
/// valid.
pub fn quoted_line<'l>(shop: &Shop, line: &'l CartLine, cart: &CartIndex<'l>) -> Option<&'l str> {
    let quote = line.price.offer.as_deref()?;
    let faults = [SealError::Forged, SealError::OtherMoney, SealError::Expired];
    check_complete(shop, &cart.family(line), &faults).ok().map(|()| quote)
}

/// Refuses to change a line that has the price of a quote.
pub fn refuse_quoted_line<'l>(shop: &Shop, line: &'l CartLine, cart: &CartIndex<'l>) -> Result<(), CartError> {
    match quoted_line(shop, line, cart) {
        Some(quote) => Err(CartError::QuotedLine { key: line.key.clone(), quote: quote.to_owned() }),
        None => Ok(()),
    }
}

/// Returns a line with its children, or one line of a set, at the offered unit price.
fn quote_family(
    shop: &Shop,
    mut family: Vec<CartLine>,
    unit: &Money,
    quote: &str,
    until: &str,
) -> Result<Vec<CartLine>, CartError> {
    let Some((parent, children)) = family.split_first_mut() else { return Ok(family) };
    let Money { currency, scale, .. } = &parent.price.total;
    if !shop.currencies.iter().any(|known| parent.is_priced_in(known)) {
        let (requested, expected) = (money_words(currency, *scale), shop.currencies.words());
        return Err(CartError::QuoteMoney { title: parent.title.clone(), requested, expected });
    }
    if (&unit.currency, unit.scale) != (currency, *scale) {
        let (offered, expected) = (money_words(&unit.currency, unit.scale), money_words(currency, *scale));
        return Err(CartError::OfferMoney { title: parent.title.clone(), offered, expected });
    }
    if unit.minor < 0 {
        return Err(price_error(&parent.title, "an offered price must not be negative".to_owned()));
    }
    let total = times(unit, parent.quantity).map_err(|error| price_error(&parent.title, error.to_string()))?;
    let weights: Result<Vec<Amount>, MoneyError> =
        children.iter().map(|child| Amount::of(&child.price.total)).collect();
    let weights = weights.map_err(|error| price_error(&parent.title, error.to_string()))?;
    let shares = allot(total.minor, &weights);
    let key = |key: &str| quoted_line_key(&QuotedLineKey { key, quote });
    let price = |line: &CartLine, total: Money, unit: Option<Money>| SealedPrice {
        unit,
        total,
        tax: line.price.tax,
        source: PriceSource::Platform,
        state: PriceState::Verified,
        included_in_parent: line.price.included_in_parent,
        expires: line.valid_until.as_deref().map_or(until, |kept| kept.min(until)).to_owned(),
        country: None,
        region: None,
        customer_groups: CustomerGroups::default(),
        adjustments: Vec::new(),
        offer: Some(quote.to_owned()),
        seal: String::new(),
    };
    for (child, minor) in children.iter_mut().zip(shares) {
        let share = Money { minor, ..total.clone() };
        let unit = unit_price(&share, child.quantity);
        child.price = price(child, share, unit);
        child.key = key(&child.key)?;
        child.parent = child.parent.as_deref().map(key).transpose()?;
    }
    parent.price = price(parent, total, Some(unit.clone()));
    parent.key = key(&parent.key)?;
    parent.children = parent.children.iter().map(|child| key(child)).collect::<Result<_, _>>()?;
    parent.set = parent.set.as_deref().map(key).transpose()?;
    parent.set_lines = parent.set_lines.iter().map(|line| key(line)).collect::<Result<_, _>>()?;
    Ok(family)
}

fn price_error(what: &str, reason: String) -> CartError {
    CartError::Price { what: what.to_owned(), reason }
}
