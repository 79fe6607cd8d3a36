//! Cart lines as the host creates them and a platform stores them, and the seal over their price.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cartwright_contract::ids::{AccountId, Digest, PluginId, ShopId};
use cartwright_contract::records::{
    self, Adjustment, Article, ChildRemoval, Currency, DisplayField, ItemSummary, Message, Money, PriceSource,
    PriceState, TaxBasis,
};
use cartwright_contract::text::{self, MAX_SHOWN_CHARS};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::error::{CartError, SealError, issue};
use crate::identity::{LineKeyInput, QuotedLineKey, line_key, quoted_line_key};
use crate::shop::{CustomerGroups, Shop, Visitor};

/// The plugin version and strategy that a line belongs to. Later calls for the line go there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pin {
    /// The account.
    pub account: AccountId,
    /// Its plugin.
    pub plugin: PluginId,
    /// The plugin version.
    pub digest: Digest,
    /// The account whose plugin planned the line: the vendor's own unless the shop chose another.
    pub strategy_account: AccountId,
    /// The version of that plugin.
    pub strategy_digest: Digest,
    /// Name of the strategy.
    pub strategy: String,
}

impl Pin {
    /// Returns the strategy by account and name, without its version, so that another version gives lines the same
    /// keys.
    pub(crate) fn strategy_name(&self) -> String {
        format!("{}/{}", self.strategy_account, self.strategy)
    }
}

/// A price that the host computed and signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SealedPrice {
    /// The unit price. `None` if the total does not divide into whole minor units.
    pub unit: Option<Money>,
    /// The price of the line's whole quantity.
    pub total: Money,
    /// Whether the price includes tax.
    pub tax: TaxBasis,
    /// The price source.
    pub source: PriceSource,
    /// Whether the price is verified.
    pub state: PriceState,
    /// For a child of a bundle: the amount is part of the parent's price and is not charged again.
    pub included_in_parent: bool,
    /// When the price expires, as an RFC 3339 time.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::TimestampText))]
    pub expires: String,
    /// The country that the line was priced for, as in [`Visitor`]. A vendor's prices may depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The region that the line was priced for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The customer groups that the line was priced for.
    #[serde(default, skip_serializing_if = "CustomerGroups::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub customer_groups: CustomerGroups,
    /// Adjustments that the strategy made to the unit price, with their reasons for the shopper. They are included in
    /// the amounts above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// Id of the quote that offered this price. `None` for the usual price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// The signature.
    pub seal: String,
}

/// Data of a line that no server verified, or that differs from its saved configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnverifiedLine {
    /// The reason.
    pub reason: Message,
    /// Whether the line is on hold: it is not produced until the merchant approves it.
    pub hold: bool,
}

/// A line of the cart. A platform stores it whole beside its own line, and returns it unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CartLine {
    /// The line key. Lines with equal contents have equal keys.
    pub key: String,
    /// The platform's product id.
    pub product: String,
    /// The platform's variant id; `None` for a text.
    pub variant_id: Option<String>,
    /// SKU of the variant.
    pub sku: Option<String>,
    /// Title of the line.
    pub title: String,
    /// The quantity; for a child, of all bundles together.
    pub quantity: u32,
    /// For a child: key of the bundle's parent.
    pub parent: Option<String>,
    /// For a child: the quantity in one bundle.
    pub per_bundle: Option<u32>,
    /// For a child: whether a shopper may remove it.
    pub child_removal: Option<ChildRemoval>,
    /// For a bundle's parent: keys of its children. Without them, a part that costs nothing could disappear unnoticed.
    pub children: Vec<String>,
    /// For a line of a set: the key of the set's line that names the configured product, which is the set's id. All
    /// lines of a set have it, that line included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// For the line of a set that names the configured product: keys of the set's other lines. Without them, a line
    /// could disappear unnoticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_lines: Vec<String>,
    /// For a child: the name of the part, which is the same in every bundle.
    pub part: Option<Digest>,
    /// For a bundle's parent: the removed [`part`](Self::part)s, sorted. They stay removed when the bundle is
    /// replanned.
    pub without: Vec<Digest>,
    /// Details that the cart shows below the line, as plain text.
    pub shown: Vec<DisplayField>,
    /// Indexes of the details of [`shown`](Self::shown) that contain what the shopper wrote, such as an engraving. It may
    /// be personal. `None` if the shopper wrote nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shopper_texts: Option<Vec<u32>>,
    /// The sealed price.
    pub price: SealedPrice,
    /// Digest of the stored raw configuration.
    pub configuration: Option<Digest>,
    /// Index of the item in the configuration.
    pub item: Option<u32>,
    /// The vendor's id of the item within the configuration.
    pub item_id: Option<String>,
    /// Fingerprint of the item.
    pub fingerprint: Option<Digest>,
    /// Digest of the stored thumbnail.
    pub thumbnail: Option<Digest>,
    /// Bill of materials of one piece, without removed parts.
    pub bill_of_materials: Vec<Article>,
    /// The vendor product that was configured.
    pub vendor_product: Option<String>,
    /// The vendor's id of the saved configuration.
    pub reference: Option<String>,
    /// Until when the vendor keeps the saved configuration, as an RFC 3339 time. The line is not sold after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// Unverified data, or the parts that the shopper removed.
    pub unconfirmed: Option<UnverifiedLine>,
    /// The shop product that carries the configurator.
    pub linked_product: String,
    /// The quantity that the shopper requested when the line was planned.
    pub requested_quantity: u32,
    /// The variant that the shopper chose before configuring.
    pub chosen_variant: Option<String>,
    /// The plugin version and strategy that later calls for the line go to.
    pub pin: Pin,
}

