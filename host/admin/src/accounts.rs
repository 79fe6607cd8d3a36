//! Vendor accounts: the list, their settings and permissions, the connection test, and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cartwright::types::{Diagnosis, FieldIssue, Verdict};
use cartwright::webhook::form_value;
use cartwright::{
    AccountId, AccountSetup, AccountSnapshot, Digest, Grants, Interface, PluginVersion, SetupError, ShopId,
};
use cartwright_http::access::Integrator;
use cartwright_http::extract::Path;
use cartwright_http::{Node, Problem};
use cartwright_service::accounts;
use cartwright_service::grants::{Grant, add_grants};
use cartwright_store::{Expected, account_version};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::entry::{Entry, again};
use super::form::{self, FormView, VendorChoices};
use super::grants;
use super::issues::Issues;
use super::layout::{csrf_field, page, page_with_action, problem_details};
use super::notice::{Notice, redirect_with_notice};
use super::paths::{account_path, shop_path};
use super::session::{AdminUser, FormData};
use super::shops::plugin_name;
use super::text::time;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/accounts", get(list))
        .route("/admin/shops/{shop}/accounts/{account}", get(read).post(change))
        .route("/admin/shops/{shop}/accounts/{account}/test", post(test))
        .route("/admin/shops/{shop}/accounts/{account}/allow", post(allow))
        .route("/admin/shops/{shop}/accounts/{account}/swap", post(swap))
}

/// Returns an installed plugin version.
pub(super) fn plugin(node: &Node, digest: Digest) -> Result<Arc<PluginVersion>, Problem> {
    Ok(node.host().plugin(&digest).ok_or(SetupError::UnknownPlugin(digest))?)
}

