//! Links between a shop's products and its vendors': one by one, many at once, as a table, and from one vendor to another.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use cartwright::{AccountId, Link, LinkIssues, Readiness, SetupError, ShopId, StrategyChoice};
use cartwright_store::{Expected, link_version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::part::{Part, after};
use crate::serve::access::{Integrator, Reader};
use crate::serve::extract::{Body, Path, Precondition, Query, Raw, Tagged, holds_nul, sent_as};
use crate::serve::node::Node;
use crate::serve::problem::{Problem, Problems};

/// The most links of one request.
const MOST_LINKS: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, set_many))
        .routes(routes!(as_csv, from_csv))
        .routes(routes!(read, set, remove))
        .routes(routes!(readiness))
}

/// Some links.
#[derive(Debug, Serialize, ToSchema)]
struct LinkPage {
    /// By product.
    links: Vec<Link>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's links, by product.
#[utoipa::path(get, path = "/v1/shops/{shop}/links", tag = "links", operation_id = "list_links",
    params(("shop" = ShopId, Path), Part), responses((status = 200, body = LinkPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<Part>,
) -> Result<Json<LinkPage>, Problem> {
    let links = part.of(node.host().snapshot(&shop)?.links, |link| link.shop_product.clone())?;
    let after = after(&links, part.limit()?, |link| link.shop_product.clone());
    Ok(Json(LinkPage { links, after }))
}

/// What came of links that were taken.
#[derive(Debug, Serialize, ToSchema)]
struct Linked {
    /// How many.
    links: usize,
    /// What the merchant should know of them.
    warnings: Vec<LinkIssues>,
}

/// Sets many links, all of them or none. With other accounts than they had it is a vendor swap: lines that were made with the old
/// links are still served by them.
#[utoipa::path(put, path = "/v1/shops/{shop}/links", tag = "links", operation_id = "set_links",
    params(("shop" = ShopId, Path)), request_body = [Link], responses((status = 200, body = Linked), Problems))]
async fn set_many(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(links): Body<Vec<Link>>,
) -> Result<Json<Linked>, Problem> {
    link(&node, &shop, links, &caller.who).await
}

async fn link(node: &Node, shop: &ShopId, links: Vec<Link>, who: &str) -> Result<Json<Linked>, Problem> {
    if links.is_empty() || links.len() > MOST_LINKS {
        return Err(Problem::unprocessable("links", format!("send 1 to {MOST_LINKS} links at a time")));
    }
    let warnings = node.installation().link(shop, &links, Expected::Anything, who, node.now()).await?;
    Ok(Json(Linked { links: links.len(), warnings }))
}

/// A product's link. Its ETag names what it is set to.
#[utoipa::path(get, path = "/v1/shops/{shop}/links/{product}", tag = "links", operation_id = "read_link",
    params(("shop" = ShopId, Path), ("product" = String, Path)), responses((status = 200, body = Link), Problems))]
async fn read(
    _: Reader,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
) -> Result<Tagged<Link>, Problem> {
    let links = node.host().snapshot(&shop)?.links;
    let link = links.into_iter().find(|link| link.shop_product == product).ok_or(SetupError::NoLink(product))?;
    Ok(Tagged(link_version(&link), link))
}

/// What a product is to be linked to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    /// The vendor account.
    account: AccountId,
    /// The vendor's product id.
    vendor_product: String,
    /// Further vendor products that a configuration may contain.
    #[serde(default)]
    other_vendor_products: Vec<String>,
    /// A preset to start from.
    #[serde(default)]
    preset: Option<String>,
    /// The SKUs that a browser may choose among.
    #[serde(default)]
    allowed_skus: Vec<String>,
    /// Settings that this product overrides.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Which strategy plans the cart.
    #[serde(default)]
    strategy: StrategyChoice,
    /// Where that is another account's: the settings of its plugin that this product overrides.
    #[serde(default)]
    strategy_settings: Map<String, Value>,
}

impl LinkBody {
    fn of(self, shop_product: String) -> Link {
        Link {
            shop_product,
            account: self.account,
            vendor_product: self.vendor_product,
            other_vendor_products: self.other_vendor_products,
            preset: self.preset,
            allowed_skus: self.allowed_skus,
            settings: self.settings,
            strategy: self.strategy,
            strategy_settings: self.strategy_settings,
        }
    }
}

