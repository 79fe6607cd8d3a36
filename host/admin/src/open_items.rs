//! Counts the open items of a shop for the badges of the navigation and the shop's first page.

use cartwright::ShopId;
use cartwright_http::access::Caller;
use cartwright_http::{Node, Problem};
use cartwright_store::{AccountOutcomeState, JobFilter, JobStateKind, QuoteState};

/// Maximum number of items of each kind that are counted; a badge shows "99+" for that many.
const MAX_COUNTED: u32 = 100;

/// The numbers of items of a shop that need a person, by kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OpenItems {
    /// Changes that a vendor pushed, to be approved or rejected.
    pub(super) changes: usize,
    /// Jobs that failed.
    pub(super) failed_jobs: usize,
    /// Jobs that need the merchant.
    pub(super) jobs_for_merchant: usize,
    /// Quote requests without an offer. Only admins see quotes.
    pub(super) quotes: usize,
    /// Notifications that the platform did not accept. Only admins see notifications.
    pub(super) failed_notifications: usize,
}

impl OpenItems {
    pub(super) async fn of(node: &Node, shop: &ShopId, caller: &Caller) -> Result<Self, Problem> {
        let store = node.store();
        let jobs = async |state: JobStateKind| {
            let filter = JobFilter { shop: Some(shop.clone()), state: Some(state), ..JobFilter::default() };
            Ok::<_, Problem>(store.jobs().list(&filter, MAX_COUNTED).await?.len())
        };
        let (quotes, failed_notifications) = match caller.is_admin() {
            true => {
                let requested = Some(QuoteState::Requested);
                let quotes = store.quotes().list(shop, requested, None, MAX_COUNTED, node.now()).await?;
                (quotes.len(), store.notifications().list(shop, true, None, MAX_COUNTED).await?.len())
            }
            false => (0, 0),
        };
        Ok(Self {
            changes: store
                .webhooks()
                .account_outcomes(shop, Some(AccountOutcomeState::PendingApproval), None, MAX_COUNTED)
                .await?
                .len(),
            failed_jobs: jobs(JobStateKind::Stopped).await?,
            jobs_for_merchant: jobs(JobStateKind::NeedsMerchant).await?,
            quotes,
            failed_notifications,
        })
    }

    pub(super) fn total(&self) -> usize {
        let Self { changes, failed_jobs, jobs_for_merchant, quotes, failed_notifications } = *self;
        changes + failed_jobs + jobs_for_merchant + quotes + failed_notifications
    }
}

/// Formats a number of open items for a badge.
pub(super) fn count_text(count: usize) -> String {
    match u32::try_from(count) {
        Ok(count) if count < MAX_COUNTED => count.to_string(),
        _ => format!("{}+", MAX_COUNTED - 1),
    }
}
