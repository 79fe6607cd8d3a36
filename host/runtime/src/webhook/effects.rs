//! Checks the reports of a webhook or a feed, and turns them into effects. Unsigned requests reach a plugin, so it may
//! only report about its own account, about orders in which the account has a part and their lines, and settings that
//! its form allows a vendor to push.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::outcome::{self, OutcomeFault};
use cartwright_contract::platform::PlatformError;
use cartwright_contract::records::{Digest, LineQuantity, Order, OrderLine, Outcome, Report, ReportSubject};
use cartwright_contract::settings::Form;
use cartwright_contract::text::sanitize;
use cartwright_engine::Platform;

use crate::webhook::deliveries::{Effects, OrderMessage};

/// Maximum number of reports of one webhook or page of a feed, because each order that they name is looked up.
const MAX_REPORTS: usize = 500;
/// Maximum number of characters of a reference in a warning.
const MAX_REFERENCE_CHARS: usize = 200;

/// Why a plugin's reports are not applied.
pub(crate) enum EffectsError {
    /// The plugin may not report this.
    Breach(String),
    /// The order book is unavailable, or it is uncertain whether an order exists.
    Uncertain(PlatformError),
}

/// The source of reports.
pub(crate) struct ReportSource<'a> {
    /// The platform, whose order book is asked for the orders.
    pub(crate) platform: &'a Platform,
    /// The form of the plugin.
    pub(crate) form: &'a Form,
    /// The shop.
    pub(crate) shop: &'a ShopId,
    /// The account.
    pub(crate) account: &'a AccountId,
    /// Id of the request or the page. The ids of the messages that it forwards begin with it.
    pub(crate) id: &'a str,
    /// When it arrived.
    pub(crate) at: SystemTime,
    /// The blobs whose digests the call received.
    pub(crate) readable: &'a [Digest],
}

/// The effects of reports, and those that were dropped.
#[derive(Default)]
pub(crate) struct CheckedReports {
    /// What is applied.
    pub(crate) effects: Effects,
    /// For each dropped report the reason, for the plugin's log.
    pub(crate) dropped: Vec<String>,
}

/// The orders that reports named so far.
#[derive(Default)]
struct KnownOrders {
    /// By reference; `None` if the account has no part in such an order.
    by_reference: BTreeMap<String, Option<Order>>,
    /// References by vendor reference, or why there is none.
    by_vendor_reference: BTreeMap<String, Result<String, String>>,
    /// References by the vendor references that earlier reports give, which are not stored yet.
    given: BTreeMap<String, BTreeSet<String>>,
}

impl KnownOrders {
    /// Notes that a report gives a vendor reference to the order or line with this reference.
    fn give(&mut self, vendor_reference: String, reference: String) {
        self.by_vendor_reference.remove(&vendor_reference);
        self.given.entry(vendor_reference).or_default().insert(reference);
    }
}

