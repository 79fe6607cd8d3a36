//! Shops: the list, set-up progress, and shop settings.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cartwright::types::{Currency, FieldIssue, Rounding};
use cartwright::{AccountSnapshot, Currencies, ReleasePolicy, Shop, ShopId, ShopSnapshot};
use cartwright_http::access::{Admin, Caller, Integrator};
use cartwright_http::extract::Path;
use cartwright_http::{Node, Problem};
use cartwright_service::{input, shops};
use cartwright_store::{Expected, shop_version};
use maud::{Markup, html};

use super::entry::{Entry, again};
use super::issues::{Issues, of_field, wrong};
use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::open_items::{OpenItems, count_text};
use super::paths::{account_path, address, shop_path};
use super::session::{AdminUser, FormData};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops", get(list).post(add))
        .route("/admin/shops/{shop}", get(overview))
        .route("/admin/shops/{shop}/settings", get(settings).post(change))
        .route("/admin/shops/{shop}/origins", get(origins).post(set_origins))
}

/// Returns the name of the plugin that an account runs, and its version.
pub(super) fn plugin_name(node: &Node, account: &AccountSnapshot) -> (String, String) {
    node.host().plugin(&account.current).map_or_else(
        || ("Plugin not installed on this node".to_owned(), account.current.to_string()),
        |plugin| (plugin.metadata().identity.name.clone(), plugin.metadata().identity.version.clone()),
    )
}

async fn list(_: Admin, visitor: AdminUser, State(node): State<Node>) -> Markup {
    list_page(&visitor, &node, &Entry::default())
}

fn list_page(visitor: &AdminUser, node: &Node, entry: &Entry<'_>) -> Markup {
    let host = node.host();
    let shops: Vec<ShopSnapshot> = host.shop_ids().iter().filter_map(|id| host.snapshot(id).ok()).collect();
    page(
        visitor,
        "Shops",
        html! {
            (entry.summary())
            @if shops.is_empty() { p { "No shops yet. Create a shop to connect a vendor and link products." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Shops" {
                    table {
                        thead { tr { th { "Shop" } th { "Currency" } th { "Vendors" } th.number { "Linked products" } } }
                        tbody {
                            @for ShopSnapshot { shop, accounts, links, .. } in &shops {
                                tr {
                                    th scope="row" { a href=(shop_path(&shop.id, "")) { (shop.id) } }
                                    td { @for (number, currency) in shop.currencies.iter().enumerate() { @if number > 0 { ", " } (currency.code) } }
                                    td {
                                        @if accounts.is_empty() { span.mark { "Not connected" } }
                                        @for (number, account) in accounts.iter().enumerate() {
                                            @let (name, version) = plugin_name(node, account);
                                            @if number > 0 { ", " }
                                            (name) " " span.mark { (version) }
                                        }
                                    }
                                    td.number { (links.len()) }
                                }
                            }
                        }
                    }
                }
            }
            form.card method="post" action=(address("/admin/shops")) {
                h2 { "Create shop" }
                (csrf_field(visitor))
                (entry.field("id", "Shop ID", "Used in URLs and orders. Letters, digits, . _ and - only. Can't be changed later.", html! {
                    input #id name="id" required value=(entry.text("id", "")) maxlength="64" spellcheck="false" aria-describedby="id-help"
                        aria-invalid=[entry.invalid("id")];
                }))
                (entry.field("currency", "Currency", "", html! {
                    input #currency name="currency" required value=(entry.text("currency", "")) pattern="[A-Z]{3}" maxlength="3" size="4"
                        placeholder="EUR" aria-describedby="currency-help" aria-invalid=[entry.invalid("currency")];
                }))
                (entry.field("scale", "Price decimals", "For example 2 for EUR, 0 for JPY", html! {
                    input #scale name="scale" required inputmode="numeric" value=(entry.text("scale", "2")) size="3"
                        aria-describedby="scale-help" aria-invalid=[entry.invalid("scale")];
                }))
                button { "Create shop" }
            }
        },
    )
}

