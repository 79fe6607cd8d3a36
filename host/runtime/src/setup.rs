//! Plans for accounts and product links, each checked completely. Nothing in this module changes what is served: see
//! [`crate::publish`].

use std::sync::Arc;

use cartwright_cart::shop::Shop;
use cartwright_contract::error::{ProductLinkIssues, SetupError, invalid, setup_issue, unstorable};
use cartwright_contract::grants::{Grants, MAX_FEED_INTERVAL_SECONDS, MIN_FEED_INTERVAL_SECONDS};
use cartwright_contract::ids::{AccountId, Digest};
use cartwright_contract::records::FieldIssue;
use cartwright_contract::settings::{Form, Secrets, Settings};
use cartwright_contract::text::{self, check_name};
use cartwright_engine::{CallOptions, Interface, PluginVersion, World};
use serde_json::{Map, Value};

use crate::host::Cartwright;
use crate::shop::{
    Account, AccountSetup, AccountVersion, CheckedLink, ProductLink, ShopState, context, with_new_scope,
};

impl Cartwright {
    /// Plans a new account, or the change of one that runs the same version. Settings are replaced as a whole; secrets
    /// that are not mentioned stay. The plugin checks the result.
    ///
    /// # Errors
    /// Returns every invalid field at once, or [`SetupError::Links`] with the product settings that no longer fit.
    pub async fn plan_account(
        &self,
        state: &ShopState,
        plugin: Digest,
        setup: &AccountSetup,
    ) -> Result<ShopState, SetupError> {
        check_grants(&setup.grants)?;
        let plugin = self.plugin_version(&plugin)?;
        check_requested(&setup.grants, &plugin)?;
        let old = state.accounts.get(&setup.id);
        if let Some(old) = old
            && old.current != plugin.digest()
        {
            return Err(SetupError::AlreadyExists(format!("the account {} with another version", setup.id)));
        }
        let old_secrets = old.map(|old| old.secrets.clone()).unwrap_or_default();
        let (settings, secrets) =
            plugin.metadata().form.read(&setup.settings, &old_secrets).map_err(SetupError::Invalid)?;
        let mut versions = old.map(|old| with_new_scope(&old.versions)).unwrap_or_default();
        let current = plugin.digest();
        versions.insert(current, Arc::new(AccountVersion::new(plugin, settings)));
        let account = Account {
            id: setup.id.clone(),
            current,
            versions,
            secrets,
            grants: setup.grants.clone(),
            revision: old.map_or(1, |old| old.revision + 1),
        };
        self.with_account(state, account).await
    }

    /// Returns the shop with this account added or replaced. The plugin checks the account and the product links that
    /// use it, because the products' settings must fit. It also states the account's webhook endpoints. A replaced link
    /// sells nothing new and only has to be readable, as when a host starts: it serves existing lines, and their plugin
    /// reports what they lack.
    pub(crate) async fn with_account(&self, state: &ShopState, account: Account) -> Result<ShopState, SetupError> {
        self.validate(&state.shop, &account, None).await?;
        self.checked_endpoints(&state.shop, &account).await?;
        let (mut changed, id) = (state.clone(), account.id.clone());
        changed.accounts.insert(id.clone(), Arc::new(account));
        let (state, mut link_issues) = (changed.clone(), Vec::new());
        let current = changed.links.values_mut().map(|linked| (true, linked));
        for (is_present, linked) in current.chain(changed.replaced_links.values_mut().map(|linked| (false, linked))) {
            let link = linked.link.clone();
            let plans = link.strategy.account.as_ref() == Some(&id);
            let checked = match (is_present, link.account == id) {
                (true, true) => self.check_link(&state, link).await.map(|(linked, _)| linked),
                (true, false) if plans => {
                    let settings = linked.settings.clone();
                    match check_strategy_account(&state, &link) {
                        Ok(()) => {
                            let read = self.strategy_settings(&state, &link).await;
                            read.map(|strategy_settings| CheckedLink { link, settings, strategy_settings })
                        }
                        Err(error) => Err(error),
                    }
                }
                (false, own) if own || plans => read_link(&state, link),
                _ => continue,
            };
            match checked {
                Ok(checked) => *linked = Arc::new(checked),
                Err(SetupError::Invalid(mut issues)) => {
                    // A warning was shown when the link was created, and does not prevent a change of the account.
                    issues.retain(|issue| issue.blocking);
                    link_issues.push(ProductLinkIssues { shop_product: linked.link.shop_product.clone(), issues });
                }
                Err(error) => return Err(error),
            }
        }
        if link_issues.is_empty() { Ok(changed) } else { Err(SetupError::Links(link_issues)) }
    }

