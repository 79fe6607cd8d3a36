//! `cartwright inspect`: describes a plugin before any grant.

use std::process::ExitCode;

use cartwright::types::{ChoiceSource, Field};
use cartwright::webhook::form_value;
use cartwright::{Capability, Cartwright, PluginVersion};
use cartwright_service::source;

/// Show what a plugin is: metadata, digest, worlds, exports, imports, outbound hosts, strategies, settings.
///
/// Installs the component in a sandbox that denies every import, and calls its metadata function. Nothing is granted,
/// and nothing is stored but the compiled form.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cartwright inspect expivi\n  cartwright inspect my-strategy.wasm --json")]
pub(crate) struct Arguments {
    /// A component's file, or `expivi` or `twikit` for the bundled plugins.
    plugin: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut builder = Cartwright::builder();
    if let Some(cache) = source::cache() {
        builder = builder.cache(cache);
    }
    let host = builder.start()?;
    let plugin = source::install(&host, &arguments.plugin).await?;
    // They may depend on settings that only an account has.
    let webhooks: Webhooks = match host.default_webhook_endpoints(&plugin).await {
        Ok(endpoints) => Ok(endpoints.into_iter().map(|endpoint| endpoint.name).collect()),
        Err(error) => Err(error.to_string()),
    };
    if arguments.json {
        print_line!("{}", serde_json::to_string_pretty(&as_json(&plugin, &webhooks))?);
    } else {
        print(&plugin, &webhooks);
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the webhook endpoints under the default settings, or why there are none.
type Webhooks = Result<Vec<String>, String>;

fn as_json(plugin: &PluginVersion, webhooks: &Webhooks) -> serde_json::Value {
    serde_json::json!({
        "digest": plugin.digest(),
        "bytes": plugin.size(),
        "contract": cartwright::CONTRACT,
        "worlds": plugin.worlds(),
        "exports": plugin.exports().collect::<Vec<_>>(),
        "unknown_exports": plugin.unknown_exports(),
        "imports": plugin.imports(),
        "webhooks": webhooks.as_ref().unwrap_or(&Vec::new()),
        "about": plugin.metadata(),
    })
}

fn list(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

/// Returns notes on a field that help to fill it in.
fn field_notes(field: &Field) -> Vec<String> {
    let mut field_notes = Vec::new();
    match &field.choices {
        ChoiceSource::None => {}
        ChoiceSource::Fixed(choices) => {
            let values: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
            field_notes.push(format!("one of {}", values.join(", ")));
        }
        ChoiceSource::Dynamic => field_notes.push("one of the choices of the vendor's server".to_owned()),
    }
    if let Some(default) = field.default_value.as_ref().and_then(form_value) {
        // A text without quotes, any other value as the settings file spells it.
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        field_notes.push(format!("default {default}"));
    }
    if let Some(condition) = &field.enabled_when {
        field_notes.push(format!("only while {} is {}", condition.field, condition.one_of.join(" or ")));
    }
    if field.kind == "secret" {
        let hosts = match field.outbound_hosts.is_empty() {
            true => "never sent".to_owned(),
            false => format!("only for {}", field.outbound_hosts.join(", ")),
        };
        field_notes.push(format!("used for {}, {hosts}", field.uses.join(", ")));
    }
    field_notes
}

fn print(plugin: &PluginVersion, webhooks: &Webhooks) {
    let about = plugin.metadata();
    let identity = &about.identity;
    print_line!("{} {} ({}), by {}", identity.name, identity.version, identity.id, identity.publisher);
    print_line!("  digest        {}", plugin.digest());
    print_line!("  size          {} bytes", plugin.size());
    let worlds: Vec<String> = plugin.worlds().iter().map(|world| world.name().to_owned()).collect();
    print_line!("  worlds        {} of {}", worlds.join(", "), cartwright::CONTRACT);
    let exports: Vec<String> = plugin.exports().map(|interface| interface.name().to_owned()).collect();
    print_line!("  exports       {}", list(&exports));
    for export in plugin.unknown_exports() {
        print_line!("  exports {export}, which this host does not know");
    }
    let strategies: Vec<String> =
        identity.strategies.iter().map(|strategy| format!("{} ({})", strategy.name, strategy.title.text)).collect();
    print_line!("  strategies    {}", list(&strategies));
    print_line!("  asks to reach {}", list(&identity.outbound_hosts));
    print_line!("  asks for      {}", list(&identity.grants));
    match webhooks {
        Ok(names) => print_line!("  webhooks      {}", list(names)),
        Err(error) => print_line!("  webhooks      none under the default settings: {error}"),
    }
    print_line!("  settings");
    for field in &about.form.0 {
        let mut marks = Vec::new();
        if field.required {
            marks.push("required");
        }
        if field.shown_on_page {
            marks.push("shown on page");
        }
        if field.per_product {
            marks.push("per product");
        }
        if field.vendor_can_change {
            marks.push("vendor can change");
        }
        if field.advanced {
            marks.push("advanced");
        }
        let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) };
        print_line!("    {:<28} {:<13} {}{marks}", field.name, field.kind, field.label.text);
        for note in field_notes(field) {
            print_line!("    {:<28} {:<13} {note}", "", "");
        }
    }
    print_line!("  imports");
    for import in plugin.imports() {
        print_line!("    {import}");
    }
    if plugin.imports().iter().any(|import| import.starts_with("cartwright:plugin/http@")) {
        print_line!("  its network imports answer in");
        let hooks = plugin.hooks().filter(|hook| hook.capabilities().contains(&Capability::Http));
        let names: Vec<&str> = hooks.map(|hook| hook.name()).collect();
        print_line!("    {}", names.join(", "));
    }
}
