//! The memory of all request bodies together: the node's budget, its shares, and the account of each request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::http::Extensions;
use cartwright::ShopId;

use crate::client_address::network_of;
use crate::limits::{LimitSettings, MAX_BODY_BYTES};

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The body is larger than its operation allows; contains the limit in bytes.
    #[error("the body is larger than the {0} bytes that this operation accepts")]
    TooLarge(usize),
    /// The body exceeds the budget of its sender for now.
    #[error("the request bodies of {owner} use all {max} bytes that are allowed at a time; try again")]
    NoRoom {
        /// Owner of the exhausted share.
        owner: &'static str,
        /// Size of the share, in bytes.
        max: usize,
    },
}

/// The sender that a body is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sender {
    /// A sender with a secret key: the platform's server, an integrator, an admin.
    Trusted,
    /// A sender with the public key of a shop's storefront.
    Storefront(ShopId),
    /// A sender without a key: of a webhook, or of the sign-in form.
    Anonymous,
}

/// A share of the budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum BodyShare {
    Public,
    Shop(ShopId),
    Address(Option<IpAddr>),
}

/// Memory budget for the bodies of all requests in progress, in bytes. Senders without a secret key share half of it,
/// one shop's storefronts a quarter, and one client address has an eighth.
pub(crate) struct BodyBudget {
    max: usize,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    bytes: usize,
    /// Bytes in use by share. No entry is zero, so that there are never more entries than bodies.
    shares: HashMap<BodyShare, usize>,
}

