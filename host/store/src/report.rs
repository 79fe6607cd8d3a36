//! What a platform says happened to an order, and who is told: each vendor account that has lines in it, and the shop's order
//! hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright::types::{Event, EventKind, Order, OrderLine};
use cartwright::{
    AccountId, CartLine, Cartwright, Digest, OrderError, PluginVersion, RESERVED_ID_PREFIX, ReleasePolicy, SetupError,
    ShopId, check_event,
};
use semver::Version;
use serde_json::{Value, json};

use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::event::{Lines, NewJob, RecordOutcome, kind, reserved_event_id};
use crate::facades::Orders;
use crate::order::is_releasable;

/// What the lines of an order were sold as, by the order line's id.
pub type SoldLines = BTreeMap<String, SoldLine>;

/// What the host sealed of the cart line that an order line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoldLine {
    /// The component that the line is pinned to (`Pin::digest`).
    pub pin: Digest,
    /// Pieces that were sealed. No more of them are paid back or sent.
    pub quantity: u32,
}

impl From<&CartLine> for SoldLine {
    fn from(line: &CartLine) -> Self {
        Self { pin: line.pin.digest, quantity: line.quantity }
    }
}

/// An event could not be reported. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The shop is not set up in this host.
    #[error("there is no shop {0}; set it up before its orders are reported")]
    UnknownShop(ShopId),
    /// The order cannot be one: its ids, its money, its times.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// An order without lines.
    #[error("the order {0} has no lines; report it with all its lines, those of every account")]
    Empty(String),
    /// A line names an account that the shop does not have.
    #[error(
        "the line {line} was configured with the account {account:?}, which the shop does not have; set it up again, an old vendor's account stays until its orders are closed"
    )]
    UnknownAccount {
        /// The order line's id.
        line: String,
        /// The account.
        account: String,
    },
    /// A configured line has no pin.
    #[error("the configured line {line} has no pin; send `pin.digest` of its cart line")]
    NoPin {
        /// The order line's id.
        line: String,
    },
    /// The account has no version with this digest.
    #[error(
        "the line {line} is pinned to the component {digest}, which its account does not have; install it and swap the account to it once, or revoke it in favour of another version"
    )]
    UnknownPin {
        /// The order line's id.
        line: String,
        /// The component.
        digest: Digest,
    },
    /// The component was revoked, and nothing took its place.
    #[error(
        "the line {line} is pinned to the component {digest}, which was revoked without a replacement; name a replacement, then report the event again"
    )]
    Revoked {
        /// The order line's id.
        line: String,
        /// The component.
        digest: Digest,
    },
    /// The configuration of a line is no longer kept, so that nobody can make the line.
    #[error(
        "the configuration of the line {line} is no longer kept; have the product configured and added to the cart anew, and report the order with that cart line"
    )]
    ConfigurationGone {
        /// The order line's id.
        line: String,
    },
    /// The order was reported in a newer version before.
    #[error(
        "the order {order} is stored in version {known}, the event has version {reported}; report the current order"
    )]
    Older {
        /// The order.
        order: String,
        /// The newest version that was reported.
        known: u64,
        /// The event's.
        reported: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts that lines were configured with; of each line its id and its pin.
type Pinned<'a> = BTreeMap<AccountId, Vec<(&'a str, Digest)>>;