async fn add(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    sent: FormData,
) -> Result<Response, Problem> {
    Ok(match create(&node, &caller, &sent).await {
        Ok(id) => redirect_with_notice(&shop_path(&id, ""), Notice::Created).into_response(),
        Err(problem) => again(&problem, list_page(&visitor, &node, &Entry::refused(&sent, &problem))),
    })
}

async fn create(node: &Node, caller: &Caller, sent: &FormData) -> Result<ShopId, Problem> {
    let mut issues = Issues::default();
    let id = issues.take(sent.read::<ShopId>("id"));
    let scale = issues.take(sent.whole("scale"));
    let (Some(id), Some(scale)) = (id, scale) else { return Err(issues.into_problem()) };
    let shop = shops::new_shop(id.clone(), Currencies::one(sent.text("currency"), scale))?;
    let set = node.installation().set_shop(shop, Expected::Absent, &caller.actor, node.now()).await;
    set.map_err(Problem::from).map_err(of_form)?;
    Ok(id)
}

async fn overview(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    let ShopSnapshot { accounts, links, .. } = node.host().snapshot(&id)?;
    let has_origins = !node.store().shops().origins(&id).await?.is_empty();
    let linked = links.iter().fold(BTreeMap::<_, usize>::new(), |mut counts, link| {
        *counts.entry(&link.account).or_default() += 1;
        counts
    });
    let steps = [
        (!accounts.is_empty(), "/accounts/new", "Connect a vendor"),
        (!links.is_empty(), "/links", "Link your products to vendor products"),
        (has_origins, "/origins", "Add your storefront domains"),
    ];
    Ok(page(
        &visitor,
        &id.to_string(),
        html! {
            (attention(&id, &visitor.open))
            (checklist(&id, &steps))
            section {
                h2 { "Vendors" }
                @if !accounts.is_empty() {
                    div.scroll tabindex="0" role="region" aria-label="Vendors" {
                        table {
                            thead { tr { th { "Connection" } th { "Plugin" } th { "Version" } th.number { "Linked products" } } }
                            tbody {
                                @for account in &accounts {
                                    @let (name, version) = plugin_name(&node, account);
                                    tr {
                                        th scope="row" {
                                            a href=(account_path(&id, &account.id)) { (account.id) }
                                        }
                                        td { (name) } td { (version) }
                                        td.number { (linked.get(&account.id).copied().unwrap_or_default()) }
                                    }
                                }
                            }
                        }
                    }
                }
                p { a.button href=(shop_path(&id, "/accounts/new")) { "Connect a vendor" } }
            }
        },
    ))
}

/// Draws what needs attention.
fn attention(shop: &ShopId, open: &OpenItems) -> Markup {
    let item = |count: usize, path: &str, one: &str, many: &str| {
        html! { @if count > 0 { li { a href=(shop_path(shop, path)) { (count_text(count)) " " (if count == 1 { one } else { many }) } } } }
    };
    html! {
        @if open.total() > 0 {
            section.attention aria-labelledby="waiting" {
                h2 #waiting { "Needs attention" }
                ul {
                    (item(open.changes, "/approvals", "vendor change to review", "vendor changes to review"))
                    (item(open.jobs_for_merchant, "/jobs?state=needs-merchant", "job needs your input", "jobs need your input"))
                    (item(open.failed_jobs, "/jobs?state=stopped", "job failed", "jobs failed"))
                    (item(open.quotes, "/quotations", "quote to price", "quotes to price"))
                    (item(open.failed_notifications, "/notifications", "notification failed", "notifications failed"))
                }
            }
        }
    }
}

