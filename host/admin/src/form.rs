//! A plugin's settings form: draws its fields, and reads the submitted values.

use std::collections::BTreeMap;

use cartwright::money;
use cartwright::types::{Choice, ChoiceSource, Field, FieldIssue, Message, Money};
use cartwright::webhook::form_value;
use cartwright::{AccountId, Form, SecretUse, ShopId};
use cartwright_http::Node;
use cartwright_service::input;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use url::Url;

use super::session::FormData;

/// The usual prefix of the inputs' names.
pub(super) const SETTING: &str = "setting";

/// Maximum number of choices of a field that are loaded from a vendor. A longer list is shown incomplete.
const MAX_CHOICES: usize = 500;
/// Maximum number of pages of choices that are loaded for a field.
const MAX_CHOICE_PAGES: usize = 10;

/// The choices that a vendor offers for a field.
pub(super) struct VendorChoices {
    choices: Vec<Choice>,
    /// Whether the list is complete, so that no other value can be chosen.
    is_all: bool,
}

/// Loads the choices that an account's vendor offers, by field name. If the vendor does not respond, values can still
/// be entered by hand.
pub(super) async fn vendor_choices(
    node: &Node,
    shop: &ShopId,
    account: &AccountId,
    form: &Form,
    is_product_form: bool,
) -> BTreeMap<String, VendorChoices> {
    let mut all = BTreeMap::new();
    let has_vendor_choices =
        |field: &&Field| field.choices == ChoiceSource::Dynamic && (!is_product_form || field.per_product);
    for field in form.0.iter().filter(has_vendor_choices) {
        let mut choices: Option<VendorChoices> = None;
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_CHOICE_PAGES {
            let Ok(page) = node.host().choices(shop, account, &field.name, "", cursor.as_deref()).await else { break };
            let loaded = choices.get_or_insert(VendorChoices { choices: Vec::new(), is_all: false });
            loaded.choices.extend(page.choices);
            loaded.is_all = page.cursor.is_none();
            cursor = page.cursor;
            if loaded.is_all || loaded.choices.len() >= MAX_CHOICES {
                break;
            }
        }
        all.extend(choices.map(|choices| (field.name.clone(), choices)));
    }
    all
}

/// Everything that drawing a form needs.
pub(super) struct FormView<'a> {
    pub(super) form: &'a Form,
    /// The prefix of the inputs' names: a page may have two forms.
    pub(super) prefix: &'a str,
    /// The entered values by field name, in the form of the HTTP API.
    pub(super) values: &'a Map<String, Value>,
    /// The secrets that have a value.
    pub(super) secrets: &'a [String],
    /// The issues of the values.
    pub(super) issues: &'a [FieldIssue],
    /// The choices of the fields whose vendor responded; `None` while there is no account to ask with.
    pub(super) choices: Option<&'a BTreeMap<String, VendorChoices>>,
    /// Whether the form shows only what a product may override, where no value is required.
    pub(super) is_product_form: bool,
}

/// Returns the id of a field's input.
pub(super) fn input_id(prefix: &str, field: &str) -> String {
    format!("{prefix}-{field}")
}

/// Returns the name of a field's input.
fn input_name(prefix: &str, field: &str) -> String {
    format!("{prefix}.{field}")
}

/// Reads the submitted values. A value that cannot be parsed stays as it was entered, and is rejected when all values
/// are checked.
pub(super) fn read(form: &Form, prefix: &str, sent: &FormData, is_product_form: bool) -> Map<String, Value> {
    let fields = form.0.iter().filter(|field| !is_product_form || field.per_product);
    fields.filter_map(|field| Some((field.name.clone(), read_field(field, prefix, sent, is_product_form)?))).collect()
}

