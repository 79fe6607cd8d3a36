//! What a call for an account may reach: the hosts that its plugin declares and its operator grants, and each secret towards the
//! hosts that it is for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::capability::{Scope, egress};
use crate::contract::{FieldIssue, Message, Setting, SettingValue};
use crate::grants::Grants;
use crate::host::Cartwright;
use crate::platform::Blobs;
use crate::plugin::Plugin;
use crate::settings::{Form, Secrets, Settings};
use crate::shop::{Account, Shop};

impl Cartwright {
    /// What a call for this account may reach: made once for each version of the account's state.
    pub(crate) fn scope(&self, shop: &Shop, account: &Account, plugin: &Plugin) -> Arc<Scope> {
        match account.versions.get(&plugin.digest()) {
            Some(version) => version.scope.get_or_init(|| self.make_scope(shop, account, plugin)).clone(),
            None => self.make_scope(shop, account, plugin),
        }
    }

    fn make_scope(&self, shop: &Shop, account: &Account, plugin: &Plugin) -> Arc<Scope> {
        let settings = account.versions.get(&plugin.digest()).map(|version| &version.settings);
        let blobs = self.platform().blobs.clone();
        self.scope_with(shop, account, plugin, account.grants.clone(), blobs, |field| {
            settings.and_then(|all| all.get(field))
        })
    }

    /// The same for a durable call, which goes on with the settings that it began with, and never with more than what is granted
    /// by now.
    pub(crate) fn scope_of(
        &self,
        shop: &Shop,
        account: &Account,
        plugin: &Plugin,
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
        plugin: &'a Plugin,
        grants: Grants,
        blobs: Arc<dyn Blobs>,
        value: impl Fn(&str) -> Option<&'a SettingValue>,
    ) -> Arc<Scope> {
        let form = &plugin.about().form;
        let host = |declared: &String| host_named(form, declared, &value);
        Arc::new(Scope {
            platform: self.platform().clone(),
            blobs,
            plugin: plugin.id().clone(),
            shop: shop.id.clone(),
            account: account.id.clone(),
            currency: shop.currency.clone(),
            grants,
            declared: plugin.about().identity.hosts.iter().filter_map(host).collect(),
            secrets: account
                .secrets
                .iter()
                .filter_map(|(name, secret)| {
                    let field = form.field(name).filter(|field| field.kind == "secret")?;
                    Some((name.clone(), (secret.clone(), field.hosts.iter().filter_map(host).collect())))
                })
                .collect(),
        })
    }
}

/// The host that a plugin declares, by its name or by the field that holds its URL.
fn host_named<'a>(form: &'a Form, declared: &str, value: impl Fn(&str) -> Option<&'a SettingValue>) -> Option<String> {
    let Some(field) = declared.strip_prefix("setting:") else { return Some(declared.to_ascii_lowercase()) };
    match value(field).or_else(|| form.field(field)?.default.as_ref())? {
        SettingValue::Text(text) => egress::host_of(&url::Url::parse(text).ok()?),
        _ => None,
    }
}

/// Secrets that are kept, and that the new settings would send to a host which they were not entered for. Whoever may change an
/// address is not always who knows the secret: it must be entered again.
pub(crate) fn redirected(
    form: &Form,
    (before, after): (Option<&Settings>, &Settings),
    secrets: &Secrets,
    entered: &Map<String, Value>,
) -> Vec<FieldIssue> {
    let kept = secrets.keys().filter(|name| !entered.contains_key(*name));
    let issue = |name: &String| {
        let field = form.field(name)?;
        let hosts = |settings: Option<&Settings>| -> BTreeSet<String> {
            let value = |field: &str| settings.and_then(|settings| settings.get(field));
            field.hosts.iter().filter_map(|host| host_named(form, host, value)).collect()
        };
        let new = hosts(Some(after)).difference(&hosts(before)).next()?.clone();
        let text = format!("It would be sent to {new} now, and was entered for another host: enter it again.");
        let parameters = vec![("host".to_owned(), new)];
        let message = Message { key: "secret-redirected".to_owned(), parameters, text };
        Some(FieldIssue { field: name.clone(), message, blocking: true })
    };
    kept.filter_map(issue).collect()
}