impl BodyBudget {
    /// Creates a budget of `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self { max, used: Mutex::default() }
    }

    /// Creates the budget that an operator set.
    pub(crate) fn from_settings(settings: &LimitSettings) -> Self {
        Self::new(usize::try_from(settings.max_body_bytes_in_flight.get()).unwrap_or(usize::MAX))
    }

    /// Returns the number of bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.lock().bytes
    }

    fn address_max(&self) -> usize {
        self.max / 8
    }

    fn take(&self, shares: &[BodyShare], bytes: usize) -> Result<(), BodyError> {
        let mut used = self.lock();
        if used.bytes.saturating_add(bytes) > self.max {
            return Err(BodyError::NoRoom { owner: "this node", max: self.max });
        }
        for share in shares {
            let (owner, max) = match share {
                BodyShare::Public => ("storefronts and webhooks together", self.max / 2),
                BodyShare::Shop(_) => ("this shop's storefronts", self.max / 4),
                BodyShare::Address(_) => ("one client address", self.address_max()),
            };
            if used.shares.get(share).copied().unwrap_or_default().saturating_add(bytes) > max {
                return Err(BodyError::NoRoom { owner, max });
            }
        }
        used.bytes += bytes;
        for share in shares {
            *used.shares.entry(share.clone()).or_default() += bytes;
        }
        Ok(())
    }

    fn release(&self, shares: &[BodyShare], bytes: usize) {
        let mut used = self.lock();
        used.bytes = used.bytes.saturating_sub(bytes);
        for share in shares {
            if let Some(of_share) = used.shares.get_mut(share) {
                *of_share = of_share.saturating_sub(bytes);
                if *of_share == 0 {
                    used.shares.remove(share);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account of one request's body: its limits, and the bytes that count for it until the last handle is dropped.
pub(super) struct BodyAccount {
    budget: Arc<BodyBudget>,
    address: Option<IpAddr>,
    sender: OnceLock<Sender>,
    /// Limit of the operation, in bytes.
    operation: AtomicUsize,
    /// Limit of the sender, in bytes.
    sender_max: AtomicUsize,
    reserved: Mutex<(Vec<BodyShare>, usize)>,
}

impl BodyAccount {
    pub(super) fn new(budget: Arc<BodyBudget>, address: Option<IpAddr>) -> Self {
        Self {
            budget,
            address: address.map(network_of),
            sender: OnceLock::new(),
            operation: AtomicUsize::new(MAX_BODY_BYTES),
            sender_max: AtomicUsize::new(usize::MAX),
            reserved: Mutex::default(),
        }
    }

    /// Returns the request's account, if its body passes through [`meter()`](super::meter()).
    pub(super) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Arc<Self>>().map(Arc::as_ref)
    }

    /// Sets the limit of the operation, in bytes.
    pub(super) fn set_operation_max(&self, max: usize) {
        self.operation.store(max, Ordering::Relaxed);
    }

    /// Marks the sender as one with a secret key.
    pub(super) fn mark_trusted(&self) {
        self.sender.get_or_init(|| Sender::Trusted);
    }

    /// Marks the sender as the storefront of a shop, which may send at most `max` bytes.
    pub(super) fn mark_storefront(&self, shop: &ShopId, max: usize) {
        self.sender.get_or_init(|| Sender::Storefront(shop.clone()));
        self.sender_max.store(max, Ordering::Relaxed);
    }

    /// Returns whether the sender has a secret key.
    pub(super) fn is_trusted(&self) -> bool {
        matches!(self.sender.get(), Some(Sender::Trusted))
    }

    /// Returns the limit of the request, in bytes: the lower of the operation's and the sender's.
    pub(super) fn max(&self) -> usize {
        self.operation.load(Ordering::Relaxed).min(self.sender_max.load(Ordering::Relaxed))
    }

    fn shares(&self) -> Vec<BodyShare> {
        match self.sender.get().unwrap_or(&Sender::Anonymous) {
            Sender::Trusted => Vec::new(),
            Sender::Anonymous => vec![BodyShare::Public, BodyShare::Address(self.address)],
            Sender::Storefront(shop) => {
                vec![BodyShare::Public, BodyShare::Shop(shop.clone()), BodyShare::Address(self.address)]
            }
        }
    }

    /// Counts bytes that arrived.
    pub(super) fn take(&self, bytes: usize) -> Result<(), BodyError> {
        let (max, reserved) = (self.max(), self.reserved().1);
        if reserved.saturating_add(bytes) > max {
            return Err(BodyError::TooLarge(max));
        }
        self.take_any(bytes)
    }

    /// Counts bytes of a response, which the limits of the request do not concern. A single response may be larger than
    /// its share.
    pub(super) fn take_response(&self, bytes: usize) -> Result<(), BodyError> {
        self.take_any(bytes.min(self.budget.address_max()))
    }

    /// Counts bytes without checking the limits of the request.
    fn take_any(&self, bytes: usize) -> Result<(), BodyError> {
        let mut reserved = self.reserved();
        let (shares, sum) = &mut *reserved;
        if *sum == 0 {
            // The sender is always identified before its body is read.
            *shares = self.shares();
        }
        self.budget.take(shares, bytes)?;
        *sum += bytes;
        Ok(())
    }

    /// Releases the bytes that were counted.
    pub(super) fn release(&self) {
        let (shares, bytes) = std::mem::take(&mut *self.reserved());
        self.budget.release(&shares, bytes);
    }

    fn reserved(&self) -> MutexGuard<'_, (Vec<BodyShare>, usize)> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BodyAccount {
    fn drop(&mut self) {
        self.release();
    }
}

/// Marks the sender of a request as one with a secret key.
pub fn mark_trusted(extensions: &Extensions) {
    if let Some(account) = BodyAccount::of(extensions) {
        account.mark_trusted();
    }
}

/// Marks the sender of a request as the storefront of a shop, which may send at most `max` bytes.
pub(crate) fn mark_storefront(extensions: &Extensions, shop: &ShopId, max: usize) {
    if let Some(account) = BodyAccount::of(extensions) {
        account.mark_storefront(shop, max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 800;

    fn account(budget: &Arc<BodyBudget>, address: &str, sender: Sender) -> BodyAccount {
        let account = BodyAccount::new(budget.clone(), address.parse().ok());
        account.sender.get_or_init(|| sender);
        account
    }

    fn storefront(shop: &str) -> Sender {
        Sender::Storefront(shop.parse().expect("an id"))
    }

    fn no_room(account: &BodyAccount, bytes: usize) -> &'static str {
        match account.take(bytes) {
            Err(BodyError::NoRoom { owner, .. }) => owner,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_address_one_shop_and_all_storefronts_each_have_a_share_of_the_budget() {
        let budget = Arc::new(BodyBudget::new(BUDGET));
        let first = account(&budget, "192.0.2.1", storefront("rings"));
        assert_eq!(first.take(100), Ok(()));
        assert_eq!(no_room(&first, 1), "one client address");
        let same_network = account(&budget, "::ffff:192.0.2.1", Sender::Anonymous);
        assert_eq!(no_room(&same_network, 1), "one client address");
        let second = account(&budget, "192.0.2.2", storefront("rings"));
        assert_eq!(second.take(100), Ok(()));
        assert_eq!(no_room(&account(&budget, "192.0.2.3", storefront("rings")), 1), "this shop's storefronts");
        let others: Vec<BodyAccount> = [("192.0.2.4", "doors"), ("192.0.2.5", "doors")]
            .map(|(address, shop)| account(&budget, address, storefront(shop)))
            .into();
        assert!(others.iter().all(|other| other.take(100) == Ok(())));
        assert_eq!(no_room(&account(&budget, "192.0.2.6", Sender::Anonymous), 1), "storefronts and webhooks together");
        // The other half is reserved for senders with secret keys.
        let server = account(&budget, "192.0.2.1", Sender::Trusted);
        assert_eq!(server.take(400), Ok(()));
        assert_eq!(no_room(&server, 1), "this node");
    }

    #[test]
    fn the_bytes_of_a_request_that_is_over_are_free_again_and_nothing_is_remembered_of_it() {
        let budget = Arc::new(BodyBudget::new(BUDGET));
        let body = account(&budget, "192.0.2.1", storefront("rings"));
        assert_eq!((body.take(60), body.take(40)), (Ok(()), Ok(())));
        assert_eq!(budget.used(), 100);
        drop(body);
        assert_eq!(budget.used(), 0);
        assert!(budget.lock().shares.is_empty());
        assert_eq!(account(&budget, "192.0.2.1", storefront("rings")).take(100), Ok(()));
    }

    #[test]
    fn the_lower_of_the_operations_and_the_senders_limits_holds() {
        let budget = Arc::new(BodyBudget::new(1 << 30));
        let body = account(&budget, "192.0.2.1", Sender::Trusted);
        body.operation.store(100, Ordering::Relaxed);
        assert_eq!(body.take(101), Err(BodyError::TooLarge(100)));
        body.sender_max.store(50, Ordering::Relaxed);
        assert_eq!(body.take(51), Err(BodyError::TooLarge(50)));
        assert_eq!((body.take(30), body.take(21)), (Ok(()), Err(BodyError::TooLarge(50))));
    }
}