/// Links a product, or changes its link.
#[utoipa::path(put, path = "/v1/shops/{shop}/links/{product}", tag = "links", operation_id = "set_link",
    params(("shop" = ShopId, Path), ("product" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not linked.")),
    request_body = LinkBody, responses((status = 200, body = Linked), Problems))]
async fn set(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    precondition: Precondition,
    Body(body): Body<LinkBody>,
) -> Result<Tagged<Linked>, Problem> {
    let link = body.of(product);
    let version = link_version(&link);
    let expected = precondition.expected();
    let warnings = node.installation().link(&shop, &[link], expected, &caller.who, node.now()).await?;
    Ok(Tagged(version, Linked { links: 1, warnings }))
}

/// Takes a product's link away. Lines that were made with it are still served by it.
#[utoipa::path(delete, path = "/v1/shops/{shop}/links/{product}", tag = "links", operation_id = "remove_link",
    params(("shop" = ShopId, Path), ("product" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), Problems))]
async fn remove(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    precondition: Precondition,
) -> Result<axum::http::StatusCode, Problem> {
    let expected = precondition.expected();
    node.installation().unlink(&shop, &product, expected, &caller.who, node.now()).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// Links that would take the place of an account's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadinessBody {
    /// The account that serves the products now.
    from: AccountId,
    /// What they would be linked to.
    links: Vec<Link>,
}

/// Says which products could be switched to other links, without changing anything. Send the links to `set_links` to switch.
#[utoipa::path(post, path = "/v1/shops/{shop}/vendor-swap/readiness", tag = "links", operation_id = "read_readiness",
    params(("shop" = ShopId, Path)), request_body = ReadinessBody, responses((status = 200, body = Readiness), Problems))]
async fn readiness(
    _: Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(ReadinessBody { from, links }): Body<ReadinessBody>,
) -> Result<Json<Readiness>, Problem> {
    Ok(Json(node.host().readiness(&shop, &from, &links).await?))
}