impl CartLine {
    /// Serializes the data that a seal covers: everything that decides what the line is and costs, and everything by
    /// which people judge it, because a merchant prices what the line shows.
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
            shopper_texts: self.shopper_texts.as_deref(),
            thumbnail: self.thumbnail,
            quantity: self.quantity,
            parent: self.parent.as_deref(),
            per_bundle: self.per_bundle,
            child_removal: self.child_removal,
            children: &self.children,
            set: self.set.as_deref(),
            set_lines: &self.set_lines,
            part: self.part,
            without: &self.without,
            configuration: self.configuration,
            item: self.item,
            item_id: self.item_id.as_deref(),
            fingerprint: self.fingerprint,
            bill_of_materials: &self.bill_of_materials,
            vendor_product: self.vendor_product.as_deref(),
            reference: self.reference.as_deref(),
            valid_until: self.valid_until.as_deref(),
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
            region: price.region.as_deref(),
            customer_groups: price.customer_groups.as_slice(),
            adjustments: &price.adjustments,
            offer: price.offer.as_deref(),
        };
        // Serde writes the members of a struct in their order, so equal lines give equal bytes.
        serde_json::to_vec(&sealed).map_err(|error| CartError::Unserializable(error.to_string()))
    }

    /// Returns the key of the top line that this line belongs to: of its bundle's parent, or of its set's line that
    /// names the configured product. `None` for a top line. A top line and the lines that belong to it are a family:
    /// they are edited, removed, planned, quoted and ordered together.
    pub fn top_key(&self) -> Option<&str> {
        let set = self.set.as_deref().filter(|top| *top != self.key);
        self.parent.as_deref().or(set)
    }

    /// Returns whether the price is valid for this visitor, who sees prices in this currency. An offered price is valid
    /// for the customer it was offered to, in the currency it was offered in.
    pub fn is_priced_for(&self, visitor: &Visitor, currency: &Currency) -> bool {
        let SealedPrice { country, region, customer_groups, offer, .. } = &self.price;
        let are_equal =
            || (country, region, customer_groups) == (&visitor.country, &visitor.region, &visitor.customer_groups);
        self.is_priced_in(currency) && (offer.is_some() || are_equal())
    }

    /// Returns whether the price is in this currency, with its number of decimals.
    pub fn is_priced_in(&self, currency: &Currency) -> bool {
        let Money { currency: code, scale, .. } = &self.price.total;
        (code, scale) == (&currency.code, &currency.scale)
    }

    /// Returns the key of this line at its present price, given its key at the usual price.
    pub fn key_at_price(&self, usual: String) -> Result<String, CartError> {
        match &self.price.offer {
            Some(quote) => quoted_line_key(&QuotedLineKey { key: &usual, quote }),
            None => Ok(usual),
        }
    }

    /// Returns the key of this top line at the usual price, if exactly these parts were removed from it.
    pub fn key_without_parts(&self, shop: &ShopId, without: &[Digest]) -> Result<String, CartError> {
        line_key(&LineKeyInput {
            shop,
            product: &self.product,
            variant: self.variant_id.as_deref(),
            text: None,
            fingerprint: self.fingerprint,
            strategy: &self.pin.strategy_name(),
            parent: None,
            set: None,
            copy: None,
            without,
        })
    }

    /// Sanitizes every text for people so that it can be displayed and stored, and warns the merchant of shortened
    /// texts. Names were checked when the configuration was decoded.
    ///
    /// # Errors
    /// Returns an error for a text that cannot be displayed.
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
        for DisplayField { name, value } in &mut self.shown {
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
    /// Returns an error if the line cannot be serialized; the line has no seal then.
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

    /// Checks the signature, whether the shop sells in the currency and scale, and the expiry of the seal.
    pub fn check_seal(&self, shop: &Shop, at: Timestamp) -> Result<(), SealError> {
        let signature = self.price.seal.strip_prefix("v1.").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let mac_and_signature = self.mac(shop).ok().zip(signature);
        // `verify_slice` compares in constant time.
        if mac_and_signature.is_none_or(|(mac, signature)| mac.verify_slice(&signature).is_err()) {
            return Err(SealError::Forged);
        }
        if !shop.currencies.iter().any(|currency| self.is_priced_in(currency)) {
            return Err(SealError::OtherMoney);
        }
        match self.price.expires.parse::<Timestamp>() {
            Ok(expires) if at < expires => Ok(()),
            Ok(_) => Err(SealError::Expired),
            Err(_) => Err(SealError::Forged),
        }
    }

    /// Returns whether the line has stayed in its cart for so long that its pin has expired.
    pub fn is_pin_expired(&self, seconds: u32, at: Timestamp) -> bool {
        let ends = self.price.expires.parse::<Timestamp>().ok();
        let ends = ends.and_then(|ends| ends.checked_add(SignedDuration::from_secs(seconds.into())).ok());
        ends.is_none_or(|ends| at > ends)
    }

    /// Converts to the contract's `cart-line`, with the stored data of its item.
    pub fn as_contract(&self) -> records::CartLine {
        let item = || {
            Some(ItemSummary {
                index: self.item?,
                id: self.item_id.clone(),
                vendor_product: self.vendor_product.clone()?,
                saved_id: self.reference.clone(),
                fingerprint: self.fingerprint?.to_string(),
            })
        };
        records::CartLine {
            key: self.key.clone(),
            product: self.product.clone(),
            variant_id: self.variant_id.clone(),
            sku: self.sku.clone(),
            quantity: self.quantity,
            parent_key: self.parent.clone(),
            unit_price: self.price.unit.clone(),
            configuration: self.configuration.map(|digest| digest.to_string()),
            item: item(),
            extra: Vec::new(),
        }
    }
}

