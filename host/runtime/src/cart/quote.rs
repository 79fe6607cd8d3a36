//! Requests for quotes, and lines at the prices of a quote.

use cartwright_cart::change::{CartChange, CartOperation, Stage};
use cartwright_cart::check::to_owned_lines;
use cartwright_cart::error::CartError;
use cartwright_cart::index::CartIndex;
use cartwright_cart::line::CartLine;
use cartwright_cart::quote::{self, QuoteOffer};
use cartwright_contract::ids::ShopId;

use crate::host::Cartwright;

impl Cartwright {
    /// Checks that a quote can be requested for these lines. Each must be as this host sealed it, complete with its
    /// children or the other lines of its set, and occur once. An expired seal is accepted, because the merchant
    /// reprices the lines.
    ///
    /// # Errors
    /// Returns [`CartError::Seal`] also for a line in another currency or scale than the shop's or the other lines',
    /// [`CartError::DuplicateLine`], [`CartError::UnknownLine`] for a child without its bundle and a line without its
    /// set, and [`CartError::QuotedLine`] for a line that has the price of a quote already.
    pub fn check_quote_lines(&self, shop: &ShopId, lines: &[CartLine]) -> Result<(), CartError> {
        quote::check_quote_lines(&self.shop_state(shop)?.shop, lines)
    }

    /// Returns the lines of a quote at their offered prices, sealed until the offer expires. The lines are not checked
    /// again: [`check_quote_lines`](Self::check_quote_lines) did so when the quote was requested.
    ///
    /// # Errors
    /// Returns [`CartError::QuoteMoney`] if a line is in a currency or scale that the shop does not sell in, and
    /// [`CartError::OfferMoney`] if an offered price is in another than the line; [`CartError::Price`] if a line that is
    /// not a child has no price, or a negative one; [`CartError::UnknownLine`] for a price of a line that does not exist.
    pub fn quote_lines(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        offer: &QuoteOffer,
    ) -> Result<Vec<CartLine>, CartError> {
        quote::quote_lines(&self.shop_state(shop)?.shop, lines, offer)
    }

    /// Adds the lines of a quote to a cart. Lines that the cart contains already stay unchanged, so accepting twice
    /// adds nothing twice.
    ///
    /// # Errors
    /// The same as [`quote_lines`](Self::quote_lines); [`CartError::Seal`] with a line of the cart that is in another
    /// currency or scale than the offer; also if the catalog no longer contains a line. Availability and
    /// quantity limits do not apply to a quote.
    pub async fn accept_quote(
        &self,
        shop: &ShopId,
        lines: &[CartLine],
        offer: &QuoteOffer,
        cart: &[CartLine],
    ) -> Result<CartChange, CartError> {
        let offered = self.quote_lines(shop, lines, offer)?;
        quote::check_one_currency(offered.iter().chain(cart))?;
        let (existing, offered_by_key) = (CartIndex::new(cart)?, CartIndex::new(&offered)?);
        let mut operations = Vec::new();
        for line in offered.iter().filter(|line| line.top_key().is_none() && existing.top_lines(&line.key).is_none()) {
            let family = offered_by_key.family(line);
            if let Some(error) = self.unavailable_reason(shop, &family).await? {
                return Err(error);
            }
            operations.push(CartOperation::Add { lines: to_owned_lines(&family) });
        }
        let result = format!("{} of {} lines added", operations.len(), offer.prices.len());
        let stage = Stage { stage: "offer".to_owned(), duration_micros: 0, result, log: Vec::new() };
        Ok(CartChange { operations, warnings: Vec::new(), stages: vec![stage] })
    }
}
