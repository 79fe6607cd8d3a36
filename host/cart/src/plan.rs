//! The check of a strategy's plan. Every plan entry is checked before any of it reaches the platform.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{
    BundleChild, DisplayField, Item, Message, PlanEntry, PlannedLine, PriceSource, SkuQuery, Target, VariantInfo,
};
use cartwright_contract::text::{self, MAX_SHOWN_CHARS};

use crate::articles::materials;
use crate::budget::{MAX_LINE_QUANTITY, MAX_LINES};
use crate::error::CartError;
use crate::identity::{LineKeyInput, line_key};
use crate::index::RemovedParts;
use crate::line::{CartLine, Pin, SealedPrice, UnverifiedLine};
use crate::money::Amount;
use crate::pricing::{ExactPrice, Priced, Pricing};
use crate::shop::CustomerGroups;
use crate::shopper_texts::ShopperTexts;
pub use crate::tree::Descendant;

/// What the host determined about an item.
#[derive(Default, Clone)]
pub struct ItemFacts {
    /// Digest of everything that makes the item what it is.
    pub fingerprint: Option<Digest>,
    /// For a root, the item and all items below it.
    pub descendants: Vec<Descendant>,
}

/// The data that a plan is checked against.
pub struct PlanCheck<'a> {
    /// The shop.
    pub shop: &'a ShopId,
    /// The shop product that is planned.
    pub linked_product: &'a str,
    /// Digest of the raw configuration. `None` for a product that is bought unconfigured.
    pub configuration: Option<Digest>,
    /// What the host determined about each item.
    pub facts: &'a [ItemFacts],
    /// The prices.
    pub pricing: Pricing<'a>,
    /// The price source that the plugin returned with the items.
    pub price_from: PriceSource,
    /// Whether the plan is for a quote.
    pub quote: bool,
    /// Grants of the account whose strategy planned.
    pub grants: &'a Grants,
    /// The pin of the new lines.
    pub pin: &'a Pin,
    /// The parts to leave out of bundles.
    pub removed_parts: &'a RemovedParts,
    /// Whether the shop sells linked products without a configuration.
    pub sell_unconfigured: bool,
    /// The time of the plan, a `timestamp` of the contract.
    pub now: &'a str,
    /// When the seals expire, as an RFC 3339 time.
    pub expires: &'a str,
    /// The variant of the linked product that the shopper chose before configuring.
    pub chosen_variant: Option<&'a str>,
    /// Variants of the linked product; only the chosen one, if there is one.
    pub linked_variants: &'a [VariantInfo],
    /// The same variants by id.
    pub linked_by_id: &'a HashMap<&'a str, &'a VariantInfo>,
    /// Variants by query: SKU, product, and whether case is ignored.
    pub by_query: &'a HashMap<(String, Option<String>, bool), Vec<VariantInfo>>,
    /// Variants that the catalog returned to the guest, by id.
    pub by_id: &'a HashMap<String, VariantInfo>,
}

/// Returns the catalog queries that a plan needs.
pub fn queries(entries: &[PlanEntry]) -> Vec<SkuQuery> {
    let mut by_key: BTreeMap<(String, Option<String>, bool), SkuQuery> = BTreeMap::new();
    let mut add = |target: &Target| {
        if let Target::Sku(query) = target {
            by_key.entry(key_of(query)).or_insert_with(|| query.clone());
        }
    };
    for entry in entries {
        match entry {
            PlanEntry::Line(line) => add(&line.target),
            PlanEntry::Bundle(bundle) => {
                add(&bundle.parent.target);
                bundle.children.iter().for_each(|child| add(&child.target));
            }
            PlanEntry::Set(set) => set.lines.iter().for_each(|line| add(&line.target)),
            PlanEntry::Other(_) => {}
        }
    }
    by_key.into_values().collect()
}