fn read_field(field: &Field, prefix: &str, sent: &FormData, is_product_form: bool) -> Option<Value> {
    let name = input_name(prefix, &field.name);
    let text = sent.text(&name);
    let some = Some(text).filter(|text| !text.is_empty());
    match field.kind.as_str() {
        "heading" => None,
        "boolean" if is_product_form || field.default_value.is_none() => some.map(|text| json!(text == "true")),
        "boolean" => Some(json!(sent.has(&name))),
        "secret" if sent.has(&format!("{name}.remove")) => Some(Value::Null),
        "text-area" => Some(sent.raw(&name)).filter(|text| !text.is_empty()).map(Value::from),
        "integer" => some.map(|text| text.parse::<i64>().map_or_else(|_| json!(text), Value::from)),
        "money" => some.map(|text| {
            let read = money::decimal(text).ok().filter(|_| !input::looks_grouped(text));
            let minor = read.and_then(|read| i64::try_from(read.mantissa()).ok());
            minor.zip(read).map_or_else(|| json!(text), |(minor, read)| {
                json!({ "minor": minor, "scale": read.scale(), "currency": sent.text(&format!("{name}.currency")) })
            })
        }),
        "multi-select" => {
            // Check boxes, or lines if the vendor's choices are unknown.
            let chosen = sent.values(&name);
            (!is_product_form || !chosen.is_empty()).then(|| json!(chosen))
        }
        "list" => some.map(|_| json!(sent.values(&name))),
        "pairs" => some.map(|text| {
            let pairs: Option<Vec<(String, String)>> = sent.lines(&name).map(input::pair).collect();
            pairs.map_or_else(|| json!(text), |pairs| json!(pairs))
        }),
        _ => some.map(Value::from),
    }
}

/// Draws the fields in their groups.
pub(super) fn render(view: &FormView<'_>) -> Markup {
    let mut groups: Vec<(Option<&Message>, Vec<&Field>)> = Vec::new();
    for field in view.form.0.iter().filter(|field| !view.is_product_form || field.per_product) {
        let group = field.group.as_ref();
        match groups.last_mut() {
            Some((last, fields)) if last.map(|last| &last.key) == group.map(|group| &group.key) => fields.push(field),
            _ => groups.push((group, vec![field])),
        }
    }
    html! {
        @for (group, fields) in groups {
            @match group {
                Some(title) => (fold(view, &title.text, render_fields(view, &fields), &fields)),
                None => (render_fields(view, &fields)),
            }
        }
    }
}

/// Draws the fields of a group, the advanced ones collapsed below the others.
fn render_fields(view: &FormView<'_>, fields: &[&Field]) -> Markup {
    let (advanced, usual): (Vec<&Field>, Vec<&Field>) = fields.iter().copied().partition(|field| field.advanced);
    let drawn = html! { @for field in &advanced { (render_field(view, field)) } };
    html! {
        @for field in &usual { (render_field(view, field)) }
        @if !advanced.is_empty() { (fold(view, "Advanced", drawn, &advanced)) }
    }
}

/// Draws a collapsible part of the form, collapsed unless a field in it is required, changed or wrong.
fn fold(view: &FormView<'_>, title: &str, drawn: Markup, fields: &[&Field]) -> Markup {
    let changed = fields.iter().filter(|field| is_changed(view, field)).count();
    let is_wrong = |field: &Field| view.issues.iter().any(|issue| issue.field == field.name);
    let is_open = changed > 0 || fields.iter().any(|field| is_required(view, field) || is_wrong(field));
    html! {
        details.fold open[is_open] {
            summary {
                (title)
                @if changed > 0 { " " span.mark { (changed) " changed" } }
            }
            div.columns role="group" aria-label=(title) { (drawn) }
        }
    }
}

/// Returns whether a value is required.
fn is_required(view: &FormView<'_>, field: &Field) -> bool {
    field.required && field.default_value.is_none() && !view.is_product_form
}

/// Returns whether a field differs from its default.
fn is_changed(view: &FormView<'_>, field: &Field) -> bool {
    let default = field.default_value.as_ref().and_then(form_value);
    let value = view.values.get(&field.name).filter(|value| !text_of(value).is_empty());
    view.secrets.contains(&field.name) || value.is_some() && value != default.as_ref()
}

fn render_field(view: &FormView<'_>, field: &Field) -> Markup {
    if field.kind == "heading" {
        return html! { h3 { (field.label.text) } };
    }
    let (name, id) = (input_name(view.prefix, &field.name), input_id(view.prefix, &field.name));
    let issues: Vec<&FieldIssue> = view.issues.iter().filter(|issue| issue.field == field.name).collect();
    let is_invalid = issues.iter().any(|issue| issue.blocking);
    let about = format!("{id}-help");
    let condition = field.enabled_when.as_ref();
    html! {
        div.field data-when=[condition.map(|condition| input_name(view.prefix, &condition.field))]
            data-is=[condition.map(|condition| json!(condition.one_of).to_string())] {
            @if is_checkbox_group(view, field) {
                span.label id=(format!("{id}-label")) { (label(view, field)) }
            } @else {
                label for=(id) { (label(view, field)) }
            }
            (input(view, field, &Input { name: &name, id: &id, about: &about, is_invalid }))
            div id=(about) {
                @for issue in &issues { p.issue { (issue.message.text) } }
                @if must_reenter(view, field) { p.issue { "For security this was not kept. Enter it again." } }
                @if let Some(help) = &field.help { p.help { (help.text) } }
                @if let Some(note) = note(view, field) { p.help { (note) } }
                @if field.choices == ChoiceSource::Dynamic && let Some(note) = note_of_choices(view, field) { p.help { (note) } }
            }
        }
    }
}