async fn list(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Markup, Problem> {
    let accounts = node.host().snapshot(&shop)?.accounts;
    let connect = html! { a.button href=(shop_path(&shop, "/accounts/new")) { "Connect a vendor" } };
    Ok(page_with_action(
        &visitor,
        "Vendors",
        connect,
        html! {
            @if accounts.is_empty() { p { "No vendors connected. Connect one to offer configurable products." } }
            div.cards {
                @for account in &accounts {
                    @let (name, version) = plugin_name(&node, account);
                    section.card {
                        h2 { a href=(account_path(&shop, &account.id)) { (account.id) } }
                        p { (name) " " (version) }
                    }
                }
            }
        },
    ))
}

/// The content of an account's form.
#[derive(Default)]
pub(super) struct AccountForm {
    pub(super) id: String,
    pub(super) values: Map<String, Value>,
    pub(super) secrets: Vec<String>,
    pub(super) grants: Grants,
    pub(super) issues: Vec<FieldIssue>,
    /// The choices that the vendor offers; `None` before the account exists.
    pub(super) choices: Option<BTreeMap<String, VendorChoices>>,
}

impl AccountForm {
    fn of(account: &AccountSnapshot) -> Self {
        let settings = account.versions.get(&account.current).into_iter().flatten();
        Self {
            id: account.id.to_string(),
            values: settings.filter_map(|(name, value)| Some((name.clone(), form_value(value)?))).collect(),
            secrets: account.secrets.keys().cloned().collect(),
            grants: account.grants.clone(),
            ..Self::default()
        }
    }

    /// Reads a submitted form. Values that this visitor may not change keep their old value.
    pub(super) fn sent(
        visitor: &AdminUser,
        plugin: &PluginVersion,
        sent: &FormData,
        old: Option<&AccountSnapshot>,
        issues: &mut Issues,
    ) -> Self {
        let values = form::read(&plugin.metadata().form, form::SETTING, sent, false);
        let grants = grants::read(visitor, plugin, sent, &values, old.map(|old| &old.grants), issues);
        Self {
            id: sent.text("id").to_owned(),
            values,
            secrets: old.map(|old| old.secrets.keys().cloned().collect()).unwrap_or_default(),
            grants,
            ..Self::default()
        }
    }
}

/// Returns the id of the input of a field of an account's form: one of the plugin's settings, or one of the account's own.
pub(super) fn input_of(plugin: &PluginVersion, field: &str) -> Option<String> {
    let is_setting = plugin.metadata().form.field(field).is_some_and(|field| field.kind != "heading");
    let is_own = field == "id" || grants::FIELDS.contains(&field);
    match is_setting {
        true => Some(form::input_id(form::SETTING, field)),
        false => is_own.then(|| field.to_owned()),
    }
}

/// Draws the settings of an account's form.
pub(super) fn settings(plugin: &PluginVersion, entered: &AccountForm) -> Markup {
    form::render(&FormView {
        form: &plugin.metadata().form,
        prefix: form::SETTING,
        values: &entered.values,
        secrets: &entered.secrets,
        issues: &entered.issues,
        choices: entered.choices.as_ref(),
        is_product_form: false,
    })
}

/// Returns the status of a page that shows its form again with the problem.
pub(super) fn status(problem: &Problem) -> StatusCode {
    match problem.status() {
        StatusCode::FORBIDDEN => StatusCode::FORBIDDEN,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn read(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
) -> Result<Markup, Problem> {
    let account = node.host().shop_state(&shop)?.account_snapshot(&id)?;
    account_page(&visitor, &node, &shop, &account, AccountForm::of(&account), &PageContent::default()).await
}

/// The variable content of an account's page.
#[derive(Default)]
struct PageContent<'a> {
    entry: Entry<'a>,
    /// The result of the connection test.
    test_result: Option<Result<Vec<Diagnosis>, Problem>>,
}

impl PageContent<'_> {
    /// Returns the texts of the failed checks of the connection test.
    fn refusals(&self) -> Vec<&str> {
        match &self.test_result {
            None => Vec::new(),
            Some(Err(problem)) => vec![problem.detail()],
            Some(Ok(diagnoses)) => {
                let failed = diagnoses.iter().filter(|diagnosis| diagnosis.verdict == Verdict::Failed);
                let mut refusals: Vec<&str> =
                    failed.filter_map(|diagnosis| Some(diagnosis.detail.as_ref()?.text.as_str())).collect();
                // A plugin may report the same refusal for several checks.
                refusals.dedup();
                refusals
            }
        }
    }
}

async fn account_page(
    visitor: &AdminUser,
    node: &Node,
    shop: &ShopId,
    account: &AccountSnapshot,
    mut entered: AccountForm,
    content: &PageContent<'_>,
) -> Result<Markup, Problem> {
    let plugin = plugin(node, account.current)?;
    let identity = &plugin.metadata().identity;
    entered.choices = Some(form::vendor_choices(node, shop, &account.id, &plugin.metadata().form, false).await);
    let here = account_path(shop, &account.id);
    let feed = feed(node, shop, &account.id, &plugin).await?;
    let connection = plugin.has(Interface::Account).then_some(("connection", "Connection"));
    let sections = connection.into_iter().chain([("settings", "Settings"), ("permissions", "Permissions")]);
    let sections = sections.chain(feed.is_some().then_some(("feed", "Updates"))).chain([("version", "Version")]);
    Ok(page(
        visitor,
        &account.id.to_string(),
        html! {
            (content.entry.summary_of(|field| input_of(&plugin, field)))
            p { (identity.name) " by " (identity.publisher) " · v" (identity.version) ". "
                a href=(shop_path(shop, "/links")) { "Link products" } }
            nav.tabs aria-label="Sections" {
                @for (id, name) in sections {
                    a href=(format!("#{id}")) { (name) }
                }
            }
            @if plugin.has(Interface::Account) { (connection_test(visitor, &here, content)) }
            form.card.long method="post" action=(here) {
                h2 #settings { "Settings" }
                (csrf_field(visitor))
                input type="hidden" name="version" value=(account_version(account));
                (settings(&plugin, &entered))
                (grants::draw(visitor, &plugin, &entered.grants, &entered.values, &content.entry, false))
                div.save {
                    button { "Save" }
                    span.unsaved role="status" {}
                }
            }
            @if let Some(feed) = &feed { (feed) }
            (versions(visitor, node, &here, account, &plugin))
        },
    ))
}

/// Draws the connection test and its result.
fn connection_test(visitor: &AdminUser, here: &str, content: &PageContent<'_>) -> Markup {
    html! {
        form.card method="post" action=(format!("{here}/test")) data-page=(here) {
            h2 #connection { "Connection" }
            (csrf_field(visitor))
            @match &content.test_result {
                None => p { "Checks the saved settings with the vendor. Nothing is changed there." },
                Some(Ok(test_result)) => div role="status" {
                    ul.tried {
                        @for diagnosis in test_result {
                            @let (class, shown) = verdict(diagnosis.verdict);
                            li class=(class) {
                                strong { (shown) ": " }
                                (diagnosis.check.text)
                                @if let Some(detail) = &diagnosis.detail { " – " (grants::without_setting(&detail.text)) }
                            }
                        }
                    }
                },
                Some(Err(problem)) => (problem_details(problem)),
            }
            button.quiet { "Test connection" }
            @for refusal in content.refusals() { " " (grants::missing(visitor, here, refusal)) }
        }
    }
}

/// Returns the CSS class and the word of a verdict.
fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Passed => ("passed", "Passed"),
        Verdict::Failed => ("failed", "Failed"),
        Verdict::NotTried => ("not-tried", "Not tried"),
    }
}

