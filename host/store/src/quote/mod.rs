//! Quotes: a shopper's request for the merchant's price, the merchant's offer, and what becomes of it.
//!
//! A quote is stored like an order, under the id `~quotation-<id>`: its lines and contact are encrypted with a key of
//! its own, the vendors of its products receive the event `quote-requested`, and it is exported and erased as
//! orders are. An order that results from it is a separate order.

mod change;

use std::collections::BTreeMap;
use std::time::SystemTime;

use cartwright::types::{Address, Money};
use cartwright::{CartError, CartLine, OrderError, QuoteOffer, ShopId};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use crate::database::{milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Quotes;
use crate::keys::aad;
use crate::order_list::skip_damaged;
use crate::report::ReportError;
use crate::vault::Key;

/// A quote request that a platform sends on behalf of a shopper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewQuote {
    /// Id of the platform: up to 100 letters, digits, ".", "_" and "-". The same id is the same quote.
    pub id: String,
    /// Platform's id of the customer, which the host does not interpret.
    pub customer: Option<String>,
    /// Contact of the customer, for vendors and order hooks that may see personal data. Its e-mail address identifies a
    /// customer's quotes for export and erasure.
    pub contact: Option<Address>,
    /// Language, BCP 47.
    pub locale: String,
    /// Requested lines, as the host returned them.
    pub lines: Vec<CartLine>,
}

/// The state of a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum QuoteState {
    /// The merchant has not made an offer yet.
    Requested,
    /// The merchant's offer can be accepted.
    Offered,
    /// The offer was accepted into a cart, and can be accepted again until it expires.
    Accepted,
    /// The merchant or the shopper withdrew the quote.
    Withdrawn,
    /// The offer expired before it was accepted.
    Expired,
}

impl QuoteState {
    /// Returns the name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Parses the name of a state; `is_over` says whether the offer has expired. An expired quote is stored as offered.
    fn of(name: &str, is_over: bool) -> Result<Self, StoreError> {
        match name {
            "requested" => Ok(Self::Requested),
            "offered" if is_over => Ok(Self::Expired),
            "offered" => Ok(Self::Offered),
            "accepted" => Ok(Self::Accepted),
            "withdrawn" => Ok(Self::Withdrawn),
            other => Err(StoreError::corrupt("a quote's state", other)),
        }
    }
}

/// A quote without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteSummary {
    /// Id of the platform.
    pub id: String,
    /// State of the quote.
    pub state: QuoteState,
    /// Version, which grows with each change.
    pub version: u64,
    /// Time at which the offer expires.
    pub valid_until: Option<SystemTime>,
    /// Time of the request.
    pub requested_at: SystemTime,
    /// Time of the last change.
    pub changed: SystemTime,
}

/// A quote.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// Quote without its content.
    pub summary: QuoteSummary,
    /// Order under which the quote is stored, with its jobs and outcomes.
    pub order: String,
    /// Request of the shopper.
    pub request: NewQuote,
    /// Offer of the merchant; `None` before there is one.
    pub offer: Option<QuoteOffer>,
}

/// Why a quote was not changed.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    /// The id is invalid.
    #[error("{0:?} is not a valid quote id: use 1 to 100 letters, digits, \".\", \"_\" and \"-\"")]
    Id(String),
    /// Another quote was requested with this id.
    #[error("the quote {0} was requested with other lines or for another customer; use a new id")]
    Exists(String),
    /// The quote changed since the caller read it. Read it again, then decide anew.
    #[error("the quote {0} changed since you read it; read it again, then repeat your change")]
    Changed(String),
    /// The state of the quote does not allow the action.
    #[error("the quote {id} is {}; it cannot be {action}", .state.name())]
    State {
        /// Id of the quote.
        id: String,
        /// State of the quote.
        state: QuoteState,
        /// Action, as a participle.
        action: &'static str,
    },
    /// The offer has expired. The merchant can make a new one.
    #[error("the offer of the quote {id} expired at {ended_at}; ask the merchant for a new offer")]
    Expired {
        /// Id of the quote.
        id: String,
        /// Time of the expiry, RFC 3339.
        ended_at: String,
    },
    /// The expiry of the offer is in the past or too far in the future.
    #[error("an offer must expire in the future and within a year")]
    End,
    /// The lines or prices cannot be used.
    #[error(transparent)]
    Cart(#[from] CartError),
    /// The lines cannot form an order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The event could not be reported.
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

/// The encrypted content of a quote.
#[derive(Serialize, Deserialize)]
struct QuoteContent {
    request: NewQuote,
    prices: Option<BTreeMap<String, Money>>,
}

/// Columns: id, state, version, expiry, time of the request, time of the last change.
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
        valid_until: expires_at.map(system_time),
        requested_at: system_time(requested_at),
        changed: system_time(changed_at),
    })
}

impl Quotes<'_> {
    /// Returns a quote in its state at this time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also if it was erased, or an error of the database.
    pub async fn get(self, shop: &ShopId, id: &str, now: SystemTime) -> Result<Quote, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        self.read_quote(&mut connection, shop, id, milliseconds(now)).await
    }

    /// Returns at most `limit` quotes of a shop in this state after the one with the id `after`, in the sequence of
    /// their requests.
    ///
    /// # Errors
    /// Fails if the database does.
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
        let encrypted: Option<(Vec<u8>, String, Option<Vec<u8>>)> = sqlx::query_as(
            "select q.content, q.order_id, o.order_key from quotes q
             join orders o on o.shop = q.shop and o.id = q.order_id where q.shop = $1 and q.id = $2 and q.version = $3",
        )
        .bind(shop.as_str())
        .bind(id)
        .bind(i64::try_from(summary.version).unwrap_or(i64::MAX))
        .fetch_optional(&mut *connection)
        .await?;
        // The quote was changed or erased between the two queries.
        let Some((content, order, order_key)) = encrypted else {
            return Err(StoreError::Conflict(format!("the quote {id} is being changed; read it again")));
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

    /// Returns the content of the quote that an order stores, for its export.
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

    /// Closes the orders of quotes whose offers have expired, and deletes those that were not changed since `before`.
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

/// Returns whether a text is a valid quote id. PostgreSQL cannot store every character, and ids appear in paths.
fn is_id(id: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&id.len()) && id.bytes().all(may_stand)
}

fn content_aad(shop: &ShopId, id: &str) -> String {
    aad("quote", shop.as_str(), id)
}
