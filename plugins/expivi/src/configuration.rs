//! Decodes a saved configuration into the contract's items. Pure, and trusts nothing in the payload: ids and links are
//! checked, prices are ignored, and what only a browser vouches for is marked as unverified.

use std::collections::{BTreeMap, BTreeSet};

use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::json::{self, Code, Name, RawValue};
use cartwright_plugin::types::{
    self, ChoiceKind, Context, Item, Message, PriceSource, ProductLink, Thumbnail, UnverifiedData,
};
use cartwright_plugin::{CallError, message, normalize_url};

use crate::product_tree::{self, ProductTree};
use crate::raw::json_string;
use crate::saved::{self, Article, Attribute, DisplayValue, Product, Saved, invalid, whole};
use crate::settings::{self, OrderType};

/// Maximum number of attributes of all items together. Replicas multiply the attributes that were sent.
const MAX_ATTRIBUTES: usize = 10_000;
/// Maximum number of different articles of all items together.
const MAX_ARTICLES: usize = 20_000;
/// Maximum size of the states of all items together, in bytes.
const MAX_STATE_BYTES: usize = 16 << 20;
/// Separates the shopper's text from the font in a text attribute.
const FONT: &str = "@font:";

/// Decodes the output of `saveConfiguration`.
///
/// # Errors
/// `invalid-input` with the path of the wrong value, such as `[0].articles[3].models_sku`.
pub fn decode(context: &Context, product_link: &ProductLink, raw: &[u8]) -> Result<DecodeResult, CallError> {
    let key_fields = settings::key_fields(context);
    let saved = saved::read(raw, &key_fields)?;
    let family = product_tree::link(&saved, whole(&product_link.vendor_product))?;
    let mut decoder = Decoder { context, raw, saved: &saved, family: &family, warnings: Vec::new(), omitted: 0 };
    let items = decoder.items()?;
    let warnings = decoder.into_warnings();
    Ok(DecodeResult { items, price_from: settings::price_source(context), warnings, extra: Vec::new() })
}

struct Decoder<'a> {
    context: &'a Context,
    raw: &'a [u8],
    saved: &'a Saved<'a>,
    family: &'a ProductTree,
    warnings: Vec<Message>,
    omitted: usize,
}

