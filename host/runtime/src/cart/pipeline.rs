//! The plan pipeline: from a [`Prepared`] configuration to checked, priced and sealed lines.
//!
//! [`prepare`](PlanPipeline::prepare) is called once, [`plan`](PlanPipeline::plan) for each requested quantity, and
//! [`seal`](PlanPipeline::seal) once at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use cartwright_cart::budget::{MAX_LINE_QUANTITY, MAX_LINES_FOR_STRATEGY};
use cartwright_cart::change::{CartChange, CartOperation, Stage};
use cartwright_cart::error::{CartError, SealError};
use cartwright_cart::index::{CartIndex, RemovedParts};
use cartwright_cart::line::{CartLine, Pin};
use cartwright_cart::placement::roots;
use cartwright_cart::plan::{BelowMinimum, Warnings};
use cartwright_cart::shop::{StrategyChoice, Visitor};
use cartwright_contract::error::LogLine;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::platform::StoredThumbnail;
use cartwright_contract::records::{
    Context, Currency, LineRequest, Message, PlanRequest, ProductLink, SettingValue, VariantInfo,
};
use cartwright_contract::text;
use jiff::Timestamp;

use super::budget_usage::BudgetUsage;
use super::prepared::Prepared;
use super::resolved::ReceivedBlobs;
use crate::host::Cartwright;
use crate::shop::{Account, AccountVersion, CheckedLink, ShopState, context};

/// Name of the setting by which a merchant chooses among a plugin's strategies.
const STRATEGY_SETTING: &str = "order-type";
/// Number of lines that are sealed before the task yields to others.
const LINES_BETWEEN_YIELDS: usize = 256;

/// One execution of the pipeline.
pub(super) struct PlanPipeline<'a> {
    pub(super) host: &'a Cartwright,
    pub(super) state: Arc<ShopState>,
    pub(super) linked: Arc<CheckedLink>,
    pub(super) vendor: Arc<Account>,
    pub(super) version: Arc<AccountVersion>,
    pub(super) strategy_plugin: Arc<Account>,
    pub(super) strategy_version: Arc<AccountVersion>,
    pub(super) strategy: String,
    pub(super) visitor: &'a Visitor,
    /// The currency that the visitor sees prices in.
    pub(super) currency: Currency,
    pub(super) context: Context,
    pub(super) product_link: ProductLink,
    /// The variant of the product that the shopper chose before configuring.
    pub(super) chosen_variant: Option<String>,
    /// Whether a quote is requested.
    pub(super) quote: bool,
    /// Whether planned lines may join other lines with equal contents. The caller that joins them checks
    /// `below_minimum` for the lines that join none.
    pub(super) may_join: bool,
    /// The lines of the last plan whose quantity is below the minimum.
    pub(super) below_minimum: BelowMinimum,
    pub(super) warnings: Warnings,
    pub(super) stages: Vec<Stage>,
    /// Receives each stage when it ends.
    pub(super) stage_sender: Option<Sender<Stage>>,
    /// Name of the current stage.
    at: &'static str,
    /// Log lines of plugins in the current stage.
    pub(super) log: Vec<LogLine>,
    pub(super) stage_started: Instant,
    pub(super) removed_parts: RemovedParts,
    pub(super) pictures: Thumbnails,
    /// Blobs that came with the configuration from the vendor's server. Its items may name them as pictures.
    pub(super) received_blobs: Arc<ReceivedBlobs>,
    /// Thumbnail of the past line that is ordered again. Its item may name it as a picture.
    pub(super) past_thumbnail: Option<Digest>,
    /// When the vendor returned the prices. `None` if it was not asked.
    pub(super) priced_at: Option<Timestamp>,
    /// The platform's exchange rates by the currency of a vendor's price, so that all plans use the same rate.
    pub(super) exchange_rates: HashMap<String, Option<String>>,
    /// Variants of the linked product; only the chosen one, if there is one. `None` before the first plan is checked.
    pub(super) linked_variants: Option<Arc<Vec<VariantInfo>>>,
    /// Budgets used by the request so far, shared with its other pipelines.
    pub(super) budget_usage: Arc<BudgetUsage>,
}