    /// Plans new or changed links of products, all of them or none. A link to another account than the product's
    /// current link is a vendor switch: the old link is replaced, and still serves the lines that were made with it.
    /// Returns the plugins' warnings with the products of their links.
    ///
    /// # Errors
    /// Returns [`SetupError::Links`] with every issue of every link.
    pub async fn plan_links(
        &self,
        state: &ShopState,
        links: &[ProductLink],
    ) -> Result<(ShopState, Vec<ProductLinkIssues>), SetupError> {
        let (mut changed, mut warnings, mut link_issues) = (state.clone(), Vec::new(), Vec::new());
        for link in links {
            let (issues, into) = match self.check_link(state, link.clone()).await {
                Ok((linked, issues)) => {
                    changed.insert_link(linked);
                    (issues, &mut warnings)
                }
                Err(SetupError::Invalid(issues)) => (issues, &mut link_issues),
                Err(error @ SetupError::UnknownAccount(_)) => {
                    (vec![setup_issue("account", error.to_string())], &mut link_issues)
                }
                Err(error) => return Err(error),
            };
            if !issues.is_empty() {
                into.push(ProductLinkIssues { shop_product: link.shop_product.clone(), issues });
            }
        }
        if link_issues.is_empty() { Ok((changed, warnings)) } else { Err(SetupError::Links(link_issues)) }
    }

    /// Checks a product link against the account's form and the plugin's own rules.
    pub(crate) async fn check_link(
        &self,
        state: &ShopState,
        link: ProductLink,
    ) -> Result<(CheckedLink, Vec<FieldIssue>), SetupError> {
        if link.shop_product.is_empty() || link.vendor_product.is_empty() {
            return Err(invalid("vendor_product", "Name a product of the shop and a product of the vendor."));
        }
        check_link_texts(&link)?;
        let account = state.account(&link.account)?;
        let strategy_settings = self.strategy_settings(state, &link).await?;
        let version = account.version().clone();
        let form = &version.plugin.metadata().form;
        let settings = product_settings(form, &link.settings, &version.settings, &account.secrets)?;
        let issues = form.currency_issues(&version.settings, &settings, &state.shop.currencies.to_vec());
        if !issues.is_empty() {
            return Err(SetupError::Invalid(issues));
        }
        let linked = CheckedLink { link, settings, strategy_settings };
        let mut warnings = Vec::new();
        if !version.plugin.worlds().contains(&World::Vendor) {
            return Err(invalid("account", format!("{} is not a vendor plugin.", version.plugin.id())));
        }
        check_strategy_account(state, &linked.link)?;
        if version.plugin.has(Interface::ProductLinks) {
            let context = context(&state.shop, account, &version, Some(&linked.settings), None);
            let product_link = linked.as_contract();
            let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
            let called = self.engine().validate_link(&version.plugin, options, &context, &product_link);
            let plugin_issues = called.await?;
            let plugin_issues: Vec<FieldIssue> = plugin_issues.into_iter().map(text::issue).collect();
            if plugin_issues.iter().any(|issue| issue.blocking) {
                return Err(SetupError::Invalid(plugin_issues));
            }
            warnings = plugin_issues;
        }
        Ok((linked, warnings))
    }

