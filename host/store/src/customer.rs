//! Customers and their orders.
//!
//! A customer is identified by an e-mail address, because the contract has no other name. Every address that an order
//! was ever billed or delivered to is indexed as a keyed hash. So a platform that replaces the address in an order, to
//! make it anonymous, does not hide the order from a search for the old one: its events, journals and webhooks still
//! contain it.
//!
//! A platform also names the customer by an id of its own, or by an e-mail address. The order holds a pseudonym of it; an
//! address is indexed like the others.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use cartwright::types::{Order, OrderEvent};
use cartwright::{MAX_NAME_BYTES, ShopId, TextFault, check_line};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::AnyConnection;
use unicode_normalization::UnicodeNormalization as _;
use url::Host;

use crate::error::StoreError;
use crate::facades::PersonalData;
use crate::keys::aad;
use crate::vault::Key;

/// The e-mail address that identifies a customer, normalized for comparison: without white space around it, in Unicode
/// lower case and normalization form C, with its domain in ASCII (IDNA). It has text before and after an "@", so that
/// no empty address matches.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CustomerEmail(String);

/// Why a text is not a customer's address. The error does not repeat the text, which may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// The text is empty, or white space.
    #[error("the e-mail address is empty; enter the customer's address")]
    Blank,
    /// The text has no name or no host.
    #[error("not an e-mail address; use one such as ann@example.com")]
    Malformed,
    /// The text cannot be stored.
    #[error("not an e-mail address: {0}")]
    Text(TextFault),
}

impl CustomerEmail {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CustomerEmail {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim_matches(is_blank);
        if text.is_empty() {
            return Err(InvalidEmail::Blank);
        }
        check_line(text, MAX_NAME_BYTES).map_err(InvalidEmail::Text)?;
        let email: String = text.nfc().collect::<String>().to_lowercase().nfc().collect();
        match email.rsplit_once('@') {
            Some((name, host)) if !name.chars().all(is_blank) && !host.chars().all(is_blank) => {
                Ok(Self(format!("{name}@{}", ascii_domain(host))))
            }
            _ => Err(InvalidEmail::Malformed),
        }
    }
}

/// Returns a domain in ASCII. Any other host is compared as written, so that an order with such an address is found
/// too.
fn ascii_domain(host: &str) -> String {
    match Host::parse(host) {
        Ok(Host::Domain(domain)) => domain,
        _ => host.to_owned(),
    }
}

/// Returns whether a character is white space or invisible, such as zero-width characters and fillers.
fn is_blank(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}'
    );
    character.is_whitespace() || invisible
}

/// The address is omitted: it is personal, and errors and logs print this.
impl fmt::Debug for CustomerEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerEmail(…)")
    }
}

/// Returns the billing and delivery addresses of an order as customers.
pub(crate) fn emails_of(order: &Order) -> BTreeSet<CustomerEmail> {
    let addresses = [&order.billing, &order.delivery].into_iter().flatten();
    addresses.filter_map(|address| address.email.as_ref()?.parse().ok()).collect()
}

