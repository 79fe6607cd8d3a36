//! Calls to an account besides the cart and orders: choices of its form, product search and embed data.

use std::sync::Arc;

use cartwright_cart::error::CartError;
use cartwright_cart::line::CartLine;
use cartwright_cart::shop::{Shop, Visitor};
use cartwright_contract::error::{Failure, HookError, SetupError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::records::{ChoiceList, Diagnosis, EmbedData, ProductList};
use cartwright_contract::text::{self, MAX_SHOWN_CHARS};
use cartwright_engine::{CallOptions, Interface, PluginVersion, World};

use crate::host::Cartwright;
use crate::page;
use crate::shop::context;

impl Cartwright {
    /// Returns the choices of a form's field that the vendor provides.
    ///
    /// # Errors
    /// Returns an error if the plugin refuses, or the vendor is unavailable.
    pub async fn choices(
        &self,
        shop: &ShopId,
        account: &AccountId,
        field: &str,
        search: &str,
        cursor: Option<&str>,
    ) -> Result<ChoiceList, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        check_exported(&version.plugin, Interface::Choices, Hook::SearchChoices)?;
        let context = context(&state.shop, account, version, None, None);
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let called = self.engine().search_choices(&version.plugin, options, &context, field, search, cursor);
        let mut page = called.await?;
        for choice in &mut page.choices {
            choice.label = text::message(choice.label.clone());
        }
        Ok(page)
    }

    /// Tests the connection of an account.
    ///
    /// # Errors
    /// Returns an error if the plugin cannot run the test.
    pub async fn test_connection(&self, shop: &ShopId, account: &AccountId) -> Result<Vec<Diagnosis>, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        check_exported(&version.plugin, Interface::Account, Hook::TestConnection)?;
        let context = context(&state.shop, account, version, None, None);
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let mut diagnoses = self.engine().test_connection(&version.plugin, options, &context).await?;
        for diagnosis in &mut diagnoses {
            diagnosis.check = text::message(diagnosis.check.clone());
            diagnosis.detail = diagnosis.detail.take().map(text::message);
        }
        Ok(diagnoses)
    }

    /// Searches the vendor's products, in order to link them.
    ///
    /// # Errors
    /// Returns an error if the vendor provides no list, or is unavailable.
    pub async fn search_products(
        &self,
        shop: &ShopId,
        account: &AccountId,
        text: &str,
        cursor: Option<&str>,
    ) -> Result<ProductList, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        check_exported(&version.plugin, Interface::Products, Hook::SearchProducts)?;
        let context = context(&state.shop, account, version, None, None);
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let mut page = self.engine().search_products(&version.plugin, options, &context, text, cursor).await?;
        for product in &mut page.products {
            product.title = text::sanitize(&product.title, MAX_SHOWN_CHARS).text;
        }
        Ok(page)
    }

    /// Returns what a page needs to show a product's configurator. With a line, the configurator continues from its
    /// configuration, in the version that the line is pinned to. An expired seal is accepted.
    ///
    /// # Errors
    /// Returns an error if the product is not linked, the line was changed after it was sealed, the vendor cannot reopen
    /// configurations, or the plugin's page is refused.
    pub async fn embed(
        &self,
        shop: &ShopId,
        product: &str,
        reopen: Option<&CartLine>,
        visitor: &Visitor,
    ) -> Result<EmbedData, CartError> {
        let state = self.shop_state(shop)?;
        let currency = visitor.check(&state.shop)?;
        let mut linked = state.linked(product)?.clone();
        if let Some(line) = reopen {
            linked = self.link_of(&state, line).ok_or_else(|| SetupError::NotLinked(line.linked_product.clone()))?;
        }
        let account = state.account(&linked.link.account)?;
        let pinned_version = reopen.and_then(|line| account.versions.get(&self.replacement(&line.pin.digest).ok()?));
        let version = pinned_version.unwrap_or_else(|| account.version());
        let raw = match reopen {
            Some(line) => match self.stored_configuration(&state.shop, line).await {
                // Without its stored configuration, a line opens as a new one.
                Err(CartError::MustReconfigure { .. } | CartError::Platform(_)) => None,
                // The plugin reads the bytes itself.
                raw => raw?.and(line.configuration),
            },
            None => None,
        };
        let context = context(&state.shop, account, version, Some(&linked.settings), Some((visitor, currency)));
        let product_link = linked.as_contract();
        let scope = self.scope(&state.shop, account, &version.plugin);
        let (engine, options) = (self.engine(), CallOptions::new(scope.clone()));
        let embed = match &raw {
            Some(raw) => {
                check_exported(&version.plugin, Interface::Reopening, Hook::EmbedAgain)?;
                engine.embed_again(&version.plugin, options, &context, &product_link, raw).await?
            }
            None => engine.embed(&version.plugin, options, &context, &product_link).await?,
        };
        Ok(page::check(embed, &scope)?)
    }

    /// Returns the current version of an account.
    ///
    /// # Errors
    /// Returns an error if there is no such shop or account.
    pub fn current_version(&self, shop: &ShopId, account: &AccountId) -> Result<Arc<PluginVersion>, SetupError> {
        Ok(self.shop_state(shop)?.account(account)?.version().plugin.clone())
    }

    /// Returns the version that receives the events of an order whose lines are pinned to this one: the version
    /// itself, or its replacement if it is revoked.
    ///
    /// # Errors
    /// Returns an error if there is no such shop or account, if the version is revoked without a replacement, or if
    /// the account has no settings for it.
    pub fn pinned_version(
        &self,
        shop: &ShopId,
        account: &AccountId,
        pin: &Digest,
    ) -> Result<Arc<PluginVersion>, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let digest = self.replacement(pin).map_err(|_| SetupError::Revoked(*pin))?;
        let version = account.versions.get(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
        Ok(version.plugin.clone())
    }

    /// Returns a shop's accounts whose plugins are order hooks, by id. They receive all orders, whichever plugin
    /// configured the lines.
    ///
    /// # Errors
    /// Returns an error if there is no such shop.
    pub fn order_hooks(&self, shop: &ShopId) -> Result<Vec<(AccountId, Arc<PluginVersion>)>, SetupError> {
        let state = self.shop_state(shop)?;
        let all = state.accounts.values().map(|account| (account.id.clone(), account.version().plugin.clone()));
        // A vendor's plugin handles orders too, but only for the lines that were configured with it.
        let listens = |worlds: &[World]| worlds.contains(&World::OrderHook) && !worlds.contains(&World::Vendor);
        Ok(all.filter(|(_, plugin)| listens(plugin.worlds())).collect())
    }

    /// Returns the settings of a shop.
    ///
    /// # Errors
    /// Returns an error if there is no such shop.
    pub fn shop(&self, shop: &ShopId) -> Result<Arc<Shop>, SetupError> {
        Ok(self.shop_state(shop)?.shop.clone())
    }
}

/// Refuses a call of a function that the plugin does not export, before there is an instance.
pub(crate) fn check_exported(plugin: &PluginVersion, interface: Interface, hook: Hook) -> Result<(), HookError> {
    if plugin.has(interface) {
        return Ok(());
    }
    Err(HookError::new(plugin.id(), hook, Failure::NotExported(interface.name().to_owned())))
}
