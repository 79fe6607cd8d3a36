//! Changes of a quote: request, offer, acceptance, withdrawal.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use cartwright::types::{Money, Order, OrderEvent, OrderEventKind};
use cartwright::{
    CartChange, CartLine, Cartwright, MAX_ORDER_TEXT_BYTES, OrderError, OrderedLine, QuoteOffer, RESERVED_ID_PREFIX,
    ShopId, check_order, timestamp,
};
use serde_json::{Value, json};

use super::{NewQuote, Quote, QuoteContent, QuoteError, QuoteState, content_aad, is_id};
use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::facades::Quotes;
use crate::installation::Expected;
use crate::report::{ReportError, SoldLine, SoldLines, recipients};
use crate::vault::Key;

/// Maximum validity of an offer, because the order under which it is stored stays open no longer without activity.
const MAX_OFFER_AGE: Duration = Duration::from_secs(365 * 24 * 3600);

impl Quotes<'_> {
    /// Stores a quote request and the event for the vendors, in one transaction. Repeating it with the same id and
    /// content has no effect; then the second value is false.
    ///
    /// # Errors
    /// [`QuoteError::Exists`], [`QuoteError::Cart`] if a line is not as the host sealed it,
    /// [`QuoteError::Report`], or an error of the database. Nothing is stored then.
    pub async fn request(
        self,
        host: &Cartwright,
        shop: &ShopId,
        asked: &NewQuote,
        actor: &str,
        now: SystemTime,
    ) -> Result<(Quote, bool), QuoteError> {
        if !is_id(&asked.id) {
            return Err(QuoteError::Id(asked.id.chars().take(120).collect()));
        }
        if let Some(length) = asked.customer.as_ref().map(String::len).filter(|length| *length > MAX_ORDER_TEXT_BYTES) {
            return Err(OrderError::Text { field: "the customer".to_owned(), length }.into());
        }
        if let Some(known) = self.existing_request(shop, asked, now).await? {
            return Ok((known, false));
        }
        host.check_quote_lines(shop, &asked.lines)?;
        let (order, sold) = to_order(host, shop, asked, now)?;
        let jobs = recipients(host, shop, &order, &sold, false)?;
        let mut event = OrderEvent {
            id: order.id.clone(),
            at: timestamp(now),
            kind: OrderEventKind::QuoteRequested,
            order,
            previous_outcomes: Vec::new(),
            memos: Vec::new(),
            extra: Vec::new(),
        };
        let mut work = self.store.begin().await?;
        if let Some(customer) = &asked.customer {
            event.order.customer = self.store.personal_data().customer_pseudonym(&mut work, shop, customer).await?;
        }
        if self.store.orders().read_order(&mut work, shop, &event.order.id).await?.is_some() {
            return self.existing_quote(work, shop, asked, now).await;
        }
        let key = self.store.orders().store_order(&mut work, shop, &event.order, milliseconds(now)).await?;
        self.store.orders().store_bills_of_materials(&mut work, shop, (&event.order, &key), &sold).await?;
        // The platform's id of a customer may be an e-mail address, and the only one.
        if let Some(Ok(email)) = asked.customer.as_ref().map(|customer| customer.parse()) {
            self.store.personal_data().index_email(&mut work, shop, &event.order.id, &email).await?;
        }
        let content = QuoteContent { request: asked.clone(), prices: None };
        let added = sqlx::query(
            "insert into quotes (shop, id, order_id, state, version, content, requested_at, changed_at)
             values ($1, $2, $3, 'requested', 1, $4, $5, $5) on conflict (shop, id) do nothing",
        )
        .bind(shop.as_str())
        .bind(&asked.id)
        .bind(&event.order.id)
        .bind(key.encrypt_json(&content_aad(shop, &asked.id), &content)?)
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        if added.rows_affected() == 0 {
            return self.existing_quote(work, shop, asked, now).await;
        }
        let recorded = self.store.orders().record_in(&mut work, shop, &event, &jobs, milliseconds(now)).await?;
        if recorded == crate::event::RecordOutcome::AlreadyRecorded {
            return Err(QuoteError::Exists(asked.id.clone()));
        }
        let after = audit_value(QuoteState::Requested, None);
        commit(work, shop, &asked.id, "request-quote", actor, [None, Some(after)], now).await?;
        self.store.nudge();
        Ok((self.get(shop, &asked.id, now).await?, true))
    }

    /// A concurrent request stored the quote; or it was stored and has been deleted, or the platform has an order with
    /// this id.
    async fn existing_quote(
        self,
        work: WriteTransaction,
        shop: &ShopId,
        request: &NewQuote,
        now: SystemTime,
    ) -> Result<(Quote, bool), QuoteError> {
        work.rollback().await?;
        let known = self.existing_request(shop, request, now).await?;
        known.map(|known| (known, false)).ok_or_else(|| QuoteError::Exists(request.id.clone()))
    }

    async fn existing_request(
        self,
        shop: &ShopId,
        request: &NewQuote,
        now: SystemTime,
    ) -> Result<Option<Quote>, QuoteError> {
        match self.get(shop, &request.id, now).await {
            Ok(known) if known.request == *request => Ok(Some(known)),
            Ok(_) => Err(QuoteError::Exists(request.id.clone())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Offers the unit price of each top-level line, until the offer expires. A quote whose offer was not accepted, or
    /// has expired, can be offered again.
    ///
    /// # Errors
    /// [`QuoteError`] says what to do; nothing is changed then.
    #[allow(clippy::too_many_arguments)]
    pub async fn offer(
        self,
        host: &Cartwright,
        shop: &ShopId,
        offer: &QuoteOffer,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<Quote, QuoteError> {
        if offer.until <= now || offer.until > now + MAX_OFFER_AGE {
            return Err(QuoteError::End);
        }
        let id = &offer.quote;
        let mut work = self.store.begin().await?;
        let found = self.lock_quote(&mut work, shop, id, expected, now).await?;
        match found.0.summary.state {
            QuoteState::Requested | QuoteState::Offered | QuoteState::Expired => {}
            state => return Err(QuoteError::State { id: id.clone(), state, action: "offered" }),
        }
        host.quote_lines(shop, &found.0.request.lines, offer)?;
        self.set_state(&mut work, shop, &found, QuoteState::Offered, Some((&offer.prices, offer.until)), now).await?;
        // An expired offer had closed the order.
        self.store.orders().set_closed_at(&mut work, shop, &found.0.order, None).await?;
        let after = audit_value(QuoteState::Offered, Some(offer));
        let before = audit_value(found.0.summary.state, found.0.offer.as_ref());
        commit(work, shop, id, "offer-quote", actor, [Some(before), Some(after)], now).await?;
        Ok(self.get(shop, id, now).await?)
    }

    /// Withdraws a quote that was not accepted, permanently.
    ///
    /// # Errors
    /// [`QuoteError`] says what to do; nothing is changed then.
    pub async fn withdraw(
        self,
        shop: &ShopId,
        id: &str,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<Quote, QuoteError> {
        let mut work = self.store.begin().await?;
        let found = self.lock_quote(&mut work, shop, id, expected, now).await?;
        match found.0.summary.state {
            QuoteState::Withdrawn => return Ok(found.0),
            state @ QuoteState::Accepted => {
                return Err(QuoteError::State { id: id.to_owned(), state, action: "withdrawn" });
            }
            _ => {}
        }
        self.set_state(&mut work, shop, &found, QuoteState::Withdrawn, None, now).await?;
        self.store.orders().set_closed_at(&mut work, shop, &found.0.order, Some(milliseconds(now))).await?;
        let after = audit_value(QuoteState::Withdrawn, None);
        let before = audit_value(found.0.summary.state, found.0.offer.as_ref());
        commit(work, shop, id, "withdraw-quote", actor, [Some(before), Some(after)], now).await?;
        Ok(self.get(shop, id, now).await?)
    }

    /// Accepts an offer into a cart, and returns the changes of the cart. Accepting it again before it expires returns
    /// what the cart does not contain yet, so that a lost response does no harm.
    ///
    /// # Errors
    /// [`QuoteError::Expired`], and the other cases of [`QuoteError`]; nothing is changed then.
    #[allow(clippy::too_many_arguments)]
    pub async fn accept(
        self,
        host: &Cartwright,
        shop: &ShopId,
        id: &str,
        cart: &[CartLine],
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<(Quote, CartChange), QuoteError> {
        // The catalog is queried here, so that no transaction waits for it.
        let seen = self.get(shop, id, now).await?;
        let offer = acceptable_offer(&seen, now)?;
        check(&seen, expected)?;
        let change = host.accept_quote(shop, &seen.request.lines, &offer, cart).await?;
        if seen.summary.state == QuoteState::Accepted {
            return Ok((seen, change));
        }
        let mut work = self.store.begin().await?;
        let found = self.lock_quote(&mut work, shop, id, Expected::Any, now).await?;
        if found.0.offer != seen.offer {
            return Err(QuoteError::Changed(id.to_owned()));
        }
        if found.0.summary.state == QuoteState::Offered {
            let prices = Some((&offer.prices, offer.until));
            self.set_state(&mut work, shop, &found, QuoteState::Accepted, prices, now).await?;
            self.store.orders().set_closed_at(&mut work, shop, &found.0.order, Some(milliseconds(now))).await?;
            let after = audit_value(QuoteState::Accepted, Some(&offer));
            let before = audit_value(found.0.summary.state, found.0.offer.as_ref());
            commit(work, shop, id, "accept-quote", actor, [Some(before), Some(after)], now).await?;
        }
        Ok((self.get(shop, id, now).await?, change))
    }

    /// Locks a quote until this transaction ends, and returns it.
    async fn lock_quote(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        id: &str,
        expected: Expected<'_>,
        now: SystemTime,
    ) -> Result<(Quote, Key), QuoteError> {
        // The order before its quote, as everywhere.
        let locked = self.store.orders().lock_order(work, shop, &order_id_of_quote(id)).await;
        let key = locked.map_err(|error| match error {
            StoreError::NotFound { .. } => StoreError::NotFound { what: "quote", id: id.to_owned() },
            other => other,
        })?;
        let quote = self.read_quote(work, shop, id, milliseconds(now)).await?;
        check(&quote, expected)?;
        Ok((quote, key))
    }

    async fn set_state(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        (quote, key): &(Quote, Key),
        state: QuoteState,
        offer: Option<(&BTreeMap<String, Money>, SystemTime)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let id = &quote.summary.id;
        let content = QuoteContent { request: quote.request.clone(), prices: offer.map(|(prices, _)| prices.clone()) };
        sqlx::query(
            "update quotes set state = $3, version = version + 1, content = $4, expires_at = $5, changed_at = $6
             where shop = $1 and id = $2",
        )
        .bind(shop.as_str())
        .bind(id)
        .bind(state.name())
        .bind(key.encrypt_json(&content_aad(shop, id), &content)?)
        .bind(offer.map(|(_, until)| milliseconds(until)))
        .bind(milliseconds(now))
        .execute(&mut **work)
        .await?;
        Ok(())
    }
}

/// Returns the id of the order under which a quote is stored, which no platform's order can have.
fn order_id_of_quote(id: &str) -> String {
    format!("{RESERVED_ID_PREFIX}quotation-{id}")
}

fn check(quote: &Quote, expected: Expected<'_>) -> Result<(), QuoteError> {
    let version = quote.summary.version.to_string();
    expected.check(Some(&version)).map_err(|_| QuoteError::Changed(quote.summary.id.clone()))
}

/// Returns the offer, if it can be accepted now.
fn acceptable_offer(quote: &Quote, now: SystemTime) -> Result<QuoteOffer, QuoteError> {
    let (id, state) = (quote.summary.id.clone(), quote.summary.state);
    match (&quote.offer, state) {
        (Some(offer), QuoteState::Offered | QuoteState::Accepted | QuoteState::Expired) => {
            if offer.until <= now {
                Err(QuoteError::Expired { id, ended_at: timestamp(offer.until) })
            } else {
                Ok(offer.clone())
            }
        }
        _ => Err(QuoteError::State { id, state, action: "accepted" }),
    }
}

/// Returns the order under which a quote is stored, for the vendors to see.
fn to_order(
    host: &Cartwright,
    shop: &ShopId,
    request: &NewQuote,
    now: SystemTime,
) -> Result<(Order, SoldLines), QuoteError> {
    let id = order_id_of_quote(&request.id);
    let Some(first) = request.lines.first() else { return Err(ReportError::Empty(id).into()) };
    let totals = request.lines.iter().filter(|line| line.parent.is_none()).map(|line| &line.price.total);
    let nothing = Money { minor: 0, ..first.price.total.clone() };
    let numbers: Vec<String> = (1..=request.lines.len()).map(|number| number.to_string()).collect();
    let numbered = numbers.iter().zip(&request.lines);
    let ordered: Vec<OrderedLine<'_>> =
        numbered.map(|(number, line)| OrderedLine { released: false, ..OrderedLine::new(number, line) }).collect();
    let lines = host.order_lines(shop, &id, &nothing, &ordered)?;
    let unsummed = |reason: &str| OrderError::Money { field: "the quote's total", reason: reason.to_owned() };
    let total = totals.into_iter().try_fold(nothing.clone(), |sum, price| {
        if price.scale != sum.scale {
            return Err(unsummed("its lines differ in the number of decimals; refresh them in the cart"));
        }
        let minor = sum.minor.checked_add(price.minor).ok_or_else(|| unsummed("it is too large"))?;
        Ok(Money { minor, ..sum })
    })?;
    let sold =
        numbers.iter().zip(&request.lines).map(|(number, line)| (number.clone(), SoldLine::from(line))).collect();
    let order = Order {
        reference: host.reference(shop, &id, None),
        number: request.id.clone(),
        locale: request.locale.clone(),
        currency: total.currency.clone(),
        id,
        customer: None,
        test: false,
        vendor_reference: None,
        version: 1,
        placed_at: timestamp(now),
        paid: nothing.clone(),
        refunded: nothing,
        released: false,
        cancelled: false,
        total,
        tax_amount: None,
        shipping: None,
        billing: request.contact.clone(),
        delivery: None,
        shop_address: None,
        lines,
        extra: Vec::new(),
    };
    check_order(&order)?;
    Ok((order, sold))
}

/// Returns the audit value of a quote, without its lines and contact, which are encrypted.
fn audit_value(state: QuoteState, offer: Option<&QuoteOffer>) -> Value {
    let until = offer.map(|offer| timestamp(offer.until));
    json!({ "state": state, "prices": offer.map(|offer| &offer.prices), "until": until })
}

/// Commits a change of a quote with its audit entry.
async fn commit(
    work: WriteTransaction,
    shop: &ShopId,
    id: &str,
    what: &str,
    actor: &str,
    [before, after]: [Option<Value>; 2],
    now: SystemTime,
) -> Result<(), StoreError> {
    let (before, after) = (before.as_ref(), after.as_ref());
    let entry =
        NewAuditEntry { actor, action: what, shop: Some(shop), subject: id, before, after, ..NewAuditEntry::default() };
    work.commit_audited(&entry, now).await
}