/// Draws the state of the feed that the vendor is polled by. Returns `None` for a plugin without a feed.
async fn feed(
    node: &Node,
    shop: &ShopId,
    account: &AccountId,
    plugin: &PluginVersion,
) -> Result<Option<Markup>, Problem> {
    if !plugin.has(Interface::Feed) {
        return Ok(None);
    }
    let status = node.store().feeds().status(shop, account).await?;
    Ok(Some(html! {
        section.card {
            h2 #feed { "Updates" }
            p { "The vendor is asked for updates regularly. The interval is among the permissions." }
            dl {
                dt { "Last polled" }
                dd {
                    @match status.as_ref().and_then(|status| status.last_polled_at) {
                        Some(at) => (time(at)),
                        None => "Never",
                    }
                }
                @if let Some(status) = &status {
                    dt { "Next poll" } dd { (time(status.next_poll_at)) }
                    @if let Some(error) = &status.last_error {
                        dt { span.state.warn { "Failing" } }
                        dd.long { (status.failures) @if status.failures == 1 { " failure: " } @else { " failures: " } (error) }
                    }
                }
            }
        }
    }))
}

/// Draws the versions that the account can switch to.
fn versions(visitor: &AdminUser, node: &Node, here: &str, account: &AccountSnapshot, plugin: &PluginVersion) -> Markup {
    let mut versions: Vec<Arc<PluginVersion>> =
        node.host().installed().into_iter().filter(|other| other.id() == plugin.id()).collect();
    versions.sort_by_key(|version| semver::Version::parse(&version.metadata().identity.version).ok());
    html! {
        section.card {
            h2 #version { "Version" }
            p { "Existing carts and orders keep their version. To roll back, switch to the previous version." }
            div.scroll tabindex="0" role="region" aria-label="Versions" {
                table {
                    thead { tr { th { "Version" } th { "Build" } th { span.visually-hidden { "Switch" } } } }
                    tbody {
                        @for version in versions.iter().rev() {
                            @let digest = version.digest();
                            tr {
                                th scope="row" { (version.metadata().identity.version) }
                                td { code { (digest.to_string().chars().take(12).collect::<String>()) } }
                                td {
                                    @if digest == account.current { span.mark { "Current" } }
                                    @else {
                                        form method="post" action=(format!("{here}/swap")) {
                                            (csrf_field(visitor))
                                            input type="hidden" name="component" value=(digest);
                                            button.quiet { "Switch to " (version.metadata().identity.version) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn change(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
    sent: FormData,
) -> Result<Response, Problem> {
    let account = node.host().shop_state(&shop)?.account_snapshot(&id)?;
    let plugin = plugin(&node, account.current)?;
    let mut issues = Issues::default();
    let mut entered = AccountForm::sent(&visitor, &plugin, &sent, Some(&account), &mut issues);
    let setup = AccountSetup { id: id.clone(), settings: entered.values.clone(), grants: entered.grants.clone() };
    let expected = Expected::Version(sent.text("version"));
    let result = match issues.end() {
        Ok(()) => {
            let (installation, digest, actor) = (node.installation(), account.current, caller.as_actor());
            let set = accounts::set(installation, &shop, digest, setup, expected, actor, node.now()).await;
            set.map(drop).map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match result {
        Ok(()) => Ok(redirect_with_notice(&account_path(&shop, &id), Notice::Saved).into_response()),
        Err(problem) => {
            entered.issues = problem.issues().to_vec();
            let content = PageContent { entry: Entry::refused(&sent, &problem), ..PageContent::default() };
            let page = account_page(&visitor, &node, &shop, &account, entered, &content).await?;
            Ok((status(&problem), page).into_response())
        }
    }
}

async fn test(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
    _: FormData,
) -> Result<Markup, Problem> {
    let account = node.host().shop_state(&shop)?.account_snapshot(&id)?;
    let test_result = node.host().test_connection(&shop, &id).await.map_err(Problem::from);
    let content = PageContent { test_result: Some(test_result), ..PageContent::default() };
    account_page(&visitor, &node, &shop, &account, AccountForm::of(&account), &content).await
}

/// Adds a permission to an account's grants.
async fn allow(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
    sent: FormData,
) -> Result<Response, Problem> {
    let grant: Grant = sent.read("grant")?;
    let account = node.host().shop_state(&shop)?.account_snapshot(&id)?;
    let (version, stored) = (account_version(&account), AccountForm::of(&account));
    let grants = add_grants(stored.grants, &[grant]);
    let setup = AccountSetup { id: id.clone(), settings: stored.values, grants };
    let (installation, expected, actor) = (node.installation(), Expected::Version(&version), caller.as_actor());
    let set = accounts::set(installation, &shop, account.current, setup, expected, actor, node.now()).await;
    match set.map_err(Problem::from) {
        Ok(_) => Ok(redirect_with_notice(&account_path(&shop, &id), Notice::PermissionAdded).into_response()),
        Err(problem) => {
            let content = PageContent { entry: Entry::refused_without(&problem), ..PageContent::default() };
            let entered = AccountForm { issues: problem.issues().to_vec(), ..AccountForm::of(&account) };
            let page = account_page(&visitor, &node, &shop, &account, entered, &content).await?;
            Ok((status(&problem), page).into_response())
        }
    }
}

async fn swap(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, AccountId)>,
    sent: FormData,
) -> Result<Response, Problem> {
    let component = sent.read("component")?;
    let (installation, actor) = (node.installation(), caller.as_actor());
    let switched = accounts::switch_version(installation, &shop, &id, component, actor, node.now()).await;
    match switched.map_err(Problem::from) {
        Ok(_) => Ok(redirect_with_notice(&account_path(&shop, &id), Notice::VersionSwitched).into_response()),
        // A setting that the new version rejects can be corrected on this page.
        Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            let account = node.host().shop_state(&shop)?.account_snapshot(&id)?;
            let content = PageContent { entry: Entry::refused_without(&problem), ..PageContent::default() };
            let entered = AccountForm { issues: problem.issues().to_vec(), ..AccountForm::of(&account) };
            Ok(again(&problem, account_page(&visitor, &node, &shop, &account, entered, &content).await?))
        }
        Err(problem) => Err(problem),
    }
}