impl Orders<'_> {
    /// Takes in what a platform says happened to an order, works out who is told, and stores the event with their jobs in one
    /// transaction, with an entry in the event log that names `who` reported it. The same event twice does nothing twice.
    ///
    /// The order has all its lines, whomever they concern, as [`Cartwright::order_lines`] makes them. A line's `released` says whether the
    /// merchant lets it be produced (false = it is held for their approval); the order's own is found here: when the shop's [`ReleasePolicy`]
    /// policy is met, or the platform reports `released`, the order is released, and an event `released` follows of itself. It follows
    /// again whenever a later version frees a line: one that was held, is new or has more pieces than were released. While the state of
    /// that version does not release the order, a line that is new or has more pieces is held as a whole. The order stays released until
    /// a newer version is cancelled or paid back in full. An order that costs nothing counts as paid in full.
    ///
    /// Told are: each account that lines were configured with, of its lines, at the newest version that one of them is pinned to,
    /// or at its current version when the order was closed before; each account that was told of the order before and has no line in
    /// it any more; and each of the shop's order hooks, of all lines.
    ///
    /// `sold` says what each line was sold as. Of a line that it leaves out, no more pieces are paid back or sent than the line has.
    ///
    /// # Errors
    /// [`ReportError`] says what to do. Nothing is recorded then.
    pub async fn report(
        self,
        host: &Cartwright,
        shop: &ShopId,
        event: &Event,
        sold: &SoldLines,
        actor: &str,
        now: SystemTime,
    ) -> Result<RecordOutcome, ReportError> {
        check_event(event, |line| sold.get(&line.id).map_or(line.cart_line.quantity, |sold| sold.quantity))?;
        let at = milliseconds(now);
        let mut work = self.store.begin().await?;
        if self.is_recorded(&mut work, shop, event).await? {
            return Ok(RecordOutcome::AlreadyRecorded);
        }
        if event.order.lines.is_empty() {
            return Err(ReportError::Empty(event.order.id.clone()));
        }
        // Of two reports at the same time, the second finds what the first said.
        let known = self.lock_known_order(&mut work, shop, &event.order.id).await?;
        // Of an order that the host keeps for a quotation a platform says only that it is to be forgotten.
        if event.order.id.starts_with(RESERVED_ID_PREFIX) && (known.is_none() || event.kind != EventKind::Erase) {
            return Err(OrderError::ReservedId { field: "the order id", value: event.order.id.clone() }.into());
        }
        if let Some(known) = known.as_ref().filter(|known| known.order.version > event.order.version) {
            let (order, known) = (known.order.id.clone(), known.order.version);
            return Err(ReportError::Older { order, known, reported: event.order.version });
        }
        let state = host.shop(shop).map_err(|_| ReportError::UnknownShop(shop.clone()))?;
        // An order that was sold before the shop's currency changed keeps its own.
        let sold_in = known.as_ref().map_or(&state.currency, |known| &known.order.total.currency);
        let found = &event.order.total.currency;
        if *found != state.currency && found != sold_in {
            let (found, expected) = (found.clone(), state.currency.clone());
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
        let order_released = releases_order(state.release, event);
        let mut event = event.clone();
        let known_released = known.as_ref().filter(|known| known.released);
        event.order.released = is_releasable(&event.order) && (order_released || known_released.is_some());
        if let Some(known) = known_released.filter(|_| !order_released) {
            hold_new_lines(known, &mut event.order);
        }
        let lines_released = known_released.is_some_and(|known| releases_lines(known, &event.order));
        let mut recorded = self.record_in(&mut work, shop, &event, &recipients, at).await?;
        self.check_configurations(&mut work, shop, &event.order, known.as_ref()).await?;
        // Of two events that release it at the same time, one does.
        let released = order_released && self.release_in(&mut work, shop, &event.order).await?;
        if (released || lines_released) && event.kind != EventKind::Released {
            let id = reserved_event_id("released", &event.id);
            let released = Event { id, kind: EventKind::Released, ..event.clone() };
            let second = self.record_in(&mut work, shop, &released, &recipients, at).await?;
            if let (RecordOutcome::New { jobs }, RecordOutcome::New { jobs: more }) = (&mut recorded, second) {
                jobs.extend(more);
            }
        }
        if matches!(recorded, RecordOutcome::New { .. }) {
            let after = audit_value(&event.order, Some(&event));
            let entry = NewAuditEntry {
                actor,
                what: "report-event",
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

    /// Refuses an order with a line whose configuration the order has no copy of once it is recorded. Configurations that it named before
    /// are no matter: what the platform reports of a known order counts although one of them was lost.
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
        let kept: Vec<(String,)> = sqlx::query_as("select digest from blobs where shop = $1 and order_id = $2")
            .bind(shop.as_str())
            .bind(&order.id)
            .fetch_all(&mut **work)
            .await
            .map_err(StoreError::from)?;
        let kept: BTreeSet<&str> = kept.iter().map(|(digest,)| digest.as_str()).collect();
        let is_gone = |configuration: &str| !known.contains(configuration) && !kept.contains(configuration);
        match order.lines.iter().find(|line| line.configuration.as_deref().is_some_and(is_gone)) {
            Some(line) => Err(ReportError::ConfigurationGone { line: line.id.clone() }),
            None => Ok(()),
        }
    }

    /// The vendor accounts that were told of an order before, at the component that was told last.
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

/// What the event log says of an order: how far it is, and nothing of who bought what.
fn audit_value(order: &Order, event: Option<&Event>) -> Value {
    json!({
        "version": order.version, "payment": order.payment, "released": order.released, "cancelled": order.cancelled,
        "event": event.map(|event| &event.id), "kind": event.map(|event| kind(&event.kind)),
    })
}

/// Does an event release its order? The order's state says so, whatever happened last.
fn releases_order(policy: ReleasePolicy, event: &Event) -> bool {
    let is_paid = match event.kind {
        EventKind::Released => return is_releasable(&event.order),
        // Nothing of a cancelled order is made, and the host's own kinds do not say how the order is.
        EventKind::Cancelled
        | EventKind::QuotationRequested
        | EventKind::ConfigurationSaved
        | EventKind::Scheduled(_)
        | EventKind::Message(_)
        | EventKind::Erase => return false,
        // Of an order that costs nothing no payment ever comes.
        _ => event.order.payment == "full" || event.order.total.minor == 0,
    };
    is_releasable(&event.order)
        && match policy {
            ReleasePolicy::Paid => is_paid,
            ReleasePolicy::Placed => true,
            ReleasePolicy::ByHand => false,
        }
}

/// Holds back each line of a released order that was not released as it is: one that was added, was put in the place of another under its
/// id, or has more pieces, is not paid for because the order once was. It waits as a whole until the order's state, or the platform,
/// releases the order as it is now.
fn hold_new_lines(known: &Order, order: &mut Order) {
    let released = released_pieces(known);
    for line in &mut order.lines {
        line.released &= is_covered(&released, line);
    }
}

/// May something of a released order be made now that could not before?
fn releases_lines(known: &Order, order: &Order) -> bool {
    let released = released_pieces(known);
    order.released && order.lines.iter().any(|line| line.released && !is_covered(&released, line))
}

/// Pieces that may be made, by the order line's id and the key of its cart line.
type ReleasedPieces<'a> = BTreeMap<(&'a str, &'a str), u32>;

fn released_pieces(order: &Order) -> ReleasedPieces<'_> {
    let released = order.lines.iter().filter(|line| line.released);
    released.map(|line| ((line.id.as_str(), line.cart_line.key.as_str()), line.cart_line.quantity)).collect()
}

/// Were all pieces of a line released before? None need to be.
fn is_covered(released: &ReleasedPieces<'_>, line: &OrderLine) -> bool {
    let pieces = released.get(&(line.id.as_str(), line.cart_line.key.as_str())).copied().unwrap_or(0);
    line.cart_line.quantity <= pieces
}

/// What the lines of an order were configured with, by digest.
fn configurations(order: &Order) -> impl Iterator<Item = &str> {
    order.lines.iter().filter_map(|line| line.configuration.as_deref())
}

/// Who is told. The versions that a closed order's lines are pinned to are not kept in use for what comes later.
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

/// Of the versions that lines are pinned to, the newest.
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
        // Two builds may have one version.
        let is_current = current == Some(plugin.digest());
        newest_version = newest_version.max(Some((version(&plugin), is_current, plugin.digest())));
    }
    newest_version.map(|(_, _, digest)| digest).ok_or_else(|| ReportError::Empty(account.to_string()))
}
