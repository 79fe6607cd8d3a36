//! Reports of a platform about an order, and the accounts that receive them: each vendor account with lines in the
//! order, and the shop's order hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright::types::{Article, Order, OrderEvent, OrderEventKind, OrderLine};
use cartwright::{
    AccountId, CartLine, Cartwright, Digest, Interface, OrderError, PluginVersion, RESERVED_ID_PREFIX, ReleasePolicy,
    SetupError, ShopId, check_event,
};
use semver::Version;
use serde_json::{Value, json};

use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::event::{Lines, NewJob, RecordOutcome, kind, reserved_event_id};
use crate::facades::Orders;
use crate::order::is_releasable;

/// How the lines of an order were sold, by the order line's id.
pub type SoldLines = BTreeMap<String, SoldLine>;

/// The sealed terms of the cart line that an order line came from.
#[derive(Debug, Clone, PartialEq)]
pub struct SoldLine {
    /// Component that the line is pinned to (`Pin::digest`).
    pub pin: Digest,
    /// Bill of materials of one piece.
    pub bill_of_materials: Vec<Article>,
}

impl From<&CartLine> for SoldLine {
    fn from(line: &CartLine) -> Self {
        Self { pin: line.pin.digest, bill_of_materials: line.bill_of_materials.clone() }
    }
}

/// Why an event could not be reported. Nothing was recorded then.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The shop is not set up in this host.
    #[error("shop {0} not found; set it up before reporting its orders")]
    UnknownShop(ShopId),
    /// The order is invalid: its ids, money or times.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The order has no lines.
    #[error("the order {0} has no lines; report it with all its lines")]
    Empty(String),
    /// A line names an account that the shop does not have.
    #[error(
        "the line {line} was configured with the account {account:?}, which the shop does not have; set it up again, and keep an old vendor's account until its orders are closed"
    )]
    UnknownAccount {
        /// Id of the order line.
        line: String,
        /// Id of the account.
        account: String,
    },
    /// A configured line has no pin.
    #[error("the configured line {line} has no pin; send `pin.digest` of its cart line")]
    NoPin {
        /// Id of the order line.
        line: String,
    },
    /// The account has no version with this digest.
    #[error(
        "the line {line} is pinned to the component {digest}, which its account does not have; install it and switch the account to it once, or revoke it in favor of another version"
    )]
    UnknownPin {
        /// Id of the order line.
        line: String,
        /// Digest of the component.
        digest: Digest,
    },
    /// The component was revoked without a replacement.
    #[error(
        "the line {line} is pinned to the component {digest}, which was revoked without a replacement; name a replacement, then report the event again"
    )]
    Revoked {
        /// Id of the order line.
        line: String,
        /// Digest of the component.
        digest: Digest,
    },
    /// The configuration of a line was deleted, so that the line cannot be produced.
    #[error(
        "the configuration of the line {line} is no longer stored; have the product configured and added to the cart again, and report the order with that cart line"
    )]
    ConfigurationGone {
        /// Id of the order line.
        line: String,
    },
    /// The order was reported in a newer version before.
    #[error(
        "the order {order} is stored in version {known}, but the event has version {reported}; report the current order"
    )]
    Older {
        /// Id of the order.
        order: String,
        /// Newest stored version.
        known: u64,
        /// Version of the event.
        reported: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts of configured lines, each with the ids and pins of its lines.
type Pinned<'a> = BTreeMap<AccountId, Vec<(&'a str, Digest)>>;

