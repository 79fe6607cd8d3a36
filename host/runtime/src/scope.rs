//! Guest calls for an account, and what they may reach: the outbound hosts that the plugin declares and the operator
//! grants, and each secret towards the hosts that it is declared and authorized for.

use std::sync::Arc;

use cartwright_cart::shop::Shop;
use cartwright_contract::grants::Grants;
use cartwright_contract::platform::Blobs;
use cartwright_contract::records::{Setting, SettingValue};
use cartwright_contract::settings::SecretUse;
use cartwright_engine::{GrantedSecret, PluginVersion, Scope};

use crate::host::Cartwright;
use crate::shop::Account;

impl Cartwright {
    /// Returns what a call for this account may reach. It is computed once per version of the account's state.
    pub(crate) fn scope(&self, shop: &Shop, account: &Account, plugin: &PluginVersion) -> Arc<Scope> {
        match account.versions.get(&plugin.digest()) {
            Some(version) => version.scope.get_or_init(|| self.make_scope(shop, account, plugin)).clone(),
            None => self.make_scope(shop, account, plugin),
        }
    }

    fn make_scope(&self, shop: &Shop, account: &Account, plugin: &PluginVersion) -> Arc<Scope> {
        self.scope_with_blobs(shop, account, plugin, self.platform().blobs.clone())
    }

    /// Returns the scope of a call with a blob store of its own.
    pub(crate) fn scope_with_blobs(
        &self,
        shop: &Shop,
        account: &Account,
        plugin: &PluginVersion,
        blobs: Arc<dyn Blobs>,
    ) -> Arc<Scope> {
        let settings = account.versions.get(&plugin.digest()).map(|version| &version.settings);
        self.scope_with(shop, account, plugin, account.grants.clone(), blobs, |field| {
            settings.and_then(|all| all.get(field))
        })
    }

    /// Returns the scope of a durable call. The call keeps the settings that it began with, but never has more than
    /// the current grants.
    pub(crate) fn scope_of(
        &self,
        shop: &Shop,
        account: &Account,
        plugin: &PluginVersion,
        settings: &[Setting],
        personal_data: bool,
        blobs: Arc<dyn Blobs>,
    ) -> Arc<Scope> {
        let value = |field: &str| settings.iter().find(|known| known.name == field).map(|known| &known.value);
        self.scope_with(shop, account, plugin, Grants { personal_data, ..account.grants.clone() }, blobs, value)
    }

    fn scope_with<'a>(
        &self,
        shop: &Shop,
        account: &Account,
        plugin: &'a PluginVersion,
        grants: Grants,
        blobs: Arc<dyn Blobs>,
        value: impl Fn(&str) -> Option<&'a SettingValue>,
    ) -> Arc<Scope> {
        let form = &plugin.metadata().form;
        let host = |declared: &String| form.named_host(declared, &value);
        Arc::new(Scope {
            platform: self.platform().clone(),
            blobs,
            plugin: plugin.id().clone(),
            shop: shop.id.clone(),
            account: account.id.clone(),
            main_currency: shop.currencies.main().code.clone(),
            grants: grants.limited_to(&plugin.metadata().identity.grants),
            declared_hosts: plugin
                .metadata()
                .identity
                .outbound_hosts
                .iter()
                .filter_map(host)
                .map(|named| named.host)
                .collect(),
            secrets: account
                .secrets
                .iter()
                .filter_map(|(name, secret)| {
                    let field = form.field(name).filter(|field| field.kind == "secret")?;
                    let named = field.outbound_hosts.iter().filter_map(host);
                    let (hosts, missing): (Vec<_>, Vec<_>) = named.partition(|named| secret.may_send_to(named));
                    let granted = GrantedSecret {
                        value: secret.value.clone(),
                        hosts: hosts.into_iter().map(|named| named.host).collect(),
                        missing_host: missing.into_iter().next().map(|named| named.host),
                        uses: SecretUse::of(field).collect(),
                    };
                    Some((name.clone(), granted))
                })
                .collect(),
        })
    }
}
