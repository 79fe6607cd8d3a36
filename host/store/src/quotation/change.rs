//! What happens to a quotation.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use cartwright::types::{Event, EventKind, Money, Order};
use cartwright::{
    CartChange, CartError, CartLine, Cartwright, HOST_ID_PREFIX, MAX_ORDER_TEXT_BYTES, Offer, OrderError, OrderedLine,
    ShopId, check_order,
};
use serde_json::{Value, json};

use super::{Content, NewQuotation, Quotation, QuotationError, QuotationState, content_place, is_id};
use crate::database::{Store, Work, milliseconds};
use crate::error::StoreError;
use crate::event_log::{NewLogEntry, log_in};
use crate::export::at;
use crate::installation::Expected;
use crate::report::{ReportError, SoldLine, SoldLines, told};
use crate::vault::Key;

/// The longest time that an offer may hold: what it is kept as is open no longer without news.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Store {
    /// Keeps what a shopper asks for, and tells the vendors of it, in one transaction. The same id with the same content does nothing
    /// twice; then the second is false.
    ///
    /// # Errors
    /// [`QuotationError::Exists`], [`QuotationError::Cart`] when a line is not as the host sealed it, [`QuotationError::Report`], and as
    /// the database says. Nothing is kept then.
    pub async fn request_quotation(
        &self,
        host: &Cartwright,
        shop: &ShopId,
        asked: &NewQuotation,
        who: &str,
        now: SystemTime,
    ) -> Result<(Quotation, bool), QuotationError> {
        if !is_id(&asked.id) {
            return Err(QuotationError::Id(asked.id.chars().take(120).collect()));
        }
        if let Some(length) = asked.customer.as_ref().map(String::len).filter(|length| *length > MAX_ORDER_TEXT_BYTES) {
            return Err(OrderError::Text { what: "the customer".to_owned(), length }.into());
        }
        if let Some(known) = self.asked_before(shop, asked, now).await? {
            return Ok((known, false));
        }
        host.check_asked(shop, &asked.lines)?;
        let (order, sold) = as_order(host, shop, asked, now)?;
        let jobs = told(host, shop, &order, &sold, false)?;
        let event = Event {
            id: order.id.clone(),
            at: at(now),
            kind: EventKind::QuotationRequested,
            order,
            earlier: Vec::new(),
            remembered: Vec::new(),
            extra: Vec::new(),
        };
        let mut work = self.begin().await?;
        if self.known_order(&mut work, shop, &event.order.id).await?.is_some() {
            return self.asked_meanwhile(work, shop, asked, now).await;
        }
        let key = self.know_order(&mut work, shop, &event.order, milliseconds(now)).await?;
        // A platform may call who asks by an e-mail address, and give no other.
        if let Some(Ok(email)) = asked.customer.as_ref().map(|customer| customer.parse()) {
            self.index_email(&mut work, shop, &event.order.id, &email).await?;
        }
        let content = Content { asked: asked.clone(), prices: None };
        let added = sqlx::query(
            "insert into quotations (shop, id, order_id, state, version, content, asked_at, changed_at)
             values ($1, $2, $3, 'requested', 1, $4, $5, $5) on conflict (shop, id) do nothing",
        )
        .bind(shop.as_str())
        .bind(&asked.id)
        .bind(&event.order.id)
        .bind(key.seal_json(&content_place(shop, &asked.id), &content)?)
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        if added.rows_affected() == 0 {
            return self.asked_meanwhile(work, shop, asked, now).await;
        }
        let recorded = self.record_in(&mut work, shop, &event, &jobs, milliseconds(now)).await?;
        if recorded == crate::event::Recorded::Known {
            return Err(QuotationError::Exists(asked.id.clone()));
        }
        let after = logged(QuotationState::Requested, None);
        log(&mut work, shop, &asked.id, "request-quotation", who, [None, Some(after)], now).await?;
        work.commit().await?;
        self.nudge();
        Ok((self.quotation(shop, &asked.id, now).await?, true))
    }

    /// Another was quicker; or it was kept and is past its time, or the platform has an order of this name.
    async fn asked_meanwhile(
        &self,
        work: Work,
        shop: &ShopId,
        asked: &NewQuotation,
        now: SystemTime,
    ) -> Result<(Quotation, bool), QuotationError> {
        work.rollback().await?;
        let known = self.asked_before(shop, asked, now).await?;
        known.map(|known| (known, false)).ok_or_else(|| QuotationError::Exists(asked.id.clone()))
    }

    async fn asked_before(
        &self,
        shop: &ShopId,
        asked: &NewQuotation,
        now: SystemTime,
    ) -> Result<Option<Quotation>, QuotationError> {
        match self.quotation(shop, &asked.id, now).await {
            Ok(known) if known.asked == *asked => Ok(Some(known)),
            Ok(_) => Err(QuotationError::Exists(asked.id.clone())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Offers what one of each top line costs, until the offer ends. An offer that was not accepted, or has ended, may be made anew.
    ///
    /// # Errors
    /// [`QuotationError`] says what to do; nothing is changed then.
    #[allow(clippy::too_many_arguments)]
    pub async fn offer_quotation(
        &self,
        host: &Cartwright,
        shop: &ShopId,
        offer: &Offer,
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<Quotation, QuotationError> {
        if offer.until <= now || offer.until > now + LONGEST {
            return Err(QuotationError::End);
        }
        let id = &offer.quotation;
        let mut work = self.begin().await?;
        let found = self.quotation_now(&mut work, shop, id, expected, now).await?;
        match found.0.summary.state {
            QuotationState::Requested | QuotationState::Offered | QuotationState::Expired => {}
            state => return Err(QuotationError::State { id: id.clone(), state, wanted: "offered" }),
        }
        host.offered_lines(shop, &found.0.asked.lines, offer)?;
        self.set_state(&mut work, shop, &found, "offered", Some((&offer.prices, offer.until)), now).await?;
        // An offer that had ended had closed it.
        set_closed(&mut work, shop, &found.0.order, None).await?;
        let after = logged(QuotationState::Offered, Some(offer));
        let before = logged(found.0.summary.state, found.0.offer.as_ref());
        log(&mut work, shop, id, "offer-quotation", who, [Some(before), Some(after)], now).await?;
        work.commit().await?;
        Ok(self.quotation(shop, id, now).await?)
    }

    /// Says that nothing comes of a quotation that was not accepted. What is withdrawn stays so.
    ///
    /// # Errors
    /// [`QuotationError`] says what to do; nothing is changed then.
    pub async fn withdraw_quotation(
        &self,
        shop: &ShopId,
        id: &str,
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<Quotation, QuotationError> {
        let mut work = self.begin().await?;
        let found = self.quotation_now(&mut work, shop, id, expected, now).await?;
        match found.0.summary.state {
            QuotationState::Withdrawn => return Ok(found.0),
            state @ QuotationState::Accepted => {
                return Err(QuotationError::State { id: id.to_owned(), state, wanted: "withdrawn" });
            }
            _ => {}
        }
        self.set_state(&mut work, shop, &found, "withdrawn", None, now).await?;
        set_closed(&mut work, shop, &found.0.order, Some(milliseconds(now))).await?;
        let after = logged(QuotationState::Withdrawn, None);
        let before = logged(found.0.summary.state, found.0.offer.as_ref());
        log(&mut work, shop, id, "withdraw-quotation", who, [Some(before), Some(after)], now).await?;
        work.commit().await?;
        Ok(self.quotation(shop, id, now).await?)
    }

    /// Puts what is offered into a cart: gives what changes in it. Accepting again, before the offer ends, gives what the cart does not
    /// hold yet, so that a lost answer is no loss.
    ///
    /// # Errors
    /// [`QuotationError::Expired`], and what else [`QuotationError`] says; nothing is changed then.
    #[allow(clippy::too_many_arguments)]
    pub async fn accept_quotation(
        &self,
        host: &Cartwright,
        shop: &ShopId,
        id: &str,
        cart: &[CartLine],
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<(Quotation, CartChange), QuotationError> {
        // The catalogue is asked, so that no transaction is held.
        let seen = self.quotation(shop, id, now).await?;
        let offer = offered(&seen, now)?;
        check(&seen, expected)?;
        let change = host.accept_offer(shop, &seen.asked.lines, &offer, cart).await?;
        if seen.summary.state == QuotationState::Accepted {
            return Ok((seen, change));
        }
        let mut work = self.begin().await?;
        let found = self.quotation_now(&mut work, shop, id, Expected::Anything, now).await?;
        if found.0.offer != seen.offer {
            return Err(QuotationError::Changed(id.to_owned()));
        }
        if found.0.summary.state == QuotationState::Offered {
            let prices = Some((&offer.prices, offer.until));
            self.set_state(&mut work, shop, &found, "accepted", prices, now).await?;
            set_closed(&mut work, shop, &found.0.order, Some(milliseconds(now))).await?;
            let after = logged(QuotationState::Accepted, Some(&offer));
            let before = logged(found.0.summary.state, found.0.offer.as_ref());
            log(&mut work, shop, id, "accept-quotation", who, [Some(before), Some(after)], now).await?;
        }
        work.commit().await?;
        Ok((self.quotation(shop, id, now).await?, change))
    }

    /// A quotation that nobody else changes before this transaction ends.
    async fn quotation_now(
        &self,
        work: &mut Work,
        shop: &ShopId,
        id: &str,
        expected: Expected<'_>,
        now: SystemTime,
    ) -> Result<(Quotation, Key), QuotationError> {
        // The order before its quotation, as everywhere.
        let locked = self.lock_order(work, shop, &kept_as(id)).await;
        let key = locked.map_err(|error| match error {
            StoreError::NotFound { .. } => StoreError::NotFound { what: "quotation", id: id.to_owned() },
            other => other,
        })?;
        let quotation = self.quotation_in(work, shop, id, milliseconds(now)).await?;
        check(&quotation, expected)?;
        Ok((quotation, key))
    }

    async fn set_state(
        &self,
        work: &mut Work,
        shop: &ShopId,
        (quotation, key): &(Quotation, Key),
        state: &str,
        offer: Option<(&BTreeMap<String, Money>, SystemTime)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let id = &quotation.summary.id;
        let content = Content { asked: quotation.asked.clone(), prices: offer.map(|(prices, _)| prices.clone()) };
        sqlx::query(
            "update quotations set state = $3, version = version + 1, content = $4, ends_at = $5, changed_at = $6
             where shop = $1 and id = $2",
        )
        .bind(shop.as_str())
        .bind(id)
        .bind(state)
        .bind(key.seal_json(&content_place(shop, id), &content)?)
        .bind(offer.map(|(_, until)| milliseconds(until)))
        .bind(milliseconds(now))
        .execute(&mut **work)
        .await?;
        Ok(())
    }
}

/// The id of the order that a quotation is kept as: one that no platform's order has.
fn kept_as(id: &str) -> String {
    format!("{HOST_ID_PREFIX}quotation-{id}")
}

fn check(quotation: &Quotation, expected: Expected<'_>) -> Result<(), QuotationError> {
    let version = quotation.summary.version.to_string();
    expected.check(Some(&version)).map_err(|_| QuotationError::Changed(quotation.summary.id.clone()))
}

/// What can be accepted now.
fn offered(quotation: &Quotation, now: SystemTime) -> Result<Offer, QuotationError> {
    let (id, state) = (quotation.summary.id.clone(), quotation.summary.state);
    match (&quotation.offer, state) {
        (Some(offer), QuotationState::Offered | QuotationState::Accepted | QuotationState::Expired) => {
            if offer.until <= now {
                Err(QuotationError::Expired { id, ended: at(offer.until) })
            } else {
                Ok(offer.clone())
            }
        }
        _ => Err(QuotationError::State { id, state, wanted: "accepted" }),
    }
}

/// What a quotation is kept as, for the vendors to see.
fn as_order(
    host: &Cartwright,
    shop: &ShopId,
    asked: &NewQuotation,
    now: SystemTime,
) -> Result<(Order, SoldLines), QuotationError> {
    let id = kept_as(&asked.id);
    if asked.lines.is_empty() {
        return Err(ReportError::Empty(id).into());
    }
    let shop_like = host.shop(shop).map_err(CartError::from)?;
    let totals = asked.lines.iter().filter(|line| line.parent.is_none()).map(|line| &line.price.total);
    let nothing = Money { minor: 0, scale: shop_like.scale, currency: shop_like.currency.clone() };
    let numbers: Vec<String> = (1..=asked.lines.len()).map(|number| number.to_string()).collect();
    let numbered = numbers.iter().zip(&asked.lines);
    let ordered: Vec<OrderedLine<'_>> =
        numbered.map(|(number, line)| OrderedLine { released: false, ..OrderedLine::new(number, line) }).collect();
    let lines = host.order_lines(shop, &id, &nothing, &ordered)?;
    let unsummed = |why: &str| OrderError::Money { what: "the quotation's total", why: why.to_owned() };
    let total = totals.into_iter().try_fold(nothing, |sum, price| {
        if price.scale != sum.scale {
            return Err(unsummed("its lines have other decimals than the shop; price them anew in the cart"));
        }
        let minor = sum.minor.checked_add(price.minor).ok_or_else(|| unsummed("it is too large"))?;
        Ok(Money { minor, ..sum })
    })?;
    let sold = numbers.iter().zip(&asked.lines).map(|(number, line)| (number.clone(), SoldLine::from(line))).collect();
    let order = Order {
        reference: host.reference(shop, &id, None),
        number: asked.id.clone(),
        locale: asked.locale.clone(),
        id,
        test: false,
        vendor_reference: None,
        version: 1,
        placed_at: at(now),
        payment: "none".to_owned(),
        released: false,
        cancelled: false,
        total,
        billing: asked.buyer.clone(),
        delivery: None,
        shop_address: None,
        lines,
        extra: Vec::new(),
    };
    check_order(&order)?;
    Ok((order, sold))
}

async fn set_closed(work: &mut Work, shop: &ShopId, order: &str, closed: Option<i64>) -> Result<(), StoreError> {
    sqlx::query("update orders set closed_at = $3 where shop = $1 and id = $2")
        .bind(shop.as_str())
        .bind(order)
        .bind(closed)
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// What the event log says of a quotation: its lines and buyer are sealed, and stay so.
fn logged(state: QuotationState, offer: Option<&Offer>) -> Value {
    json!({ "state": state, "prices": offer.map(|offer| &offer.prices), "until": offer.map(|offer| at(offer.until)) })
}

async fn log(
    work: &mut Work,
    shop: &ShopId,
    id: &str,
    what: &str,
    who: &str,
    [before, after]: [Option<Value>; 2],
    now: SystemTime,
) -> Result<(), StoreError> {
    let (before, after) = (before.as_ref(), after.as_ref());
    let entry = NewLogEntry { who, what, shop: Some(shop), subject: id, before, after, ..NewLogEntry::default() };
    log_in(work, &entry, milliseconds(now)).await?;
    Ok(())
}