impl ReportSource<'_> {
    /// Checks and groups the reports of a plugin. A report about an order in which the account has no part is dropped.
    pub(crate) async fn check(&self, reports: Vec<Report>) -> Result<CheckedReports, EffectsError> {
        if reports.len() > MAX_REPORTS {
            return Err(EffectsError::Breach(format!(
                "it returns {} reports; at most {MAX_REPORTS} are allowed",
                reports.len()
            )));
        }
        let (mut checked, mut known) = (CheckedReports::default(), KnownOrders::default());
        for (number, Report { about, outcome, extra: _ }) in reports.into_iter().enumerate() {
            let reference = match about {
                ReportSubject::Account => {
                    check_account_outcome(&outcome).map_err(EffectsError::Breach)?;
                    self.check_outcome(None, &outcome)?;
                    checked.effects.outcomes.push((None, outcome));
                    continue;
                }
                ReportSubject::Reference(reference) => reference,
                ReportSubject::VendorReference(named) => match self.resolve(&named, &mut known).await? {
                    Ok(reference) => reference,
                    Err(reason) => {
                        checked.dropped.push(reason);
                        continue;
                    }
                },
            };
            let Some(order) = self.find(&reference, &mut known).await? else {
                checked.dropped.push(drop_reason(&reference, "the account has no part in such an order"));
                continue;
            };
            let outcome = bind(outcome, order, &reference).map_err(EffectsError::Breach)?;
            self.check_outcome(Some(order), &outcome)?;
            let given = match &outcome {
                Outcome::VendorReference(named) => {
                    let line = order.lines.iter().find(|line| named.line.as_ref() == Some(&line.id));
                    let reference = line.map_or(&order.reference, |line| &line.reference);
                    Some((named.reference.clone(), reference.clone()))
                }
                _ => None,
            };
            let order = order.reference.clone();
            if let Some((vendor_reference, reference)) = given {
                known.give(vendor_reference, reference);
            }
            match outcome {
                Outcome::Forward(message) => {
                    let id = format!("{}-{number}", self.id);
                    checked.effects.messages.push(OrderMessage { id, at: self.at, order, message });
                }
                outcome => checked.effects.outcomes.push((Some(order), outcome)),
            }
        }
        Ok(checked)
    }

    fn check_outcome(&self, order: Option<&Order>, outcome: &Outcome) -> Result<(), EffectsError> {
        let breach = |fault: OutcomeFault| EffectsError::Breach(fault.to_string());
        outcome::check(self.form, order, self.readable, outcome).map_err(breach)
    }

    /// Returns the order that has this reference, or has a line with it.
    async fn find<'k>(&self, reference: &str, known: &'k mut KnownOrders) -> Result<Option<&'k Order>, EffectsError> {
        if !known.by_reference.contains_key(reference) {
            let book = &self.platform.order_book;
            let order = book.find(self.shop, self.account, reference).await.map_err(EffectsError::Uncertain)?;
            // The vendor is to repeat what it reports about an order that is being placed.
            if order.is_none()
                && book.may_exist(self.shop, self.account, reference).await.map_err(EffectsError::Uncertain)?
            {
                let reference = sanitize(reference, MAX_REFERENCE_CHARS).text;
                let reason = format!("it is uncertain whether the order {reference:?} exists");
                return Err(EffectsError::Uncertain(PlatformError(reason)));
            }
            known.by_reference.insert(reference.to_owned(), order);
        }
        Ok(known.by_reference.get(reference).and_then(Option::as_ref))
    }

    /// Returns the reference of the one order or line that this account knows by a vendor reference, or why there is
    /// none.
    async fn resolve(&self, named: &str, known: &mut KnownOrders) -> Result<Result<String, String>, EffectsError> {
        if let Some(resolved) = known.by_vendor_reference.get(named) {
            return Ok(resolved.clone());
        }
        let found = self.platform.order_book.find_by_vendor_reference(self.shop, self.account, named).await;
        let mut found: BTreeSet<String> = found.map_err(EffectsError::Uncertain)?.into_iter().collect();
        found.extend(known.given.get(named).into_iter().flatten().cloned());
        let resolved = match (found.pop_last(), found.is_empty()) {
            (Some(reference), true) => Ok(reference),
            (Some(_), false) => {
                Err(drop_reason(named, "several orders or lines of the account have this vendor reference"))
            }
            (None, _) => Err(drop_reason(named, "no order or line of the account has this vendor reference")),
        };
        known.by_vendor_reference.insert(named.to_owned(), resolved.clone());
        Ok(resolved)
    }
}

fn drop_reason(named: &str, reason: &str) -> String {
    format!("a report about {:?} was dropped: {reason}", sanitize(named, MAX_REFERENCE_CHARS).text)
}

/// Checks that an outcome can be about an account.
fn check_account_outcome(outcome: &Outcome) -> Result<(), String> {
    let about = match outcome {
        Outcome::Note(_) | Outcome::NeedsMerchant(_) | Outcome::PushSettings(_) => return Ok(()),
        Outcome::VendorReference(_) => "a vendor reference",
        Outcome::LineStatus(_) => "a line's status",
        Outcome::Production(_) => "production",
        Outcome::Shipment(_) => "a shipment",
        Outcome::Document(_) => "a document",
        Outcome::BillOfMaterials(_) => "a bill of materials",
        Outcome::SetMemo(_) => "a memo of an order",
        Outcome::Forward(_) => "something for orders.handle",
        Outcome::Other(_) => "something else",
    };
    Err(format!("it reports {about} about the account, which needs an order; name the order by its reference"))
}

/// Binds an outcome to the line whose reference a report names. An outcome that can be about a line is about that one,
/// and may not name another. A report that names the order's own reference is not changed.
fn bind(mut outcome: Outcome, order: &Order, reference: &str) -> Result<Outcome, String> {
    let is_line = |line: &&OrderLine| order.reference != reference && line.reference == reference;
    let Some(line) = order.lines.iter().find(is_line) else { return Ok(outcome) };
    let check = |named: &str| match named == line.id {
        true => Ok(()),
        false => Err(format!("its report about the line {reference:?} names another line, {named:?}")),
    };
    let fill = |named: &mut Option<String>| match named {
        Some(named) => check(named),
        None => {
            *named = Some(line.id.clone());
            Ok(())
        }
    };
    match &mut outcome {
        Outcome::VendorReference(named) => fill(&mut named.line)?,
        Outcome::Production(production) => fill(&mut production.line)?,
        Outcome::Document(document) => fill(&mut document.line)?,
        Outcome::LineStatus(status) => check(&status.line)?,
        Outcome::BillOfMaterials(materials) => check(&materials.line)?,
        Outcome::Shipment(shipment) if shipment.lines.is_empty() => {
            shipment.lines.push(LineQuantity { line: line.id.clone(), quantity: line.cart_line.quantity });
        }
        Outcome::Shipment(shipment) => shipment.lines.iter().try_for_each(|pieces| check(&pieces.line))?,
        Outcome::Note(_)
        | Outcome::NeedsMerchant(_)
        | Outcome::SetMemo(_)
        | Outcome::PushSettings(_)
        | Outcome::Forward(_)
        | Outcome::Other(_) => {}
    }
    Ok(outcome)
}
