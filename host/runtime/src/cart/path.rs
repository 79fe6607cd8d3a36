//! The one way from a raw configuration to checked, priced and sealed lines.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp, Unit};

use super::identity;
use super::line::{CartLine, Pin};
use super::plan::{Checking, ItemFacts, Warnings, key_of, queries, with_children};
use super::pricing::{Pricing, converted, warning};
use super::thumbnail;
use super::{AddToCart, CartChange, CartError, CartOperation, MOST_PIECES, Stage};
use crate::contract::{
    Association, Context, Decoded, Error, FieldIssue, Intent, Item, Message, PlanRequest, Planned, Price, PriceSource,
    SettingValue, SkuQuery, Thumbnail, VariantInfo,
};
use crate::error::Failure;
use crate::guest::{CallOptions, Hook, answered, call};
use crate::host::Cartwright;
use crate::ids::{Digest, ShopId};
use crate::limits::Breach;
use crate::plugin::Plugin;
use crate::shop::{Account, AccountVersion, Linked, ShopState, StrategyChoice, Visitor, context};

/// The setting by which a vendor's plugin lets the merchant choose among its strategies.
const STRATEGY_SETTING: &str = "order-type";
/// The most configured products of one configuration.
const MOST_ITEMS: usize = 1000;

/// One walk along the path.
pub(super) struct Walk<'a> {
    host: &'a Cartwright,
    pub(super) state: Arc<ShopState>,
    linked: Arc<Linked>,
    vendor: Arc<Account>,
    version: Arc<AccountVersion>,
    strategist: Arc<Account>,
    strategy_version: Arc<AccountVersion>,
    strategy: String,
    visitor: &'a Visitor,
    context: Context,
    association: Association,
    warnings: Warnings,
    stages: Vec<Stage>,
    began: Instant,
}

impl Cartwright {
    /// Puts a configuration into the cart. A line that would hold what another holds already raises that line's quantity.
    ///
    /// # Errors
    /// Says what is wrong and whose it is to mend; nothing is changed then.
    pub async fn add_to_cart(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        let mut walk = Walk::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        let mut operations =
            walk.plan(Intent::Add, add.configuration.as_deref(), add.quantity, &add.lines).await?;
        // What the cart holds already becomes more of it, priced anew for the whole quantity.
        for index in 0..operations.len() {
            let CartOperation::Add { lines } = &operations[index] else { continue };
            let Some(held) = lines.first().and_then(|new| held_line(&add.lines, &new.key)) else { continue };
            let quantity = held.asked_quantity.checked_add(add.quantity).unwrap_or(u32::MAX);
            let again = walk.plan(Intent::Add, add.configuration.as_deref(), quantity, &add.lines).await?;
            let same = again.into_iter().find_map(|operation| match operation {
                CartOperation::Add { lines } if lines.first().is_some_and(|line| line.key == held.key) => Some(lines),
                _ => None,
            });
            if let Some(lines) = same {
                operations[index] = CartOperation::Update { lines };
            }
        }
        Ok(walk.end(operations))
    }

    /// Puts a configuration in the place of a line or bundle. The quantity stays unless another is given; the new line is
    /// checked whole before the old one goes. The key says which version of the line is meant: a line that changed meanwhile
    /// has another. The line's own version plans, unless another strategy is chosen.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart); the old line stays then.
    pub async fn edit_line(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: Option<u32>,
        add: AddToCart,
    ) -> Result<CartChange, CartError> {
        let old = held_line(&add.lines, key).ok_or_else(|| CartError::NoLine(key.to_owned()))?;
        if old.linked_product != add.product {
            return Err(CartError::NotLinked {
                found: add.product.clone(),
                shop_product: old.linked_product.clone(),
                linked: key.to_owned(),
            });
        }
        let quantity = quantity.unwrap_or(old.asked_quantity);
        let mut walk = match add.strategy.clone() {
            Some(choice) => Walk::begin(self, shop, &add.product, Some(choice), &add.visitor)?,
            None => Walk::begin_pinned(self, shop, old, &add.visitor)?,
        };
        let intent = Intent::Replace(key.to_owned());
        let operations = walk.plan(intent, add.configuration.as_deref(), quantity, &add.lines).await?;
        Ok(walk.end(without_no_changes(operations, &add.lines)))
    }