fn label(view: &FormView<'_>, field: &Field) -> Markup {
    html! {
        (field.label.text)
        @if is_required(view, field) { " " span.needed { "Required" } }
        @if field.shown_on_page { " " span.mark { "Public: visible to shoppers" } }
    }
}

/// Returns the note of a field, in addition to the plugin's own help text.
fn note(view: &FormView<'_>, field: &Field) -> Option<String> {
    if field.kind == "secret" {
        let hosts: Vec<String> =
            field.outbound_hosts.iter().map(|host| host_shown(view.form, view.values, host)).collect();
        return Some(secret_note(&SecretUse::of(field).collect::<Vec<_>>(), &hosts));
    }
    // Other inputs show their default themselves, unless an example has that place.
    let is_list = matches!(field.kind.as_str(), "text-area" | "list" | "pairs" | "multi-select" | "money");
    empty_means(view, field).filter(|_| is_list || field.placeholder.is_some() && !view.is_product_form)
}

/// Returns what an empty input shows: the plugin's example, or else the value that is used.
fn placeholder(view: &FormView<'_>, field: &Field) -> Option<String> {
    let example = field.placeholder.as_ref().map(|example| example.text.clone()).filter(|_| !view.is_product_form);
    example.or_else(|| empty_means(view, field))
}

/// Returns what a secret is used for, and where it is sent.
fn secret_note(uses: &[SecretUse], hosts: &[String]) -> String {
    let form = |wanted: &SecretUse| match wanted {
        SecretUse::Bearer => Some("as a bearer token"),
        SecretUse::Basic => Some("as a password"),
        SecretUse::Header => Some("in a header"),
        SecretUse::Query => Some("in the URL"),
        SecretUse::ClientCredentials => Some("to get an access token"),
        _ => None,
    };
    let forms: Vec<&str> = uses.iter().filter_map(form).collect();
    let signs = uses.iter().any(|wanted| {
        matches!(wanted, SecretUse::HmacSha1 | SecretUse::HmacSha256 | SecretUse::HmacSha512 | SecretUse::Md5Suffix)
    });
    let sent = match (forms.is_empty(), hosts.is_empty()) {
        (true, _) | (_, true) => "Never sent".to_owned(),
        (false, false) => format!("Sent {} to {} only", forms.join(" or "), hosts.join(", ")),
    };
    // A signature proves who sends a request, so its secret is bound to the receivers too.
    let signed = signs.then(|| match hosts.is_empty() {
        true => "Signs requests".to_owned(),
        false => format!("Signs requests to {}", hosts.join(", ")),
    });
    let verified = uses.contains(&SecretUse::Webhook).then(|| "Authenticates webhooks".to_owned());
    [Some(sent), signed, verified].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Returns the value that is used while a field is empty.
fn empty_means(view: &FormView<'_>, field: &Field) -> Option<String> {
    if view.is_product_form {
        return Some("Inherits from the connection".to_owned());
    }
    default_text(view, field).map(|default| format!("Default: {default}"))
}

/// Returns the default of a field as people read it: a choice by its label.
fn default_text(view: &FormView<'_>, field: &Field) -> Option<String> {
    let default = text_of(&field.default_value.as_ref().and_then(form_value)?);
    let choice = choices(view, field).into_iter().flatten().find(|choice| choice.value == default);
    let default = choice.map_or(default, |choice| choice.label.text.clone());
    Some(default).filter(|default| !default.is_empty())
}

/// Returns whether a secret was entered. Secrets are never written into a page, so it must be entered again.
fn must_reenter(view: &FormView<'_>, field: &Field) -> bool {
    field.kind == "secret" && view.values.get(&field.name).is_some_and(Value::is_string)
}

/// Returns why the list of choices is incomplete.
fn note_of_choices(view: &FormView<'_>, field: &Field) -> Option<&'static str> {
    match (view.choices, choices(view, field)) {
        (None, _) => Some("Save to load options from the vendor."),
        (Some(_), None) => Some("Couldn't load options. Enter the value as shown at the vendor."),
        (Some(_), Some(_)) if is_all(view, field) => None,
        (Some(_), Some(_)) => Some("Not all options are listed. You can enter any value."),
    }
}

/// Returns a declared host, or for a host that a setting determines, the host in the setting's value or default.
pub(super) fn host_shown(form: &Form, values: &Map<String, Value>, host: &str) -> String {
    let Some(name) = host.strip_prefix("setting:") else { return host.to_owned() };
    let field = form.field(name);
    let label = field.map_or(name, |field| field.label.text.as_str());
    let default = || field.and_then(|field| field.default_value.as_ref()).and_then(form_value);
    let address = values.get(name).cloned().or_else(default);
    match address.as_ref().and_then(host_of) {
        Some(host) => format!("{host} (set in {label})"),
        None => format!("the host set in {label}"),
    }
}

/// Returns the host of a URL.
fn host_of(address: &Value) -> Option<String> {
    Url::parse(address.as_str()?).ok()?.host_str().map(str::to_owned)
}

/// Returns whether the field is drawn as several check boxes with a label each.
fn is_checkbox_group(view: &FormView<'_>, field: &Field) -> bool {
    field.kind == "multi-select" && choices(view, field).is_some() && is_all(view, field)
}

fn choices<'a>(view: &'a FormView<'_>, field: &'a Field) -> Option<&'a [Choice]> {
    match &field.choices {
        ChoiceSource::None => None,
        ChoiceSource::Fixed(choices) => Some(choices),
        ChoiceSource::Dynamic => view.choices?.get(&field.name).map(|choices| choices.choices.as_slice()),
    }
}

