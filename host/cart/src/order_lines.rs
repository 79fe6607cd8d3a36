//! Order lines, checked against the rules of a cart as a whole.
//!
//! [`order_lines`] is the only way from cart lines to order lines. One line alone can only be checked against its seal.
//! Whether a bundle or a set is complete, a line is sold twice or a child's quantity is right depends on all lines of
//! the order.

use std::collections::BTreeMap;

use cartwright_contract::order::SHOPPER_TEXTS;
use cartwright_contract::records::{
    self, Address, Charge, LineQuantities, Money, NamedJson, Order, OrderLine, TaxBasis,
};
use cartwright_contract::text::parse_timestamp;
use jiff::Timestamp;

use crate::budget::MAX_LINES;
use crate::check::is_family_complete;
use crate::codes::{is_country, is_currency, is_language_tag};
use crate::error::SealError;
use crate::line::CartLine;
use crate::money::MAX_SCALE;
use crate::order_error::{MAX_ORDER_ID_BYTES, MAX_ORDER_TEXT_BYTES, MAX_ORDER_VERSION, MoneyFault, OrderError};
use crate::shop::Shop;

/// Years in which an order may be placed.
const PLACED_AT_YEARS: std::ops::RangeInclusive<i16> = 1990..=2199;

/// A line of an order as the platform reports it.
#[derive(Debug, Clone, Copy)]
pub struct OrderedLine<'a> {
    /// The platform's id of the order line.
    pub id: &'a str,
    /// The cart line that was sold, as the host sealed it.
    pub line: &'a CartLine,
    /// Number of pieces that were ordered, at most the sealed quantity, and what became of them. `None` means that all
    /// sealed pieces were ordered and are to be made; for a child of a bundle, what follows from its parent's; for a line
    /// of a set that does not name the configured product, its share of those of the line that does. What is left of a
    /// share is rounded up.
    pub quantities: Option<LineQuantities>,
    /// What the line costs with the quantity ordered.
    pub total: Option<&'a Money>,
    /// Whether `total` includes tax. `None` means that it does as the price of the cart line does.
    pub tax: Option<TaxBasis>,
    /// The tax of the line.
    pub tax_amount: Option<&'a Money>,
    /// Whether the line may be produced once the order is released. `false` puts it on hold for the merchant.
    pub released: bool,
    /// Whether the merchant approved a line that the host put on hold.
    pub approved: bool,
    /// The platform's status of the line; "ordered" unless given.
    pub status: Option<&'a str>,
}

impl<'a> OrderedLine<'a> {
    /// Creates an order line with all pieces of a cart line, not on hold by the platform.
    pub fn new(id: &'a str, line: &'a CartLine) -> Self {
        Self {
            id,
            line,
            quantities: None,
            total: None,
            tax: None,
            tax_amount: None,
            released: true,
            approved: false,
            status: None,
        }
    }
}

/// Checks an amount of a platform: a currency of three ASCII capitals, 0 to [`MAX_SCALE`] decimals, not negative.
///
/// # Errors
/// Returns the [`MoneyFault`].
pub fn check_money(amount: &Money) -> Result<(), MoneyFault> {
    if !is_currency(&amount.currency) {
        return Err(MoneyFault::Currency(amount.currency.chars().take(40).collect()));
    }
    match amount {
        Money { scale, .. } if *scale > MAX_SCALE => Err(MoneyFault::Scale(*scale)),
        Money { minor: ..0, .. } => Err(MoneyFault::Negative),
        _ => Ok(()),
    }
}

/// Checks an amount of an order as [`check_money`] does. All amounts of an order have the currency and the number of
/// decimals of its total.
fn check_order_money(amount: &Money, total: &Money) -> Result<(), MoneyFault> {
    check_money(amount)?;
    if (&amount.currency, amount.scale) == (&total.currency, total.scale) {
        return Ok(());
    }
    let words = |money: &Money| format!("{} with {} decimals", money.currency, money.scale);
    Err(MoneyFault::Mixed { found: words(amount), expected: words(total) })
}