/// Draws the steps of setting a shop up until all are complete: whether each is complete, its page and its name.
fn checklist(shop: &ShopId, steps: &[(bool, &str, &str)]) -> Markup {
    let done = steps.iter().filter(|(is_done, ..)| *is_done).count();
    html! {
        @if done < steps.len() {
            section.card {
                h2 { "Get started " span.mark { (done) " of " (steps.len()) " done" } }
                ol.steps {
                    @for (is_done, path, name) in steps {
                        li.is-done[*is_done] {
                            a href=(shop_path(shop, path)) { (name) }
                            @if *is_done { span.visually-hidden { ": done" } }
                        }
                    }
                }
            }
        }
    }
}

async fn settings(
    _: Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    let shop = node.host().shop(&id)?;
    Ok(page(&visitor, "Shop settings", settings_form(&visitor, &shop, &Entry::default())))
}

async fn origins(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    node.host().shop(&id)?;
    origins_page(&visitor, &node, &id, &Entry::default()).await
}

async fn origins_page(visitor: &AdminUser, node: &Node, id: &ShopId, entry: &Entry<'_>) -> Result<Markup, Problem> {
    let origins = node.store().shops().origins(id).await?;
    let stored = origins.into_iter().collect::<Vec<_>>().join("\n");
    let help = "One per line, for example https://shop.example. Other sites can't use this shop's storefront keys.";
    Ok(page(
        visitor,
        "Storefront domains",
        html! {
            (entry.summary())
            form.card method="post" action=(shop_path(id, "/origins")) {
                (csrf_field(visitor))
                (entry.field("origins", "Domains", help, html! {
                    textarea #origins name="origins" rows="3" spellcheck="false" aria-describedby="origins-help"
                        aria-invalid=[entry.invalid("origins")] { "\n" (entry.text("origins", stored)) }
                }))
                button { "Save" }
            }
        },
    ))
}