/// Returns whether the known choices are complete.
fn is_all(view: &FormView<'_>, field: &Field) -> bool {
    view.choices.and_then(|choices| choices.get(&field.name)).is_none_or(|choices| choices.is_all)
}

/// The attributes that every input has.
struct Input<'a> {
    name: &'a str,
    id: &'a str,
    about: &'a str,
    is_invalid: bool,
}

fn input(view: &FormView<'_>, field: &Field, Input { name, id, about, is_invalid }: &Input<'_>) -> Markup {
    let value = view.values.get(&field.name);
    let text = value.map(text_of).unwrap_or_default();
    let invalid = is_invalid.then_some("true");
    match field.kind.as_str() {
        // A missing value may differ from both yes and no.
        "boolean" if view.is_product_form || field.default_value.is_none() => html! {
            select id=(id) name=(name) aria-describedby=(about) {
                @let inherited = if view.is_product_form { "Inherit from connection" } else { "–" };
                @for (choice, shown) in [("", inherited), ("true", "Yes"), ("false", "No")] {
                    option value=(choice) selected[text == choice] { (shown) }
                }
            }
        },
        "boolean" => {
            let default = field.default_value.as_ref().and_then(form_value);
            let on = value.or(default.as_ref()).and_then(Value::as_bool).unwrap_or_default();
            html! { input id=(id) name=(name) type="checkbox" value="true" checked[on] aria-describedby=(about); }
        }
        "secret" => {
            let is_set = view.secrets.contains(&field.name);
            let placeholder = if is_set { "•••••••• Enter a new value to replace" } else { "" };
            let is_removed = value.is_some_and(Value::is_null);
            html! {
                input id=(id) name=(name) type="password" autocomplete="off" spellcheck="false" placeholder=(placeholder)
                    aria-describedby=(about) aria-invalid=[invalid];
                @if is_set && !field.required {
                    label.inline { input type="checkbox" name=(format!("{name}.remove")) checked[is_removed]; " Remove saved value" }
                }
            }
        }
        "text-area" | "list" | "pairs" => {
            let hint = match (&field.placeholder, field.kind.as_str()) {
                (Some(example), _) => Some(example.text.as_str()),
                (None, "list") => Some("One per line"),
                (None, "pairs") => Some("name = value, one per line"),
                (None, _) => None,
            };
            html! {
                textarea id=(id) name=(name) rows="4" placeholder=[hint] aria-describedby=(about) aria-invalid=[invalid] {
                    // A browser drops the first line break of a text area.
                    "\n" (text)
                }
            }
        }
        "multi-select" if is_checkbox_group(view, field) => {
            let chosen: Vec<&str> = match value {
                Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            html! {
                div.boxes role="group" aria-labelledby=(format!("{id}-label")) aria-describedby=(about) {
                    @for choice in choices(view, field).unwrap_or_default() {
                        label.inline {
                            input type="checkbox" name=(name) value=(input::line(&choice.value)) checked[chosen.contains(&choice.value.as_str())];
                            " " (choice.label.text)
                        }
                    }
                    @for value in chosen.iter().filter(|value| choices(view, field).into_iter().flatten().all(|choice| choice.value != **value)) {
                        label.inline { input type="checkbox" name=(name) value=(input::line(value)) checked; " " (value) }
                    }
                }
            }
        }
        "multi-select" => html! {
            textarea id=(id) name=(name) rows="3" placeholder="One per line" aria-describedby=(about) { "\n" (text) }
        },
        "select" => match choices(view, field) {
            Some(choices) if is_all(view, field) => html! {
                select id=(id) name=(name) aria-describedby=(about) aria-invalid=[invalid] {
                    option value="" {
                        @if view.is_product_form { "Inherit from connection" }
                        @else if let Some(default) = default_text(view, field) { "Default (" (default) ")" }
                        @else { "–" }
                    }
                    @for choice in choices {
                        option value=(choice.value) selected[text == choice.value] { (choice.label.text) }
                    }
                    @if !text.is_empty() && choices.iter().all(|choice| choice.value != text) {
                        option value=(text) selected { (text) }
                    }
                }
            },
            choices => html! {
                @let list = format!("{id}-choices");
                input id=(id) name=(name) value=(text) list=[choices.map(|_| &list)] autocomplete="off" placeholder=[placeholder(view, field)]
                    aria-describedby=(about) aria-invalid=[invalid];
                @if let Some(choices) = choices {
                    datalist id=(list) { @for choice in choices { option value=(choice.value) { (choice.label.text) } } }
                }
            },
        },
        "money" => {
            let currency = value.and_then(|money| money["currency"].as_str()).unwrap_or_default();
            html! {
                span.pair {
                    input id=(id) name=(name) value=(text) inputmode="decimal" aria-describedby=(about) aria-invalid=[invalid];
                    input name=(format!("{name}.currency")) value=(currency) size="4" maxlength="3" aria-label="Currency";
                }
            }
        }
        kind => {
            let (kind, mode) = match kind {
                "url" => ("url", None),
                "email" => ("email", None),
                "integer" => ("text", Some("numeric")),
                "decimal" => ("text", Some("decimal")),
                _ => ("text", None),
            };
            html! {
                input id=(id) name=(name) type=(kind) value=(text) inputmode=[mode] spellcheck="false" autocomplete="off"
                    placeholder=[placeholder(view, field)] aria-describedby=(about) aria-invalid=[invalid];
            }
        }
    }
}

/// Formats a value as it is entered.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(values) => {
            let line = |value: &Value| match value {
                Value::Array(pair) => match pair.as_slice() {
                    [Value::String(name), Value::String(value)] => input::pair_line(name, value),
                    _ => value.to_string(),
                },
                Value::String(value) => input::line(value).into_owned(),
                value => text_of(value),
            };
            values.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Value::Object(_) => match serde_json::from_value::<Money>(value.clone()).map(|money| money::exact(&money)) {
            Ok(Ok(amount)) => {
                let text = amount.to_string();
                // A trailing zero makes the number unambiguous.
                if input::looks_grouped(&text) { format!("{text}0") } else { text }
            }
            _ => value.to_string(),
        },
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_where_it_goes_and_what_for() {
        let hosts = ["api.example".to_owned(), "login.example".to_owned()];
        for (uses, host_count, note) in [
            (vec![SecretUse::Bearer], 1, "Sent as a bearer token to api.example only"),
            (
                vec![SecretUse::ClientCredentials, SecretUse::Header],
                2,
                "Sent to get an access token or in a header to api.example, login.example only",
            ),
            (vec![SecretUse::Md5Suffix], 1, "Never sent · Signs requests to api.example"),
            (vec![SecretUse::Webhook], 0, "Never sent · Authenticates webhooks"),
            (
                vec![SecretUse::Bearer, SecretUse::HmacSha256, SecretUse::Webhook],
                1,
                "Sent as a bearer token to api.example only · Signs requests to api.example · Authenticates webhooks",
            ),
        ] {
            assert_eq!(secret_note(&uses, &hosts[..host_count]), note);
        }
    }
}
