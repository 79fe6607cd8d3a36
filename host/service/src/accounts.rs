//! Changes of accounts: set-up within the grants that the actor may give, and version switches.

use std::time::SystemTime;

use cartwright::{AccountId, AccountSetup, AccountSnapshot, Digest, Grants, PluginId, SetupError, ShopId};
use cartwright_store::{ChangeError, Expected, Installation};

use crate::actor::{Actor, GrantRefused};

/// Why an account was not set. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SetAccountError {
    /// The actor may not grant this.
    #[error(transparent)]
    Grants(#[from] GrantRefused),
    /// The host or a plugin refused the change, or the account is not as expected.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// Creates an account, or changes one that runs the same version.
///
/// # Errors
/// Returns [`SetAccountError::Grants`] if the actor may not give these grants, and the errors of
/// [`Installation::set_account`].
pub async fn set(
    installation: &Installation,
    shop: &ShopId,
    component: Digest,
    setup: AccountSetup,
    expected: Expected<'_>,
    actor: Actor<'_>,
    now: SystemTime,
) -> Result<AccountSnapshot, SetAccountError> {
    let wanted = setup.grants.clone();
    let check_grants = |granted: &Grants| actor.check_grants(granted, &wanted).map_err(SetAccountError::from);
    installation.set_account(shop, component, setup, expected, check_grants, actor.name, now).await
}

/// Switches an account to another version of its plugin.
///
/// # Errors
/// Returns an error if the version would send stored secrets to further hosts and the actor is not an admin, and the
/// errors of [`Installation::switch_version`].
pub async fn switch_version(
    installation: &Installation,
    shop: &ShopId,
    account: &AccountId,
    component: Digest,
    actor: Actor<'_>,
    now: SystemTime,
) -> Result<AccountSnapshot, ChangeError> {
    installation.switch_version(shop, account, component, actor.new_hosts(), actor.name, now).await
}

/// Outcome of a version switch for one account.
#[derive(Debug)]
pub struct AccountSwitch {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The version that it ran before.
    pub from: Digest,
    /// Why it still runs that version; `None` if it runs the new one.
    pub error: Option<ChangeError>,
}

/// Switches every account of these shops that runs another version of a plugin, one after the other. An account that
/// cannot be switched keeps its version, and the others are switched.
///
/// # Errors
/// Returns [`SetupError::UnknownShop`] for the first shop that does not exist; accounts of the shops before it are
/// switched.
pub async fn switch_all_versions(
    installation: &Installation,
    plugin: &PluginId,
    component: Digest,
    shops: &[ShopId],
    actor: Actor<'_>,
    now: SystemTime,
) -> Result<Vec<AccountSwitch>, SetupError> {
    let host = installation.host();
    let mut switches = Vec::new();
    for shop in shops {
        for account in host.snapshot(shop)?.accounts {
            let is_of_plugin = host.plugin(&account.current).is_some_and(|version| version.id() == plugin);
            if !is_of_plugin || account.current == component {
                continue;
            }
            let switched = switch_version(installation, shop, &account.id, component, actor, now).await;
            switches.push(AccountSwitch {
                shop: shop.clone(),
                account: account.id,
                from: account.current,
                error: switched.err(),
            });
        }
    }
    Ok(switches)
}
