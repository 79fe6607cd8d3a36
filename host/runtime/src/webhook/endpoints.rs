//! The webhook endpoints of an account. They follow from its settings, so its plugin is asked for them once for each
//! version of these.

use std::collections::BTreeMap;
use std::sync::Arc;

use cartwright_cart::shop::Shop;
use cartwright_contract::endpoint::{CheckedEndpoint, check_endpoints};
use cartwright_contract::error::{Failure, HookError, SetupError, invalid};
use cartwright_contract::grants::Grants;
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, InvalidId, ShopId};
use cartwright_contract::records::{CallError, WebhookEndpoint};
use cartwright_contract::settings::{Secret, Secrets, Settings};
use cartwright_engine::{CallOptions, Interface, PluginVersion, SlotKind};

use crate::host::Cartwright;
use crate::shop::{Account, AccountVersion, context};

impl Cartwright {
    /// Returns the webhook endpoints that an account has under its current settings.
    ///
    /// # Errors
    /// Returns an error if there is no such shop or account, or if the plugin fails.
    pub async fn webhook_endpoints(
        &self,
        shop: &ShopId,
        account: &AccountId,
    ) -> Result<Vec<WebhookEndpoint>, SetupError> {
        let state = self.shop_state(shop)?;
        let checked = self.checked_endpoints(&state.shop, state.account(account)?).await?;
        Ok(checked.iter().map(|endpoint| endpoint.declared.clone()).collect())
    }

    /// Returns the webhook endpoints that an account has under the default values of a plugin's form, for people to
    /// inspect.
    ///
    /// # Errors
    /// Returns an error if the plugin fails, or if it has no endpoints without further settings.
    pub async fn default_webhook_endpoints(
        &self,
        plugin: &Arc<PluginVersion>,
    ) -> Result<Vec<WebhookEndpoint>, SetupError> {
        let id = |error: InvalidId| invalid("id", error.to_string());
        let shop = Shop::new("inspected".parse().map_err(id)?, "EUR", 2, Secret::new(""));
        let version = Arc::new(AccountVersion::new(plugin.clone(), Settings::new()));
        let account = Account {
            id: "inspected".parse().map_err(id)?,
            current: plugin.digest(),
            versions: BTreeMap::from([(plugin.digest(), version)]),
            secrets: Secrets::new(),
            grants: Grants::default(),
            revision: 1,
        };
        let checked = self.checked_endpoints(&shop, &account).await?;
        Ok(checked.iter().map(|endpoint| endpoint.declared.clone()).collect())
    }

    /// Returns the endpoints of an account. A state that is restored from a store asks for them at the first request; a
    /// changed account has been asked before it is published.
    pub(crate) async fn checked_endpoints(
        &self,
        shop: &Shop,
        account: &Account,
    ) -> Result<Arc<[CheckedEndpoint]>, SetupError> {
        let version = account.version();
        let endpoints = version.endpoints.get_or_try_init(|| self.ask_for_endpoints(shop, account, version));
        endpoints.await.cloned()
    }

    async fn ask_for_endpoints(
        &self,
        shop: &Shop,
        account: &Account,
        version: &AccountVersion,
    ) -> Result<Arc<[CheckedEndpoint]>, SetupError> {
        let plugin = &version.plugin;
        if !plugin.has(Interface::Webhooks) {
            return Ok(Arc::default());
        }
        let context = context(shop, account, version, None, None);
        // A webhook query may wait for this call.
        let options = CallOptions::new(self.scope(shop, account, plugin)).slot_kind(SlotKind::Query);
        let endpoints = match self.engine().endpoints(plugin, options, &context).await {
            Ok(endpoints) => endpoints,
            Err(error) => {
                return Err(match error.failure {
                    // The merchant can fix the setting.
                    Failure::PluginError(CallError::InvalidInput(issue) | CallError::NotConfigured(issue)) => {
                        SetupError::Invalid(vec![issue])
                    }
                    _ => error.into(),
                });
            }
        };
        let checked = check_endpoints(endpoints, &plugin.metadata().form);
        let breach = |fault| HookError::new(plugin.id(), Hook::Endpoints, Failure::ContractViolation(fault));
        Ok(checked.map_err(breach)?.into())
    }
}