/// A line of the table: texts as [`cell`] writes them, lists and settings as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    shop_product: String,
    account: String,
    vendor_product: String,
    #[serde(default)]
    other_vendor_products: String,
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
    fn of(link: &Link) -> Self {
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
            other_vendor_products: list(&link.other_vendor_products),
            preset: some(link.preset.as_deref()),
            allowed_skus: list(&link.allowed_skus),
            settings: settings(&link.settings),
            strategy_account: some(link.strategy.account.as_ref().map(AccountId::as_str)),
            strategy: some(link.strategy.name.as_deref()),
            strategy_settings: settings(&link.strategy_settings),
        }
    }

    fn link(self) -> Result<Link, String> {
        let account = |text: &str| text.parse::<AccountId>().map_err(|error| error.to_string());
        let some = |text: &str| Some(text).filter(|text| !text.trim().is_empty()).map(in_cell);
        Ok(Link {
            account: account(&in_cell(&self.account))?,
            vendor_product: in_cell(&self.vendor_product),
            other_vendor_products: list_in("other_vendor_products", &self.other_vendor_products)?,
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

/// Writes a text as a cell. One that a spreadsheet or [`in_cell`] would take for something else stands between apostrophes.
fn cell(text: &str) -> String {
    let is_enclosed = text.len() >= 2 && text.starts_with('\'') && text.ends_with('\'');
    let needs_apostrophes =
        text.is_empty() || text.trim() != text || is_enclosed || is_formula(text) || is_converted(text);
    if needs_apostrophes { format!("'{text}'") } else { text.to_owned() }
}

/// Reads what [`cell`] wrote. Blanks around a cell are nobody's.
fn in_cell(cell: &str) -> String {
    let cell = cell.trim();
    let enclosed = cell.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    enclosed.unwrap_or(cell).to_owned()
}

/// Would a spreadsheet run it as a formula (<https://owasp.org/www-community/attacks/CSV_Injection>)?
fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches(|sign: char| sign == '\'' || sign.is_whitespace());
    text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

/// Would a spreadsheet make another number or a date of it, as of `0012`, `1E5`, `3-4`, `MAR1` or sixteen digits?
fn is_converted(text: &str) -> bool {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    /// Spreadsheets keep numbers of at most 15 digits.
    const MAX_DIGITS: usize = 15;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exact = is_number && text.len() <= MAX_DIGITS && (text == "0" || !text.starts_with('0'));
    let is_numeric = text.starts_with(|sign: char| sign == '.' || sign.is_ascii_digit()) && !is_exact;
    let lower = text.to_lowercase();
    is_numeric
        || (MONTHS.iter().any(|month| lower.starts_with(month)) && text.ends_with(|sign: char| sign.is_ascii_digit()))
}

/// Reads JSON in a cell; an empty one has nothing in it.
fn json_in<T: DeserializeOwned + Default>(column: &str, cell: &str) -> Result<T, String> {
    match cell.trim() {
        "" => Ok(T::default()),
        json if holds_nul(json.as_bytes()) => Err(format!("{column}: a text in it holds a NUL (\\u0000)")),
        json => serde_json::from_str(json).map_err(|error| format!("{column}: {error}")),
    }
}

/// Reads a list in a cell.
fn list_in(column: &str, cell: &str) -> Result<Vec<String>, String> {
    json_in(column, cell).map_err(|error| {
        format!("{error}; write a list as JSON, such as [\"RING L\", \"RING XL\"], with straight quotation marks")
    })
}

/// A shop's links as a table (RFC 4180), one line for each product. Lists and settings are JSON: `["RING L","RING XL"]`. A text that a
/// spreadsheet would run as a formula, or make another number or a date of, stands between apostrophes, as does one with blanks at its ends;
/// they are taken away again when the table is sent back.
#[utoipa::path(get, path = "/v1/shops/{shop}/links.csv", tag = "links", operation_id = "read_links_csv",
    params(("shop" = ShopId, Path)), responses((status = 200, content_type = "text/csv", body = String), Problems))]
async fn as_csv(_: Reader, State(node): State<Node>, Path(shop): Path<ShopId>) -> Result<Response, Problem> {
    table_of(&node.host().snapshot(&shop)?.links, TableFor::Program)
}

/// What opens a table.
pub(crate) enum TableFor {
    /// A program, which knows the character set from the media type.
    Program,
    /// A spreadsheet, some of which know UTF-8 by its byte order mark alone.
    Spreadsheet,
}

/// Links as a table.
pub(crate) fn table_of(links: &[Link], reader: TableFor) -> Result<Response, Problem> {
    let mark = match reader {
        TableFor::Program => "",
        TableFor::Spreadsheet => "\u{feff}",
    };
    let mut table = csv::Writer::from_writer(mark.as_bytes().to_vec());
    let failed = |error: String| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "csv", error);
    for link in links {
        table.serialize(Row::of(link)).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = table.into_inner().map_err(|error| failed(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8")], bytes).into_response())
}

/// Sets the links of a table, all of them or none. Only `shop_product`, `account` and `vendor_product` are needed. Products that the
/// table does not name keep theirs. The table is UTF-8, with or without a byte order mark, and its columns are separated by commas,
/// semicolons or tabs, as spreadsheets write them.
#[utoipa::path(put, path = "/v1/shops/{shop}/links.csv", tag = "links", operation_id = "set_links_csv",
    params(("shop" = ShopId, Path)), request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Linked), Problems))]
async fn from_csv(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    headers: HeaderMap,
    Raw(table): Raw,
) -> Result<Json<Linked>, Problem> {
    sent_as(&headers, "text/csv")?;
    link(&node, &shop, in_table(&table)?, &caller.who).await
}

