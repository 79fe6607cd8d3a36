//! Constructors of configured products and prices, to be completed with `..Item::new(…)`.

use crate::types::{Article, Attribute, ChoiceKind, Item, Money, Price, PriceBasis, PriceRole, PriceState, TaxBasis};

impl Item {
    /// Returns a configured product without choices, at the top.
    pub fn new(vendor_product: impl Into<String>) -> Self {
        Self {
            id: None,
            parent: None,
            vendor_product: vendor_product.into(),
            title: None,
            quantity: 1,
            attributes: Vec::new(),
            articles: Vec::new(),
            sku: None,
            saved_id: None,
            thumbnail: None,
            state: String::new(),
            unverified: None,
            valid_until: None,
            extra: Vec::new(),
        }
    }
}

impl Attribute {
    /// Returns a visible choice of this kind.
    pub fn new(id: impl Into<String>, name: impl Into<String>, value: impl Into<String>, kind: ChoiceKind) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            value: value.into(),
            value_id: None,
            key: None,
            hidden: false,
            kind,
            group: None,
            file: None,
            extra: Vec::new(),
        }
    }
}

impl Article {
    /// Returns an entry of a bill of materials that is neither priced nor part of another one, in pieces.
    pub fn new(sku: impl Into<String>, quantity: impl Into<String>) -> Self {
        Self {
            sku: sku.into(),
            title: None,
            quantity: quantity.into(),
            unit: None,
            price_sku: None,
            price: None,
            material_sku: None,
            parent: None,
            extra: Vec::new(),
        }
    }
}

impl Price {
    /// Returns the confirmed price of one piece, which is paid once.
    pub fn new(amount: Money, tax: TaxBasis) -> Self {
        Self {
            amount,
            basis: PriceBasis::Unit,
            role: PriceRole::Whole,
            tax,
            state: PriceState::Verified,
            period: None,
            valid_until: None,
            extra: Vec::new(),
        }
    }
}
