//! `cartwright inspect`: what a plugin is, before anybody grants it anything.

use std::process::ExitCode;

use cartwright::{Capability, Cartwright, Plugin};

use crate::source;

/// Show what a plugin is: identity, digest, worlds, imports, hosts, strategies, settings.
///
/// Installs the component in a sandbox where every import is denied, and asks it about itself. Nothing is granted and nothing is
/// kept but the compiled form.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cartwright inspect expivi\n  cartwright inspect my-strategy.wasm --json")]
pub(crate) struct Arguments {
    /// A component's file, or `expivi` or `twikit` for the bundled ones.
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
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&plugin))?);
    } else {
        print(&plugin);
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(plugin: &Plugin) -> serde_json::Value {
    serde_json::json!({
        "digest": plugin.digest(),
        "bytes": plugin.size(),
        "contract": cartwright::CONTRACT,
        "worlds": plugin.worlds(),
        "imports": plugin.imports(),
        "about": plugin.about(),
    })
}

fn list(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

fn print(plugin: &Plugin) {
    let about = plugin.about();
    let identity = &about.identity;
    println!("{} {} ({}), by {}", identity.name, identity.version, identity.id, identity.vendor);
    println!("  digest        {}", plugin.digest());
    println!("  size          {} bytes", plugin.size());
    let worlds: Vec<String> = plugin.worlds().iter().map(|world| world.name().to_owned()).collect();
    println!("  worlds        {} of {}", worlds.join(", "), cartwright::CONTRACT);
    println!("  capabilities  {}", list(&identity.capabilities));
    let strategies: Vec<String> =
        identity.strategies.iter().map(|strategy| format!("{} ({})", strategy.name, strategy.title.text)).collect();
    println!("  strategies    {}", list(&strategies));
    println!("  asks to reach {}", list(&identity.hosts));
    println!("  asks for      {}", list(&identity.grants));
    let endpoints: Vec<String> = about.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
    println!("  webhooks      {}", list(&endpoints));
    println!("  settings");
    for field in &about.form.0 {
        let mut marks = Vec::new();
        if field.required {
            marks.push("required");
        }
        if field.public {
            marks.push("public");
        }
        if field.per_product {
            marks.push("per product");
        }
        if field.vendor_may_push {
            marks.push("vendor may push");
        }
        let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) };
        println!("    {:<28} {:<13} {}{marks}", field.name, field.kind, field.label.text);
        if field.kind == "secret" {
            let hosts = if field.hosts.is_empty() {
                "nobody; it only makes digests".to_owned()
            } else {
                field.hosts.join(", ")
            };
            println!("    {:<28} {:<13} sent to {hosts}", "", "");
        }
    }
    println!("  imports");
    for import in plugin.imports() {
        println!("    {import}");
    }
    if plugin.imports().iter().any(|import| import.starts_with("cartwright:plugin/http@")) {
        println!("  its network imports answer in");
        let hooks = plugin.hooks().filter(|hook| hook.capabilities().contains(&Capability::Http));
        let names: Vec<&str> = hooks.map(|hook| hook.name()).collect();
        println!("    {}", names.join(", "));
    }
}
