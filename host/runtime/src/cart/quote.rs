//! Asking about lines, and buying them as they were offered.

use cartwright_cart::change::{CartChange, CartOperation, Stage};
use cartwright_cart::check::to_owned_lines;
use cartwright_cart::error::CartError;
use cartwright_cart::index::CartIndex;
use cartwright_cart::line::CartLine;
use cartwright_cart::quote::{self, QuoteOffer};
use cartwright_contract::ids::ShopId;

use crate::host::Cartwright;

impl Cartwright {
    /// Can these lines be asked about? Each must be as this host sealed it, whole with its children, and there once. That a seal's
    /// time is over is no fault here: the merchant prices the lines anew.
    ///
    /// # Errors
    /// [`CartError::Seal`], also for a line in other money than the shop sells in, [`CartError::DuplicateLine`], [`CartError::UnknownLine`] for a child without its bundle, and [`CartError::QuotedLine`] for a
    /// line that was offered before.
    pub fn check_quote_lines(&self, shop: &ShopId, lines: &[CartLine]) -> Result<(), CartError> {
        quote::check_quote_lines(&self.shop_state(shop)?.shop, lines)
    }

    /// The lines of a quotation as they are offered, sealed until the offer ends. The lines are taken as they are: they were
    /// [checked](Self::check_asked) when they were asked about.
    ///
    /// # Errors
    /// [`CartError::AskedMoney`] when a line is of another currency or scale than the shop sells in, and [`CartError::OfferMoney`] when an
    /// offered price is; [`CartError::Price`] when a top line has no price, or a negative one; [`CartError::UnknownLine`] for a price of a line
    /// that is none.
    pub fn quote_lines(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        offer: &QuoteOffer,
    ) -> Result<Vec<CartLine>, CartError> {
        quote::quote_lines(&self.shop_state(shop)?.shop, lines, offer)
    }

    /// Puts what was offered into a cart. What the cart holds of it already stays as it is, so that accepting twice adds nothing
    /// twice.
    ///
    /// # Errors
    /// As [`quote_lines`](Self::quote_lines), and when the catalogue no longer holds a line. Whether and in which numbers it is sold
    /// otherwise says nothing about an offer.
    pub async fn accept_quote(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        offer: &QuoteOffer,
        cart: &[CartLine],
    ) -> Result<CartChange, CartError> {
        let offered = self.quote_lines(shop, lines, offer)?;
        let (held, offered_by_key) = (CartIndex::new(cart)?, CartIndex::new(&offered)?);
        let mut operations = Vec::new();
        for line in offered.iter().filter(|line| line.parent.is_none() && held.top_lines(&line.key).is_none()) {
            let family = offered_by_key.with_children(line);
            if let Some(error) = self.unavailable_reason(shop, &family).await? {
                return Err(error);
            }
            operations.push(CartOperation::Add { lines: to_owned_lines(&family) });
        }
        let result = format!("{} of {} lines are added", operations.len(), offer.prices.len());
        let stage = Stage { stage: "offer".to_owned(), duration_micros: 0, result, log: Vec::new() };
        Ok(CartChange { operations, warnings: Vec::new(), stages: vec![stage] })
    }
}
