//! Quotations: what a shopper asks the merchant's price for, what the merchant offers, and what becomes of the offer.
//!
//! A quotation is kept as an order is, under the id `~quotation-<id>`: its lines and buyer are sealed with a key of its own, the vendors
//! whose products it holds are told of it by the event `quotation-requested`, and it is exported and erased as orders are. An order
//! that comes of it is another order.

mod change;

use std::collections::BTreeMap;
use std::time::SystemTime;

use cartwright::types::{Address, Money};
use cartwright::{CartError, CartLine, OrderError, QuoteOffer, ShopId};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use crate::database::{milliseconds, moment};
use crate::error::StoreError;
use crate::facades::Quotes;
use crate::keys::aad;
use crate::order_list::skip_damaged;
use crate::report::ReportError;
use crate::vault::Key;

/// What a platform asks for on behalf of a shopper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewQuote {
    /// The platform's id: up to 100 letters, digits, ".", "_" and "-". The same id is the same quotation.
    pub id: String,
    /// The platform's own name of who asks; nobody else reads it.
    pub customer: Option<String>,
    /// Who asks, for the vendors and order hooks that may see personal data. By its e-mail address a customer's quotations are found
    /// when they are to be exported or erased.
    pub contact: Option<Address>,
    /// The language, BCP 47.
    pub locale: String,
    /// What for, as the host gave the lines.
    pub lines: Vec<CartLine>,
}

/// How far a quotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum QuoteState {
    /// The merchant is asked.
    Requested,
    /// The merchant offers a price, which holds.
    Offered,
    /// The offer was put into a cart. It goes on until it ends.
    Accepted,
    /// Nothing comes of it: the merchant or the shopper said so.
    Withdrawn,
    /// The offer ended before it was accepted.
    Expired,
}

impl QuoteState {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// The state of this name; `is_over` says whether the offer has ended. What has expired is stored as it was offered.
    fn of(name: &str, is_over: bool) -> Result<Self, StoreError> {
        match name {
            "requested" => Ok(Self::Requested),
            "offered" if is_over => Ok(Self::Expired),
            "offered" => Ok(Self::Offered),
            "accepted" => Ok(Self::Accepted),
            "withdrawn" => Ok(Self::Withdrawn),
            other => Err(StoreError::corrupt("a quotation's state", other)),
        }
    }
}

/// A quotation without what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteSummary {
    /// The platform's id.
    pub id: String,
    /// How far it is.
    pub state: QuoteState,
    /// Grows with each change.
    pub version: u64,
    /// When the offer ends.
    pub valid_until: Option<SystemTime>,
    /// When it was asked for.
    pub requested_at: SystemTime,
    /// When it was changed last.
    pub changed: SystemTime,
}

/// A quotation.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// How far it is.
    pub summary: QuoteSummary,
    /// The order that it is kept as: its jobs and what vendors said are there.
    pub order: String,
    /// What was asked for.
    pub request: NewQuote,
    /// What is offered; none before.
    pub offer: Option<QuoteOffer>,
}