impl Orders<'_> {
    /// Reports an order event: determines the accounts that receive it, and stores the event with their jobs in one
    /// transaction, with an audit entry that names the actor `who`. Reporting the same event twice has no further
    /// effect.
    ///
    /// The order must have all its lines, whichever accounts they concern, as [`Cartwright::order_lines`] creates them.
    /// A line's `released` says whether the merchant allows its production (false = it is on hold). The order's own
    /// flag is determined here: when the shop's [`ReleasePolicy`] is met, or the platform reports `released`, the order
    /// is released, and an event `released` follows automatically. It follows again whenever a later version frees a
    /// line: one that was on hold, is new, or has a larger quantity than was released. While the state of that version
    /// does not release the order, a line that is new or has a larger quantity is on hold as a whole. The order stays
    /// released until a newer version is cancelled or refunded in full. It is paid in full while what was paid and not
    /// refunded covers its total; an order that costs nothing always is. So a line that was on hold when a part of the
    /// order was refunded waits until the platform reports `released`.
    ///
    /// The event's order names the customer as the platform does, by an id or an e-mail address. The host stores and
    /// hands out a pseudonym in its place.
    ///
    /// The event goes to each account that lines were configured with, for its lines, at the newest version that one of
    /// them is pinned to, or at its current version if the order was closed before; to each account that received an
    /// earlier event of the order and has no line in it any more; and to each of the shop's order hooks, for all lines.
    ///
    /// `sold` says how each configured line was sold. For a line that it omits, a bill of materials that is stored stays
    /// as it is.
    ///
    /// # Errors
    /// [`ReportError`] says what to do. Nothing is recorded then.
    pub async fn report(
        self,
        host: &Cartwright,
        shop: &ShopId,
        event: &OrderEvent,
        sold: &SoldLines,
        actor: &str,
        now: SystemTime,
    ) -> Result<RecordOutcome, ReportError> {
        check_event(event)?;
        let at = milliseconds(now);
        let mut work = self.store.begin().await?;
        let mut event = event.clone();
        let customer = event.order.customer.take();
        if let Some(customer) = &customer {
            event.order.customer = self.store.personal_data().customer_pseudonym(&mut work, shop, customer).await?;
        }
        if self.is_recorded(&mut work, shop, &event).await? {
            return Ok(RecordOutcome::AlreadyRecorded);
        }
        if event.order.lines.is_empty() {
            return Err(ReportError::Empty(event.order.id.clone()));
        }
        // Of two concurrent reports, the second finds the result of the first.
        let known = self.lock_known_order(&mut work, shop, &event.order.id).await?;
        // For the order under which a quote is stored, a platform may only report the erasure.
        if event.order.id.starts_with(RESERVED_ID_PREFIX) && (known.is_none() || event.kind != OrderEventKind::Erase) {
            return Err(OrderError::ReservedId { field: "the order id", value: event.order.id.clone() }.into());
        }
        if let Some(known) = known.as_ref().filter(|known| known.order.version > event.order.version) {
            let (order, known) = (known.order.id.clone(), known.order.version);
            return Err(ReportError::Older { order, known, reported: event.order.version });
        }
        let state = host.shop(shop).map_err(|_| ReportError::UnknownShop(shop.clone()))?;
        // An order that was sold before the shop's currencies changed keeps its own.
        let sold_in = known.as_ref().map(|known| &known.order.total.currency);
        let found = &event.order.total.currency;
        if state.currencies.get(found).is_none() && sold_in != Some(found) {
            let codes: Vec<&str> = state.currencies.iter().map(|known| known.code.as_str()).collect();
            let (found, expected) = (found.clone(), codes.join(" or "));
            return Err(OrderError::OtherCurrency { found, expected }.into());
        }
        let mut recipients =
            recipients(host, shop, &event.order, sold, known.as_ref().is_some_and(|known| known.closed))?;
        if known.is_some() {
            let former = self.previous_accounts(&mut work, shop, &event.order.id).await?;
            let is_told = |job: &NewJob| recipients.iter().any(|recipients| recipients.account == job.account);
            let former: Vec<NewJob> = former
                .into_iter()
                .filter(|job| !is_told(job) && host.current_version(shop, &job.account).is_ok())
                .collect();
            recipients.extend(former);
        }
        let known = known.map(|known| known.order);
        let before = known.as_ref().map(|known| audit_value(known, None));
        let meets_policy = releases_order(state.release, &event);
        let released_before = known.as_ref().filter(|known| known.released);
        event.order.released = is_releasable(&event.order) && (meets_policy || released_before.is_some());
        if let Some(known) = released_before.filter(|_| !meets_policy) {
            hold_new_lines(known, &mut event.order);
        }
        let frees_lines = released_before.is_some_and(|known| releases_lines(known, &event.order));
        let mut recorded = self.record_in(&mut work, shop, &event, &recipients, at).await?;
        let key = self.lock_order(&mut work, shop, &event.order.id).await?;
        self.store_bills_of_materials(&mut work, shop, (&event.order, &key), sold).await?;
        self.check_configurations(&mut work, shop, &event.order, known.as_ref()).await?;
        // The platform's name of a customer may be an e-mail address, and the only one.
        if let Some(Ok(email)) = customer.as_ref().map(|customer| customer.parse()) {
            self.store.personal_data().index_email(&mut work, shop, &event.order.id, &email).await?;
        }
        // Of two concurrent events that release the order, only one does.
        let is_newly_released = meets_policy && self.release_in(&mut work, shop, &event.order).await?;
        if (is_newly_released || frees_lines) && event.kind != OrderEventKind::Released {
            let id = reserved_event_id("released", &event.id);
            let follow_up = OrderEvent { id, kind: OrderEventKind::Released, ..event.clone() };
            let second = self.record_in(&mut work, shop, &follow_up, &recipients, at).await?;
            if let (RecordOutcome::New { jobs }, RecordOutcome::New { jobs: more }) = (&mut recorded, second) {
                jobs.extend(more);
            }
        }
        if matches!(recorded, RecordOutcome::New { .. }) {
            let after = audit_value(&event.order, Some(&event));
            let entry = NewAuditEntry {
                actor,
                action: "report-event",
                shop: Some(shop),
                subject: &event.order.id,
                before: before.as_ref(),
                after: Some(&after),
                secrets: &[],
            };
            append_audit_entry(&mut work, &entry, at).await?;
        }
        work.commit().await?;
        self.store.nudge();
        Ok(recorded)
    }

    /// Refuses an order with a line whose configuration the order would have no copy of. Configurations that the stored
    /// order already named are not checked: the report of a known order is accepted although one of them was lost.
    async fn check_configurations(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        order: &Order,
        known: Option<&Order>,
    ) -> Result<(), ReportError> {
        let known: BTreeSet<&str> = known.map(configurations).into_iter().flatten().collect();
        if configurations(order).all(|configuration| known.contains(configuration)) {
            return Ok(());
        }
        let rows: Vec<(String,)> = sqlx::query_as("select digest from blobs where shop = $1 and order_id = $2")
            .bind(shop.as_str())
            .bind(&order.id)
            .fetch_all(&mut **work)
            .await
            .map_err(StoreError::from)?;
        let rows: BTreeSet<&str> = rows.iter().map(|(digest,)| digest.as_str()).collect();
        let is_gone = |configuration: &str| !known.contains(configuration) && !rows.contains(configuration);
        match order.lines.iter().find(|line| line.configuration.as_deref().is_some_and(is_gone)) {
            Some(line) => Err(ReportError::ConfigurationGone { line: line.id.clone() }),
            None => Ok(()),
        }
    }

    /// Returns the vendor accounts that received earlier events of an order, each with the component of its last job.
    async fn previous_accounts(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        order: &str,
    ) -> Result<Vec<NewJob>, StoreError> {
        let recipients: Vec<(String, String)> = sqlx::query_as(
            "select l.account, j.plugin from job_lanes l join jobs j on j.lane_id = l.id
             where l.shop = $1 and l.order_id = $2 and l.all_lines = 0 order by j.created_at, j.position",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_all(&mut **work)
        .await?;
        let latest: BTreeMap<String, String> = recipients.into_iter().collect();
        let job = |(account, plugin): (String, String)| {
            Ok(NewJob {
                account: account.parse().map_err(|error| StoreError::corrupt("a lane's account", error))?,
                plugin: plugin.parse().map_err(|error| StoreError::corrupt("a job's plugin", error))?,
                lines: Lines::Own,
            })
        };
        latest.into_iter().map(job).collect()
    }
}

