//! From a saved configuration to the contract's items. Pure, and nothing in the payload is believed: ids and links are
//! checked, prices are not read, and what only a browser says about what is bought is marked as unconfirmed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cartwright_plugin::exports::configuration::Decoded;
use cartwright_plugin::types::{
    self, Association, ByteRange, Context, Item, Message, PriceSource, Thumbnail, Unverified,
};
use cartwright_plugin::{Error, message};

use crate::family::{self, Family};
use crate::json::{Id, refused, whole};
use crate::saved::{self, Article, Attribute, Product, Saved};
use crate::settings::{self, OrderType};

/// The most attributes of all items together: replicas multiply what was sent.
const MOST_ATTRIBUTES: usize = 10_000;
/// The most different articles of all items together.
const MOST_ARTICLES: usize = 20_000;
/// Stands in a text attribute between what the shopper wrote and the font.
const FONT: &str = "@font:";

/// Decodes what `saveConfiguration` gave.
///
/// # Errors
/// `invalid-input` with the path of what is wrong, such as `[0].articles[3].models_sku`.
pub fn decode(context: &Context, association: &Association, raw: &[u8]) -> Result<Decoded, Error> {
    let key_fields = settings::key_fields(context);
    let saved = saved::read(raw, &key_fields)?;
    let family = family::link(&saved, whole(&association.vendor_product).unwrap_or_default())?;
    let mut decoder = Decoder { context, raw, saved: &saved, family: &family, warnings: Vec::new(), left_out: 0 };
    let items = decoder.items()?;
    let warnings = decoder.into_warnings();
    Ok(Decoded { items, price_from: settings::price_source(context), warnings })
}

struct Decoder<'a> {
    context: &'a Context,
    raw: &'a [u8],
    saved: &'a Saved<'a>,
    family: &'a Family,
    warnings: Vec<Message>,
    left_out: usize,
}

impl Decoder<'_> {
    fn items(&mut self) -> Result<Vec<Item>, Error> {
        let unconfirmed = unconfirmed(self.context);
        let mut items = Vec::with_capacity(self.family.order.len());
        let (mut attributes, mut articles) = (0, 0);
        for &place in &self.family.order {
            let item = self.item(place, &unconfirmed);
            attributes += item.attributes.len();
            articles += item.articles.len();
            if attributes > MOST_ATTRIBUTES {
                let problem = format!("all products together have more than {MOST_ATTRIBUTES} attributes");
                return Err(refused(self.saved.path(place, "attributes"), &problem));
            }
            if articles > MOST_ARTICLES {
                let problem = format!("all products together have more than {MOST_ARTICLES} different articles");
                return Err(refused(self.saved.path(place, "articles"), &problem));
            }
            items.push(item);
        }
        Ok(items)
    }

    fn item(&mut self, place: usize, unconfirmed: &Option<Unverified>) -> Item {
        let saved = self.saved;
        let product = &saved.products[place];
        let content = &saved.products[self.family.content[place]];
        Item {
            id: product.uuid.as_deref().map(str::to_owned),
            parent: product.parent_uuid.as_deref().map(str::to_owned),
            vendor_product: product.catalogue_id.to_string(),
            attributes: self.attributes(place, content),
            articles: self.articles(&content.articles),
            sku: None,
            reference: None,
            thumbnail: self.thumbnail(place, product),
            state: content.state.map(|state| state.get().to_owned()).unwrap_or_default(),
            unverified: unconfirmed.clone(),
            extra: Vec::new(),
        }
    }

    /// The shown attributes in their order, then those that only the state holds, which are hidden.
    fn attributes(&mut self, place: usize, content: &Product<'_>) -> Vec<types::Attribute> {
        let state = &content.state_attributes;
        let mut attributes = Vec::with_capacity(content.attributes.len().max(state.len()));
        for shown in &content.attributes {
            // With `include_keys` the KEY may stand in either list.
            let key = shown.key.as_ref().or_else(|| state.iter().find(|other| other.id == shown.id)?.key.as_ref());
            if shown.keys_differ {
                self.warn_of_keys(place, &shown.id);
            }
            push_attribute(&mut attributes, shown, key, false);
        }
        // The usual case has both lists in one order, which makes the first guess right.
        let is_shown = |place: usize, id: &Id<'_>| {
            content.attributes.get(place).is_some_and(|shown| shown.id == *id)
                || content.attributes.iter().any(|shown| shown.id == *id)
        };
        for (at, hidden) in state.iter().enumerate() {
            if !is_shown(at, &hidden.id) {
                push_attribute(&mut attributes, hidden, hidden.key.as_ref(), true);
            }
        }
        attributes
    }

    fn warn_of_keys(&mut self, place: usize, id: &Id<'_>) {
        let path = self.saved.path(place, "attributes");
        let text = format!(
            "The attribute {id} at {path} has different KEYs in several fields; the first of the setting \"key-fields\" counts."
        );
        self.warnings.push(message("keys-differ", text, &[("attribute", &id.to_string()), ("path", &path)]));
    }

    /// Equal entries are added up: an article has no quantity, it is repeated.
    fn articles(&mut self, articles: &[Article<'_>]) -> Vec<types::Article> {
        let mut counted: Vec<(&Article<'_>, u32)> = Vec::with_capacity(articles.len().min(64));
        let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        for article in articles {
            let text = |text: &'_ Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().len();
            if text(&article.models_sku) + text(&article.price_sku) == 0 {
                self.left_out += 1;
                continue;
            }
            let place = *places.entry(name_of(article)).or_insert(counted.len());
            match counted.get_mut(place) {
                Some((_, count)) => *count += 1,
                None => counted.push((article, 1)),
            }
        }
        counted.into_iter().map(|(article, count)| as_article(article, count)).collect()
    }

    /// The picture's place in the payload, between its quotes.
    fn thumbnail(&mut self, place: usize, product: &Product<'_>) -> Option<Thumbnail> {
        let url = || product.thumbnail_url.as_deref().map(|url| Thumbnail::Url(url.to_owned()));
        let Some(text) = product.thumbnail.map(|thumbnail| thumbnail.get()) else { return url() };
        let inner = &text[1..text.len() - 1];
        // The host reads base64 in which "\/" is the only escape; another one is no picture.
        let mut bytes = inner.bytes();
        let mut plain = true;
        while let Some(byte) = bytes.by_ref().find(|byte| *byte == b'\\') {
            plain &= byte == b'\\' && bytes.next() == Some(b'/');
        }
        let offset = (inner.as_ptr() as usize).checked_sub(self.raw.as_ptr() as usize);
        let range = offset.and_then(|offset| Some((u32::try_from(offset).ok()?, u32::try_from(inner.len()).ok()?)));
        match range {
            Some((offset, length)) if plain => Some(Thumbnail::InPayload(ByteRange { offset, length })),
            _ => {
                let path = self.saved.path(place, "thumbnail");
                let text = format!("The picture at {path} is left out: it is no base64 text.");
                self.warnings.push(message("thumbnail-unusable", text, &[("path", &path)]));
                url()
            }
        }
    }

    fn into_warnings(mut self) -> Vec<Message> {
        if self.left_out > 0 {
            let count = self.left_out.to_string();
            let text = format!("{count} articles have no SKU and are left out of the bill of materials.");
            self.warnings.push(message("articles-without-sku", text, &[("count", &count)]));
        }
        self.warnings
    }
}

fn name_of<'a>(article: &'a Article<'_>) -> (&'a str, &'a str, &'a str) {
    let text = |text: &'a Option<Cow<'_, str>>| text.as_deref().unwrap_or_default();
    (text(&article.models_sku), text(&article.price_sku), text(&article.material_sku))
}