/// A quotation was not changed.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    /// The id cannot be one.
    #[error("{0:?} cannot be the id of a quotation: use 1 to 100 letters, digits, \".\", \"_\" and \"-\"")]
    Id(String),
    /// Another quotation was asked for with this id.
    #[error("the quote {0} was requested with other lines or for another customer; use a new id")]
    Exists(String),
    /// It was changed since the caller read it. Read it again, then decide anew.
    #[error("the quote {0} was changed since you read it; read it again, then repeat your change")]
    Changed(String),
    /// It is over, or not so far.
    #[error("the quotation {id} is {}; it cannot be {action}", .state.name())]
    State {
        /// The quotation.
        id: String,
        /// How far it is.
        state: QuoteState,
        /// What was wanted of it.
        action: &'static str,
    },
    /// The offer's time is over. Ask for another, or offer anew.
    #[error("the offer of the quote {id} expired at {ended_at}; ask the merchant for a new offer")]
    Expired {
        /// The quotation.
        id: String,
        /// When, RFC 3339.
        ended_at: String,
    },
    /// An offer must end, and not before it begins.
    #[error("an offer must expire in the future and within a year")]
    End,
    /// The lines or prices cannot be used.
    #[error(transparent)]
    Cart(#[from] CartError),
    /// The lines cannot be an order's.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// It could not be reported.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for QuoteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What is sealed of a quotation.
#[derive(Serialize, Deserialize)]
struct QuoteContent {
    request: NewQuote,
    prices: Option<BTreeMap<String, Money>>,
}

/// Id, state, version, expires at, requested at, changed at.
type Row = (String, String, i64, Option<i64>, i64, i64);

const COLUMNS: &str = "id, state, version, expires_at, requested_at, changed_at";

fn summary(
    (id, state, version, expires_at, requested_at, changed_at): Row,
    now: i64,
) -> Result<QuoteSummary, StoreError> {
    Ok(QuoteSummary {
        id,
        state: QuoteState::of(&state, expires_at.is_some_and(|expires_at| expires_at <= now))?,
        version: u64::try_from(version).unwrap_or(0),
        valid_until: expires_at.map(moment),
        requested_at: moment(requested_at),
        changed: moment(changed_at),
    })
}

impl Quotes<'_> {
    /// A quotation as it is at this moment.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also when it was erased, and as the database says.
    pub async fn get(self, shop: &ShopId, id: &str, now: SystemTime) -> Result<Quote, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        self.read_quote(&mut connection, shop, id, milliseconds(now)).await
    }

    /// A shop's quotations, those that were asked for first before the others: at most `limit` of this state, after the one with the id
    /// `after`.
    ///
    /// # Errors
    /// As the database says.
    pub async fn list(
        self,
        shop: &ShopId,
        state: Option<QuoteState>,
        after: Option<&str>,
        limit: u32,
        now: SystemTime,
    ) -> Result<Vec<QuoteSummary>, StoreError> {
        if after.is_some_and(|id| !is_id(id)) {
            return Ok(Vec::new());
        }
        let now = milliseconds(now);
        let select = format!(
            "select {COLUMNS} from quotes
             where shop = $1 and ($2 is null or (requested_at, id) > (select a.requested_at, a.id from quotes a
                                                                  where a.shop = $1 and a.id = $2))
             and ($3 is null or $3 = case when state = 'offered' and expires_at <= $4 then 'expired' else state end)
             order by requested_at, id limit $5"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(shop.as_str())
            .bind(after)
            .bind(state.map(QuoteState::name))
            .bind(now)
            .bind(i64::from(limit))
            .fetch_all(self.store.pool())
            .await?;
        Ok(skip_damaged(rows.into_iter().map(|row| summary(row, now))))
    }

    async fn read_quote(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
        now: i64,
    ) -> Result<Quote, StoreError> {
        let missing = || StoreError::NotFound { what: "quote", id: id.to_owned() };
        let select = format!("select {COLUMNS} from quotes where shop = $1 and id = $2");
        if !is_id(id) {
            return Err(missing());
        }
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(shop.as_str())
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        let summary = summary(row.ok_or_else(missing)?, now)?;
        let sealed: Option<(Vec<u8>, String, Option<Vec<u8>>)> = sqlx::query_as(
            "select q.content, q.order_id, o.order_key from quotes q
             join orders o on o.shop = q.shop and o.id = q.order_id where q.shop = $1 and q.id = $2 and q.version = $3",
        )
        .bind(shop.as_str())
        .bind(id)
        .bind(i64::try_from(summary.version).unwrap_or(i64::MAX))
        .fetch_optional(&mut *connection)
        .await?;
        // It was changed or erased between the two.
        let Some((content, order, order_key)) = sealed else {
            return Err(StoreError::Conflict(format!("the quotation {id} is being changed; read it again")));
        };
        let key = self.store.orders().order_key(shop, &order, order_key)?;
        let QuoteContent { request: requested_at, prices } = key.decrypt_json(&content_aad(shop, id), &content)?;
        let offer = prices.zip(summary.valid_until).map(|(prices, valid_until)| QuoteOffer {
            quote: id.to_owned(),
            prices,
            until: valid_until,
        });
        Ok(Quote { summary, order, request: requested_at, offer })
    }

    /// What is kept of the quotation that an order is kept for, for its export.
    pub(crate) async fn quote_of_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &str,
        key: &Key,
    ) -> Result<Option<serde_json::Value>, StoreError> {
        let row: Option<(String, Vec<u8>)> =
            sqlx::query_as("select id, content from quotes where shop = $1 and order_id = $2")
                .bind(shop.as_str())
                .bind(order)
                .fetch_optional(connection)
                .await?;
        row.map(|(id, content)| key.decrypt_json(&content_aad(shop, &id), &content)).transpose()
    }

    /// Closes what quotations are kept as when their offers have ended, and deletes those that nobody touched since `before`.
    pub(crate) async fn sweep_quotes(self, before: i64, now: i64) -> Result<u64, StoreError> {
        let mut work = self.store.begin().await?;
        sqlx::query(
            "update orders set closed_at = $1 where closed_at is null and exists (
                 select 1 from quotes q where q.shop = orders.shop and q.order_id = orders.id
                 and q.state = 'offered' and q.expires_at <= $1)",
        )
        .bind(now)
        .execute(&mut *work)
        .await?;
        let deleted =
            sqlx::query("delete from quotes where changed_at < $1 and (expires_at is null or expires_at < $1)")
                .bind(before)
                .execute(&mut *work)
                .await?;
        work.commit().await?;
        Ok(deleted.rows_affected())
    }
}

/// PostgreSQL has no place for every character, and an id stands in paths.
fn is_id(id: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&id.len()) && id.bytes().all(may_stand)
}

fn content_aad(shop: &ShopId, id: &str) -> String {
    aad("quote", shop.as_str(), id)
}