/// Returns the audit value of an order: its state, and nothing about the customer or the products.
fn audit_value(order: &Order, event: Option<&OrderEvent>) -> Value {
    json!({
        "version": order.version, "paid": order.paid, "refunded": order.refunded, "released": order.released,
        "cancelled": order.cancelled, "event": event.map(|event| &event.id),
        "kind": event.map(|event| kind(&event.kind)),
    })
}

/// Returns whether an event releases its order. The order's state decides, whatever happened last.
fn releases_order(policy: ReleasePolicy, event: &OrderEvent) -> bool {
    let is_paid = match event.kind {
        OrderEventKind::Released => return is_releasable(&event.order),
        // A cancelled order is not produced, and the host's own kinds say nothing about the order's state.
        OrderEventKind::Cancelled
        | OrderEventKind::QuoteRequested
        | OrderEventKind::Forwarded(_)
        | OrderEventKind::Erase => return false,
        _ => event.order.is_paid(),
    };
    is_releasable(&event.order)
        && match policy {
            ReleasePolicy::Paid => is_paid,
            ReleasePolicy::Placed => true,
            ReleasePolicy::ByHand => false,
        }
}

/// Puts lines of a released order on hold that were not released in their present form: the payment of the order does
/// not cover a line that was added, that replaced another under its id, or that has a larger quantity. The line waits
/// as a whole until the order's state, or the platform, releases the order in its present form. A bundle and its
/// children wait together.
fn hold_new_lines(known: &Order, order: &mut Order) {
    let released = released_pieces(known);
    let top_key = |line: &OrderLine| line.cart_line.parent_key.as_ref().unwrap_or(&line.cart_line.key).clone();
    let waiting: BTreeSet<String> =
        order.lines.iter().filter(|line| !is_covered(&released, line)).map(top_key).collect();
    for line in &mut order.lines {
        line.released &= !waiting.contains(&top_key(line));
    }
}

