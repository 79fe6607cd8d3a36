//! Product links as a CSV table (RFC 4180), one row for each product, as spreadsheets and programs read and write it.

use std::collections::HashMap;

use cartwright::{AccountId, ProductLink, StrategyChoice};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::input::contains_nul;

/// Maximum number of product links in one request.
pub const MAX_LINKS: usize = 10_000;

/// Why a table of product links cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The table is invalid; the text names the line and the problem.
    #[error("{0}")]
    Read(String),
    /// A product link cannot be written.
    #[error("{0}")]
    Write(String),
}

/// A row of the table: texts as [`cell`] writes them, lists and settings as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    shop_product: String,
    account: String,
    vendor_product: String,
    #[serde(default)]
    additional_vendor_products: String,
    #[serde(default)]
    preset: String,
    #[serde(default)]
    allowed_skus: String,
    #[serde(default)]
    settings: String,
    #[serde(default)]
    strategy_account: String,
    #[serde(default)]
    strategy: String,
    #[serde(default)]
    strategy_settings: String,
}

impl Row {
    fn of(link: &ProductLink) -> Self {
        let some = |text: Option<&str>| text.map(cell).unwrap_or_default();
        let list = |texts: &[String]| if texts.is_empty() { String::new() } else { Value::from(texts).to_string() };
        let settings = |settings: &Map<String, Value>| match settings.is_empty() {
            true => String::new(),
            false => Value::Object(settings.clone()).to_string(),
        };
        Self {
            shop_product: cell(&link.shop_product),
            account: cell(link.account.as_str()),
            vendor_product: cell(&link.vendor_product),
            additional_vendor_products: list(&link.additional_vendor_products),
            preset: some(link.preset.as_deref()),
            allowed_skus: list(&link.allowed_skus),
            settings: settings(&link.settings),
            strategy_account: some(link.strategy.account.as_ref().map(AccountId::as_str)),
            strategy: some(link.strategy.name.as_deref()),
            strategy_settings: settings(&link.strategy_settings),
        }
    }

    fn link(self) -> Result<ProductLink, String> {
        let account = |text: &str| text.parse::<AccountId>().map_err(|error| error.to_string());
        let some = |text: &str| Some(text).filter(|text| !text.trim().is_empty()).map(in_cell);
        Ok(ProductLink {
            account: account(&in_cell(&self.account))?,
            vendor_product: in_cell(&self.vendor_product),
            additional_vendor_products: list_in("additional_vendor_products", &self.additional_vendor_products)?,
            preset: some(&self.preset),
            allowed_skus: list_in("allowed_skus", &self.allowed_skus)?,
            settings: json_in("settings", &self.settings)?,
            strategy: StrategyChoice {
                account: some(&self.strategy_account).as_deref().map(account).transpose()?,
                name: some(&self.strategy),
            },
            strategy_settings: json_in("strategy_settings", &self.strategy_settings)?,
            shop_product: in_cell(&self.shop_product),
        })
    }
}

/// Writes a text as a cell. If a spreadsheet or [`in_cell`] would interpret it as something else, it is enclosed in
/// apostrophes.
fn cell(text: &str) -> String {
    let is_enclosed = text.len() >= 2 && text.starts_with('\'') && text.ends_with('\'');
    let needs_apostrophes =
        text.is_empty() || text.trim() != text || is_enclosed || is_formula(text) || is_converted(text);
    if needs_apostrophes { format!("'{text}'") } else { text.to_owned() }
}

/// Parses a cell that [`cell`] wrote. Blanks around it are ignored.
fn in_cell(cell: &str) -> String {
    let cell = cell.trim();
    let enclosed = cell.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    enclosed.unwrap_or(cell).to_owned()
}

/// Returns whether a spreadsheet would run the text as a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn is_formula(text: &str) -> bool {
    let is_skipped = |sign: char| sign == '\'' || sign.is_whitespace() || sign.is_control() || sign == '\u{feff}';
    let text = text.trim_start_matches(is_skipped);
    text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