/// Returns the key of a query in [`PlanCheck::by_query`].
pub fn key_of(query: &SkuQuery) -> (String, Option<String>, bool) {
    (query.sku.clone(), query.within_product.clone(), query.ignore_case)
}

pub(crate) fn plan_error<T>(text: impl Into<String>) -> Result<T, CartError> {
    Err(CartError::Plan(text.into()))
}

impl PlanCheck<'_> {
    /// Checks a plan and creates its lines, one family for each plan entry: a line; or a bundle's parent, followed by
    /// its children; or the line of a set that names the item, followed by the set's other lines.
    pub fn check(&self, entries: &[PlanEntry]) -> Result<Vec<Vec<CartLine>>, CartError> {
        if entries.is_empty() {
            return plan_error("it is empty; a strategy that cannot sell returns `rejected` with the reason");
        }
        let mut items = BTreeSet::new();
        let mut families = Vec::with_capacity(entries.len());
        let mut count = 0;
        for (index, entry) in entries.iter().enumerate() {
            let line = match entry {
                PlanEntry::Line(line) => line,
                PlanEntry::Bundle(bundle) => &bundle.parent,
                PlanEntry::Set(set) => match Self::item_line(set) {
                    Ok(line) => line,
                    Err(reason) => return plan_error(format!("entry {} {reason}", index + 1)),
                },
                PlanEntry::Other(other) => {
                    return plan_error(format!("this host does not know the plan entry {:?}", other.name));
                }
            };
            let item = line.item;
            self.check_item(index, line)?;
            if !items.insert(item) {
                let entry = self.describe_entry(index, line);
                return plan_error(format!("{entry} is the second entry for {}: {ONE_ENTRY}", item_name(item)));
            }
            let family = match entry {
                PlanEntry::Bundle(bundle) => self.bundle(bundle),
                PlanEntry::Set(set) => self.set(set, line),
                PlanEntry::Line(_) | PlanEntry::Other(_) => self.line(line).map(|line| vec![line]),
            };
            let family = family.map_err(|error| match error {
                CartError::Plan(text) => CartError::Plan(format!("{}: {text}", self.describe_line(line))),
                other => other,
            })?;
            count += family.len();
            if count > MAX_LINES {
                return plan_error(format!("it has more than {MAX_LINES} lines"));
            }
            families.push(family);
        }
        Ok(families)
    }

    /// Checks that an entry is for an item that was requested.
    fn check_item(&self, index: usize, line: &PlannedLine) -> Result<(), CartError> {
        if self.pricing.requested_quantities.contains_key(&line.item) {
            return Ok(());
        }
        let entry = self.describe_entry(index, line);
        match line.item {
            None => plan_error(format!("{entry} names no item: {ONE_ENTRY}")),
            item => plan_error(format!("{entry} sells {}, which was not requested", item_name(item))),
        }
    }

    /// Returns the lines of a checked plan whose quantity is below the minimum for a line of its own.
    pub fn below_minimum(&self, entries: &[PlanEntry], families: &[Vec<CartLine>]) -> Result<BelowMinimum, CartError> {
        let mut below_minimum = BelowMinimum::default();
        if self.quote {
            return Ok(below_minimum);
        }
        for (entry, first) in entries.iter().zip(families.iter().filter_map(|family| family.first())) {
            let lines = match entry {
                PlanEntry::Line(line) => std::slice::from_ref(line),
                PlanEntry::Bundle(bundle) => std::slice::from_ref(&bundle.parent),
                PlanEntry::Set(set) => set.lines.as_slice(),
                PlanEntry::Other(_) => continue,
            };
            for line in lines {
                if let Some(variant) = self.variant(&line.target)?
                    && let Err(error) = check_minimum(&variant, line.quantity)
                {
                    below_minimum.0.insert(first.key.clone(), error);
                }
            }
        }
        Ok(below_minimum)
    }

    pub(crate) fn variant(&self, target: &Target) -> Result<Option<VariantInfo>, CartError> {
        let exactly_one = |variants: &[VariantInfo], error: CartError| match variants {
            [variant] => Ok(Some(variant.clone())),
            _ => Err(error),
        };
        match target {
            Target::LinkedProduct => exactly_one(
                self.linked_variants,
                CartError::Product { product: self.linked_product.to_owned(), found: self.linked_variants.len() },
            ),
            Target::VariantId(id) => match self.by_id.get(id).or_else(|| self.linked_by_id.get(id.as_str()).copied()) {
                Some(variant) => Ok(Some(variant.clone())),
                None => plan_error(format!(
                    "it names the variant {id:?}, which does not belong to the linked product and was not returned by the catalog"
                )),
            },
            Target::Sku(query) => {
                let variants = self.by_query.get(&key_of(query)).map_or(&[][..], Vec::as_slice);
                let error = CartError::Sku {
                    sku: query.sku.clone(),
                    product: query.within_product.clone(),
                    found: variants.len(),
                };
                exactly_one(variants, error)
            }
            Target::Text(_) => Ok(None),
            Target::Other(other) => {
                plan_error(format!("this host does not know the target {:?}", sanitize(&other.name)))
            }
        }
    }

    /// Describes a planned line for an error: what it buys, and its title.
    pub(crate) fn describe_line(&self, line: &PlannedLine) -> String {
        self.describe_target(&line.target, line.title.as_deref())
    }

    /// Describes an entry for an error: its number, counted from 1, and what it buys.
    fn describe_entry(&self, index: usize, line: &PlannedLine) -> String {
        format!("entry {} ({})", index + 1, self.describe_line(line))
    }

    /// Describes a bundle's child for an error.
    pub(crate) fn describe_child(&self, child: &BundleChild, parent: &PlannedLine) -> String {
        format!(
            "{} of the bundle {}",
            self.describe_target(&child.target, child.title.as_deref()),
            self.describe_line(parent)
        )
    }

    fn describe_target(&self, target: &Target, title: Option<&str>) -> String {
        let name = match target {
            Target::LinkedProduct => match self.linked_variants {
                [only] => only.sku.clone(),
                _ => self.linked_product.to_owned(),
            },
            Target::VariantId(id) => self.by_id.get(id).map_or_else(|| id.clone(), |variant| variant.sku.clone()),
            Target::Sku(query) => query.sku.clone(),
            Target::Text(text) => format!("{:?}", sanitize(text)),
            Target::Other(other) => other.name.clone(),
        };
        title.map_or_else(|| sanitize(&name), |title| format!("{} ({})", sanitize(&name), sanitize(title)))
    }

    /// Checks that a variant is for sale in this quantity; for a quote, it need not be. The minimum quantity is
    /// checked [later](Self::below_minimum), because more of the same may join the line.
    pub(crate) fn purchasable(&self, variant: &VariantInfo, quantity: u32, is_part: bool) -> Result<(), CartError> {
        if self.quote {
            return Ok(());
        }
        sellable(variant, quantity, is_part)
    }

    pub(crate) fn line(&self, planned: &PlannedLine) -> Result<CartLine, CartError> {
        self.exact_line(planned).map(|(line, _)| line)
    }

    /// Creates a line, with its price before rounding.
    pub(crate) fn exact_line(&self, planned: &PlannedLine) -> Result<(CartLine, Amount), CartError> {
        self.priced_line(planned, None)
    }

    /// Creates a line of a set that does not name the item.
    pub(crate) fn line_of_set(&self, planned: &PlannedLine, place: &SetPlace<'_>) -> Result<CartLine, CartError> {
        self.priced_line(planned, Some(place)).map(|(line, _)| line)
    }

    fn priced_line(
        &self,
        planned: &PlannedLine,
        place: Option<&SetPlace<'_>>,
    ) -> Result<(CartLine, Amount), CartError> {
        let quantity = piece_count(planned.quantity.into(), || self.describe_line(planned))?;
        let Some(variant) = self.variant(&planned.target)? else {
            return plan_error("a line of its own must buy a product; only a bundle's child may be a text");
        };
        self.purchasable(&variant, quantity, false)?;
        let facts = match place {
            Some(_) => ItemFacts::default(),
            None => self.facts(planned)?,
        };
        self.check_price_source(planned, place)?;
        if !planned.price.adjustments.is_empty() && !self.grants.adjust_prices {
            return plan_error("it adjusts a price; to allow it: grants.adjust_prices = true");
        }
        let ExactPrice { total: exact, tax, state } =
            self.pricing.line(&variant.sku, &planned.price, &variant, &facts.descendants, quantity)?;
        let priced = Priced::new(self.pricing.rounded(&variant.sku, &exact)?, quantity, tax, state);
        let requested_quantity = place
            .map_or_else(|| self.pricing.requested_quantity(planned.item), |place| place.item_line.requested_quantity);
        let own_texts = ShopperTexts::of(self.pricing.items, &facts.descendants);
        let mut line = self.build_line(Draft {
            variant: Some(variant),
            text: None,
            title: planned.title.clone(),
            display_fields: planned.display_fields.clone(),
            quantity,
            source: planned.price.source,
            priced,
            item: planned.item,
            requested_quantity,
            texts: place.map_or(&own_texts, |place| place.texts),
            facts,
            parent: None,
            set: place,
        })?;
        line.price.adjustments.clone_from(&planned.price.adjustments);
        Ok((line, exact))
    }

    /// Checks that a line is priced by the source that the merchant chose; a line of a set that does not name the item,
    /// by the platform.
    fn check_price_source(&self, planned: &PlannedLine, place: Option<&SetPlace<'_>>) -> Result<(), CartError> {
        let source = planned.price.source;
        if place.is_some() && source != PriceSource::Platform {
            return plan_error(format!(
                "it prices {} by `{}`, but a line of a set that does not name the item costs the platform's price",
                self.describe_line(planned),
                source_name(source)
            ));
        }
        if place.is_none() && source != self.price_from && !self.grants.choose_price_source {
            return plan_error(format!(
                "it prices by `{}`, but the merchant chose `{}`; to allow it: grants.choose_price_source = true",
                source_name(source),
                source_name(self.price_from)
            ));
        }
        Ok(())
    }

    pub(crate) fn facts(&self, planned: &PlannedLine) -> Result<ItemFacts, CartError> {
        match planned.item {
            Some(index) => match self.facts.get(index as usize) {
                Some(facts) => self.check_kept(facts).map(|()| facts.clone()),
                None => plan_error(format!("it names the item {index} of {}", self.facts.len())),
            },
            None if self.sell_unconfigured => Ok(ItemFacts::default()),
            None => Err(CartError::NeedsConfiguration(self.linked_product.to_owned())),
        }
    }

    /// Returns the items of a configured product that have data that only the vendor keeps, with the end of that.
    fn kept_items<'s>(&'s self, facts: &'s ItemFacts) -> impl Iterator<Item = (&'s Item, &'s String)> {
        let items = self.pricing.items;
        let below = facts.descendants.iter().filter_map(move |below| items.get(below.index));
        below.filter_map(|item| Some((item, item.valid_until.as_ref()?)))
    }

    /// Checks that the vendor still keeps the saved configuration. Timestamps of the contract are in the order of their
    /// texts.
    fn check_kept(&self, facts: &ItemFacts) -> Result<(), CartError> {
        match self.kept_items(facts).find(|(_, until)| until.as_str() <= self.now) {
            Some((item, until)) => {
                Err(CartError::ConfigurationExpired { product: item.vendor_product.clone(), until: until.clone() })
            }
            None => Ok(()),
        }
    }

    /// Returns until when the vendor keeps all that was saved of a configured product.
    fn kept_until(&self, facts: &ItemFacts) -> Option<String> {
        self.kept_items(facts).map(|(_, until)| until).min().cloned()
    }

    pub(crate) fn build_line(&self, draft: Draft<'_>) -> Result<CartLine, CartError> {
        let item = draft.item.and_then(|index| self.pricing.items.get(index as usize));
        let product = draft.variant.as_ref().map_or(self.linked_product, |variant| &variant.product).to_owned();
        let key = line_key(&LineKeyInput {
            shop: self.shop,
            product: &product,
            variant: draft.variant.as_ref().map(|variant| variant.id.as_str()),
            text: draft.text.as_deref(),
            fingerprint: draft.facts.fingerprint,
            strategy: &self.pin.strategy_name(),
            parent: draft.parent,
            set: draft.set.map(|place| place.item_line.key.as_str()),
            copy: draft.set.and_then(|place| place.copy),
            without: &[],
        })?;
        let valid_until = self.kept_until(&draft.facts);
        let catalog_title = draft.variant.as_ref().map(|variant| variant.title.clone());
        let title = draft.title.or(draft.text.clone()).or(catalog_title).unwrap_or_else(|| product.clone());
        let visible = || -> Vec<DisplayField> {
            item.map_or(&[][..], |item| &item.attributes)
                .iter()
                .filter(|attribute| !attribute.hidden)
                .map(|attribute| DisplayField { name: attribute.name.clone(), value: attribute.value.clone() })
                .collect()
        };
        let shown = draft.display_fields.unwrap_or_else(visible);
        let shopper_texts = draft.texts.within(&shown, draft.item.is_some());
        Ok(CartLine {
            key,
            product,
            sku: draft.variant.as_ref().map(|variant| variant.sku.clone()),
            variant_id: draft.variant.map(|variant| variant.id),
            title,
            quantity: draft.quantity,
            parent: draft.parent.map(str::to_owned),
            per_bundle: None,
            child_removal: None,
            children: Vec::new(),
            set: draft.set.map(|place| place.item_line.key.clone()),
            set_lines: Vec::new(),
            part: None,
            without: Vec::new(),
            shown,
            shopper_texts,
            price: SealedPrice {
                unit: draft.priced.unit,
                total: draft.priced.total,
                tax: draft.priced.tax,
                source: draft.source,
                state: draft.priced.state,
                included_in_parent: false,
                // No later than the saved configuration.
                expires: valid_until.as_deref().map_or(self.expires, |until| until.min(self.expires)).to_owned(),
                country: None,
                region: None,
                customer_groups: CustomerGroups::default(),
                adjustments: Vec::new(),
                offer: None,
                seal: String::new(),
            },
            configuration: self.configuration,
            item: draft.item,
            item_id: item.and_then(|item| item.id.clone()),
            fingerprint: draft.facts.fingerprint,
            thumbnail: None,
            bill_of_materials: match draft.item {
                Some(_) => materials(self.pricing.items, &draft.facts.descendants)?,
                None => Vec::new(),
            },
            vendor_product: item.map(|item| item.vendor_product.clone()),
            reference: item.and_then(|item| item.saved_id.clone()),
            valid_until,
            unconfirmed: draft
                .facts
                .descendants
                .iter()
                .filter_map(|below| self.pricing.items.get(below.index)?.unverified.as_ref())
                .next_back()
                .map(|unverified| UnverifiedLine { reason: unverified.reason.clone(), hold: unverified.hold }),
            linked_product: self.linked_product.to_owned(),
            requested_quantity: draft.requested_quantity,
            chosen_variant: self.chosen_variant.map(str::to_owned),
            pin: self.pin.clone(),
        })
    }
}

