//! What a platform says happened to an order, and who is told: each vendor account that has lines in it, and the shop's order
//! hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright::types::{Event, EventKind, Order, OrderLine};
use cartwright::{
    AccountId, Cartwright, Digest, HOST_ID_PREFIX, OrderError, Plugin, Release, SetupError, ShopId, check_event,
};
use semver::Version;
use serde_json::{Value, json};

use crate::database::{Store, Work, milliseconds};
use crate::error::StoreError;
use crate::event::{Lines, NewJob, Recorded, host_event_id, kind};
use crate::event_log::{NewLogEntry, log_in};
use crate::order::may_be_released;

/// The component that each configured line of an order is pinned to (`Pin::digest` of its cart line), by the order line's id.
pub type Pins = BTreeMap<String, Digest>;

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
    #[error("the line {line} was configured, and has no pin; give `pin.digest` of the cart line that it came from")]
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
    /// The order was reported in a newer version before.
    #[error(
        "the order {order} is known in version {known}, the event has version {reported}; report it with the order as it is now"
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

impl Store {
    /// Takes in what a platform says happened to an order, works out who is told, and stores the event with their jobs in one
    /// transaction, with an entry in the event log that names `who` reported it. The same event twice does nothing twice.
    ///
    /// The order has all its lines, whomever they concern, as [`Cartwright::order_lines`] makes them. A line's `released` says whether the
    /// merchant lets it be produced (false = it is held for their approval); the order's own is found here: when the shop's [`Release`]
    /// policy is met, or the platform reports `released`, the order is released, and an event `released` follows of itself. It follows
    /// again whenever a later version frees a line: one that was held, had no pieces or is new. The order stays released until a newer
    /// version is cancelled or paid back in full. An order that costs nothing counts as paid in full.
    ///
    /// Told are: each account that lines were configured with, of its lines, at the newest version that one of them is pinned to,
    /// or at its current version when the order was closed before; each account that was told of the order before and has no line in
    /// it any more; and each of the shop's order hooks, of all lines.
    ///
    /// # Errors
    /// [`ReportError`] says what to do. Nothing is recorded then.
    pub async fn report(
        &self,
        host: &Cartwright,
        shop: &ShopId,
        event: &Event,
        pins: &Pins,
        who: &str,
        now: SystemTime,
    ) -> Result<Recorded, ReportError> {
        check_event(event)?;
        let at = milliseconds(now);
        let mut work = self.begin().await?;
        if self.is_recorded(&mut work, shop, event).await? {
            return Ok(Recorded::Known);
        }
        if event.order.lines.is_empty() {
            return Err(ReportError::Empty(event.order.id.clone()));
        }
        // Of two reports at the same time, the second finds what the first said.
        let known = match self.lock_order(&mut work, shop, &event.order.id).await {
            Ok(_) => self.known_order(&mut work, shop, &event.order.id).await?,
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        // Of an order that the host keeps for a quotation a platform says only that it is to be forgotten.
        if event.order.id.starts_with(HOST_ID_PREFIX) && (known.is_none() || event.kind != EventKind::Erase) {
            return Err(OrderError::HostId { what: "the order id", value: event.order.id.clone() }.into());
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
        let mut told = told(host, shop, &event.order, pins, known.as_ref().is_some_and(|known| known.closed))?;
        if known.is_some() {
            let former = self.former_accounts(&mut work, shop, &event.order.id).await?;
            let is_told = |job: &NewJob| told.iter().any(|told| told.account == job.account);
            let former: Vec<NewJob> =
                former.into_iter().filter(|job| !is_told(job) && host.running(shop, &job.account).is_ok()).collect();
            told.extend(former);
        }
        let before = known.as_ref().map(|known| logged(&known.order, None));
        let releases = releases(state.release, event);
        let mut event = event.clone();
        let known = known.map(|known| known.order).filter(|known| known.released);
        event.order.released = may_be_released(&event.order) && (releases || known.is_some());
        if let Some(known) = known.as_ref().filter(|_| !releases) {
            hold_what_is_new(known, &mut event.order);
        }
        let frees = known.is_some_and(|known| frees(&known, &event.order));
        let mut recorded = self.record_in(&mut work, shop, &event, &told, at).await?;
        // Of two events that release it at the same time, one does.
        let released = releases && self.release_in(&mut work, shop, &event.order).await?;
        if (released || frees) && event.kind != EventKind::Released {
            let id = host_event_id("released", &event.id);
            let released = Event { id, kind: EventKind::Released, ..event.clone() };
            let second = self.record_in(&mut work, shop, &released, &told, at).await?;
            if let (Recorded::New { jobs }, Recorded::New { jobs: more }) = (&mut recorded, second) {
                jobs.extend(more);
            }
        }
        if matches!(recorded, Recorded::New { .. }) {
            let after = logged(&event.order, Some(&event));
            let entry = NewLogEntry {
                who,
                what: "report-event",
                shop: Some(shop),
                subject: &event.order.id,
                before: before.as_ref(),
                after: Some(&after),
                secrets: &[],
            };
            log_in(&mut work, &entry, at).await?;
        }
        work.commit().await?;
        self.nudge();
        Ok(recorded)
    }

    /// The vendor accounts that were told of an order before, at the component that was told last.
    async fn former_accounts(&self, work: &mut Work, shop: &ShopId, order: &str) -> Result<Vec<NewJob>, StoreError> {
        let told: Vec<(String, String)> = sqlx::query_as(
            "select l.account, j.plugin from lanes l join jobs j on j.lane = l.id
             where l.shop = $1 and l.order_id = $2 and l.all_lines = 0 order by j.created_at, j.turn",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_all(&mut **work)
        .await?;
        let latest: BTreeMap<String, String> = told.into_iter().collect();
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
fn logged(order: &Order, event: Option<&Event>) -> Value {
    json!({
        "version": order.version, "payment": order.payment, "released": order.released, "cancelled": order.cancelled,
        "event": event.map(|event| &event.id), "kind": event.map(|event| kind(&event.kind)),
    })
}

/// Does an event release its order? The order's state says so, whatever happened last.
fn releases(policy: Release, event: &Event) -> bool {
    let is_paid = match event.kind {
        EventKind::Released => return may_be_released(&event.order),
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
    may_be_released(&event.order)
        && match policy {
            Release::Paid => is_paid,
            Release::Placed => true,
            Release::ByHand => false,
        }
}

/// Holds back each line of a released order that was not released as it is: one that was added, or put in the place of another under its
/// id, is not paid for because the order once was. It waits until the order's state, or the platform, releases the order as it is now.
fn hold_what_is_new(known: &Order, order: &mut Order) {
    let released: BTreeMap<&str, &str> = known
        .lines
        .iter()
        .filter(|line| line.released)
        .map(|line| (line.id.as_str(), line.cart_line.key.as_str()))
        .collect();
    for line in &mut order.lines {
        line.released &= released.get(line.id.as_str()) == Some(&line.cart_line.key.as_str());
    }
}

/// May a line of a released order be made now that could not before?
fn frees(known: &Order, order: &Order) -> bool {
    let can_be_made = |line: &OrderLine| line.released && line.cart_line.quantity > 0;
    let could_be_made: BTreeSet<&str> =
        known.lines.iter().filter(|line| can_be_made(line)).map(|line| line.id.as_str()).collect();
    order.released && order.lines.iter().any(|line| can_be_made(line) && !could_be_made.contains(line.id.as_str()))
}

/// Who is told. The versions that a closed order's lines are pinned to are not kept in use for what comes later.
pub(crate) fn told(
    host: &Cartwright,
    shop: &ShopId,
    order: &Order,
    pins: &Pins,
    closed: bool,
) -> Result<Vec<NewJob>, ReportError> {
    let hooks = host.order_hooks(shop).map_err(|_| ReportError::UnknownShop(shop.clone()))?;
    let mut jobs = Vec::new();
    for (account, lines) in vendors(host, shop, order, pins)? {
        let plugin = match host.running(shop, &account) {
            Ok(current) if closed => current.digest(),
            _ => newest(host, shop, &account, &lines)?,
        };
        jobs.push(NewJob { account, plugin, lines: Lines::Own });
    }
    for (account, plugin) in hooks {
        jobs.push(NewJob { account, plugin: plugin.digest(), lines: Lines::All });
    }
    Ok(jobs)
}

fn vendors<'a>(host: &Cartwright, shop: &ShopId, order: &'a Order, pins: &Pins) -> Result<Pinned<'a>, ReportError> {
    let mut vendors = Pinned::new();
    for line in &order.lines {
        let Some(account) = &line.account else { continue };
        let unknown = || ReportError::UnknownAccount { line: line.id.clone(), account: account.clone() };
        let id: AccountId = account.parse().map_err(|_| unknown())?;
        host.running(shop, &id).map_err(|_| unknown())?;
        let pin = pins.get(&line.id).ok_or_else(|| ReportError::NoPin { line: line.id.clone() })?;
        vendors.entry(id).or_default().push((&line.id, *pin));
    }
    Ok(vendors)
}

/// Of the versions that lines are pinned to, the newest.
fn newest(
    host: &Cartwright,
    shop: &ShopId,
    account: &AccountId,
    lines: &[(&str, Digest)],
) -> Result<Digest, ReportError> {
    let version = |plugin: &Plugin| Version::parse(&plugin.about().identity.version).ok();
    let current = host.running(shop, account).map(|plugin| plugin.digest()).ok();
    let mut newest = None;
    for (line, digest) in lines {
        let (line, digest) = ((*line).to_owned(), *digest);
        let plugin = host.pinned(shop, account, &digest).map_err(|error| match error {
            SetupError::Revoked(_) => ReportError::Revoked { line, digest },
            _ => ReportError::UnknownPin { line, digest },
        })?;
        // Two builds may have one version.
        let is_current = current == Some(plugin.digest());
        newest = newest.max(Some((version(&plugin), is_current, plugin.digest())));
    }
    newest.map(|(_, _, digest)| digest).ok_or_else(|| ReportError::Empty(account.to_string()))
}