    /// Asks the merchant for an offer instead of buying.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart).
    pub async fn request_quotation(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        let mut walk = Walk::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        let operations =
            walk.plan(Intent::Quotation, add.configuration.as_deref(), add.quantity, &add.lines).await?;
        Ok(walk.end(operations))
    }

    /// Buys again what a past order held, priced as of now and planned by the current versions.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart), and when the line's configuration is no longer stored.
    pub async fn reorder(
        &self,
        shop: &ShopId,
        past: &CartLine,
        lines: Vec<CartLine>,
        visitor: Visitor,
    ) -> Result<CartChange, CartError> {
        let configuration = self.stored_configuration(shop, past).await?;
        self.add_to_cart(
            shop,
            AddToCart {
                product: past.linked_product.clone(),
                configuration,
                quantity: past.asked_quantity,
                strategy: None,
                lines,
                visitor,
            },
        )
        .await
    }

    /// The raw configuration of a line, from the blob store.
    pub(super) async fn stored_configuration(
        &self,
        shop: &ShopId,
        line: &CartLine,
    ) -> Result<Option<Vec<u8>>, CartError> {
        let Some(digest) = line.configuration else { return Ok(None) };
        let stored = self.platform().blobs.get(shop, &digest).await;
        match stored.map_err(|error| CartError::Platform(error.to_string()))? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(CartError::MustReconfigure {
                key: line.key.clone(),
                why: "its configuration is no longer stored".to_owned(),
            }),
        }
    }
}

pub(super) fn held_line<'l>(lines: &'l [CartLine], key: &str) -> Option<&'l CartLine> {
    lines.iter().find(|line| line.key == key && line.parent.is_none())
}

/// A replacement by the same lines changes nothing; by the same keys it is an update.
pub(super) fn without_no_changes(operations: Vec<CartOperation>, held: &[CartLine]) -> Vec<CartOperation> {
    operations
        .into_iter()
        .filter_map(|operation| match operation {
            CartOperation::Replace { key, lines } => {
                let mut old = with_children(held, &key);
                let mut new: Vec<String> = lines.iter().map(|line| line.key.clone()).collect();
                old.sort();
                new.sort();
                if old != new {
                    return Some(CartOperation::Replace { key, lines });
                }
                let same = lines.iter().all(|line| held.iter().any(|old| same_line(old, line)));
                (!same).then_some(CartOperation::Update { lines })
            }
            other => Some(other),
        })
        .collect()
}

/// The same line at the same price; a later expiry alone is no change.
pub(super) fn same_line(old: &CartLine, new: &CartLine) -> bool {
    old.key == new.key
        && old.quantity == new.quantity
        && old.price.total == new.price.total
        && old.price.tax == new.price.tax
        && old.price.state == new.price.state
        && old.pin == new.pin
}

impl<'a> Walk<'a> {
    /// Begins with the current versions.
    pub(super) fn begin(
        host: &'a Cartwright,
        shop: &ShopId,
        product: &str,
        choice: Option<StrategyChoice>,
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let state = host.shop_state(shop)?;
        let linked = state.linked(product)?.clone();
        let vendor = state.account(&linked.link.account)?.clone();
        let version = vendor.version().clone();
        let choice = choice.unwrap_or_else(|| linked.link.strategy.clone());
        let strategist = match &choice.account {
            Some(account) => state.account(account)?.clone(),
            None => vendor.clone(),
        };
        let strategy_version = strategist.version().clone();
        let strategy = choice.name.clone();
        Self::with(host, state, linked, vendor, version, strategist, strategy_version, strategy, visitor)
    }