/// Returns whether a spreadsheet would convert the text to another number or a date, such as `0012`, `1E5`, `3-4`,
/// `MAR1` or sixteen digits.
fn is_converted(text: &str) -> bool {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    /// Spreadsheets keep at most 15 digits of a number.
    const MAX_DIGITS: usize = 15;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exact = is_number && text.len() <= MAX_DIGITS && (text == "0" || !text.starts_with('0'));
    let is_numeric = text.starts_with(|sign: char| sign == '.' || sign.is_ascii_digit()) && !is_exact;
    let lower = text.to_lowercase();
    is_numeric
        || (MONTHS.iter().any(|month| lower.starts_with(month)) && text.ends_with(|sign: char| sign.is_ascii_digit()))
}

/// Parses JSON in a cell; an empty cell is the default value.
fn json_in<T: DeserializeOwned + Default>(column: &str, cell: &str) -> Result<T, String> {
    match cell.trim() {
        "" => Ok(T::default()),
        json if contains_nul(json.as_bytes()) => Err(format!("{column}: a text contains a NUL (\\u0000)")),
        json => serde_json::from_str(json).map_err(|error| format!("{column}: {error}")),
    }
}

/// Parses a list in a cell.
fn list_in(column: &str, cell: &str) -> Result<Vec<String>, String> {
    json_in(column, cell).map_err(|error| {
        format!("{error}; write a list as JSON, such as [\"RING L\", \"RING XL\"], with straight quotation marks")
    })
}

/// The program that a table is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFor {
    /// A program that takes the character set from the media type.
    Program,
    /// A spreadsheet; some recognize UTF-8 by its byte order mark only.
    Spreadsheet,
}

/// Writes product links as a table.
///
/// # Errors
/// Returns [`TableError::Write`] if a link cannot be written.
pub fn write(links: &[ProductLink], reader: TableFor) -> Result<Vec<u8>, TableError> {
    let mark = match reader {
        TableFor::Program => "",
        TableFor::Spreadsheet => "\u{feff}",
    };
    let mut table = csv::Writer::from_writer(mark.as_bytes().to_vec());
    for link in links {
        table.serialize(Row::of(link)).map_err(|error| TableError::Write(error.to_string()))?;
    }
    table.into_inner().map_err(|error| TableError::Write(error.to_string()))
}

/// Parses a table.
///
/// # Errors
/// Returns [`TableError::Read`] with the problem and its line.
#[allow(
    clippy::indexing_slicing,
    reason = "`duplicate` returns positions in `links`, and each link has its line in `lines`"
)]
pub fn read(table: &[u8]) -> Result<Vec<ProductLink>, TableError> {
    let refused = TableError::Read;
    // Spreadsheets also write UTF-16, in which every other byte of a letter is NUL.
    if table.contains(&0) {
        return Err(refused("the table contains a NUL; save it as CSV in UTF-8".to_owned()));
    }
    let table = std::str::from_utf8(table).map_err(|error| {
        refused(format!("the table is not UTF-8 (byte {}); save it as “CSV UTF-8”", error.valid_up_to() + 1))
    })?;
    let table = table.strip_prefix('\u{feff}').unwrap_or(table);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter(table).map_err(refused)?).from_reader(table.as_bytes());
    let mut headers = reader.headers().map_err(|error| refused(error.to_string()))?.clone();
    headers.trim();
    let (mut links, mut lines) = (Vec::new(), Vec::new());
    for record in reader.into_records() {
        let record = record.map_err(|error| refused(error.to_string()))?;
        // Spreadsheets also write rows that were emptied.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let at = record.position().map_or(0, csv::Position::line);
        let wrong = |reason: String| refused(format!("line {at} of the table: {reason}"));
        let row: Row = record.deserialize(Some(&headers)).map_err(|error| wrong(error.to_string()))?;
        links.push(row.link().map_err(wrong)?);
        lines.push(at);
        if links.len() > MAX_LINKS {
            break;
        }
    }
    if links.is_empty() || links.len() > MAX_LINKS {
        return Err(refused(format!("a table has 1 to {MAX_LINKS} product links")));
    }
    match duplicate(&links) {
        Some((first, second)) => Err(refused(format!(
            "the lines {} and {} of the table both link the product {:?}; keep one of them",
            lines[first], lines[second], links[second].shop_product
        ))),
        None => Ok(links),
    }
}