/// The links of a table.
pub(crate) fn in_table(table: &[u8]) -> Result<Vec<Link>, Problem> {
    let refused = |why: String| Problem::unprocessable("csv", why);
    // Spreadsheets write UTF-16 too, in which every other byte of a letter is NUL.
    if table.contains(&0) {
        return Err(refused("the table holds a NUL; save it as CSV in UTF-8".to_owned()));
    }
    let table = std::str::from_utf8(table).map_err(|error| {
        refused(format!("the table is not UTF-8 (byte {}); save it as “CSV UTF-8”", error.valid_up_to() + 1))
    })?;
    let table = table.strip_prefix('\u{feff}').unwrap_or(table);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter(table).map_err(refused)?).from_reader(table.as_bytes());
    let mut headers = reader.headers().map_err(|error| refused(error.to_string()))?.clone();
    headers.trim();
    let mut links = Vec::new();
    for record in reader.into_records() {
        let record = record.map_err(|error| refused(error.to_string()))?;
        // Spreadsheets write lines that were in use once.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let at = record.position().map_or(0, csv::Position::line);
        let wrong = |why: String| refused(format!("line {at} of the table: {why}"));
        let row: Row = record.deserialize(Some(&headers)).map_err(|error| wrong(error.to_string()))?;
        links.push(row.link().map_err(wrong)?);
        if links.len() > MOST_LINKS {
            break;
        }
    }
    if links.is_empty() || links.len() > MOST_LINKS {
        return Err(refused(format!("a table has 1 to {MOST_LINKS} links")));
    }
    Ok(links)
}

/// Finds what separates the columns of a table by its first line: no name of a column holds any of these.
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

    fn link(product: &str) -> Link {
        Link {
            shop_product: product.to_owned(),
            account: "expivi".parse().expect("an account"),
            vendor_product: "1001".to_owned(),
            other_vendor_products: Vec::new(),
            preset: None,
            allowed_skus: Vec::new(),
            settings: Map::new(),
            strategy: StrategyChoice::default(),
            strategy_settings: Map::new(),
        }
    }

    fn written(links: &[Link]) -> String {
        let mut table = csv::Writer::from_writer(Vec::new());
        for link in links {
            table.serialize(Row::of(link)).expect("a row");
        }
        String::from_utf8(table.into_inner().expect("a table")).expect("UTF-8")
    }

    fn products(table: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        let links = in_table(table.as_ref()).map_err(|problem| problem.detail().to_owned())?;
        Ok(links.into_iter().map(|link| link.shop_product).collect())
    }

    /// Texts with everything that CSV, JSON, spreadsheets and apostrophes make something of.
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

    fn links() -> impl Strategy<Value = Link> {
        let lists = || prop::collection::vec(texts(), 0..3);
        let settings = || prop::collection::btree_map(texts(), texts().prop_map(Value::from), 0..3);
        let some = || prop::option::of(texts());
        let account = prop::option::of(Just("other-1"));
        (texts(), texts(), lists(), some(), lists(), settings(), (account, some()), settings()).prop_map(
            |(shop_product, vendor_product, other, preset, skus, settings, (account, name), strategy_settings)| Link {
                shop_product,
                vendor_product,
                other_vendor_products: other,
                preset,
                allowed_skus: skus,
                settings: settings.into_iter().collect(),
                strategy: StrategyChoice { account: account.map(|id| id.parse().expect("an account")), name },
                strategy_settings: strategy_settings.into_iter().collect(),
                ..link("")
            },
        )
    }

    proptest! {
        #[test]
        fn a_table_that_goes_out_and_in_changes_nothing(links in prop::collection::vec(links(), 1..4)) {
            let table = written(&links);
            prop_assert_eq!(json!(in_table(table.as_bytes()).expect("a table")), json!(links));
            let marked = format!("\u{feff}{table}");
            prop_assert_eq!(json!(in_table(marked.as_bytes()).expect("a table")), json!(links));
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
        assert_eq!(in_table(quoted.as_bytes()).expect("a table")[0].allowed_skus, ["RING L", "a;b"]);
    }

    #[test]
    fn what_a_table_cannot_mean_is_refused_with_its_line_and_the_form_that_is_wanted() {
        let header = "shop_product,account,vendor_product,allowed_skus\n";
        for (table, said) in [
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
            (b"shop_product,account,vendor_product\n,,\n".to_vec(), vec!["1 to 10000 links"]),
        ] {
            let why = products(&table).expect_err("a refusal");
            assert!(said.iter().all(|said| why.contains(said)), "{}: {why}", String::from_utf8_lossy(&table));
        }
    }

    #[test]
    fn what_a_spreadsheet_would_change_stands_between_apostrophes() {
        for (text, written) in [
            ("ring", "ring"),
            ("1001", "1001"),
            ("RING-L", "RING-L"),
            ("it's", "it's"),
            ("=SUM(A1)", "'=SUM(A1)'"),
            ("@x", "'@x'"),
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