/// Thumbnails of the lines that a pipeline seals.
#[derive(Default)]
pub(super) struct Thumbnails {
    /// Thumbnails of replanned lines, by item.
    pub(super) sealed: BTreeMap<u32, Option<Digest>>,
    /// Thumbnails of newly planned lines, by item. `None` for one that cannot be used.
    pub(super) by_item: BTreeMap<u32, Option<Digest>>,
    /// Thumbnails to be stored with the configuration.
    pub(super) new: Vec<StoredThumbnail>,
}

impl<'a> PlanPipeline<'a> {
    /// Starts a pipeline with the current versions.
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
        let strategy_plugin = match &choice.account {
            Some(account) => state.account(account)?.clone(),
            None => vendor.clone(),
        };
        let strategy_version = strategy_plugin.version().clone();
        let strategy = choice.name.clone();
        Self::with(host, state, linked, vendor, version, strategy_plugin, strategy_version, strategy, visitor)
    }

    /// Starts a pipeline with the versions that a line is pinned to. The pin of a changed line is ignored, because it
    /// could choose a strategy that the merchant did not.
    pub(super) fn begin_pinned(
        host: &'a Cartwright,
        shop: &ShopId,
        line: &CartLine,
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let state = host.shop_state(shop)?;
        if line.check_seal(&state.shop, Timestamp::now()) == Err(SealError::Forged) {
            return Self::begin(host, shop, &line.linked_product, None, visitor);
        }
        let must_reconfigure = |what: String| CartError::MustReconfigure { key: line.key.clone(), reason: what };
        let linked = host.link_of(&state, line).ok_or_else(|| {
            must_reconfigure(format!("{:?} is no longer linked to a vendor product", line.linked_product))
        })?;
        let is_pin_expired = line.is_pin_expired(state.shop.pin_seconds, Timestamp::now());
        let pinned = |account: &cartwright_contract::ids::AccountId, digest: &Digest| {
            let account = state
                .accounts
                .get(account)
                .ok_or_else(|| must_reconfigure(format!("the account {account} no longer exists")))?;
            if is_pin_expired {
                return Ok((account.clone(), account.version().clone()));
            }
            let digest = host.replacement(digest).map_err(&must_reconfigure)?;
            let version = account.versions.get(&digest).cloned();
            Ok::<_, CartError>((account.clone(), version.unwrap_or_else(|| account.version().clone())))
        };
        let (vendor, version) = pinned(&line.pin.account, &line.pin.digest)?;
        let (strategy_plugin, strategy_version) = pinned(&line.pin.strategy_account, &line.pin.strategy_digest)?;
        let strategy = Some(line.pin.strategy.clone());
        let pipeline =
            Self::with(host, state, linked, vendor, version, strategy_plugin, strategy_version, strategy, visitor)?;
        Ok(Self { chosen_variant: line.chosen_variant.clone(), ..pipeline })
    }

    #[allow(clippy::too_many_arguments)]
    fn with(
        host: &'a Cartwright,
        state: Arc<ShopState>,
        linked: Arc<CheckedLink>,
        vendor: Arc<Account>,
        version: Arc<AccountVersion>,
        strategy_plugin: Arc<Account>,
        strategy_version: Arc<AccountVersion>,
        strategy: Option<String>,
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let currency = visitor.check(&state.shop)?.clone();
        let context = context(&state.shop, &vendor, &version, Some(&linked.settings), Some((visitor, &currency)));
        let is_own_strategy = Arc::ptr_eq(&vendor, &strategy_plugin);
        let by_setting = || {
            let setting =
                context.settings.iter().find(|setting| is_own_strategy && setting.name == STRATEGY_SETTING)?;
            match &setting.value {
                SettingValue::Text(text) => Some(text.clone()),
                _ => None,
            }
        };
        let strategies = &strategy_version.plugin.metadata().identity.strategies;
        let requested = strategy.or_else(by_setting).or_else(|| strategies.first().map(|first| first.name.clone()));
        let name = match requested {
            Some(name) if strategies.iter().any(|strategies| strategies.name == name) => name,
            requested => {
                return Err(CartError::UnknownStrategy {
                    plugin: strategy_version.plugin.id().clone(),
                    wanted: requested.unwrap_or_default(),
                    known: strategies.iter().map(|strategy| strategy.name.clone()).collect(),
                });
            }
        };
        let product_link = linked.as_contract();
        Ok(Self {
            host,
            state,
            linked,
            vendor,
            version,
            strategy_plugin,
            strategy_version,
            strategy: name,
            visitor,
            currency,
            context,
            product_link,
            chosen_variant: None,
            quote: false,
            may_join: false,
            below_minimum: BelowMinimum::default(),
            warnings: Vec::new(),
            stages: Vec::with_capacity(7),
            stage_sender: None,
            at: "decode",
            log: Vec::new(),
            stage_started: Instant::now(),
            removed_parts: RemovedParts::default(),
            pictures: Thumbnails::default(),
            received_blobs: Arc::default(),
            past_thumbnail: None,
            priced_at: None,
            exchange_rates: HashMap::new(),
            linked_variants: None,
            budget_usage: Arc::default(),
        })
    }

    /// Leaves these parts out of the bundle that is planned for an item.
    pub(super) fn leave_out(&mut self, item: Option<u32>, parts: &[Digest]) {
        self.removed_parts.0.insert(item, parts.iter().copied().collect());
    }

    /// Plans and checks line requests for a prepared configuration. Returns one family per plan entry: its line,
    /// followed by the children of a bundle or the other lines of a set. The lines have neither thumbnail nor seal:
    /// [`seal`](Self::seal) adds both to those that are returned.
    pub(super) async fn plan(
        &mut self,
        prepared: &Prepared,
        line_requests: Vec<LineRequest>,
        cart: &CartIndex<'_>,
    ) -> Result<Vec<Vec<CartLine>>, CartError> {
        let planned = self.plan_lines(prepared, line_requests, cart).await;
        if let Err(error) = &planned {
            self.record_failure(error);
        }
        planned
    }

    /// Plans one item of a prepared configuration. The result is empty if the configuration or the plan no longer
    /// contains it.
    pub(super) async fn plan_item(
        &mut self,
        prepared: &Prepared,
        line_request: LineRequest,
        cart: &CartIndex<'_>,
    ) -> Result<Vec<CartLine>, CartError> {
        let item = line_request.item;
        let line_request = roots(prepared.items()).contains(&item).then_some(line_request);
        let families = self.plan(prepared, line_request.into_iter().collect(), cart).await?;
        let family = families.into_iter().find(|family| family.first().is_some_and(|first| first.item == item));
        Ok(family.unwrap_or_default())
    }

    async fn plan_lines(
        &mut self,
        prepared: &Prepared,
        line_requests: Vec<LineRequest>,
        cart: &CartIndex<'_>,
    ) -> Result<Vec<Vec<CartLine>>, CartError> {
        prepared.count_plan(&self.budget_usage)?;
        self.stage_started = Instant::now();
        self.begin_stage("quantity");
        let is_out_of_range = |request: &&LineRequest| !(1..=MAX_LINE_QUANTITY).contains(&request.quantity);
        if let Some(out_of_range) = line_requests.iter().find(is_out_of_range) {
            let (what, quantity) = (self.product_link.shop_product.clone(), out_of_range.quantity.into());
            return Err(CartError::Quantity { quantity, what, minimum: 1, maximum: MAX_LINE_QUANTITY });
        }
        if line_requests.is_empty() {
            return Ok(Vec::new());
        }
        let prices = self.begin_stage("price").prices(prepared, &line_requests).await?;
        let own = cart.lines().iter().filter(|line| line.pin.account == self.vendor.id).take(MAX_LINES_FOR_STRATEGY);
        let request = PlanRequest {
            strategy: self.strategy.clone(),
            link: self.product_link.clone(),
            items: prepared.items_for_strategy(),
            line_requests: line_requests.clone(),
            prices: prices.iter().map(|price| price.as_ref().map(|price| price.price.clone())).collect(),
            price_from: prepared.decoded.price_from,
            chosen_variant: self.chosen_variant.clone(),
            cart_lines: own.map(CartLine::as_contract).collect(),
            extra: Vec::new(),
        };
        let (planned, by_id) = self.begin_stage("plan").call_strategy(request).await?;
        self.warnings.extend(planned.warnings.into_iter().map(text::message));
        let checked =
            self.begin_stage("check").check(prepared, &line_requests, &planned.entries, &prices, &by_id).await;
        let planned = checked?;
        self.refuse_below_minimum(&planned, cart)?;
        self.record_stage("every plan entry holds".to_owned());
        Ok(planned)
    }

    /// Adds thumbnails to planned families, stores the configuration and seals the lines. It is called once, for the
    /// lines that are returned, so that no thumbnail is decoded or stored for a refused plan.
    ///
    /// # Errors
    /// Returns an error if the configuration cannot be stored, or if a line cannot be displayed or serialized.
    pub(super) async fn seal(&mut self, prepared: &Prepared, families: &mut [Vec<CartLine>]) -> Result<(), CartError> {
        if families.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let sealed = self.seal_lines(prepared, families).await;
        if let Err(error) = &sealed {
            self.record_failure(error);
        }
        sealed
    }

    async fn seal_lines(&mut self, prepared: &Prepared, families: &mut [Vec<CartLine>]) -> Result<(), CartError> {
        self.stage_started = Instant::now();
        self.begin_stage("pictures").add_pictures(&prepared.raw, prepared.items(), families).await;
        self.begin_stage("store").store(prepared).await?;
        self.begin_stage("seal");
        for (number, line) in families.iter_mut().flatten().enumerate() {
            line.price.country.clone_from(&self.visitor.country);
            line.price.region.clone_from(&self.visitor.region);
            line.price.customer_groups.clone_from(&self.visitor.customer_groups);
            line.sanitize_texts(&mut self.warnings)?;
            line.seal(&self.state.shop)?;
            if number % LINES_BETWEEN_YIELDS == LINES_BETWEEN_YIELDS - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.record_stage("prices are sealed".to_owned());
        Ok(())
    }

    /// Refuses a line below its minimum quantity that can join no other line.
    fn refuse_below_minimum(&self, planned: &[Vec<CartLine>], cart: &CartIndex<'_>) -> Result<(), CartError> {
        let keys = || planned.iter().filter_map(|family| Some(family.first()?.key.as_str()));
        let mut times: HashMap<&str, usize> = HashMap::with_capacity(planned.len());
        keys().for_each(|key| *times.entry(key).or_default() += 1);
        let is_repeated = |key: &str| times.get(key).is_some_and(|times| *times > 1);
        let can_join = |key: &str| self.may_join && (is_repeated(key) || cart.top_lines(key).is_some());
        keys().filter(|key| !can_join(key)).try_for_each(|key| self.below_minimum.check(key))
    }

    /// Duplicate warnings are dropped, because a line whose quantity increases is planned twice.
    pub(super) fn finish(mut self, operations: Vec<CartOperation>) -> CartChange {
        let mut messages = BTreeSet::new();
        let as_seen = |stage_sender: &Message| {
            (stage_sender.key.clone(), stage_sender.parameters.clone(), stage_sender.text.clone())
        };
        self.warnings.retain(|warning| messages.insert(as_seen(warning)));
        CartChange { operations, warnings: self.warnings, stages: self.stages }
    }

    /// Starts the next stage.
    pub(super) fn begin_stage(&mut self, stage: &'static str) -> &mut Self {
        self.at = stage;
        self
    }

    /// Records the result of the current stage.
    pub(super) fn record_stage(&mut self, result: String) {
        let duration_micros = u64::try_from(self.stage_started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let stage = Stage { stage: self.at.to_owned(), duration_micros, result, log: std::mem::take(&mut self.log) };
        if let Some(stage_sender) = &self.stage_sender {
            // The receiver may have been dropped.
            drop(stage_sender.send(stage.clone()));
        }
        self.stages.push(stage);
        self.stage_started = Instant::now();
    }

    /// Records the failure of the current stage, which ends the pipeline. A failed call has its log lines in its
    /// error.
    pub(super) fn record_failure(&mut self, error: &CartError) {
        if let CartError::Hook(error) = error
            && self.log.is_empty()
        {
            self.log.clone_from(&error.emitted.log);
        }
        self.record_stage(format!("failed: {error}"));
    }

    pub(super) fn pin(&self) -> Pin {
        Pin {
            account: self.vendor.id.clone(),
            plugin: self.version.plugin.id().clone(),
            digest: self.version.plugin.digest(),
            strategy_account: self.strategy_plugin.id.clone(),
            strategy_digest: self.strategy_version.plugin.digest(),
            strategy: self.strategy.clone(),
        }
    }
}