    /// Begins with the versions that a line is pinned to.
    pub(super) fn begin_pinned(
        host: &'a Cartwright,
        shop: &ShopId,
        line: &CartLine,
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let state = host.shop_state(shop)?;
        let gone = |what: String| CartError::MustReconfigure { key: line.key.clone(), why: what };
        let linked = host.link_of(&state, line).ok_or_else(|| {
            gone(format!("{:?} is linked to no vendor product any more", line.linked_product))
        })?;
        let pinned = |account: &crate::ids::AccountId, digest: &Digest| {
            let account = state.accounts.get(account).ok_or_else(|| gone(format!("the account {account} is gone")))?;
            let digest = host.replacement(digest).map_err(&gone)?;
            let version = account.versions.get(&digest).cloned();
            Ok::<_, CartError>((account.clone(), version.unwrap_or_else(|| account.version().clone())))
        };
        let (vendor, version) = pinned(&line.pin.account, &line.pin.digest)?;
        let (strategist, strategy_version) = pinned(&line.pin.strategy_account, &line.pin.strategy_digest)?;
        let strategy = Some(line.pin.strategy.clone());
        Self::with(host, state, linked, vendor, version, strategist, strategy_version, strategy, visitor)
    }

    #[allow(clippy::too_many_arguments)]
    fn with(
        host: &'a Cartwright,
        state: Arc<ShopState>,
        linked: Arc<Linked>,
        vendor: Arc<Account>,
        version: Arc<AccountVersion>,
        strategist: Arc<Account>,
        strategy_version: Arc<AccountVersion>,
        strategy: Option<String>,
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let context = context(&state.shop, &vendor, &version, Some(&linked.settings), visitor);
        let own = Arc::ptr_eq(&vendor, &strategist);
        let by_setting = || {
            let setting = context.settings.iter().find(|setting| own && setting.name == STRATEGY_SETTING)?;
            match &setting.value {
                SettingValue::Text(text) => Some(text.clone()),
                _ => None,
            }
        };
        let known = &strategy_version.plugin.about().identity.strategies;
        let name = strategy.or_else(by_setting).or_else(|| known.first().map(|first| first.name.clone()));
        let name = name.filter(|name| known.iter().any(|known| known.name == *name)).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|strategy| strategy.name.as_str()).collect();
            CartError::Plan(format!("{} has the strategies: {}", strategy_version.plugin.id(), names.join(", ")))
        })?;
        let association = linked.association();
        Ok(Self {
            host,
            state,
            linked,
            vendor,
            version,
            strategist,
            strategy_version,
            strategy: name,
            visitor,
            context,
            association,
            warnings: Vec::new(),
            stages: Vec::with_capacity(6),
            began: Instant::now(),
        })
    }

    /// Plans, checks, prices and seals.
    pub(super) async fn plan(
        &mut self,
        intent: Intent,
        raw: Option<&[u8]>,
        quantity: u32,
        lines: &[CartLine],
    ) -> Result<Vec<CartOperation>, CartError> {
        if !(1..=MOST_PIECES).contains(&quantity) {
            let what = self.association.shop_product.clone();
            return Err(CartError::Quantity { quantity: quantity.into(), what, minimum: 1, maximum: MOST_PIECES });
        }
        let raw = match raw {
            Some(raw) => raw,
            None if self.state.shop.sell_unconfigured => &[],
            None => return Err(CartError::NeedsConfiguration(self.association.shop_product.clone())),
        };
        self.began = Instant::now();
        let configuration = self.keep(raw).await?;
        let mut decoded = self.decode(raw).await?;
        self.check_products(&decoded.items)?;
        let facts = self.facts(raw, &decoded.items).await?;
        let prices = self.prices(raw, &decoded, quantity).await?;
        // The state was hashed; a strategy has no use for it.
        decoded.items.iter_mut().for_each(|item| item.state = String::new());
        let own: Vec<CartLine> = lines.iter().filter(|line| line.pin.account == self.vendor.id).cloned().collect();
        let request = PlanRequest {
            intent,
            strategy: self.strategy.clone(),
            association: self.association.clone(),
            items: decoded.items,
            prices,
            price_from: decoded.price_from,
            quantity,
            lines: own.iter().map(CartLine::as_contract).collect(),
        };
        let (planned, by_id) = self.ask_strategy(&request).await?;
        self.warnings.extend(planned.warnings);
        let operations = self.check(&request, &planned.operations, &facts, configuration, &own, &by_id).await?;
        Ok(self.seal(operations))
    }

    pub(super) fn end(self, operations: Vec<CartOperation>) -> CartChange {
        CartChange { operations, warnings: self.warnings, stages: self.stages }
    }

    fn stage(&mut self, stage: &str, result: String) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.stages.push(Stage { stage: stage.to_owned(), micros, result });
        self.began = Instant::now();
    }

    /// Stores the raw configuration, which later events of the line need.
    async fn keep(&mut self, raw: &[u8]) -> Result<Option<Digest>, CartError> {
        let allowed = self.host.limits().bytes_in;
        if raw.len() > allowed {
            let failure = Failure::Limit(Breach::BytesIn { given: raw.len(), allowed });
            let plugin = self.version.plugin.id().clone();
            return Err(CartError::Hook(crate::error::HookError { plugin, hook: Hook::Decode, failure }));
        }
        if raw.is_empty() {
            return Ok(None);
        }
        let put = self.host.platform().blobs.put(&self.state.shop.id, raw.to_vec(), "application/json").await;
        let digest = put.map_err(|error| CartError::Platform(error.to_string()))?;
        self.stage("keep", format!("stored {} bytes as {digest}", raw.len()));
        Ok(Some(digest))
    }

    async fn decode(&mut self, raw: &[u8]) -> Result<Decoded, CartError> {
        if raw.is_empty() {
            return Ok(Decoded { items: Vec::new(), price_from: PriceSource::Platform, warnings: Vec::new() });
        }
        let plugin = self.version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.vendor, &plugin, None);
        let options = CallOptions::new(Hook::Decode, Some(scope)).seed(*Digest::of(raw).as_bytes());
        let interfaces = plugin.interfaces();
        let (decoded, _) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let configuration = interfaces.configuration(store, instance)?;
            configuration.call_decode(store, &self.context, &self.association, raw).await
        })
        .await?;
        let decoded = decoded.map_err(|error| answered(&plugin, Hook::Decode, error))?;
        if decoded.items.is_empty() || decoded.items.len() > MOST_ITEMS {
            let text = format!("it holds {} configured products; 1 to {MOST_ITEMS} can be bought", decoded.items.len());
            return Err(CartError::Configuration(issue("", "items-number", text)));
        }
        self.warnings.extend(decoded.warnings.iter().cloned());
        let articles: usize = decoded.items.iter().map(|item| item.articles.len()).sum();
        let attributes: usize = decoded.items.iter().map(|item| item.attributes.len()).sum();
        let result = format!(
            "{} configured products, {attributes} attributes, {articles} articles; priced by {:?}",
            decoded.items.len(),
            decoded.price_from
        );
        self.stage("decode", result);
        Ok(decoded)
    }

    /// The root's vendor product must be the linked one; others must be listed, or linked in this shop by the same account.
    fn check_products(&mut self, items: &[Item]) -> Result<(), CartError> {
        for item in items {
            let found = &item.vendor_product;
            let is_linked = *found == self.association.vendor_product;
            let may_be_with = self.association.other_vendor_products.contains(found)
                || self.state.links.values().any(|other| {
                    other.link.account == self.linked.link.account && other.link.vendor_product == *found
                });
            // A configuration may have several roots; the first is what the page was opened with.
            let is_first = std::ptr::eq(item, &items[0]);
            if !is_linked && (is_first || !may_be_with) {
                return Err(CartError::NotLinked {
                    found: found.clone(),
                    shop_product: self.association.shop_product.clone(),
                    linked: self.association.vendor_product.clone(),
                });
            }
        }
        if !items.is_empty() {
            self.stage("products", format!("{} is the linked vendor product", self.association.vendor_product));
        }
        Ok(())
    }

    /// Fingerprints, the tree of items, and pictures.
    async fn facts(&mut self, raw: &[u8], items: &[Item]) -> Result<Vec<ItemFacts>, CartError> {
        let below = trees(items)?;
        let mut facts = Vec::with_capacity(items.len());
        for (index, tree) in below.into_iter().enumerate() {
            let members: Vec<&Item> = tree.iter().map(|member| &items[*member]).collect();
            let fingerprint = identity::fingerprint(&members).map_err(|error| {
                CartError::Configuration(issue(&format!("[{index}]"), "state-ambiguous", error.to_string()))
            })?;
            let thumbnail = match &items[index].thumbnail {
                Some(thumbnail) => self.picture(raw, index, thumbnail).await?,
                None => None,
            };
            facts.push(ItemFacts { fingerprint: Some(fingerprint), thumbnail, below: tree });
        }
        if items.iter().any(|item| item.thumbnail.is_some()) {
            let kept = facts.iter().filter(|facts| facts.thumbnail.is_some()).count();
            self.stage("thumbnails", format!("{kept} stored"));
        }
        Ok(facts)
    }

    /// A picture that cannot be used is left out with a warning: the shopper can buy without it.
    async fn picture(&mut self, raw: &[u8], index: usize, source: &Thumbnail) -> Result<Option<Digest>, CartError> {
        let bytes = match source {
            Thumbnail::InPayload(range) => thumbnail::cut(raw, range).map_err(|error| error.to_string()),
            Thumbnail::Url(url) => self.host.fetch_picture(&self.vendor, url).await,
        };
        let checked = match bytes {
            Ok(bytes) => tokio::task::spawn_blocking(move || thumbnail::check(bytes)).await,
            Err(why) => {
                self.warnings.push(warning("thumbnail-unusable", format!("The picture of item {index} is left out: {why}.")));
                return Ok(None);
            }
        };
        match checked {
            Ok(Ok(picture)) => {
                let put = self.host.platform().blobs.put(&self.state.shop.id, picture.bytes, picture.media_type).await;
                Ok(Some(put.map_err(|error| CartError::Platform(error.to_string()))?))
            }
            Ok(Err(why)) => {
                self.warnings.push(warning("thumbnail-unusable", format!("The picture of item {index} is left out: {why}.")));
                Ok(None)
            }
            Err(_) => {
                let text = format!("The picture of item {index} is left out: its decoder failed.");
                self.warnings.push(warning("thumbnail-unusable", text));
                Ok(None)
            }
        }
    }

    /// Asks the vendor what the items cost, where it is the authority.
    async fn prices(&mut self, raw: &[u8], decoded: &Decoded, quantity: u32) -> Result<Vec<Option<Price>>, CartError> {
        if decoded.price_from != PriceSource::Vendor {
            return Ok(Vec::new());
        }
        let plugin = self.version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.vendor, &plugin, None);
        let options = CallOptions::new(Hook::PriceItems, Some(scope)).lines(decoded.items.len());
        let interfaces = plugin.interfaces();
        let (prices, _) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let configuration = interfaces.configuration(store, instance)?;
            let items = &decoded.items;
            configuration.call_price_items(store, &self.context, &self.association, raw, items, quantity).await
        })
        .await?;
        let prices = prices.map_err(|error| answered(&plugin, Hook::PriceItems, error))?;
        if prices.len() != decoded.items.len() {
            let text = format!("price-items gave {} prices for {} items", prices.len(), decoded.items.len());
            return Err(CartError::Hook(broke(&plugin, Hook::PriceItems, text)));
        }
        let mut rates: HashMap<String, Option<String>> = HashMap::new();
        let mut in_shop = Vec::with_capacity(prices.len());
        for price in prices {
            let Some(price) = price else {
                in_shop.push(None);
                continue;
            };
            let from = price.amount.currency.clone();
            if from != self.context.currency && !rates.contains_key(&from) {
                let catalogue = &self.host.platform().catalogue;
                let rate = catalogue.exchange_rate(&self.state.shop.id, &from, &self.context.currency).await;
                rates.insert(from.clone(), rate.map_err(|error| CartError::Platform(error.to_string()))?);
            }
            let rate = rates.get(&from).and_then(Option::as_deref);
            in_shop.push(Some(converted(price, rate, &self.context)?));
        }
        self.stage("price", format!("the vendor priced {} items", in_shop.iter().flatten().count()));
        Ok(in_shop)
    }

    async fn ask_strategy(
        &mut self,
        request: &PlanRequest,
    ) -> Result<(Planned, HashMap<String, VariantInfo>), CartError> {
        let plugin = self.strategy_version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.strategist, &plugin, None);
        let articles: usize = request.items.iter().map(|item| item.articles.len()).sum();
        let lines = request.items.len() + request.lines.len() + articles;
        let mut options = CallOptions::new(Hook::Plan, Some(scope)).lines(lines);
        if let Some(seed) = request.items.first().map(|item| Digest::of(item.vendor_product.as_bytes())) {
            options = options.seed(*seed.as_bytes());
        }
        let own;
        let context = if Arc::ptr_eq(&self.vendor, &self.strategist) {
            &self.context
        } else {
            own = context(&self.state.shop, &self.strategist, &self.strategy_version, None, self.visitor);
            &own
        };
        let interfaces = plugin.interfaces();
        let ((planned, known), _) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let cart = interfaces.cart(store, instance)?;
            let planned = cart.call_plan(&mut *store, context, request).await?;
            Ok((planned, std::mem::take(&mut store.data_mut().catalogue)))
        })
        .await?;
        let planned = planned.map_err(|error| match error {
            Error::Rejected(message) => CartError::Rejected(message),
            error => CartError::Hook(answered(&plugin, Hook::Plan, error)),
        })?;
        self.stage("plan", format!("{} by {}/{}", operations(&planned), plugin.id(), self.strategy));
        Ok((planned, known.into_values().flatten().map(|variant| (variant.id.clone(), variant)).collect()))
    }

    async fn check(
        &mut self,
        request: &PlanRequest,
        operations: &[crate::contract::Operation],
        facts: &[ItemFacts],
        configuration: Option<Digest>,
        lines: &[CartLine],
        by_id: &HashMap<String, VariantInfo>,
    ) -> Result<Vec<CartOperation>, CartError> {
        let catalogue = &self.host.platform().catalogue;
        let (shop, currency) = (&self.state.shop.id, self.context.currency.as_str());
        let platform = |error: crate::platform::PlatformError| CartError::Platform(error.to_string());
        let linked = catalogue.variants(shop, currency, &self.association.shop_product).await.map_err(platform)?;
        let mut asked = queries(operations);
        let planned = asked.len();
        asked.extend(component_queries(&request.items, request.price_from, operations));
        let answers = if asked.is_empty() {
            Vec::new()
        } else {
            catalogue.resolve(shop, currency, &asked).await.map_err(platform)?
        };
        if answers.len() != asked.len() {
            return Err(CartError::Platform(format!("{} answers to {} queries", answers.len(), asked.len())));
        }
        let mut answers = asked.iter().zip(answers);
        let by_query = answers.by_ref().take(planned).map(|(query, found)| (key_of(query), found)).collect();
        let components = answers
            .filter_map(|(query, mut found)| (found.len() == 1).then(|| (query.sku.clone(), found.remove(0))))
            .collect();
        let pin = self.pin();
        let expires = expiry(self.state.shop.seal_seconds, &request.prices);
        let checking = Checking {
            shop,
            linked_product: &self.association.shop_product,
            configuration,
            facts,
            pricing: Pricing {
                context: &self.context,
                items: &request.items,
                vendor: &request.prices,
                components: &components,
                asked: request.quantity,
            },
            price_from: request.price_from,
            intent: &request.intent,
            grants: &self.strategist.grants,
            pin: &pin,
            lines,
            sell_unconfigured: self.state.shop.sell_unconfigured,
            expires: &expires,
            linked: &linked,
            by_query: &by_query,
            by_id,
        };
        let checked = checking.check(operations)?;
        self.stage("check", "every operation holds".to_owned());
        Ok(checked)
    }

    fn pin(&self) -> Pin {
        Pin {
            account: self.vendor.id.clone(),
            plugin: self.version.plugin.id().clone(),
            digest: self.version.plugin.digest(),
            strategy_account: self.strategist.id.clone(),
            strategy_digest: self.strategy_version.plugin.digest(),
            strategy: self.strategy.clone(),
        }
    }

    fn seal(&mut self, mut operations: Vec<CartOperation>) -> Vec<CartOperation> {
        for operation in &mut operations {
            match operation {
                CartOperation::Add { lines }
                | CartOperation::Replace { lines, .. }
                | CartOperation::Update { lines }
                | CartOperation::RequestQuotation { lines } => {
                    for line in lines {
                        line.seal(&self.state.shop.id, &self.state.shop.seal_key);
                    }
                }
                CartOperation::Remove { .. } => {}
            }
        }
        self.stage("seal", "prices are sealed".to_owned());
        operations
    }
}