fn as_article(article: &Article<'_>, count: u32) -> types::Article {
    let owned = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
    types::Article {
        // A part that only has a price is known by that.
        sku: owned(&article.models_sku).or_else(|| owned(&article.price_sku)).unwrap_or_default(),
        quantity: count.to_string(),
        price_sku: owned(&article.price_sku),
        price: None,
        material_sku: owned(&article.material_sku),
        extra: Vec::new(),
    }
}

fn push_attribute(
    attributes: &mut Vec<types::Attribute>,
    attribute: &Attribute<'_>,
    key: Option<&(u32, Cow<'_, str>)>,
    hidden: bool,
) {
    let id = attribute.id.to_string();
    let name = attribute.name.as_deref().unwrap_or(&id).to_owned();
    let (value, font) = match attribute.text.as_deref() {
        Some(text) => split_font(text),
        None => (attribute.value_name.as_deref().unwrap_or_default(), None),
    };
    // The font is a choice of its own: it is shown and produced, but it is not what the shopper wrote.
    let font = font.map(|font| types::Attribute {
        id: format!("{id}.font"),
        name: format!("{name} (font)"),
        value: font.to_owned(),
        value_id: None,
        key: None,
        hidden,
        kind: "option".to_owned(),
    });
    let key = key.map(|(_, key)| key.to_string());
    let kind = if attribute.text.is_some() { "text" } else { "option" }.to_owned();
    attributes.push(types::Attribute { id, name, value: value.to_owned(), value_id: None, key, hidden, kind });
    attributes.extend(font);
}

/// `Bob @font:Arial` is the text `Bob` in the font `Arial`. The last mark counts, as a shopper may write one.
fn split_font(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(FONT) {
        Some((text, font)) if !font.trim().is_empty() => (text.trim_end(), Some(font.trim())),
        Some((text, _)) => (text.trim_end(), None),
        None => (text, None),
    }
}

/// KEYs and articles come through the browser, and no call of Expivi's confirms them. Where they decide what is bought or what
/// it costs, the line says so.
fn unconfirmed(context: &Context) -> Option<Unverified> {
    let what = match (settings::order_type(context), settings::price_source(context)) {
        (_, PriceSource::Components) | (Some(OrderType::Bundle), _) => "articles",
        (Some(OrderType::Variation), _) => "KEYs",
        _ => return None,
    };
    let text = format!(
        "The {what} that decide what is bought came through the shopper's browser; Expivi offers no way to confirm them."
    );
    Some(Unverified {
        reason: message("unconfirmed", text, &[("what", what)]),
        hold: settings::holds_unconfirmed(context),
    })
}

#[cfg(test)]
mod tests;
