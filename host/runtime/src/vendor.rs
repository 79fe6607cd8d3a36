//! What a vendor account does beside the cart and orders: its form's choices, its products, its page and its feed.

use std::sync::Arc;

use cartwright_cart::error::CartError;
use cartwright_cart::line::CartLine;
use cartwright_cart::shop::{Shop, Visitor};
use cartwright_contract::error::SetupError;
use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::records::{Diagnosis, EmbedData, Fetched, PageOfChoices, PageOfProducts};
use cartwright_contract::text::{self, MAX_SHOWN_CHARS};
use cartwright_engine::{CallOptions, PluginVersion, World};

use crate::host::Cartwright;
use crate::shop::context;

impl Cartwright {
    /// The choices of a field of an account's form whose choices the vendor knows.
    ///
    /// # Errors
    /// When the plugin refuses, or the vendor does not answer.
    pub async fn choices(
        &self,
        shop: &ShopId,
        account: &AccountId,
        field: &str,
        search: &str,
        cursor: Option<&str>,
    ) -> Result<PageOfChoices, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        let context = context(&state.shop, account, version, None, &Visitor::default());
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let called = self.engine().choices(&version.plugin, options, &context, field, search, cursor);
        let mut page = called.await?;
        for choice in &mut page.choices {
            choice.label = text::message(choice.label.clone());
        }
        Ok(page)
    }

    /// Tries an account out.
    ///
    /// # Errors
    /// When the plugin cannot even try.
    pub async fn test_connection(&self, shop: &ShopId, account: &AccountId) -> Result<Vec<Diagnosis>, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        let context = context(&state.shop, account, version, None, &Visitor::default());
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let mut diagnoses = self.engine().test_connection(&version.plugin, options, &context).await?;
        for diagnosis in &mut diagnoses {
            diagnosis.check = text::message(diagnosis.check.clone());
            diagnosis.detail = diagnosis.detail.take().map(text::message);
        }
        Ok(diagnoses)
    }

    /// Finds products of the vendor, for linking them.
    ///
    /// # Errors
    /// When the vendor has no list, or does not answer.
    pub async fn search_products(
        &self,
        shop: &ShopId,
        account: &AccountId,
        text: &str,
        cursor: Option<&str>,
    ) -> Result<PageOfProducts, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        let context = context(&state.shop, account, version, None, &Visitor::default());
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let mut page = self.engine().search_products(&version.plugin, options, &context, text, cursor).await?;
        for product in &mut page.products {
            product.title = text::sanitize(&product.title, MAX_SHOWN_CHARS).text;
        }
        Ok(page)
    }

    /// What a page needs to show the configurator of a product. With a line, to go on from its configuration: by the version
    /// that the line is pinned to. A line whose seal's time is over reopens too.
    ///
    /// # Errors
    /// When the product is not linked, the line is not as it was sealed, or the vendor cannot reopen configurations.
    pub async fn embed(
        &self,
        shop: &ShopId,
        product: &str,
        reopen: Option<&CartLine>,
        visitor: &Visitor,
    ) -> Result<EmbedData, CartError> {
        visitor.check()?;
        let state = self.shop_state(shop)?;
        let mut linked = state.linked(product)?.clone();
        if let Some(line) = reopen {
            linked = self.link_of(&state, line).ok_or_else(|| SetupError::NotLinked(line.linked_product.clone()))?;
        }
        let account = state.account(&linked.link.account)?;
        let pinned_version = reopen.and_then(|line| account.versions.get(&self.replacement(&line.pin.digest).ok()?));
        let version = pinned_version.unwrap_or_else(|| account.version());
        let raw = match reopen {
            Some(line) => match self.stored_configuration(&state.shop, line).await {
                // Without what it was made from, a line opens as a new configuration.
                Err(CartError::MustReconfigure { .. } | CartError::Platform(_)) => None,
                raw => raw?,
            },
            None => None,
        };
        let context = context(&state.shop, account, version, Some(&linked.settings), visitor);
        let association = linked.association();
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        let called = self.engine().embed(&version.plugin, options, &context, &association, raw.as_deref());
        Ok(called.await?)
    }

    /// Asks a vendor that has no webhooks what happened since `cursor`.
    ///
    /// # Errors
    /// When the plugin has no feed, or the vendor does not answer.
    pub async fn poll_feed(
        &self,
        shop: &ShopId,
        account: &AccountId,
        cursor: Option<&str>,
    ) -> Result<Fetched, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        let context = context(&state.shop, account, version, None, &Visitor::default());
        let options = CallOptions::new(self.scope(&state.shop, account, &version.plugin));
        Ok(self.engine().poll_feed(&version.plugin, options, &context, cursor).await?)
    }

    /// The version that an account runs.
    ///
    /// # Errors
    /// When there is no such shop or account.
    pub fn current_version(&self, shop: &ShopId, account: &AccountId) -> Result<Arc<PluginVersion>, SetupError> {
        Ok(self.shop_state(shop)?.account(account)?.version().plugin.clone())
    }

    /// The version that is told of an order's lines which are pinned to this component: that one, or what replaced it when it was
    /// revoked.
    ///
    /// # Errors
    /// When there is no such shop or account, when it was revoked without a replacement, or the account has no settings for it.
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

    /// A shop's accounts whose plugins listen to all orders, whoever configured their lines, by id.
    ///
    /// # Errors
    /// When there is no such shop.
    pub fn order_hooks(&self, shop: &ShopId) -> Result<Vec<(AccountId, Arc<PluginVersion>)>, SetupError> {
        let state = self.shop_state(shop)?;
        let all = state.accounts.values().map(|account| (account.id.clone(), account.version().plugin.clone()));
        // A vendor's plugin is one too, for the lines that were configured with it.
        let listens = |worlds: &[World]| worlds.contains(&World::OrderHook) && !worlds.contains(&World::Vendor);
        Ok(all.filter(|(_, plugin)| listens(plugin.worlds())).collect())
    }

    /// What a shop is like.
    ///
    /// # Errors
    /// When there is no such shop.
    pub fn shop(&self, shop: &ShopId) -> Result<Arc<Shop>, SetupError> {
        Ok(self.shop_state(shop)?.shop.clone())
    }
}
