//! One walk from a raw configuration to checked, priced and sealed lines.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp, Unit};

use super::identity;
use super::line::{CartLine, Pin, SealFault};
use super::parts::TakenOut;
use super::plan::{Checking, ItemFacts, Warnings, key_of, queries};
use super::pricing::{Pricing, converted, warning};
use super::thumbnail;
use super::tree::trees;
use super::{CartChange, CartError, CartOperation, MOST_PIECES, Stage};
use crate::capability::log::LogLine;
use crate::contract::{
    Association, Context, Decoded, Error, FieldIssue, Intent, Item, Message, PlanRequest, Planned, Price, PriceSource,
    SettingValue, SkuQuery, Thumbnail, VariantInfo,
};
use crate::error::Failure;
use crate::error::HookError;
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
    /// The variant of the product that the shopper chose beforehand.
    pub(super) chosen_variant: Option<String>,
    warnings: Warnings,
    stages: Vec<Stage>,
    /// What a plugin logged in the stage that is not over yet.
    log: Vec<LogLine>,
    began: Instant,
    taken_out: TakenOut,
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

    /// Begins with the versions that a line is pinned to. The pin of a line that was tampered with says nothing: it could choose
    /// a strategy that the merchant did not.
    pub(super) fn begin_pinned(
        host: &'a Cartwright,
        shop: &ShopId,
        line: &CartLine,
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let state = host.shop_state(shop)?;
        if line.check_seal(shop, &state.shop.seal_key, Timestamp::now()) == Err(SealFault::Forged) {
            return Self::begin(host, shop, &line.linked_product, None, visitor);
        }
        let gone = |what: String| CartError::MustReconfigure { key: line.key.clone(), why: what };
        let linked = host
            .link_of(&state, line)
            .ok_or_else(|| gone(format!("{:?} is linked to no vendor product any more", line.linked_product)))?;
        let pinned = |account: &crate::ids::AccountId, digest: &Digest| {
            let account = state.accounts.get(account).ok_or_else(|| gone(format!("the account {account} is gone")))?;
            let digest = host.replacement(digest).map_err(&gone)?;
            let version = account.versions.get(&digest).cloned();
            Ok::<_, CartError>((account.clone(), version.unwrap_or_else(|| account.version().clone())))
        };
        let (vendor, version) = pinned(&line.pin.account, &line.pin.digest)?;
        let (strategist, strategy_version) = pinned(&line.pin.strategy_account, &line.pin.strategy_digest)?;
        let strategy = Some(line.pin.strategy.clone());
        let walk = Self::with(host, state, linked, vendor, version, strategist, strategy_version, strategy, visitor)?;
        Ok(Self { chosen_variant: line.chosen_variant.clone(), ..walk })
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
        let wanted = strategy.or_else(by_setting).or_else(|| known.first().map(|first| first.name.clone()));
        let name = match wanted {
            Some(name) if known.iter().any(|known| known.name == name) => name,
            wanted => {
                return Err(CartError::NoStrategy {
                    plugin: strategy_version.plugin.id().clone(),
                    wanted: wanted.unwrap_or_default(),
                    known: known.iter().map(|strategy| strategy.name.clone()).collect(),
                });
            }
        };
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
            chosen_variant: None,
            warnings: Vec::new(),
            stages: Vec::with_capacity(6),
            log: Vec::new(),
            began: Instant::now(),
            taken_out: TakenOut::default(),
        })
    }

    /// Leaves these parts out of the bundle that is planned for an item.
    pub(super) fn leave_out(&mut self, item: Option<u32>, parts: &[Digest]) {
        self.taken_out = TakenOut { item, parts: parts.to_vec() };
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
        let mut decoded = self.decode(raw, configuration).await?;
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
            chosen_variant: self.chosen_variant.clone(),
            lines: own.iter().map(CartLine::as_contract).collect(),
            extra: Vec::new(),
        };
        let (planned, by_id) = self.ask_strategy(&request).await?;
        self.warnings.extend(planned.warnings);
        let operations = self.check(&request, &planned.operations, &facts, configuration, &own, &by_id).await?;
        Ok(self.seal(operations))
    }

    pub(super) fn end(self, operations: Vec<CartOperation>) -> CartChange {
        CartChange { operations, warnings: self.warnings, stages: self.stages }
    }

    /// A plugin's error, with what it logged before.
    fn answered(&self, plugin: &Plugin, hook: Hook, error: Error) -> HookError {
        let mut error = answered(plugin, hook, error);
        error.said.log.clone_from(&self.log);
        error
    }

    fn stage(&mut self, stage: &str, result: String) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.stages.push(Stage { stage: stage.to_owned(), micros, result, log: std::mem::take(&mut self.log) });
        self.began = Instant::now();
    }

    /// Stores the raw configuration, which later events of the line need.
    async fn keep(&mut self, raw: &[u8]) -> Result<Option<Digest>, CartError> {
        let allowed = self.host.limits().bytes_in;
        if raw.len() > allowed {
            let failure = Failure::Limit(Breach::BytesIn { given: raw.len(), allowed });
            return Err(CartError::Hook(crate::error::HookError::new(&self.version.plugin, Hook::Decode, failure)));
        }
        if raw.is_empty() {
            return Ok(None);
        }
        let put = self.host.platform().blobs.put(&self.state.shop.id, raw.to_vec(), "application/json").await;
        let digest = put.map_err(|error| CartError::Platform(error.to_string()))?;
        self.stage("keep", format!("stored {} bytes as {digest}", raw.len()));
        Ok(Some(digest))
    }

    async fn decode(&mut self, raw: &[u8], digest: Option<Digest>) -> Result<Decoded, CartError> {
        let Some(digest) = digest else {
            return Ok(Decoded { items: Vec::new(), price_from: PriceSource::Platform, warnings: Vec::new() });
        };
        let plugin = self.version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.vendor, &plugin);
        let options = CallOptions::new(Hook::Decode, Some(scope)).seed(*digest.as_bytes());
        let interfaces = plugin.interfaces();
        let (decoded, trace) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let configuration = interfaces.configuration(store, instance)?;
            configuration.call_decode(store, &self.context, &self.association, raw).await
        })
        .await?;
        self.log = trace.log;
        let decoded = decoded.map_err(|error| self.answered(&plugin, Hook::Decode, error))?;
        if decoded.items.is_empty() || decoded.items.len() > MOST_ITEMS {
            let text = format!("it holds {} configured products; 1 to {MOST_ITEMS} can be bought", decoded.items.len());
            return Err(CartError::Configuration(issue("", "items-number", text)));
        }
        self.warnings.extend(decoded.warnings.iter().cloned());
        let articles: usize = decoded.items.iter().map(|item| item.articles.len()).sum();
        let attributes: usize = decoded.items.iter().map(|item| item.attributes.len()).sum();
        let result = format!(
            "{} configured products, {attributes} attributes, {articles} articles; priced by {}",
            decoded.items.len(),
            match decoded.price_from {
                PriceSource::Platform => "the platform",
                PriceSource::Vendor => "the vendor",
                PriceSource::Components => "components",
            }
        );
        self.stage("decode", result);
        Ok(decoded)
    }

    /// The root's vendor product must be the linked one; others must be listed, or linked in this shop by the same account.
    fn check_products(&mut self, items: &[Item]) -> Result<(), CartError> {
        for item in items {
            let found = &item.vendor_product;
            let is_linked = *found == self.association.vendor_product;
            let may_be_with =
                self.association.other_vendor_products.contains(found)
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
        let kept = facts.iter().filter(|facts| facts.thumbnail.is_some()).count();
        self.stage("identify", format!("{} fingerprints, {kept} thumbnails stored", facts.len()));
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
                self.warnings
                    .push(warning("thumbnail-unusable", format!("The picture of item {index} is left out: {why}.")));
                return Ok(None);
            }
        };
        match checked {
            Ok(Ok(picture)) => {
                let put = self.host.platform().blobs.put(&self.state.shop.id, picture.bytes, picture.media_type).await;
                Ok(Some(put.map_err(|error| CartError::Platform(error.to_string()))?))
            }
            Ok(Err(why)) => {
                self.warnings
                    .push(warning("thumbnail-unusable", format!("The picture of item {index} is left out: {why}.")));
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
        let scope = self.host.scope(&self.state.shop, &self.vendor, &plugin);
        let options = CallOptions::new(Hook::PriceItems, Some(scope)).lines(decoded.items.len());
        let interfaces = plugin.interfaces();
        let (prices, trace) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let configuration = interfaces.configuration(store, instance)?;
            let items = &decoded.items;
            configuration.call_price_items(store, &self.context, &self.association, raw, items, quantity).await
        })
        .await?;
        self.log = trace.log;
        let prices = prices.map_err(|error| self.answered(&plugin, Hook::PriceItems, error))?;
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
        let scope = self.host.scope(&self.state.shop, &self.strategist, &plugin);
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
        let ((planned, known), trace) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let cart = interfaces.cart(store, instance)?;
            let planned = cart.call_plan(&mut *store, context, request).await?;
            Ok((planned, std::mem::take(&mut store.data_mut().catalogue)))
        })
        .await?;
        self.log = trace.log;
        let planned = planned.map_err(|error| match error {
            Error::Rejected(message) => CartError::Rejected(message),
            error => CartError::Hook(self.answered(&plugin, Hook::Plan, error)),
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
        let mut linked = catalogue.variants(shop, currency, &self.association.shop_product).await.map_err(platform)?;
        if let Some(chosen) = &self.chosen_variant {
            linked.retain(|variant| variant.id == *chosen);
            if linked.is_empty() {
                let product = self.association.shop_product.clone();
                return Err(CartError::Variant { variant: chosen.clone(), product });
            }
        }
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
            taken_out: &self.taken_out,
            sell_unconfigured: self.state.shop.sell_unconfigured,
            expires: &expires,
            chosen_variant: self.chosen_variant.as_deref(),
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
            Operation::Reject(_) => "reject".to_owned(),
            Operation::Other(other) => other.name.clone(),
        })
        .collect();
    names.join(", ")
}

fn broke(plugin: &Plugin, hook: Hook, text: String) -> crate::error::HookError {
    crate::error::HookError::new(plugin, hook, Failure::BrokeContract(text))
}

pub(super) fn issue(field: &str, key: &str, text: String) -> FieldIssue {
    let message = Message { key: key.to_owned(), parameters: Vec::new(), text };
    FieldIssue { field: field.to_owned(), message, blocking: true }
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
    let theirs =
        prices.iter().flatten().filter_map(|price| price.valid_until.as_ref()?.parse::<Timestamp>().ok()).min();
    theirs.map_or(ours, |theirs| theirs.min(ours)).to_string()
}