/// The data that a seal covers.
#[derive(Serialize)]
struct SealInput<'a> {
    shop: &'a ShopId,
    key: &'a str,
    product: &'a str,
    variant_id: Option<&'a str>,
    sku: Option<&'a str>,
    title: &'a str,
    shown: &'a [DisplayField],
    shopper_texts: Option<&'a [u32]>,
    thumbnail: Option<Digest>,
    quantity: u32,
    parent: Option<&'a str>,
    per_bundle: Option<u32>,
    child_removal: Option<ChildRemoval>,
    children: &'a [String],
    set: Option<&'a str>,
    set_lines: &'a [String],
    part: Option<Digest>,
    without: &'a [Digest],
    configuration: Option<Digest>,
    item: Option<u32>,
    item_id: Option<&'a str>,
    fingerprint: Option<Digest>,
    bill_of_materials: &'a [Article],
    vendor_product: Option<&'a str>,
    reference: Option<&'a str>,
    valid_until: Option<&'a str>,
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
    region: Option<&'a str>,
    customer_groups: &'a [String],
    adjustments: &'a [Adjustment],
    offer: Option<&'a str>,
}

/// Returns the warning about a text that a cart shows only in part.
fn truncation_warning(what: &str, text: &str) -> Message {
    let (what, excerpt) = (text::sanitize(what, 80).text, text::sanitize(text, 80).text);
    let length = text.chars().count();
    let message = format!(
        "{what} has {length} characters; the cart shows the first {MAX_SHOWN_CHARS} of them, marked with \"…\". The saved configuration \
         holds all of it. It begins: {excerpt}"
    );
    let parameters = vec![("what".to_owned(), what), ("length".to_owned(), length.to_string())];
    Message { key: "text-cut".to_owned(), parameters, text: message }
}