impl Decoder<'_> {
    fn items(&mut self) -> Result<Vec<Item>, CallError> {
        let unconfirmed = unconfirmed(self.context);
        let mut items = Vec::with_capacity(self.family.order.len());
        let (mut attributes, mut articles, mut states) = (0, 0, 0);
        for &place in &self.family.order {
            let item = self.item(place, &unconfirmed);
            attributes += item.attributes.len();
            articles += item.articles.len();
            states += item.state.len();
            for (count, limit, member, what) in [
                (attributes, MAX_ATTRIBUTES, "attributes", "attributes"),
                (articles, MAX_ARTICLES, "articles", "different articles"),
                (states, MAX_STATE_BYTES, "configuration", "bytes of state"),
            ] {
                if count > limit {
                    let problem = format!("all products together exceed the limit of {limit} {what}");
                    return Err(invalid(self.saved.path(place, member), &problem));
                }
            }
            items.push(item);
        }
        Ok(items)
    }

    #[allow(
        clippy::indexing_slicing,
        reason = "the tree was built from these products, and a place is a position of one"
    )]
    fn item(&mut self, place: usize, unconfirmed: &Option<UnverifiedData>) -> Item {
        let saved = self.saved;
        let product = &saved.products[place];
        let content_source = &saved.products[self.family.content_source[place]];
        Item {
            id: product.uuid.as_str().map(str::to_owned),
            parent: product.parent_uuid.as_str().map(str::to_owned),
            attributes: self.attributes(place, content_source),
            articles: self.articles(&content_source.articles),
            thumbnail: self.thumbnail(place, product),
            state: state(content_source),
            unverified: unconfirmed.clone(),
            ..Item::new(product.catalogue_id.to_string())
        }
    }

    /// Returns the visible attributes in their order, then the hidden ones, which only the state contains.
    fn attributes(&mut self, place: usize, content_source: &Product<'_>) -> Vec<types::Attribute> {
        let in_state: BTreeMap<&Code<'_>, &Attribute<'_>> =
            content_source.state_attributes.iter().rev().map(|attribute| (&attribute.id, attribute)).collect();
        let mut shown_ids = BTreeSet::new();
        let mut attributes =
            Vec::with_capacity(content_source.attributes.len().max(content_source.state_attributes.len()));
        for shown in content_source.attributes.iter() {
            // With `include_keys` either list may contain the KEY.
            let key = shown.key.as_deref().or_else(|| in_state.get(&shown.id)?.key.as_deref());
            if shown.keys_differ {
                self.warn_of_keys(place, &shown.id);
            }
            if matches!(shown.display_value, DisplayValue::Other { is_cut: true, .. })
                && shown.value_name.as_str().is_none()
            {
                self.warn_of_cut(place, &shown.id);
            }
            shown_ids.insert(&shown.id);
            push_attribute(&mut attributes, shown, key, false);
        }
        for hidden in content_source.state_attributes.iter().filter(|hidden| !shown_ids.contains(&hidden.id)) {
            push_attribute(&mut attributes, hidden, hidden.key.as_deref(), true);
        }
        attributes
    }

    fn warn_of_keys(&mut self, place: usize, id: &Code<'_>) {
        let path = self.saved.path(place, "attributes");
        let text = format!(
            "The attribute {id} at {path} has different KEYs in several fields; the first of the setting \"key-fields\" counts."
        );
        self.warnings.push(message("keys-differ", text, &[("attribute", id.as_ref()), ("path", &path)]));
    }

    fn warn_of_cut(&mut self, place: usize, id: &Code<'_>) {
        let path = self.saved.path(place, "attributes");
        let text = format!(
            "The value of the attribute {id} at {path} is not a text and is shown incomplete. The saved configuration has the complete value."
        );
        self.warnings.push(message("value-not-shown", text, &[("attribute", id.as_ref()), ("path", &path)]));
    }

    /// Returns the articles with equal entries added up: an article has no quantity and is repeated instead.
    fn articles(&mut self, articles: &[Article<'_>]) -> Vec<types::Article> {
        let mut counted: Vec<(&Article<'_>, u32)> = Vec::with_capacity(articles.len().min(64));
        let mut places = BTreeMap::new();
        for article in articles {
            if !has_sku(article) {
                self.omitted += 1;
                continue;
            }
            let place = *places.entry(article_key(article)).or_insert(counted.len());
            match counted.get_mut(place) {
                Some((_, count)) => *count += 1,
                None => counted.push((article, 1)),
            }
        }
        counted.into_iter().map(|(article, count)| as_article(article, count)).collect()
    }

    /// Returns the byte range of the picture between its quotes, else its URL. An unusable picture causes a warning and
    /// no error.
    fn thumbnail(&mut self, place: usize, product: &Product<'_>) -> Option<Thumbnail> {
        let mut unusable = |member: &str, problem: &str| {
            let path = self.saved.path(place, member);
            let text = format!("The picture at {path} is omitted: {problem}.");
            self.warnings.push(message("thumbnail-unusable", text, &[("path", &path)]));
        };
        match product.thumbnail.map(RawValue::get) {
            None | Some("\"\"") => {}
            Some(text) => {
                match text.strip_prefix('"').and_then(|text| json::range(self.raw, text.strip_suffix('"')?)) {
                    Some(range) => return Some(Thumbnail::InPayload(range)),
                    None => unusable("thumbnail", "it must be a text"),
                }
            }
        }
        let Name(url) = match product.thumbnail_url.map(json::read_part).transpose() {
            Ok(url) => url?,
            Err(_) => Name("?".into()),
        };
        if url.is_empty() {
            return None;
        }
        let address = normalize_url(&url);
        if address.is_none() {
            unusable("thumbnail_url", "it must be a URL");
        }
        address.map(Thumbnail::Url)
    }

    fn into_warnings(mut self) -> Vec<Message> {
        if self.omitted > 0 {
            let count = self.omitted.to_string();
            let text = format!("{count} articles have no SKU and are omitted from the bill of materials.");
            self.warnings.push(message("articles-without-sku", text, &[("count", &count)]));
        }
        self.warnings
    }
}

fn has_sku(article: &Article<'_>) -> bool {
    article.models_sku.as_str().or(article.price_sku.as_str()).is_some()
}

fn article_key<'a>(article: &'a Article<'_>) -> (Option<&'a str>, Option<&'a str>, Option<&'a str>) {
    (article.models_sku.as_str(), article.price_sku.as_str(), article.material_sku.as_str())
}

fn as_article(article: &Article<'_>, count: u32) -> types::Article {
    let (model, price, material) = article_key(article);
    types::Article {
        price_sku: price.map(str::to_owned),
        material_sku: material.map(str::to_owned),
        // An article without a model SKU is identified by its price SKU.
        ..types::Article::new(model.or(price).unwrap_or_default(), count.to_string())
    }
}