/// Finds a product that has two links, and returns their positions.
pub fn duplicate(links: &[ProductLink]) -> Option<(usize, usize)> {
    let mut positions = HashMap::new();
    links
        .iter()
        .enumerate()
        .find_map(|(second, link)| positions.insert(link.shop_product.as_str(), second).map(|first| (first, second)))
}

/// Detects the separator of the table's columns from its first line, because no column name contains one.
fn delimiter(table: &str) -> Result<u8, String> {
    let first = table.lines().next().unwrap_or_default();
    let found: Vec<u8> = [b',', b';', b'\t'].into_iter().filter(|sign| first.as_bytes().contains(sign)).collect();
    match found[..] {
        [] => Ok(b','),
        [sign] => Ok(sign),
        _ => {
            Err("the first line of the table separates columns in several ways; use commas, semicolons or tabs"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn link(product: &str) -> ProductLink {
        ProductLink {
            shop_product: product.to_owned(),
            account: "expivi".parse().expect("an account"),
            vendor_product: "1001".to_owned(),
            additional_vendor_products: Vec::new(),
            preset: None,
            allowed_skus: Vec::new(),
            settings: Map::new(),
            strategy: StrategyChoice::default(),
            strategy_settings: Map::new(),
        }
    }

    fn written(links: &[ProductLink]) -> String {
        let mut table = csv::Writer::from_writer(Vec::new());
        for link in links {
            table.serialize(Row::of(link)).expect("a row");
        }
        String::from_utf8(table.into_inner().expect("a table")).expect("UTF-8")
    }

    fn products(table: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        let links = read(table.as_ref()).map_err(|error| error.to_string())?;
        Ok(links.into_iter().map(|link| link.shop_product).collect())
    }

    /// Texts with everything that has a meaning in CSV, JSON, spreadsheets and apostrophes.
    fn texts() -> impl Strategy<Value = String> {
        let signs = "[ -~\\n\\r\\t\"',;=+@é\u{feff}\u{a0}＝🦀-]{0,8}";
        prop_oneof![
            signs,
            Just("0012".to_owned()),
            Just("3-4".to_owned()),
            Just("1E5".to_owned()),
            Just("RING L".to_owned())
        ]
    }

    fn links() -> impl Strategy<Value = ProductLink> {
        let lists = || prop::collection::vec(texts(), 0..3);
        let settings = || prop::collection::btree_map(texts(), texts().prop_map(Value::from), 0..3);
        let some = || prop::option::of(texts());
        let account = prop::option::of(Just("other-1"));
        (texts(), texts(), lists(), some(), lists(), settings(), (account, some()), settings()).prop_map(
            |(shop_product, vendor_product, other, preset, skus, settings, (account, name), strategy_settings)| {
                ProductLink {
                    shop_product,
                    vendor_product,
                    additional_vendor_products: other,
                    preset,
                    allowed_skus: skus,
                    settings: settings.into_iter().collect(),
                    strategy: StrategyChoice { account: account.map(|id| id.parse().expect("an account")), name },
                    strategy_settings: strategy_settings.into_iter().collect(),
                    ..link("")
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_table_that_is_exported_and_imported_changes_nothing(links in prop::collection::vec(links(), 1..4)) {
            prop_assume!(duplicate(&links).is_none());
            let table = written(&links);
            prop_assert_eq!(json!(read(table.as_bytes()).expect("a table")), json!(links));
            let marked = format!("\u{feff}{table}");
            prop_assert_eq!(json!(read(marked.as_bytes()).expect("a table")), json!(links));
        }

        #[test]
        fn no_cell_runs_in_a_spreadsheet(link in links()) {
            let table = written(&[link]);
            let mut reader = csv::Reader::from_reader(table.as_bytes());
            for cell in reader.records().next().expect("a line").expect("a record").iter() {
                prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']), "{cell:?}");
                prop_assert!(!cell.starts_with(['\t', '\r', '\n']), "{cell:?}");
            }
        }
    }

    #[test]
    fn a_table_comes_in_as_spreadsheets_write_it() {
        for table in [
            "shop_product,account,vendor_product\nring,expivi,1001\nbed,expivi,1002\n",
            "\u{feff}shop_product,account,vendor_product\r\nring,expivi,1001\r\nbed,expivi,1002\r\n",
            "shop_product;account;vendor_product\r\nring;expivi;1001\r\nbed;expivi;1002",
            "\"shop_product\";\"account\";\"vendor_product\"\n\"ring\";\"expivi\";\"1001\"\n\"bed\";\"expivi\";\"1002\"\n",
            "shop_product\taccount\tvendor_product\nring\texpivi\t1001\nbed\texpivi\t1002\n",
            "shop_product, account, vendor_product\nring, expivi, 1001\n,,\nbed , expivi, 1002\n,,\n",
        ] {
            assert_eq!(products(table), Ok(vec!["ring".to_owned(), "bed".to_owned()]), "{table:?}");
        }
        let quoted =
            "shop_product;account;vendor_product;allowed_skus\nring;expivi;1001;\"[\"\"RING L\"\",\"\"a;b\"\"]\"\n";
        assert_eq!(read(quoted.as_bytes()).expect("a table")[0].allowed_skus, ["RING L", "a;b"]);
    }

    #[test]
    fn an_invalid_table_is_refused_with_its_line_and_the_expected_form() {
        let header = "shop_product,account,vendor_product,allowed_skus\n";
        for (table, part) in [
            (
                format!("{header}ring,expivi,1001,RING L RING XL\n").into_bytes(),
                vec!["line 2", "allowed_skus", "[\"RING L\", \"RING XL\"]"],
            ),
            (
                format!("{header}ring,expivi,1001,\"[“RING L”]\"\n").into_bytes(),
                vec!["line 2", "straight quotation marks"],
            ),
            (format!("{header}ring,expivi,1001,[1]\n").into_bytes(), vec!["line 2", "allowed_skus"]),
            (format!("{header}ring,expivi,1001,\"[\"\"a\\u0000\"\"]\"\n").into_bytes(), vec!["line 2", "NUL"]),
            (format!("{header}\"a\n\nb\",expivi,1001,\nring,expivi,1001,x\n").into_bytes(), vec!["line 5"]),
            (format!("{header}ring,expivi,1001\n").into_bytes(), vec!["line: 2"]),
            (
                b"shop_product,account,vendor_product\nr\xe9ng,expivi,1001\n".to_vec(),
                vec!["not UTF-8 (byte 38)", "CSV UTF-8"],
            ),
            (b"\xff\xfes\0h\0o\0p\0".to_vec(), vec!["NUL", "UTF-8"]),
            (b"shop_product;account,vendor_product\n".to_vec(), vec!["several ways"]),
            (b"shop_product,account,vendor_product,colour\nring,expivi,1001,red\n".to_vec(), vec!["line 2", "colour"]),
            (b"shop_product,account,vendor_product\n,,\n".to_vec(), vec!["1 to 10000 product links"]),
            (
                format!("{header}ring,expivi,1001,\n,,,\nbed,expivi,1002,\n'ring',expivi,1003,\n").into_bytes(),
                vec!["the lines 2 and 5", "\"ring\""],
            ),
        ] {
            let reason = products(&table).expect_err("a refusal");
            assert!(part.iter().all(|part| reason.contains(part)), "{}: {reason}", String::from_utf8_lossy(&table));
        }
    }

    #[test]
    fn texts_that_a_spreadsheet_would_change_are_quoted_with_apostrophes() {
        for (text, written) in [
            ("ring", "ring"),
            ("1001", "1001"),
            ("RING-L", "RING-L"),
            ("it's", "it's"),
            ("=SUM(A1)", "'=SUM(A1)'"),
            ("@x", "'@x'"),
            ("\u{feff}=1", "'\u{feff}=1'"),
            ("0012", "'0012'"),
            ("1E5", "'1E5'"),
            ("3-4", "'3-4'"),
            ("MAR1", "'MAR1'"),
            ("1234567890123456", "'1234567890123456'"),
            (" ring", "' ring'"),
            ("'ring'", "''ring''"),
            ("", "''"),
        ] {
            assert_eq!(cell(text), written);
            assert_eq!(in_cell(written), text);
        }
    }
}
