//! What a raw configuration says: its items, whether they may be bought here, their fingerprints and pictures, and what the vendor
//! says they cost.

use std::collections::HashMap;

use super::CartError;
use super::identity;
use super::plan::ItemFacts;
use super::pricing::{converted, warning};
use super::thumbnail;
use super::tree::trees;
use super::walk::Walk;
use crate::contract::{Decoded, FieldIssue, Item, Message, Price, PriceSource, Thumbnail, Wanted};
use crate::error::Failure;
use crate::guest::{CallOptions, Hook, call};
use crate::ids::Digest;
use crate::plugin::Plugin;

/// The most configured products of one configuration.
const MOST_ITEMS: usize = 1000;

impl Walk<'_> {
    pub(super) async fn decode(&mut self, raw: &[u8], digest: Option<Digest>) -> Result<Decoded, CartError> {
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
            return Err(CartError::Configuration(issue("items", "items-number", text)));
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
        self.done(result);
        Ok(decoded)
    }

    /// The root's vendor product must be the linked one; others must be listed, or linked in this shop by the same account.
    pub(super) fn check_products(&mut self, items: &[Item]) -> Result<(), CartError> {
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
            self.done(format!("{} is the linked vendor product", self.association.vendor_product));
        }
        Ok(())
    }

    /// Fingerprints, the tree of items, and pictures.
    pub(super) async fn facts(
        &mut self,
        raw: &[u8],
        configuration: Option<&Digest>,
        items: &[Item],
    ) -> Result<Vec<ItemFacts>, CartError> {
        let below = trees(items)?;
        let mut facts = Vec::with_capacity(items.len());
        for (index, tree) in below.into_iter().enumerate() {
            let members: Vec<&Item> = tree.iter().map(|member| &items[*member]).collect();
            let fingerprint = identity::fingerprint(&members).map_err(|error| {
                CartError::Configuration(issue(&format!("[{index}]"), "state-ambiguous", error.to_string()))
            })?;
            let thumbnail = match (&items[index].thumbnail, configuration) {
                (Some(thumbnail), Some(configuration)) => self.picture(raw, configuration, index, thumbnail).await?,
                _ => None,
            };
            facts.push(ItemFacts { fingerprint: Some(fingerprint), thumbnail, below: tree });
        }
        let kept = facts.iter().filter(|facts| facts.thumbnail.is_some()).count();
        self.done(format!("{} fingerprints, {kept} thumbnails stored", facts.len()));
        Ok(facts)
    }

    /// A picture that cannot be used is left out with a warning: the shopper can buy without it.
    pub(super) async fn picture(
        &mut self,
        raw: &[u8],
        configuration: &Digest,
        index: usize,
        source: &Thumbnail,
    ) -> Result<Option<Digest>, CartError> {
        let bytes = match source {
            Thumbnail::InPayload(range) => thumbnail::cut(raw, range).map_err(|error| error.to_string()),
            Thumbnail::Url(url) => self.host.fetch_picture(&self.vendor, url).await,
        };
        let checked = match bytes {
            Ok(bytes) => thumbnail::check_in_turn(bytes).await,
            Err(why) => {
                self.warnings
                    .push(warning("thumbnail-unusable", format!("The picture of item {index} is left out: {why}.")));
                return Ok(None);
            }
        };
        match checked {
            Ok(Ok(picture)) => {
                let (shop, blobs) = (&self.state.shop.id, &self.host.platform().blobs);
                let put = blobs.put_picture(shop, configuration, picture.bytes, picture.media_type).await;
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
    pub(super) async fn prices(
        &mut self,
        raw: &[u8],
        decoded: &Decoded,
        wanted: &[Wanted],
    ) -> Result<Vec<Option<Price>>, CartError> {
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
            configuration.call_price_items(store, &self.context, &self.association, raw, items, wanted).await
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
        for (index, price) in prices.into_iter().enumerate() {
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
            let what = format!("the item {index} ({})", decoded.items[index].vendor_product);
            in_shop.push(Some(converted(price, &what, rate, &self.context)?));
        }
        self.done(format!("the vendor priced {} items", in_shop.iter().flatten().count()));
        Ok(in_shop)
    }
}

fn broke(plugin: &Plugin, hook: Hook, text: String) -> crate::error::HookError {
    crate::error::HookError::new(plugin, hook, Failure::BrokeContract(text))
}

pub(super) fn issue(field: &str, key: &str, text: String) -> FieldIssue {
    let message = Message { key: key.to_owned(), parameters: Vec::new(), text };
    FieldIssue { field: field.to_owned(), message, blocking: true }
}