    /// Returns the settings that a link overrides of another account's strategy, checked by that account's plugin.
    pub(crate) async fn strategy_settings(
        &self,
        state: &ShopState,
        link: &ProductLink,
    ) -> Result<Settings, SetupError> {
        let other = link.strategy.account.as_ref().filter(|strategy_account| **strategy_account != link.account);
        let strategy_account = other.map(|strategy_account| state.account(strategy_account)).transpose()?;
        if link.strategy_settings.is_empty() {
            return Ok(Settings::new());
        }
        let Some(strategy_account) = strategy_account else {
            let text = "These settings are for the strategy of another account, named in `strategy`; the vendor's own strategies use `settings`.";
            return Err(invalid("strategy_settings", text));
        };
        let checked = async {
            let version = strategy_account.version();
            let form = &version.plugin.metadata().form;
            let own = product_settings(form, &link.strategy_settings, &version.settings, &strategy_account.secrets)?;
            self.validate(&state.shop, strategy_account, Some(&own)).await?;
            Ok(own)
        };
        checked.await.map_err(strategy_issue)
    }

    /// Validates an account's settings with its plugin, together with the settings that a product overrides.
    pub(crate) async fn validate(
        &self,
        shop: &Shop,
        account: &Account,
        product: Option<&Settings>,
    ) -> Result<(), SetupError> {
        let version = account.version();
        let form = &version.plugin.metadata().form;
        let mut problems = form.issues(&version.settings, &account.secrets);
        problems.extend(form.secrets_for_new_hosts(&version.settings, &account.secrets));
        let (currencies, none) = (shop.currencies.to_vec(), Settings::new());
        problems.extend(form.currency_issues(&version.settings, product.unwrap_or(&none), &currencies));
        if problems.iter().any(|issue| issue.blocking) {
            return Err(SetupError::Invalid(problems));
        }
        let context = context(shop, account, version, product, None);
        let scope = self.scope(shop, account, &version.plugin);
        let called = self.engine().validate_settings(&version.plugin, CallOptions::new(scope), &context);
        let plugin_issues = called.await?;
        let plugin_issues: Vec<FieldIssue> = plugin_issues.into_iter().map(text::issue).collect();
        if plugin_issues.iter().any(|issue| issue.blocking) { Err(SetupError::Invalid(plugin_issues)) } else { Ok(()) }
    }

    /// Returns the plugin version with this digest, unless it is revoked.
    pub(crate) fn plugin_version(&self, digest: &Digest) -> Result<Arc<PluginVersion>, SetupError> {
        if self.is_revoked(digest) {
            return Err(SetupError::Revoked(*digest));
        }
        self.plugin(digest).ok_or(SetupError::UnknownPlugin(*digest))
    }
}

/// Maximum number of entries in a list of a product link: SKUs, additional vendor products.
const MAX_LINK_ENTRIES: usize = 10_000;
/// Maximum number of hosts or networks in one list of an account's grants.
const MAX_GRANTS: usize = 1_000;

/// Checks the texts of a link that no form covers.
fn check_link_texts(link: &ProductLink) -> Result<(), SetupError> {
    let ProductLink {
        shop_product,
        account: _,
        vendor_product,
        additional_vendor_products,
        preset,
        allowed_skus,
        settings: _,
        strategy,
        strategy_settings: _,
    } = link;
    let lists = [("additional_vendor_products", additional_vendor_products), ("allowed_skus", allowed_skus)];
    for (field, list) in lists {
        if list.len() > MAX_LINK_ENTRIES {
            return Err(invalid(field, format!("This has {} entries; use at most {MAX_LINK_ENTRIES}.", list.len())));
        }
    }
    let named = [("shop_product", shop_product), ("vendor_product", vendor_product)].into_iter();
    let named = named.chain(preset.iter().map(|preset| ("preset", preset)));
    let named = named.chain(strategy.name.iter().map(|name| ("strategy", name)));
    let named = named.chain(lists.into_iter().flat_map(|(field, list)| list.iter().map(move |text| (field, text))));
    for (field, text) in named {
        check_name(text).map_err(|fault| unstorable(field, fault))?;
    }
    Ok(())
}