fn operations(planned: &Planned) -> String {
    use crate::contract::Operation;
    let names: Vec<String> = planned
        .operations
        .iter()
        .take(8)
        .map(|operation| match operation {
            Operation::AddLine(_) => "add-line".to_owned(),
            Operation::AddBundle(bundle) => format!("add-bundle of {}", bundle.children.len()),
            Operation::ReplaceLine(_) => "replace-line".to_owned(),
            Operation::ReplaceBundle(replacement) => format!("replace-bundle of {}", replacement.bundle.children.len()),
            Operation::RemoveLine(_) => "remove-line".to_owned(),
            Operation::RequestQuotation(_) => "request-quotation".to_owned(),
            Operation::Reject(_) => "reject".to_owned(),
            Operation::Other(other) => other.name.clone(),
        })
        .collect();
    names.join(", ")
}

fn broke(plugin: &Plugin, hook: Hook, text: String) -> crate::error::HookError {
    crate::error::HookError { plugin: plugin.id().clone(), hook, failure: Failure::BrokeContract(text) }
}

fn issue(field: &str, key: &str, text: String) -> FieldIssue {
    let message = Message { key: key.to_owned(), parameters: Vec::new(), text };
    FieldIssue { field: field.to_owned(), message, blocking: true }
}

/// For each item, it and all items below it. Ids are unique, parents exist and come round to no cycle.
fn trees(items: &[Item]) -> Result<Vec<Vec<usize>>, CartError> {
    let wrong = |index: usize, key: &str, text: String| {
        Err(CartError::Configuration(issue(&format!("[{index}].parent"), key, text)))
    };
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(id) = &item.id
            && by_id.insert(id, index).is_some()
        {
            return wrong(index, "id-twice", format!("the id {id:?} stands twice"));
        }
    }
    let mut trees: Vec<Vec<usize>> = (0..items.len()).map(|index| vec![index]).collect();
    for index in 0..items.len() {
        let (mut at, mut seen) = (index, BTreeSet::from([index]));
        while let Some(parent) = &items[at].parent {
            let Some(above) = by_id.get(parent.as_str()) else {
                return wrong(index, "parent-unknown", format!("no item has the id {parent:?}"));
            };
            if !seen.insert(*above) {
                return wrong(index, "parent-cycle", "its parents form a cycle".to_owned());
            }
            trees[*above].push(index);
            at = *above;
        }
    }
    Ok(trees)
}

