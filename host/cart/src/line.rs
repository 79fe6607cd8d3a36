//! A cart line as the host makes it and a platform keeps it, and the seal over its price.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cartwright_contract::ids::{AccountId, Digest, PluginId, ShopId};
use cartwright_contract::records::{
    Adjustment, Article, ChildRemoval, ItemReference, Line, LinePart, Message, Money, PriceSource, PriceState, TaxBasis,
};
use cartwright_contract::text::{self, MAX_SHOWN_CHARS};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::error::{CartError, SealError, issue};
use crate::identity::{LineKeyInput, QuotedLineKey, line_key, quoted_line_key};
use crate::shop::{Shop, Visitor};

/// Which version of which plugin a line belongs to. Later events of the line go there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pin {
    /// The vendor account.
    pub account: AccountId,
    /// Its plugin.
    pub plugin: PluginId,
    /// The plugin's version.
    pub digest: Digest,
    /// The account whose plugin planned the line; the vendor's own unless the shop chose another.
    pub strategy_account: AccountId,
    /// That plugin's version.
    pub strategy_digest: Digest,
    /// The strategy's name.
    pub strategy: String,
}

impl Pin {
    /// The strategy, by its account and name: another version of it gives lines the same keys.
    pub(crate) fn strategy_name(&self) -> String {
        format!("{}/{}", self.strategy_account, self.strategy)
    }
}

/// A price that the host computed, with the host's signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SealedPrice {
    /// For one; none when the total does not divide into whole minor units.
    pub unit: Option<Money>,
    /// For the line's whole quantity.
    pub total: Money,
    /// With or without tax.
    pub tax: TaxBasis,
    /// Who said it.
    pub source: PriceSource,
    /// How far it can be trusted.
    pub state: PriceState,
    /// For a child of a bundle: the amount is part of its parent's and is not charged again.
    pub included_in_parent: bool,
    /// Until when it holds without asking again.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Moment))]
    pub expires: String,
    /// The country that it was priced for, as [`Visitor`] names it. A vendor's prices may depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The customer group that it was priced for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_group: Option<String>,
    /// What the strategy added to the price of one, and why: for the shopper's eyes. The amounts above hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// The quotation that offered this price; none for a price that anybody gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// The signature.
    pub seal: String,
}

/// Something about a line that no server confirmed, or that its saved configuration does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnverifiedLine {
    /// What.
    pub reason: Message,
    /// Is the line held back from production until the merchant approves?
    pub hold: bool,
}

/// A line of the cart. A platform stores it whole beside its own line, and gives it back as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CartLine {
    /// Names the line by what it holds: a line that would hold the same has the same key.
    pub key: String,
    /// The platform's product.
    pub product: String,
    /// The platform's variant; none for a text.
    pub variant_id: Option<String>,
    /// Its SKU.
    pub sku: Option<String>,
    /// Its title.
    pub title: String,
    /// How many; for a child, for all bundles together.
    pub quantity: u32,
    /// The key of the bundle's parent.
    pub parent: Option<String>,
    /// For a child: how many go into one bundle.
    pub per_bundle: Option<u32>,
    /// For a child: may it be taken out?
    pub child_removal: Option<ChildRemoval>,
    /// For a bundle's parent: the keys of its children. Without them, a part that costs nothing could go missing unseen.
    pub children: Vec<String>,
    /// For a child: what it buys, by a name that is the same in whichever bundle.
    pub part: Option<Digest>,
    /// For a bundle's parent: the [`part`](Self::part)s that were taken out of it, sorted. They stay out when it is planned again.
    pub without: Vec<Digest>,
    /// What the cart shows under it. Plain text.
    pub shown: Vec<LinePart>,
    /// Its price.
    pub price: SealedPrice,
    /// The stored raw configuration.
    pub configuration: Option<Digest>,
    /// Which configured product of it, by index.
    pub item: Option<u32>,
    /// The vendor's id of that configured product within the configuration.
    pub item_id: Option<String>,
    /// What makes the configured product what it is.
    pub fingerprint: Option<Digest>,
    /// The stored picture.
    pub thumbnail: Option<Digest>,
    /// The bill of materials of one, without the parts that were taken out.
    pub bill_of_materials: Vec<Article>,
    /// The vendor's product that was configured.
    pub vendor_product: Option<String>,
    /// The vendor's id of the saved configuration.
    pub reference: Option<String>,
    /// What no server confirmed, or what the shopper took out.
    pub unconfirmed: Option<UnverifiedLine>,
    /// The shop product that the configurator stands on.
    pub linked_product: String,
    /// The quantity that the shopper asked for when the line was planned.
    pub requested_quantity: u32,
    /// The variant that the shopper chose before configuring.
    pub chosen_variant: Option<String>,
    /// Where later events of the line go.
    pub pin: Pin,
}