/// Returns how many pieces of a line are to be made: those ordered, without those cancelled or paid back. Pieces that
/// were sent were made, whatever became of them later.
fn pieces_to_make(quantities: &LineQuantities) -> u32 {
    let LineQuantities { ordered, cancelled, refunded, shipped } = *quantities;
    ordered.saturating_sub(cancelled).saturating_sub(refunded).max(shipped)
}

/// Creates the lines of an order; `Cartwright::order_lines` documents the rules. `reference` returns the reference of
/// a line, given its id.
///
/// # Errors
/// The [`OrderError`] names the line and what to do.
#[allow(clippy::indexing_slicing, reason = "the indexes are positions of `lines`")]
pub fn order_lines(
    shop: &Shop,
    reference: impl Fn(&str) -> String,
    order: &str,
    total: &Money,
    lines: &[OrderedLine<'_>],
) -> Result<Vec<OrderLine>, OrderError> {
    check_id("the order id", order)?;
    if lines.len() > MAX_LINES {
        return Err(OrderError::TooManyLines(lines.len()));
    }
    let (mut ids, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (at, OrderedLine { id, line, status, .. }) in lines.iter().enumerate() {
        check_id("the line id", id)?;
        check_text("the status of a line", status.unwrap_or_default())?;
        match line.check_seal(shop, Timestamp::now()) {
            Ok(()) | Err(SealError::Expired | SealError::OtherMoney) => {}
            Err(fault) => {
                return Err(OrderError::Seal { line: (*id).to_owned(), key: line.key.clone(), fault });
            }
        }
        if ids.insert(*id, at).is_some() {
            return Err(OrderError::DuplicateId((*id).to_owned()));
        }
        if let Some(first) = keys.insert(line.key.as_str(), at) {
            let (first, second) = (lines[first].id.to_owned(), (*id).to_owned());
            return Err(OrderError::DuplicateLine { first, second, key: line.key.clone() });
        }
        if line.price.total.currency != total.currency {
            let (found, expected) = (line.price.total.currency.clone(), total.currency.clone());
            return Err(OrderError::Currency { line: (*id).to_owned(), found, expected });
        }
    }
    let mut by_position: Vec<Option<OrderLine>> = lines.iter().map(|_| None).collect();
    for (top, members) in families(lines, &keys)? {
        let family: Vec<usize> = std::iter::once(top).chain(members).collect();
        let on_hold = family.iter().any(|at| !lines[*at].released || is_on_hold(&lines[*at]));
        for (at, quantities) in family.iter().zip(family_quantities(lines, &family)?) {
            by_position[*at] = Some(order_line(shop, &reference, &lines[*at], quantities, !on_hold));
        }
    }
    Ok(by_position.into_iter().flatten().collect())
}

fn order_line(
    shop: &Shop,
    reference: &impl Fn(&str) -> String,
    OrderedLine { id, line, total, tax, tax_amount, status, .. }: &OrderedLine<'_>,
    quantities: LineQuantities,
    released: bool,
) -> OrderLine {
    let quantity = pieces_to_make(&quantities);
    let status = if quantity == 0 { "cancelled" } else { status.unwrap_or("ordered") };
    let tax = tax.unwrap_or(line.price.tax);
    let mut cart_line = records::CartLine { quantity, ..line.as_contract() };
    if includes_tax(shop, tax) != includes_tax(shop, line.price.tax) {
        // One basis stands for both amounts.
        cart_line.unit_price = None;
    }
    let shopper_texts = line.shopper_texts.as_ref();
    let shopper_texts = shopper_texts
        .map(|fields| NamedJson { name: SHOPPER_TEXTS.to_owned(), json: serde_json::json!(fields).to_string() });
    OrderLine {
        id: (*id).to_owned(),
        reference: reference(id),
        account: line.vendor_product.as_ref().map(|_| line.pin.account.to_string()),
        cart_line,
        quantities,
        title: line.title.clone(),
        display_fields: line.shown.clone(),
        configuration: line.configuration.map(|digest| digest.to_string()),
        status: status.to_owned(),
        vendor_reference: None,
        released: released && quantity > 0,
        total: total.cloned(),
        tax,
        tax_amount: tax_amount.cloned(),
        extra: shopper_texts.into_iter().collect(),
    }
}

fn includes_tax(shop: &Shop, tax: TaxBasis) -> bool {
    match tax {
        TaxBasis::Net => false,
        TaxBasis::Gross => true,
        TaxBasis::AsShop => shop.prices_include_tax,
    }
}

fn is_on_hold(ordered: &OrderedLine<'_>) -> bool {
    ordered.line.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.hold) && !ordered.approved
}

/// Returns the index of each top line with the indexes of the lines that belong to it, and checks that every bundle and
/// every set is complete.
#[allow(clippy::indexing_slicing, reason = "the indexes are positions of `lines`")]
fn families(
    lines: &[OrderedLine<'_>],
    keys: &BTreeMap<&str, usize>,
) -> Result<BTreeMap<usize, Vec<usize>>, OrderError> {
    let tops = lines.iter().enumerate().filter(|(_, ordered)| ordered.line.top_key().is_none());
    let mut families: BTreeMap<usize, Vec<usize>> = tops.map(|(at, _)| (at, Vec::new())).collect();
    for (at, OrderedLine { id, line, .. }) in lines.iter().enumerate() {
        let Some(top) = line.top_key() else { continue };
        let family = keys.get(top).and_then(|top| families.get_mut(top));
        let missing = || match &line.parent {
            Some(parent) => OrderError::MissingBundle { line: (*id).to_owned(), parent: parent.clone() },
            None => OrderError::MissingSet { line: (*id).to_owned(), set: top.to_owned() },
        };
        family.ok_or_else(missing)?.push(at);
    }
    for (top, members) in &families {
        let family: Vec<&CartLine> = std::iter::once(top).chain(members).map(|at| lines[*at].line).collect();
        if !is_family_complete(&family) {
            let line = lines[*top].id.to_owned();
            return Err(match lines[*top].line.set {
                Some(_) => OrderError::IncompleteSet { line },
                None => OrderError::IncompleteBundle { line },
            });
        }
    }
    Ok(families)
}

/// Returns the quantities of each line of a family. The top line comes first.
#[allow(clippy::indexing_slicing, reason = "a family consists of positions of `lines`")]
fn family_quantities(lines: &[OrderedLine<'_>], family: &[usize]) -> Result<Vec<LineQuantities>, OrderError> {
    let mut top = LineQuantities { ordered: 0, cancelled: 0, refunded: 0, shipped: 0 };
    let mut all = Vec::with_capacity(family.len());
    for at in family {
        let OrderedLine { id, line, quantities: reported, .. } = lines[*at];
        let per_bundle = line.per_bundle.filter(|_| line.parent.is_some());
        let is_in_set = line.parent.is_none() && line.top_key().is_some();
        let quantities = match (reported, per_bundle) {
            (Some(reported), _) => reported,
            (None, Some(per_bundle)) => share_of(&top, |pieces| pieces.saturating_mul(per_bundle)),
            (None, None) if is_in_set => {
                let sealed = lines[family[0]].line.quantity;
                share_of(&top, |pieces| set_share(line.quantity, pieces, sealed))
            }
            (None, None) => LineQuantities { ordered: line.quantity, cancelled: 0, refunded: 0, shipped: 0 },
        };
        if quantities.ordered > line.quantity {
            let (line, quantity, sealed) = (id.to_owned(), quantities.ordered, line.quantity);
            return Err(OrderError::Quantity { line, quantity, sealed });
        }
        check_quantities(id, &quantities)?;
        let quantity = pieces_to_make(&quantities);
        match per_bundle {
            Some(per_bundle) => {
                let bundles = pieces_to_make(&top);
                let expected = u64::from(per_bundle) * u64::from(bundles);
                if u64::from(quantity) != expected {
                    return Err(OrderError::ChildQuantity { line: id.to_owned(), quantity, bundles, expected });
                }
            }
            // What was sent before its set was cancelled was made.
            None if is_in_set => {
                if quantity > quantities.shipped && pieces_to_make(&top) == 0 {
                    return Err(OrderError::SetQuantity { line: id.to_owned(), quantity });
                }
            }
            None => top = quantities,
        }
        all.push(quantities);
    }
    Ok(all)
}

/// Returns the quantities of a line that shares what became of the top line of its family. `share` returns the pieces of
/// the line that belong to a number of the top line's. What is left of the line is therefore its share of what is left
/// of the top line, however shares are rounded. They are at most the sealed quantity, which was a `u32`.
fn share_of(top: &LineQuantities, share: impl Fn(u32) -> u32) -> LineQuantities {
    let LineQuantities { ordered, cancelled, refunded, shipped } = *top;
    let kept = ordered.saturating_sub(cancelled);
    let (all, share_of_kept) = (share(ordered), share(kept));
    LineQuantities {
        ordered: all,
        cancelled: all.saturating_sub(share_of_kept),
        refunded: share_of_kept.saturating_sub(share(kept.saturating_sub(refunded))),
        shipped: share(shipped),
    }
}

/// Returns how many of `quantity` pieces of a line of a set belong to `pieces` of `sealed` pieces of the line that names
/// the configured product. The strategy may plan packs, or one of something for any quantity, so the share is rounded
/// up.
fn set_share(quantity: u32, pieces: u32, sealed: u32) -> u32 {
    let share = (u64::from(quantity) * u64::from(pieces)).div_ceil(u64::from(sealed.max(1)));
    // At most the sealed quantity, which was a `u32`.
    u32::try_from(share).unwrap_or(quantity)
}

/// Refuses a line with more pieces cancelled, paid back or sent than there are. A cancelled piece that was paid back
/// counts as cancelled.
fn check_quantities(line: &str, quantities: &LineQuantities) -> Result<(), OrderError> {
    let LineQuantities { ordered, cancelled, refunded, shipped } = *quantities;
    let members = [
        ("cancelled", cancelled, ordered),
        ("refunded", refunded, ordered.saturating_sub(cancelled)),
        ("shipped", shipped, ordered),
    ];
    for (member, quantity, most) in members {
        if quantity > most {
            return Err(OrderError::TooManyPieces { line: line.to_owned(), member, quantity, most });
        }
    }
    Ok(())
}

/// Checks an order beside its cart lines, as [`check_event`](crate::check_event) does.
///
/// # Errors
/// The [`OrderError`] names what is wrong.
pub fn check_order(order: &Order) -> Result<(), OrderError> {
    check_id("the order id", &order.id)?;
    if order.lines.len() > MAX_LINES {
        return Err(OrderError::TooManyLines(order.lines.len()));
    }
    let mut ids = BTreeMap::new();
    for line in &order.lines {
        check_id("the line id", &line.id)?;
        check_text("the status of a line", &line.status)?;
        if ids.insert(line.id.as_str(), ()).is_some() {
            return Err(OrderError::DuplicateId(line.id.clone()));
        }
        check_quantities(&line.id, &line.quantities)?;
        let (quantity, expected) = (line.cart_line.quantity, pieces_to_make(&line.quantities));
        if quantity != expected {
            return Err(OrderError::PiecesToMake { line: line.id.clone(), quantity, expected });
        }
    }
    check_text("the order's number", &order.number)?;
    // Searches ignore a "#" before an order number.
    if order.number.trim().trim_start_matches('#').is_empty() {
        return Err(OrderError::BlankNumber);
    }
    if !is_language_tag(&order.locale) {
        return Err(OrderError::Language(order.locale.chars().take(80).collect()));
    }
    if order.version > MAX_ORDER_VERSION {
        return Err(OrderError::Version(order.version));
    }
    check_time("the time when the order was placed", &order.placed_at)?;
    check_amounts(order)?;
    check_text("the customer", order.customer.as_deref().unwrap_or_default())?;
    check_text(
        "the title of the shipping method",
        order.shipping.as_ref().map_or("", |shipping| shipping.title.as_str()),
    )?;
    let addresses = [("billing", &order.billing), ("delivery", &order.delivery), ("shop's", &order.shop_address)];
    addresses
        .into_iter()
        .try_for_each(|(owner, address)| address.as_ref().map_or(Ok(()), |held| check_address(owner, held)))
}

/// Checks that the amounts of an order are in its currency, with the same number of decimals.
fn check_amounts(order: &Order) -> Result<(), OrderError> {
    let Order { currency, paid, refunded, total, tax_amount, shipping, lines, .. } = order;
    check_amount("the order's total", total)?;
    if *currency != total.currency {
        let reason = format!("it is in {}, the order's currency is {currency:?}", total.currency);
        return Err(OrderError::Money { field: "the order's total", reason });
    }
    let shipping = shipping.as_ref().map(|Charge { amount, .. }| amount);
    let amounts = [
        ("the amount paid", Some(paid)),
        ("the amount refunded", Some(refunded)),
        ("the order's tax", tax_amount.as_ref()),
        ("the shipping cost", shipping),
    ];
    for (field, amount) in amounts {
        amount.map_or(Ok(()), |amount| check_amount_of(field, amount, total))?;
    }
    for line in lines {
        for (member, amount) in [("total", &line.total), ("tax_amount", &line.tax_amount)] {
            amount
                .as_ref()
                .map_or(Ok(()), |amount| check_order_money(amount, total))
                .map_err(|fault| OrderError::LineMoney { line: line.id.clone(), member, reason: fault.to_string() })?;
        }
    }
    Ok(())
}

fn check_address(owner: &'static str, address: &Address) -> Result<(), OrderError> {
    let Address {
        name,
        first_name,
        last_name,
        email,
        line1,
        line2,
        zip,
        city,
        region,
        country,
        company,
        vat,
        phone,
        extra,
    } = address;
    if !is_country(country) {
        return Err(OrderError::Country { owner, value: country.chars().take(80).collect() });
    }
    let optional = [name, first_name, last_name, email, line2, region, company, vat, phone];
    let texts = [line1, zip, city].into_iter().chain(optional.into_iter().flatten());
    let mut texts = texts.chain(extra.iter().flat_map(|extra| [&extra.name, &extra.json]));
    texts.try_for_each(|text| check_text(&format!("a line of the {owner} address"), text))
}

pub(crate) fn check_id(field: &'static str, id: &str) -> Result<(), OrderError> {
    // Browsers and proxies remove these two path segments from a URL.
    let is_dots = matches!(id, "." | "..");
    if (1..=MAX_ORDER_ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control) && !is_dots {
        return Ok(());
    }
    Err(OrderError::Id { field, value: id.chars().take(80).collect() })
}

fn check_text(field: &str, text: &str) -> Result<(), OrderError> {
    match text.len() {
        0..=MAX_ORDER_TEXT_BYTES => Ok(()),
        length => Err(OrderError::Text { field: field.to_owned(), length }),
    }
}

fn check_amount(field: &'static str, amount: &Money) -> Result<(), OrderError> {
    check_money(amount).map_err(|fault| OrderError::Money { field, reason: fault.to_string() })
}

/// Checks an amount of an order with this total.
pub(crate) fn check_amount_of(field: &'static str, amount: &Money, total: &Money) -> Result<(), OrderError> {
    check_order_money(amount, total).map_err(|fault| OrderError::Money { field, reason: fault.to_string() })
}

pub(crate) fn check_time(field: &'static str, text: &str) -> Result<(), OrderError> {
    let at = parse_timestamp(text);
    match at.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).year()) {
        Some(year) if PLACED_AT_YEARS.contains(&year) => Ok(()),
        _ => Err(OrderError::Time { field, value: text.chars().take(80).collect() }),
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