impl PersonalData<'_> {
    /// Returns the orders of a customer, by the platform's ids: those that were billed or delivered to this address, or had
    /// it as their customer, in any of their versions. They include the orders under which quotes are stored.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn orders_of_customer(self, shop: &ShopId, email: &CustomerEmail) -> Result<Vec<String>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let hash = self.email_hash(&mut connection, shop, email).await?;
        let orders: Vec<(String,)> =
            sqlx::query_as("select order_id from order_emails where shop = $1 and email_hash = $2 order by order_id")
                .bind(shop.as_str())
                .bind(hash)
                .fetch_all(&mut *connection)
                .await?;
        Ok(orders.into_iter().map(|(order,)| order).collect())
    }

    /// Indexes an order under the customers that this version of it names.
    pub(crate) async fn index_emails(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &Order,
    ) -> Result<(), StoreError> {
        for email in emails_of(order) {
            self.index_email(&mut *connection, shop, &order.id, &email).await?;
        }
        Ok(())
    }

    /// Returns the pseudonym of a customer whom the platform names by an id or an e-mail address: the same in all orders
    /// of the customer in the shop, and not reversible without the host's secret. `None` for a blank name.
    pub(crate) async fn customer_pseudonym(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        customer: &str,
    ) -> Result<Option<String>, StoreError> {
        let name = match customer.parse::<CustomerEmail>() {
            // All spellings of an address are one customer.
            Ok(email) => email.0,
            Err(_) => customer.trim().to_owned(),
        };
        if name.is_empty() {
            return Ok(None);
        }
        self.keyed_hash(connection, &format!("cartwright customer pseudonyms\n{shop}\n{name}")).await.map(Some)
    }

    /// Indexes an order under this customer.
    pub(crate) async fn index_email(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &str,
        email: &CustomerEmail,
    ) -> Result<(), StoreError> {
        let hash = self.email_hash(&mut *connection, shop, email).await?;
        sqlx::query(
            "insert into order_emails (shop, email_hash, order_id) values ($1, $2, $3)
             on conflict (shop, email_hash, order_id) do nothing",
        )
        .bind(shop.as_str())
        .bind(hash)
        .bind(order)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Returns every address that an order was billed or delivered to, according to its events. Unreadable events are
    /// skipped.
    pub(crate) async fn emails_of_events(
        self,
        connection: &mut AnyConnection,
        key: &Key,
        shop: &ShopId,
        order: &str,
    ) -> Result<BTreeSet<String>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("select id, event from order_events where shop = $1 and order_id = $2")
                .bind(shop.as_str())
                .bind(order)
                .fetch_all(connection)
                .await?;
        let mut emails = BTreeSet::new();
        for (id, encrypted) in rows {
            match key.decrypt_json::<OrderEvent>(&aad("event", shop.as_str(), &id), &encrypted) {
                Ok(event) => emails.extend(emails_of(&event.order).into_iter().map(|email| email.0)),
                Err(StoreError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(emails)
    }

    /// Returns the hash that indexes a customer's orders. A plain hash could be reversed by trying all addresses.
    async fn email_hash(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        email: &CustomerEmail,
    ) -> Result<String, StoreError> {
        self.keyed_hash(connection, &format!("cartwright customers\n{shop}\n{}", email.0)).await
    }

    async fn keyed_hash(self, connection: &mut AnyConnection, text: &str) -> Result<String, StoreError> {
        let secret = self.store.host_secret_in(connection).await?;
        // HMAC accepts a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose())
            .map_err(|error| StoreError::corrupt("the host's secret", error))?;
        Ok(hex::encode(mac.chain_update(text).finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_nothing_is_nobodys() {
        for blank in ["", " ", "\t\r\n", "\u{3000}", "\u{a0}\u{2003}", "\u{200b}", "\u{feff} ", "\u{2800}"] {
            assert_eq!(blank.parse::<CustomerEmail>(), Err(InvalidEmail::Blank), "{blank:?}");
        }
        for malformed in ["ann", "@", "ann@", "@example.com", " @ ", "\u{200b}@\u{200b}", "ann@\u{3000}"] {
            assert_eq!(malformed.parse::<CustomerEmail>(), Err(InvalidEmail::Malformed), "{malformed:?}");
        }
        for unusable in ["ann\0@example.com", "ann@exa\nmple.com"] {
            assert!(matches!(unusable.parse::<CustomerEmail>(), Err(InvalidEmail::Text(_))), "{unusable:?}");
        }
        let long = format!("{}@example.com", "a".repeat(MAX_NAME_BYTES));
        assert!(matches!(long.parse::<CustomerEmail>(), Err(InvalidEmail::Text(TextFault::TooLong { .. }))));
    }

    #[test]
    fn one_address_has_many_spellings() {
        let email = |text: &str| text.parse::<CustomerEmail>().unwrap();
        for spelling in ["ann@example.com", " ANN@Example.COM\u{3000}", "\u{feff}Ann@example.com\r\n"] {
            assert!(email(spelling) == email("ann@example.com"), "{spelling:?}");
        }
        assert!(email("ZOE\u{308}@example.com") == email("zoë@example.com"));
        assert!(email("ÅSA@example.com") == email("a\u{30a}sa@example.com"));
        assert!(email("zoe@example.com") != email("zoë@example.com"));
        for spelling in ["müller@bücher.example", "Müller@BU\u{308}CHER.example", "müller@XN--BCHER-KVA.example"] {
            assert!(email(spelling) == email("müller@xn--bcher-kva.example"), "{spelling:?}");
        }
        assert!(email("müller@bücher.example") != email("müller@bucher.example"));
        for host in ["[192.0.2.1]", "192.0.2.1", "exa mple", "xn--", "%"] {
            assert_eq!(email(&format!("Ann@{host}")).as_str(), format!("ann@{host}"));
        }
        assert!(!format!("{:?}", email("ann@example.com")).contains("ann"));
    }
}