/// What a strategy should plan instead of a second entry for one configured product.
const ONE_ENTRY: &str =
    "a configured product becomes one entry; put what belongs to it into a bundle's children or a set's lines";

/// Returns the contract's word for a price source.
fn source_name(source: PriceSource) -> &'static str {
    match source {
        PriceSource::Platform => "platform",
        PriceSource::Vendor => "vendor",
        PriceSource::Components => "components",
    }
}

fn item_name(item: Option<u32>) -> String {
    item.map_or_else(|| "the unconfigured product".to_owned(), |item| format!("the item {item}"))
}
/// Sanitizes a text for use in an error.
fn sanitize(text: &str) -> String {
    text::sanitize(text, MAX_SHOWN_CHARS).text
}

/// The place of a line that does not name the item in its set.
pub(crate) struct SetPlace<'a> {
    /// The set's line that names the item.
    pub(crate) item_line: &'a CartLine,
    /// What the shopper wrote into that item.
    pub(crate) texts: &'a ShopperTexts<'a>,
    /// Number of the line among those of the set that buy the same; `None` for the first.
    pub(crate) copy: Option<&'a str>,
}

pub(crate) struct Draft<'a> {
    pub(crate) variant: Option<VariantInfo>,
    pub(crate) text: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) display_fields: Option<Vec<DisplayField>>,
    pub(crate) quantity: u32,
    pub(crate) source: PriceSource,
    pub(crate) priced: Priced,
    pub(crate) item: Option<u32>,
    pub(crate) requested_quantity: u32,
    /// What the shopper wrote into the item; for a child of a bundle, into its parent's; for another line of a set, into
    /// the set's.
    pub(crate) texts: &'a ShopperTexts<'a>,
    pub(crate) facts: ItemFacts,
    pub(crate) parent: Option<&'a str>,
    pub(crate) set: Option<&'a SetPlace<'a>>,
}

