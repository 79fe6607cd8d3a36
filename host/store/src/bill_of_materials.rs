//! Bills of materials of an order: as its lines were sold, for plugins, and as vendors confirmed them, for purchasing
//! and production systems.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use cartwright::types::{Article, Order, Outcome};
use cartwright::{AccountId, ShopId};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::AnyConnection;

use crate::error::StoreError;
use crate::facades::Orders;
use crate::keys::aad;
use crate::report::SoldLines;
use crate::stored_outcome::StoredOutcome;
use crate::vault::Key;

/// The bills of materials of an order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderBillOfMaterials {
    /// Reference under which vendors know the order.
    pub order: String,
    /// Order number that people use.
    pub number: String,
    /// Lines with a bill of materials that a vendor confirmed, in the order's sequence.
    pub lines: Vec<LineBillOfMaterials>,
}

/// The bill of materials of an order line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineBillOfMaterials {
    /// Reference of the line.
    pub line: String,
    /// Title of the line in the order.
    pub title: String,
    /// SKU of the line.
    pub sku: Option<String>,
    /// Ordered quantity.
    pub pieces: u32,
    /// Account that confirmed the bill of materials.
    pub account: AccountId,
    /// Time of the confirmation, in Unix seconds.
    pub confirmed: u64,
    /// Articles that one piece takes.
    pub articles: Vec<Article>,
}

/// Columns of the table, which has one row for each article of each line.
const COLUMNS: [&str; 15] = [
    "order",
    "line",
    "title",
    "line_sku",
    "pieces",
    "article_sku",
    "article_title",
    "part_of",
    "quantity_per_piece",
    "quantity",
    "unit",
    "price_sku",
    "price",
    "currency",
    "material_sku",
];

impl OrderBillOfMaterials {
    /// Returns a CSV table (RFC 4180) with a header and one row for each article, in which no text is a formula for
    /// spreadsheets. An article that is part of another one has the SKU of that one in `part_of`; its quantities are those of
    /// all levels multiplied.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a quantity is not a number, or an article is part of one that is not before it.
    pub fn csv(&self) -> Result<String, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| StoreError::corrupt("a bill of materials", error);
        let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        table.write_record(COLUMNS).map_err(|error| damaged(&error))?;
        for line in &self.lines {
            let times = |each: Decimal, count: Decimal| {
                each.checked_mul(count).ok_or_else(|| damaged(&format_args!("{each} times {count} is too large")))
            };
            let mut in_one_piece: Vec<Decimal> = Vec::with_capacity(line.articles.len());
            for article in &line.articles {
                let mut each: Decimal = article.quantity.parse().map_err(|error| damaged(&error))?;
                let parent = article.parent.map(|parent| parent as usize);
                if let Some(parent) = parent {
                    let of_parent = in_one_piece.get(parent).ok_or_else(|| damaged(&"an article before its parent"))?;
                    each = times(each, *of_parent)?;
                }
                in_one_piece.push(each);
                let all = times(each, line.pieces.into())?;
                let part_of = parent.and_then(|parent| line.articles.get(parent)).map(|parent| &parent.sku);
                let price = article.price.as_ref();
                let amount = price.map(|it| Decimal::try_from_i128_with_scale(it.minor.into(), it.scale.into()));
                let amount = amount.transpose().map_err(|error| damaged(&error))?;
                let row = [
                    text(Some(&self.order)),
                    text(Some(&line.line)),
                    text(Some(&line.title)),
                    text(line.sku.as_ref()),
                    line.pieces.to_string(),
                    text(Some(&article.sku)),
                    text(article.title.as_ref()),
                    text(part_of),
                    each.to_string(),
                    all.to_string(),
                    text(article.unit.as_ref()),
                    text(article.price_sku.as_ref()),
                    amount.map(|amount| amount.to_string()).unwrap_or_default(),
                    text(price.map(|price| &price.currency)),
                    text(article.material_sku.as_ref()),
                ];
                table.write_record(row).map_err(|error| damaged(&error))?;
            }
        }
        let bytes = table.into_inner().map_err(|error| damaged(&error))?;
        String::from_utf8(bytes).map_err(|error| damaged(&error))
    }
}

