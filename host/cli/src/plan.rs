//! `cartwright plan`: runs the plan pipeline on files.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use anyhow::Context as _;
use cartwright::types::Money;
use cartwright::{
    AccountId, AccountSetup, AddToCart, CartChange, CartLine, CartOperation, Cartwright, Grants, MemoryCatalog,
    PluginVersion, ProductLink, ShopId, Stage, StrategyChoice, Visitor,
};
use cartwright_service::grants::Grant;
use cartwright_service::words::amount;
use cartwright_service::{grants, output, source};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::failure::Failure;
use crate::files::{Catalog, json_file};

/// Plan a cart from a configuration, as a shop would: decode, check, price, plan, check again, seal.
///
/// Prints the operations and exits with 0, or prints the typed error as JSON on standard error and exits with 1.
#[derive(clap::Args)]
#[command(after_help = "\
Files:
  settings       {\"viewer-token\": \"…\"}: the account's settings by field name, secrets too (see `cartwright inspect`)
  link           {\"shop_product\": \"ring\", \"vendor_product\": \"1001\"}: also preset, allowed_skus, settings, strategy_settings
  catalog        {\"currencies\": [{\"code\": \"EUR\", \"scale\": 2}], \"variants\": [{\"sku\": \"RING\", \"product\": \"ring\", \"price\": \"49.00\"}]}
                 a variant also has id, title, purchasable, minimum, maximum; a price for each currency is {\"EUR\": \"49.00\", \"USD\": \"55.00\"}
  configuration  what the configurator's page handed over, as it is; for expivi [{\"catalogue_id\": 1001, \"attributes\":
                 [{\"attribute_id\": 7, \"attribute_name\": \"Inscription\", \"attribute_value\": \"Anna\"}]}]
  existing       an earlier plan, as `--json` printed it, or a list of its lines

Example:
  cartwright plan --plugin expivi --settings s.json --link link.json --catalog c.json --configuration conf.json --explain")]
pub(crate) struct Arguments {
    /// The vendor's plugin: a component's file, or `expivi` or `twikit`.
    #[arg(long)]
    plugin: String,
    /// The file of the account's settings.
    #[arg(long)]
    settings: PathBuf,
    /// The file of the product link.
    #[arg(long)]
    link: PathBuf,
    /// The file of the shop's currencies and variants.
    #[arg(long)]
    catalog: PathBuf,
    /// The file of the raw configuration.
    #[arg(long)]
    configuration: PathBuf,
    /// One of the plugin's strategies, or the file of a cart-strategy component.
    #[arg(long)]
    strategy: Option<String>,
    /// The file of all settings of a separate strategy component. The `strategy_settings` of the link override those that
    /// a product may override; the `settings` of the link are the vendor's.
    #[arg(long, requires = "strategy")]
    strategy_settings: Option<PathBuf>,
    /// The id of the variant that the shopper chose before configuring.
    #[arg(long)]
    variant: Option<String>,
    /// The quantity. Default: 1, or with --replace the quantity of the replaced line.
    #[arg(long)]
    quantity: Option<u32>,
    /// Replace the line of --cart with this key, or with a key that begins so, instead of adding a line.
    #[arg(long, value_name = "KEY", requires = "cart")]
    replace: Option<String>,
    /// The currency of the cart: one of the catalog's. Default: its first.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// The country of delivery, such as NL.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// The region within the country, such as NB.
    #[arg(long)]
    region: Option<String>,
    /// A customer group of the shopper. May be repeated.
    #[arg(long = "customer-group", value_name = "GROUP")]
    customer_groups: Vec<String>,
    /// The shopper's language, such as nl-BE. Default: the catalog's.
    #[arg(long, value_name = "TAG")]
    locale: Option<String>,
    /// A grant that a previous run lacked: `adjust-prices`, `choose-price-source`, a host, `http://` and a host without
    /// TLS, or a network. The hosts that the plugin declares are already granted.
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<Grant>,
    /// Request a quote instead of buying.
    #[arg(long, conflicts_with = "replace")]
    quote: bool,
    /// The file of the existing cart.
    #[arg(long)]
    cart: Option<PathBuf>,
    /// The server to use instead of the vendor's. Sets the setting that determines the plugin's first host, and allows
    /// the address, without TLS too.
    #[arg(long)]
    vendor_url: Option<Url>,
    /// Print each stage with the plugins' logs. If the plan fails, up to the stage that failed.
    #[arg(long)]
    explain: bool,
    /// Print the whole result as JSON, with its stages. If the plan fails, the error contains them.
    #[arg(long)]
    json: bool,
}

/// An existing cart: its lines, or the plan that created it.
#[derive(Deserialize)]
#[serde(untagged)]
enum ExistingCart {
    Lines(Vec<CartLine>),
    Plan(CartChange),
}

#[allow(clippy::indexing_slicing, reason = "`Failure::typed` returns a JSON object")]
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (stage_sender, stages) = channel();
    let result = change(&arguments, stage_sender).await;
    let stages: Vec<Stage> = stages.try_iter().collect();
    if arguments.explain && !arguments.json {
        explain(&stages);
    }
    match result {
        Ok(change) if arguments.json => print_line!("{}", serde_json::to_string_pretty(&change)?),
        Ok(change) => print(&change),
        Err(failed) => {
            let mut typed = failed.typed()?;
            if arguments.json {
                typed["stages"] = json!(stages);
            }
            output::print_error(&serde_json::to_string_pretty(&typed)?);
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(arguments: &Arguments, stage_sender: Sender<Stage>) -> Result<CartChange, Failure> {
    let catalog: Catalog = json_file(&arguments.catalog)?;
    let mut builder =
        Cartwright::builder().catalog(Arc::new(MemoryCatalog::new(catalog.variants(arguments.currency.as_deref())?)));
    if let Some(cache) = source::cache() {
        builder = builder.cache(cache);
    }
    let host = builder.start().context("cannot start the host")?;
    let plugin = source::install(&host, &arguments.plugin).await?;

    let shop = catalog.shop()?;
    let id = shop.id.clone();
    host.add_shop(shop)?;
    let mut settings: Map<String, Value> = json_file(&arguments.settings)?;
    if let Some(url) = &arguments.vendor_url {
        settings.insert(grants::url_setting(&plugin)?.to_owned(), json!(url.as_str()));
    }
    let account: AccountId = plugin.id().as_str().parse().context("the account's id")?;
    let server = arguments.vendor_url.iter().flat_map(grants::server);
    let granted: Vec<Grant> = server.chain(arguments.grants.iter().cloned()).collect();
    let mut grants = grants::add_grants(grants::declared(&plugin, &settings), &granted);
    if arguments.strategy.as_deref().is_some_and(is_component) {
        // Permissions are for the plugin that plans.
        grants = grants.limited_to(&plugin.metadata().identity.grants);
    }
    host.set_account(&id, plugin.digest(), AccountSetup { id: account.clone(), settings, grants }).await?;

    let mut link: Map<String, Value> = json_file(&arguments.link)?;
    link.insert("account".to_owned(), json!(account));
    let mut link: ProductLink = serde_json::from_value(Value::Object(link))
        .with_context(|| format!("{} is not a product link", arguments.link.display()))?;
    let strategy = strategy(&host, &id, &plugin, arguments, &mut link).await?;
    let product = link.shop_product.clone();
    host.link(&id, &[link]).await?;

    let lines: Vec<CartLine> = match &arguments.cart {
        Some(path) => match json_file(path)? {
            ExistingCart::Lines(lines) => lines,
            ExistingCart::Plan(plan) => {
                let mut lines = Vec::new();
                plan.apply(&mut lines);
                lines
            }
        },
        None => Vec::new(),
    };
    let configuration = std::fs::read(&arguments.configuration)
        .with_context(|| format!("cannot read {}", arguments.configuration.display()))?;
    let add = AddToCart {
        product,
        configuration: Some(configuration),
        variant: arguments.variant.clone(),
        quantity: arguments.quantity.unwrap_or(1),
        strategy,
        lines,
        visitor: Visitor {
            locale: arguments.locale.clone(),
            currency: arguments.currency.clone(),
            country: arguments.country.clone(),
            region: arguments.region.clone(),
            customer_groups: arguments.customer_groups.clone().into(),
            client: None,
        },
        stages: Some(stage_sender),
    };
    Ok(match &arguments.replace {
        Some(key) => {
            let key = resolve_key(&add.lines, key)?;
            host.edit_line(&id, &key, arguments.quantity, add).await?
        }
        None if arguments.quote => host.request_quote(&id, add).await?,
        None => host.add_to_cart(&id, add).await?,
    })
}

/// Returns the key of the only line whose key begins with `begins`.
fn resolve_key(lines: &[CartLine], begins: &str) -> anyhow::Result<String> {
    let mut found = lines.iter().filter(|line| line.top_key().is_none() && line.key.starts_with(begins));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => anyhow::bail!("several lines of the cart have keys that begin with {begins:?}"),
        (Some(line), None) => Ok(line.key.clone()),
        // The host reports that the line does not exist.
        (None, _) => Ok(begins.to_owned()),
    }
}

/// Returns whether a choice of a strategy is the file of a separate component.
fn is_component(choice: &str) -> bool {
    choice.ends_with(".wasm")
}

/// Selects a strategy of the vendor's plugin by name, or sets up a separate strategy component that the link then uses.
async fn strategy(
    host: &Cartwright,
    shop: &ShopId,
    vendor: &PluginVersion,
    arguments: &Arguments,
    link: &mut ProductLink,
) -> Result<Option<StrategyChoice>, Failure> {
    let Some(choice) = arguments.strategy.as_deref() else { return Ok(None) };
    if !is_component(choice) {
        if arguments.strategy_settings.is_some() {
            let text = "--strategy-settings is for a separate strategy component; the vendor's own settings belong in --settings";
            return Err(anyhow::anyhow!(text).into());
        }
        return Ok(Some(StrategyChoice { account: None, name: Some(choice.to_owned()) }));
    }
    let plugin = source::install(host, choice).await?;
    if plugin.id() == vendor.id() {
        return Err(anyhow::anyhow!("{choice} is the vendor's own plugin; choose one of its strategies").into());
    }
    let account: AccountId = plugin.id().as_str().parse().context("the strategy's id")?;
    let mut settings: Map<String, Value> = match &arguments.strategy_settings {
        Some(path) => json_file(path)?,
        None => Map::new(),
    };
    // A required setting belongs to the account even if a product may override it.
    let form = &plugin.metadata().form;
    let is_own = |name: &str| form.field(name).is_some_and(|field| field.per_product && !field.required);
    let own: Vec<String> = settings.keys().filter(|name| is_own(name)).cloned().collect();
    for (name, value) in own.into_iter().filter_map(|name| settings.remove_entry(&name)) {
        link.strategy_settings.entry(name).or_insert(value);
    }
    let setup = AccountSetup {
        id: account.clone(),
        settings,
        grants: grants::add_grants(Grants::default(), &arguments.grants),
    };
    host.set_account(shop, plugin.digest(), setup).await?;
    link.strategy = StrategyChoice { account: Some(account), name: None };
    Ok(Some(link.strategy.clone()))
}

fn explain(stages: &[Stage]) {
    for stage in stages {
        print_line!("{:>8} µs  {:<11} {}", stage.duration_micros, stage.stage, stage.result);
        for line in &stage.log {
            print_line!("{:>13}{}: {}", "", line.level, line.text.trim_end());
        }
    }
    if !stages.is_empty() {
        print_line!("");
    }
}

fn print(change: &CartChange) {
    if change.operations.is_empty() {
        print_line!("nothing changes");
    }
    for operation in &change.operations {
        match operation {
            CartOperation::Add { lines } => print_lines("add", lines),
            CartOperation::Replace { key, lines } => print_lines(&format!("replace {}", short(key)), lines),
            CartOperation::Update { lines } => print_lines("update", lines),
            CartOperation::RequestQuote { lines } => print_lines("request a quote for", lines),
            CartOperation::Remove { keys } => {
                print_line!("remove {}", keys.iter().map(|key| short(key)).collect::<Vec<_>>().join(", "));
            }
        }
    }
    for warning in &change.warnings {
        print_line!("warning: {}", warning.text);
    }
}

fn short(key: &str) -> &str {
    key.get(..12).unwrap_or(key)
}

/// Prints lines below what happens to them: each line with what belongs to it, and the total of several.
fn print_lines(what: &str, lines: &[CartLine]) {
    for family in lines.chunk_by(|_, next| next.top_key().is_some()) {
        print_line!("{what}");
        family.iter().for_each(|line| print_one(line, family.first()));
        let amounts = family.iter().filter(|line| !line.price.included_in_parent).map(|line| &line.price.total);
        let total = amounts.cloned().reduce(|sum, next| Money { minor: sum.minor.saturating_add(next.minor), ..sum });
        if let (Some(total), 2..) = (total, family.len()) {
            print_line!("  total {}", amount(&total));
        }
    }
}

fn print_one(line: &CartLine, top: Option<&CartLine>) {
    let indent = if line.parent.is_some() { "    " } else { "  " };
    let sku = line.sku.as_deref().unwrap_or("-");
    let price = match top {
        Some(top) if line.price.included_in_parent => {
            format!(" ({} of the {} above)", number(&line.price.total), number(&top.price.total))
        }
        _ => amount(&line.price.total),
    };
    let set = if line.parent.is_none() && line.top_key().is_some() { "  of the set" } else { "" };
    print_line!("{indent}{} × {} [{sku}] {price}  key {}{set}", line.quantity, line.title, short(&line.key));
    for field in &line.shown {
        print_line!("{indent}    {}: {}", field.name, field.value);
    }
    for adjustment in &line.price.adjustments {
        print_line!("{indent}    {}: {} each", adjustment.label.text, amount(&adjustment.amount));
    }
}

/// Formats an amount without its currency: "12.50".
fn number(money: &Money) -> String {
    let text = amount(money);
    text.strip_suffix(money.currency.as_str()).map_or(text.as_str(), str::trim_end).to_owned()
}