pub(crate) fn piece_count(quantity: u64, what: impl FnOnce() -> String) -> Result<u32, CartError> {
    match u32::try_from(quantity) {
        Ok(count @ 1..=MAX_LINE_QUANTITY) => Ok(count),
        _ => Err(CartError::Quantity { quantity, what: what(), minimum: 1, maximum: MAX_LINE_QUANTITY }),
    }
}

/// Lines whose quantity is below the minimum, by key, with the error of each. More of the same may join such a line;
/// the joined line is then planned and checked as a whole.
#[derive(Default)]
pub struct BelowMinimum(HashMap<String, CartError>);

impl BelowMinimum {
    /// Refuses the line with this key if its quantity is below the minimum.
    pub fn check(&self, key: &str) -> Result<(), CartError> {
        self.0.get(key).map_or(Ok(()), |error| Err(error.clone()))
    }
}

/// Checks that the platform sells the variant now, in this quantity.
pub fn sellable(variant: &VariantInfo, quantity: u32, is_part: bool) -> Result<(), CartError> {
    if !variant.purchasable {
        return Err(CartError::NotPurchasable(variant.sku.clone()));
    }
    match bounds(variant, is_part) {
        (_, maximum) if quantity <= maximum => Ok(()),
        bounds => Err(out_of_bounds(variant, quantity, bounds)),
    }
}

/// Checks that the quantity reaches the variant's minimum for a line of its own.
pub fn check_minimum(variant: &VariantInfo, quantity: u32) -> Result<(), CartError> {
    match bounds(variant, false) {
        (minimum, _) if quantity >= minimum => Ok(()),
        bounds => Err(out_of_bounds(variant, quantity, bounds)),
    }
}

/// Returns the minimum and maximum quantity. The minimum is for a line of its own, so it does not apply to parts of a
/// bundle.
fn bounds(variant: &VariantInfo, is_part: bool) -> (u32, u32) {
    let minimum = if is_part { 1 } else { variant.minimum.max(1) };
    (minimum, variant.maximum.unwrap_or(MAX_LINE_QUANTITY).min(MAX_LINE_QUANTITY))
}

fn out_of_bounds(variant: &VariantInfo, quantity: u32, (minimum, maximum): (u32, u32)) -> CartError {
    CartError::Quantity { quantity: quantity.into(), what: variant.sku.clone(), minimum, maximum }
}

/// Warnings of plugins for the merchant.
pub type Warnings = Vec<Message>;
