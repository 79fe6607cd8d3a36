//! The audit log: actor, action, time and difference of each change.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use cartwright::ShopId;
use cartwright_http::access::{Admin, Integrator};
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::audit_log::redact;
use cartwright_store::AuditEntry;
use maud::{Markup, html};
use serde_json::Value;

use super::form::text_of;
use super::layout::page;
use super::paths::{address, shop_path};
use super::session::AdminUser;
use super::text::{PAGE, PageOf, next_cursor, time};

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/admin/log", get(all)).route("/admin/shops/{shop}/log", get(of_shop))
}

/// Returns the entry before which a page of the log begins: the last of the previous page.
fn before(shown: &PageOf) -> Result<Option<i64>, Problem> {
    let read = shown.after.as_deref().map(str::parse).transpose();
    read.map_err(|_| Problem::bad_request("after: it is not the number of an entry of this log"))
}

async fn all(
    _: Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Query(shown): Query<PageOf>,
) -> Result<Markup, Problem> {
    let entries = node.store().audit().entries(None, before(&shown)?, PAGE).await?;
    Ok(page(&visitor, "Audit log", list(&entries, &address("/admin/log"), true, &shown)))
}

async fn of_shop(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(shown): Query<PageOf>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let entries = node.store().audit().entries(Some(&shop), before(&shown)?, PAGE).await?;
    let entries: Vec<_> = entries.into_iter().map(|entry| redact(caller.as_actor().role, entry)).collect();
    Ok(page(&visitor, "Audit log", list(&entries, &shop_path(&shop, "/log"), false, &shown)))
}

fn list(entries: &[AuditEntry], here: &str, shops: bool, shown: &PageOf) -> Markup {
    let last = next_cursor(entries).map(|last| last.id.to_string());
    html! {
        p { "Who changed what, and when. Secrets are masked." }
        @if entries.is_empty() { p { "No changes yet" } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Changes" {
                table {
                    thead {
                        tr {
                            th { "Time" } th { "User" }
                            @if shops { th { "Shop" } }
                            th { "Action" } th { "Changes" }
                        }
                    }
                    tbody {
                        @for entry in entries {
                            tr {
                                td { (time(entry.at)) }
                                td { (entry.actor) }
                                @if shops { td { @if let Some(shop) = &entry.shop { a href=(shop_path(shop, "/log")) { (shop) } } } }
                                th scope="row" { (entry.action.replace('-', " ")) " " span.mark { (entry.subject) } }
                                td.long { (difference(entry.before.as_ref(), entry.after.as_ref())) }
                            }
                        }
                    }
                }
            }
        }
        (shown.draw(here, &[], last.as_deref()))
    }
}

/// Draws the members that differ, with their old and new values. Several are collapsed.
fn difference(before: Option<&Value>, after: Option<&Value>) -> Markup {
    let mut changes = Vec::new();
    compare(String::new(), before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null), &mut changes);
    html! {
        @if changes.len() == 1 { (change_list(&changes)) }
        @else if !changes.is_empty() { details { summary { (changes.len()) " changes" } (change_list(&changes)) } }
    }
}

fn change_list(changes: &[Change]) -> Markup {
    html! {
        dl {
            @for (name, old, new) in changes {
                dt { (name) }
                dd {
                    @if let Some(old) = old { del { span.visually-hidden { "was " } (old) } }
                    @if old.is_some() && new.is_some() { " → " }
                    @if let Some(new) = new { ins { span.visually-hidden { "is " } (new) } }
                }
            }
        }
    }
}

type Change = (String, Option<String>, Option<String>);
type Members = BTreeMap<String, Value>;

/// Returns the members of a value; a missing value has none.
fn members(value: &Value) -> Option<Members> {
    match value {
        Value::Null => Some(Members::new()),
        Value::Object(members) => Some(members.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        // A list of scalars is one value; in a list of objects, each member has its position.
        Value::Array(values) if values.iter().all(Value::is_object) => {
            Some(values.iter().enumerate().map(|(place, value)| ((place + 1).to_string(), value.clone())).collect())
        }
        _ => None,
    }
}

fn compare(name: String, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    if let Some((old, new)) = members(old).zip(members(new)) {
        for member in old.keys().chain(new.keys().filter(|member| !old.contains_key(*member))) {
            let path = if name.is_empty() { member.clone() } else { format!("{name} › {member}") };
            let of = |all: &Members| all.get(member).cloned().unwrap_or_default();
            compare(path, &of(&old), &of(&new), changes);
        }
        return;
    }
    let shown = |value: &Value| Some(text_of(value)).filter(|text| !text.is_empty());
    if let (old, new) = (shown(old), shown(new))
        && old != new
    {
        changes.push((name, old, new));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn describe(before: Value, after: Value) -> Vec<String> {
        let mut changes = Vec::new();
        compare(String::new(), &before, &after, &mut changes);
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        changes.into_iter().map(|(name, old, new)| format!("{name}: {} > {}", text(old), text(new))).collect()
    }

    #[test]
    fn only_differences_are_listed() {
        let before = json!({ "settings": { "a": 1, "b": "x", "gone": true }, "same": [1, 2] });
        let after = json!({ "settings": { "a": 2, "b": "x", "new": ["y", "z"] }, "same": [1, 2] });
        assert_eq!(
            describe(before, after),
            ["settings › a: 1 > 2", "settings › gone: true > -", "settings › new: - > y\nz"]
        );
    }

    #[test]
    fn added_and_removed_values_are_listed_member_by_member() {
        let account = json!({ "plugin": "expivi", "grants": { "hosts": ["a.example"] } });
        assert_eq!(describe(Value::Null, account.clone()), ["grants › hosts: - > a.example", "plugin: - > expivi"]);
        assert_eq!(describe(account, Value::Null), ["grants › hosts: a.example > -", "plugin: expivi > -"]);
        assert_eq!(describe(json!({ "a": { "b": 1 } }), json!({ "a": 1 })), ["a: {\"b\":1} > 1"]);
        assert_eq!(describe(json!([]), json!([{ "a": 1, "none": "" }, { "b": 2 }])), ["1 › a: - > 1", "2 › b: - > 2"]);
    }
}