impl CartLine {
    /// Everything that decides what the line is and costs, and by which people judge it: a merchant prices what stands there.
    fn sealed_bytes(&self, shop: &ShopId) -> Result<Vec<u8>, CartError> {
        let price = &self.price;
        let sealed = SealInput {
            shop,
            key: &self.key,
            product: &self.product,
            variant_id: self.variant_id.as_deref(),
            sku: self.sku.as_deref(),
            title: &self.title,
            shown: &self.shown,
            thumbnail: self.thumbnail,
            quantity: self.quantity,
            parent: self.parent.as_deref(),
            per_bundle: self.per_bundle,
            child_removal: self.child_removal,
            children: &self.children,
            part: self.part,
            without: &self.without,
            configuration: self.configuration,
            item: self.item,
            item_id: self.item_id.as_deref(),
            fingerprint: self.fingerprint,
            bill_of_materials: &self.bill_of_materials,
            vendor_product: self.vendor_product.as_deref(),
            reference: self.reference.as_deref(),
            unconfirmed: self.unconfirmed.as_ref(),
            linked_product: &self.linked_product,
            requested_quantity: self.requested_quantity,
            chosen_variant: self.chosen_variant.as_deref(),
            pin: &self.pin,
            unit: price.unit.as_ref(),
            total: &price.total,
            tax: price.tax,
            source: price.source,
            state: &price.state,
            included_in_parent: price.included_in_parent,
            expires: &price.expires,
            country: price.country.as_deref(),
            customer_group: price.customer_group.as_deref(),
            adjustments: &price.adjustments,
            offer: price.offer.as_deref(),
        };
        // Serde writes a struct's members in their order, so the same line always gives the same bytes.
        serde_json::to_vec(&sealed).map_err(|error| CartError::Unserializable(error.to_string()))
    }

    /// Does its price hold for this visitor? What a merchant offered holds for whoever was offered it.
    pub fn is_priced_for(&self, visitor: &Visitor) -> bool {
        let SealedPrice { country, customer_group, offer, .. } = &self.price;
        offer.is_some() || (country, customer_group) == (&visitor.country, &visitor.customer_group)
    }

    /// The key that this line would have if `usual` were its key at the usual price.
    pub fn key_at_price(&self, usual: String) -> Result<String, CartError> {
        match &self.price.offer {
            Some(quote) => quoted_line_key(&QuotedLineKey { key: &usual, quote }),
            None => Ok(usual),
        }
    }

    /// The key of this line at the usual price, which is no child, if just these parts were taken out of it.
    pub fn key_without_parts(&self, shop: &ShopId, without: &[Digest]) -> Result<String, CartError> {
        line_key(&LineKeyInput {
            shop,
            product: &self.product,
            variant: self.variant_id.as_deref(),
            text: None,
            fingerprint: self.fingerprint,
            strategy: &self.pin.strategy_name(),
            parent: None,
            without,
        })
    }

    /// Brings every text that people read into a form that can be shown and kept, and warns the merchant of what was cut. What names
    /// something was checked when the configuration was decoded.
    ///
    /// # Errors
    /// For a text that cannot be shown.
    pub fn sanitize_texts(&mut self, warnings: &mut Vec<Message>) -> Result<(), CartError> {
        let mut show = |what: &str, text: &mut String| {
            let shown = text::display_text(text).map_err(|error| {
                CartError::Configuration(issue("shown", "text-unusable", format!("{what} cannot be shown: {error}")))
            })?;
            if shown.is_truncated {
                warnings.push(truncation_warning(what, text));
            }
            *text = shown.text;
            Ok::<_, CartError>(())
        };
        show("the title", &mut self.title)?;
        for LinePart { name, value } in &mut self.shown {
            show("a name", name)?;
            show(name, value)?;
        }
        for adjustment in &mut self.price.adjustments {
            adjustment.label = text::message(adjustment.label.clone());
        }
        if let Some(unconfirmed) = &mut self.unconfirmed {
            unconfirmed.reason = text::message(unconfirmed.reason.clone());
        }
        if let PriceState::Unverified(reason) = &mut self.price.state {
            *reason = text::sanitize(reason, MAX_SHOWN_CHARS).text;
        }
        Ok(())
    }

    /// Signs the line's price for this shop.
    ///
    /// # Errors
    /// When the line cannot be written down; it has no seal then.
    pub fn seal(&mut self, shop: &Shop) -> Result<(), CartError> {
        let signature = self.mac(shop)?.finalize().into_bytes();
        self.price.seal = format!("v1.{}", URL_SAFE_NO_PAD.encode(signature));
        Ok(())
    }