fn push_attribute(attributes: &mut Vec<types::Attribute>, attribute: &Attribute<'_>, key: Option<&str>, hidden: bool) {
    let id = attribute.id.to_string();
    let name = attribute.name.as_str().unwrap_or(&id).to_owned();
    let value_name = attribute.value_name.as_str();
    let (value, kind, font) = match &attribute.display_value {
        DisplayValue::Text(text) => {
            let (text, font) = split_font(text);
            (text, ChoiceKind::Text, font)
        }
        DisplayValue::Number(number) => (value_name.unwrap_or(number), ChoiceKind::Number, None),
        DisplayValue::YesNo(yes) => (value_name.unwrap_or(if *yes { "yes" } else { "no" }), ChoiceKind::Chosen, None),
        DisplayValue::File(kind) => (value_name.unwrap_or(kind), ChoiceKind::File, None),
        DisplayValue::Other { text: shown, .. } => (value_name.unwrap_or(shown), ChoiceKind::Chosen, None),
        DisplayValue::Nothing => (value_name.unwrap_or_default(), ChoiceKind::Chosen, None),
    };
    // The font is a separate attribute: it is shown and produced, but it is not part of the shopper's text.
    let font = font.map(|font| types::Attribute {
        hidden,
        ..types::Attribute::new(format!("{id}.font"), format!("{name} (font)"), font, ChoiceKind::Chosen)
    });
    let key = key.map(str::to_owned);
    attributes.push(types::Attribute { key, hidden, ..types::Attribute::new(id, name, value, kind) });
    attributes.extend(font);
}

/// Returns everything that distinguishes a configured product besides its attribute texts and article SKUs, so that
/// products that differ in any way become two lines: the saved state, `attribute_value` of each kind, KEYs, and
/// articles without a SKU. Attributes and articles are identified by their content, because their order has no meaning.
fn state(content_source: &Product<'_>) -> String {
    let mut attributes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for attribute in
        content_source.attributes.iter().filter(|attribute| attribute.value.is_some() || attribute.key.is_some())
    {
        let optional = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), json_string);
        let (key, name) = (optional(attribute.key.as_deref()), optional(attribute.value_name.as_str()));
        let entry = format!("[{},{name},{key}]", attribute.value.map_or("null", RawValue::get));
        attributes.entry(attribute.id.as_str()).or_default().push(entry);
    }
    let mut articles: BTreeMap<String, u32> = BTreeMap::new();
    for article in content_source.articles.iter().filter(|article| !has_sku(article)) {
        let ids = [&article.models_id, &article.material_group_id, &article.material_sku];
        let ids: Vec<String> = ids.map(|id| json_string(id.as_str().unwrap_or_default())).into();
        *articles.entry(format!("[{}]", ids.join(","))).or_default() += 1;
    }
    let mut members = Vec::new();
    if !attributes.is_empty() {
        let entry = attributes.iter().map(|(id, entry)| format!("{}:[{}]", json_string(id), entry.join(",")));
        members.push(format!("\"attributes\":{{{}}}", entry.collect::<Vec<_>>().join(",")));
    }
    if !articles.is_empty() {
        let counted = articles.iter().map(|(ids, count)| format!("{}:{count}", json_string(ids)));
        members.push(format!("\"articles\":{{{}}}", counted.collect::<Vec<_>>().join(",")));
    }
    members.extend(content_source.state.map(|state| format!("\"configuration\":{}", state.get())));
    if members.is_empty() { String::new() } else { format!("{{{}}}", members.join(",")) }
}

/// Splits `Bob @font:Arial` into the text `Bob` and the font `Arial`, at the last mark, as the shopper's text may
/// contain one.
fn split_font(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(FONT) {
        Some((text, font)) if !font.trim().is_empty() => (text.trim_end(), Some(font.trim())),
        Some((text, _)) => (text.trim_end(), None),
        None => (text, None),
    }
}

/// Returns the mark for lines whose product or price depends on KEYs or articles. Those come through the browser, and
/// Expivi has no call that verifies them.
fn unconfirmed(context: &Context) -> Option<UnverifiedData> {
    let what = match (settings::order_type(context), settings::price_source(context)) {
        (_, PriceSource::Components) | (Some(OrderType::Bundle), _) => "articles",
        (Some(OrderType::Variation), _) => "KEYs",
        _ => return None,
    };
    let text = format!(
        "The {what} that decide what is bought came through the shopper's browser; Expivi offers no way to confirm them."
    );
    Some(UnverifiedData {
        reason: message("unconfirmed", text, &[("what", what)]),
        hold: settings::holds_unverified(context),
    })
}

#[cfg(test)]
mod tests;