/// Escapes a text for people who open the table in a spreadsheet. A text that begins like a formula, also after blanks,
/// would be run: an apostrophe before it prevents that (<https://owasp.org/www-community/attacks/CSV_Injection>). A
/// text that begins with an apostrophe gets another, so that the escaping is unambiguous.
fn text(text: Option<&String>) -> String {
    let text = text.map_or("", String::as_str);
    let is_changed = text.starts_with(['\'', '\t', '\r', '\n']);
    if is_changed || is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// Returns whether a spreadsheet could run the text. Some treat full-width signs like plain ones, and skip blanks
/// before them.
fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches(|sign: char| sign.is_whitespace() || sign.is_control() || sign == '\u{feff}');
    text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

/// Returns the associated data of a stored bill of materials. The order's key encrypts it.
fn articles_aad(shop: &ShopId, line: &str) -> String {
    aad("bill of materials", shop.as_str(), line)
}

impl Orders<'_> {
    /// Stores the bills of materials of an order's lines, as they were sold. That of a line which `sold` omits stays as
    /// it is.
    pub(crate) async fn store_bills_of_materials(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        (order, key): (&Order, &Key),
        sold: &SoldLines,
    ) -> Result<(), StoreError> {
        if sold.is_empty() {
            return Ok(());
        }
        let rows: Vec<(String, String)> =
            sqlx::query_as("select line_id, line_key from order_bills_of_materials where shop = $1 and order_id = $2")
                .bind(shop.as_str())
                .bind(&order.id)
                .fetch_all(&mut *connection)
                .await?;
        let stored: HashMap<String, String> = rows.into_iter().collect();
        for line in &order.lines {
            let Some(articles) = sold.get(&line.id).map(|sold| &sold.bill_of_materials) else { continue };
            let known = stored.get(&line.id);
            if known == Some(&line.cart_line.key) {
                continue;
            }
            if !articles.is_empty() {
                sqlx::query(
                    "insert into order_bills_of_materials (shop, order_id, line_id, line_key, articles)
                     values ($1, $2, $3, $4, $5)
                     on conflict (shop, order_id, line_id) do update set line_key = $4, articles = $5",
                )
                .bind(shop.as_str())
                .bind(&order.id)
                .bind(&line.id)
                .bind(&line.cart_line.key)
                .bind(key.encrypt_json(&articles_aad(shop, &line.id), articles)?)
                .execute(&mut *connection)
                .await?;
            } else if known.is_some() {
                // Another product took the place of the line.
                sqlx::query("delete from order_bills_of_materials where shop = $1 and order_id = $2 and line_id = $3")
                    .bind(shop.as_str())
                    .bind(&order.id)
                    .bind(&line.id)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        Ok(())
    }

    /// Returns the bill of materials of one piece of the order line with this reference, as it was sold; empty for a
    /// line that has none. `None` for a line that the account does not see.
    pub(crate) async fn line_bill_of_materials(
        self,
        shop: &ShopId,
        account: &AccountId,
        line_reference: &str,
    ) -> Result<Option<Vec<Article>>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let Some((known, lines)) = self.order_of_reference(&mut connection, shop, account, line_reference).await?
        else {
            return Ok(None);
        };
        let mut visible = known.order.lines.iter().filter(|line| lines.include(line, account));
        let Some(line) = visible.find(|line| line.reference == line_reference) else { return Ok(None) };
        let found: Option<(Vec<u8>,)> = sqlx::query_as(
            "select articles from order_bills_of_materials where shop = $1 and order_id = $2 and line_id = $3",
        )
        .bind(shop.as_str())
        .bind(&known.order.id)
        .bind(&line.id)
        .fetch_optional(&mut *connection)
        .await?;
        match found {
            Some((encrypted,)) => Ok(Some(known.key.decrypt_json(&articles_aad(shop, &line.id), &encrypted)?)),
            None => Ok(Some(Vec::new())),
        }
    }

    /// Returns the bills of materials of an order as its lines were sold, by the line's id.
    pub(crate) async fn bills_of_materials_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &str,
        key: &Key,
    ) -> Result<BTreeMap<String, Vec<Article>>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("select line_id, articles from order_bills_of_materials where shop = $1 and order_id = $2")
                .bind(shop.as_str())
                .bind(order)
                .fetch_all(connection)
                .await?;
        let open = |(line, encrypted): (String, Vec<u8>)| {
            let articles: Vec<Article> = key.decrypt_json(&articles_aad(shop, &line), &encrypted)?;
            Ok((line, articles))
        };
        rows.into_iter().map(open).collect()
    }

    /// Returns the bills of materials of an order, as vendors confirmed them; for each line the latest. The value
    /// serializes to JSON, and to a table by [`OrderBillOfMaterials::csv`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Erased`], or an error of the database.
    pub async fn order_bill_of_materials(self, shop: &ShopId, order: &str) -> Result<OrderBillOfMaterials, StoreError> {
        let missing = || StoreError::NotFound { what: "order", id: order.to_owned() };
        let known = self.get(shop, order).await?.ok_or_else(missing)?;
        let present = self.store.outcomes().present(shop, order).await?;
        let mut confirmed: HashMap<&str, Vec<(&StoredOutcome, &[Article])>> = HashMap::new();
        for said in &present {
            if let Outcome::BillOfMaterials(materials) = &said.outcome {
                confirmed.entry(&materials.line).or_default().push((said, &materials.articles));
            }
        }
        let mut lines = Vec::new();
        for line in &known.lines {
            for (said, articles) in confirmed.get(line.id.as_str()).into_iter().flatten() {
                lines.push(LineBillOfMaterials {
                    line: line.reference.clone(),
                    title: line.title.clone(),
                    sku: line.cart_line.sku.clone(),
                    pieces: line.cart_line.quantity,
                    account: said.account.clone(),
                    confirmed: said.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs(),
                    articles: articles.to_vec(),
                });
            }
        }
        Ok(OrderBillOfMaterials { order: known.reference, number: known.number, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn no_text_becomes_a_formula_or_another_text() {
        let texts = [
            "",
            "1",
            "'",
            "=1",
            "'=1",
            "''=1",
            "+1",
            "-1",
            "@oak",
            "\t=1",
            "'@oak",
            " =1",
            "  \t+1",
            "\r-1",
            "\r\n@oak",
            "\u{a0}=1",
            "\u{feff}=1",
            "\u{ff1d}1",
            " oak",
            "oak = 1",
        ];
        let cells: Vec<String> = texts.iter().map(|value| text(Some(&(*value).to_owned()))).collect();
        let begins = |cell: &str| {
            cell.trim_start_matches(|sign: char| sign.is_whitespace() || sign == '\u{feff}').chars().next()
        };
        let signs = ['=', '+', '-', '@', '\u{ff1d}'];
        assert!(cells.iter().all(|cell| begins(cell).is_none_or(|sign| !signs.contains(&sign))), "{cells:?}");
        assert!(cells.iter().all(|cell| !cell.starts_with(['\t', '\r', '\n'])), "{cells:?}");
        assert_eq!(&cells[18..], [" oak", "oak = 1"]);
        let distinct: std::collections::BTreeSet<&String> = cells.iter().collect();
        assert_eq!(distinct.len(), texts.len(), "{cells:?}");
    }
}