/// Returns whether a line of a released order can be produced now that could not before.
fn releases_lines(known: &Order, order: &Order) -> bool {
    let released = released_pieces(known);
    order.released && order.lines.iter().any(|line| line.released && !is_covered(&released, line))
}

/// The quantity that may be produced, by the order line's id and the key of its cart line.
type ReleasedPieces<'a> = BTreeMap<(&'a str, &'a str), u32>;

fn released_pieces(order: &Order) -> ReleasedPieces<'_> {
    let released = order.lines.iter().filter(|line| line.released);
    released.map(|line| ((line.id.as_str(), line.cart_line.key.as_str()), line.cart_line.quantity)).collect()
}

/// Returns whether the whole quantity of a line was released before. An empty quantity always was.
fn is_covered(released: &ReleasedPieces<'_>, line: &OrderLine) -> bool {
    let pieces = released.get(&(line.id.as_str(), line.cart_line.key.as_str())).copied().unwrap_or(0);
    line.cart_line.quantity <= pieces
}

/// Returns the configurations of an order's lines, by digest.
fn configurations(order: &Order) -> impl Iterator<Item = &str> {
    order.lines.iter().filter_map(|line| line.configuration.as_deref())
}

/// Returns the accounts that receive an event. The pinned versions of a closed order's lines are not kept in use for
/// later events.
pub(crate) fn recipients(
    host: &Cartwright,
    shop: &ShopId,
    order: &Order,
    sold: &SoldLines,
    closed: bool,
) -> Result<Vec<NewJob>, ReportError> {
    let hooks = host.order_hooks(shop).map_err(|_| ReportError::UnknownShop(shop.clone()))?;
    let mut jobs = Vec::new();
    for (account, lines) in vendors(host, shop, order, sold)? {
        let plugin = match host.current_version(shop, &account) {
            Ok(current) if closed => current.digest(),
            _ => newest_version(host, shop, &account, &lines)?,
        };
        // A vendor that exports no `orders` gets no job.
        if host.plugin(&plugin).is_some_and(|version| !version.has(Interface::Orders)) {
            continue;
        }
        jobs.push(NewJob { account, plugin, lines: Lines::Own });
    }
    for (account, plugin) in hooks {
        jobs.push(NewJob { account, plugin: plugin.digest(), lines: Lines::All });
    }
    Ok(jobs)
}

fn vendors<'a>(
    host: &Cartwright,
    shop: &ShopId,
    order: &'a Order,
    sold: &SoldLines,
) -> Result<Pinned<'a>, ReportError> {
    let mut vendors = Pinned::new();
    for line in &order.lines {
        let Some(account) = &line.account else { continue };
        let unknown = || ReportError::UnknownAccount { line: line.id.clone(), account: account.clone() };
        let id: AccountId = account.parse().map_err(|_| unknown())?;
        host.current_version(shop, &id).map_err(|_| unknown())?;
        let sold = sold.get(&line.id).ok_or_else(|| ReportError::NoPin { line: line.id.clone() })?;
        vendors.entry(id).or_default().push((&line.id, sold.pin));
    }
    Ok(vendors)
}

/// Returns the newest of the versions that lines are pinned to.
fn newest_version(
    host: &Cartwright,
    shop: &ShopId,
    account: &AccountId,
    lines: &[(&str, Digest)],
) -> Result<Digest, ReportError> {
    let version = |plugin: &PluginVersion| Version::parse(&plugin.metadata().identity.version).ok();
    let current = host.current_version(shop, account).map(|plugin| plugin.digest()).ok();
    let mut newest_version = None;
    for (line, digest) in lines {
        let (line, digest) = ((*line).to_owned(), *digest);
        let plugin = host.pinned_version(shop, account, &digest).map_err(|error| match error {
            SetupError::Revoked(_) => ReportError::Revoked { line, digest },
            _ => ReportError::UnknownPin { line, digest },
        })?;
        // Two builds may have the same version.
        let is_current = current == Some(plugin.digest());
        newest_version = newest_version.max(Some((version(&plugin), is_current, plugin.digest())));
    }
    newest_version.map(|(_, _, digest)| digest).ok_or_else(|| ReportError::Empty(account.to_string()))
}