fn settings_form(visitor: &AdminUser, shop: &Shop, entry: &Entry<'_>) -> Markup {
    let releases = [
        (ReleasePolicy::Paid, "paid", "When fully paid"),
        (ReleasePolicy::Placed, "placed", "When placed"),
        (ReleasePolicy::ByHand, "by-hand", "When the platform releases them"),
    ];
    let tick = |name: &'static str, label: &str, stored: bool| {
        let input = html! { input id=(name) name=(name) type="checkbox" value="true" checked[entry.is_chosen(name, "true", stored)]; };
        entry.field(name, label, "", input)
    };
    let main = shop.currencies.main();
    let others = shop.currencies.iter().skip(1).map(|currency| format!("{} {}\n", currency.code, currency.scale));
    let others: String = others.collect();
    let body_bytes = shop.max_storefront_body_bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
    html! {
        (entry.summary())
        form.card method="post" action=(shop_path(&shop.id, "/settings")) {
            (csrf_field(visitor))
            input type="hidden" name="version" value=(shop_version(shop));
            fieldset {
                legend { "Prices and tax" }
                (entry.field("currency", "Main currency", "", html! {
                    input #currency name="currency" required value=(entry.text("currency", &main.code)) maxlength="3" size="4"
                        aria-describedby="currency-help" aria-invalid=[entry.invalid("currency")];
                }))
                (entry.field("scale", "Price decimals", "For example 2 for EUR, 0 for JPY", html! {
                    input #scale name="scale" required inputmode="numeric" value=(entry.text("scale", main.scale)) size="3"
                        aria-describedby="scale-help" aria-invalid=[entry.invalid("scale")];
                }))
                (entry.field("other_currencies", "Other currencies", "One on each line, with its price decimals, for example USD 2", html! {
                    textarea #other_currencies name="other_currencies" rows="3" spellcheck="false" aria-describedby="other_currencies-help"
                        aria-invalid=[entry.invalid("other_currencies")] { "\n" (entry.text("other_currencies", others)) }
                }))
                (tick("prices_include_tax", "Prices include tax", shop.prices_include_tax))
                (tick("half_even", "Use banker's rounding (round half to even)", shop.rounding == Rounding::HalfEven))
                (duration(entry, "seal_seconds", "Price validity", "", shop.seal_seconds))
            }
            fieldset {
                legend { "Orders" }
                (entry.field("release", "Release orders to production", "", html! {
                    select #release name="release" aria-describedby="release-help" {
                        @for (release, name, shown) in releases {
                            option value=(name) selected[entry.is_chosen("release", name, shop.release == release)] { (shown) }
                        }
                    }
                }))
                (tick("sell_unconfigured", "Allow linked products to be sold without configuration", shop.sell_unconfigured))
                (duration(
                    entry,
                    "pin_seconds",
                    "Keep the plugin version of cart items for",
                    "Added to the price validity.",
                    shop.pin_seconds,
                ))
            }
            fieldset {
                legend { "Location" }
                (entry.field("base_country", "Country that the shop sells from", "Country code, for example NL", html! {
                    input #base_country name="base_country" value=(entry.text("base_country", shop.base_country.as_deref().unwrap_or_default()))
                        maxlength="2" size="4" aria-describedby="base_country-help" aria-invalid=[entry.invalid("base_country")];
                }))
                (entry.field("time_zone", "Time zone", "For example Europe/Amsterdam", html! {
                    input #time_zone name="time_zone" value=(entry.text("time_zone", shop.time_zone.as_deref().unwrap_or_default()))
                        size="24" spellcheck="false" aria-describedby="time_zone-help" aria-invalid=[entry.invalid("time_zone")];
                }))
            }
            fieldset {
                legend { "Storefront" }
                (entry.field("locale", "Default language", "Language code, for example en or nl-BE", html! {
                    input #locale name="locale" required value=(entry.text("locale", &shop.locale)) size="8" aria-describedby="locale-help"
                        aria-invalid=[entry.invalid("locale")];
                }))
                (entry.field(
                    "max_storefront_body_bytes",
                    "Largest storefront request (bytes)",
                    "Configurations with pictures need more. Leave empty for the default of this installation.",
                    html! {
                        input #max_storefront_body_bytes name="max_storefront_body_bytes" inputmode="numeric"
                            value=(entry.text("max_storefront_body_bytes", body_bytes)) size="10"
                            aria-describedby="max_storefront_body_bytes-help" aria-invalid=[entry.invalid("max_storefront_body_bytes")];
                    },
                ))
            }
            button { "Save" }
        }
    }
}

/// The units of a duration, in seconds.
const UNITS: [(u32, &str); 4] = [(86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds")];

/// Draws a duration: a number, in the largest unit in which it is whole.
fn duration(entry: &Entry<'_>, name: &'static str, label: &str, help: &str, seconds: u32) -> Markup {
    let (unit, _) = UNITS.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "seconds"));
    let of_unit = format!("{name}.unit");
    let input = html! {
        span.pair {
            input id=(name) name=(name) required inputmode="numeric" size="8" value=(entry.text(name, seconds / unit))
                aria-describedby=(format!("{name}-help")) aria-invalid=[entry.invalid(name)];
            select name=(of_unit) aria-label=(format!("{label}: unit")) {
                @for (each, text) in UNITS {
                    option value=(each) selected[entry.is_chosen(&of_unit, &each.to_string(), each == unit)] { (text) }
                }
            }
        }
    };
    entry.field(name, label, help, input)
}

/// Reads what [`duration`] drew; without a unit it is in seconds.
fn seconds(sent: &FormData, name: &str) -> Result<u32, Problem> {
    let number: u32 = sent.whole(name)?;
    let unit = sent.text(&format!("{name}.unit")).parse::<u32>().ok();
    let unit = unit.filter(|unit| UNITS.iter().any(|(known, _)| known == unit)).unwrap_or(1);
    number.checked_mul(unit).ok_or_else(|| wrong(name, "Enter a shorter time."))
}