    fn mac(&self, shop: &Shop) -> Result<Hmac<Sha256>, CartError> {
        let mac = Hmac::<Sha256>::new_from_slice(shop.seal_key.expose());
        let mut mac = mac.map_err(|error| CartError::Unserializable(format!("the shop's key: {error}")))?;
        mac.update(&self.sealed_bytes(&shop.id)?);
        Ok(mac)
    }

    /// Checks the signature, that it is over the money that the shop sells in, and its time.
    pub fn check_seal(&self, shop: &Shop, at: Timestamp) -> Result<(), SealError> {
        let signature = self.price.seal.strip_prefix("v1.").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let sealed = self.mac(shop).ok().zip(signature);
        // `verify_slice` compares in constant time.
        if sealed.is_none_or(|(mac, signature)| mac.verify_slice(&signature).is_err()) {
            return Err(SealError::Forged);
        }
        let Money { currency, scale, .. } = &self.price.total;
        if (currency, *scale) != (&shop.currency, shop.scale) {
            return Err(SealError::OtherMoney);
        }
        match self.price.expires.parse::<Timestamp>() {
            Ok(expires) if at < expires => Ok(()),
            Ok(_) => Err(SealError::Expired),
            Err(_) => Err(SealError::Forged),
        }
    }

    /// Has the line lain in its cart for so long that its pin no longer counts?
    pub fn is_pin_expired(&self, seconds: u32, at: Timestamp) -> bool {
        let ends = self.price.expires.parse::<Timestamp>().ok();
        let ends = ends.and_then(|ends| ends.checked_add(SignedDuration::from_secs(seconds.into())).ok());
        ends.is_none_or(|ends| at > ends)
    }

    /// As the contract's `line`, with what is kept of its configured product.
    pub fn as_contract(&self) -> Line {
        let item = || {
            Some(ItemReference {
                index: self.item?,
                id: self.item_id.clone(),
                vendor_product: self.vendor_product.clone()?,
                reference: self.reference.clone(),
                fingerprint: self.fingerprint?.to_string(),
            })
        };
        Line {
            key: self.key.clone(),
            product: self.product.clone(),
            variant_id: self.variant_id.clone(),
            sku: self.sku.clone(),
            quantity: self.quantity,
            parent_key: self.parent.clone(),
            unit_price: self.price.unit.clone(),
            configuration: self.configuration.map(|digest| digest.to_string()),
            item: item(),
        }
    }
}

/// What a seal signs.
#[derive(Serialize)]
struct SealInput<'a> {
    shop: &'a ShopId,
    key: &'a str,
    product: &'a str,
    variant_id: Option<&'a str>,
    sku: Option<&'a str>,
    title: &'a str,
    shown: &'a [LinePart],
    thumbnail: Option<Digest>,
    quantity: u32,
    parent: Option<&'a str>,
    per_bundle: Option<u32>,
    child_removal: Option<ChildRemoval>,
    children: &'a [String],
    part: Option<Digest>,
    without: &'a [Digest],
    configuration: Option<Digest>,
    item: Option<u32>,
    item_id: Option<&'a str>,
    fingerprint: Option<Digest>,
    bill_of_materials: &'a [Article],
    vendor_product: Option<&'a str>,
    reference: Option<&'a str>,
    unconfirmed: Option<&'a UnverifiedLine>,
    linked_product: &'a str,
    requested_quantity: u32,
    chosen_variant: Option<&'a str>,
    pin: &'a Pin,
    unit: Option<&'a Money>,
    total: &'a Money,
    tax: TaxBasis,
    source: PriceSource,
    state: &'a PriceState,
    included_in_parent: bool,
    expires: &'a str,
    country: Option<&'a str>,
    customer_group: Option<&'a str>,
    adjustments: &'a [Adjustment],
    offer: Option<&'a str>,
}

/// Warns of a text of which a cart shows the beginning only.
fn truncation_warning(what: &str, text: &str) -> Message {
    let (what, excerpt) = (text::sanitize(what, 80).text, text::sanitize(text, 80).text);
    let length = text.chars().count();
    let said = format!(
        "{what} has {length} characters; the cart shows the first {MAX_SHOWN_CHARS} of them, marked with \"…\". The saved configuration \
         holds all of it. It begins: {excerpt}"
    );
    let parameters = vec![("what".to_owned(), what), ("length".to_owned(), length.to_string())];
    Message { key: "text-cut".to_owned(), parameters, text: said }
}