/// Checks the lists and texts of an account's grants.
fn check_grants(grants: &Grants) -> Result<(), SetupError> {
    let Grants { hosts, plain_http, networks, webhook_source_networks, feed_interval_seconds, .. } = grants;
    let counts = [
        ("grants.hosts", hosts.len()),
        ("grants.plain_http", plain_http.len()),
        ("grants.networks", networks.len()),
        ("grants.webhook_networks", webhook_source_networks.len()),
    ];
    for (field, count) in counts {
        if count > MAX_GRANTS {
            return Err(invalid(field, format!("This has {count} entries; use at most {MAX_GRANTS}.")));
        }
    }
    let intervals = MIN_FEED_INTERVAL_SECONDS..=MAX_FEED_INTERVAL_SECONDS;
    if let Some(seconds) = feed_interval_seconds.filter(|seconds| !intervals.contains(seconds)) {
        let text =
            format!("The interval is {seconds} s; use {MIN_FEED_INTERVAL_SECONDS} to {MAX_FEED_INTERVAL_SECONDS} s.");
        return Err(invalid("grants.feed_interval_seconds", text));
    }
    for (field, host) in
        hosts.iter().map(|it| ("grants.hosts", it)).chain(plain_http.iter().map(|it| ("grants.plain_http", it)))
    {
        check_name(host).map_err(|fault| unstorable(field, fault))?;
    }
    Ok(())
}

/// Refuses permissions that the plugin does not ask for.
fn check_requested(grants: &Grants, plugin: &PluginVersion) -> Result<(), SetupError> {
    let identity = &plugin.metadata().identity;
    let issue = |grant: &String| {
        setup_issue(
            &format!("grants.{}", grant.replace('-', "_")),
            format!(
                "{} {} does not ask for {grant}, so it cannot be granted; its author must list {grant:?} in `grants` of the metadata.",
                identity.id, identity.version
            ),
        )
    };
    let names = grants.names();
    let issues: Vec<FieldIssue> = names.iter().filter(|grant| !identity.grants.contains(grant)).map(issue).collect();
    if issues.is_empty() { Ok(()) } else { Err(SetupError::Invalid(issues)) }
}

/// Checks that the account whose strategy plans a link has a strategy.
fn check_strategy_account(state: &ShopState, link: &ProductLink) -> Result<(), SetupError> {
    let planner = link.strategy.account.as_ref().unwrap_or(&link.account);
    let plugin = &state.account(planner)?.version().plugin;
    if plugin.has(Interface::Cart) {
        return Ok(());
    }
    Err(invalid(
        "strategy",
        match *planner == link.account {
            true => format!("{} has no cart strategy; choose a strategy of another account.", plugin.id()),
            false => {
                format!("The account {planner} has no cart strategy; choose another account's, or the vendor's own.")
            }
        },
    ))
}

/// Checks the settings that a product overrides together with the account's own, because one field may require or
/// enable another.
fn product_settings(
    form: &Form,
    values: &Map<String, Value>,
    account: &Settings,
    secrets: &Secrets,
) -> Result<Settings, SetupError> {
    let overrides = form.read_product(values).map_err(SetupError::Invalid)?;
    let mut merged = account.clone();
    merged.extend(overrides.clone());
    let issues = form.issues(&merged, secrets);
    if issues.iter().any(|issue| issue.blocking) { Err(SetupError::Invalid(issues)) } else { Ok(overrides) }
}

/// Reads a stored link by the forms of its accounts' versions. Nothing that depends on the accounts' settings is
/// checked, so that a link that was once valid can always be read again.
pub(crate) fn read_link(state: &ShopState, link: ProductLink) -> Result<CheckedLink, SetupError> {
    let read_settings = |account: &AccountId, values| -> Result<Settings, SetupError> {
        state.account(account)?.version().plugin.metadata().form.read_product(values).map_err(SetupError::Invalid)
    };
    let settings = read_settings(&link.account, &link.settings)?;
    let strategy_settings = match &link.strategy.account {
        Some(strategy_account) if !link.strategy_settings.is_empty() => {
            read_settings(strategy_account, &link.strategy_settings).map_err(strategy_issue)?
        }
        _ => Settings::new(),
    };
    Ok(CheckedLink { link, settings, strategy_settings })
}

/// Assigns issues to the settings of another account's strategy, because the vendor's form may have a field with the
/// same name.
fn strategy_issue(error: SetupError) -> SetupError {
    match error {
        SetupError::Invalid(mut issues) => {
            issues.iter_mut().for_each(|issue| issue.field = format!("strategy_settings.{}", issue.field));
            SetupError::Invalid(issues)
        }
        error => error,
    }
}