async fn change(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let shop = node.host().shop(&id)?;
    Ok(match set_settings(&node, &caller, &shop, &sent).await {
        Ok(()) => redirect_with_notice(&shop_path(&id, "/settings"), Notice::Saved).into_response(),
        Err(problem) => {
            let form = settings_form(&visitor, &shop, &Entry::refused(&sent, &problem));
            again(&problem, page(&visitor, "Shop settings", form))
        }
    })
}

async fn set_settings(node: &Node, caller: &Caller, old: &Shop, sent: &FormData) -> Result<(), Problem> {
    let mut issues = Issues::default();
    let numbers = (
        issues.take(sent.whole("scale")),
        issues.take(other_currencies(sent)),
        issues.take(seconds(sent, "seal_seconds")),
        issues.take(seconds(sent, "pin_seconds")),
        issues.take(sent.optional("max_storefront_body_bytes")),
    );
    let (Some(scale), Some(others), Some(seal_seconds), Some(pin_seconds), Some(max_storefront_body_bytes)) = numbers
    else {
        return Err(issues.into_problem());
    };
    let mut currencies = vec![Currency { code: sent.text("currency").to_owned(), scale }];
    currencies.extend(others);
    let currencies = Currencies::try_from(currencies).map_err(|error| wrong("currency", error.to_string()))?;
    let text = |name: &str| Some(sent.text(name).to_owned()).filter(|text| !text.is_empty());
    let shop = Shop {
        currencies,
        base_country: text("base_country"),
        time_zone: text("time_zone"),
        locale: sent.text("locale").to_owned(),
        prices_include_tax: sent.has("prices_include_tax"),
        rounding: if sent.has("half_even") { Rounding::HalfEven } else { Rounding::HalfUp },
        sell_unconfigured: sent.has("sell_unconfigured"),
        release: match sent.text("release") {
            "placed" => ReleasePolicy::Placed,
            "by-hand" => ReleasePolicy::ByHand,
            _ => ReleasePolicy::Paid,
        },
        seal_seconds,
        pin_seconds,
        max_storefront_body_bytes,
        ..old.clone()
    };
    let expected = Expected::Version(sent.text("version"));
    let set = node.installation().set_shop(shop, expected, &caller.actor, node.now()).await;
    set.map(drop).map_err(Problem::from).map_err(of_form)
}

/// Reads the currencies beside the main one: one on each line, with its price decimals.
fn other_currencies(sent: &FormData) -> Result<Vec<Currency>, Problem> {
    let currency = |line: &str| {
        let (code, scale) = line.split_once(' ')?;
        Some(Currency { code: code.to_owned(), scale: input::whole(scale.trim()).ok()? })
    };
    let read = |line: &str| {
        currency(line).ok_or_else(|| {
            wrong("other_currencies", format!("{line:?} is not a currency with its price decimals, such as USD 2."))
        })
    };
    sent.lines("other_currencies").map(read).collect()
}

/// Names the fields of the form in the issues of a shop's set-up.
fn of_form(problem: Problem) -> Problem {
    let name = |field: &str| match field {
        "currencies[0].code" => "currency".to_owned(),
        "currencies[0].scale" => "scale".to_owned(),
        field if field.starts_with("currencies") => "other_currencies".to_owned(),
        field => field.to_owned(),
    };
    let issues = problem.issues().iter().map(|issue| FieldIssue { field: name(&issue.field), ..issue.clone() });
    let issues = issues.collect();
    problem.with_issues(issues)
}

async fn set_origins(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let origins: BTreeSet<String> = sent.lines("origins").map(str::to_owned).collect();
    let set = shops::set_origins(node.installation(), &id, &origins, Expected::Any, &caller.actor, node.now()).await;
    Ok(match set.map_err(Problem::from).map_err(of_field("origins")) {
        Ok(()) => redirect_with_notice(&shop_path(&id, "/origins"), Notice::Saved).into_response(),
        Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            again(&problem, origins_page(&visitor, &node, &id, &Entry::refused(&sent, &problem)).await?)
        }
        Err(problem) => return Err(problem),
    })
}