/// The articles whose prices a plan needs.
fn component_queries(
    items: &[Item],
    price_from: PriceSource,
    operations: &[crate::contract::Operation],
) -> Vec<SkuQuery> {
    use crate::contract::Operation;
    let by_components = price_from == PriceSource::Components
        || operations.iter().any(|operation| match operation {
            Operation::AddLine(line) => line.price.source == PriceSource::Components,
            Operation::ReplaceLine(replacement) => replacement.line.price.source == PriceSource::Components,
            _ => false,
        });
    if !by_components {
        return Vec::new();
    }
    let skus: BTreeSet<&String> =
        items.iter().flat_map(|item| &item.articles).filter_map(|article| article.price_sku.as_ref()).collect();
    skus.into_iter().map(|sku| SkuQuery { sku: sku.clone(), within_product: None, ignore_case: false }).collect()
}

/// A seal ends when the shop says, or when the first of the vendor's prices does.
fn expiry(seconds: u32, prices: &[Option<Price>]) -> String {
    let now = Timestamp::now();
    let ours = now.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(now);
    let ours = ours.round(Unit::Second).unwrap_or(ours);
    let theirs = prices
        .iter()
        .flatten()
        .filter_map(|price| price.valid_until.as_ref()?.parse::<Timestamp>().ok())
        .min();
    theirs.map_or(ours, |theirs| theirs.min(ours)).to_string()
}
